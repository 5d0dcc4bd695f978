//! Which service and which operation a request is for, and the errors that every service has.

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::json;

use super::{Answer, text_answer};
use crate::faults::Service;

const JSON_1_0: &str = "application/x-amz-json-1.0";
const JSON_1_1: &str = "application/x-amz-json-1.1";

/// A request's service and operation.
pub(crate) struct Route {
    pub(crate) service: Service,
    /// Without the service: `PutItem`, `CompleteMultipartUpload`.
    pub(crate) operation: String,
}

impl Route {
    /// Told by what real clients send: the target header, the path of SES v2, else S3 in path style.
    pub(crate) fn of(parts: &Parts) -> Self {
        let target = parts
            .headers
            .get("x-amz-target")
            .and_then(|target| target.to_str().ok())
            .unwrap_or_default();
        if let Some(operation) = target.strip_prefix("DynamoDB_20120810.") {
            return Self {
                service: Service::DynamoDb,
                operation: operation.to_owned(),
            };
        }
        if let Some(operation) = target.strip_prefix("AmazonSQS.") {
            return Self {
                service: Service::Sqs,
                operation: operation.to_owned(),
            };
        }
        if let Some(operation) = target.strip_prefix("TrentService.") {
            return Self {
                service: Service::Kms,
                operation: operation.to_owned(),
            };
        }
        if let Some(resource) = parts.uri.path().strip_prefix("/v2/email/") {
            let operation = ses_operation(&parts.method, resource).to_owned();
            return Self {
                service: Service::Ses,
                operation,
            };
        }
        let query = parts.uri.query().unwrap_or_default();
        let operation = s3_operation(&parts.method, parts.uri.path(), query, &parts.headers).to_owned();
        Self {
            service: Service::S3,
            operation,
        }
    }

    /// 403 for a request without credentials.
    pub(crate) fn missing_token(&self) -> Answer {
        self.error(
            403,
            "MissingAuthenticationToken",
            "request is missing authentication token",
        )
    }

    /// 413 for a body that no service takes.
    pub(crate) fn too_large(&self) -> Answer {
        self.error(413, "RequestEntityTooLarge", "the request is too large")
    }

    /// The service's internal error.
    pub(crate) fn internal_error(&self) -> Answer {
        let code = match self.service {
            Service::DynamoDb => "InternalServerError",
            Service::S3 => "InternalError",
            Service::Sqs => "InternalFailure",
            Service::Ses => "InternalServiceErrorException",
            Service::Kms => "KMSInternalException",
        };
        self.error(500, code, "an internal error was injected")
    }

    /// The service's throttling error.
    pub(crate) fn throttled(&self) -> Answer {
        let (status, code) = match self.service {
            Service::DynamoDb => (400, "ProvisionedThroughputExceededException"),
            Service::S3 => (503, "SlowDown"),
            Service::Sqs => (400, "RequestThrottled"),
            Service::Ses => (429, "TooManyRequestsException"),
            Service::Kms => (400, "ThrottlingException"),
        };
        self.error(status, code, "throttling was injected")
    }

    fn error(&self, status: u16, code: &'static str, message: &str) -> Answer {
        match self.service {
            Service::S3 => text_answer(
                status,
                "application/xml",
                format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
                ),
            ),
            Service::DynamoDb => {
                let kind = format!("com.amazonaws.dynamodb.v20120810#{code}");
                text_answer(
                    status,
                    JSON_1_0,
                    json!({"__type": kind, "message": message}).to_string(),
                )
            }
            Service::Kms => text_answer(
                status,
                JSON_1_1,
                json!({"__type": code, "message": message}).to_string(),
            ),
            Service::Sqs => {
                let kind = format!("com.amazonaws.sqs#{code}");
                let mut answer = text_answer(
                    status,
                    JSON_1_0,
                    json!({"__type": kind, "message": message}).to_string(),
                );
                let fault = if status >= 500 { "Receiver" } else { "Sender" };
                if let Ok(value) = HeaderValue::try_from(format!("{code};{fault}")) {
                    answer.headers_mut().insert("x-amzn-query-error", value);
                }
                answer
            }
            Service::Ses => {
                let mut answer = text_answer(
                    status,
                    "application/json",
                    json!({"message": message}).to_string(),
                );
                answer
                    .headers_mut()
                    .insert("x-amzn-errortype", HeaderValue::from_static(code));
                answer
            }
        }
    }
}

/// The operation's name in the SES v2 API.
fn ses_operation(method: &Method, resource: &str) -> &'static str {
    let mut segments = resource.trim_end_matches('/').split('/');
    let (kind, name, action) = (segments.next(), segments.next(), segments.next());
    match (method.as_str(), kind.unwrap_or_default(), name, action) {
        ("POST", "outbound-emails", None, _) => "SendEmail",
        ("POST", "identities", None, _) => "CreateEmailIdentity",
        ("GET", "identities", None, _) => "ListEmailIdentities",
        ("GET", "identities", Some(_), None) => "GetEmailIdentity",
        ("DELETE", "identities", Some(_), None) => "DeleteEmailIdentity",
        ("GET", "account", None, _) => "GetAccount",
        ("PUT", "suppression", Some("addresses"), None) => "PutSuppressedDestination",
        ("GET", "suppression", Some("addresses"), None) => "ListSuppressedDestinations",
        ("GET", "suppression", Some("addresses"), Some(_)) => "GetSuppressedDestination",
        ("DELETE", "suppression", Some("addresses"), Some(_)) => "DeleteSuppressedDestination",
        ("POST", "templates", None, _) => "CreateEmailTemplate",
        ("GET", "templates", Some(_), None) => "GetEmailTemplate",
        ("POST", "templates", Some(_), Some("render")) => "TestRenderEmailTemplate",
        ("POST", "configuration-sets", None, _) => "CreateConfigurationSet",
        _ => "Unknown",
    }
}

/// The operation's name in the S3 API.
fn s3_operation(method: &Method, path: &str, query: &str, headers: &HeaderMap) -> &'static str {
    let path = path.trim_start_matches('/');
    let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    let copies = headers.contains_key("x-amz-copy-source");
    if method == Method::OPTIONS {
        return "Preflight";
    }
    if path.is_empty() {
        return "ListBuckets";
    }
    match path.split_once('/').filter(|(_, key)| !key.is_empty()) {
        None => bucket_operation(method, has),
        Some(_) => match method.as_str() {
            "GET" if has("uploadId") => "ListParts",
            "GET" if has("tagging") => "GetObjectTagging",
            "GET" if has("attributes") => "GetObjectAttributes",
            "GET" => "GetObject",
            "HEAD" => "HeadObject",
            "PUT" if has("partNumber") && copies => "UploadPartCopy",
            "PUT" if has("partNumber") => "UploadPart",
            "PUT" if has("tagging") => "PutObjectTagging",
            "PUT" if copies => "CopyObject",
            "PUT" => "PutObject",
            "POST" if has("uploads") => "CreateMultipartUpload",
            "POST" if has("uploadId") => "CompleteMultipartUpload",
            "DELETE" if has("uploadId") => "AbortMultipartUpload",
            "DELETE" if has("tagging") => "DeleteObjectTagging",
            "DELETE" => "DeleteObject",
            _ => "Unknown",
        },
    }
}

/// The settings of a bucket: its query parameter, and the operations that put, get and delete it.
const BUCKET_SETTINGS: [(&str, [&str; 3]); 9] = [
    (
        "versioning",
        ["PutBucketVersioning", "GetBucketVersioning", "Unknown"],
    ),
    (
        "lifecycle",
        [
            "PutBucketLifecycleConfiguration",
            "GetBucketLifecycleConfiguration",
            "DeleteBucketLifecycle",
        ],
    ),
    (
        "encryption",
        [
            "PutBucketEncryption",
            "GetBucketEncryption",
            "DeleteBucketEncryption",
        ],
    ),
    (
        "publicAccessBlock",
        [
            "PutPublicAccessBlock",
            "GetPublicAccessBlock",
            "DeletePublicAccessBlock",
        ],
    ),
    ("cors", ["PutBucketCors", "GetBucketCors", "DeleteBucketCors"]),
    (
        "tagging",
        ["PutBucketTagging", "GetBucketTagging", "DeleteBucketTagging"],
    ),
    (
        "policy",
        ["PutBucketPolicy", "GetBucketPolicy", "DeleteBucketPolicy"],
    ),
    (
        "ownershipControls",
        [
            "PutBucketOwnershipControls",
            "GetBucketOwnershipControls",
            "DeleteBucketOwnershipControls",
        ],
    ),
    (
        "notification",
        [
            "PutBucketNotificationConfiguration",
            "GetBucketNotificationConfiguration",
            "Unknown",
        ],
    ),
];

fn bucket_operation(method: &Method, has: impl Fn(&str) -> bool) -> &'static str {
    if let Some((_, [put, get, delete])) = BUCKET_SETTINGS.iter().find(|(setting, _)| has(setting)) {
        return match method.as_str() {
            "PUT" => put,
            "GET" => get,
            "DELETE" => delete,
            _ => "Unknown",
        };
    }
    match method.as_str() {
        "PUT" => "CreateBucket",
        "DELETE" => "DeleteBucket",
        "HEAD" => "HeadBucket",
        "POST" if has("delete") => "DeleteObjects",
        "GET" if has("location") => "GetBucketLocation",
        "GET" if has("versions") => "ListObjectVersions",
        "GET" if has("uploads") => "ListMultipartUploads",
        "GET" if has("list-type") => "ListObjectsV2",
        "GET" => "ListObjects",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s3_operations_are_told_apart() {
        let plain = HeaderMap::new();
        let mut copying = HeaderMap::new();
        copying.insert("x-amz-copy-source", HeaderValue::from_static("b/k"));
        let cases = [
            ("GET", "/", "", "ListBuckets"),
            ("PUT", "/b", "", "CreateBucket"),
            ("PUT", "/b/", "lifecycle", "PutBucketLifecycleConfiguration"),
            ("GET", "/b", "list-type=2&prefix=x", "ListObjectsV2"),
            ("POST", "/b", "delete", "DeleteObjects"),
            ("PUT", "/b/k/l", "x-id=PutObject", "PutObject"),
            ("PUT", "/b/k", "partNumber=1&uploadId=u", "UploadPart"),
            ("POST", "/b/k", "uploads", "CreateMultipartUpload"),
            ("POST", "/b/k", "uploadId=u", "CompleteMultipartUpload"),
            ("DELETE", "/b/k", "uploadId=u", "AbortMultipartUpload"),
            ("OPTIONS", "/b/k", "", "Preflight"),
        ];
        for (method, path, query, expected) in cases {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(
                s3_operation(&method, path, query, &plain),
                expected,
                "{method} {path}?{query}"
            );
        }
        assert_eq!(s3_operation(&Method::PUT, "/b/k", "", &copying), "CopyObject");
        assert_eq!(
            s3_operation(&Method::PUT, "/b/k", "partNumber=1&uploadId=u", &copying),
            "UploadPartCopy"
        );
    }
}

//! Who may come in: what Signature Version 4 is checked here, and how a body is unwrapped for the service.
//!
//! Credentials are dummies on one machine. A request with an `Authorization` header is let in whatever its
//! key and secret, and whenever it was signed (the SDK signs by the system's time while the engine's clock
//! may be elsewhere). A presigned link is verified in full, signature and times, as its refusals are
//! behaviour that the product builds on; its secret is one of [`DUMMY_SECRETS`].

use aws_lc_rs::{digest, hmac};
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use s3s::{Body, S3Error, S3ErrorCode, S3Result, s3_error};

use super::chunked::{self, Trailers};
use super::digest::{Algorithm, hex};
use super::limits;

/// The secrets that presigned links may be signed with: LocalStack's convention, and a common second.
pub(super) const DUMMY_SECRETS: [&str; 2] = ["test", "secret"];

/// The longest that a link may live: seven days.
const MAX_EXPIRY_SECONDS: i64 = 7 * 24 * 60 * 60;

/// How far ahead of the engine's clock a link may be dated.
const MAX_SKEW: SignedDuration = SignedDuration::from_mins(15);

/// The SHA-256 of the body in lower-case hexadecimal, when the request was signed over it.
#[derive(Clone)]
pub(super) struct PayloadSha256(pub(super) String);

/// The `response-*` parameters of a `GetObject`, as headers of its answer.
#[derive(Clone, Default)]
pub(super) struct Overrides(pub(super) HeaderMap);

type Query = Vec<(String, String)>;

/// Checks a request and makes it one that the inner service, which knows no signatures, can answer.
///
/// # Errors
/// With the S3 error that the real service gives.
pub(super) fn admit(request: Request<Body>, now: Timestamp) -> S3Result<(Request<Body>, Overrides)> {
    let (mut parts, mut body) = request.into_parts();
    limits::check_headers(&parts.headers, parts.uri.query().unwrap_or_default())?;
    let mut query = parse_query(parts.uri.query().unwrap_or_default());
    if find(&query, "X-Amz-Signature").is_some() {
        verify_link(&parts.method, &parts.uri, &parts.headers, &query, now)?;
        hoist(&mut query, &mut parts.headers)?;
    } else {
        let authorization = parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        if !authorization.is_some_and(|value| value.starts_with("AWS4-HMAC-SHA256 ")) {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        }
    }
    let overrides = take_overrides(&mut query, &parts.method)?;
    parts.uri = with_query(&parts.uri, &query)?;
    parts.headers.remove(AUTHORIZATION);

    let payload = parts.headers.remove("x-amz-content-sha256");
    let payload = payload
        .as_ref()
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if payload.starts_with("STREAMING-") {
        let length = parts.headers.remove("x-amz-decoded-content-length");
        let length = length
            .as_ref()
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let length = length.ok_or_else(|| s3_error!(MissingContentLength))?;
        let trailers = Trailers::default();
        body = chunked::decode(body, length, trailers.clone());
        parts.extensions.insert(trailers);
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        unwrap_content_encoding(&mut parts.headers)?;
    } else if payload.len() == 64 {
        parts.extensions.insert(PayloadSha256(payload.to_owned()));
    }
    Ok((Request::from_parts(parts, body), overrides))
}

/// `aws-chunked` is of the transfer, not of the object.
fn unwrap_content_encoding(headers: &mut HeaderMap) -> S3Result<()> {
    let Some(value) = headers.remove(CONTENT_ENCODING) else {
        return Ok(());
    };
    let value = value
        .to_str()
        .map_err(|error| s3_error!(error, InvalidArgument))?;
    let kept: Vec<_> = value
        .split(',')
        .map(str::trim)
        .filter(|name| *name != "aws-chunked")
        .collect();
    if !kept.is_empty() {
        let kept =
            HeaderValue::from_str(&kept.join(", ")).map_err(|error| s3_error!(error, InvalidArgument))?;
        headers.insert(CONTENT_ENCODING, kept);
    }
    Ok(())
}

/// Removes what belongs to the signature, and turns hoisted `x-amz-…` parameters back into headers. A checksum
/// is signed there and not looked at, on S3 too: only a signed header keeps other bytes out.
fn hoist(query: &mut Query, headers: &mut HeaderMap) -> S3Result<()> {
    const OF_SIGNATURE: [&str; 8] = [
        "x-amz-algorithm",
        "x-amz-content-sha256",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-expires",
        "x-amz-security-token",
        "x-amz-signature",
        "x-amz-signedheaders",
    ];
    let mut kept = Query::new();
    for (name, value) in query.drain(..) {
        let lower = name.to_ascii_lowercase();
        let is_ignored = lower == "x-amz-sdk-checksum-algorithm" || Algorithm::of_header(&lower).is_some();
        if is_ignored || OF_SIGNATURE.contains(&lower.as_str()) {
            continue;
        }
        if !lower.starts_with("x-amz-") {
            kept.push((name, value));
            continue;
        }
        let name: HeaderName = lower.parse().map_err(|error| s3_error!(error, InvalidArgument))?;
        let value = HeaderValue::from_bytes(value.as_bytes());
        headers.insert(name, value.map_err(|error| s3_error!(error, InvalidArgument))?);
    }
    *query = kept;
    Ok(())
}

/// Takes the `response-*` parameters: the inner service would refuse a file name outside ASCII in them.
fn take_overrides(query: &mut Query, method: &Method) -> S3Result<Overrides> {
    let mut headers = HeaderMap::new();
    if method != Method::GET && method != Method::HEAD {
        return Ok(Overrides(headers));
    }
    let mut failure = None;
    query.retain(|(name, value)| {
        let header = match name.as_str() {
            "response-cache-control" => "cache-control",
            "response-content-disposition" => "content-disposition",
            "response-content-encoding" => "content-encoding",
            "response-content-language" => "content-language",
            "response-content-type" => "content-type",
            "response-expires" => "expires",
            _ => return true,
        };
        match HeaderValue::from_bytes(value.as_bytes()) {
            Ok(value) => drop(headers.insert(header, value)),
            Err(error) => failure = Some(s3_error!(error, InvalidArgument)),
        }
        false
    });
    failure.map_or(Ok(Overrides(headers)), Err)
}

fn with_query(uri: &Uri, query: &Query) -> S3Result<Uri> {
    let mut text = uri.path().to_owned();
    for (at, (name, value)) in query.iter().enumerate() {
        text.push(if at == 0 { '?' } else { '&' });
        text.push_str(&percent_encode(name, false));
        text.push('=');
        text.push_str(&percent_encode(value, false));
    }
    let authority = uri.authority().zip(uri.scheme_str());
    let text = authority.map_or(text.clone(), |(authority, scheme)| {
        format!("{scheme}://{authority}{text}")
    });
    text.parse()
        .map_err(|error: http::uri::InvalidUri| s3_error!(error, InvalidURI))
}

fn parse_query(raw: &str) -> Query {
    let pairs = raw.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decode(name, true), percent_decode(value, true))
        })
        .collect()
}

fn find<'a>(query: &'a Query, name: &str) -> Option<&'a str> {
    let found = query.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

fn parameters_error(text: &'static str) -> S3Error {
    S3Error::with_message(S3ErrorCode::AuthorizationQueryParametersError, text)
}

/// Verifies a presigned link:
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>.
fn verify_link(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    query: &Query,
    now: Timestamp,
) -> S3Result<()> {
    let need =
        |name| find(query, name).ok_or_else(|| parameters_error("a parameter of the signature is missing"));
    if need("X-Amz-Algorithm")? != "AWS4-HMAC-SHA256" {
        return Err(parameters_error(
            "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"",
        ));
    }
    let date = need("X-Amz-Date")?;
    let signed_at = DateTime::strptime("%Y%m%dT%H%M%SZ", date)
        .and_then(|date| date.to_zoned(TimeZone::UTC))
        .map_err(|_| parameters_error("X-Amz-Date must be in the ISO8601 Long Format"))?
        .timestamp();
    let expiry: i64 = need("X-Amz-Expires")?
        .parse()
        .map_err(|_| parameters_error("X-Amz-Expires must be a number"))?;
    if !(0..=MAX_EXPIRY_SECONDS).contains(&expiry) {
        return Err(parameters_error(
            "X-Amz-Expires must be less than a week (in seconds)",
        ));
    }
    let life = now.duration_since(signed_at);
    if life > SignedDuration::from_secs(expiry) {
        return Err(s3_error!(AccessDenied, "Request has expired"));
    }
    if life < -MAX_SKEW {
        return Err(s3_error!(AccessDenied, "Request is not valid yet"));
    }

    let signed_headers: Vec<&str> = need("X-Amz-SignedHeaders")?.split(';').collect();
    let unsigned = headers.keys().map(HeaderName::as_str).find(|name| {
        name.starts_with("x-amz-") && *name != "x-amz-content-sha256" && !signed_headers.contains(name)
    });
    if unsigned.is_some() || !signed_headers.contains(&"host") {
        return Err(s3_error!(
            AccessDenied,
            "There were headers present in the request which were not signed"
        ));
    }
    let scope = need("X-Amz-Credential")?.split_once('/').map(|(_, scope)| scope);
    let scope = scope
        .filter(|scope| scope.split('/').count() == 4 && date.starts_with(scope.get(..8).unwrap_or("-")));
    let scope = scope.ok_or_else(|| parameters_error("the X-Amz-Credential parameter is malformed"))?;

    let payload = headers
        .get("x-amz-content-sha256")
        .and_then(|value| value.to_str().ok());
    let payload = payload.filter(|_| signed_headers.contains(&"x-amz-content-sha256"));
    let payload = payload
        .or(find(query, "X-Amz-Content-Sha256"))
        .unwrap_or("UNSIGNED-PAYLOAD");
    let path = uri.path();
    // Clients differ in what they leave bare in a path; both forms name the same object.
    for path in [
        percent_encode(&percent_decode(path, false), true),
        path.to_owned(),
    ] {
        let canonical = format!(
            "{method}\n{path}\n{}\n{}\n{}\n{payload}",
            canonical_query(query),
            canonical_headers(headers, &signed_headers),
            signed_headers.join(";")
        );
        let hash = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hash}");
        let given = need("X-Amz-Signature")?;
        if DUMMY_SECRETS
            .iter()
            .any(|secret| signature(secret, scope, &text) == given)
        {
            return Ok(());
        }
    }
    Err(s3_error!(
        SignatureDoesNotMatch,
        "The request signature we calculated does not match the signature you provided. Check your key and signing \
         method (the secret access key of this endpoint is `test`)."
    ))
}

fn canonical_query(query: &Query) -> String {
    let signed = query
        .iter()
        .filter(|(name, _)| !name.eq_ignore_ascii_case("X-Amz-Signature"));
    let mut pairs: Vec<_> = signed
        .map(|(name, value)| (percent_encode(name, false), percent_encode(value, false)))
        .collect();
    pairs.sort();
    pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect::<Vec<_>>()
        .join("&")
}

fn canonical_headers(headers: &HeaderMap, names: &[&str]) -> String {
    let line = |name: &&str| {
        let values = headers.get_all(*name).iter().map(|value| {
            let value = String::from_utf8_lossy(value.as_bytes());
            value.split_whitespace().collect::<Vec<_>>().join(" ")
        });
        format!("{name}:{}\n", values.collect::<Vec<_>>().join(","))
    };
    names.iter().map(line).collect()
}

fn signature(secret: &str, scope: &str, text: &str) -> String {
    let sign = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    let mut key = format!("AWS4{secret}").into_bytes();
    for step in scope.split('/') {
        key = sign(&key, step).as_ref().to_vec();
    }
    hex(sign(&key, text).as_ref())
}

/// Percent-encodes all but the unreserved characters of RFC 3986, and `/` where it separates.
pub(super) fn percent_encode(text: &str, keep_slash: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || (keep_slash && byte == b'/') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&hex(&[byte]).to_uppercase());
        }
    }
    encoded
}

/// Undoes percent-encoding; a stray `%` stays as it is.
pub(super) fn percent_decode(text: &str, plus_is_space: bool) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let pair = text.get(at + 1..at + 3).filter(|_| *byte == b'%');
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(value) => {
                decoded.push(value);
                at += 3;
            }
            None => {
                decoded.push(if *byte == b'+' && plus_is_space {
                    b' '
                } else {
                    *byte
                });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the AWS documentation, with its own secret.
    #[test]
    fn signature_of_the_documented_example() {
        let uri: Uri = "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
            &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
            &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
            .parse()
            .unwrap();
        let query = parse_query(uri.query().unwrap());
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("examplebucket.s3.amazonaws.com"));
        let canonical = format!(
            "GET\n/test.txt\n{}\n{}\nhost\nUNSIGNED-PAYLOAD",
            canonical_query(&query),
            canonical_headers(&headers, &["host"])
        );
        let hash = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        let scope = "20130524/us-east-1/s3/aws4_request";
        let text = format!("AWS4-HMAC-SHA256\n20130524T000000Z\n{scope}\n{hash}");
        assert_eq!(
            signature("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", scope, &text),
            "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
    }

    #[test]
    fn a_checksum_in_a_link_is_not_a_header() {
        let mut query = parse_query(
            "x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32&x-amz-meta-a=b&X-Amz-Signature=c&d=e",
        );
        let mut headers = HeaderMap::new();
        hoist(&mut query, &mut headers).unwrap();
        assert_eq!(
            headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(),
            ["x-amz-meta-a"]
        );
        assert_eq!(query, [("d".to_owned(), "e".to_owned())]);
    }

    #[test]
    fn percent_encoding_round_trip() {
        let text = "a b/ü+%&=\0~";
        assert_eq!(percent_encode(text, true), "a%20b/%C3%BC%2B%25%26%3D%00~");
        assert_eq!(percent_decode(&percent_encode(text, false), true), text);
        assert_eq!(percent_decode("50%&a+b", true), "50%&a b");
    }
}

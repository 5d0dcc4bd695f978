//! Cross-origin rules, for browsers that upload by presigned link:
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html>.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri};
use s3s::dto::{CORSConfiguration, CORSRule};
use s3s::{Body, S3Result, s3_error};

use super::admission::percent_decode;
use super::record::Setting;
use super::refusal::refusal;
use super::settings;
use super::store::Store;

/// What the browser asks for.
pub(super) struct Ask {
    bucket: String,
    origin: String,
    method: String,
    headers: Vec<String>,
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn bucket_of(uri: &Uri) -> String {
    percent_decode(
        uri.path()
            .trim_start_matches('/')
            .split('/')
            .next()
            .unwrap_or_default(),
        false,
    )
}

impl Ask {
    /// Of an ordinary request, when it comes from another origin.
    pub(super) fn of_request(method: &str, uri: &Uri, headers: &HeaderMap) -> Option<Self> {
        let origin = text(headers, ORIGIN)?.to_owned();
        Some(Self {
            bucket: bucket_of(uri),
            origin,
            method: method.to_owned(),
            headers: Vec::new(),
        })
    }

    fn of_preflight(uri: &Uri, headers: &HeaderMap) -> Option<Self> {
        let origin = text(headers, ORIGIN)?.to_owned();
        let method = text(headers, ACCESS_CONTROL_REQUEST_METHOD)?.to_owned();
        let asked = text(headers, ACCESS_CONTROL_REQUEST_HEADERS).unwrap_or_default();
        let asked = asked
            .split(',')
            .map(|name| name.trim().to_lowercase())
            .filter(|name| !name.is_empty());
        Some(Self {
            bucket: bucket_of(uri),
            origin,
            method,
            headers: asked.collect(),
        })
    }

    /// The first rule that allows all of it.
    fn rule(&self, store: &Store) -> S3Result<Option<CORSRule>> {
        let document = store.look(|index| {
            let bucket = index.buckets.get(&self.bucket);
            Ok(bucket.and_then(|bucket| bucket.settings.get(&Setting::Cors).cloned()))
        })?;
        let Some(document) = document else { return Ok(None) };
        let configuration: CORSConfiguration =
            settings::parse(&document).map_err(|error| s3_error!(error, InternalError))?;
        Ok(configuration
            .cors_rules
            .into_iter()
            .find(|rule| self.is_allowed_by(rule)))
    }

    fn is_allowed_by(&self, rule: &CORSRule) -> bool {
        let allowed = rule.allowed_headers.as_deref().unwrap_or_default();
        rule.allowed_methods
            .iter()
            .any(|method| method.as_str() == self.method)
            && rule
                .allowed_origins
                .iter()
                .any(|pattern| matches(pattern, &self.origin))
            && self.headers.iter().all(|name| {
                allowed
                    .iter()
                    .any(|pattern| matches(&pattern.to_lowercase(), name))
            })
    }

    /// The headers that let the browser read the answer; none when no rule allows it.
    pub(super) fn answer_headers(&self, store: &Store) -> S3Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        let Some(rule) = self.rule(store)? else {
            return Ok(headers);
        };
        let mut put = |name: HeaderName, value: &str| -> S3Result<()> {
            let value = HeaderValue::from_str(value).map_err(|error| s3_error!(error, InternalError))?;
            headers.insert(name, value);
            Ok(())
        };
        if rule.allowed_origins.iter().any(|pattern| pattern == "*") {
            put(ACCESS_CONTROL_ALLOW_ORIGIN, "*")?;
        } else {
            put(ACCESS_CONTROL_ALLOW_ORIGIN, &self.origin)?;
            put(ACCESS_CONTROL_ALLOW_CREDENTIALS, "true")?;
        }
        let methods: Vec<_> = rule
            .allowed_methods
            .iter()
            .map(|method| method.as_str())
            .collect();
        put(ACCESS_CONTROL_ALLOW_METHODS, &methods.join(", "))?;
        if !self.headers.is_empty() {
            put(ACCESS_CONTROL_ALLOW_HEADERS, &self.headers.join(", "))?;
        }
        if let Some(exposed) = &rule.expose_headers {
            put(ACCESS_CONTROL_EXPOSE_HEADERS, &exposed.join(", "))?;
        }
        if let Some(seconds) = rule.max_age_seconds {
            put(ACCESS_CONTROL_MAX_AGE, &seconds.to_string())?;
        }
        put(
            VARY,
            "Origin, Access-Control-Request-Headers, Access-Control-Request-Method",
        )?;
        Ok(headers)
    }
}

/// A pattern with at most one `*`.
fn matches(pattern: &str, value: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == value,
        Some((start, end)) => value.strip_prefix(start).is_some_and(|rest| rest.ends_with(end)),
    }
}

/// Answers a preflight request.
pub(super) fn preflight(store: &Store, uri: &Uri, headers: &HeaderMap) -> S3Result<Response<Body>> {
    let ask = Ask::of_preflight(uri, headers).ok_or_else(|| {
        s3_error!(
            InvalidRequest,
            "Insufficient information. Origin request header needed."
        )
    })?;
    let headers = ask.answer_headers(store)?;
    if headers.is_empty() {
        let text = "CORSResponse: This CORS request is not allowed.";
        return Err(refusal("AccessForbidden", StatusCode::FORBIDDEN, text));
    }
    let mut response = Response::new(Body::empty());
    *response.headers_mut() = headers;
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_have_one_star() {
        assert!(matches("*", "https://a.example"));
        assert!(matches("https://*.example", "https://a.example"));
        assert!(!matches("https://*.example", "https://a.example.org"));
        assert!(!matches("https://a.example", "https://b.example"));
        assert!(!matches("ab*ba", "aba"));
    }
}

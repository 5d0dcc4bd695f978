//! Bodies: JSON of at most 1 MiB, strictly typed.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt;
use oubli_domain::Sha256;
use oubli_workflows::Idempotency;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use super::{idempotency, json};
use crate::problem::{Code, Problem};

/// The largest body, in bytes.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// How much of a body that is too large is read and dropped, in bytes, so that its sender comes
/// to read the answer instead of meeting a closed connection.
const MAX_DRAINED_BYTES: usize = 16 * 1024 * 1024;

/// What may stand in a body.
pub trait Input: DeserializeOwned {
    /// Whether the merge-patch media type (RFC 7396) is accepted besides JSON's.
    const IS_MERGE_PATCH: bool = false;
    /// Whether the body may be left out.
    const MAY_BE_EMPTY: bool = false;
}

/// The body of a POST that needs none: nothing, or `{}`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmptyBody {}

impl Input for EmptyBody {
    const MAY_BE_EMPTY: bool = true;
}

/// A body.
#[derive(Debug)]
pub struct Json<T>(pub T);

/// A body that creates or starts something, with what makes a repetition recognisable.
#[derive(Debug)]
pub struct Command<T> {
    /// The body.
    pub body: T,
    /// The key, if any, and the fingerprint of the request.
    pub idempotency: Idempotency,
}

impl<T: Input, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = read(&parts.headers, body).await?;
        parse(&parts.headers, &bytes).map(Self)
    }
}

impl<T: Input, S: Send + Sync> FromRequest<S> for Command<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let key = idempotency::read_key(&parts.headers)?;
        let bytes = read(&parts.headers, body).await?;
        let value = parse(&parts.headers, &bytes)?;
        let mut signed = format!("{} {}\n", parts.method, parts.uri.path()).into_bytes();
        signed.extend_from_slice(&bytes);
        Ok(Self {
            body: value,
            idempotency: Idempotency {
                key,
                fingerprint: Sha256::of(&signed),
            },
        })
    }
}

fn parse<T: Input>(headers: &HeaderMap, bytes: &[u8]) -> Result<T, Problem> {
    if T::MAY_BE_EMPTY && bytes.is_empty() {
        return json::read(b"{}");
    }
    if !is_json(headers.get(CONTENT_TYPE), T::IS_MERGE_PATCH) {
        return Err(Problem::new(Code::MediaTypeUnsupported));
    }
    json::read(bytes)
}

/// Whether a media type is JSON in UTF-8 (RFC 8259, section 8.1).
fn is_json(content_type: Option<&HeaderValue>, merge_patch_too: bool) -> bool {
    let Some(content_type) = content_type.and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let mut parts = content_type.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let essence_fits = essence.eq_ignore_ascii_case("application/json")
        || (merge_patch_too && essence.eq_ignore_ascii_case("application/merge-patch+json"));
    let charset_fits = |parameter: &str| match parameter.split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
            value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    };
    essence_fits && parts.all(charset_fits)
}

async fn read(headers: &HeaderMap, mut body: Body) -> Result<Bytes, Problem> {
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    let announced: usize = announced.unwrap_or(0);
    let mut bytes = Vec::with_capacity(announced.min(MAX_BODY_BYTES));
    let mut seen = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::new(Code::BadRequest).detail("the body broke off"))?;
        let Ok(data) = frame.into_data() else { continue };
        seen = seen.saturating_add(data.len());
        if seen > MAX_DRAINED_BYTES || announced > MAX_DRAINED_BYTES {
            break;
        }
        if seen <= MAX_BODY_BYTES && announced <= MAX_BODY_BYTES {
            bytes.extend_from_slice(&data);
        }
    }
    if seen.max(announced) > MAX_BODY_BYTES {
        return Err(Problem::new(Code::BodyTooLarge));
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Named {
        name: String,
    }
    impl Input for Named {}

    #[derive(Debug, Deserialize)]
    struct Patch {}
    impl Input for Patch {
        const IS_MERGE_PATCH: bool = true;
    }

    fn request(content_type: Option<&str>, body: impl Into<Body>) -> Request {
        let mut request = Request::builder().method("POST").uri("/v1/things?x=1");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        request.body(body.into()).unwrap()
    }

    async fn refusal<T: Input + std::fmt::Debug>(request: Request) -> Code {
        Json::<T>::from_request(request, &()).await.unwrap_err().code()
    }

    #[rstest]
    #[case(None, false)]
    #[case(Some("text/plain"), false)]
    #[case(Some("application/json-patch+json"), false)]
    #[case(Some("application/merge-patch+json"), false)]
    #[case(Some("application/json; charset=latin1"), false)]
    #[case(Some("application/json"), true)]
    #[case(Some("Application/JSON; Charset=\"UTF-8\""), true)]
    #[tokio::test]
    async fn only_json_is_read(#[case] content_type: Option<&str>, #[case] accepted: bool) {
        let read = Json::<Named>::from_request(request(content_type, r#"{"name":"a"}"#), &()).await;
        match read {
            Ok(Json(named)) => assert!(accepted && named.name == "a"),
            Err(problem) => assert!(!accepted && problem.code() == Code::MediaTypeUnsupported),
        }
    }

    #[tokio::test]
    async fn merge_patch_is_read_where_it_is_meant() {
        let patch = request(Some("application/merge-patch+json"), "{}");
        assert!(Json::<Patch>::from_request(patch, &()).await.is_ok());
    }

    #[tokio::test]
    async fn one_mebibyte_is_the_limit() {
        let body = |padding: usize| format!("{{\"name\":\"{}\"}}", "x".repeat(padding));
        let around = body(0).len();
        let fits = request(Some("application/json"), body(MAX_BODY_BYTES - around));
        assert!(Json::<Named>::from_request(fits, &()).await.is_ok());
        let too_large = request(Some("application/json"), body(MAX_BODY_BYTES - around + 1));
        assert_eq!(refusal::<Named>(too_large).await, Code::BodyTooLarge);
        let mut announced = request(Some("application/json"), "{}");
        announced
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(u64::MAX));
        assert_eq!(refusal::<Named>(announced).await, Code::BodyTooLarge);
    }

    #[tokio::test]
    async fn nothing_is_a_body_only_where_none_is_needed() {
        assert!(
            Json::<EmptyBody>::from_request(request(None, ""), &())
                .await
                .is_ok()
        );
        assert!(
            Json::<EmptyBody>::from_request(request(Some("application/json"), "{}"), &())
                .await
                .is_ok()
        );
        assert_eq!(
            refusal::<EmptyBody>(request(Some("application/json"), "{\"a\":1}")).await,
            Code::BodyInvalid
        );
        assert_eq!(
            refusal::<Named>(request(None, "")).await,
            Code::MediaTypeUnsupported
        );
        assert_eq!(
            refusal::<Named>(request(Some("application/json"), "")).await,
            Code::BodyMalformed
        );
    }

    #[tokio::test]
    async fn the_fingerprint_tells_requests_apart() {
        let print = async |method: &str, path: &str, body: &'static str| {
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header("content-type", "application/json");
            let request = request.header("idempotency-key", "k").body(body.into()).unwrap();
            let command = Command::<Named>::from_request(request, &()).await.unwrap();
            assert_eq!(command.idempotency.key.as_deref(), Some("k"));
            command.idempotency.fingerprint
        };
        let first = print("POST", "/v1/a", r#"{"name":"a"}"#).await;
        assert_eq!(first, print("POST", "/v1/a", r#"{"name":"a"}"#).await);
        assert_ne!(first, print("POST", "/v1/b", r#"{"name":"a"}"#).await);
        assert_ne!(first, print("PUT", "/v1/a", r#"{"name":"a"}"#).await);
        assert_ne!(first, print("POST", "/v1/a", r#"{"name":"b"}"#).await);
    }
}

//! Cross-origin requests (Fetch standard, "HTTP CORS protocol"): the front ends of the
//! deployment's settings, exactly, and nobody else. No credentials: tokens travel in a header.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderValue, Method, StatusCode};

/// The origins of the tenants' front ends.
#[derive(Clone, Debug, Default)]
pub struct AllowedOrigins(Arc<BTreeSet<String>>);

/// Why a text is not an origin.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an origin, such as `https://app.example.com`")]
pub struct OriginError(String);

impl AllowedOrigins {
    /// Reads origins separated by commas; none is allowed too.
    ///
    /// # Errors
    /// [`OriginError`] for what browsers never send as an origin: a path, a wildcard, another
    /// scheme than http and https.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let origins = text.split(',').map(str::trim).filter(|origin| !origin.is_empty());
        let origins = origins.map(|origin| {
            let host = origin
                .strip_prefix("https://")
                .or_else(|| origin.strip_prefix("http://"));
            let fits = |host: &str| {
                !host.is_empty()
                    && host.chars().all(|c| {
                        c.is_ascii_lowercase()
                            || c.is_ascii_digit()
                            || matches!(c, '.' | '-' | ':' | '[' | ']')
                    })
            };
            if host.is_some_and(fits) {
                Ok(origin.to_owned())
            } else {
                Err(OriginError(origin.to_owned()))
            }
        });
        Ok(Self(Arc::new(origins.collect::<Result<_, _>>()?)))
    }

    fn allow<'a>(&self, origin: Option<&'a HeaderValue>) -> Option<&'a HeaderValue> {
        origin.filter(|origin| origin.to_str().is_ok_and(|origin| self.0.contains(origin)))
    }
}

/// Answers preflights, and lets the allowed origins read every other answer.
pub async fn cors(State(origins): State<AllowedOrigins>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(ORIGIN).cloned();
    let is_preflight = request.method() == Method::OPTIONS
        && origin.is_some()
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let allowed = origins.allow(origin.as_ref());

    let mut response = if is_preflight {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    // Also for those that are not allowed: a cache must not give one origin's answer to another.
    headers.append(VARY, HeaderValue::from_static("origin"));
    let Some(origin) = allowed else { return response };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    if is_preflight {
        let methods = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");
        let request_headers =
            HeaderValue::from_static("authorization, content-type, idempotency-key, if-match");
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, request_headers);
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    } else {
        let exposed = HeaderValue::from_static("etag, location, x-request-id, retry-after");
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::{Router, middleware, routing};
    use rstest::rstest;
    use tower::ServiceExt;

    async fn call(method: &str, headers: &[(&str, &str)]) -> Response {
        let origins = AllowedOrigins::parse("https://app.example.com, http://localhost:5173").unwrap();
        let app = Router::new()
            .route("/", routing::get(async || "fine"))
            .layer(middleware::from_fn_with_state(origins, cors));
        let mut request = Request::builder().method(method).uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    #[rstest]
    #[case("https://app.example.com", true)]
    #[case("http://localhost:5173", true)]
    #[case("http://app.example.com", false)]
    #[case("https://app.example.com.evil.com", false)]
    #[case("https://APP.example.com", false)]
    #[case("https://app.example.com:443", false)]
    #[case("null", false)]
    #[tokio::test]
    async fn origins_match_exactly(#[case] origin: &str, #[case] allowed: bool) {
        let answer = call("GET", &[("origin", origin)]).await;
        assert_eq!(answer.status(), 200);
        let given = answer
            .headers()
            .get("access-control-allow-origin")
            .map(|value| value.to_str().unwrap());
        assert_eq!(given, allowed.then_some(origin));
        assert_eq!(answer.headers()["vary"], "origin");
        assert_eq!(
            answer.headers().contains_key("access-control-expose-headers"),
            allowed
        );
        assert!(!answer.headers().contains_key("access-control-allow-credentials"));

        let preflight = call(
            "OPTIONS",
            &[("origin", origin), ("access-control-request-method", "PATCH")],
        )
        .await;
        assert_eq!(preflight.status(), 204);
        assert_eq!(
            preflight.headers().contains_key("access-control-allow-methods"),
            allowed
        );
        assert_eq!(
            preflight.headers().contains_key("access-control-allow-origin"),
            allowed
        );
    }

    #[tokio::test]
    async fn an_options_request_that_is_no_preflight_is_an_ordinary_one() {
        assert_eq!(call("OPTIONS", &[]).await.status(), 405);
        assert_eq!(
            call("OPTIONS", &[("origin", "https://app.example.com")])
                .await
                .status(),
            405
        );
    }

    #[rstest]
    #[case("*")]
    #[case("https://")]
    #[case("https://app.example.com/")]
    #[case("ftp://app.example.com")]
    #[case("https://*.example.com")]
    fn settings_that_no_browser_could_match_are_refused(#[case] text: &str) {
        assert_eq!(
            AllowedOrigins::parse(text).unwrap_err(),
            OriginError(text.to_owned())
        );
    }

    #[test]
    fn no_origin_at_all_is_a_setting() {
        assert!(AllowedOrigins::parse(" , ").unwrap().0.is_empty());
    }
}

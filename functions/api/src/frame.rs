//! The frame around every route: the request's id, its log line, panics, problems written down,
//! headers that every answer carries.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue};
use tracing::Instrument;
use uuid::Uuid;

use crate::problem::{Code, Problem};

/// The header that names a request in the logs.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Where new request ids come from.
pub type RequestIds = Arc<dyn Fn() -> Uuid + Send + Sync>;

/// Runs a request inside the frame.
pub async fn frame(State(ids): State<RequestIds>, request: Request, next: Next) -> Response {
    // Never the client's: two requests must not share one, and what clients send may be personal.
    let request_id = ids().to_string();
    let method = request.method().clone();
    // The route, not the path: ids of contacts belong where somebody asks for them.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("none", MatchedPath::as_str)
        .to_owned();
    let may_be_kept = may_be_kept(request.uri().path());
    let span = tracing::info_span!("request", %request_id, %method, route);

    let answer = async {
        let begun = Instant::now();
        let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
        let response = answer.unwrap_or_else(|_| {
            tracing::error!("the handler panicked");
            Problem::new(Code::Internal).into_response()
        });
        let response = write_problem(response, &request_id);
        let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(status = response.status().as_u16(), duration_ms, "answered");
        response
    };
    let mut response = answer.instrument(span).await;

    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        headers.insert(X_REQUEST_ID, value);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(
        STRICT_TRANSPORT_SECURITY,
        HeaderValue::from_static("max-age=31536000"),
    );
    let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(policy);
    if !may_be_kept {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// Whether a cache may keep what is found there: only what is the same for everybody.
fn may_be_kept(path: &str) -> bool {
    !path.starts_with("/v1/") || matches!(path, "/v1/health" | "/v1/openapi.json" | "/v1/archive-keys")
}

/// Every answer from 400 on is a problem, whoever gave it.
fn write_problem(mut response: Response, request_id: &str) -> Response {
    let status = response.status();
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        None if status.is_client_error() || status.is_server_error() => {
            Problem::of_foreign(status, response.headers())
        }
        None => return response,
    };
    let mut written = problem.into_written(request_id);
    // A refusal must be as readable to a front end as a success.
    let of_cors = response.headers().iter();
    let of_cors = of_cors.filter(|(name, _)| **name == VARY || name.as_str().starts_with("access-control-"));
    for (name, value) in of_cors {
        written.headers_mut().append(name, value.clone());
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::{Router, middleware, routing};
    use http::StatusCode;
    use serde_json::Value;
    use tower::ServiceExt;

    async fn panics() -> StatusCode {
        panic!("Chloé Lefèvre")
    }

    fn app() -> Router {
        let ids: RequestIds = Arc::new(|| Uuid::from_u128(7));
        Router::new()
            .route("/v1/ok", routing::get(async || "fine"))
            .route("/v1/health", routing::get(async || "fine"))
            .route("/v1/panic", routing::get(panics))
            .route(
                "/v1/foreign",
                routing::get(async || (StatusCode::BAD_GATEWAY, "internal words")),
            )
            .layer(middleware::from_fn_with_state(ids, frame))
    }

    async fn call(method: &str, path: &str) -> (Response, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-request-id", "mine");
        let mut response = app().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let body = to_bytes(std::mem::take(response.body_mut()), 1 << 20)
            .await
            .unwrap();
        (response, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    #[tokio::test]
    async fn every_answer_has_an_id_of_ours() {
        for path in ["/v1/ok", "/v1/panic", "/nowhere"] {
            let (response, _) = call("GET", path).await;
            assert_eq!(
                response.headers()["x-request-id"],
                Uuid::from_u128(7).to_string(),
                "{path}"
            );
            assert_eq!(response.headers()["x-content-type-options"], "nosniff", "{path}");
        }
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_that_tells_nothing() {
        let (response, body) = call("GET", "/v1/panic").await;
        assert_eq!(response.status(), 500);
        assert_eq!(body["type"], "/problems/internal");
        assert!(!body.to_string().contains("Chlo"));
    }

    #[tokio::test]
    async fn what_axum_refuses_is_a_problem_too() {
        let (response, body) = call("GET", "/v1/nowhere").await;
        assert_eq!(
            (response.status().as_u16(), &body["type"]),
            (404, &Value::from("/problems/not_found"))
        );
        assert_eq!(body["request_id"], Uuid::from_u128(7).to_string());
        let (response, body) = call("DELETE", "/v1/ok").await;
        assert_eq!(
            (response.status().as_u16(), &body["type"]),
            (405, &Value::from("/problems/method_not_allowed"))
        );
        assert_eq!(response.headers()["allow"], "GET,HEAD");
        let (response, body) = call("GET", "/v1/foreign").await;
        assert_eq!(
            (response.status().as_u16(), &body["type"]),
            (500, &Value::from("/problems/internal"))
        );
    }

    #[tokio::test]
    async fn only_what_is_the_same_for_all_may_be_kept() {
        assert_eq!(
            call("GET", "/v1/ok").await.0.headers()["cache-control"],
            "no-store"
        );
        assert_eq!(
            call("GET", "/v1/nowhere").await.0.headers()["cache-control"],
            "no-store"
        );
        assert!(
            call("GET", "/v1/health")
                .await
                .0
                .headers()
                .get("cache-control")
                .is_none()
        );
    }
}

//! The router as a whole, as far as it goes without AWS: nothing here needs a token, or has one.

#![cfg(test)]

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::response::Response;
use http::{Method, Request};
use oubli_api::ApiState;
use oubli_api::auth::Issuer;
use oubli_api::cors::AllowedOrigins;
use oubli_cloud::{Cloud, CloudSettings, ConnectOptions};
use oubli_workflows::Oubli;
use rstest::rstest;
use serde_json::Value;
use tower::ServiceExt;

/// Nothing listens there: whoever gets as far as AWS or the issuer fails.
const NOWHERE: &str = "http://127.0.0.1:9";

async fn router() -> Router {
    let options = ConnectOptions {
        endpoint_url: Some(NOWHERE.into()),
        ..ConnectOptions::default()
    };
    let oubli = Oubli::new(Cloud::connect(&CloudSettings::default(), &options).await);
    let origins = AllowedOrigins::parse("https://app.example.com").unwrap();
    oubli_api::router(ApiState::new(oubli, Issuer::parse(NOWHERE).unwrap(), origins).unwrap())
}

async fn call(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (Response, Value) {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let mut response = router().await.oneshot(request).await.unwrap();
    let bytes = to_bytes(std::mem::take(response.body_mut()), 1 << 22)
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let value = serde_json::from_slice(&bytes).unwrap_or(Value::String(text));
    (response, value)
}

#[tokio::test]
async fn every_route_of_the_staff_asks_for_a_token_before_anything_else() {
    let document = serde_json::to_value(oubli_api::openapi()).unwrap();
    let mut seen = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if !operation["security"].is_array() {
                continue;
            }
            seen += 1;
            // Everything else is wrong too: ids, query, media type, body.
            let uri = path.replace("{contact_id}", "%23").replace(['{', '}'], "") + "?nonsense=%";
            let method = method.to_uppercase();
            let wrong = [("content-type", "text/plain"), ("idempotency-key", "a b")];
            let (response, problem) = call(&method, &uri, &wrong, "nonsense").await;
            assert_eq!(response.status(), 401, "{method} {path}");
            assert_eq!(problem["type"], "/problems/token_missing", "{method} {path}");
            assert_eq!(response.headers()["www-authenticate"], "Bearer");
            assert_eq!(response.headers()["cache-control"], "no-store");
            assert_eq!(response.headers()["content-type"], "application/problem+json");
            assert_eq!(
                response.headers()["x-request-id"].to_str().unwrap(),
                problem["request_id"]
            );
        }
    }
    assert!(seen > 20, "{seen}");
}

#[tokio::test]
async fn a_token_of_an_issuer_that_is_down_is_asked_for_again() {
    // {"alg":"EdDSA","kid":"k"} . {} . (nothing)
    let token = (
        "authorization",
        "Bearer eyJhbGciOiJFZERTQSIsImtpZCI6ImsifQ.e30.AA",
    );
    let (response, problem) = call("GET", "/v1/me", &[token], "").await;
    assert_eq!(response.status(), 503);
    assert_eq!(problem["type"], "/problems/issuer_unreachable");
    assert_eq!(response.headers()["retry-after"], "5");
    let (response, problem) = call("GET", "/v1/me", &[("authorization", "Bearer nonsense")], "").await;
    assert_eq!(
        (response.status().as_u16(), &problem["type"]),
        (401, &Value::from("/problems/token_invalid"))
    );
    assert_eq!(
        response.headers()["www-authenticate"],
        "Bearer error=\"invalid_token\""
    );
}

#[rstest]
#[case("GET", "/nowhere", 404, "not_found")]
#[case("GET", "/v1/dossiers", 404, "not_found")]
#[case("GET", "/v1/members/", 404, "not_found")]
#[case("GET", "/problems/nonsense", 404, "not_found")]
#[case("GET", "/problems/%FF", 400, "path_malformed")]
#[case("PUT", "/v1/contacts", 405, "method_not_allowed")]
#[case("OPTIONS", "/v1/contacts", 405, "method_not_allowed")]
#[case("BREW", "/v1/contacts", 405, "method_not_allowed")]
#[tokio::test]
async fn what_is_not_there_is_a_problem(
    #[case] method: &str,
    #[case] path: &str,
    #[case] status: u16,
    #[case] code: &str,
) {
    let (response, problem) = call(method, path, &[], "").await;
    assert_eq!(response.status(), status);
    assert_eq!(problem["type"], format!("/problems/{code}"));
    assert_eq!(problem["status"], status);
    assert_eq!(response.headers().contains_key("allow"), status == 405);
}

#[tokio::test]
async fn what_is_for_everybody_is_served() {
    assert_eq!(call("GET", "/v1/health", &[], "").await.1["status"], "ok");
    let (response, document) = call("GET", "/v1/openapi.json", &[], "").await;
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(document, serde_json::to_value(oubli_api::openapi()).unwrap());
    for path in ["/problems", "/problems/", "/problems/not_found"] {
        let (response, page) = call("GET", path, &[], "").await;
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(
            response.headers()["content-type"],
            "text/html; charset=utf-8",
            "{path}"
        );
        assert!(page.as_str().unwrap().contains("not_found"), "{path}");
    }
}

#[tokio::test]
async fn a_front_end_may_ask_before_it_calls() {
    let origin = ("origin", "https://app.example.com");
    let asks = ("access-control-request-method", "PATCH");
    let (response, _) = call(Method::OPTIONS.as_str(), "/v1/contacts/c", &[origin, asks], "").await;
    assert_eq!(response.status(), 204);
    assert_eq!(
        response.headers()["access-control-allow-origin"],
        "https://app.example.com"
    );
    assert!(response.headers().contains_key("x-request-id"));
    // A refusal can be read by the front end as well.
    let (response, _) = call("GET", "/v1/contacts", &[origin], "").await;
    assert_eq!(response.status(), 401);
    assert_eq!(
        response.headers()["access-control-allow-origin"],
        "https://app.example.com"
    );
    assert_eq!(
        response.headers()["access-control-expose-headers"],
        "etag, location, x-request-id, retry-after"
    );
}

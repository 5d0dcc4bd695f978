//! What every answer has, and the routes that need no token.

use std::collections::BTreeSet;

use oubli_api::problem::Code;
use oubli_domain::Reason;
use oubli_tests::{Answer, Stack};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

async fn options(stack: &Stack, path: &str, origin: &str, method: &str) -> Answer {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", method),
        (
            "access-control-request-headers",
            "authorization,content-type,idempotency-key,if-match",
        ),
    ];
    stack.nobody().call(Method::OPTIONS, path, &headers, None).await
}

#[tokio::test]
async fn unknown_routes_and_methods_are_problems() {
    let stack = Stack::start().await;
    for client in [stack.agent(), stack.nobody()] {
        for path in [
            "/",
            "/v1",
            "/v1/",
            "/v2/contacts",
            "/v1/contacts/",
            "/v1/nothing",
            "/v1/contacts/a/b/c/d",
        ] {
            assert_eq!(
                client.get(path).await.problem(StatusCode::NOT_FOUND),
                "not_found",
                "{path}"
            );
        }
        let cases = [
            (Method::PUT, "/v1/contacts"),
            (Method::DELETE, "/v1/data-actions/a"),
            (Method::GET, "/v1/data-actions/a/stop"),
            (Method::POST, "/v1/health"),
            (Method::TRACE, "/v1/contacts"),
        ];
        for (method, path) in cases {
            let answer = client.call(method.clone(), path, &[], None).await;
            assert_eq!(
                answer.problem(StatusCode::METHOD_NOT_ALLOWED),
                "method_not_allowed",
                "{method} {path}"
            );
            assert!(
                answer
                    .header("allow")
                    .is_some_and(|allow| !allow.contains(method.as_str())),
                "{method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn every_answer_carries_an_id_of_its_own() {
    let stack = Stack::start().await;
    let mut seen = BTreeSet::new();
    let agent = stack.agent();
    for path in [
        "/v1/health",
        "/v1/contacts",
        "/v1/contacts/absent",
        "/nowhere",
        "/problems",
    ] {
        for client in [&agent, &stack.nobody()] {
            let answer = client
                .call(Method::GET, path, &[("x-request-id", "mine")], None)
                .await;
            let id = answer.header("x-request-id").unwrap().to_owned();
            if answer.status.is_client_error() {
                assert_eq!(answer.json()["request_id"], id.as_str(), "{path}");
            }
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
            assert!(id != "mine" && seen.insert(id), "{path}");
        }
    }
    assert_eq!(
        agent.get("/v1/contacts").await.header("cache-control"),
        Some("no-store")
    );
}

#[tokio::test]
async fn front_ends_of_the_deployment_may_read_the_answers_and_nobody_else() {
    let stack = Stack::start().await;
    let paths = [
        "/v1/contacts",
        "/v1/contacts/absent",
        "/v1/data-actions",
        "/nowhere",
    ];
    for path in paths {
        for origin in ["http://localhost:8080", "http://localhost:5173"] {
            let preflight = options(&stack, path, origin, "PATCH").await;
            assert_eq!(preflight.status, StatusCode::NO_CONTENT, "{path}");
            assert_eq!(preflight.header("access-control-allow-origin"), Some(origin));
            let methods = preflight.header("access-control-allow-methods").unwrap();
            for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
                assert!(methods.contains(method), "{methods}");
            }
            let allowed = preflight
                .header("access-control-allow-headers")
                .unwrap()
                .to_lowercase();
            for header in ["authorization", "content-type", "idempotency-key", "if-match"] {
                assert!(allowed.contains(header), "{allowed}");
            }
            // A refusal must be as readable as a success.
            for client in [stack.agent(), stack.nobody()] {
                let answer = client.call(Method::GET, path, &[("origin", origin)], None).await;
                assert_eq!(
                    answer.header("access-control-allow-origin"),
                    Some(origin),
                    "{path}"
                );
                let exposed = answer
                    .header("access-control-expose-headers")
                    .unwrap()
                    .to_lowercase();
                for header in ["etag", "location", "x-request-id", "retry-after"] {
                    assert!(exposed.contains(header), "{exposed}");
                }
            }
        }
        for origin in [
            "https://evil.example.com",
            "http://localhost:8080.evil.example.com",
            "null",
        ] {
            let preflight = options(&stack, path, origin, "GET").await;
            let answer = stack
                .agent()
                .call(Method::GET, path, &[("origin", origin)], None)
                .await;
            for answer in [preflight, answer] {
                assert_eq!(
                    answer.header("access-control-allow-origin"),
                    None,
                    "{path} {origin}"
                );
                assert_eq!(answer.header("vary"), Some("origin"));
            }
        }
    }
}

/// A browser sends the bytes straight to storage, and fetches them from there.
#[tokio::test]
async fn storage_lets_the_front_ends_in_too() {
    let stack = Stack::start().await;
    let Some(_) = stack.engines() else { return };
    let contact = stack.contact(json!({ "last_name": "Zola" })).await;
    let body = json!({ "name": "a", "content_type": "text/plain", "size_bytes": 1, "kind": "document" });
    let new = stack
        .agent()
        .post(&format!("/v1/contacts/{contact}/documents"), body)
        .await;
    let url = new.expect(StatusCode::CREATED)["upload"]["url"]
        .as_str()
        .unwrap()
        .to_owned();
    let http = reqwest::Client::new();
    for (origin, allowed) in [
        ("http://localhost:8080", true),
        ("https://evil.example.com", false),
    ] {
        let preflight = http
            .request(Method::OPTIONS, &url)
            .header("origin", origin)
            .header("access-control-request-method", "PUT")
            .header(
                "access-control-request-headers",
                "content-type,x-amz-checksum-sha256",
            )
            .send()
            .await
            .unwrap();
        assert_eq!(
            preflight.headers().contains_key("access-control-allow-origin"),
            allowed,
            "{origin}"
        );
    }
}

#[tokio::test]
async fn health_needs_no_token_and_tells_no_secret() {
    let stack = Stack::start().await;
    let health = stack.nobody().get("/v1/health").await.expect(StatusCode::OK);
    assert_eq!(
        health,
        json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") })
    );
}

#[tokio::test]
async fn the_openapi_document_is_served_as_it_is_committed() {
    let stack = Stack::start().await;
    let answer = stack.nobody().get("/v1/openapi.json").await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let served = answer.expect(StatusCode::OK);
    assert_eq!(served["openapi"], "3.1.0");
    let committed: Value = serde_json::from_str(include_str!("../../docs/openapi.json")).unwrap();
    assert_eq!(served, committed);

    // Every route in it is routed: without a token it asks for one, or needs none.
    for (path, item) in served["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let concrete: Vec<_> = path
                .split('/')
                .map(|part| if part.starts_with('{') { "x" } else { part })
                .collect();
            let answer = stack
                .nobody()
                .call(method.clone(), &concrete.join("/"), &[], None)
                .await;
            if operation.get("security").is_some() {
                assert_eq!(
                    answer.problem(StatusCode::UNAUTHORIZED),
                    "token_missing",
                    "{method} {path}"
                );
            } else if path == "/problems/{code}" {
                assert_eq!(answer.problem(StatusCode::NOT_FOUND), "not_found");
            } else {
                assert_eq!(answer.status, StatusCode::OK, "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn every_problem_and_every_reason_has_its_page() {
    let stack = Stack::start().await;
    let index = stack.nobody().get("/problems").await;
    assert_eq!(index.status, StatusCode::OK);
    for code in Code::ALL {
        let path = format!("/problems/{}", code.code());
        assert!(index.text().contains(&format!("href=\"{path}\"")), "{path}");
        let page = stack.nobody().get(&path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(page.header("content-type").unwrap().starts_with("text/html"));
        assert!(page.text().contains(code.code()), "{path}");
    }
    for reason in Reason::ALL {
        assert!(
            index.text().contains(&format!("id=\"{}\"", reason.code())),
            "{}",
            reason.code()
        );
    }
    assert_eq!(
        stack
            .nobody()
            .get("/problems/nonsense")
            .await
            .problem(StatusCode::NOT_FOUND),
        "not_found"
    );
}

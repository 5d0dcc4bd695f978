//! Every operation with every wrong token: 401, before anything else is looked at.

use oubli_tests::Stack;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::forged;
use crate::operations::{self, Need, Operation};

/// What is wrong besides, so that the order of refusals shows.
const ALSO_WRONG: [(&str, &str); 3] = [
    ("content-type", "text/plain"),
    ("idempotency-key", ""),
    ("if-match", "nonsense"),
];

fn wrong_in_all_else(operation: &Operation) -> String {
    format!("{}?nonsense=1", operation.path_with(|_| "%23".to_owned()))
}

#[test]
fn nothing_else_is_open_than_health_document_problems_and_keys() {
    let open: Vec<_> = operations::all()
        .into_iter()
        .filter(|operation| operation.need == Need::Nothing)
        .map(|operation| format!("{} {}", operation.method, operation.path))
        .collect();
    assert_eq!(
        open,
        [
            "GET /v1/health",
            "GET /v1/openapi.json",
            "GET /problems",
            "GET /problems/{code}",
            "GET /v1/archive-keys"
        ]
    );
    let document = serde_json::to_value(oubli_api::openapi()).unwrap();
    for operation in operations::all() {
        let method = operation.method.as_str().to_lowercase();
        let security = &document["paths"][&operation.path][method]["security"];
        let expected = match operation.need {
            Need::Nothing => Value::Null,
            _ => serde_json::json!([{ "staff_token": [] }]),
        };
        assert_eq!(*security, expected, "{operation:?}");
    }
    assert_eq!(document["security"], Value::Null);
}

#[tokio::test]
async fn every_operation_refuses_every_wrong_token_first() {
    let stack = Stack::start().await;
    let nobody = stack.nobody();
    let (mut asked, mut operations) = (0, 0);
    for operation in operations::all() {
        if operation.need == Need::Nothing {
            continue;
        }
        operations += 1;
        // Made for each anew: on another endpoint the clock goes on, and what is not yet valid would become so.
        let forged = forged::all(&stack);
        assert!(forged.len() > 50);
        for wrong in &forged {
            let mut headers = ALSO_WRONG.to_vec();
            let values = wrong.authorization.iter();
            headers.extend(values.map(|value| ("authorization", value.as_str())));
            let path = wrong_in_all_else(&operation);
            let answer = nobody
                .call(operation.method.clone(), &path, &headers, Some(b"{".to_vec()))
                .await;
            let place = format!("{} {}: {}", operation.method, operation.path, wrong.what);
            assert_eq!(
                answer.status,
                StatusCode::UNAUTHORIZED,
                "{place}: {}",
                answer.text()
            );
            assert_eq!(answer.problem(StatusCode::UNAUTHORIZED), wrong.code, "{place}");
            let challenge = if wrong.code == "token_missing" {
                "Bearer"
            } else {
                "Bearer error=\"invalid_token\""
            };
            assert_eq!(answer.header("www-authenticate"), Some(challenge), "{place}");
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{place}");
            assert_eq!(
                answer.header("x-request-id"),
                answer.json()["request_id"].as_str(),
                "{place}"
            );
            asked += 1;
        }
    }
    assert_eq!(operations, 33);
    assert!(asked > 50 * operations);
}

#[tokio::test]
async fn a_token_is_read_from_its_header_alone() {
    let stack = Stack::start().await;
    let token = forged::signed(&stack, &forged::claims(&stack));
    for (path, headers) in [
        (format!("/v1/me?access_token={token}"), vec![]),
        (
            "/v1/me".to_owned(),
            vec![("cookie", format!("access_token={token}"))],
        ),
        ("/v1/me".to_owned(), vec![("x-authorization", token.clone())]),
        (
            "/v1/me".to_owned(),
            vec![("proxy-authorization", format!("Bearer {token}"))],
        ),
    ] {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let answer = stack.nobody().call(Method::GET, &path, &headers, None).await;
        assert_eq!(answer.problem(StatusCode::UNAUTHORIZED), "token_missing");
    }
    let me = stack.with_token(Some(token)).get("/v1/me").await;
    assert_eq!(me.expect(StatusCode::OK)["member"]["id"], "admin");
}

/// Without this, a router that refused everybody would pass.
#[tokio::test]
async fn the_right_member_gets_past_token_and_right() {
    let stack = Stack::start().await;
    let admin = stack.admin();
    for operation in operations::all() {
        let headers = [("content-type", "text/plain")];
        let path = wrong_in_all_else(&operation);
        let answer = admin
            .call(operation.method.clone(), &path, &headers, Some(b"{".to_vec()))
            .await;
        let place = format!("{} {}: {}", operation.method, operation.path, answer.text());
        assert_ne!(answer.status, StatusCode::UNAUTHORIZED, "{place}");
        assert_ne!(answer.status, StatusCode::FORBIDDEN, "{place}");
        assert!(!answer.status.is_server_error(), "{place}");
        // What is open takes no notice of tokens, not even of a wrong one.
        if operation.need == Need::Nothing {
            let path = operation.path_with(|_| "not_found".to_owned());
            let wrong = [("authorization", "Bearer nonsense")];
            let answer = stack.nobody().call(Method::GET, &path, &wrong, None).await;
            assert_eq!(answer.status, StatusCode::OK, "{place}");
        }
    }
}

//! Requests that are refused, with marks in them.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::Watched;
use crate::witnesses::MARK;

/// Requests that are refused, each with a mark where a client might put one.
pub(super) async fn refusals(watched: &mut Watched, contact: &str) {
    let path = format!("/v1/contacts/{contact}");
    for (field, value) in [
        ("last_name", json!(format!("{MARK}\u{0}"))),
        ("last_name", json!(MARK.repeat(100))),
        ("email", json!(format!("{MARK} at example"))),
        ("phone", json!(format!("{MARK}"))),
        ("first_name", json!([MARK])),
        ("address", json!(MARK)),
        ("address", json!({ "lines": [format!("{MARK}\u{7}")] })),
        ("custom_fields", json!({ "a": { "b": MARK } })),
        ("custom_fields", json!(MARK)),
        ("assigned_to", json!(format!("{MARK} x"))),
        ("photo_document_id", json!(format!("{MARK}"))),
        ("business", json!({ "deals": MARK })),
    ] {
        let patch = json!({ field: value.clone() });
        let refused = watched.call(Method::PATCH, &path, patch).await;
        assert!(refused.status.is_client_error(), "{field}: {}", refused.text());
        let new = json!({ "last_name": "x", field: value });
        let refused = watched.post("/v1/contacts", new).await;
        assert!(refused.status.is_client_error(), "{field}: {}", refused.text());
    }
    for (path, body) in [
        (
            "/v1/data-actions",
            json!({ "kind": MARK, "selection": { "filter": {} } }),
        ),
        (
            "/v1/data-actions",
            json!({ "kind": "export", "selection": { "contact_ids": [format!("{MARK}#")] } }),
        ),
        (
            "/v1/data-actions",
            json!({ "kind": "export", "selection": { "filter": { "state": MARK } } }),
        ),
        (
            "/v1/data-actions",
            json!({ "kind": "export", "selection": { "filter": { "created_before": MARK } } }),
        ),
        (
            "/v1/data-actions",
            json!({ "kind": "export", "selection": { "filter": {} }, "plan_hash": MARK }),
        ),
        (
            "/v1/data-actions/preview",
            json!({ "kind": "export", "selection": { "filter": { "q": MARK.repeat(40) } } }),
        ),
    ] {
        let refused = watched.post(path, body).await;
        assert!(refused.status.is_client_error(), "{}", refused.text());
    }
    for target in [
        format!("/v1/contacts/{MARK}"),
        format!("/v1/{MARK}"),
        format!("/problems/{MARK}"),
        format!("/v1/archives/{MARK}/content"),
        format!("/v1/contacts?cursor={MARK}"),
        format!("/v1/contacts?sort={MARK}"),
        format!("/v1/contacts?state={MARK}"),
        format!("/v1/contacts?limit={MARK}"),
        format!("/v1/contacts?q={}", MARK.repeat(40)),
    ] {
        let refused = watched.get(&target).await;
        assert!(refused.status.is_client_error(), "{target}: {}", refused.text());
    }
    for (name, value) in [
        ("if-match", MARK),
        ("content-type", MARK),
        ("authorization", MARK),
    ] {
        let body = json!({ "last_name": "x" });
        let refused = watched.with(Method::PATCH, &path, &[(name, value)], body).await;
        assert!(refused.status.is_client_error(), "{name}: {}", refused.text());
    }
    let agent = watched.stack.agent();
    let truncated = format!("{{\"last_name\": \"{MARK}\", \"{MARK}");
    let json = [("content-type", "application/json")];
    let refused = agent
        .call(Method::POST, "/v1/contacts", &json, Some(truncated.into_bytes()))
        .await;
    assert_eq!(refused.problem(StatusCode::BAD_REQUEST), "body_malformed");
    watched.answers.push(("/v1/contacts".into(), refused));
}

//! `Idempotency-Key`: the same request twice, one effect.

use jiff::SignedDuration;
use oubli_tests::{Answer, Client, Stack};
use reqwest::{Method, StatusCode};
use rstest::rstest;
use serde_json::{Value, json};

async fn post(client: &Client, path: &str, key: &str, body: &Value) -> Answer {
    let body = (!body.is_null()).then(|| body.to_string().into_bytes());
    client
        .call(Method::POST, path, &[("idempotency-key", key)], body)
        .await
}

/// A contact and an export of it that has ended with a failure.
async fn world(stack: &Stack) -> (String, String) {
    let contact = stack.contact(json!({ "last_name": "Zola" })).await;
    let action = stack.export(&[&contact, "absent"]).await;
    stack.drain().await;
    (contact, action)
}

async fn total(client: &Client, list: &str) -> u64 {
    client.get(list).await.expect(StatusCode::OK)["total"]
        .as_u64()
        .unwrap()
}

#[rstest]
#[case::contact("/v1/contacts", json!({ "last_name": "Hugo" }), "/v1/contacts")]
#[case::document(
    "/v1/contacts/CONTACT/documents",
    json!({ "name": "a", "content_type": "text/plain", "size_bytes": 1, "kind": "document" }),
    "/v1/contacts/CONTACT/documents"
)]
#[case::member("/v1/members", json!({ "id": "new", "name": "N", "email": "n@example.fr" }), "/v1/members")]
#[case::group("/v1/groups", json!({ "name": "G", "rights": [], "member_ids": [] }), "/v1/groups")]
#[case::action("/v1/data-actions", json!({ "kind": "export", "selection": { "filter": {} } }), "/v1/data-actions")]
#[case::anonymisation(
    "/v1/data-actions",
    json!({ "kind": "anonymise", "selection": { "filter": {} }, "acknowledged": true }),
    "/v1/data-actions"
)]
#[tokio::test]
async fn what_is_created_is_created_once(#[case] path: &str, #[case] body: Value, #[case] list: &str) {
    let stack = Stack::start().await;
    // One who has every right: the key belongs to the tenant's callers, whoever they are.
    let client = stack.admin();
    let (contact, _) = world(&stack).await;
    let (path, list) = (
        path.replace("CONTACT", &contact),
        list.replace("CONTACT", &contact),
    );
    let before = total(&client, &list).await;

    let first = post(&client, &path, "key-1", &body).await;
    assert!(first.status.is_success(), "{}", first.text());
    let again = post(&client, &path, "key-1", &body).await;
    assert_eq!(again.status, first.status);
    let created = |answer: &Answer| {
        let mut created = answer.json();
        if stack.engines().is_none() {
            // Where the clock moves, the same upload is signed anew.
            created.as_object_mut().unwrap().remove("upload");
        }
        created
    };
    assert_eq!(created(&again), created(&first));
    for name in ["location", "etag"] {
        assert_eq!(again.header(name), first.header(name), "{name}");
    }
    let (one, other) = tokio::join!(
        post(&client, &path, "key-1", &body),
        post(&client, &path, "key-1", &body)
    );
    assert_eq!(
        (created(&one), created(&other)),
        (created(&first), created(&first))
    );
    assert_eq!(total(&client, &list).await, before + 1);

    let mut changed = body.clone();
    let (name, value) = if body.get("name").is_some() {
        ("name", json!("Other"))
    } else {
        ("kind", json!("export"))
    };
    changed[name] = value;
    if body.get("last_name").is_some() {
        changed = json!({ "last_name": "Other" });
    }
    if body.get("selection").is_some() {
        changed["selection"] = json!({ "contact_ids": [contact] });
    }
    let reused = post(&client, &path, "key-1", &changed).await;
    assert_eq!(
        reused.problem(StatusCode::UNPROCESSABLE_ENTITY),
        "idempotency_key_reused"
    );
    assert_eq!(total(&client, &list).await, before + 1);
}

#[rstest]
#[case::contact("/v1/contacts", json!({ "last_name": "Hugo" }), StatusCode::CREATED)]
#[case::member("/v1/members", json!({ "id": "new", "name": "N", "email": "n@example.fr" }), StatusCode::CONFLICT)]
#[case::group("/v1/groups", json!({ "name": "G", "rights": [], "member_ids": [] }), StatusCode::CREATED)]
#[case::action("/v1/data-actions", json!({ "kind": "export", "selection": { "filter": {} } }), StatusCode::ACCEPTED)]
#[tokio::test]
async fn a_key_is_forgotten_after_a_day(#[case] path: &str, #[case] body: Value, #[case] later: StatusCode) {
    let stack = Stack::start().await;
    world(&stack).await;
    if stack.engines().is_none() {
        return;
    }
    let first = post(&stack.admin(), path, "key", &body).await;
    stack.advance(SignedDuration::from_hours(24) - SignedDuration::from_secs(1));
    // Tokens last twelve hours: each caller is fresh.
    assert_eq!(
        post(&stack.admin(), path, "key", &body).await.json()["id"],
        first.json()["id"]
    );
    stack.advance(SignedDuration::from_secs(1));
    let new = post(&stack.admin(), path, "key", &body).await;
    assert_eq!(new.status, later, "{}", new.text());
    assert_ne!(new.json()["id"], first.json()["id"]);
}

#[tokio::test]
async fn what_is_started_is_started_once() {
    let stack = Stack::start().await;
    let agent = stack.agent();
    let (contact, action) = world(&stack).await;
    let mails = || stack.engines().map(|engines| engines.mails().outbox().len());

    let retry = format!("/v1/data-actions/{action}/retry");
    assert_eq!(
        post(&agent, &retry, "r", &Value::Null).await.status,
        StatusCode::ACCEPTED
    );
    assert_eq!(
        post(&agent, &retry, "r", &Value::Null).await.status,
        StatusCode::ACCEPTED
    );
    assert_eq!(stack.drain().await.delivered["archive-builder"], 1);
    // Long after its effect has ended the answer is still no conflict, and nothing begins anew.
    assert_eq!(
        post(&agent, &retry, "r", &Value::Null).await.status,
        StatusCode::ACCEPTED
    );
    assert_eq!(stack.drain().await.delivered["archive-builder"], 0);

    let notify = format!("/v1/data-actions/{action}/notify");
    let before = mails();
    for _ in 0..3 {
        assert_eq!(
            post(&agent, &notify, "n", &Value::Null).await.status,
            StatusCode::ACCEPTED
        );
        stack.drain().await;
    }
    assert_eq!(mails(), before.map(|before| before + 1));
    let reused = post(&agent, &retry, "n", &Value::Null).await;
    assert_eq!(
        reused.problem(StatusCode::UNPROCESSABLE_ENTITY),
        "idempotency_key_reused"
    );

    let running = stack.export(&[&contact]).await;
    let stop = format!("/v1/data-actions/{running}/stop");
    for _ in 0..2 {
        assert_eq!(
            post(&agent, &stop, "s", &Value::Null).await.status,
            StatusCode::ACCEPTED
        );
    }
    stack.drain().await;
    let replayed = post(&agent, &stop, "s", &Value::Null)
        .await
        .expect(StatusCode::ACCEPTED);
    assert_eq!(replayed["state"], "stopped");
}

#[tokio::test]
async fn a_key_is_the_tenants_own() {
    let stack = Stack::start().await;
    let body = json!({ "last_name": "Zola" });
    let ours = post(&stack.agent(), "/v1/contacts", "key", &body)
        .await
        .expect(StatusCode::CREATED);
    let theirs = post(&stack.other_agent(), "/v1/contacts", "key", &body)
        .await
        .expect(StatusCode::CREATED);
    assert_ne!(ours["id"], theirs["id"]);
}

#[tokio::test]
async fn a_refused_request_leaves_its_key_free() {
    let stack = Stack::start().await;
    let agent = stack.agent();
    let wrong = post(&agent, "/v1/contacts", "key", &json!({ "last_name": "" })).await;
    assert_eq!(wrong.problem(StatusCode::UNPROCESSABLE_ENTITY), "input_refused");
    let right = post(&agent, "/v1/contacts", "key", &json!({ "last_name": "Zola" })).await;
    right.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn a_replay_shows_what_is_there_now() {
    let stack = Stack::start().await;
    let agent = stack.agent();
    let body = json!({ "last_name": "Zola" });
    let created = post(&agent, "/v1/contacts", "key", &body)
        .await
        .expect(StatusCode::CREATED);
    let path = format!("/v1/contacts/{}", created["id"].as_str().unwrap());
    agent
        .patch(&path, "*", json!({ "last_name": "Hugo" }))
        .await
        .expect(StatusCode::OK);
    let replay = post(&agent, "/v1/contacts", "key", &body).await;
    assert_eq!(
        replay.expect(StatusCode::CREATED)["last_name"],
        "Hugo",
        "no copy of the answer was kept"
    );
    agent.delete(&path).await;
    let replay = post(&agent, "/v1/contacts", "key", &body).await;
    assert_eq!(replay.problem(StatusCode::NOT_FOUND), "not_found");
}

#[rstest]
#[case::empty("")]
#[case::long(
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)]
#[tokio::test]
async fn a_key_that_is_none_is_refused(#[case] key: &str) {
    let stack = Stack::start().await;
    let answer = post(
        &stack.agent(),
        "/v1/contacts",
        key,
        &json!({ "last_name": "Zola" }),
    )
    .await;
    assert_eq!(answer.problem(StatusCode::BAD_REQUEST), "idempotency_key_invalid");
}

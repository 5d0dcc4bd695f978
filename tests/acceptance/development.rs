//! What only the local runner has: tokens, the clock, the outbox.

use oubli_tests::Stack;
use reqwest::StatusCode;
use serde_json::{Value, json};

async fn token(stack: &Stack, query: &str) -> Value {
    stack
        .nobody()
        .get(&format!("/dev/token?{query}"))
        .await
        .expect(StatusCode::OK)
}

#[tokio::test]
async fn tokens_of_members_open_the_api() {
    let stack = Stack::start().await;
    for (query, tenant, member) in [
        ("member=agent", "demo", "agent"),
        ("member=guest&tenant=demo", "demo", "guest"),
        ("member=other-admin", "other", "other-admin"),
    ] {
        let given = token(&stack, query).await;
        let expires: jiff::Timestamp = given["expires_at"].as_str().unwrap().parse().unwrap();
        assert!(expires > stack.now());
        let client = stack.with_token(Some(given["token"].as_str().unwrap().to_owned()));
        let me = client.get("/v1/me").await.expect(StatusCode::OK);
        assert_eq!(
            (&me["tenant"]["id"], &me["member"]["id"]),
            (&json!(tenant), &json!(member))
        );
    }
    for (query, status) in [
        ("member=nobody", 404),
        ("member=agent&tenant=other", 404),
        ("member=agent&tenant=nowhere", 404),
        ("", 400),
        ("portal=a@example.fr", 400),
        ("member=agent&portal=a@example.fr", 400),
    ] {
        let answer = stack.nobody().get(&format!("/dev/token?{query}")).await;
        assert_eq!(answer.status, status, "{query}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json"),
            "{query}"
        );
    }
}

#[tokio::test]
async fn tokens_of_the_portal_open_nothing_of_the_staff() {
    let stack = Stack::start().await;
    let given = token(&stack, "portal=zola@example.fr&tenant=demo").await;
    let client = stack.with_token(Some(given["token"].as_str().unwrap().to_owned()));
    for path in ["/v1/me", "/v1/contacts", "/v1/data-actions"] {
        assert_eq!(
            client.get(path).await.problem(StatusCode::UNAUTHORIZED),
            "token_invalid",
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_clock_moves_forward_and_tokens_follow_it() {
    let stack = Stack::start().await;
    let Some(_) = stack.engines() else { return };
    let nobody = stack.nobody();
    let clock = nobody.get("/dev/clock").await.expect(StatusCode::OK);
    assert_eq!(clock, json!({ "now": oubli_tests::START, "advanced_seconds": 0 }));
    let agent = stack.agent();
    assert_eq!(agent.get("/v1/me").await.status, StatusCode::OK);

    let moved = nobody
        .post("/dev/clock", json!({ "advance_seconds": 43_000 }))
        .await
        .expect(StatusCode::OK);
    assert_eq!(moved["advanced_seconds"], 43_000);
    assert_eq!(moved["now"], stack.now().to_string());
    assert_eq!(agent.get("/v1/me").await.status, StatusCode::OK);
    nobody
        .post("/dev/clock", json!({ "advance_seconds": 1_000 }))
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        agent.get("/v1/me").await.problem(StatusCode::UNAUTHORIZED),
        "token_expired"
    );
    assert_eq!(stack.agent().get("/v1/me").await.status, StatusCode::OK);

    for (body, status) in [
        (json!({ "advance_seconds": -1 }), 422),
        (json!({ "advance_seconds": 1_000_000_000_000_i64 }), 422),
        (json!({ "advance_seconds": "1" }), 400),
        (json!({ "seconds": 1 }), 400),
    ] {
        assert_eq!(
            nobody.post("/dev/clock", body.clone()).await.status,
            status,
            "{body}"
        );
    }
    assert_eq!(nobody.get("/dev/clock").await.json()["advanced_seconds"], 44_000);
}

#[tokio::test]
async fn the_outbox_shows_the_newest_mail_first() {
    let stack = Stack::start().await;
    let Some(_) = stack.engines() else { return };
    assert_eq!(
        stack.nobody().get("/dev/outbox").await.expect(StatusCode::OK),
        json!([])
    );
    let contact = stack.contact(json!({ "last_name": "Zola" })).await;
    let mut actions = Vec::new();
    for _ in 0..2 {
        actions.push(stack.export(&[&contact]).await);
        stack.drain().await;
        stack.advance(jiff::SignedDuration::from_secs(1));
    }
    let outbox = stack.nobody().get("/dev/outbox").await.expect(StatusCode::OK);
    let outbox = outbox.as_array().unwrap();
    assert_eq!(outbox.len(), 2);
    for (mail, action) in outbox.iter().zip(actions.iter().rev()) {
        assert!(mail["text"].as_str().unwrap().contains(action), "{mail}");
        assert!(mail["html"].as_str().unwrap().contains(action));
        assert_eq!(mail["to"], json!(["agent@demo.example.com"]));
        assert!(mail["from"].is_string() && mail["subject"].is_string() && mail["sent_at"].is_string());
        let eml = std::fs::read_to_string(mail["eml"].as_str().unwrap()).unwrap();
        assert!(eml.contains("Subject: "));
    }
}

#[tokio::test]
async fn discovery_leads_to_the_keys() {
    let stack = Stack::start().await;
    let nobody = stack.nobody();
    let discovery = nobody
        .get("/.well-known/openid-configuration")
        .await
        .expect(StatusCode::OK);
    assert_eq!(discovery["issuer"], stack.runner.api_url());
    let (status, keys) = stack.fetch(discovery["jwks_uri"].as_str().unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    let keys: Value = serde_json::from_slice(&keys).unwrap();
    assert_eq!(keys["keys"][0]["kid"], stack.runner.identity().kid());
}

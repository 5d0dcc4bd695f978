//! Actions over more contacts than one chunk holds.

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt as _};
use oubli_domain::TenantId;
use oubli_domain::contact::ContactDraft;
use oubli_tests::Stack;
use oubli_workflows::Idempotency;
use reqwest::StatusCode;
use serde_json::{Value, json};

/// A chunk of 500 and a beginning of the next.
const CONTACTS: u64 = 520;

/// Enters contacts without the way over HTTP.
async fn enter(stack: &Stack) -> BTreeSet<String> {
    let tenant = TenantId::parse("demo").unwrap();
    let enter = |n: u64| {
        let (tenant, oubli) = (&tenant, stack.runner.oubli());
        async move {
            let last_name = format!("Name{n:04}");
            let draft = ContactDraft {
                last_name,
                ..ContactDraft::default()
            };
            let contact = oubli
                .create_contact(tenant, draft, &Idempotency::none())
                .await
                .unwrap();
            contact.id.to_string()
        }
    };
    stream::iter((0..CONTACTS).map(enter))
        .buffer_unordered(16)
        .collect()
        .await
}

#[tokio::test]
async fn a_large_export_counts_live_ends_once_and_misses_nobody() {
    let stack = Stack::start().await;
    let ids = enter(&stack).await;
    let listed = stack
        .agent()
        .get("/v1/contacts?limit=200")
        .await
        .expect(StatusCode::OK);
    assert_eq!(listed["total"], CONTACTS);

    let body = json!({ "kind": "export", "selection": { "filter": { "q": "name" } } });
    let preview = stack.agent().post("/v1/data-actions/preview", body.clone()).await;
    assert_eq!(preview.expect(StatusCode::OK)["contacts"], CONTACTS);
    let started = stack
        .agent()
        .post("/v1/data-actions", body)
        .await
        .expect(StatusCode::ACCEPTED);
    let action = started["id"].as_str().unwrap();

    let watch = async {
        let mut seen: Vec<Value> = Vec::new();
        loop {
            let now = stack.action(action).await;
            let has_ended = now["completed_at"].is_string();
            seen.push(now);
            if has_ended {
                return seen;
            }
        }
    };
    let (seen, _) = tokio::join!(watch, stack.drain());
    let counts: Vec<_> = seen
        .iter()
        .map(|action| action["done"].as_u64().unwrap())
        .collect();
    assert!(counts.is_sorted(), "{counts:?}");
    assert!(
        counts.iter().any(|done| (1..500).contains(done)),
        "counts within a chunk: {counts:?}"
    );
    assert!(
        seen.iter()
            .all(|action| action["done"].as_u64() <= action["total"].as_u64())
    );

    let ended = seen.last().unwrap();
    assert_eq!(
        (&ended["state"], &ended["failed"]),
        (&json!("completed"), &json!(0))
    );
    assert_eq!(
        (&ended["total"], &ended["done"]),
        (&json!(CONTACTS), &json!(CONTACTS))
    );
    let items = stack.items(action).await;
    assert_eq!(items.len() as u64, CONTACTS);
    let of = |name: &str| items.iter().map(|item| item[name].clone()).collect::<Vec<_>>();
    let exported: BTreeSet<_> = of("contact_id")
        .iter()
        .map(|id| id.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(exported, ids);
    let archives: BTreeSet<_> = of("archive")
        .iter()
        .map(|archive| archive["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(archives.len() as u64, CONTACTS);
    let page = stack
        .agent()
        .get(&format!("/v1/data-actions/{action}/items"))
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        (page["items"].as_array().unwrap().len(), &page["total"]),
        (50, &json!(CONTACTS))
    );
    if let Some(engines) = stack.engines() {
        let mails = engines.mails().outbox();
        assert_eq!(mails.len(), 1);
        assert!(mails[0].text.as_deref().unwrap().contains("520"));
    }
}

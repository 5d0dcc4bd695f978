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
pub(crate) async fn enter(stack: &Stack, count: u64) -> BTreeSet<String> {
    let tenant = TenantId::parse("demo").unwrap();
    let enter = |n: u64| {
        let (tenant, oubli) = (&tenant, stack.runner.oubli());
        async move {
            let last_name = format!("Name{n:04}");
            let draft = ContactDraft {
                last_name,
                first_name: Some("Zoé".to_owned()),
                ..ContactDraft::default()
            };
            let contact = oubli
                .create_contact(tenant, draft, &Idempotency::none())
                .await
                .unwrap();
            contact.id.to_string()
        }
    };
    stream::iter((0..count).map(enter))
        .buffer_unordered(16)
        .collect()
        .await
}

/// Looks at an action again and again until it has ended.
async fn watch(stack: &Stack, action: &str) {
    let mut seen: Vec<Value> = Vec::new();
    while seen.last().is_none_or(|now| now["completed_at"].is_null()) {
        seen.push(stack.action(action).await);
    }
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
}

/// Runs an action, by which every contact must be done; answers its items.
async fn run(stack: &Stack, body: Value) -> Vec<Value> {
    let agent = stack.agent();
    let is_watched = body["kind"] == "export";
    let started = agent.post("/v1/data-actions", body).await;
    let started = started.expect(StatusCode::ACCEPTED);
    let action = started["id"].as_str().unwrap();
    if is_watched {
        tokio::join!(watch(stack, action), stack.drain());
    } else {
        stack.drain().await;
    }
    let ended = stack.action(action).await;
    assert_eq!(
        (&ended["state"], &ended["failed"], &ended["skipped"]),
        (&json!("completed"), &json!(0), &json!(0))
    );
    assert_eq!(
        (&ended["total"], &ended["done"]),
        (&json!(CONTACTS), &json!(CONTACTS))
    );
    let page = agent
        .get(&format!("/v1/data-actions/{action}/items"))
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        (page["items"].as_array().unwrap().len(), &page["total"]),
        (50, &json!(CONTACTS))
    );
    stack.items(action).await
}

fn of(items: &[Value], pointer: &str) -> BTreeSet<String> {
    let text = |item: &Value| item.pointer(pointer).unwrap().as_str().unwrap().to_owned();
    items.iter().map(text).collect()
}

/// Every contact that is listed.
async fn listed(stack: &Stack) -> Vec<Value> {
    let (mut contacts, mut path) = (Vec::new(), "/v1/contacts?limit=200".to_owned());
    loop {
        let page = stack.agent().get(&path).await.expect(StatusCode::OK);
        assert_eq!(page["total"], CONTACTS);
        contacts.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/contacts?limit=200&cursor={cursor}"),
            None => return contacts,
        }
    }
}

/// All of it by filters. The second takes away what it selects by, and still misses nobody.
#[tokio::test]
async fn large_actions_count_live_end_once_and_miss_nobody() {
    let stack = Stack::start().await;
    let ids = enter(&stack, CONTACTS).await;
    let entered = listed(&stack).await;
    let by_name = json!({ "filter": { "q": "name" } });
    let by_state = json!({ "filter": { "state": "anonymised" } });
    let mut archives = BTreeSet::new();
    for (kind, selection, state) in [
        ("export", &by_name, "active"),
        ("anonymise", &by_name, "anonymised"),
        ("restore", &by_state, "active"),
    ] {
        let mut body = json!({ "kind": kind, "selection": selection });
        let preview = stack.agent().post("/v1/data-actions/preview", body.clone()).await;
        let preview = preview.expect(StatusCode::OK);
        assert_eq!(
            (&preview["contacts"], &preview["blocked_count"]),
            (&json!(CONTACTS), &json!(0)),
            "{kind}"
        );
        body["plan_hash"] = preview["plan_hash"].clone();
        body["acknowledged"] = json!(true);
        let items = run(&stack, body).await;
        assert_eq!(items.len() as u64, CONTACTS);
        assert_eq!(of(&items, "/contact_id"), ids, "{kind}");
        let made = of(&items, "/archive/id");
        assert_eq!(made.len() as u64, CONTACTS, "{kind}");
        if kind == "export" {
            archives = made;
        } else {
            assert_eq!(made, archives, "{kind}");
        }
        let contacts = listed(&stack).await;
        assert!(contacts.iter().all(|contact| contact["state"] == state), "{kind}");
        if kind == "anonymise" {
            let numbered = of(&contacts, "/first_name");
            assert_eq!(numbered.len() as u64, CONTACTS, "a number each");
        }
    }
    let names = |contacts: &[Value]| {
        let name = |contact: &Value| (contact["id"].to_string(), contact["last_name"].to_string());
        contacts.iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(names(&listed(&stack).await), names(&entered));
    if let Some(engines) = stack.engines() {
        let mails = engines.mails().outbox();
        assert_eq!(mails.len(), 3, "one each");
        assert!(
            mails
                .iter()
                .all(|mail| mail.text.as_deref().unwrap().contains("520"))
        );
    }
}

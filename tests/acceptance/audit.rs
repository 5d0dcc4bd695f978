//! The audit: each link that was given, each archive that is gone, and nothing about a person.

use jiff::SignedDuration;
use oubli_local::faults::{Fault, Outcome};
use oubli_tests::Stack;
use reqwest::StatusCode;
use serde_json::{Value, json};

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// A contact with a document and an archive.
struct Kept {
    contact: String,
    document: String,
    archive: String,
}

impl Kept {
    async fn make(stack: &Stack) -> Self {
        let contact = stack.contact(json!({ "last_name": "Zolacanary" })).await;
        let document = stack.document(&contact, "zolacanary.txt", b"some bytes").await;
        let action = stack.export(&[&contact]).await;
        stack.drain().await;
        let archive = stack.items(&action).await[0]["archive"]["id"].clone();
        let archive = archive.as_str().unwrap().to_owned();
        Self {
            contact,
            document,
            archive,
        }
    }

    fn archive_path(&self) -> String {
        format!("/v1/archives/{}/content", self.archive)
    }

    fn document_path(&self) -> String {
        format!(
            "/v1/contacts/{}/documents/{}/content",
            self.contact, self.document
        )
    }
}

async fn mint(stack: &Stack, path: &str) {
    let answer = stack.agent().get(path).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    stack.advance(SignedDuration::from_secs(1));
}

async fn audit(stack: &Stack) -> Vec<Value> {
    let page = stack.admin().get("/v1/audit?limit=200").await;
    let page = page.expect(StatusCode::OK);
    let items = page["items"].as_array().unwrap().clone();
    assert_eq!(page["total"], items.len(), "{page}");
    items
}

#[tokio::test]
async fn each_link_says_who_when_and_which() {
    let stack = Stack::start().await;
    assert_eq!(audit(&stack).await, [Value::Null; 0]);
    let kept = Kept::make(&stack).await;
    let start = stack.now();
    mint(&stack, &kept.archive_path()).await;
    mint(&stack, &kept.document_path()).await;
    mint(&stack, &kept.archive_path()).await;
    // What is refused gives no link.
    let absent = stack.agent().get("/v1/archives/absent/content").await;
    assert_eq!(absent.problem(StatusCode::NOT_FOUND), "not_found");
    let foreign = stack.other_agent().get(&kept.archive_path()).await;
    assert_eq!(foreign.problem(StatusCode::NOT_FOUND), "not_found");
    assert_eq!(
        stack.other_admin().get("/v1/audit").await.json()["total"],
        0,
        "another tenant's is its own"
    );

    let entries = audit(&stack).await;
    let events: Vec<_> = entries.iter().map(|entry| entry["event"].clone()).collect();
    assert_eq!(
        events,
        [
            "archive_link_minted",
            "document_link_minted",
            "archive_link_minted"
        ]
    );
    for entry in &entries {
        assert_eq!(entry["member_id"], "agent");
        assert_eq!(entry["member_name"], "Agnès Agent");
        assert_eq!(entry["contact_id"], kept.contact.as_str());
        let is_document = entry["event"] == "document_link_minted";
        let (archive, document) = (entry.get("archive_id"), entry.get("document_id"));
        let of = |id: &str| Some(json!(id));
        assert_eq!(archive.cloned(), of(&kept.archive).filter(|_| !is_document));
        assert_eq!(document.cloned(), of(&kept.document).filter(|_| is_document));
        assert!(
            !entry.to_string().to_lowercase().contains("zolacanary"),
            "{entry}"
        );
    }
    if stack.engines().is_some() {
        assert_eq!(entries[2]["at"], start.to_string());
        let end = start + SignedDuration::from_mins(5);
        assert_eq!(entries[2]["link_expires_at"], end.to_string());
    }

    // Page by page, the same.
    let (mut path, mut found) = ("/v1/audit?limit=1".to_owned(), Vec::new());
    loop {
        let page = stack.admin().get(&path).await.expect(StatusCode::OK);
        assert_eq!(page["total"], 3);
        found.extend(page["items"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/audit?limit=1&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(found, entries);
    let wrong = stack.admin().get("/v1/audit?cursor=MSB4").await;
    assert_eq!(wrong.problem(StatusCode::BAD_REQUEST), "cursor_invalid");

    // Who was removed is told by the id alone.
    let removed = stack.admin().delete("/v1/members/agent").await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    for (entry, before) in audit(&stack).await.iter().zip(&entries) {
        assert_eq!(entry["member_id"], "agent");
        assert!(entry.get("member_name").is_none(), "{entry}");
        assert_eq!(entry["id"], before["id"]);
    }
}

#[tokio::test]
async fn no_link_is_given_that_is_not_audited() {
    let stack = Stack::start().await;
    let Some(engines) = stack.engines() else {
        println!("left out: this endpoint cannot be made to fail");
        return;
    };
    let kept = Kept::make(&stack).await;
    for path in [kept.archive_path(), kept.document_path()] {
        let fault = Fault::on("DynamoDB.TransactWriteItems", Outcome::Error).from_caller("oubli-api");
        engines.faults().inject(fault);
        let refused = stack.agent().get(&path).await;
        assert_eq!(refused.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(refused.header("location"), None);
        engines.faults().clear();
        assert_eq!(audit(&stack).await, [Value::Null; 0]);
    }
}

#[tokio::test]
async fn an_archive_that_is_gone_is_told_once_and_nothing_is_changed() {
    let stack = Stack::start().await;
    let Some(engines) = stack.engines() else {
        println!("left out: this endpoint's clock cannot be moved");
        return;
    };
    let kept = Kept::make(&stack).await;
    mint(&stack, &kept.archive_path()).await;
    let before = audit(&stack).await;
    stack.advance(DAY * 11);
    stack.sweep().await;
    assert_eq!(audit(&stack).await, before, "it is still there");
    engines.sweep().await.unwrap();
    // The janitor looks again after some hours.
    stack.advance(DAY);
    stack.sweep().await;
    let entries = audit(&stack).await;
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[1], before[0]);
    assert_eq!(
        entries[0],
        json!({
            "id": entries[0]["id"], "event": "archive_gone", "at": stack.now().to_string(),
            "contact_id": kept.contact, "archive_id": kept.archive,
        })
    );
    for _ in 0..5 {
        stack.advance(DAY);
        stack.sweep_storage().await;
        stack.sweep().await;
    }
    assert_eq!(audit(&stack).await, entries, "it is told once");
    let removed = stack
        .agent()
        .delete(&format!("/v1/contacts/{}", kept.contact))
        .await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    assert_eq!(audit(&stack).await, entries, "an entry outlives what it is about");

    // Three years, whether or not the table has cleared up.
    stack.advance(DAY * 1_078);
    assert_eq!(audit(&stack).await, entries);
    stack.advance(DAY * 20);
    assert_eq!(audit(&stack).await, [Value::Null; 0]);
}

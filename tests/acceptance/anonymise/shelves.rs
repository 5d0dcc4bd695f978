//! The documents of an anonymised contact: gone in all versions, and nothing brings one back.

use jiff::SignedDuration;
use oubli_tests::Stack;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{SECOND, export_again};
use crate::outside::Bucket;
use crate::restore::{anonymise, assert_done, card, from_archive, restore};

async fn announce(stack: &Stack, contact: &str, size_bytes: usize) -> (String, Value) {
    let body = json!({ "name": "later", "content_type": "text/plain", "size_bytes": size_bytes, "kind": "document" });
    let path = format!("/v1/contacts/{contact}/documents");
    let new = stack.agent().post(&path, body).await.expect(StatusCode::CREATED);
    let id = new["document"]["id"].as_str().unwrap();
    (format!("{path}/{id}"), new["upload"].clone())
}

#[tokio::test]
async fn documents_and_photo_are_gone_with_their_links() {
    let stack = Stack::start().await;
    let id = stack.contact(json!({ "last_name": "Zola" })).await;
    let photo = json!({ "name": "z.png", "content_type": "image/png", "size_bytes": 5, "kind": "photo" });
    let photo = stack.document_of(&id, photo, b"\x89PNG\n").await;
    let contract = stack.document(&id, "Contrat.txt", b"signed").await;
    let path = format!("/v1/contacts/{id}");
    let patch = json!({ "photo_document_id": photo });
    stack
        .agent()
        .patch(&path, "*", patch)
        .await
        .expect(StatusCode::OK);
    let other = stack.contact(json!({ "last_name": "Hugo" })).await;
    let others = stack.document(&other, "Contrat.txt", b"signed").await;
    export_again(&stack, &id).await;
    let mut links = Vec::new();
    for document in [&photo, &contract] {
        let answer = stack
            .agent()
            .get(&format!("{path}/documents/{document}/content"))
            .await;
        links.push(answer.header("location").unwrap().to_owned());
    }
    anonymise(&stack, &id).await;

    for document in [&photo, &contract] {
        let path = format!("{path}/documents/{document}");
        let agent = stack.agent();
        for answer in [
            agent.get(&format!("{path}/content")).await,
            agent.post(&format!("{path}/complete"), Value::Null).await,
            agent.delete(&path).await,
        ] {
            assert_eq!(answer.problem(StatusCode::NOT_FOUND), "not_found");
        }
    }
    for link in links {
        assert_eq!(
            stack.fetch(&link).await.0,
            StatusCode::NOT_FOUND,
            "a link from before"
        );
    }
    let listed = stack.agent().get(&format!("{path}/documents")).await;
    assert_eq!(listed.expect(StatusCode::OK), json!({ "items": [], "total": 0 }));
    let keys = Bucket::documents(&stack).await.keys().await;
    assert_eq!(
        keys,
        [format!("documents/demo/{other}/{others}")],
        "those of others stay"
    );
    let content = format!("/v1/contacts/{other}/documents/{others}/content");
    assert_eq!(stack.agent().get(&content).await.status, StatusCode::SEE_OTHER);
}

/// Somebody has switched versioning on, or an operator has restored the bucket from one that had it.
#[tokio::test]
async fn all_versions_go_and_what_was_never_completed_too() {
    let stack = Stack::start().await;
    let bucket = Bucket::documents(&stack).await;
    bucket.keep_versions().await;
    let id = stack.contact(json!({ "last_name": "Zola" })).await;
    let other = stack.contact(json!({ "last_name": "Hugo" })).await;
    stack.document(&other, "b.txt", b"another's").await;
    let others = bucket.keys().await;
    bucket.begin_parts(&others[0]).await;

    let mut archive = String::new();
    // The second life of a contact stands on a shelf of its own.
    for life in ["first", "second"] {
        let kept = stack.document(&id, "kept.txt", life.as_bytes()).await;
        let deleted = stack.document(&id, "deleted.txt", b"deleted").await;
        let path = format!("/v1/contacts/{id}/documents/{deleted}");
        assert_eq!(stack.agent().delete(&path).await.status, StatusCode::NO_CONTENT);
        export_again(&stack, &id).await;
        let key = bucket.key_of(&kept).await;
        bucket.put(&key, b"a later version").await;
        bucket.begin_parts(&key).await;
        let beneath = |keys: Vec<String>| keys.iter().filter(|key| key.contains(&id)).count();
        assert!(beneath(bucket.versions().await) >= 4, "{life}");
        assert_eq!(beneath(bucket.begun().await), 1, "{life}");

        anonymise(&stack, &id).await;
        assert_eq!(bucket.versions().await, others, "{life}");
        assert_eq!(bucket.begun().await, others, "{life}");
        let card = card(&stack, &id).await;
        let stored = card["last_archive"]["id"].as_str().unwrap();
        if life == "first" {
            stored.clone_into(&mut archive);
            assert_done(&restore(&stack, from_archive(&archive)).await);
            stack.advance(SECOND);
        } else {
            assert_ne!(stored, archive);
        }
    }
}

#[tokio::test]
async fn an_upload_that_was_announced_before_brings_nothing_back() {
    let stack = Stack::start().await;
    let id = stack.contact(json!({ "last_name": "Zola" })).await;
    let (arrived, upload) = announce(&stack, &id, 7).await;
    assert_eq!(
        stack.put_upload(&upload, b"arrived".to_vec()).await,
        StatusCode::OK
    );
    let (late, late_upload) = announce(&stack, &id, 4).await;
    export_again(&stack, &id).await;
    anonymise(&stack, &id).await;
    let uploads = Bucket::uploads(&stack).await;
    assert_eq!(uploads.keys().await, [""; 0], "what had arrived is gone");

    // The link is still signed: it leads to where nobody looks.
    assert_eq!(
        stack.put_upload(&late_upload, b"late".to_vec()).await,
        StatusCode::OK
    );
    for path in [&arrived, &late] {
        for what in ["/complete", "/content"] {
            let path = format!("{path}{what}");
            let answer = match what {
                "/complete" => stack.agent().post(&path, Value::Null).await,
                _ => stack.agent().get(&path).await,
            };
            assert_eq!(answer.problem(StatusCode::NOT_FOUND), "not_found", "{path}");
        }
    }
    let card = card(&stack, &id).await;
    assert_eq!(card["documents"], json!({ "count": 0, "bytes": 0 }));
    let documents = Bucket::documents(&stack).await;
    assert_eq!(documents.keys().await, [""; 0]);
    if stack.engines().is_none() {
        return;
    }
    for _ in 0..3 {
        stack.advance(SignedDuration::from_hours(24));
        stack.sweep_storage().await;
        stack.sweep().await;
    }
    assert_eq!(uploads.keys().await, [""; 0], "and what came late, soon after");
    assert_eq!(documents.keys().await, [""; 0]);
}

/// The object is copied while the contact goes: it must not stay behind.
#[tokio::test]
async fn an_upload_that_is_completed_at_the_same_moment_leaves_nothing() {
    use oubli_local::faults::{Fault, Gate, Outcome};

    for (operation, after) in [("S3.CopyObject", false), ("S3.CopyObject", true)] {
        let stack = Stack::start().await;
        let Some(engines) = stack.engines() else { return };
        let id = stack.contact(json!({ "last_name": "Zola" })).await;
        let (path, upload) = announce(&stack, &id, 7).await;
        assert_eq!(
            stack.put_upload(&upload, b"arrived".to_vec()).await,
            StatusCode::OK
        );
        export_again(&stack, &id).await;
        let gate = Gate::default();
        let outcome = match after {
            false => Outcome::HoldBefore(gate.clone()),
            true => Outcome::HoldAfter(gate.clone()),
        };
        engines
            .faults()
            .inject(Fault::on(operation, outcome).from_caller("oubli-api"));
        let agent = stack.agent();
        let complete = format!("{path}/complete");
        let (answer, ()) = tokio::join!(agent.post(&complete, Value::Null), async {
            gate.reached().await;
            anonymise(&stack, &id).await;
            gate.open();
        });
        assert_eq!(answer.problem(StatusCode::NOT_FOUND), "not_found");
        assert_eq!(card(&stack, &id).await["documents"]["count"], 0);
        for _ in 0..3 {
            stack.advance(SignedDuration::from_hours(24));
            stack.sweep_storage().await;
            stack.sweep().await;
        }
        for bucket in [Bucket::documents(&stack).await, Bucket::uploads(&stack).await] {
            assert_eq!(bucket.keys().await, [""; 0], "{operation}, after: {after}");
        }
    }
}

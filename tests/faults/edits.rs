//! A contact that changes, or goes, while it is exported.

use std::io::{Cursor, Read as _};

use bytes::Bytes;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::{BUILDER, Feed, Want, World, meanwhile};

fn entry(archive: &Bytes, name: &str) -> Option<Vec<u8>> {
    let mut zip = zip::ZipArchive::new(Cursor::new(archive.clone())).unwrap();
    let mut entry = zip.by_name(name).ok()?;
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).unwrap();
    Some(bytes)
}

/// Exports a contact with two documents; at this call of the builder somebody does something.
/// Answers the action and the contact.
async fn export_while(
    world: &World,
    (operation, nth, after): (&str, u64, bool),
    something: impl AsyncFn(&str),
) -> (String, String) {
    let contact = world.contact_with("Before", &[b"first", b"second"]).await;
    let action = world.start_export(std::slice::from_ref(&contact)).await;
    let gate = world.hold(BUILDER, operation, nth, after);
    let mut feed = Feed::plain();
    meanwhile(world.feed(&mut feed), &gate, something(&contact)).await;
    world.settle(&mut feed, &[&action]).await;
    (action, contact)
}

async fn rename(world: &World, contact: &str) {
    let agent = world.stack.agent();
    let path = format!("/v1/contacts/{contact}");
    let found = agent.get(&path).await;
    let etag = found.header("etag").unwrap().to_owned();
    let renamed = agent.patch(&path, &etag, json!({ "last_name": "After" })).await;
    renamed.expect(StatusCode::OK);
}

async fn delete_document(world: &World, contact: &str) {
    let agent = world.stack.agent();
    let path = format!("/v1/contacts/{contact}/documents");
    let listed = agent.get(&path).await.expect(StatusCode::OK);
    let document = listed["items"][0]["id"].as_str().unwrap();
    let deleted = agent.delete(&format!("{path}/{document}")).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_and_documents_in_an_archive_are_of_one_version() {
    // Before and after they are read, and before it is seen that nothing has changed since.
    for at in [
        ("DynamoDB.Query", 1, false),
        ("DynamoDB.Query", 1, true),
        ("DynamoDB.UpdateItem", 2, false),
    ] {
        let Some(world) = World::start().await else { return };
        let (action, contact) = export_while(&world, at, async |contact| {
            rename(&world, contact).await;
            delete_document(&world, contact).await;
        })
        .await;
        let archives = world.expect(&action, &Want::completed(1)).await;
        let json = entry(&archives[&contact], "contact.json").unwrap();
        let json: Value = serde_json::from_slice(&json).unwrap();
        assert!(json.to_string().contains("After"), "{json}");
        assert!(entry(&archives[&contact], "documents/document 0.bin").is_none());
        assert!(entry(&archives[&contact], "documents/document 1.bin").is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_that_is_changed_while_its_archive_is_written_keeps_that_archive() {
    let Some(world) = World::start().await else { return };
    let at = ("S3.PutObject", 1, false);
    let (action, contact) = export_while(&world, at, async |contact| rename(&world, contact).await).await;
    let archives = world.expect(&action, &Want::completed(1)).await;
    let json = entry(&archives[&contact], "contact.json").unwrap();
    assert!(String::from_utf8(json).unwrap().contains("Before"));
}

/// What a member deletes on purpose is no unreadable document.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_that_is_deleted_while_it_is_read_is_left_out() {
    let Some(world) = World::start().await else { return };
    let at = ("S3.GetObject", 1, false);
    let (action, contact) =
        export_while(&world, at, async |contact| delete_document(&world, contact).await).await;
    let archives = world.expect(&action, &Want::completed(1)).await;
    assert!(entry(&archives[&contact], "documents/document 0.bin").is_none());
    assert_eq!(
        entry(&archives[&contact], "documents/document 1.bin").unwrap(),
        b"second"
    );
    world.expect_no_orphans(&[&action]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_that_is_deleted_while_it_is_exported_is_absent_and_leaves_nothing() {
    for at in [
        ("DynamoDB.UpdateItem", 1, true),
        ("DynamoDB.Query", 1, false),
        ("DynamoDB.Query", 1, true),
        ("S3.GetObject", 1, false),
        ("S3.GetObject", 2, true),
        ("S3.PutObject", 1, false),
        ("S3.PutObject", 1, true),
        ("DynamoDB.TransactWriteItems", 1, false),
    ] {
        let Some(world) = World::start().await else { return };
        let (action, contact) = export_while(&world, at, async |contact| {
            let path = format!("/v1/contacts/{contact}");
            let deleted = world.stack.agent().delete(&path).await;
            assert_eq!(deleted.status, StatusCode::NO_CONTENT);
        })
        .await;
        world.expect(&action, &Want::failed(1, 1)).await;
        let items = world.stack.items(&action).await;
        assert_eq!(items[0]["reason"], "contact_absent", "{at:?}");
        world.expect_no_orphans(&[]).await;
        assert!(world.stored("documents").await.is_empty(), "{at:?}");
        // Nothing of the builder's brings a part of the contact back. When it was deleted is known, and no more.
        let pk = format!("T#demo#C#{contact}");
        let left = world.partition("OUBLI_CONTACTS_TABLE", &pk).await;
        let left: Vec<_> = left.into_keys().collect();
        assert_eq!(left, ["DELETED"], "{at:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_whose_object_has_vanished_fails_its_item_alone() {
    let Some(world) = World::start().await else { return };
    let broken = world.contact_with("Broken", &[b"bytes"]).await;
    let whole = world.contact_with("Whole", &[b"bytes"]).await;
    for item in world.stored("documents").await {
        if item.key.contains(&broken) {
            let request = world.objects.delete_object().bucket(&item.bucket);
            request.key(&item.key).send().await.unwrap();
        }
    }
    let action = world.start_export(&[broken.clone(), whole]).await;
    world.settle(&mut Feed::twice(5), &[&action]).await;
    let want = Want {
        state: "completed_with_failures",
        total: 2,
        done: 1,
        failed: 1,
        skipped: 0,
        mails: 1..=1,
    };
    world.expect(&action, &want).await;
    let items = world.stack.items(&action).await;
    let failed = items.iter().find(|item| item["contact_id"] == broken.as_str());
    assert_eq!(failed.unwrap()["reason"], "document_unreadable");
}

//! Back from the archive: the contact that was exported, byte for byte, or nothing at all.

mod interleavings;
mod keys;
mod parts;
mod refusals;
mod round_trips;
mod uploads;

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};

use bytes::Bytes;
use oubli_tests::Stack;
use reqwest::StatusCode;
use serde_json::{Value, json};

/// The files of an archive.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// What is in an archive, by an independent reader.
pub(crate) fn files(archive: &Bytes) -> Files {
    let mut zip = zip::ZipArchive::new(Cursor::new(archive.clone())).unwrap();
    let mut files = BTreeMap::new();
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        files.insert(entry.name().unwrap().into_owned(), bytes);
    }
    files
}

/// Whatever of an archive is the person's: all but what tells the version, which only grows.
pub(crate) fn persons(files: &Files) -> Files {
    let mut files = files.clone();
    for name in ["index.html", "manifest.json", "manifest.sig"] {
        files.remove(name).unwrap();
    }
    files
}

/// Bytes that do not compress: Deflate looks back 32 KiB at most.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let words = (0_u32..).flat_map(|n| n.wrapping_mul(2_654_435_761).rotate_left(n % 31).to_be_bytes());
    let block: Vec<u8> = words.take(length.min(100_000)).collect();
    block.iter().copied().cycle().take(length).collect()
}

/// Runs an action as `agent`; answers its items.
pub(crate) async fn run(stack: &Stack, body: Value) -> Vec<Value> {
    let action = stack
        .agent()
        .post("/v1/data-actions", body)
        .await
        .expect(StatusCode::ACCEPTED);
    stack.drain().await;
    let id = action["id"].as_str().unwrap();
    let ended = stack.action(id).await;
    assert!(ended["completed_at"].is_string(), "{ended}");
    stack.items(id).await
}

/// Exports a contact; answers its archive's id and bytes.
pub(crate) async fn export(stack: &Stack, contact: &str) -> (String, Bytes) {
    let body = json!({ "kind": "export", "selection": { "contact_ids": [contact] } });
    let items = run(stack, body).await;
    assert_eq!(items[0]["state"], "done", "{items:?}");
    let id = items[0]["archive"]["id"].as_str().unwrap().to_owned();
    let bytes = stack.archive(&id).await;
    (id, bytes)
}

/// Anonymises a contact that was exported.
pub(crate) async fn anonymise(stack: &Stack, contact: &str) {
    let selection = json!({ "contact_ids": [contact] });
    let body = json!({ "kind": "anonymise", "selection": selection, "acknowledged": true });
    let items = run(stack, body).await;
    assert_eq!(items[0]["state"], "done", "{items:?}");
    assert_eq!(card(stack, contact).await["state"], "anonymised");
}

/// Restores what is selected; answers the one item.
pub(crate) async fn restore(stack: &Stack, selection: Value) -> Value {
    one(run(stack, json!({ "kind": "restore", "selection": selection })).await)
}

/// As [`restore`], whatever was changed since.
pub(crate) async fn restore_over(stack: &Stack, selection: Value) -> Value {
    one(run(
        stack,
        json!({ "kind": "restore", "selection": selection, "overwrite": true }),
    )
    .await)
}

fn one(items: Vec<Value>) -> Value {
    assert_eq!(items.len(), 1, "{items:?}");
    items.into_iter().next().unwrap()
}

pub(crate) fn from_archive(id: &str) -> Value {
    json!({ "archive_ids": [id] })
}

pub(crate) fn from_upload(id: &str) -> Value {
    json!({ "upload_ids": [id] })
}

#[track_caller]
pub(crate) fn assert_ended(item: &Value, state: &str, reason: &str) {
    assert_eq!(
        (item["state"].as_str(), item["reason"].as_str()),
        (Some(state), Some(reason)),
        "{item}"
    );
}

#[track_caller]
pub(crate) fn assert_done(item: &Value) {
    assert_eq!(
        (&item["state"], &item["reason"]),
        (&json!("done"), &Value::Null),
        "{item}"
    );
}

/// A contact as the API shows it.
pub(crate) async fn card(stack: &Stack, contact: &str) -> Value {
    let path = format!("/v1/contacts/{contact}");
    stack.agent().get(&path).await.expect(StatusCode::OK)
}

/// A saved archive sent back as `agent`; answers the upload's id.
pub(crate) async fn upload(stack: &Stack, bytes: &[u8]) -> String {
    let body = json!({ "size_bytes": bytes.len() });
    let agent = stack.agent();
    let new = agent
        .post("/v1/archive-uploads", body)
        .await
        .expect(StatusCode::CREATED);
    assert_eq!(
        stack.put_upload(&new["upload"], bytes.to_vec()).await,
        StatusCode::OK
    );
    new["upload_id"].as_str().unwrap().to_owned()
}

/// The keys of everything that is stored beneath a prefix, where the engines are ours to look into.
pub(crate) async fn stored(stack: &Stack, prefix: &str) -> Option<Vec<String>> {
    let inventory = stack.engines()?.s3().inventory().await.unwrap();
    let keys = inventory.into_iter().map(|item| item.key);
    Some(keys.filter(|key| key.starts_with(prefix)).collect())
}

//! How much memory the binary takes for an archive that is larger than it may take, and for files that
//! would become so.

#![cfg(test)]

use aws_lambda_events::sqs::SqsEvent;
use oubli_tests::Stack;
use oubli_tests::binary::Binary;
use oubli_tests::forging::{self, Entry, MANIFEST};
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_restorer");
const MIB: usize = 1024 * 1024;
/// The most that the function may have resident, whatever the archive's size.
const BOUND_BYTES: u64 = 128 * MIB as u64;

/// Bytes that do not compress: Deflate looks back 32 KiB at most.
fn noise(seed: u32, mebibytes: usize) -> Vec<u8> {
    let words = (seed..).flat_map(|n| n.wrapping_mul(2_654_435_761).rotate_left(n % 31).to_be_bytes());
    words.take(MIB).collect::<Vec<_>>().repeat(mebibytes)
}

/// Starts an action as `agent`; answers its id.
async fn start(stack: &Stack, kind: &str, contact: &str) -> String {
    let selection = json!({ "contact_ids": [contact] });
    let mut body = json!({ "kind": kind, "selection": selection });
    if kind == "anonymise" {
        body["acknowledged"] = json!(true);
    }
    let action = stack.agent().post("/v1/data-actions", body).await.json();
    action["id"].as_str().unwrap().to_owned()
}

/// Plans an action here and has the binary alone restore each of these; the items that came of it.
async fn restore(binary: &Binary, action: &str, ids: &[&str]) -> Vec<Value> {
    let stack = binary.stack();
    let plan = event(&json!({ "tenant_id": "demo", "action_id": action }));
    let plan: SqsEvent = serde_json::from_value(plan).unwrap();
    let planned = stack.runner.functions().handle("bulk-planner", plan).await;
    assert!(planned.batch_item_failures.is_empty());
    for id in ids {
        let item = json!({ "tenant_id": "demo", "action_id": action, "chunk": 0, "item_id": id });
        let answer = binary.invoke(&event(&item)).await.unwrap();
        assert_eq!(answer, json!({ "batchItemFailures": [] }));
    }
    stack.items(action).await
}

/// A batch of one message.
fn event(body: &Value) -> Value {
    let record = json!({ "messageId": "1", "body": body.to_string(), "eventSource": "aws:sqs" });
    json!({ "Records": [record] })
}

#[tokio::test]
async fn a_large_archive_is_never_in_memory() {
    let binary = Binary::start("restorer", BINARY).await;
    let stack = binary.stack();
    let contact = stack.contact(json!({ "last_name": "Zola" })).await;
    let mut size_bytes = 0;
    for (seed, mebibytes) in [(1, 100), (2, 40), (3, 30), (4, 7), (5, 7)] {
        let bytes = noise(seed, mebibytes);
        stack.document(&contact, &format!("{seed}.bin"), &bytes).await;
        size_bytes += bytes.len() as u64;
    }
    for small in 0..60 {
        stack
            .document(&contact, &format!("{small}.txt"), format!("{small}").as_bytes())
            .await;
    }
    for kind in ["export", "anonymise"] {
        let action = start(stack, kind, &contact).await;
        stack.drain().await;
        assert_eq!(stack.items(&action).await[0]["state"], "done", "{kind}");
    }
    let action = start(stack, "restore", &contact).await;
    let items = restore(&binary, &action, &[&contact]).await;
    assert_eq!(items[0]["state"], "done", "{items:?}");
    let path = format!("/v1/contacts/{contact}");
    let card = stack.agent().get(&path).await.json();
    assert_eq!(card["last_name"], "Zola");
    let documents = stack.agent().get(&format!("{path}/documents")).await.json();
    assert_eq!(documents["total"], 65);
    let peak = binary.peak_resident_bytes().unwrap();
    println!(
        "{} MiB restored with {} MiB resident at most",
        size_bytes / MIB as u64,
        peak / MIB as u64
    );
    assert!(size_bytes > BOUND_BYTES, "the archive would fit");
    assert!(peak < BOUND_BYTES, "{peak} bytes were resident");
    binary.stop().await;
}

/// An entry of so many of one byte.
fn swollen(name: &str, byte: u8, mebibytes: usize) -> Entry {
    Entry::deflated(name, &vec![byte; mebibytes * MIB])
}

/// A directory as long as may be, whose entries all lie over the first.
fn crowded(base: &[Entry]) -> Vec<u8> {
    let over = |number| Entry {
        name: format!("documents/{number:0300}.txt").into_bytes(),
        at: Some(0),
        ..base[0].clone()
    };
    let crowd: Vec<_> = (0..90_000).map(over).collect();
    let laid = forging::laid(&base[..1], &crowd, b"");
    let (entries, directory, size) = (laid.entries as u64, laid.directory as u64, laid.size as u64);
    let end = forging::zip64_end(entries, directory, size, laid.bytes.len() as u64);
    [laid.bytes, end].concat()
}

#[tokio::test]
async fn what_would_fill_the_memory_is_refused_in_little_of_it() {
    let binary = Binary::start("restorer", BINARY).await;
    let stack = binary.stack();
    let contact = stack.contact(json!({ "last_name": "Zola" })).await;
    stack.document(&contact, "J'accuse.txt", b"signed by hand").await;
    let action = start(stack, "export", &contact).await;
    stack.drain().await;
    let archive = stack.items(&action).await[0]["archive"]["id"].clone();
    let path = format!("/v1/archives/{}/content", archive.as_str().unwrap());
    let link = stack.agent().get(&path).await;
    let (_, saved) = stack.fetch(link.header("location").unwrap()).await;
    let base = forging::entries_of(&saved);
    let with = |name: &str, byte, mebibytes| {
        let mut entries = base.clone();
        let at = forging::place(&base, name);
        entries[at] = swollen(name, byte, mebibytes);
        forging::zip_of(&entries)
    };
    let document = base[forging::document(&base)].text();
    let files = [
        (with(&document, 0, 384), "archive_damaged"),
        (with("index.html", 0, 256), "archive_damaged"),
        (with("contact.json", b' ', 60), "archive_damaged"),
        (with(MANIFEST, b' ', 60), "archive_not_authentic"),
        (with(MANIFEST, b' ', 256), "archive_not_authentic"),
        (crowded(&base), "archive_unreadable"),
    ];
    let mut expected = Vec::new();
    for (bytes, reason) in files {
        let body = json!({ "size_bytes": bytes.len() });
        let new = stack.agent().post("/v1/archive-uploads", body).await.json();
        assert_eq!(stack.put_upload(&new["upload"], bytes).await, 200);
        expected.push((new["upload_id"].as_str().unwrap().to_owned(), reason));
    }
    let ids: Vec<_> = expected.iter().map(|(id, _)| id.as_str()).collect();
    let body = json!({ "kind": "restore", "selection": { "upload_ids": ids }, "overwrite": true });
    let action = stack.agent().post("/v1/data-actions", body).await.json();
    let before = binary.peak_resident_bytes().unwrap();

    let items = restore(&binary, action["id"].as_str().unwrap(), &ids).await;
    for (id, reason) in &expected {
        let item = items.iter().find(|item| item["upload_id"] == **id).unwrap();
        assert_eq!(
            (&item["state"], &item["reason"]),
            (&json!("failed"), &json!(reason))
        );
    }
    let peak = binary.peak_resident_bytes().unwrap();
    println!(
        "{} files refused with {} MiB resident at most, {} before",
        items.len(),
        peak / MIB as u64,
        before / MIB as u64
    );
    assert!(peak < BOUND_BYTES, "{peak} bytes were resident");
    binary.stop().await;
}

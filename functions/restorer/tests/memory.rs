//! How much memory the binary takes for an archive that is larger than it may take.

#![cfg(test)]

use aws_lambda_events::sqs::SqsEvent;
use oubli_tests::Stack;
use oubli_tests::binary::Binary;
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
    // Planned here, and restored by the binary alone.
    let plan = event(&json!({ "tenant_id": "demo", "action_id": action }));
    let plan: SqsEvent = serde_json::from_value(plan).unwrap();
    let planned = stack.runner.functions().handle("bulk-planner", plan).await;
    assert!(planned.batch_item_failures.is_empty());
    let item = json!({ "tenant_id": "demo", "action_id": action, "chunk": 0, "item_id": contact });

    let answer = binary.invoke(&event(&item)).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    let items = stack.items(&action).await;
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

//! What is refused, and changes nothing.

use std::io::Cursor;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::types::AttributeValue;
use oubli_archive::signature::PublicKey;
use oubli_archive::verify::verify;
use oubli_tests::Stack;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{
    anonymise, assert_done, assert_ended, card, export, from_archive, from_upload, restore, restore_over,
    stored, upload,
};
use crate::contacts::everything;

/// What a refused restore must leave as it was.
async fn everything_stored(stack: &Stack, contact: &str) -> (Value, Option<Vec<String>>) {
    let mut card = card(stack, contact).await;
    // That it was tried is told.
    card.as_object_mut().unwrap().remove("data_actions");
    (card, stored(stack, "documents/").await)
}

/// A contact with documents that was exported and anonymised: its id, its archive's, and the archive.
async fn gone(stack: &Stack) -> (String, String, Vec<u8>) {
    let id = stack.contact(everything()).await;
    stack.document(&id, "Contrat.txt", b"signed by hand").await;
    let (archive, bytes) = export(stack, &id).await;
    anonymise(stack, &id).await;
    (id, archive, bytes.to_vec())
}

/// Where a text stands in an archive.
fn find(bytes: &[u8], text: &[u8]) -> usize {
    bytes
        .windows(text.len())
        .position(|window| window == text)
        .unwrap()
}

#[tokio::test]
async fn what_is_no_genuine_archive_is_refused_and_changes_nothing() {
    let stack = Stack::start().await;
    let (id, _, saved) = gone(&stack).await;
    let before = everything_stored(&stack, &id).await;
    let altered = |at: usize| {
        let mut bytes = saved.clone();
        bytes[at] ^= 1;
        bytes
    };
    let cases: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("no ZIP", b"%PDF-1.4 no archive".to_vec(), &["archive_unreadable"]),
        ("nothing but zeroes", vec![0; 70_000], &["archive_unreadable"]),
        (
            "cut off",
            saved[..saved.len() / 2].to_vec(),
            &["archive_unreadable"],
        ),
        (
            "one byte short",
            saved[..saved.len() - 1].to_vec(),
            &["archive_unreadable"],
        ),
        (
            "a document altered",
            altered(find(&saved, b"signed by hand")),
            &["archive_damaged", "archive_unreadable"],
        ),
    ];
    for (what, bytes, reasons) in cases {
        let sent = upload(&stack, &bytes).await;
        let item = restore_over(&stack, from_upload(&sent)).await;
        assert_eq!(item["state"], "failed", "{what}: {item}");
        let reason = item["reason"].as_str().unwrap();
        assert!(reasons.contains(&reason), "{what}: {item}");
        assert_eq!(everything_stored(&stack, &id).await, before, "{what}");
    }
}

#[tokio::test]
async fn an_archive_of_another_tenant_is_refused() {
    let stack = Stack::start().await;
    let agent = stack.other_agent();
    let contact = agent
        .post("/v1/contacts", json!({ "last_name": "Brontë" }))
        .await
        .expect(StatusCode::CREATED);
    let body = json!({ "kind": "export", "selection": { "contact_ids": [contact["id"]] } });
    let action = agent
        .post("/v1/data-actions", body)
        .await
        .expect(StatusCode::ACCEPTED);
    stack.drain().await;
    let path = format!("/v1/data-actions/{}/items", action["id"].as_str().unwrap());
    let items = agent.get(&path).await.expect(StatusCode::OK);
    let archive = items["items"][0]["archive"]["id"].as_str().unwrap();
    let answer = agent.get(&format!("/v1/archives/{archive}/content")).await;
    let (_, bytes) = stack.fetch(answer.header("location").unwrap()).await;

    let item = restore(&stack, from_archive(archive)).await;
    assert_ended(&item, "failed", "archive_absent");
    let sent = upload(&stack, &bytes).await;
    let item = restore(&stack, from_upload(&sent)).await;
    assert_ended(&item, "failed", "archive_foreign");
    let path = format!("/v1/contacts/{}", contact["id"].as_str().unwrap());
    let absent = stack.agent().get(&path).await;
    assert_eq!(absent.problem(StatusCode::NOT_FOUND), "not_found");

    // Nor can an upload be used by another tenant.
    let new = agent
        .post("/v1/archive-uploads", json!({ "size_bytes": bytes.len() }))
        .await
        .expect(StatusCode::CREATED);
    stack.put_upload(&new["upload"], bytes.to_vec()).await;
    let item = restore(&stack, from_upload(new["upload_id"].as_str().unwrap())).await;
    assert_ended(&item, "failed", "upload_missing");
}

#[tokio::test]
async fn an_archive_of_another_deployment_is_refused() {
    let (here, there) = (Stack::start().await, Stack::start().await);
    if here.engines().is_none() {
        // One endpoint is one deployment's.
        return;
    }
    let (id, _, _) = gone(&here).await;
    let before = everything_stored(&here, &id).await;
    let contact = there.contact(everything()).await;
    let (_, bytes) = export(&there, &contact).await;
    let sent = upload(&here, &bytes).await;
    let item = restore_over(&here, from_upload(&sent)).await;
    assert_ended(&item, "failed", "archive_not_authentic");
    assert_eq!(everything_stored(&here, &id).await, before);
}

#[tokio::test]
async fn archives_verify_offline_by_the_published_key() {
    let stack = Stack::start().await;
    let (_, _, saved) = gone(&stack).await;
    let published = stack
        .nobody()
        .get("/v1/archive-keys")
        .await
        .expect(StatusCode::OK);
    let key = &published["items"][0];
    assert_eq!(
        (&key["algorithm"], &key["curve"]),
        (&json!("ECDSA_SHA_256"), &json!("P-256"))
    );
    let keys = PublicKey::all_from_pem(key["public_key_pem"].as_str().unwrap()).unwrap();
    let verdict = verify(Cursor::new(&saved), &keys, |entry| {
        assert_eq!(entry.fault, None, "{}", entry.name);
    });
    assert_eq!(verdict.unwrap().faults, 0);
}

#[tokio::test]
async fn what_is_not_there_is_told() {
    let stack = Stack::start().await;
    let item = restore(&stack, from_archive("absent")).await;
    assert_ended(&item, "failed", "archive_absent");
    let item = restore(&stack, from_upload("absent")).await;
    assert_ended(&item, "failed", "upload_missing");
    let item = restore(&stack, json!({ "contact_ids": ["absent"] })).await;
    assert_ended(&item, "failed", "contact_absent");
}

#[tokio::test]
async fn who_was_erased_at_their_request_stays_erased() {
    let stack = Stack::start().await;
    let (id, archive, saved) = gone(&stack).await;
    erase(&stack, &id).await;
    let before = everything_stored(&stack, &id).await;
    for selection in [
        from_archive(&archive),
        from_upload(&upload(&stack, &saved).await),
        json!({ "contact_ids": [id] }),
    ] {
        for item in [
            restore(&stack, selection.clone()).await,
            restore_over(&stack, selection).await,
        ] {
            assert_ended(&item, "failed", "erased_by_request");
        }
    }
    assert_eq!(everything_stored(&stack, &id).await, before);
    // Nor once nothing is left of the contact.
    let path = format!("/v1/contacts/{id}");
    assert!(stack.agent().delete(&path).await.status.is_success());
    let item = restore(&stack, from_archive(&archive)).await;
    assert_ended(&item, "failed", "erased_by_request");
    assert_eq!(
        stack.agent().get(&path).await.problem(StatusCode::NOT_FOUND),
        "not_found"
    );
    let (other, archive, _) = gone(&stack).await;
    assert_done(&restore(&stack, from_archive(&archive)).await);
    assert_eq!(card(&stack, &other).await["state"], "active");
}

/// Records that a contact was erased at the person's request.
pub(super) async fn erase(stack: &Stack, contact: &str) {
    let credentials = Credentials::new("test", "test", None, None, "test");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(stack.runner.aws_url())
        .region(Region::from_static("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    let environment = &stack.runner.provisioned().environment;
    let table = environment
        .values()
        .find_map(|variables| variables.get("OUBLI_CONTACTS_TABLE"))
        .unwrap();
    aws_sdk_dynamodb::Client::new(&config)
        .put_item()
        .table_name(table)
        .item("pk", AttributeValue::S(format!("T#demo#C#{contact}")))
        .item("sk", AttributeValue::S("ERASED".to_owned()))
        .send()
        .await
        .unwrap();
}

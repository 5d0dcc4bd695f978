//! Archives that another key has signed than the one that signs now.

use aws_sdk_kms::types::{KeySpec, KeyUsageType};
use oubli_archive::signature::PublicKey;
use oubli_local::clock::EngineClock;
use oubli_local::runner::RunnerOptions;
use oubli_tests::forging::{Key, MANIFEST, change_json, entries_of, place};
use oubli_tests::{START, Stack};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{anonymise, assert_done, assert_ended, card, export, from_upload, restore, upload};
use crate::contacts::everything;

fn options() -> RunnerOptions {
    RunnerOptions::ephemeral(EngineClock::frozen(START.parse().unwrap()))
}

/// The keys that a stack publishes, without a token.
async fn published(stack: &Stack) -> Vec<Value> {
    let keys = stack.nobody().get("/v1/archive-keys").await;
    keys.expect(StatusCode::OK)["items"].as_array().unwrap().clone()
}

fn public_key(published: &Value) -> PublicKey {
    let key = PublicKey::from_base64(published["public_key_der"].as_str().unwrap()).unwrap();
    assert_eq!(key.to_pem(), published["public_key_pem"].as_str().unwrap());
    key
}

#[tokio::test]
async fn a_saved_archive_comes_back_to_a_new_stack_that_trusts_its_key() {
    let old = Stack::start_with(options()).await;
    let id = old.contact(everything()).await;
    old.document(&id, "Contrat.txt", b"signed").await;
    let (_, saved) = export(&old, &id).await;
    let published_key = &published(&old).await[0];
    let key = public_key(published_key);
    let entries = entries_of(&saved);
    let manifest: Value = serde_json::from_slice(&entries[place(&entries, MANIFEST)].data).unwrap();
    assert_eq!(manifest["signed_by"], published_key["sha256"]);
    assert_eq!(published_key["sha256"], key.fingerprint().to_string());
    old.runner.shutdown().await;

    let stranger = Stack::start_with(options()).await;
    let sent = upload(&stranger, &saved).await;
    let item = restore(&stranger, from_upload(&sent)).await;
    assert_ended(&item, "failed", "archive_not_authentic");

    let new = Stack::start_with(RunnerOptions {
        trusted_archive_keys: vec![key.clone()],
        ..options()
    })
    .await;
    let sent = upload(&new, &saved).await;
    let item = restore(&new, from_upload(&sent)).await;
    assert_done(&item);
    assert_eq!(card(&new, &id).await["last_name"], everything()["last_name"]);
    let keys = published(&new).await;
    let states: Vec<_> = keys.iter().map(|key| key["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["active", "trusted"]);
    assert_eq!(keys[1]["id"], key.fingerprint().to_string());
}

#[tokio::test]
async fn archives_signed_before_a_rotation_restore_after_it() {
    let state = tempfile::tempdir().unwrap();
    let stack_of = |archive_key_id: Option<String>| RunnerOptions {
        state: Some(state.path().to_owned()),
        archive_key_id,
        ..options()
    };
    let before = Stack::start_with(stack_of(None)).await;
    let id = before.contact(everything()).await;
    let (_, saved) = export(&before, &id).await;
    let first = public_key(&published(&before).await[0]);
    let kms = aws_sdk_kms::Client::new(&before.aws().await);
    let create = kms.create_key().key_spec(KeySpec::EccNistP256);
    let created = create.key_usage(KeyUsageType::SignVerify).send().await.unwrap();
    let second = created.key_metadata.unwrap().key_id;
    before.runner.shutdown().await;

    let after = Stack::start_with(stack_of(Some(second.clone()))).await;
    let keys = published(&after).await;
    let states: Vec<_> = keys.iter().map(|key| key["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["active", "retired"]);
    assert_eq!(keys[0]["id"], second);
    assert_eq!(public_key(&keys[1]).fingerprint(), first.fingerprint());
    // What is exported now is signed by the new key, and what was exported before comes back.
    export(&after, &id).await;
    anonymise(&after, &id).await;
    let sent = upload(&after, &saved).await;
    assert_done(&restore(&after, from_upload(&sent)).await);
    let (_, signed_anew) = export(&after, &id).await;
    anonymise(&after, &id).await;
    let sent = upload(&after, &signed_anew).await;
    assert_done(&restore(&after, from_upload(&sent)).await);
}

/// What an older release took for an e-mail address, this one restores, and changes beside it are possible.
#[tokio::test]
async fn what_older_rules_allowed_comes_back_and_does_not_stand_in_the_way() {
    let stack = Stack::start().await;
    let id = stack.contact(everything()).await;
    stack.document(&id, "Contrat.txt", b"signed").await;
    let (_, saved) = export(&stack, &id).await;
    let mut entries = entries_of(&saved);
    change_json(&mut entries, "contact.json", |contact| {
        contact["contact"]["email"] = json!("nobody");
        contact["contact"]["phone"] = json!("call me");
        contact["documents"][0]["content_type"] = json!("pdf");
        contact["documents"][0]["name"] = json!(format!("{}.txt", "é".repeat(600)));
    });
    let older = Key::of(&stack).await.archive(entries).await;
    anonymise(&stack, &id).await;
    let sent = upload(&stack, &older).await;
    let item = restore(&stack, from_upload(&sent)).await;
    assert_done(&item);
    assert_eq!(
        item["outdated_fields"],
        json!(["email", "phone", "documents"]),
        "{item}"
    );
    let restored = card(&stack, &id).await;
    assert_eq!(
        (&restored["email"], &restored["phone"]),
        (&json!("nobody"), &json!("call me"))
    );

    let path = format!("/v1/contacts/{id}");
    let agent = stack.agent();
    let documents = agent.get(&format!("{path}/documents")).await;
    let document = documents.expect(StatusCode::OK)["items"][0].clone();
    assert_eq!(document["content_type"], "pdf");
    assert_eq!(document["name"], format!("{}.txt", "é".repeat(600)));
    let changed = agent
        .patch(&path, "*", json!({ "mobile": "+33 6 12 34 56 78" }))
        .await;
    assert_eq!(changed.expect(StatusCode::OK)["email"], "nobody");
    let refused = agent.patch(&path, "*", json!({ "email": "nobody else" })).await;
    assert_eq!(refused.pointers(), ["/email"]);
    // It can be exported, anonymised and restored again.
    let (_, again) = export(&stack, &id).await;
    anonymise(&stack, &id).await;
    let sent = upload(&stack, &again).await;
    assert_done(&restore(&stack, from_upload(&sent)).await);
}

#[tokio::test]
async fn an_archive_of_a_later_release_is_told_apart() {
    let stack = Stack::start().await;
    let id = stack.contact(everything()).await;
    let (_, saved) = export(&stack, &id).await;
    let mut entries = entries_of(&saved);
    change_json(&mut entries, "manifest.json", |manifest| {
        manifest["format_version"] = json!(99);
    });
    let later = oubli_tests::forging::zip_of(&Key::of(&stack).await.resign(entries).await);
    anonymise(&stack, &id).await;
    let sent = upload(&stack, &later).await;
    let item = restore(&stack, from_upload(&sent)).await;
    assert_ended(&item, "failed", "archive_format_unknown");
    assert_eq!(card(&stack, &id).await["state"], "anonymised");
}

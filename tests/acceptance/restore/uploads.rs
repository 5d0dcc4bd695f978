//! Saved archives that a member sends back.

use jiff::SignedDuration;
use oubli_tests::Stack;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{
    anonymise, assert_done, assert_ended, card, export, files, from_archive, from_upload, persons, restore,
    run, stored, upload,
};
use crate::contacts::everything;

const TEN_DAYS: SignedDuration = SignedDuration::from_hours(240);

#[tokio::test]
async fn a_saved_archive_brings_back_what_is_sealed() {
    let stack = Stack::start().await;
    if stack.engines().is_none() {
        // Ten days go by.
        return;
    }
    let id = stack.contact(everything()).await;
    stack.document(&id, "Contrat.txt", b"signed").await;
    let (archive, saved) = export(&stack, &id).await;
    anonymise(&stack, &id).await;
    stack.advance(TEN_DAYS);
    assert_ended(
        &restore(&stack, from_archive(&archive)).await,
        "failed",
        "archive_expired",
    );
    assert_ended(
        &restore(&stack, json!({ "contact_ids": [id] })).await,
        "failed",
        "archive_expired",
    );

    let sent = upload(&stack, &saved).await;
    let item = restore(&stack, from_upload(&sent)).await;
    assert_done(&item);
    assert_eq!(
        (&item["contact_id"], &item["upload_id"]),
        (&json!(id), &json!(sent))
    );
    assert_eq!(card(&stack, &id).await["last_name"], everything()["last_name"]);
    assert_eq!(
        stored(&stack, "uploads/").await.unwrap(),
        [""; 0],
        "what was sent is gone"
    );

    // Again, by the same upload and by another of the same bytes.
    let again = restore(&stack, from_upload(&sent)).await;
    assert_ended(&again, "skipped", "not_anonymised");
    let second = upload(&stack, &saved).await;
    let item = restore(&stack, from_upload(&second)).await;
    assert_ended(&item, "skipped", "not_anonymised");

    stack.advance(SignedDuration::from_secs(1));
    let (_, exported) = export(&stack, &id).await;
    assert!(persons(&files(&saved)) == persons(&files(&exported)));
    // Once changed, the used upload can do nothing more.
    let path = format!("/v1/contacts/{id}");
    let edit = json!({ "first_name": "Zoé" });
    stack.agent().patch(&path, "*", edit).await.expect(StatusCode::OK);
    let item = restore(&stack, from_upload(&sent)).await;
    assert_ended(&item, "failed", "upload_missing");
    let item = restore(&stack, from_upload(&second)).await;
    assert_ended(&item, "failed", "contact_changed");
}

#[tokio::test]
async fn an_upload_that_fails_may_be_tried_again() {
    let stack = Stack::start().await;
    let id = stack.contact(everything()).await;
    let (_, saved) = export(&stack, &id).await;
    anonymise(&stack, &id).await;
    let agent = stack.agent();
    let body = json!({ "size_bytes": saved.len(), "sha256": oubli_domain::Sha256::of(&saved).to_string() });
    let new = agent
        .post("/v1/archive-uploads", body)
        .await
        .expect(StatusCode::CREATED);
    let upload = new["upload_id"].as_str().unwrap();
    let body = json!({ "kind": "restore", "selection": from_upload(upload) });
    let action = agent
        .post("/v1/data-actions", body)
        .await
        .expect(StatusCode::ACCEPTED);
    let action = action["id"].as_str().unwrap();
    stack.drain().await;
    assert_ended(&stack.items(action).await[0], "failed", "upload_missing");

    let mut other = saved.to_vec();
    other[40] ^= 1;
    assert_eq!(
        stack.put_upload(&new["upload"], other).await,
        StatusCode::BAD_REQUEST,
        "S3 itself refuses other bytes than announced"
    );
    assert_eq!(
        stack.put_upload(&new["upload"], saved.to_vec()).await,
        StatusCode::OK
    );
    agent
        .post(&format!("/v1/data-actions/{action}/retry"), Value::Null)
        .await
        .expect(StatusCode::ACCEPTED);
    stack.drain().await;
    assert_done(&stack.items(action).await[0]);
    assert_eq!(stack.action(action).await["state"], "completed");
}

#[tokio::test]
async fn the_same_announcement_is_made_once() {
    let stack = Stack::start().await;
    let agent = stack.agent();
    let body = json!({ "size_bytes": 10 }).to_string().into_bytes();
    let announce = || {
        let headers = [("idempotency-key", "one")];
        let (agent, body) = (agent.clone(), body.clone());
        async move {
            let path = "/v1/archive-uploads";
            let answer = agent
                .call(reqwest::Method::POST, path, &headers, Some(body))
                .await;
            answer.expect(StatusCode::CREATED)
        }
    };
    let (first, second) = (announce().await, announce().await);
    assert_eq!(first["upload_id"], second["upload_id"]);
}

#[tokio::test]
async fn a_large_one_is_sent_in_parts_and_a_too_large_one_not_at_all() {
    const GIB: u64 = 1024 * 1024 * 1024;
    let stack = Stack::start().await;
    let announce = async |size_bytes: u64| {
        let body = json!({ "size_bytes": size_bytes });
        let answer = stack.agent().post("/v1/archive-uploads", body).await;
        answer.expect(StatusCode::CREATED)
    };
    let whole = announce(5 * GIB).await;
    assert!(whole["upload"]["url"].is_string(), "{whole}");
    let size = 20 * GIB - 1;
    let large = announce(size).await;
    let parts = large["upload"]["parts"].as_array().unwrap();
    let part_size = large["upload"]["part_size_bytes"].as_u64().unwrap();
    assert_eq!(parts.len() as u64, size.div_ceil(part_size));
    assert!(parts.len() <= 1_000);
    assert_eq!(
        (&parts[0]["number"], &parts[319]["number"]),
        (&json!(1), &json!(320))
    );
    // Some of it is there: not enough to be looked at.
    let large = announce(5 * GIB + 10).await;
    let last = large["upload"]["parts"].as_array().unwrap().last().unwrap();
    assert_eq!(stack.put_upload(last, vec![0; 10]).await, StatusCode::OK);
    if stack.engines().is_some() {
        let longer = stack.put_upload(last, vec![0; 11]).await;
        assert_eq!(longer, StatusCode::FORBIDDEN, "S3 itself refuses another length");
        let whole = &announce(10).await["upload"];
        let longer = stack.put_upload(whole, vec![0; 11]).await;
        assert_eq!(longer, StatusCode::FORBIDDEN);
    }
    let id = large["upload_id"].as_str().unwrap();
    assert_ended(
        &restore(&stack, from_upload(id)).await,
        "failed",
        "upload_missing",
    );
    let too_large = announce(20 * GIB + 1).await;
    let id = too_large["upload_id"].as_str().unwrap();
    assert_ended(
        &restore(&stack, from_upload(id)).await,
        "failed",
        "archive_too_large",
    );
}

#[tokio::test]
async fn an_upload_waits_for_a_few_days_at_most() {
    let stack = Stack::start().await;
    let Some(engines) = stack.engines() else { return };
    let id = stack.contact(everything()).await;
    let (_, saved) = export(&stack, &id).await;
    let sent = upload(&stack, &saved).await;
    stack.advance(SignedDuration::from_hours(72));
    assert_ended(
        &restore(&stack, from_upload(&sent)).await,
        "failed",
        "upload_missing",
    );
    engines.sweep().await.unwrap();
    assert_eq!(stored(&stack, "uploads/").await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn many_uploads_are_restored_by_one_action() {
    let stack = Stack::start().await;
    let (mut ids, mut uploads) = (Vec::new(), Vec::new());
    for name in ["A", "B"] {
        let id = stack.contact(json!({ "last_name": name })).await;
        let (_, saved) = export(&stack, &id).await;
        anonymise(&stack, &id).await;
        uploads.push(upload(&stack, &saved).await);
        ids.push(id);
    }
    uploads.push(upload(&stack, b"no archive").await);
    let items = run(
        &stack,
        json!({ "kind": "restore", "selection": { "upload_ids": uploads } }),
    )
    .await;
    assert_done(&items[0]);
    assert_done(&items[1]);
    assert_ended(&items[2], "failed", "archive_unreadable");
    assert!(items[2].get("contact_id").is_none());
    assert_eq!(card(&stack, &ids[1]).await["last_name"], "B");
}

//! What happens while a restore is under way.

use jiff::SignedDuration;
use oubli_local::faults::{Call, Fault, Gate, Outcome};
use oubli_tests::Stack;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::refusals::erase;
use super::{
    anonymise, assert_done, assert_ended, card, export, files, from_archive, from_upload, persons, restore,
    stored, upload,
};
use crate::contacts::everything;

const MIB: usize = 1024 * 1024;

/// Runs a restore that stops before the restorer's first call of `operation`, lets something happen, and
/// goes on; answers its item.
async fn restore_while(
    stack: &Stack,
    body: Value,
    operation: &str,
    meanwhile: impl AsyncFnOnce(),
) -> Option<Value> {
    let gate = Gate::default();
    let hold = Fault::on(operation, Outcome::HoldBefore(gate.clone()));
    let hold = hold.from_caller("oubli-restorer").nth(1);
    stack.engines()?.faults().inject(hold);
    let action = stack
        .agent()
        .post("/v1/data-actions", body)
        .await
        .expect(StatusCode::ACCEPTED);
    let happen = async {
        gate.reached().await;
        meanwhile().await;
        gate.open();
    };
    tokio::join!(stack.drain(), happen);
    let items = stack.items(action["id"].as_str().unwrap()).await;
    Some(items[0].clone())
}

fn over_archive(archive: &str, overwrite: bool) -> Value {
    json!({ "kind": "restore", "selection": from_archive(archive), "overwrite": overwrite })
}

/// An anonymised contact with a document: its id and its archive's.
async fn gone(stack: &Stack) -> (String, String) {
    let id = stack.contact(everything()).await;
    stack.document(&id, "a.txt", b"a").await;
    let (archive, _) = export(stack, &id).await;
    anonymise(stack, &id).await;
    (id, archive)
}

#[tokio::test]
async fn a_contact_deleted_meanwhile_stays_deleted() {
    let stack = Stack::start().await;
    let (id, archive) = gone(&stack).await;
    let path = format!("/v1/contacts/{id}");
    let delete = async || assert!(stack.agent().delete(&path).await.status.is_success());
    let item = restore_while(&stack, over_archive(&archive, true), "S3.PutObject", delete).await;
    let Some(item) = item else { return };
    assert_ended(&item, "failed", "contact_absent");
    let absent = stack.agent().get(&path).await;
    assert_eq!(absent.problem(StatusCode::NOT_FOUND), "not_found");
    let keys = stored(&stack, &format!("documents/demo/{id}/")).await.unwrap();
    assert!(keys.is_empty(), "what was written is gone: {keys:?}");
    // Asked for now, it comes back.
    assert_done(&restore(&stack, from_archive(&archive)).await);
    stack.advance(SignedDuration::from_hours(1));
    stack.sweep().await;
    let documents = stack.agent().get(&format!("{path}/documents")).await.json();
    assert_eq!(documents["total"], 1);
    let keys = stored(&stack, &format!("documents/demo/{id}/")).await.unwrap();
    assert_eq!(keys.len(), 1, "{keys:?}");
}

/// Between the request and the restorer's first look at the contact, however long that takes.
#[tokio::test]
async fn what_a_member_did_after_asking_stands() {
    for overwrite in [true, false] {
        let stack = Stack::start().await;
        let id = stack.contact(everything()).await;
        let (archive, _) = export(&stack, &id).await;
        let path = format!("/v1/contacts/{id}");
        let edit = async |name: &str| {
            stack.advance(SignedDuration::from_secs(1));
            let edit = json!({ "first_name": name });
            stack.agent().patch(&path, "*", edit).await.expect(StatusCode::OK);
        };
        edit("Zoé").await;
        stack.advance(SignedDuration::from_secs(1));
        let body = over_archive(&archive, overwrite);
        let item = restore_while(&stack, body.clone(), "S3.GetObject", async || edit("Anaïs").await).await;
        let Some(item) = item else { return };
        assert_ended(&item, "failed", "contact_changed");
        assert_eq!(card(&stack, &id).await["first_name"], "Anaïs");

        let delete = async || {
            stack.advance(SignedDuration::from_secs(1));
            assert!(stack.agent().delete(&path).await.status.is_success());
        };
        let item = restore_while(&stack, body.clone(), "S3.GetObject", delete).await;
        assert_ended(&item.unwrap(), "failed", "contact_absent");
        let absent = stack.agent().get(&path).await;
        assert_eq!(absent.problem(StatusCode::NOT_FOUND), "not_found");
        // To do again what failed is not to decide it again.
        let actions = stack.agent().get("/v1/data-actions?limit=2").await;
        for action in actions.expect(StatusCode::OK)["items"].as_array().unwrap() {
            let action = action["id"].as_str().unwrap();
            stack.advance(SignedDuration::from_secs(1));
            let retry = format!("/v1/data-actions/{action}/retry");
            let retried = stack.agent().post(&retry, Value::Null).await;
            retried.expect(StatusCode::ACCEPTED);
            stack.drain().await;
            assert_ended(&stack.items(action).await[0], "failed", "contact_absent");
        }
        assert_eq!(stack.agent().get(&path).await.status, StatusCode::NOT_FOUND);
        // Asked for once more, both are given up.
        stack.advance(SignedDuration::from_secs(1));
        assert_done(&restore(&stack, from_archive(&archive)).await);
        assert_eq!(card(&stack, &id).await["first_name"], everything()["first_name"]);
    }
}

/// Between the last look at a contact before an action begins, and its beginning.
#[tokio::test]
async fn what_a_member_did_while_an_action_was_begun_stands() {
    let mut last_look = None;
    for _ in 0..2 {
        let stack = Stack::start().await;
        let Some(engines) = stack.engines() else { return };
        let faults = engines.faults();
        let id = stack.contact(everything()).await;
        let (archive, _) = export(&stack, &id).await;
        let path = format!("/v1/contacts/{id}");
        let edit = async |name: &str| {
            stack.advance(SignedDuration::from_secs(1));
            let edit = json!({ "first_name": name });
            stack.agent().patch(&path, "*", edit).await.expect(StatusCode::OK);
        };
        edit("Zoé").await;
        let mut body = over_archive(&archive, true);
        let preview = stack.agent().post("/v1/data-actions/preview", body.clone()).await;
        body["plan_hash"] = preview.expect(StatusCode::OK)["plan_hash"].clone();

        stack.advance(SignedDuration::from_secs(1));
        let agent = stack.agent();
        let begin = agent.post("/v1/data-actions", body);
        let Some(nth) = last_look else {
            faults.record();
            begin.await.expect(StatusCode::ACCEPTED);
            let calls = faults.calls();
            let mut own = calls
                .iter()
                .filter(|call| call.caller.as_deref() == Some("oubli-api"));
            let written = own.position(|call| call.operation == "DynamoDB.TransactWriteItems");
            last_look = Some(written.unwrap() as u64);
            continue;
        };
        let gate = Gate::default();
        let hold = Fault::on("*", Outcome::HoldAfter(gate.clone()));
        faults.inject(hold.from_caller("oubli-api").nth(nth));
        let happen = async {
            gate.reached().await;
            edit("Anaïs").await;
            gate.open();
        };
        let (action, ()) = tokio::join!(begin, happen);
        let action = action.expect(StatusCode::ACCEPTED)["id"].clone();
        stack.drain().await;
        let item = &stack.items(action.as_str().unwrap()).await[0];
        assert_ended(item, "failed", "contact_changed");
        assert_eq!(card(&stack, &id).await["first_name"], "Anaïs");
    }
}

#[tokio::test]
async fn who_is_erased_meanwhile_stays_erased() {
    let stack = Stack::start().await;
    let (id, archive) = gone(&stack).await;
    let erase = async || erase(&stack, &id).await;
    let item = Box::pin(restore_while(
        &stack,
        over_archive(&archive, true),
        "S3.PutObject",
        erase,
    ))
    .await;
    let Some(item) = item else { return };
    assert_ended(&item, "failed", "erased_by_request");
    assert_eq!(card(&stack, &id).await["state"], "anonymised");
    let keys = stored(&stack, &format!("documents/demo/{id}/")).await.unwrap();
    assert!(keys.is_empty(), "what was written is gone: {keys:?}");
}

#[tokio::test]
async fn an_archive_that_ends_meanwhile_restores_nothing() {
    let stack = Stack::start().await;
    let (id, archive) = gone(&stack).await;
    let expire = async || stack.advance(SignedDuration::from_hours(240));
    let item = restore_while(&stack, over_archive(&archive, false), "S3.PutObject", expire).await;
    let Some(item) = item else { return };
    assert_ended(&item, "failed", "archive_expired");
    assert_eq!(card(&stack, &id).await["state"], "anonymised");
    let keys = stored(&stack, &format!("documents/demo/{id}/")).await.unwrap();
    assert!(keys.is_empty(), "what was written is gone: {keys:?}");
}

#[tokio::test]
async fn what_a_member_did_meanwhile_stands() {
    for overwrite in [true, false] {
        let stack = Stack::start().await;
        let (id, older) = gone(&stack).await;
        let path = format!("/v1/contacts/{id}");
        // While it is restored, another restore brings it back and a member goes on with it.
        let edit = async || {
            let item = restore(&stack, from_archive(&older)).await;
            assert_done(&item);
            let edit = json!({ "first_name": "Zoé" });
            stack.agent().patch(&path, "*", edit).await.expect(StatusCode::OK);
        };
        let body = over_archive(&older, overwrite);
        let Some(item) = Box::pin(restore_while(&stack, body, "S3.PutObject", edit)).await else {
            return;
        };
        assert_ended(&item, "failed", "contact_changed");
        assert_eq!(card(&stack, &id).await["first_name"], "Zoé");
        let keys = stored(&stack, &format!("documents/demo/{id}/")).await.unwrap();
        assert_eq!(keys.len(), 1, "{keys:?}");
    }
}

#[tokio::test]
async fn only_the_bytes_that_were_verified_are_restored() {
    let stack = Stack::start().await;
    let id = stack.contact(everything()).await;
    stack.document(&id, "a.txt", b"a").await;
    let (_, saved) = export(&stack, &id).await;
    anonymise(&stack, &id).await;
    let body = json!({ "size_bytes": saved.len() });
    let agent = stack.agent();
    let new = agent
        .post("/v1/archive-uploads", body)
        .await
        .expect(StatusCode::CREATED);
    stack.put_upload(&new["upload"], saved.to_vec()).await;
    // The link is valid still: other bytes come after the first were looked at.
    let replace = async || {
        let status = stack.put_upload(&new["upload"], vec![0; saved.len()]).await;
        assert_eq!(status, StatusCode::OK);
    };
    let selection = from_upload(new["upload_id"].as_str().unwrap());
    let body = json!({ "kind": "restore", "selection": selection });
    let item = restore_while(&stack, body, "S3.GetObject", replace).await;
    let Some(item) = item else { return };
    assert_ended(&item, "failed", "archive_unreadable");
    assert_eq!(card(&stack, &id).await["state"], "anonymised");
    let sent = upload(&stack, &saved).await;
    assert_done(&restore(&stack, from_upload(&sent)).await);
}

#[tokio::test]
async fn an_archive_is_read_in_few_requests() {
    let stack = Stack::start().await;
    let Some(engines) = stack.engines() else { return };
    for (documents, most) in [(vec![1_000; 20], 1), (vec![6 * MIB; 5], 40)] {
        let id = stack.contact(everything()).await;
        for (index, length) in documents.iter().enumerate() {
            let bytes = super::noise(*length);
            stack.document(&id, &format!("{index}"), &bytes).await;
        }
        let (archive, before) = export(&stack, &id).await;
        anonymise(&stack, &id).await;
        engines.faults().record();
        assert_done(&restore(&stack, from_archive(&archive)).await);
        let reads = |call: &Call| {
            call.operation == "S3.GetObject" && call.caller.as_deref() == Some("oubli-restorer")
        };
        let count = engines.faults().calls().into_iter().filter(reads).count();
        println!("{} bytes read in {count} requests", before.len());
        assert!(
            (1..=most).contains(&count),
            "{count} requests for {} bytes",
            before.len()
        );
        let (_, after) = export(&stack, &id).await;
        assert!(persons(&files(&before)) == persons(&files(&after)));
    }
}

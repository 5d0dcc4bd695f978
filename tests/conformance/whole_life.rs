//! What Oubli calls in the course of a whole life: every call needs a check.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use oubli_local::faults::{Fault, Outcome};
use oubli_local::provision::provision;
use oubli_local::runner::parameters;
use oubli_tests::Stack;
use reqwest::StatusCode;
use serde_json::{Value, json};

/// Larger than what S3 copies in one call of ours.
const LARGE: usize = 257 * 1024 * 1024;
/// More than one part of an archive, as it is stored.
const SEVERAL_PARTS: usize = 20 * 1024 * 1024;

/// Bytes that do not become fewer when they are compressed (xorshift, Marsaglia 2003).
fn incompressible(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.take(length.div_ceil(8)).flatten().collect()
}

/// Members and groups come and go.
async fn administration(stack: &Stack) {
    let admin = stack.admin();
    let member = json!({ "id": "trainee", "name": "Théo Trainee", "email": "theo@demo.example.com" });
    admin
        .post("/v1/members", member)
        .await
        .expect(StatusCode::CREATED);
    let group =
        json!({ "name": "Trainees", "rights": ["client_contacts_privacy"], "member_ids": ["trainee"] });
    let created = admin.post("/v1/groups", group.clone()).await;
    let id = created.expect(StatusCode::CREATED)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/v1/groups/{id}");
    let etag = admin.get(&path).await.header("etag").unwrap().to_owned();
    admin.put(&path, &etag, group).await.expect(StatusCode::OK);
    admin.get("/v1/groups").await.expect(StatusCode::OK);
    admin.get("/v1/members").await.expect(StatusCode::OK);
    stack
        .member("demo", "trainee")
        .get("/v1/contacts")
        .await
        .expect(StatusCode::OK);
    for path in [path.as_str(), "/v1/members/trainee"] {
        assert_eq!(admin.delete(path).await.status, StatusCode::NO_CONTENT, "{path}");
    }
}

/// Contacts are entered, found, changed; documents come, are looked at, and go.
async fn contacts(stack: &Stack) -> (String, String) {
    let agent = stack.agent();
    let large = stack
        .contact(json!({ "last_name": "Grand", "email": "grand@example.fr" }))
        .await;
    let document = stack.document(&large, "film.mov", &vec![0; LARGE]).await;
    let documents = format!("/v1/contacts/{large}/documents");
    let link = agent.get(&format!("{documents}/{document}/content")).await;
    assert_eq!(link.status, StatusCode::SEE_OTHER);
    let answer = agent.delete(&format!("{documents}/{document}")).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    // Another, that goes with its contact.
    stack.document(&large, "note.txt", b"x").await;

    let contact = stack.contact(json!({ "last_name": "Petit" })).await;
    stack
        .document(&contact, "scan.bin", &incompressible(SEVERAL_PARTS))
        .await;
    let path = format!("/v1/contacts/{contact}");
    let etag = agent.get(&path).await.header("etag").unwrap().to_owned();
    agent
        .patch(&path, &etag, json!({ "email": "petit@example.fr" }))
        .await
        .expect(StatusCode::OK);
    for list in [
        "?limit=1",
        "?q=pet",
        "?q=petit@example.fr",
        "?sort=-created_at&state=active",
    ] {
        agent
            .get(&format!("/v1/contacts{list}"))
            .await
            .expect(StatusCode::OK);
    }
    agent
        .get(&format!("{path}/documents"))
        .await
        .expect(StatusCode::OK);
    (contact, large)
}

/// An action that meets every kind of bad luck.
async fn actions(stack: &Stack, contact: &str) -> String {
    let agent = stack.agent();
    let everyone = json!({ "kind": "export", "selection": { "filter": {} } });
    agent
        .post("/v1/data-actions/preview", everyone.clone())
        .await
        .expect(StatusCode::OK);
    let stopped = agent
        .post("/v1/data-actions", everyone)
        .await
        .expect(StatusCode::ACCEPTED);
    let stop = format!("/v1/data-actions/{}/stop", stopped["id"].as_str().unwrap());
    assert!(agent.post(&stop, Value::Null).await.status.is_success());
    stack.drain().await;

    // The first attempt cannot send its parts; the second clears up after it.
    let faults = stack.engines().unwrap().faults();
    faults.inject(Fault::on("S3.UploadPart", Outcome::Error).from_caller("oubli-archive-builder"));
    let action = stack
        .export(&[contact, "01930d2e-0000-7c3b-9b1e-4d1f0a2b3c4d"])
        .await;
    let drained = stack.drain().await;
    assert_eq!(drained.failed["archive-builder"], 1, "{drained:?}");
    faults.clear();
    for _ in 0..4 {
        stack.advance(SignedDuration::from_hours(2));
        stack.sweep().await;
        stack.drain().await;
    }
    let ended = stack.action(&action).await;
    assert_eq!(ended["state"], "completed_with_failures", "{ended}");
    assert_eq!(ended["done"], 1, "{ended}");
    for what in ["retry", "notify"] {
        let answer = agent
            .post(&format!("/v1/data-actions/{action}/{what}"), Value::Null)
            .await;
        assert!(answer.status.is_success(), "{}", answer.text());
        stack.drain().await;
    }
    agent.get("/v1/data-actions").await.expect(StatusCode::OK);
    let items = stack.items(&action).await;
    let archive = items.iter().find_map(|item| item["archive"]["id"].as_str());
    archive.unwrap().to_owned()
}

/// Runs an action; its one item must be done.
async fn done(stack: &Stack, body: Value) {
    let action = stack.agent().post("/v1/data-actions", body).await;
    let action = action.expect(StatusCode::ACCEPTED)["id"].clone();
    stack.drain().await;
    let items = stack.items(action.as_str().unwrap()).await;
    assert_eq!(items[0]["state"], "done", "{items:?}");
}

/// Anonymised and brought back, from the archive that there is and from one that was saved; and an archive
/// so large that it comes in parts, of which none has come.
async fn gone_and_back(stack: &Stack, contact: &str, archive: &str) {
    let agent = stack.agent();
    let saved = stack.archive(archive).await;
    let selection = json!({ "contact_ids": [contact] });
    let anonymise = json!({ "kind": "anonymise", "selection": selection, "acknowledged": true });
    done(stack, anonymise.clone()).await;
    let from_archive = json!({ "archive_ids": [archive] });
    done(stack, json!({ "kind": "restore", "selection": from_archive })).await;
    // Who decides in the very millisecond of a restore decided on what was there before.
    stack.advance(SignedDuration::from_secs(1));
    done(stack, json!({ "kind": "export", "selection": selection })).await;
    done(stack, anonymise).await;

    let announce = async |size_bytes: u64| {
        let body = json!({ "size_bytes": size_bytes });
        let new = agent.post("/v1/archive-uploads", body).await;
        new.expect(StatusCode::CREATED)
    };
    let new = announce(saved.len() as u64).await;
    let put = stack.put_upload(&new["upload"], saved.to_vec()).await;
    assert_eq!(put, StatusCode::OK);
    let from_upload = json!({ "upload_ids": [new["upload_id"]] });
    let restore = json!({ "kind": "restore", "selection": from_upload, "overwrite": true });
    done(stack, restore).await;

    let parts = announce((6 << 30) + 2).await;
    let last = parts["upload"]["parts"].as_array().unwrap().last().unwrap();
    assert_eq!(stack.put_upload(last, b"PK".to_vec()).await, StatusCode::OK);
    let from_parts = json!({ "upload_ids": [parts["upload_id"]] });
    let preview = json!({ "kind": "restore", "selection": from_parts });
    agent
        .post("/v1/data-actions/preview", preview.clone())
        .await
        .expect(StatusCode::OK);
    agent
        .post("/v1/data-actions", preview)
        .await
        .expect(StatusCode::ACCEPTED);
    stack.drain().await;
    stack
        .nobody()
        .get("/v1/archive-keys")
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn every_call_of_a_whole_life_has_a_check() {
    let stack = Stack::start().await;
    let Some(engines) = stack.engines() else {
        return; // The calls are the same whoever answers them.
    };
    engines.faults().record();
    let elsewhere = parameters("another".to_owned(), "http://127.0.0.1:9");
    provision(stack.runner.aws_url(), &elsewhere).await.unwrap();

    administration(&stack).await;
    let (contact, large) = contacts(&stack).await;
    let archive = actions(&stack, &contact).await;
    gone_and_back(&stack, &contact, &archive).await;
    let answer = stack.agent().delete(&format!("/v1/contacts/{large}")).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
    // The ten days pass, and those that S3's own rule may take.
    for _ in 0..15 {
        stack.advance(SignedDuration::from_hours(24));
        stack.sweep().await;
        stack.drain().await;
    }

    let mut called = BTreeMap::<_, BTreeSet<_>>::new();
    for call in engines.faults().calls() {
        let caller = call
            .caller
            .unwrap_or_else(|| "the template, or a browser".to_owned());
        called.entry(call.operation).or_default().insert(caller);
    }
    let checked = crate::checked();
    let unchecked: Vec<_> = called
        .iter()
        .filter(|(operation, _)| !checked.contains(operation.as_str()))
        .collect();
    assert!(unchecked.is_empty(), "calls without a check: {unchecked:?}");
    // What is made in place, or only where another endpoint forgot it, need not come up here.
    let rare = ["SQS.SetQueueAttributes", "SES.CreateEmailIdentity"];
    let uncalled: Vec<_> = checked
        .iter()
        .filter(|operation| !called.contains_key(**operation) && !rare.contains(operation))
        .collect();
    assert!(
        uncalled.is_empty(),
        "checks of what is never called: {uncalled:?}"
    );
}

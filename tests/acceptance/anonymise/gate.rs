//! Only what is archived as it is now can be anonymised.

use jiff::SignedDuration;
use oubli_local::faults::{Fault, Gate, Outcome};
use oubli_tests::Stack;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{SECOND, TEN_DAYS, attempt, body, export_again, exported, preview, row, start};
use crate::outside::{self, Bucket};
use crate::restore::{anonymise, assert_done, assert_ended, card};

async fn rename(stack: &Stack, contact: &str) {
    let path = format!("/v1/contacts/{contact}");
    let renamed = stack
        .agent()
        .patch(&path, "*", json!({ "first_name": "New" }))
        .await;
    renamed.expect(StatusCode::OK);
}

/// A contact without what it tells of its past.
async fn present(stack: &Stack, contact: &str) -> Value {
    let mut card = card(stack, contact).await;
    card.as_object_mut().unwrap().remove("data_actions").unwrap();
    card
}

/// What the contact itself says of being anonymised, in the list as on its card.
async fn said(stack: &Stack, contact: &str) -> Value {
    let said = card(stack, contact).await["actions"]["anonymise"].clone();
    assert_eq!(row(stack, contact).await["actions"]["anonymise"], said);
    said
}

fn refused(reason: &str) -> Value {
    json!({ "possible": false, "reason": reason })
}

#[tokio::test]
async fn every_contact_says_why_not_and_the_others_go_on() {
    let stack = Stack::start().await;
    let never = stack.contact(json!({ "last_name": "Never" })).await;
    let edited = exported(&stack, "Edited").await;
    rename(&stack, &edited).await;
    let added = exported(&stack, "Added").await;
    stack.document(&added, "new.txt", b"never archived").await;
    let emptied = stack.contact(json!({ "last_name": "Emptied" })).await;
    let document = stack.document(&emptied, "old.txt", b"archived").await;
    export_again(&stack, &emptied).await;
    let path = format!("/v1/contacts/{emptied}/documents/{document}");
    assert_eq!(stack.agent().delete(&path).await.status, StatusCode::NO_CONTENT);
    let gone = exported(&stack, "Gone").await;
    anonymise(&stack, &gone).await;
    let fine = exported(&stack, "Fine").await;
    let theirs = json!({ "last_name": "Theirs" });
    let theirs = stack.other_agent().post("/v1/contacts", theirs).await;
    let theirs = theirs.expect(StatusCode::CREATED)["id"].clone();
    let theirs = theirs.as_str().unwrap();

    let expected = [
        (never.as_str(), "no_current_archive"),
        (&edited, "contact_changed"),
        (&added, "contact_changed"),
        (&emptied, "contact_changed"),
        (&gone, "already_anonymised"),
        (theirs, "contact_absent"),
        ("absent", "contact_absent"),
    ];
    let mut before = Vec::new();
    for (contact, reason) in &expected[..5] {
        assert_eq!(said(&stack, contact).await, refused(reason), "{reason}");
        before.push(present(&stack, contact).await);
    }
    assert_eq!(said(&stack, &fine).await, json!({ "possible": true }));

    let mut ids: Vec<_> = expected.iter().map(|(id, _)| *id).collect();
    ids.insert(3, &fine);
    let plan = preview(&stack, json!({ "contact_ids": ids })).await;
    assert_eq!(
        (&plan["contacts"], &plan["blocked_count"]),
        (&json!(1), &json!(7))
    );
    let blocked = plan["blocked"].as_array().unwrap();
    for (contact, reason) in expected {
        let blocked_so = json!({ "contact_id": contact, "reason": reason });
        assert!(blocked.contains(&blocked_so), "{blocked_so} in {plan}");
    }

    let action = start(&stack, body(&ids)).await;
    stack.drain().await;
    let ended = stack.action(&action).await;
    assert_eq!(ended["state"], "completed_with_failures", "{ended}");
    let counts = ["total", "done", "failed", "skipped"].map(|name| ended[name].as_u64().unwrap());
    assert_eq!(counts, [8, 1, 6, 1]);
    for item in stack.items(&action).await {
        let Some((_, reason)) = expected.iter().find(|(id, _)| item["contact_id"] == *id) else {
            assert_eq!(item["contact_id"], fine.as_str());
            assert_done(&item);
            continue;
        };
        let state = if *reason == "already_anonymised" {
            "skipped"
        } else {
            "failed"
        };
        assert_ended(&item, state, reason);
    }
    for ((contact, reason), before) in expected.iter().zip(before) {
        assert_eq!(
            present(&stack, contact).await,
            before,
            "{reason}: nothing has changed"
        );
        let past = card(&stack, contact).await["data_actions"][0].clone();
        assert_eq!(
            (&past["id"], &past["kind"], &past["reason"]),
            (&json!(action), &json!("anonymise"), &json!(reason))
        );
    }
    let kept = stack.other_agent().get(&format!("/v1/contacts/{theirs}")).await;
    assert_eq!(kept.expect(StatusCode::OK)["state"], "active");

    // Exported again, they can be.
    for contact in [&never, &edited, &added, &emptied] {
        export_again(&stack, contact).await;
        assert_eq!(said(&stack, contact).await, json!({ "possible": true }));
        anonymise(&stack, contact).await;
    }
}

#[tokio::test]
async fn an_archive_allows_it_for_ten_days_to_the_second() {
    let stack = Stack::start().await;
    if stack.engines().is_none() {
        return;
    }
    let ids = ["Before", "Between", "After"].map(|name| json!({ "last_name": name }));
    let mut contacts = Vec::new();
    for body in ids {
        contacts.push(stack.contact(body).await);
    }
    let [before, between, after] = &contacts[..] else {
        panic!("three were entered")
    };
    let export = stack.export(&[before, between, after]).await;
    stack.drain().await;
    assert_eq!(stack.action(&export).await["state"], "completed");

    stack.advance(TEN_DAYS - SECOND);
    for contact in &contacts {
        assert_eq!(said(&stack, contact).await, json!({ "possible": true }));
    }
    assert_done(&attempt(&stack, &[before]).await[0]);
    // Started in time, and done too late.
    let late = start(&stack, body(&[between])).await;
    stack.advance(SECOND);
    stack.drain().await;
    assert_ended(&stack.items(&late).await[0], "failed", "archive_expired");
    for contact in [between, after] {
        assert_eq!(said(&stack, contact).await, refused("archive_expired"));
        let plan = preview(&stack, json!({ "contact_ids": [contact] })).await;
        assert_eq!(plan["blocked"][0]["reason"], "archive_expired");
        assert_ended(&attempt(&stack, &[contact]).await[0], "failed", "archive_expired");
        assert_eq!(card(&stack, contact).await["state"], "active");
        export_again(&stack, contact).await;
        anonymise(&stack, contact).await;
    }
}

/// The record is not believed: what is destroyed must be there.
#[tokio::test]
async fn an_archive_that_is_not_in_storage_allows_nothing() {
    let stack = Stack::start().await;
    let (lost, cut) = (exported(&stack, "Lost").await, exported(&stack, "Cut").await);
    let bucket = Bucket::archives(&stack).await;
    for (contact, left) in [(&lost, None), (&cut, Some(&b"PK"[..]))] {
        let archive = card(&stack, contact).await["last_archive"]["id"].clone();
        let archive = format!("/{}/", archive.as_str().unwrap());
        let keys = bucket.keys().await;
        let key = keys.iter().find(|key| key.contains(&archive)).unwrap();
        match left {
            None => bucket.delete(key).await,
            Some(bytes) => bucket.put(key, bytes).await,
        }
        assert_ended(
            &attempt(&stack, &[contact]).await[0],
            "failed",
            "no_current_archive",
        );
        assert_eq!(card(&stack, contact).await["state"], "active");
    }
    export_again(&stack, &lost).await;
    anonymise(&stack, &lost).await;
}

/// Exports a contact anew and keeps the export from ending; meanwhile `something` is done.
async fn while_exported(stack: &Stack, contact: &str, something: impl AsyncFnOnce()) -> String {
    let gate = Gate::default();
    let held = Fault::on("S3.PutObject", Outcome::HoldBefore(gate.clone()));
    let faults = stack.engines().unwrap().faults();
    faults.inject(held.from_caller("oubli-archive-builder"));
    let action = stack.export(&[contact]).await;
    outside::plan(stack, &action).await;
    tokio::join!(outside::build(stack, &action, contact), async {
        gate.reached().await;
        something().await;
        gate.open();
    });
    faults.clear();
    stack.drain().await;
    action
}

#[tokio::test]
async fn an_export_that_is_under_way_is_waited_for() {
    let stack = Stack::start().await;
    if stack.engines().is_none() {
        return;
    }
    let contact = exported(&stack, "Busy").await;
    let export = while_exported(&stack, &contact, async || {
        assert_eq!(said(&stack, &contact).await, refused("action_in_progress"));
        let plan = preview(&stack, json!({ "contact_ids": [contact] })).await;
        assert_eq!(plan["blocked"][0]["reason"], "action_in_progress");
        let action = start(&stack, body(&[&contact])).await;
        outside::plan(&stack, &action).await;
        outside::work(&stack, "anonymiser", &action, &contact).await;
        assert_ended(&stack.items(&action).await[0], "failed", "action_in_progress");
    })
    .await;
    assert_eq!(stack.action(&export).await["state"], "completed");
    assert_eq!(said(&stack, &contact).await, json!({ "possible": true }));
    anonymise(&stack, &contact).await;
}

#[tokio::test]
async fn an_export_that_failed_is_not_waited_for() {
    let stack = Stack::start().await;
    if stack.engines().is_none() {
        return;
    }
    let contact = stack.contact(json!({ "last_name": "Zola" })).await;
    let document = stack.document(&contact, "a.txt", b"here today").await;
    export_again(&stack, &contact).await;
    let bucket = Bucket::documents(&stack).await;
    bucket.delete(&bucket.key_of(&document).await).await;
    let failed = stack.export(&[&contact]).await;
    stack.drain().await;
    assert_ended(&stack.items(&failed).await[0], "failed", "document_unreadable");
    assert_eq!(said(&stack, &contact).await, json!({ "possible": true }));
    anonymise(&stack, &contact).await;
}

/// Whoever holds a contact and is never heard of again holds it for sixteen minutes. Should it be heard of
/// all the same, it finds the person gone, and leaves nothing of what it had read.
#[tokio::test]
async fn an_export_that_outlives_its_lease_comes_too_late() {
    let stack = Stack::start().await;
    if stack.engines().is_none() {
        return;
    }
    let contact = exported(&stack, "Slow").await;
    let bucket = Bucket::archives(&stack).await;
    let archives = bucket.keys().await;
    let export = while_exported(&stack, &contact, async || {
        stack.advance(SignedDuration::from_mins(16) - SECOND);
        assert_eq!(said(&stack, &contact).await, refused("action_in_progress"));
        stack.advance(SECOND);
        assert_eq!(said(&stack, &contact).await, json!({ "possible": true }));
        let action = start(&stack, body(&[&contact])).await;
        outside::plan(&stack, &action).await;
        outside::work(&stack, "anonymiser", &action, &contact).await;
        assert_done(&stack.items(&action).await[0]);
    })
    .await;
    assert_ended(&stack.items(&export).await[0], "failed", "already_anonymised");
    assert_eq!(
        bucket.keys().await,
        archives,
        "only the archive that allowed it is there"
    );
    assert_eq!(card(&stack, &contact).await["state"], "anonymised");
}

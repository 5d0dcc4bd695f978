//! Failures of AWS that pass: the work goes on soon after, without the janitor, and nothing of it counts as a
//! failure of the work.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::SignedDuration;
use oubli_local::faults::{Fault, Outcome};

use crate::world::{ANONYMISER, BUILDER, Feed, NOTIFIER, PLANNER, RESTORER, Want, World};

/// One attempt of a function at a call: the SDK's own tries.
const TRIES_OF_AN_ATTEMPT: u64 = 4;

/// Delivers what is to be seen, for as long as said, a second at a time; no janitor runs.
async fn work_for(world: &World, seconds: i64) {
    for _ in 0..seconds {
        world.stack.drain().await;
        world.stack.advance(SignedDuration::from_secs(1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passing_error_delays_an_export_and_its_mail_by_less_than_two_minutes() {
    for (caller, operation) in [
        (PLANNER, "DynamoDB.TransactWriteItems"),
        (PLANNER, "SQS.SendMessageBatch"),
        (BUILDER, "DynamoDB.UpdateItem"),
        (BUILDER, "DynamoDB.Query"),
        (BUILDER, "S3.GetObject"),
        (BUILDER, "KMS.Sign"),
        (BUILDER, "S3.PutObject"),
        (BUILDER, "DynamoDB.TransactWriteItems"),
        (NOTIFIER, "DynamoDB.GetItem"),
        (NOTIFIER, "SES.SendEmail"),
    ] {
        for outcome in [Outcome::Error, Outcome::Throttle] {
            let Some(world) = World::start().await else { return };
            let contact = world.contact_with("Voisin", &[b"bytes"]).await;
            let fault = Fault::on(operation, outcome.clone()).from_caller(caller);
            let struck = world.engines().faults().inject(fault.first(TRIES_OF_AN_ATTEMPT));
            let action = world.start_export(std::slice::from_ref(&contact)).await;
            work_for(&world, 120).await;
            assert_eq!(
                struck.count(),
                TRIES_OF_AN_ATTEMPT,
                "{caller} {operation} {outcome:?}"
            );
            world.expect(&action, &Want::completed(1)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finished_archive_is_not_built_again_because_recording_it_failed() {
    let Some(world) = World::start().await else { return };
    let contact = world.contact_with("Voisin", &[b"bytes"]).await;
    let fault = Fault::on("DynamoDB.TransactWriteItems", Outcome::Error).from_caller(BUILDER);
    // More than the SDK tries by itself, twice over.
    world
        .engines()
        .faults()
        .inject(fault.first(3 * TRIES_OF_AN_ATTEMPT));
    world.engines().faults().record();
    let action = world.start_export(std::slice::from_ref(&contact)).await;
    world.stack.drain().await;
    world.expect(&action, &Want::completed(1)).await;
    let calls = world.engines().faults().calls();
    let built = calls
        .iter()
        .filter(|call| call.operation == "S3.PutObject" && call.caller.as_deref() == Some(BUILDER));
    assert_eq!(built.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_ten_minutes_fails_nothing() {
    for service in ["DynamoDB", "S3", "KMS", "SES", "SQS"] {
        let Some(world) = World::start().await else { return };
        let mut people = Vec::new();
        for name in ["Un", "Deux", "Trois"] {
            people.push(world.contact_with(name, &[b"bytes"]).await);
        }
        for kind in ["export", "anonymise", "restore"] {
            let action = world
                .start_action(kind, serde_json::json!({ "contact_ids": people }))
                .await;
            for caller in [PLANNER, BUILDER, ANONYMISER, RESTORER, NOTIFIER] {
                let out = Fault::on(format!("{service}.*"), Outcome::Error).from_caller(caller);
                world.engines().faults().inject(out);
            }
            for _ in 0..20 {
                world.stack.drain().await;
                world.stack.advance(SignedDuration::from_secs(30));
            }
            world.engines().faults().clear();
            work_for(&world, 2).await;
            // What was not sent at all waits for the janitor.
            let mut feed = Feed::plain();
            world.settle(&mut feed, &[&action]).await;
            world.expect_ended(&action, &Want::completed(3)).await;
            assert_eq!(world.mails_about(&action), 1, "{service} {kind}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_that_storage_does_not_delete_end_their_item_and_not_before_a_day() {
    let Some(world) = World::start().await else { return };
    let (kept, other) = (
        world.contact_with("Un", &[b"one"]).await,
        world.contact_with("Deux", &[]).await,
    );
    let both = serde_json::json!({ "contact_ids": [kept, other] });
    let export = world.start_action("export", both.clone()).await;
    world.settle(&mut Feed::plain(), &[&export]).await;
    let refused = Fault::on("S3.DeleteObjects", Outcome::Error);
    world.engines().faults().inject(refused);
    let action = world.start_action("anonymise", both).await;
    let mut looks = 0;
    loop {
        world.stack.drain().await;
        world.stack.sweep().await;
        let now = world.stack.action(&action).await;
        if now["completed_at"].is_string() {
            break;
        }
        world.stack.advance(SignedDuration::from_mins(20));
        looks += 1;
        assert!(looks < 2 * 72, "two days: {now}");
    }
    assert!(looks >= 72, "given up within a day");
    let mut want = Want::completed(2);
    (want.state, want.done, want.failed) = ("completed_with_failures", 1, 1);
    world.expect_ended(&action, &want).await;
    let items = world.stack.items(&action).await;
    let failed = items.iter().find(|item| item["state"] == "failed").unwrap();
    assert_eq!(failed["reason"], "documents_not_deleted", "{failed}");
    assert_eq!(failed["contact_id"], kept.as_str());
    assert_eq!(world.stored("documents").await.len(), 1);

    // The janitor goes on; a retry ends the item.
    world.engines().faults().clear();
    world.stack.advance(SignedDuration::from_hours(1));
    world.stack.sweep().await;
    assert_eq!(world.stored("documents").await.len(), 0);
    world.ask(&action, "retry").await;
    world.settle(&mut Feed::plain(), &[&action]).await;
    let mut want = Want::completed(2);
    want.mails = 2..=2;
    world.expect_ended(&action, &want).await;
}

/// A batch reads so much and no more: a large contact after another large one is handed out again, and that is
/// no attempt of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_hands_large_contacts_out_again() {
    let Some(world) = World::start().await else { return };
    let mut people = Vec::new();
    for name in ["Un", "Deux", "Trois"] {
        let contact = world.contact_with(name, &[]).await;
        let update = world.tables.update_item();
        let update = update.table_name(world.setting("OUBLI_CONTACTS_TABLE"));
        let update = update.key("pk", AttributeValue::S(format!("T#demo#C#{contact}")));
        let update = update.key("sk", AttributeValue::S("CONTACT".to_owned()));
        let update = update.update_expression("SET document_bytes = :bytes");
        let bytes = AttributeValue::N((700_u64 << 20).to_string());
        update
            .expression_attribute_values(":bytes", bytes)
            .send()
            .await
            .unwrap();
        people.push(contact);
    }
    let action = world.start_export(&people).await;
    world.engines().faults().record();
    world.stack.drain().await;
    let calls = world.engines().faults().calls();
    let again = calls
        .iter()
        .filter(|call| call.operation == "SQS.SendMessageBatch" && call.caller.as_deref() == Some(BUILDER));
    // Two of the three, then one of the two.
    assert_eq!(again.count(), 3);
    world.expect(&action, &Want::completed(3)).await;
}

//! Workers that meet: two builders of one item, a stop or a retry under them, two planners.

use futures::future::join;
use jiff::SignedDuration;
use reqwest::StatusCode;
use serde_json::json;

use crate::world::{BUILDER, Delivery, Feed, PLANNER, Random, Want, World, meanwhile};

/// Longer than the lease of an item.
const LEASE: SignedDuration = SignedDuration::from_mins(17);

async fn one_delivery(world: &World, function: &str) -> Delivery {
    let mut visible = world.visible().await;
    assert_eq!(visible.len(), 1);
    let delivery = visible.remove(0);
    assert_eq!(delivery.function, function);
    delivery
}

/// A builder stands still at this call until its lease is over and another has done its work.
async fn two_builders(documents: &[&[u8]], operation: &str, after: bool) {
    let Some(world) = World::start().await else { return };
    let contact = world.contact_with("Petit", documents).await;
    let action = world.start_export(std::slice::from_ref(&contact)).await;
    world.feed_only("bulk-planner").await;
    let delivery = one_delivery(&world, "archive-builder").await;
    let gate = world.hold(BUILDER, operation, 1, after);
    let overtake = async {
        world.stack.advance(LEASE);
        assert!(world.deliver(&delivery).await);
        let ended = world.stack.action(&action).await;
        assert_eq!(ended["state"], "completed", "{ended}");
    };
    if meanwhile(world.deliver(&delivery), &gate, overtake).await {
        world.delete(&delivery).await;
    }
    world.settle(&mut Feed::plain(), &[&action]).await;
    world.expect(&action, &Want::completed(1)).await;
    world.expect_no_orphans(&[&action]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_builder_that_is_overtaken_deletes_what_it_built() {
    let large = Random(9).bytes(9 * 1024 * 1024);
    for after in [false, true] {
        for operation in ["S3.GetObject", "S3.PutObject", "DynamoDB.TransactWriteItems"] {
            two_builders(&[b"a document"], operation, after).await;
        }
        two_builders(&[&large], "S3.UploadPart", after).await;
        two_builders(&[&large], "S3.CompleteMultipartUpload", after).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_is_given_up_after_five_attempts_and_can_be_retried() {
    let Some(world) = World::start().await else { return };
    let contact = world.contact_with("Moreau", &[b"a document"]).await;
    let other = world.contact_with("Nguyen", &[]).await;
    let action = world.start_export(&[contact.clone(), other]).await;
    let faults = world.engines().faults();
    let gates: Vec<_> = (1..=5)
        .map(|nth| world.hold(BUILDER, "S3.GetObject", nth, nth % 2 == 0))
        .collect();
    let mut feed = Feed::plain().dying_at(gates);
    world.settle(&mut feed, &[&action]).await;
    assert_eq!(feed.killed, 5);
    faults.clear();
    let want = Want {
        state: "completed_with_failures",
        total: 2,
        done: 1,
        failed: 1,
        skipped: 0,
        mails: 1..=1,
    };
    world.expect(&action, &want).await;
    let items = world.stack.items(&action).await;
    let given_up = items.iter().find(|item| item["contact_id"] == contact.as_str());
    assert_eq!(given_up.unwrap()["reason"], "too_many_attempts");
    world.expect_no_orphans(&[&action]).await;

    world.ask(&action, "retry").await.expect(StatusCode::ACCEPTED);
    world.settle(&mut Feed::plain(), &[&action]).await;
    let want = Want {
        mails: 2..=2,
        ..Want::completed(2)
    };
    world.expect(&action, &want).await;
    world.expect_no_orphans(&[&action]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_leaves_what_has_begun_to_its_end() {
    for after in [false, true] {
        let Some(world) = World::start().await else { return };
        let mut contacts = Vec::new();
        for number in 0..4 {
            contacts.push(world.contact_with(&format!("Stop{number}"), &[b"bytes"]).await);
        }
        let action = world.start_export(&contacts).await;
        world.feed_only("bulk-planner").await;
        let builds = world.visible().await;
        assert_eq!(builds.len(), 4);
        let gate = world.hold(BUILDER, "DynamoDB.UpdateItem", 1, after);
        let stop = async {
            world.ask(&action, "stop").await.expect(StatusCode::ACCEPTED);
            world.feed_only("bulk-planner").await;
        };
        assert!(meanwhile(world.deliver(&builds[0]), &gate, stop).await);
        world.delete(&builds[0]).await;
        let mut feed = Feed::plain();
        world.settle(&mut feed, &[&action]).await;
        let ended = world.stack.action(&action).await;
        assert_eq!(ended["state"], "stopped", "{ended}");
        // Before its take was recorded the item had not begun.
        let begun = usize::from(after);
        let items = world.stack.items(&action).await;
        let count = |state: &str| items.iter().filter(|item| item["state"] == state).count();
        assert_eq!((count("done"), count("stopped")), (begun, 4 - begun), "{items:?}");
        assert_eq!((&ended["done"], &ended["failed"]), (&json!(begun), &json!(0)));
        assert_eq!(world.mails_about(&action), 1);
        world.expect_no_orphans(&[&action]).await;
        let again = world.ask(&action, "stop").await;
        assert_eq!(again.problem(StatusCode::CONFLICT), "action_ended");
    }
}

/// Both may ask; one run, one mail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_members_who_retry_or_stop_at_once_have_one_effect() {
    let world = World::anywhere().await;
    let action = world.start_export(&["absent".to_owned()]).await;
    world.settle(&mut Feed::plain(), &[&action]).await;
    let (one, two) = join(world.ask(&action, "retry"), world.ask(&action, "retry")).await;
    let mut statuses = [one.status, two.status];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::ACCEPTED, StatusCode::CONFLICT]);
    world.settle(&mut Feed::twice(3), &[&action]).await;
    world.expect(&action, &Want::failed(1, 2)).await;

    let action = world.start_export(&["absent".to_owned()]).await;
    let (one, two) = join(world.ask(&action, "stop"), world.ask(&action, "stop")).await;
    let mut statuses = [one.status, two.status];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::ACCEPTED, StatusCode::CONFLICT]);
    world.settle(&mut Feed::twice(4), &[&action]).await;
    assert_eq!(world.stack.action(&action).await["state"], "stopped");
    if world.stack.engines().is_some() {
        assert_eq!(world.mails_about(&action), 1);
    }
}

/// A planner that puts failed items back stands still at each of its writes while the member stops
/// the retry, and another planner does that to its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_that_meets_a_retry() {
    for nth in 1..=3 {
        for after in [false, true] {
            let Some(world) = World::start().await else { return };
            let contacts: Vec<_> = (0..91).map(|number| format!("absent-{number}")).collect();
            let action = world.start_export(&contacts).await;
            world.settle(&mut Feed::plain(), &[&action]).await;
            world.ask(&action, "retry").await.expect(StatusCode::ACCEPTED);
            let slow = one_delivery(&world, "bulk-planner").await;
            let gate = world.hold(PLANNER, "DynamoDB.TransactWriteItems", nth, after);
            let stop = async {
                world.ask(&action, "stop").await.expect(StatusCode::ACCEPTED);
                world.feed_only("bulk-planner").await;
            };
            if meanwhile(world.deliver(&slow), &gate, stop).await {
                world.delete(&slow).await;
            }
            world.engines().faults().clear();
            world.settle(&mut Feed::plain(), &[&action]).await;
            let ended = world.stack.action(&action).await;
            assert_eq!(ended["state"], "stopped", "{nth} {after} {ended}");
            let items = world.stack.items(&action).await;
            let count = |state: &str| items.iter().filter(|item| item["state"] == state).count();
            assert_eq!(count("failed") + count("stopped"), 91, "{nth} {after}");
            assert_eq!(ended["failed"], count("failed"), "{nth} {after} {ended}");
            assert_eq!(world.mails_about(&action), 2);
        }
    }
}

/// Between the moment when a chunk is taken out of the counts and the moment when its items are put
/// back, an old message finds all its items ended, and counts it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_message_that_meets_a_retry() {
    for nth in 1..=2 {
        for after in [false, true] {
            let Some(world) = World::start().await else { return };
            let contact = world.contact_with("Late", &[b"bytes"]).await;
            let stored = world.stored("documents").await.remove(0);
            let delete = world.objects.delete_object().bucket(&stored.bucket);
            delete.key(&stored.key).send().await.unwrap();
            let action = world.start_export(&[contact]).await;
            world.feed_only("bulk-planner").await;
            let build = one_delivery(&world, "archive-builder").await;
            assert!(world.deliver(&build).await);
            world.delete(&build).await;
            world.settle(&mut Feed::plain(), &[&action]).await;
            let put = world.objects.put_object().bucket(&stored.bucket);
            let body = aws_sdk_s3::primitives::ByteStream::from_static(b"bytes");
            put.key(&stored.key).body(body).send().await.unwrap();
            world.ask(&action, "retry").await.expect(StatusCode::ACCEPTED);
            let slow = one_delivery(&world, "bulk-planner").await;
            let gate = world.hold(PLANNER, "DynamoDB.TransactWriteItems", nth, after);
            let late = async {
                assert!(world.deliver(&build).await);
            };
            if meanwhile(world.deliver(&slow), &gate, late).await {
                world.delete(&slow).await;
            }
            world.engines().faults().clear();
            world.settle(&mut Feed::plain(), &[&action]).await;
            let want = Want {
                mails: 2..=2,
                ..Want::completed(1)
            };
            world.expect(&action, &want).await;
        }
    }
}

/// Two planners hand out the same chunks; a stop comes while one of them is slow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planner_that_is_late_leaves_nothing_open() {
    for (operation, nth) in [
        ("DynamoDB.TransactWriteItems", 1),
        ("SQS.SendMessageBatch", 1),
        ("DynamoDB.UpdateItem", 1),
        ("DynamoDB.TransactWriteItems", 2),
    ] {
        for after in [false, true] {
            let Some(world) = World::start().await else { return };
            let action = world.start_export(&["absent".to_owned()]).await;
            let slow = one_delivery(&world, "bulk-planner").await;
            let gate = world.hold(PLANNER, operation, nth, after);
            let stop = async {
                world.ask(&action, "stop").await.expect(StatusCode::ACCEPTED);
                world.feed_only("bulk-planner").await;
            };
            if meanwhile(world.deliver(&slow), &gate, stop).await {
                world.delete(&slow).await;
            }
            world.engines().faults().clear();
            world.settle(&mut Feed::plain(), &[&action]).await;
            let ended = world.stack.action(&action).await;
            assert_eq!(ended["state"], "stopped", "{operation} {nth} {after}");
            assert_eq!(world.mails_about(&action), 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_after_a_stop_does_what_failed() {
    let Some(world) = World::start().await else { return };
    let contact = world.contact_with("Girard", &[]).await;
    let action = world.start_export(&["absent".to_owned(), contact]).await;
    world.feed_only("bulk-planner").await;
    let builds = world.visible().await;
    let absent = builds.iter().position(|build| build.says("\"absent\""));
    assert!(world.deliver(&builds[absent.unwrap()]).await);
    world.ask(&action, "stop").await.expect(StatusCode::ACCEPTED);
    world.settle(&mut Feed::twice(1), &[&action]).await;
    let ended = world.stack.action(&action).await;
    assert_eq!(
        (&ended["state"], &ended["failed"]),
        (&json!("stopped"), &json!(1))
    );
    world.ask(&action, "retry").await.expect(StatusCode::ACCEPTED);
    world.settle(&mut Feed::twice(2), &[&action]).await;
    let ended = world.stack.action(&action).await;
    assert_eq!(ended["failed"], json!(1), "{ended}");
    assert_eq!(ended["total"], json!(2), "{ended}");
    let items = world.stack.items(&action).await;
    assert!(
        items
            .iter()
            .all(|item| item["state"] != "queued" && item["state"] != "running")
    );
    assert_eq!(world.mails_about(&action), 2);
}

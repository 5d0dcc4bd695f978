//! Every message twice, in any order, by workers side by side.

use std::collections::BTreeSet;

use oubli_local::faults::{Fault, Outcome};
use reqwest::StatusCode;

use crate::world::{Feed, Random, Want, World};

/// Contacts without documents, with one, and with several.
async fn contacts(world: &World, count: usize) -> Vec<String> {
    let mut contacts = Vec::new();
    for number in 0..count {
        let documents: Vec<Vec<u8>> = (0..number % 4)
            .map(|document| Random(document as u64).bytes(100 + 700 * number))
            .collect();
        let slices: Vec<&[u8]> = documents.iter().map(Vec::as_slice).collect();
        contacts.push(world.contact_with(&format!("Contact{number}"), &slices).await);
    }
    contacts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_twice_in_any_order() {
    let world = World::anywhere().await;
    let contacts = contacts(&world, 12).await;
    let mut actions = Vec::new();
    for seed in 0..4 {
        let action = world.start_export(&contacts).await;
        actions.push(action.clone());
        let mut feed = Feed::twice(seed);
        world.settle(&mut feed, &[&action]).await;
        let archives = world.expect(&action, &Want::completed(12)).await;
        let exported: BTreeSet<&String> = archives.keys().collect();
        assert_eq!(exported, contacts.iter().collect(), "seed {seed}");
    }
    let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
    world.expect_no_orphans(&actions).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicates_that_the_queue_makes_and_an_order_that_it_upsets() {
    let Some(world) = World::start().await else { return };
    let contacts = contacts(&world, 6).await;
    let faults = world.engines().faults();
    faults.inject(Fault::on("SQS.ReceiveMessage", Outcome::DuplicateDelivery).first(9));
    faults.inject(Fault::on("SQS.ReceiveMessage", Outcome::Reorder { seed: 11 }));
    let action = world.start_export(&contacts).await;
    world.settle(&mut Feed::twice(7), &[&action]).await;
    faults.clear();
    world.expect(&action, &Want::completed(6)).await;
    world.expect_no_orphans(&[&action]).await;
}

/// Queues may deliver what was deleted long ago.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_come_again_after_the_end_change_nothing() {
    let world = World::anywhere().await;
    let mut contacts = contacts(&world, 3).await;
    contacts.push("absent".to_owned());
    let action = world.start_export(&contacts).await;
    let mut seen = Vec::new();
    let mut feed = Feed::plain();
    loop {
        let visible = world.visible().await;
        if visible.is_empty() {
            break;
        }
        for delivery in visible {
            assert!(world.deliver(&delivery).await);
            world.delete(&delivery).await;
            seen.push(delivery);
        }
    }
    let want = Want {
        state: "completed_with_failures",
        failed: 1,
        done: 3,
        ..Want::completed(4)
    };
    let before = world.expect(&action, &want).await;
    let items = world.stack.items(&action).await;
    for _ in 0..2 {
        feed.random.shuffle(&mut seen);
        for delivery in &seen {
            assert!(world.deliver(delivery).await, "{}", delivery.function);
        }
        world.settle(&mut feed, &[&action]).await;
        assert_eq!(world.expect(&action, &want).await, before);
        assert_eq!(world.stack.items(&action).await, items);
    }
    world.expect_no_orphans(&[&action]).await;

    // Nor do those of the first run in the second.
    world.ask(&action, "retry").await.expect(StatusCode::ACCEPTED);
    for delivery in seen.iter().rev() {
        assert!(world.deliver(delivery).await, "{}", delivery.function);
    }
    world.settle(&mut feed, &[&action]).await;
    let want = Want { mails: 2..=2, ..want };
    assert_eq!(world.expect(&action, &want).await, before);
}

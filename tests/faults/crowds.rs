//! Very many workers at one action, on tables whose items and partitions take time as those of DynamoDB do.

use std::time::Duration;

use aws_lambda_events::sqs::SqsEvent;
use futures::future::join_all;
use oubli_domain::TenantId;
use oubli_domain::contact::ContactDraft;
use oubli_local::dynamodb::Contention;
use oubli_workflows::Idempotency;
use serde_json::json;

use crate::world::{Feed, Want, World};

/// Functions at work at once, each with ten messages.
const FUNCTIONS: usize = 20;
const BATCH: usize = 10;

/// A transaction of DynamoDB takes some 15 ms, a single write some 5; a partition takes 1,000 units a second.
const LIKE_DYNAMODB: Contention = Contention {
    transaction: Duration::from_millis(15),
    write: Duration::from_millis(5),
    partition_units: 1_000,
};

/// That every message of an action is done with at its first delivery, though all are worked on at once.
async fn all_at_once(world: &World, kind: &str, function: &str, contacts: &[String]) {
    let action = world.start_action(kind, json!({ "contact_ids": contacts })).await;
    world.feed_only("bulk-planner").await;
    let deliveries = world.visible().await;
    assert_eq!(deliveries.len(), contacts.len());
    world.engines().tables().contend(Some(LIKE_DYNAMODB));
    let functions = world.stack.runner.functions();
    let at_work = deliveries.chunks(BATCH).map(|batch| {
        let mut event = SqsEvent::default();
        event.records = batch.iter().map(|delivery| delivery.record.clone()).collect();
        async move { functions.handle(function, event).await }
    });
    let responses = join_all(at_work).await;
    assert_eq!(responses.len(), FUNCTIONS);
    world.engines().tables().contend(None);
    for response in responses {
        assert!(response.batch_item_failures.is_empty(), "{kind}: {response:?}");
    }
    for delivery in &deliveries {
        world.delete(delivery).await;
    }
    // The last batch to end has ended the action as well: nothing is left to the janitor.
    let ended = world.stack.action(&action).await;
    assert_eq!(ended["state"], "completed", "{ended}");
    world.settle(&mut Feed::plain(), &[&action]).await;
    let all = u64::try_from(contacts.len()).unwrap();
    world.expect_ended(&action, &Want::completed(all)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_workers_of_one_chunk_lose_nothing_and_give_nothing_up() {
    let Some(world) = World::start().await else { return };
    let tenant = TenantId::parse("demo").unwrap();
    let mut contacts = Vec::new();
    for number in 0..FUNCTIONS * BATCH {
        let draft = ContactDraft {
            last_name: format!("Name{number:03}"),
            first_name: Some("Zoé".to_owned()),
            ..ContactDraft::default()
        };
        let oubli = world.stack.runner.oubli();
        let entered = oubli.create_contact(&tenant, draft, &Idempotency::none()).await;
        contacts.push(entered.unwrap().id.to_string());
    }
    for (kind, function) in [
        ("export", "archive-builder"),
        ("anonymise", "anonymiser"),
        ("restore", "restorer"),
    ] {
        all_at_once(&world, kind, function, &contacts).await;
    }
}

//! Messages that are none.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::SignedDuration;
use oubli_cloud::SHARDS;
use serde_json::json;

use crate::world::{Feed, Want, World};

/// As long as the longest pause before a message is delivered again.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_ends_in_the_dead_letter_queue_and_its_neighbours_go_on() {
    let Some(world) = World::start().await else { return };
    let ids = json!({ "tenant_id": "demo", "action_id": "absent" });
    let mut with_unknown_field = ids.clone();
    with_unknown_field["surprise"] = json!(1);
    let poison = [
        "no JSON at all".to_owned(),
        String::from("{}"),
        "[]".to_owned(),
        with_unknown_field.to_string(),
        json!({ "tenant_id": "a#b", "action_id": "x" }).to_string(),
    ];
    for function in ["bulk-planner", "archive-builder", "notifier"] {
        for body in &poison {
            world.send(function, body).await;
        }
    }
    let contact = world.contact_with("Voisin", &[b"bytes"]).await;
    let action = world.start_export(std::slice::from_ref(&contact)).await;
    for receives in 1..=20 {
        let drained = world.stack.drain().await;
        for function in ["bulk-planner", "archive-builder", "notifier"] {
            assert_eq!(drained.failed[function], 5, "{function}, receive {receives}");
        }
        // The neighbours did not wait.
        world.expect(&action, &Want::completed(1)).await;
        world.stack.advance(LONGEST_PAUSE);
    }
    let drained = world.stack.drain().await;
    assert!(drained.failed.values().all(|failed| *failed == 0), "{drained:?}");
    let queues = world.engines().queues();
    for function in ["bulk-planner", "archive-builder", "notifier"] {
        let is_its = |name: &String| name.contains(function) && name.contains("dead-letter");
        let name = queues.names().into_iter().find(is_its).unwrap();
        let mut dead = queues.bodies(&name);
        dead.sort();
        let mut expected = poison.to_vec();
        expected.sort();
        assert_eq!(dead, expected, "{name}");
    }
    world.settle(&mut Feed::plain(), &[&action]).await;
}

/// What a message is about may be gone for good: then it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_about_what_is_not_there_are_done_with() {
    let world = World::anywhere().await;
    let contact = world.contact_with("Voisin", &[]).await;
    let action = world.start_export(std::slice::from_ref(&contact)).await;
    world.settle(&mut Feed::plain(), &[&action]).await;
    let plan = json!({ "tenant_id": "demo", "action_id": "absent" });
    let mut build = json!({ "tenant_id": "demo", "action_id": "absent", "chunk": 0, "item_id": contact });
    world.send("bulk-planner", &plan.to_string()).await;
    world.send("archive-builder", &build.to_string()).await;
    // A chunk that is not there, and another tenant's action.
    build["action_id"] = json!(action);
    build["chunk"] = json!(7);
    world.send("archive-builder", &build.to_string()).await;
    build["chunk"] = json!(0);
    build["tenant_id"] = json!("other");
    world.send("archive-builder", &build.to_string()).await;
    for about in ["absent", action.as_str()] {
        let notify = json!({ "tenant_id": "demo", "action_id": about, "mail_id": "absent" });
        world.send("notifier", &notify.to_string()).await;
    }
    let drained = world.stack.drain().await;
    assert_eq!(drained.delivered.values().sum::<u64>(), 6);
    assert!(drained.failed.values().all(|failed| *failed == 0), "{drained:?}");
    world.settle(&mut Feed::plain(), &[&action]).await;
    world.expect(&action, &Want::completed(1)).await;
    world.expect_no_orphans(&[&action]).await;
}

/// Entries of the open work that lead nowhere: they are told of, and keep nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_counted_and_its_neighbours_go_on() {
    let Some(world) = World::start().await else { return };
    let contact = world.contact_with("Voisin", &[b"bytes"]).await;
    world.start_export(std::slice::from_ref(&contact)).await;
    world.stack.advance(SignedDuration::from_mins(3));
    let table = &world.stack.runner.provisioned().environment["api"]["OUBLI_REQUESTS_TABLE"];
    let tables = aws_sdk_dynamodb::Client::new(&world.stack.aws().await);
    for shard in 0..SHARDS {
        let mut put = tables.put_item().table_name(table);
        for (name, value) in [
            ("pk", format!("NOBODY#{shard}")),
            ("sk", "NOTHING".to_owned()),
            ("open_work_pk", format!("OPEN#{shard}")),
            ("open_work_sk", "0".to_owned()),
        ] {
            put = put.item(name, AttributeValue::S(value));
        }
        put.send().await.unwrap();
    }
    let swept = world.stack.runner.oubli().sweep().await.unwrap();
    assert_eq!(
        (swept.failures, swept.actions),
        (u64::from(SHARDS), 1),
        "{swept:?}"
    );
}

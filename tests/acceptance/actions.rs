//! The life of a data action: shown, stopped, retried, its mail sent again.

use jiff::SignedDuration;
use oubli_local::faults::{Fault, Gate, Outcome};
use oubli_tests::Stack;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::outside::{self, Bucket};

async fn contacts(stack: &Stack, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for n in 0..count {
        ids.push(stack.contact(json!({ "last_name": format!("Name{n}") })).await);
    }
    ids
}

async fn export(stack: &Stack, ids: &[String]) -> String {
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    stack.export(&ids).await
}

async fn states(stack: &Stack, action: &str) -> Vec<Value> {
    stack
        .items(action)
        .await
        .into_iter()
        .map(|item| item["state"].clone())
        .collect()
}

fn path(action: &str, what: &str) -> String {
    format!("/v1/data-actions/{action}{what}")
}

#[tokio::test]
async fn an_action_is_shown_from_its_start_to_its_end() {
    let stack = Stack::start().await;
    let ids = contacts(&stack, 1).await;
    let body = json!({ "kind": "export", "selection": { "contact_ids": ids } });
    let answer = stack.agent().post("/v1/data-actions", body).await;
    let started = answer.expect(StatusCode::ACCEPTED);
    let action = started["id"].as_str().unwrap().to_owned();
    assert_eq!(answer.header("location"), Some(path(&action, "").as_str()));
    assert_eq!(
        (&started["kind"], &started["state"]),
        (&json!("export"), &json!("queued"))
    );
    assert_eq!(
        (&started["requested_by"], &started["total"]),
        (&json!("agent"), &json!(1))
    );
    assert!(started.get("completed_at").is_none());
    assert_eq!(stack.action(&action).await, started);

    outside::plan(&stack, &action).await;
    assert_eq!(stack.action(&action).await["state"], "running");
    assert_eq!(states(&stack, &action).await, ["queued"]);
    stack.advance(SignedDuration::from_secs(5));
    stack.drain().await;
    let ended = stack.action(&action).await;
    assert_eq!(
        (&ended["state"], &ended["done"]),
        (&json!("completed"), &json!(1))
    );
    if stack.engines().is_some() {
        assert_eq!(ended["completed_at"], stack.now().to_string());
    }

    // The contact's card tells it too.
    let card = stack
        .agent()
        .get(&format!("/v1/contacts/{}", ids[0]))
        .await
        .expect(StatusCode::OK);
    let archive = stack.items(&action).await[0]["archive"].clone();
    let past = &card["data_actions"][0];
    assert_eq!(
        (&past["id"], &past["kind"], &past["state"], &past["archive_id"]),
        (&json!(action), &json!("export"), &json!("done"), &archive["id"])
    );
    assert_eq!(card["last_archive"]["id"], archive["id"]);
    assert_eq!(card["last_archive"]["contact_version"], 1);
    assert_eq!(card["version"], 1, "an export changes nothing about the contact");
}

#[tokio::test]
async fn a_card_tells_when_an_export_ended() {
    let stack = Stack::start().await;
    let Some(engines) = stack.engines() else { return };
    let ids = contacts(&stack, 1).await;
    let action = export(&stack, &ids).await;
    let gate = Gate::default();
    let hold = Fault::on("S3.PutObject", Outcome::HoldBefore(gate.clone()));
    engines
        .faults()
        .inject(hold.from_caller("oubli-archive-builder").nth(1));
    let begun = stack.now();
    let go_on = async {
        gate.reached().await;
        stack.advance(SignedDuration::from_mins(3));
        gate.open();
    };
    tokio::join!(stack.drain(), go_on);
    let card = stack.agent().get(&format!("/v1/contacts/{}", ids[0])).await;
    let past = card.expect(StatusCode::OK)["data_actions"][0].clone();
    assert_eq!(past["at"], stack.now().to_string());
    // Its ten days count from the beginning.
    let archive = stack.items(&action).await[0]["archive"].clone();
    assert_eq!(archive["created_at"], begun.to_string());
}

#[tokio::test]
async fn actions_are_listed_newest_first() {
    let stack = Stack::start().await;
    let ids = contacts(&stack, 1).await;
    let mut started = Vec::new();
    for _ in 0..5 {
        started.insert(0, export(&stack, &ids).await);
        stack.advance(SignedDuration::from_secs(1));
    }
    let (mut found, mut at) = (Vec::new(), "/v1/data-actions?limit=2".to_owned());
    loop {
        let page = stack.agent().get(&at).await.expect(StatusCode::OK);
        assert_eq!(page["total"], 5);
        found.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["id"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(cursor) => at = format!("/v1/data-actions?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(found, started);
    for what in ["", "/items"] {
        let absent = stack.agent().get(&path("absent", what)).await;
        assert_eq!(absent.problem(StatusCode::NOT_FOUND), "not_found");
    }
}

#[tokio::test]
async fn a_document_that_vanished_fails_its_contact_and_no_other() {
    let stack = Stack::start().await;
    let ids = contacts(&stack, 3).await;
    let vanished = stack.document(&ids[1], "a.txt", b"here today").await;
    stack.document(&ids[1], "b.txt", b"still here").await;
    stack.document(&ids[2], "c.txt", b"here as well").await;
    let bucket = Bucket::documents(&stack).await;
    bucket.delete(&bucket.key_of(&vanished).await).await;

    let action = export(&stack, &ids).await;
    stack.drain().await;
    let ended = stack.action(&action).await;
    assert_eq!(ended["state"], "completed_with_failures");
    assert_eq!((&ended["done"], &ended["failed"]), (&json!(2), &json!(1)));
    let before = stack.items(&action).await;
    assert_eq!(
        (&before[1]["state"], &before[1]["reason"]),
        (&json!("failed"), &json!("document_unreadable"))
    );
    assert!(before[1].get("archive").is_none());
    let card = stack
        .agent()
        .get(&format!("/v1/contacts/{}", ids[1]))
        .await
        .json();
    assert_eq!(card["data_actions"][0]["reason"], "document_unreadable");
    assert!(card.get("last_archive").is_none());

    // As long as it is not there, trying again fails again, and only what failed is tried.
    let retried = stack.agent().post(&path(&action, "/retry"), Value::Null).await;
    assert_eq!(retried.expect(StatusCode::ACCEPTED)["state"], "running");
    let drained = stack.drain().await;
    assert_eq!(drained.delivered["archive-builder"], 1);
    assert_eq!(stack.items(&action).await, before);

    let document = format!("/v1/contacts/{}/documents/{vanished}", ids[1]);
    assert_eq!(
        stack.agent().delete(&document).await.status,
        StatusCode::NO_CONTENT
    );
    stack
        .agent()
        .post(&path(&action, "/retry"), json!({}))
        .await
        .expect(StatusCode::ACCEPTED);
    let running = stack.action(&action).await;
    assert!(running.get("completed_at").is_none(), "{running}");
    assert_eq!(stack.drain().await.delivered["archive-builder"], 1);
    let ended = stack.action(&action).await;
    assert_eq!(
        (&ended["state"], &ended["done"], &ended["failed"]),
        (&json!("completed"), &json!(3), &json!(0))
    );
    let after = stack.items(&action).await;
    assert_eq!(
        (&after[0], &after[2]),
        (&before[0], &before[2]),
        "what was done stays as it was"
    );
    assert_eq!(
        (&after[1]["state"], &after[1]["archive"]["state"]),
        (&json!("done"), &json!("ready"))
    );
    assert!(after[1].get("reason").is_none());
    stack.archive(after[1]["archive"]["id"].as_str().unwrap()).await;
    if let Some(engines) = stack.engines() {
        assert_eq!(
            engines.mails().outbox().len(),
            3,
            "each run that ends is told once"
        );
    }
}

#[tokio::test]
async fn a_document_whose_bytes_are_others_fails_its_contact() {
    let stack = Stack::start().await;
    let ids = contacts(&stack, 2).await;
    let bucket = Bucket::documents(&stack).await;
    for bytes in [&b"other"[..], b"shorter", b"much longer than it was"] {
        let document = stack.document(&ids[0], "a.txt", b"right").await;
        let key = bucket.key_of(&document).await;
        bucket.put(&key, bytes).await;
        let action = export(&stack, &ids).await;
        stack.drain().await;
        let items = stack.items(&action).await;
        assert_eq!(
            (&items[0]["state"], &items[0]["reason"]),
            (&json!("failed"), &json!("document_unreadable"))
        );
        assert_eq!(items[1]["state"], "done");
        let path = format!("/v1/contacts/{}/documents/{document}", ids[0]);
        assert_eq!(stack.agent().delete(&path).await.status, StatusCode::NO_CONTENT);
    }
}

#[tokio::test]
async fn stopping_before_anything_began_leaves_every_contact_stopped() {
    let stack = Stack::start().await;
    let ids = contacts(&stack, 3).await;
    // Before the planner came to it, and after.
    for planned in [false, true] {
        let action = export(&stack, &ids).await;
        if planned {
            outside::plan(&stack, &action).await;
        }
        let stopped = stack.agent().post(&path(&action, "/stop"), Value::Null).await;
        let location = path(&action, "");
        assert_eq!(stopped.header("location"), Some(location.as_str()));
        assert_eq!(stopped.expect(StatusCode::ACCEPTED)["id"], action.as_str());
        stack.drain().await;
        let ended = stack.action(&action).await;
        assert_eq!(ended["state"], "stopped", "{ended}");
        assert_eq!(
            (&ended["total"], &ended["done"], &ended["stopped"]),
            (&json!(3), &json!(0), &json!(3))
        );
        let items = stack.items(&action).await;
        assert_eq!(items.len(), 3);
        for item in items {
            assert_eq!(
                (&item["state"], &item["reason"]),
                (&json!("stopped"), &json!("action_stopped"))
            );
        }
        let again = stack.agent().post(&path(&action, "/stop"), Value::Null).await;
        assert_eq!(again.problem(StatusCode::CONFLICT), "action_ended");
        let retried = stack.agent().post(&path(&action, "/retry"), Value::Null).await;
        assert_eq!(retried.problem(StatusCode::CONFLICT), "nothing_to_retry");
    }
    let card = stack
        .agent()
        .get(&format!("/v1/contacts/{}", ids[0]))
        .await
        .json();
    assert!(card.get("last_archive").is_none());
    if let Some(engines) = stack.engines() {
        assert_eq!(engines.mails().outbox().len(), 2);
    }
}

#[tokio::test]
async fn what_had_begun_before_a_stop_is_kept() {
    let stack = Stack::start().await;
    let ids = contacts(&stack, 3).await;
    let action = export(&stack, &ids).await;
    outside::plan(&stack, &action).await;
    outside::build(&stack, &action, &ids[1]).await;
    assert_eq!(states(&stack, &action).await, ["queued", "done", "queued"]);
    assert_eq!(
        stack.action(&action).await["done"],
        1,
        "counts are shown while it runs"
    );
    stack
        .agent()
        .post(&path(&action, "/stop"), Value::Null)
        .await
        .expect(StatusCode::ACCEPTED);
    stack.drain().await;
    let ended = stack.action(&action).await;
    assert_eq!(
        (&ended["state"], &ended["done"], &ended["stopped"]),
        (&json!("stopped"), &json!(1), &json!(2))
    );
    assert_eq!(states(&stack, &action).await, ["stopped", "done", "stopped"]);
    let items = stack.items(&action).await;
    assert!(
        !stack
            .archive(items[1]["archive"]["id"].as_str().unwrap())
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn a_filter_can_be_stopped_before_it_is_planned() {
    let stack = Stack::start().await;
    contacts(&stack, 2).await;
    let body = json!({ "kind": "export", "selection": { "filter": {} } });
    let action = stack
        .agent()
        .post("/v1/data-actions", body)
        .await
        .expect(StatusCode::ACCEPTED);
    let action = action["id"].as_str().unwrap();
    stack
        .agent()
        .post(&path(action, "/stop"), Value::Null)
        .await
        .expect(StatusCode::ACCEPTED);
    stack.drain().await;
    let ended = stack.action(action).await;
    assert_eq!(
        (&ended["state"], &ended["done"], &ended["failed"]),
        (&json!("stopped"), &json!(0), &json!(0))
    );
    assert_eq!(ended["total"], ended["stopped"]);
}

#[tokio::test]
async fn each_request_has_its_time() {
    let stack = Stack::start().await;
    let ids = contacts(&stack, 1).await;
    let action = export(&stack, &ids).await;
    let agent = stack.agent();
    for what in ["/retry", "/notify"] {
        let early = agent.post(&path(&action, what), Value::Null).await;
        assert_eq!(early.problem(StatusCode::CONFLICT), "action_not_ended", "{what}");
    }
    stack.drain().await;
    let late = agent.post(&path(&action, "/stop"), Value::Null).await;
    assert_eq!(late.problem(StatusCode::CONFLICT), "action_ended");
    let nothing = agent.post(&path(&action, "/retry"), Value::Null).await;
    assert_eq!(nothing.problem(StatusCode::CONFLICT), "nothing_to_retry");
    for what in ["/stop", "/retry", "/notify"] {
        let absent = agent.post(&path("absent", what), Value::Null).await;
        assert_eq!(absent.problem(StatusCode::NOT_FOUND), "not_found", "{what}");
        let body = agent.post(&path(&action, what), json!({ "force": true })).await;
        assert_eq!(body.problem(StatusCode::BAD_REQUEST), "body_invalid", "{what}");
    }
}

//! Many contacts: stopped within a page, retried where it failed.

use std::collections::BTreeSet;

use oubli_tests::Stack;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{body, export_again, exported, start};
use crate::bulk::enter;
use crate::outside;
use crate::restore::{assert_done, assert_ended, card};

/// Two pages of the planner, and a beginning of the third.
const CONTACTS: u64 = 1_100;
const PAGE: u64 = 500;

fn counts(action: &Value) -> [u64; 5] {
    ["total", "done", "failed", "skipped", "stopped"].map(|name| action[name].as_u64().unwrap())
}

#[tokio::test]
async fn a_stop_takes_effect_within_the_page_that_is_planned() {
    let stack = Stack::start().await;
    let ids: Vec<_> = enter(&stack, CONTACTS).await.into_iter().collect();
    let workers = [
        ("export", "archive-builder"),
        ("anonymise", "anonymiser"),
        ("restore", "restorer"),
    ];
    for (kind, worker) in workers {
        let mut body = json!({ "kind": kind, "selection": { "filter": {} } });
        if kind == "anonymise" {
            body["acknowledged"] = json!(true);
        }
        let action = start(&stack, body).await;
        outside::plan(&stack, &action).await;
        outside::work(&stack, worker, &action, &ids[0]).await;
        let running = stack.action(&action).await;
        assert_eq!(
            (&running["state"], counts(&running)),
            (&json!("running"), [PAGE, 1, 0, 0, 0]),
            "{kind}"
        );
        let stop = format!("/v1/data-actions/{action}/stop");
        let stopped = stack.agent().post(&stop, Value::Null).await;
        stopped.expect(StatusCode::ACCEPTED);
        let drained = stack.drain().await;
        assert_eq!(drained.failed.values().sum::<u64>(), 0, "{drained:?}");
        assert!(drained.delivered[worker] <= PAGE, "{kind}: {drained:?}");

        let ended = stack.action(&action).await;
        assert_eq!(
            (&ended["state"], counts(&ended)),
            (&json!("stopped"), [PAGE, 1, 0, 0, PAGE - 1]),
            "{kind}"
        );
        let items = stack.items(&action).await;
        assert_eq!(items.len() as u64, PAGE);
        for item in &items {
            if item["contact_id"] == ids[0].as_str() {
                assert_done(item);
            } else {
                assert_ended(item, "stopped", "action_stopped");
            }
        }
        // A stopped action is over: later messages do nothing.
        outside::plan(&stack, &action).await;
        outside::work(&stack, worker, &action, &ids[1]).await;
        assert_eq!(stack.action(&action).await, ended);
        assert!(card(&stack, &ids[1]).await.get("last_archive").is_none());
    }
    let mails = stack.engines().map(|engines| engines.mails().outbox().len());
    assert!(mails.is_none_or(|mails| mails == workers.len()), "{mails:?}");
}

#[tokio::test]
async fn only_what_failed_is_tried_again() {
    let stack = Stack::start().await;
    let mut ids = Vec::new();
    for name in ["Zola", "Hugo", "Sand", "Dumas"] {
        ids.push(exported(&stack, name).await);
    }
    let path = format!("/v1/contacts/{}", ids[1]);
    let renamed = json!({ "first_name": "Victor" });
    let renamed = stack.agent().patch(&path, "*", renamed).await;
    renamed.expect(StatusCode::OK);
    let named: Vec<_> = ids.iter().map(String::as_str).collect();
    let action = start(&stack, body(&named)).await;
    stack.drain().await;
    let ended = stack.action(&action).await;
    assert_eq!(
        (&ended["state"], counts(&ended)),
        (&json!("completed_with_failures"), [4, 3, 1, 0, 0])
    );
    let first = stack.items(&action).await;
    assert_ended(&first[1], "failed", "contact_changed");
    let versions = async || {
        let mut versions = Vec::new();
        for id in &ids {
            versions.push(card(&stack, id).await["version"].clone());
        }
        versions
    };
    let before = versions().await;

    // As long as it is not archived, it fails again, and the others are left alone.
    let retry = format!("/v1/data-actions/{action}/retry");
    for is_exported in [false, true] {
        if is_exported {
            export_again(&stack, &ids[1]).await;
        }
        let retried = stack.agent().post(&retry, Value::Null).await;
        assert_eq!(retried.expect(StatusCode::ACCEPTED)["state"], "running");
        assert_eq!(stack.drain().await.delivered["anonymiser"], 1);
        let items = stack.items(&action).await;
        for untouched in [0, 2, 3] {
            assert_eq!(items[untouched], first[untouched]);
        }
        if is_exported {
            assert_done(&items[1]);
        } else {
            assert_ended(&items[1], "failed", "contact_changed");
            assert_eq!(versions().await, before);
        }
    }
    let ended = stack.action(&action).await;
    assert_eq!(
        (&ended["state"], counts(&ended)),
        (&json!("completed"), [4, 4, 0, 0, 0])
    );
    let numbers: BTreeSet<_> = versions().await.iter().map(Value::to_string).collect();
    assert_eq!(numbers, BTreeSet::from(["2".to_owned(), "3".to_owned()]));
    let nothing = stack.agent().post(&retry, Value::Null).await;
    assert_eq!(nothing.problem(StatusCode::CONFLICT), "nothing_to_retry");
}

use std::cell::{Cell, RefCell};
use std::io;

use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::telemetry::tests::{Captured, lines_of};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    number: u32,
}

fn event(bodies: &[(&str, &str)]) -> SqsEvent {
    let records: Vec<Value> = bodies
        .iter()
        .map(|(id, body)| json!({ "messageId": id, "body": body, "attributes": { "ApproximateReceiveCount": "2" } }))
        .collect();
    serde_json::from_value(json!({ "Records": records })).unwrap()
}

fn span_of(order: &Order) -> Span {
    tracing::info_span!("order", number = order.number)
}

fn failures(response: &SqsBatchResponse) -> Vec<&str> {
    response
        .batch_item_failures
        .iter()
        .map(|failure| failure.item_identifier.as_str())
        .collect()
}

#[tokio::test]
async fn an_empty_batch_fails_nothing() {
    let outcome = run_batch(event(&[]), 4, span_of, |_: Order, _| async {
        Err(Retry::because("never called"))
    })
    .await;
    assert_eq!(
        serde_json::to_value(outcome.response).unwrap(),
        json!({ "batchItemFailures": [] })
    );
}

#[tokio::test]
async fn a_poison_message_harms_itself_only() {
    let handled = RefCell::new(Vec::new());
    let bodies = [
        ("a", r#"{"number":1}"#),
        ("not-json", "}{"),
        ("b", r#"{"number":2}"#),
        ("unknown-field", r#"{"number":3,"last_name":"x"}"#),
        ("empty", ""),
        ("c", r#"{"number":4}"#),
    ];
    let outcome = run_batch(event(&bodies), 2, span_of, |order: Order, _| {
        handled.borrow_mut().push(order.number);
        async { Ok(()) }
    })
    .await;
    assert_eq!(
        failures(&outcome.response),
        ["not-json", "unknown-field", "empty"]
    );
    assert_eq!(
        batch_metrics(bodies.len(), &outcome.response),
        [("Records", Unit::Count, 6), ("RecordsFailed", Unit::Count, 3)]
    );
    assert_eq!(handled.into_inner(), [1, 2, 4]);
}

#[tokio::test]
async fn a_panic_is_a_retry_of_its_record() {
    let bodies = [
        ("a", r#"{"number":1}"#),
        ("b", r#"{"number":2}"#),
        ("c", r#"{"number":3}"#),
        ("d", r#"{"number":4}"#),
    ];
    let handled = Cell::new(0);
    let outcome = run_batch(event(&bodies), 4, span_of, |order: Order, _| {
        // Before the first await and after it: both are the record's own affair.
        assert_ne!(order.number, 1, "at once");
        let handled = &handled;
        async move {
            tokio::task::yield_now().await;
            assert_ne!(order.number, 3, "later");
            handled.set(handled.get() + 1);
            Ok(())
        }
    })
    .await;
    assert_eq!(failures(&outcome.response), ["a", "c"]);
    assert_eq!(handled.get(), 2);
}

#[tokio::test]
async fn records_begin_in_order_and_no_more_at_once_than_allowed() {
    let bodies: Vec<(String, String)> = (0..20)
        .map(|number| (format!("m{number}"), format!(r#"{{"number":{number}}}"#)))
        .collect();
    let bodies: Vec<(&str, &str)> = bodies
        .iter()
        .map(|(id, body)| (id.as_str(), body.as_str()))
        .collect();
    for concurrency in [0, 1, 3] {
        let begun = RefCell::new(Vec::new());
        let (running, most) = (Cell::new(0_usize), Cell::new(0_usize));
        let outcome = run_batch(event(&bodies), concurrency, span_of, |order: Order, _| {
            let (begun, running, most) = (&begun, &running, &most);
            async move {
                begun.borrow_mut().push(order.number);
                running.set(running.get() + 1);
                most.set(most.get().max(running.get()));
                // Later records are quicker: the answer must be in order all the same.
                for _ in order.number..20 {
                    tokio::task::yield_now().await;
                }
                running.set(running.get() - 1);
                Err(Retry::because("busy"))
            }
        })
        .await;
        assert_eq!(most.get(), concurrency.max(1));
        assert_eq!(begun.into_inner(), (0..20).collect::<Vec<_>>());
        assert_eq!(
            failures(&outcome.response),
            bodies.iter().map(|(id, _)| *id).collect::<Vec<_>>()
        );
    }
}

#[tokio::test]
async fn a_duplicate_is_dealt_with_twice_and_named_once() {
    let handled = Cell::new(0);
    let bodies = [
        ("a", r#"{"number":1}"#),
        ("b", r#"{"number":2}"#),
        ("a", r#"{"number":1}"#),
    ];
    let outcome = run_batch(event(&bodies), 1, span_of, |order: Order, _| {
        handled.set(handled.get() + 1);
        async move {
            if order.number == 1 {
                Err(Retry::because("busy"))
            } else {
                Ok(())
            }
        }
    })
    .await;
    assert_eq!(handled.get(), 3);
    assert_eq!(failures(&outcome.response), ["a"]);
}

#[tokio::test]
async fn a_failed_record_without_id_fails_the_batch() {
    let event: SqsEvent = serde_json::from_value(json!({ "Records": [{ "body": "no json" }] })).unwrap();
    let outcome = run_batch(event, 1, span_of, |_: Order, _| async { Ok(()) }).await;
    assert_eq!(
        failures(&outcome.response),
        [""],
        "Lambda takes an empty id as the failure of all"
    );
}

#[tokio::test]
async fn the_log_names_the_message_and_not_its_content() {
    let captured = Captured::default();
    let subscriber = captured.subscriber("info");
    let guard = tracing::subscriber::set_default(subscriber);
    let bodies = [
        ("poison", r#"{"number":"Chloé Lefèvre"}"#),
        ("named", r#"{"Chloé":"Lefèvre"}"#),
        ("busy", r#"{"number":7}"#),
    ];
    let outcome = run_batch(event(&bodies), 1, span_of, |_: Order, _| async {
        Err(Retry::because(io::Error::other("the table is throttled")))
    })
    .await;
    drop(guard);

    assert_eq!(failures(&outcome.response), ["poison", "named", "busy"]);
    let lines = lines_of(&captured);
    let ids: Vec<&Value> = lines.iter().map(|line| &line["message_id"]).collect();
    assert_eq!(ids, ["poison", "named", "busy"]);
    assert_eq!(lines[0]["kind"], "Data");
    assert_eq!(lines[2]["error"], "the table is throttled");
    assert_eq!(lines[2]["receive_count"], 2);
    assert_eq!(
        lines[2]["number"], 7,
        "the end of the work is told with the ids of the work"
    );
    assert!(!captured.text().contains("Lef"), "{}", captured.text());
}

#[tokio::test]
async fn failed_messages_say_by_what_and_how_often_they_were_delivered() {
    let record = |id: &str, body: &str, count: &str| {
        json!({
            "messageId": id, "receiptHandle": format!("handle-{id}"), "body": body,
            "attributes": { "ApproximateReceiveCount": count },
        })
    };
    let records = [
        record("a", r#"{"number":1}"#, "1"),
        record("b", r#"{"number":2}"#, "3"),
        record("c", "no json", "4"),
    ];
    let event: SqsEvent = serde_json::from_value(json!({ "Records": records })).unwrap();
    let mut outcome = run_batch(event, 1, span_of, |order: Order, receive_count| async move {
        assert_eq!(receive_count, if order.number == 1 { 1 } else { 3 });
        if order.number == 1 {
            Ok(())
        } else {
            Err(Retry::because("busy"))
        }
    })
    .await;
    let redelivery = |handle: &str, receive_count| Redelivery {
        receipt_handle: handle.to_owned(),
        receive_count,
    };
    assert_eq!(
        outcome.again,
        [redelivery("handle-b", 3), redelivery("handle-c", 4)]
    );
    outcome.fail_all();
    assert_eq!(failures(&outcome.response), ["b", "c", "a"]);
    assert_eq!(outcome.again.last(), Some(&redelivery("handle-a", 1)));
}

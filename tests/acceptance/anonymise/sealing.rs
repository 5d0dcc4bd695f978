//! While its archive lives an anonymised contact can come back; after that it is sealed.

use jiff::SignedDuration;
use oubli_tests::Stack;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{SECOND, TEN_DAYS, export_again, exported, row};
use crate::outside::Bucket;
use crate::restore::{anonymise, card, from_archive, restore};

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// What the API says of whether a contact can come back: card and list alike.
async fn told(stack: &Stack, contact: &str) -> Value {
    let (card, row) = (card(stack, contact).await, row(stack, contact).await);
    let of = |shown: &Value| {
        json!({
            "restorable_until": shown["restorable_until"],
            "sealed": shown["sealed"],
            "sealed_at": shown["sealed_at"],
            "restore": shown["actions"]["restore"]
        })
    };
    assert_eq!(of(&card), of(&row));
    of(&card)
}

fn restorable(until: &Value) -> Value {
    json!({ "restorable_until": until, "sealed": false, "sealed_at": null, "restore": { "possible": true } })
}

fn sealed(at: Option<String>) -> Value {
    let restore = json!({ "possible": false, "reason": "archive_expired" });
    json!({ "restorable_until": null, "sealed": true, "sealed_at": at, "restore": restore })
}

#[tokio::test]
async fn the_clock_seals_and_the_record_says_when_the_archive_was_seen_gone() {
    for is_told in [true, false] {
        let stack = Stack::start().await;
        let Some(engines) = stack.engines() else { return };
        let contact = exported(&stack, "Zola").await;
        let never = json!({
            "restorable_until": null, "sealed": null, "sealed_at": null,
            "restore": { "possible": false, "reason": "not_anonymised" }
        });
        assert_eq!(told(&stack, &contact).await, never);
        let until = card(&stack, &contact).await["last_archive"]["expires_at"].clone();
        stack.advance(SignedDuration::from_hours(60));
        anonymise(&stack, &contact).await;
        assert_eq!(told(&stack, &contact).await, restorable(&until));
        let archives = Bucket::archives(&stack).await;

        stack.advance(TEN_DAYS - SignedDuration::from_hours(60) - SECOND);
        stack.sweep().await;
        assert_eq!(
            told(&stack, &contact).await,
            restorable(&until),
            "to the last second"
        );
        stack.advance(SECOND);
        assert_eq!(told(&stack, &contact).await, sealed(None), "the clock rules");
        stack.advance(SECOND);
        stack.sweep().await;
        assert_eq!(told(&stack, &contact).await, sealed(None));
        assert_eq!(archives.keys().await.len(), 1, "the broom comes later");

        stack.advance(DAY);
        if is_told {
            // S3 removes the object and says so.
            stack.sweep_storage().await;
        } else {
            // The event is lost: the janitor sees it.
            engines.sweep().await.unwrap();
            assert_eq!(told(&stack, &contact).await, sealed(None));
            stack.sweep().await;
        }
        assert_eq!(archives.keys().await, [""; 0]);
        let seen_gone = sealed(Some(stack.now().to_string()));
        assert_eq!(told(&stack, &contact).await, seen_gone);
        let card = card(&stack, &contact).await;
        assert!(card.get("last_archive").is_none(), "{card}");
        assert_eq!(card["state"], "anonymised");

        stack.advance(DAY);
        stack.sweep_storage().await;
        stack.sweep().await;
        assert_eq!(told(&stack, &contact).await, seen_gone, "once");
    }
}

#[tokio::test]
async fn the_archive_that_allowed_it_counts_and_no_older_one() {
    let stack = Stack::start().await;
    if stack.engines().is_none() {
        return;
    }
    let contact = exported(&stack, "Zola").await;
    let older = card(&stack, &contact).await["last_archive"].clone();
    stack.advance(DAY * 3);
    export_again(&stack, &contact).await;
    let newer = card(&stack, &contact).await["last_archive"].clone();
    assert_ne!(older["id"], newer["id"]);
    anonymise(&stack, &contact).await;
    assert_eq!(told(&stack, &contact).await, restorable(&newer["expires_at"]));

    // The older one ends and is removed.
    stack.advance(DAY * 8);
    stack.sweep_storage().await;
    stack.sweep().await;
    let item = restore(&stack, from_archive(older["id"].as_str().unwrap())).await;
    assert_eq!(item["reason"], "archive_expired", "{item}");
    assert_eq!(told(&stack, &contact).await, restorable(&newer["expires_at"]));
    let item = restore(&stack, from_archive(newer["id"].as_str().unwrap())).await;
    assert_eq!(item["state"], "done", "{item}");

    // Of one who is back nothing is sealed when that archive ends as well.
    stack.advance(DAY * 4);
    stack.sweep_storage().await;
    stack.sweep().await;
    let card = card(&stack, &contact).await;
    assert_eq!(
        (&card["state"], &card["last_name"]),
        (&json!("active"), &json!("Zola"))
    );
    assert!(
        card.get("sealed").is_none() && card.get("sealed_at").is_none(),
        "{card}"
    );
}

/// Ten days after a mass action S3 tells of very many archives at once: they come in batches, and one message
/// that is none harms itself only.
#[tokio::test]
async fn archives_that_end_together_are_told_of_in_batches() {
    let stack = Stack::start().await;
    let Some(engines) = stack.engines() else { return };
    let mut contacts = Vec::new();
    for number in 0..25 {
        contacts.push(exported(&stack, &format!("Name{number:02}")).await);
    }
    for contact in &contacts {
        anonymise(&stack, contact).await;
    }
    stack.advance(DAY * 11);
    let queues = &stack.runner.provisioned().queues;
    let queue = queues.iter().find(|queue| queue.function == "janitor").unwrap();
    let sqs = aws_sdk_sqs::Client::new(&stack.aws().await);
    let poison = sqs
        .send_message()
        .queue_url(&queue.queue_url)
        .message_body("no event");
    poison.send().await.unwrap();

    engines.faults().record();
    stack.runner.sweep_engines().await.unwrap();
    let drained = stack.runner.drain_one("janitor").await.unwrap();
    let received = engines.faults().calls();
    let received = received
        .iter()
        .filter(|call| call.operation == "SQS.ReceiveMessage");
    assert!(received.count() <= 4, "ten at a time");
    assert_eq!((drained.delivered["janitor"], drained.failed["janitor"]), (26, 1));
    for contact in &contacts {
        assert_eq!(told(&stack, contact).await, sealed(Some(stack.now().to_string())));
    }
    let audit = stack
        .admin()
        .get("/v1/audit?limit=200")
        .await
        .expect(StatusCode::OK);
    let gone = audit["items"].as_array().unwrap().iter();
    assert_eq!(gone.filter(|entry| entry["event"] == "archive_gone").count(), 25);
}

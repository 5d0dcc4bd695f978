//! Queue semantics by a clock that stands still until it is moved.

use std::time::Duration;

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, MessageSystemAttributeName, QueueAttributeName,
    SendMessageBatchRequestEntry,
};
use jiff::SignedDuration;

use super::support::{bodies, ephemeral, queue, receive, send, sqs};

#[tokio::test]
async fn visibility_and_delay_follow_the_moved_clock() {
    let (engines, clock) = ephemeral().await;
    let client = sqs(&engines);
    let url = queue(&client, "work", &[(QueueAttributeName::VisibilityTimeout, "30")]).await;
    let delayed = client
        .send_message()
        .queue_url(&url)
        .message_body("later")
        .delay_seconds(900);
    delayed.send().await.unwrap();
    send(&client, &url, "now").await;

    let first = receive(&client, &url).await;
    assert_eq!(bodies(&first), ["now"]);
    assert_eq!(receive(&client, &url).await.len(), 0);
    clock.advance(SignedDuration::from_millis(29_999));
    assert_eq!(receive(&client, &url).await.len(), 0, "a millisecond too early");
    clock.advance(SignedDuration::from_millis(1));
    let second = receive(&client, &url).await;
    assert_eq!(bodies(&second), ["now"]);
    assert_ne!(first[0].receipt_handle(), second[0].receipt_handle());

    // The handle of the first receive says yes and deletes nothing.
    let stale = first[0].receipt_handle().unwrap();
    client
        .delete_message()
        .queue_url(&url)
        .receipt_handle(stale)
        .send()
        .await
        .unwrap();
    let depth = engines.queues().depth("work").unwrap();
    assert_eq!((depth.visible, depth.in_flight, depth.delayed), (0, 1, 1));
    let current = second[0].receipt_handle().unwrap();
    client
        .delete_message()
        .queue_url(&url)
        .receipt_handle(current)
        .send()
        .await
        .unwrap();
    assert_eq!(engines.queues().depth("work").unwrap().in_flight, 0);

    clock.advance(SignedDuration::from_secs(900 - 30));
    assert_eq!(bodies(&receive(&client, &url).await), ["later"]);
}

#[tokio::test]
async fn a_long_poll_wakes_when_the_clock_is_moved() {
    let (engines, clock) = ephemeral().await;
    let client = sqs(&engines);
    let url = queue(&client, "work", &[]).await;
    client
        .send_message()
        .queue_url(&url)
        .message_body("x")
        .delay_seconds(600)
        .send()
        .await
        .unwrap();
    engines.faults().record();
    let poll = tokio::spawn(
        client
            .receive_message()
            .queue_url(&url)
            .wait_time_seconds(20)
            .send(),
    );
    while engines.faults().calls().is_empty() {
        tokio::task::yield_now().await;
    }
    clock.advance(SignedDuration::from_secs(600));
    let received = tokio::time::timeout(Duration::from_secs(10), poll)
        .await
        .expect("the poll was not woken");
    assert_eq!(received.unwrap().unwrap().messages().len(), 1);
}

#[tokio::test]
async fn a_message_goes_to_the_dead_letter_queue_after_exactly_its_receives() {
    let (engines, clock) = ephemeral().await;
    let client = sqs(&engines);
    let dead = queue(&client, "work-dlq", &[]).await;
    let policy =
        r#"{"deadLetterTargetArn":"arn:aws:sqs:eu-west-3:000000000000:work-dlq","maxReceiveCount":5}"#;
    let url = queue(&client, "work", &[(QueueAttributeName::RedrivePolicy, policy)]).await;
    send(&client, &url, "poison").await;
    for expected in 1..=5 {
        let received = receive(&client, &url).await;
        let attributes = received[0].attributes().unwrap();
        let count = &attributes[&MessageSystemAttributeName::ApproximateReceiveCount];
        assert_eq!(*count, expected.to_string());
        assert_eq!(
            receive(&client, &dead).await.len(),
            0,
            "moved after {expected} receives"
        );
        clock.advance(SignedDuration::from_secs(30));
    }
    send(&client, &url, "healthy").await;
    assert_eq!(
        engines.queues().depth("work-dlq").unwrap().visible,
        0,
        "moved without a receive"
    );
    assert_eq!(bodies(&receive(&client, &url).await), ["healthy"]);
    let moved = receive(&client, &dead).await;
    assert_eq!(bodies(&moved), ["poison"]);
    let source = &moved[0].attributes().unwrap()[&MessageSystemAttributeName::DeadLetterQueueSourceArn];
    assert_eq!(source, "arn:aws:sqs:eu-west-3:000000000000:work");
}

#[tokio::test]
async fn batches_answer_for_each_entry_and_limits_are_exact() {
    let (engines, clock) = ephemeral().await;
    let client = sqs(&engines);
    let url = queue(&client, "work", &[]).await;
    let entry = |id: &str, body: String, delay: i32| {
        let entry = SendMessageBatchRequestEntry::builder()
            .id(id)
            .message_body(body)
            .delay_seconds(delay);
        entry.build().unwrap()
    };
    let entries = vec![entry("good", "a".into(), 0), entry("bad", "b".into(), 901)];
    let sent = client
        .send_message_batch()
        .queue_url(&url)
        .set_entries(Some(entries))
        .send()
        .await
        .unwrap();
    assert_eq!(sent.successful()[0].id(), "good");
    assert_eq!(
        (sent.failed()[0].id(), sent.failed()[0].code()),
        ("bad", "InvalidParameterValue")
    );

    let mebibyte = 1 << 20;
    let whole = client
        .send_message()
        .queue_url(&url)
        .message_body("x".repeat(mebibyte));
    whole.send().await.unwrap();
    let over = client
        .send_message()
        .queue_url(&url)
        .message_body("x".repeat(mebibyte + 1));
    assert_eq!(
        over.send().await.unwrap_err().code(),
        Some("InvalidParameterValue")
    );
    let halves = vec![
        entry("1", "x".repeat(mebibyte / 2), 0),
        entry("2", "x".repeat(mebibyte / 2 + 1), 0),
    ];
    let over = client
        .send_message_batch()
        .queue_url(&url)
        .set_entries(Some(halves))
        .send()
        .await;
    assert!(over.unwrap_err().into_service_error().is_batch_request_too_long());
    let twice = vec![entry("1", "a".into(), 0), entry("1", "b".into(), 0)];
    let twice = client
        .send_message_batch()
        .queue_url(&url)
        .set_entries(Some(twice))
        .send()
        .await;
    assert!(
        twice
            .unwrap_err()
            .into_service_error()
            .is_batch_entry_ids_not_distinct()
    );

    let received = receive(&client, &url).await;
    let handle = received[0].receipt_handle().unwrap();
    let change = |id: &str, handle: &str| {
        let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
            .id(id)
            .receipt_handle(handle);
        entry.visibility_timeout(0).build().unwrap()
    };
    let entries = vec![change("1", handle), change("2", "not a handle")];
    let request = client
        .change_message_visibility_batch()
        .queue_url(&url)
        .set_entries(Some(entries));
    let changed = request.send().await.unwrap();
    assert_eq!(changed.successful()[0].id(), "1");
    assert_eq!(changed.failed()[0].code(), "ReceiptHandleIsInvalid");
    assert_eq!(engines.queues().depth("work").unwrap().visible, 1);

    clock.advance(SignedDuration::from_hours(4 * 24));
    let depth = engines.queues().depth("work").unwrap();
    assert_eq!(
        (depth.visible, depth.in_flight),
        (0, 0),
        "four days is how long a message is kept"
    );
}

#[tokio::test]
async fn a_receive_hides_a_message_for_twelve_hours_in_all() {
    const TWELVE_HOURS: i32 = 43_200;
    let (engines, clock) = ephemeral().await;
    let client = sqs(&engines);
    let url = queue(
        &client,
        "work",
        &[(QueueAttributeName::VisibilityTimeout, "3600")],
    )
    .await;
    send(&client, &url, "long").await;
    let received = receive(&client, &url).await;
    let handle = received[0].receipt_handle().unwrap();
    let hide = |handle: &str, seconds: i32| {
        let request = client.change_message_visibility().queue_url(&url);
        request.receipt_handle(handle).visibility_timeout(seconds).send()
    };
    hide(handle, TWELVE_HOURS).await.unwrap();
    let over = hide(handle, TWELVE_HOURS + 1).await.unwrap_err();
    assert_eq!(over.code(), Some("InvalidParameterValue"));
    clock.advance(SignedDuration::from_hours(1));
    let over = hide(handle, TWELVE_HOURS - 3_599).await.unwrap_err();
    assert_eq!(over.code(), Some("InvalidParameterValue"));
    assert!(over.message().unwrap().contains("Total VisibilityTimeout"));
    hide(handle, TWELVE_HOURS - 3_600).await.unwrap();
    // The next receive begins anew.
    clock.advance(SignedDuration::from_hours(11));
    let received = receive(&client, &url).await;
    hide(received[0].receipt_handle().unwrap(), TWELVE_HOURS)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_batch_names_its_entries() {
    let (engines, _) = ephemeral().await;
    let client = sqs(&engines);
    let url = queue(&client, "work", &[]).await;
    let batch = |ids: Vec<String>| {
        let entries = ids.into_iter().map(|id| {
            let entry = SendMessageBatchRequestEntry::builder().id(id).message_body("x");
            entry.build().unwrap()
        });
        let request = client.send_message_batch().queue_url(&url);
        request.set_entries(Some(entries.collect())).send()
    };
    batch(vec!["x".repeat(80)]).await.unwrap();
    for wrong in ["x".repeat(81), "a.b".to_owned(), String::new()] {
        let refused = batch(vec![wrong]).await.unwrap_err().into_service_error();
        assert!(refused.is_invalid_batch_entry_id());
    }
    let refused = batch((0..11).map(|number| number.to_string()).collect()).await;
    assert!(
        refused
            .unwrap_err()
            .into_service_error()
            .is_too_many_entries_in_batch_request()
    );
    let refused = batch(Vec::new()).await.unwrap_err().into_service_error();
    assert!(refused.is_empty_batch_request());
}

#[tokio::test]
async fn a_fifo_group_keeps_its_order_and_stands_still_while_a_message_is_in_flight() {
    let (engines, clock) = ephemeral().await;
    let client = sqs(&engines);
    let attributes = [
        (QueueAttributeName::FifoQueue, "true"),
        (QueueAttributeName::ContentBasedDeduplication, "true"),
    ];
    let url = queue(&client, "work.fifo", &attributes).await;
    let send = |group: &'static str, body: &'static str| {
        client
            .send_message()
            .queue_url(&url)
            .message_group_id(group)
            .message_body(body)
            .send()
    };
    let first = send("a", "1").await.unwrap();
    assert_eq!(send("a", "1").await.unwrap().message_id, first.message_id);
    send("a", "2").await.unwrap();
    send("b", "3").await.unwrap();

    let one = client
        .receive_message()
        .queue_url(&url)
        .send()
        .await
        .unwrap()
        .messages
        .unwrap();
    assert_eq!(bodies(&one), ["1"]);
    assert_eq!(
        bodies(&receive(&client, &url).await),
        ["3"],
        "group a stands still"
    );
    clock.advance(SignedDuration::from_secs(30));
    let handle = one[0].receipt_handle().unwrap();
    let late = client
        .delete_message()
        .queue_url(&url)
        .receipt_handle(handle)
        .send()
        .await;
    assert_eq!(
        late.unwrap_err().code(),
        Some("InvalidParameterValue"),
        "the handle has expired"
    );
    assert_eq!(bodies(&receive(&client, &url).await), ["1", "2", "3"]);

    clock.advance(SignedDuration::from_secs(5 * 60));
    assert_ne!(
        send("a", "1").await.unwrap().message_id,
        first.message_id,
        "five minutes are over"
    );
    let missing = client
        .send_message()
        .queue_url(&url)
        .message_body("no group")
        .send()
        .await;
    assert_eq!(missing.unwrap_err().code(), Some("MissingParameter"));
}

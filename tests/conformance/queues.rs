//! SQS: delivery at least once, and what becomes of poison.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
};

use crate::aws::{Aws, declare_checks};

declare_checks! {
    a_message_comes_once_while_it_is_worked_on:
        "SQS.SendMessage" "SQS.ReceiveMessage" "SQS.DeleteMessageBatch";
    what_failed_comes_again_when_it_is_asked_for: "SQS.ChangeMessageVisibilityBatch" "SQS.ReceiveMessage";
    ten_messages_go_in_one_call: "SQS.SendMessageBatch" "SQS.ReceiveMessage";
    messages_of_a_group_do_not_wait_for_each_other: "SQS.SendMessage" "SQS.SendMessageBatch" "SQS.ReceiveMessage";
    what_fails_five_times_goes_to_the_dead: "SQS.ReceiveMessage" "SQS.GetQueueAttributes";
    attributes_are_changed_in_place: "SQS.SetQueueAttributes" "SQS.GetQueueAttributes";
}

impl Aws {
    /// A queue of the check's own, so that messages of others do not come in between.
    async fn queue(&self, attributes: &[(QueueAttributeName, String)]) -> String {
        let name = format!("{}-{}", self.name("oubli-check"), std::process::id());
        let mut request = self.queues.create_queue().queue_name(name);
        for (name, value) in attributes {
            request = request.attributes(name.clone(), value);
        }
        request.send().await.unwrap().queue_url.unwrap()
    }

    async fn receive(&self, queue: &str) -> Vec<Message> {
        let request = self.queues.receive_message().queue_url(queue);
        let request = request
            .max_number_of_messages(10)
            .wait_time_seconds(0)
            .message_system_attribute_names(MessageSystemAttributeName::All);
        request.send().await.unwrap().messages.unwrap_or_default()
    }

    async fn attribute(&self, queue: &str, name: QueueAttributeName) -> String {
        let request = self.queues.get_queue_attributes().queue_url(queue);
        let answer = request.attribute_names(name.clone()).send().await.unwrap();
        answer.attributes.unwrap()[&name].clone()
    }
}

fn received(message: &Message) -> &str {
    &message.attributes.as_ref().unwrap()[&MessageSystemAttributeName::ApproximateReceiveCount]
}

/// Two deliveries, of which one is to end at once: only its message is delivered again before the queue's own
/// visibility timeout is over.
async fn what_failed_comes_again_when_it_is_asked_for(aws: Arc<Aws>) {
    let queue = aws
        .queue(&[(QueueAttributeName::VisibilityTimeout, "900".to_owned())])
        .await;
    for body in ["soon", "later"] {
        let send = aws.queues.send_message().queue_url(&queue).message_body(body);
        send.send().await.unwrap();
    }
    let mut messages = aws.receive(&queue).await;
    while messages.len() < 2 {
        messages.extend(aws.receive(&queue).await);
    }
    let entry = |message: &Message| {
        let seconds = if message.body() == Some("soon") { 0 } else { 600 };
        ChangeMessageVisibilityBatchRequestEntry::builder()
            .id(message.body().unwrap())
            .receipt_handle(message.receipt_handle().unwrap())
            .visibility_timeout(seconds)
            .build()
            .unwrap()
    };
    let change = aws.queues.change_message_visibility_batch().queue_url(&queue);
    let change = change.set_entries(Some(messages.iter().map(entry).collect()));
    let changed = change.send().await.unwrap();
    assert_eq!((changed.successful().len(), changed.failed().len()), (2, 0));
    let again = aws.receive(&queue).await;
    assert_eq!(again.len(), 1, "{again:?}");
    assert_eq!((again[0].body(), received(&again[0])), (Some("soon"), "2"));
}

async fn a_message_comes_once_while_it_is_worked_on(aws: Arc<Aws>) {
    let queue = aws
        .queue(&[(QueueAttributeName::VisibilityTimeout, "900".to_owned())])
        .await;
    let body = r#"{"tenant_id":"demo","action_id":"é"}"#;
    let sent = aws.queues.send_message().queue_url(&queue).message_body(body);
    let sent = sent.send().await.unwrap();
    let messages = aws.receive(&queue).await;
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].body(), Some(body));
    assert_eq!(messages[0].message_id(), sent.message_id());
    assert_eq!(messages[0].md5_of_body(), sent.md5_of_message_body());
    assert_eq!(received(&messages[0]), "1");
    assert!(aws.receive(&queue).await.is_empty());
    // Given back, it comes again, under another receipt.
    let back = aws.queues.change_message_visibility().queue_url(&queue);
    let back = back.set_receipt_handle(messages[0].receipt_handle.clone());
    back.visibility_timeout(0).send().await.unwrap();
    let again = aws.receive(&queue).await;
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].message_id(), messages[0].message_id());
    assert_eq!(received(&again[0]), "2");
    let entry = DeleteMessageBatchRequestEntry::builder()
        .id("0")
        .receipt_handle(again[0].receipt_handle().unwrap())
        .build()
        .unwrap();
    let delete = aws.queues.delete_message_batch().queue_url(&queue).entries(entry);
    let deleted = delete.send().await.unwrap();
    assert_eq!((deleted.successful().len(), deleted.failed().len()), (1, 0));
    let left = aws
        .attribute(&queue, QueueAttributeName::ApproximateNumberOfMessagesNotVisible)
        .await;
    assert_eq!(left, "0");
}

async fn ten_messages_go_in_one_call(aws: Arc<Aws>) {
    let queue = aws.queue(&[]).await;
    let bodies: BTreeSet<_> = (0..10).map(|index| format!("message {index}")).collect();
    let entries = bodies.iter().enumerate().map(|(index, body)| {
        SendMessageBatchRequestEntry::builder()
            .id(index.to_string())
            .message_body(body)
            .build()
            .unwrap()
    });
    let request = aws.queues.send_message_batch().queue_url(&queue);
    let answer = request.set_entries(Some(entries.collect())).send().await.unwrap();
    assert_eq!((answer.successful().len(), answer.failed().len()), (10, 0));
    let mut got = BTreeSet::new();
    while got.len() < bodies.len() {
        let messages = aws.receive(&queue).await;
        assert!(!messages.is_empty(), "only {got:?} came");
        got.extend(messages.iter().map(|message| message.body().unwrap().to_owned()));
    }
    assert_eq!(got, bodies);
}

/// A group on a standard queue is for fairness alone: it orders nothing and holds nothing back ("Amazon SQS
/// fair queues", Amazon SQS Developer Guide).
async fn messages_of_a_group_do_not_wait_for_each_other(aws: Arc<Aws>) {
    let queue = aws
        .queue(&[(QueueAttributeName::VisibilityTimeout, "900".to_owned())])
        .await;
    let send = aws.queues.send_message().queue_url(&queue).message_body("0");
    send.message_group_id("demo").send().await.unwrap();
    let entries = ["demo", "other", "demo"]
        .iter()
        .enumerate()
        .map(|(index, group)| {
            SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_body(format!("{}", index + 1))
                .message_group_id(*group)
                .build()
                .unwrap()
        });
    let request = aws.queues.send_message_batch().queue_url(&queue);
    let answer = request.set_entries(Some(entries.collect())).send().await.unwrap();
    assert_eq!((answer.successful().len(), answer.failed().len()), (3, 0));
    let plain = aws.queues.send_message().queue_url(&queue).message_body("4");
    plain.send().await.unwrap();
    let mut groups = BTreeSet::new();
    while groups.len() < 5 {
        let messages = aws.receive(&queue).await;
        assert!(!messages.is_empty(), "only {groups:?} came");
        for message in messages {
            let attributes = message.attributes.unwrap_or_default();
            let group = attributes.get(&MessageSystemAttributeName::MessageGroupId);
            groups.insert((message.body.unwrap(), group.cloned()));
        }
    }
    let of = |body: &str, group: Option<&str>| (body.to_owned(), group.map(str::to_owned));
    let expected = [
        of("0", Some("demo")),
        of("1", Some("demo")),
        of("2", Some("other")),
        of("3", Some("demo")),
        of("4", None),
    ];
    assert_eq!(groups, BTreeSet::from(expected));
}

async fn what_fails_five_times_goes_to_the_dead(aws: Arc<Aws>) {
    let dead = aws.queue(&[]).await;
    let arn = aws.attribute(&dead, QueueAttributeName::QueueArn).await;
    let redrive = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":5}}"#);
    let attributes = [
        (QueueAttributeName::RedrivePolicy, redrive),
        (QueueAttributeName::VisibilityTimeout, "0".to_owned()),
    ];
    let queue = aws.queue(&attributes).await;
    let send = aws.queues.send_message().queue_url(&queue);
    send.message_body("poison").send().await.unwrap();
    for turn in 1..=5 {
        let messages = aws.receive(&queue).await;
        assert_eq!(messages.len(), 1, "turn {turn}");
        assert_eq!(received(&messages[0]), turn.to_string());
    }
    assert!(aws.receive(&queue).await.is_empty(), "a sixth time");
    let messages = aws.receive(&dead).await;
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].body(), Some("poison"));
}

async fn attributes_are_changed_in_place(aws: Arc<Aws>) {
    let queue = aws.queue(&[]).await;
    let request = aws.queues.set_queue_attributes().queue_url(&queue);
    let request = request.attributes(QueueAttributeName::VisibilityTimeout, "720");
    request.send().await.unwrap();
    let found = aws.attribute(&queue, QueueAttributeName::VisibilityTimeout).await;
    assert_eq!(found, "720");
}

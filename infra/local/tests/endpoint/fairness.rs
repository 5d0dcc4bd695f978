//! Fairness between the groups of a standard queue.

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageSystemAttributeName, SendMessageBatchRequestEntry};

use super::support::{bodies, ephemeral, frozen, kept, queue, receive, sqs};

const NOISY: usize = 10_000;

/// Sends messages of one group, ten at a time, named by the group and their number.
async fn send_many(client: &Client, url: &str, group: &str, count: usize) {
    let numbers: Vec<usize> = (0..count).collect();
    for ten in numbers.chunks(10) {
        let entries = ten.iter().map(|number| {
            SendMessageBatchRequestEntry::builder()
                .id(number.to_string())
                .message_body(format!("{group} {number}"))
                .message_group_id(group)
                .build()
                .unwrap()
        });
        let request = client.send_message_batch().queue_url(url);
        let sent = request.set_entries(Some(entries.collect())).send().await.unwrap();
        assert_eq!(sent.failed(), []);
    }
}

async fn next_body(client: &Client, url: &str) -> String {
    let received = client.receive_message().queue_url(url).send().await.unwrap();
    received.messages()[0].body().unwrap().to_owned()
}

#[tokio::test]
async fn a_quiet_group_does_not_wait_behind_ten_thousand_messages_of_a_noisy_one() {
    let (engines, _) = ephemeral().await;
    let client = sqs(&engines);
    let url = queue(&client, "work", &[]).await;
    send_many(&client, &url, "noisy", NOISY).await;
    let first = receive(&client, &url).await;
    let in_order: Vec<String> = (0..10).map(|number| format!("noisy {number}")).collect();
    assert_eq!(bodies(&first), in_order, "a group alone is taken in order");

    send_many(&client, &url, "quiet", 2).await;
    let depth = engines.queues().depth("work").unwrap();
    assert_eq!((depth.visible, depth.in_flight), (NOISY - 10 + 2, 10));
    assert_eq!(next_body(&client, &url).await, "quiet 0");
    assert_eq!(next_body(&client, &url).await, "quiet 1");
    assert_eq!(next_body(&client, &url).await, "noisy 10");

    // Once nothing of the noisy group is in flight, both are taken in turn.
    let (engines, _) = ephemeral().await;
    let client = sqs(&engines);
    let url = queue(&client, "work", &[]).await;
    send_many(&client, &url, "noisy", 100).await;
    send_many(&client, &url, "quiet", 2).await;
    let received = receive(&client, &url).await;
    let expected = ["noisy 0", "quiet 0", "noisy 1", "quiet 1", "noisy 2"];
    assert_eq!(bodies(&received)[..5], expected);
}

#[tokio::test]
async fn a_group_is_told_and_outlives_the_engines() {
    let folder = tempfile::tempdir().unwrap();
    let clock = frozen();
    let engines = kept(folder.path(), &clock).await.unwrap();
    let client = sqs(&engines);
    let url = queue(&client, "work", &[]).await;
    send_many(&client, &url, "noisy", 20).await;
    assert_eq!(receive(&client, &url).await.len(), 10);
    send_many(&client, &url, "quiet", 1).await;
    engines.shutdown().await;

    let engines = kept(folder.path(), &clock).await.unwrap();
    let client = sqs(&engines);
    let url = client.get_queue_url().queue_name("work").send().await.unwrap();
    let received = receive(&client, url.queue_url().unwrap()).await;
    assert_eq!(bodies(&received)[..2], ["quiet 0", "noisy 10"]);
    let attributes = received[0].attributes().unwrap();
    assert_eq!(attributes[&MessageSystemAttributeName::MessageGroupId], "quiet");
}

#[tokio::test]
async fn a_group_that_cannot_be_is_refused() {
    let (engines, _) = ephemeral().await;
    let client = sqs(&engines);
    let url = queue(&client, "work", &[]).await;
    let send = |group: String| {
        let request = client.send_message().queue_url(&url).message_body("x");
        request.message_group_id(group).send()
    };
    send("!".repeat(128)).await.unwrap();
    for group in ["x".repeat(129), "a b".to_owned(), "é".to_owned()] {
        let refused = send(group).await.unwrap_err();
        assert_eq!(refused.code(), Some("InvalidParameterValue"));
    }
}

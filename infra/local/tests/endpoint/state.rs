//! What is kept over restarts, what is refused at the start, what the clock removes.

use aws_sdk_dynamodb::types::{AttributeValue, PointInTimeRecoverySpecification, TimeToLiveSpecification};
use aws_sdk_sqs::types::QueueAttributeName;
use jiff::SignedDuration;
use oubli_local::engines::{EngineOptions, Engines};
use tempfile::TempDir;

use super::support::{
    START, bodies, dynamodb, ephemeral, frozen, has, kept, put, queue, receive, send, ses, simple_mail, sqs,
    table,
};

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let state = TempDir::new().unwrap();
    let clock = frozen();
    let engines = kept(state.path(), &clock).await.unwrap();
    let (queues, tables, mails) = (sqs(&engines), dynamodb(&engines, "tests"), ses(&engines));
    let url = queue(&queues, "work", &[(QueueAttributeName::VisibilityTimeout, "60")]).await;
    for body in ["deleted", "held", "waiting"] {
        send(&queues, &url, body).await;
    }
    let request = queues.receive_message().queue_url(&url).max_number_of_messages(2);
    let received = request.send().await.unwrap().messages.unwrap();
    assert_eq!(bodies(&received), ["deleted", "held"]);
    let handle = received[0].receipt_handle().unwrap();
    queues
        .delete_message()
        .queue_url(&url)
        .receipt_handle(handle)
        .send()
        .await
        .unwrap();
    table(&tables).await;
    let recovery = PointInTimeRecoverySpecification::builder()
        .point_in_time_recovery_enabled(true)
        .build()
        .unwrap();
    let backups = tables.update_continuous_backups().table_name("things");
    backups
        .point_in_time_recovery_specification(recovery)
        .send()
        .await
        .unwrap();
    put(&tables, "kept").send().await.unwrap();
    mails
        .create_email_identity()
        .email_identity("example.com")
        .send()
        .await
        .unwrap();
    simple_mail(&mails, "no-reply@example.com", "one@example.org")
        .send()
        .await
        .unwrap();
    let outbox = engines.mails().outbox();
    engines.shutdown().await;

    // What a kill in the middle of a write leaves.
    let journal = state.path().join("queues.jsonl");
    let mut text = std::fs::read(&journal).unwrap();
    text.extend(br#"{"event":"removed","queue":"wo"#);
    std::fs::write(&journal, text).unwrap();

    let engines = kept(state.path(), &clock).await.unwrap();
    let (queues, tables) = (sqs(&engines), dynamodb(&engines, "tests"));
    let url = queues
        .get_queue_url()
        .queue_name("work")
        .send()
        .await
        .unwrap()
        .queue_url
        .unwrap();
    assert_eq!(bodies(&receive(&queues, &url).await), ["waiting"]);
    let held = received[1].receipt_handle().unwrap();
    queues
        .delete_message()
        .queue_url(&url)
        .receipt_handle(held)
        .send()
        .await
        .unwrap();
    assert_eq!(engines.queues().bodies("work"), ["waiting"]);
    assert!(has(&tables, "kept").await);
    let backups = tables
        .describe_continuous_backups()
        .table_name("things")
        .send()
        .await
        .unwrap();
    let recovery = backups
        .continuous_backups_description
        .unwrap()
        .point_in_time_recovery_description
        .unwrap();
    assert_eq!(
        recovery.point_in_time_recovery_status.unwrap().as_str(),
        "ENABLED"
    );
    assert_eq!(engines.mails().outbox(), outbox);
    assert_eq!(outbox.len(), 1);
}

#[tokio::test]
async fn damaged_state_is_said_not_lost() {
    let clock = frozen();
    let state = TempDir::new().unwrap();
    std::fs::write(
        state.path().join("queues.jsonl"),
        "{\"queues_format\":1}\nnonsense\n",
    )
    .unwrap();
    let error = kept(state.path(), &clock).await.err().unwrap().to_string();
    assert!(
        error.contains("queues.jsonl") && error.contains("damaged at line 2"),
        "{error}"
    );

    std::fs::write(state.path().join("queues.jsonl"), "{\"queues_format\":2}\n").unwrap();
    let error = kept(state.path(), &clock).await.err().unwrap().to_string();
    assert!(error.contains("format 2"), "{error}");

    let state = TempDir::new().unwrap();
    std::fs::write(
        state.path().join("dynamodb.sqlite"),
        "no database at all, but long enough".repeat(99),
    )
    .unwrap();
    let error = kept(state.path(), &clock).await.err().unwrap().to_string();
    assert!(error.contains("dynamodb.sqlite"), "{error}");

    let taken = Engines::start(EngineOptions::ephemeral(clock.clone()))
        .await
        .unwrap();
    let options = EngineOptions {
        bind: taken.address(),
        ..EngineOptions::ephemeral(clock)
    };
    let error = Engines::start(options).await.err().unwrap().to_string();
    assert!(error.contains(&taken.address().to_string()), "{error}");
}

#[tokio::test]
async fn time_to_live_follows_the_clock() {
    let (engines, clock) = ephemeral().await;
    let client = dynamodb(&engines, "tests");
    table(&client).await;
    let ttl = TimeToLiveSpecification::builder()
        .attribute_name("ends")
        .enabled(true)
        .build()
        .unwrap();
    client
        .update_time_to_live()
        .table_name("things")
        .time_to_live_specification(ttl)
        .send()
        .await
        .unwrap();
    let ends = |at: i64| AttributeValue::N(at.to_string());
    put(&client, "short")
        .item("ends", ends(START + 60))
        .send()
        .await
        .unwrap();
    put(&client, "long")
        .item("ends", ends(START + 600))
        .send()
        .await
        .unwrap();
    put(&client, "text")
        .item("ends", AttributeValue::S("1".into()))
        .send()
        .await
        .unwrap();
    put(&client, "none").send().await.unwrap();
    assert_eq!(engines.sweep().await.unwrap().items, 0);
    clock.advance(SignedDuration::from_secs(61));
    assert_eq!(engines.sweep().await.unwrap().items, 1);
    assert!(!has(&client, "short").await);
    for stays in ["long", "text", "none"] {
        assert!(has(&client, stays).await, "{stays}");
    }
}

#[tokio::test]
async fn a_request_without_credentials_is_refused() {
    let (engines, _) = ephemeral().await;
    for (path, target) in [
        ("/", "DynamoDB_20120810.ListTables"),
        ("/", "AmazonSQS.ListQueues"),
        ("/v2/email/account", ""),
    ] {
        let request = reqwest::Client::new()
            .post(format!("{}{path}", engines.url()))
            .header("x-amz-target", target);
        let answer = request.body("{}").send().await.unwrap();
        assert_eq!(answer.status(), 403, "{path} {target}");
    }
}

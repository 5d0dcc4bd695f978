//! Faults of each kind, as a client of the SDK sees them.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use oubli_local::faults::{Call, Fault, Gate, Outcome, When};

use super::support::{
    bodies, config, dynamodb, ephemeral, has, kms, put, queue, receive, send, ses, sqs, table,
};

#[tokio::test]
async fn errors_and_throttling_have_each_services_shape() {
    let (engines, _) = ephemeral().await;
    let (tables, queues, mails) = (dynamodb(&engines, "tests"), sqs(&engines), ses(&engines));
    let keys = kms(&engines);
    let s3 = aws_sdk_s3::config::Builder::from(&config(&engines, "tests", RetryConfig::disabled()));
    let s3 = aws_sdk_s3::Client::from_conf(s3.force_path_style(true).build());
    for (outcome, codes) in [
        (
            Outcome::Error,
            [
                "InternalServerError",
                "InternalError",
                "InternalFailure",
                "InternalServiceErrorException",
                "KMSInternalException",
            ],
        ),
        (
            Outcome::Throttle,
            [
                "ProvisionedThroughputExceededException",
                "SlowDown",
                "RequestThrottled",
                "TooManyRequestsException",
                "ThrottlingException",
            ],
        ),
    ] {
        engines.faults().clear();
        let rule = engines.faults().inject(Fault::on("*", outcome));
        let seen = [
            tables
                .list_tables()
                .send()
                .await
                .unwrap_err()
                .code()
                .map(str::to_owned),
            s3.list_buckets()
                .send()
                .await
                .unwrap_err()
                .code()
                .map(str::to_owned),
            queues
                .list_queues()
                .send()
                .await
                .unwrap_err()
                .code()
                .map(str::to_owned),
            mails
                .get_account()
                .send()
                .await
                .unwrap_err()
                .code()
                .map(str::to_owned),
            keys.describe_key()
                .key_id("x")
                .send()
                .await
                .unwrap_err()
                .code()
                .map(str::to_owned),
        ];
        assert_eq!(seen, codes.map(|code| Some(code.to_owned())));
        assert_eq!(rule.count(), 5);
    }
    engines.faults().clear();
    tables.list_tables().send().await.unwrap();
}

#[tokio::test]
async fn a_lost_reply_is_retried_by_the_sdk_which_meets_its_own_write() {
    let (engines, _) = ephemeral().await;
    table(&dynamodb(&engines, "tests")).await;
    let retrying = RetryConfig::standard()
        .with_max_attempts(2)
        .with_initial_backoff(Duration::from_millis(1));
    let client = aws_sdk_dynamodb::Client::new(&config(&engines, "writer", retrying));
    let rule = engines.faults().inject(
        Fault::on("DynamoDB.PutItem", Outcome::LostReply)
            .from_caller("writer")
            .nth(1),
    );
    let refused = put(&client, "x")
        .condition_expression("attribute_not_exists(pk)")
        .send()
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some("ConditionalCheckFailedException"));
    assert_eq!(rule.count(), 1);
    assert!(has(&client, "x").await);
}

#[tokio::test]
async fn a_caller_is_stopped_before_or_after_its_nth_call() {
    let (engines, _) = ephemeral().await;
    let client = dynamodb(&engines, "worker");
    let bystander = dynamodb(&engines, "tests");
    table(&bystander).await;
    for (when, done) in [(When::Before, false), (When::After, true)] {
        engines.faults().clear();
        let gate = engines.faults().on_call(2, when, Some("worker"));
        let name = format!("{when:?}");
        let worker = tokio::spawn({
            let (client, name) = (client.clone(), name.clone());
            async move {
                put(&client, "first").send().await.unwrap();
                put(&client, &name).send().await.unwrap();
            }
        });
        put(&bystander, "other").send().await.unwrap();
        gate.reached().await;
        worker.abort();
        assert!(worker.await.unwrap_err().is_cancelled());
        assert!(has(&bystander, "first").await);
        assert_eq!(has(&bystander, &name).await, done, "{when:?}");
    }
}

#[tokio::test]
async fn a_gate_delays_until_it_is_opened() {
    let (engines, _) = ephemeral().await;
    let client = dynamodb(&engines, "tests");
    table(&client).await;
    let gate = Gate::default();
    let only_things = |call: &Call| call.label == "things";
    engines.faults().inject(
        Fault::on("DynamoDB.*", Outcome::HoldBefore(gate.clone()))
            .only_if(only_things)
            .first(1),
    );
    let held = tokio::spawn(put(&client, "held").send());
    gate.reached().await;
    assert!(!held.is_finished());
    gate.open();
    held.await.unwrap().unwrap();
    engines.faults().inject(Fault::on(
        "DynamoDB.GetItem",
        Outcome::Delay(Duration::from_millis(1)),
    ));
    assert!(has(&client, "held").await);
}

#[tokio::test]
async fn duplicates_come_twice_whatever_happens_to_the_first_and_order_can_be_upset() {
    let (engines, _) = ephemeral().await;
    let client = sqs(&engines);
    let url = queue(&client, "work", &[]).await;
    engines
        .faults()
        .inject(Fault::on("SQS.ReceiveMessage", Outcome::DuplicateDelivery));
    send(&client, &url, "x").await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let received = receive(&client, &url).await;
        assert_eq!(bodies(&received), ["x"]);
        ids.push(received[0].message_id().unwrap().to_owned());
        let handle = received[0].receipt_handle().unwrap();
        client
            .delete_message()
            .queue_url(&url)
            .receipt_handle(handle)
            .send()
            .await
            .unwrap();
    }
    assert_eq!(ids[0], ids[1]);
    assert_eq!(receive(&client, &url).await.len(), 0, "a twin has no twin");

    engines.faults().clear();
    engines
        .faults()
        .inject(Fault::on("SQS.ReceiveMessage", Outcome::Reorder { seed: 3 }));
    let sent: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    for body in &sent {
        send(&client, &url, body).await;
    }
    let received = receive(&client, &url).await;
    let mut order = bodies(&received);
    assert_ne!(order, sent);
    order.sort_unstable();
    assert_eq!(order, sent);
}

#[tokio::test]
async fn calls_are_recorded_in_order_with_caller_and_label() {
    let (engines, _) = ephemeral().await;
    engines.faults().record();
    let client = dynamodb(&engines, "builder");
    table(&client).await;
    put(&client, "x").send().await.unwrap();
    queue(&sqs(&engines), "work", &[]).await;
    let calls = engines.faults().calls();
    let seen: Vec<(&str, Option<&str>, &str)> = calls
        .iter()
        .map(|call| {
            (
                call.operation.as_str(),
                call.caller.as_deref(),
                call.label.as_str(),
            )
        })
        .collect();
    let expected = [
        ("DynamoDB.CreateTable", Some("builder"), "things"),
        ("DynamoDB.PutItem", Some("builder"), "things"),
        ("SQS.CreateQueue", Some("tests"), "work"),
    ];
    assert_eq!(seen, expected);
}

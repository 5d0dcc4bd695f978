//! The endpoint over the wire, with the real SDK: queues by the moved clock, state over restarts, faults,
//! mails.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
    PointInTimeRecoverySpecification, ScalarAttributeType, TimeToLiveSpecification,
};
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message as Mail, RawMessage};
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, Message, MessageSystemAttributeName, QueueAttributeName,
    SendMessageBatchRequestEntry,
};
use jiff::{SignedDuration, Timestamp};
use oubli_local::clock::EngineClock;
use oubli_local::engines::{EngineError, EngineOptions, Engines};
use oubli_local::faults::{Call, Fault, Gate, Outcome, When};
use oubli_local::ses::{Recipients, Refusal};
use tempfile::TempDir;

const START: i64 = 1_760_000_000;

fn frozen() -> EngineClock {
    EngineClock::frozen(Timestamp::from_second(START).unwrap())
}

async fn ephemeral() -> (Engines, EngineClock) {
    let clock = frozen();
    (
        Engines::start(EngineOptions::ephemeral(clock.clone()))
            .await
            .unwrap(),
        clock,
    )
}

async fn kept(state: &Path, clock: &EngineClock) -> Result<Engines, EngineError> {
    let options = EngineOptions::ephemeral(clock.clone());
    Engines::start(EngineOptions {
        state: Some(state.to_owned()),
        ..options
    })
    .await
}

fn config(engines: &Engines, caller: &str, retries: RetryConfig) -> SdkConfig {
    let credentials = Credentials::new("test", "test", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-3"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(engines.url())
        .retry_config(retries)
        .app_name(AppName::new(caller.to_owned()).unwrap())
        .sleep_impl(aws_sdk_sqs::config::SharedAsyncSleep::new(TokioSleep))
        .build()
}

/// The SDK's own sleep is private to it.
#[derive(Debug)]
struct TokioSleep;

impl aws_sdk_sqs::config::AsyncSleep for TokioSleep {
    fn sleep(&self, duration: Duration) -> aws_sdk_sqs::config::Sleep {
        aws_sdk_sqs::config::Sleep::new(tokio::time::sleep(duration))
    }
}

fn sqs(engines: &Engines) -> aws_sdk_sqs::Client {
    aws_sdk_sqs::Client::new(&config(engines, "tests", RetryConfig::disabled()))
}

fn ses(engines: &Engines) -> aws_sdk_sesv2::Client {
    aws_sdk_sesv2::Client::new(&config(engines, "tests", RetryConfig::disabled()))
}

fn dynamodb(engines: &Engines, caller: &str) -> aws_sdk_dynamodb::Client {
    aws_sdk_dynamodb::Client::new(&config(engines, caller, RetryConfig::disabled()))
}

async fn queue(
    client: &aws_sdk_sqs::Client,
    name: &str,
    attributes: &[(QueueAttributeName, &str)],
) -> String {
    let attributes: HashMap<_, _> = attributes
        .iter()
        .map(|(name, value)| (name.clone(), (*value).to_owned()))
        .collect();
    let made = client
        .create_queue()
        .queue_name(name)
        .set_attributes(Some(attributes))
        .send()
        .await
        .unwrap();
    made.queue_url().unwrap().to_owned()
}

async fn send(client: &aws_sdk_sqs::Client, url: &str, body: &str) {
    client
        .send_message()
        .queue_url(url)
        .message_body(body)
        .send()
        .await
        .unwrap();
}

async fn receive(client: &aws_sdk_sqs::Client, url: &str) -> Vec<Message> {
    let request = client.receive_message().queue_url(url).max_number_of_messages(10);
    let request = request.message_system_attribute_names(MessageSystemAttributeName::All);
    request.send().await.unwrap().messages.unwrap_or_default()
}

fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.body().unwrap()).collect()
}

async fn table(client: &aws_sdk_dynamodb::Client) {
    let key = KeySchemaElement::builder()
        .attribute_name("pk")
        .key_type(KeyType::Hash)
        .build()
        .unwrap();
    let attribute = AttributeDefinition::builder()
        .attribute_name("pk")
        .attribute_type(ScalarAttributeType::S);
    let request = client
        .create_table()
        .table_name("things")
        .billing_mode(BillingMode::PayPerRequest);
    request
        .key_schema(key)
        .attribute_definitions(attribute.build().unwrap())
        .send()
        .await
        .unwrap();
}

fn put(
    client: &aws_sdk_dynamodb::Client,
    pk: &str,
) -> aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder {
    client
        .put_item()
        .table_name("things")
        .item("pk", AttributeValue::S(pk.to_owned()))
}

async fn has(client: &aws_sdk_dynamodb::Client, pk: &str) -> bool {
    let request = client
        .get_item()
        .table_name("things")
        .key("pk", AttributeValue::S(pk.to_owned()));
    request.send().await.unwrap().item.is_some()
}

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
async fn errors_and_throttling_have_each_services_shape() {
    let (engines, _) = ephemeral().await;
    let (tables, queues, mails) = (dynamodb(&engines, "tests"), sqs(&engines), ses(&engines));
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
            ],
        ),
        (
            Outcome::Throttle,
            [
                "ProvisionedThroughputExceededException",
                "SlowDown",
                "RequestThrottled",
                "TooManyRequestsException",
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
        ];
        assert_eq!(seen, codes.map(|code| Some(code.to_owned())));
        assert_eq!(rule.count(), 4);
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

fn content(text: &str) -> Content {
    Content::builder().data(text).charset("UTF-8").build().unwrap()
}

fn simple_mail(
    client: &aws_sdk_sesv2::Client,
    from: &str,
    to: &str,
) -> aws_sdk_sesv2::operation::send_email::builders::SendEmailFluentBuilder {
    let body = Body::builder()
        .text(content("Voilà 100 %.\n"))
        .html(content("<p>Voilà</p>"))
        .build();
    let mail = Mail::builder()
        .subject(content("Prêt : votre export — 3 contacts"))
        .body(body)
        .build();
    client
        .send_email()
        .from_email_address(from)
        .destination(Destination::builder().to_addresses(to).build())
        .content(EmailContent::builder().simple(mail).build())
}

#[tokio::test]
async fn mails_are_kept_as_they_would_travel() {
    let (engines, clock) = ephemeral().await;
    let client = ses(&engines);
    client
        .create_email_identity()
        .email_identity("example.com")
        .send()
        .await
        .unwrap();
    let sent = simple_mail(
        &client,
        "Oubli é <no-reply@mail.example.com>",
        "Zoé <zoe@example.org>",
    )
    .send()
    .await;
    let id = sent.unwrap().message_id.unwrap();
    clock.advance(SignedDuration::from_secs(1));
    let raw = "From: no-reply@example.com\r\nTo: raw@example.org\r\nSubject: =?UTF-8?B?w6l0w6k=?=\r\n\r\nraw body\r\n";
    let raw = RawMessage::builder()
        .data(aws_sdk_sesv2::primitives::Blob::new(raw))
        .build()
        .unwrap();
    let request = client
        .send_email()
        .content(EmailContent::builder().raw(raw).build());
    request.send().await.unwrap();

    let outbox = engines.mails().outbox();
    assert_eq!(outbox.len(), 2);
    assert_eq!(
        (outbox[0].subject.as_str(), outbox[0].to[0].as_str()),
        ("été", "raw@example.org")
    );
    assert_eq!(outbox[0].text.as_deref(), Some("raw body\n"));
    let mail = &outbox[1];
    assert_eq!(mail.id, id);
    assert_eq!(mail.from, "Oubli é <no-reply@mail.example.com>");
    assert_eq!(mail.to, ["Zoé <zoe@example.org>"]);
    assert_eq!(mail.subject, "Prêt : votre export — 3 contacts");
    assert_eq!(mail.text.as_deref(), Some("Voilà 100 %.\n"));
    assert_eq!(mail.html.as_deref(), Some("<p>Voilà</p>"));
    assert_eq!(mail.sent_at.as_second(), START);
    let eml = std::fs::read_to_string(&mail.path).unwrap();
    for line in [
        "MIME-Version: 1.0\r\n",
        "Content-Type: multipart/alternative;\r\n",
        "Content-Transfer-Encoding: quoted-printable\r\n",
        "Voil=C3=A0 100 %.\r\n",
        "Date: Thu, 09 Oct 2025 08:53:20 +0000\r\n",
    ] {
        assert!(eml.contains(line), "{line:?} is not in {eml}");
    }
}

#[tokio::test]
async fn mails_are_refused_as_the_service_refuses_them() {
    let (engines, _) = ephemeral().await;
    let client = ses(&engines);
    client
        .create_email_identity()
        .email_identity("me@solo.example")
        .send()
        .await
        .unwrap();
    for from in ["you@solo.example", "me@other.example", "me@sub.solo.example"] {
        let error = simple_mail(&client, from, "a@example.org")
            .send()
            .await
            .unwrap_err();
        assert!(error.into_service_error().is_message_rejected(), "{from}");
    }
    let send = |to: &'static str| simple_mail(&client, "me@solo.example", to).send();
    engines
        .mails()
        .refuse(Recipients::Address("Full@example.org".into()), Refusal::Reject);
    engines
        .mails()
        .refuse(Recipients::Address("gone@example.org".into()), Refusal::Bounce);
    assert!(
        send("full@example.org")
            .await
            .unwrap_err()
            .into_service_error()
            .is_message_rejected()
    );
    send("gone@example.org").await.unwrap();
    send("fine@example.org").await.unwrap();
    engines.mails().accept_all();
    send("gone@example.org").await.unwrap();
    send("full@example.org").await.unwrap();
    let delivered: Vec<String> = engines
        .mails()
        .outbox()
        .into_iter()
        .flat_map(|mail| mail.to)
        .collect();
    assert_eq!(
        delivered,
        ["full@example.org", "fine@example.org"],
        "a bounced address stays suppressed"
    );
    assert_eq!(engines.mails().bounced().len(), 2);
    client
        .get_suppressed_destination()
        .email_address("gone@example.org")
        .send()
        .await
        .unwrap();
}

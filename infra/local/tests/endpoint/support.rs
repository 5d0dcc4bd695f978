//! Engines of one's own, and clients for them.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use aws_sdk_sesv2::operation::send_email::builders::SendEmailFluentBuilder;
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message as Mail};
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use jiff::Timestamp;
use oubli_local::clock::EngineClock;
use oubli_local::engines::{EngineError, EngineOptions, Engines};

pub(crate) const START: i64 = 1_760_000_000;

pub(crate) fn frozen() -> EngineClock {
    EngineClock::frozen(Timestamp::from_second(START).unwrap())
}

pub(crate) async fn ephemeral() -> (Engines, EngineClock) {
    let clock = frozen();
    (
        Engines::start(EngineOptions::ephemeral(clock.clone()))
            .await
            .unwrap(),
        clock,
    )
}

pub(crate) async fn kept(state: &Path, clock: &EngineClock) -> Result<Engines, EngineError> {
    let options = EngineOptions::ephemeral(clock.clone());
    Engines::start(EngineOptions {
        state: Some(state.to_owned()),
        ..options
    })
    .await
}

pub(crate) fn config(engines: &Engines, caller: &str, retries: RetryConfig) -> SdkConfig {
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

pub(crate) fn sqs(engines: &Engines) -> aws_sdk_sqs::Client {
    aws_sdk_sqs::Client::new(&config(engines, "tests", RetryConfig::disabled()))
}

pub(crate) fn ses(engines: &Engines) -> aws_sdk_sesv2::Client {
    aws_sdk_sesv2::Client::new(&config(engines, "tests", RetryConfig::disabled()))
}

pub(crate) fn kms(engines: &Engines) -> aws_sdk_kms::Client {
    aws_sdk_kms::Client::new(&config(engines, "tests", RetryConfig::disabled()))
}

pub(crate) fn dynamodb(engines: &Engines, caller: &str) -> aws_sdk_dynamodb::Client {
    aws_sdk_dynamodb::Client::new(&config(engines, caller, RetryConfig::disabled()))
}

pub(crate) async fn queue(
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

pub(crate) async fn send(client: &aws_sdk_sqs::Client, url: &str, body: &str) {
    client
        .send_message()
        .queue_url(url)
        .message_body(body)
        .send()
        .await
        .unwrap();
}

pub(crate) async fn receive(client: &aws_sdk_sqs::Client, url: &str) -> Vec<Message> {
    let request = client.receive_message().queue_url(url).max_number_of_messages(10);
    let request = request.message_system_attribute_names(MessageSystemAttributeName::All);
    request.send().await.unwrap().messages.unwrap_or_default()
}

pub(crate) fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.body().unwrap()).collect()
}

pub(crate) async fn table(client: &aws_sdk_dynamodb::Client) {
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

pub(crate) fn put(client: &aws_sdk_dynamodb::Client, pk: &str) -> PutItemFluentBuilder {
    client
        .put_item()
        .table_name("things")
        .item("pk", AttributeValue::S(pk.to_owned()))
}

pub(crate) async fn has(client: &aws_sdk_dynamodb::Client, pk: &str) -> bool {
    let request = client
        .get_item()
        .table_name("things")
        .key("pk", AttributeValue::S(pk.to_owned()));
    request.send().await.unwrap().item.is_some()
}

pub(crate) fn content(text: &str) -> Content {
    Content::builder().data(text).charset("UTF-8").build().unwrap()
}

pub(crate) fn simple_mail(client: &aws_sdk_sesv2::Client, from: &str, to: &str) -> SendEmailFluentBuilder {
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

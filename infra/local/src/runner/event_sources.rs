//! Queues and schedules, as Lambda's event source mapping treats them: batches in the event's real
//! shape, partial batch responses, visibility, redrive.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use aws_config::{AppName, BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Functions;
use crate::provision::{EventSource, Provisioned};
use crate::sqs::SqsEngine;

/// How long a poll waits for a message, in seconds.
const LONG_POLL_SECONDS: i32 = 20;
/// How long a poller rests after the endpoint failed it.
const REST: Duration = Duration::from_millis(500);
/// More pollers of one queue than this only wait for the two or more cores of one machine.
const MAX_POLLERS: u32 = 4;

/// Why a queue cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("queue `{queue}` cannot be read: {detail}")]
pub struct QueueError {
    queue: String,
    detail: String,
}

/// What draining the queues came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Messages that each function was given.
    pub delivered: BTreeMap<String, u64>,
    /// Of these, how many are to be delivered again.
    pub failed: BTreeMap<String, u64>,
}

pub(super) async fn client(aws_url: &str) -> Client {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(aws_url)
        .region(Region::from_static("eu-west-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "embedded"));
    if let Ok(name) = AppName::new("event-source") {
        loader = loader.app_name(name);
    }
    Client::new(&loader.load().await)
}

/// Starts pollers and schedules; they end when `stopped` says so.
pub(super) async fn start(
    tasks: &mut JoinSet<()>,
    provisioned: &Provisioned,
    functions: &Arc<Functions>,
    aws_url: &str,
    stopped: &watch::Receiver<bool>,
) {
    let client = client(aws_url).await;
    for source in &provisioned.queues {
        for _ in 0..source.max_concurrency.clamp(1, MAX_POLLERS) {
            let (client, source, functions) = (client.clone(), source.clone(), functions.clone());
            let mut stopped = stopped.clone();
            tasks.spawn(async move {
                let work = async {
                    loop {
                        if let Err(error) = feed(&client, &source, &functions, LONG_POLL_SECONDS).await {
                            tracing::warn!(%error, "a queue will be read again");
                            tokio::time::sleep(REST).await;
                        }
                    }
                };
                tokio::select! {
                    () = work => {}
                    _ = stopped.wait_for(|stopped| *stopped) => {}
                }
            });
        }
    }
    for schedule in &provisioned.schedules {
        let (functions, every) = (functions.clone(), schedule.every);
        let mut stopped = stopped.clone();
        tasks.spawn(async move {
            let mut ticks = tokio::time::interval(every);
            let work = async {
                loop {
                    ticks.tick().await;
                    if let Err(error) = functions.sweep(functions.api.now()).await {
                        tracing::warn!(%error, "the janitor will run again");
                    }
                }
            };
            tokio::select! {
                () = work => {}
                _ = stopped.wait_for(|stopped| *stopped) => {}
            }
        });
    }
}

/// Reads one batch, if there is one, gives it to its function, and deletes what is done.
async fn feed(
    client: &Client,
    source: &EventSource,
    functions: &Functions,
    wait_seconds: i32,
) -> Result<(usize, usize), QueueError> {
    let failed = |detail: String| QueueError {
        queue: source.queue_url.clone(),
        detail,
    };
    let received = client
        .receive_message()
        .queue_url(&source.queue_url)
        .max_number_of_messages(i32::try_from(source.batch_size).unwrap_or(10).min(10))
        .wait_time_seconds(wait_seconds)
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .send()
        .await
        .map_err(|error| failed(aws_sdk_sqs::error::DisplayErrorContext(error).to_string()))?;
    let messages = received.messages.unwrap_or_default();
    if messages.is_empty() {
        return Ok((0, 0));
    }
    let mut event = SqsEvent::default();
    event.records = messages
        .iter()
        .map(|message| record(message, &source.queue_url))
        .collect();
    let response = functions.handle(&source.function, event).await;
    let again: BTreeSet<_> = response
        .batch_item_failures
        .iter()
        .map(|failure| failure.item_identifier.as_str())
        .collect();
    let done = messages.iter().enumerate().filter(|(_, message)| {
        message
            .message_id()
            .is_none_or(|message_id| !again.contains(message_id))
    });
    let entries: Result<Vec<_>, _> = done
        .filter_map(|(index, message)| message.receipt_handle().map(|handle| (index, handle)))
        .map(|(index, handle)| {
            DeleteMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .receipt_handle(handle)
                .build()
        })
        .collect();
    let entries = entries.map_err(|error| failed(error.to_string()))?;
    if !entries.is_empty() {
        let delete = client
            .delete_message_batch()
            .queue_url(&source.queue_url)
            .set_entries(Some(entries));
        let deleted = delete.send().await;
        deleted.map_err(|error| failed(aws_sdk_sqs::error::DisplayErrorContext(error).to_string()))?;
    }
    Ok((messages.len(), again.len()))
}

fn record(message: &Message, queue_url: &str) -> SqsMessage {
    let queue = queue_url.rsplit('/').next().unwrap_or_default();
    let attributes = message.attributes.iter().flatten();
    let mut record = SqsMessage::default();
    record.message_id = message.message_id.clone();
    record.receipt_handle = message.receipt_handle.clone();
    record.body = message.body.clone();
    record.md5_of_body = message.md5_of_body.clone();
    record.attributes = attributes
        .map(|(name, value)| (name.as_str().to_owned(), value.clone()))
        .collect();
    record.event_source = Some("aws:sqs".to_owned());
    record.event_source_arn = Some(format!("arn:aws:sqs:eu-west-1:000000000000:{queue}"));
    record.aws_region = Some("eu-west-1".to_owned());
    record
}

/// Feeds the functions, queue after queue, until none has a message to be seen.
pub(super) async fn drain(
    provisioned: &Provisioned,
    functions: &Functions,
    aws_url: &str,
    engine: Option<&SqsEngine>,
) -> Result<Drained, QueueError> {
    let client = client(aws_url).await;
    // An embedded queue that is empty is not asked over the wire.
    let is_empty = |source: &EventSource| engine.is_some_and(|engine| engine.is_empty(&source.queue_url));
    let mut drained = Drained::default();
    loop {
        let mut idle = true;
        for source in &provisioned.queues {
            let (delivered, failed) = if is_empty(source) {
                (0, 0)
            } else {
                feed(&client, source, functions, 0).await?
            };
            idle &= delivered == 0;
            *drained.delivered.entry(source.function.clone()).or_default() += delivered as u64;
            *drained.failed.entry(source.function.clone()).or_default() += failed as u64;
        }
        if idle {
            return Ok(drained);
        }
    }
}

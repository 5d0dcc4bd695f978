//! Receiving: which messages, what is told of them, and which go to the dead-letter queue instead.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{ACCOUNT, LONGEST_VISIBILITY_SECONDS, queue_arn, queue_name};
use crate::sqs::attributes::Redrive;
use crate::sqs::checksums::{md5_hex, md5_of_attributes};
use crate::sqs::error::ApiError;
use crate::sqs::journal::Event;
use crate::sqs::queue::Message;
use crate::sqs::store::Store;
use crate::sqs::wire::{MessageAttribute, ReceiveMessage};
use crate::sqs::{ReceiveFault, RequestContext};

/// What one look at the queue gave.
pub(in crate::sqs) struct Received {
    pub(in crate::sqs) messages: Vec<Value>,
    /// How long the client is willing to wait.
    pub(in crate::sqs) wait_seconds: u32,
    /// When to look again though nothing was sent.
    pub(in crate::sqs) next_visible_in_ms: Option<i64>,
}

impl Received {
    pub(in crate::sqs) fn into_json(self) -> Value {
        if self.messages.is_empty() {
            json!({})
        } else {
            json!({"Messages": self.messages})
        }
    }
}

/// Takes what is visible now. Also answers whether something went to the dead-letter queue.
pub(in crate::sqs) fn receive(
    store: &mut Store,
    request: &ReceiveMessage,
    context: &RequestContext,
    now: i64,
) -> Result<(Received, bool), ApiError> {
    let name = queue_name(request.queue_url.as_deref())?;
    store.expire(&name, now)?;
    let attributes = &store.queue(&name)?.attributes;
    let most = within(request.max_number_of_messages, 1, 1..=10, "MaxNumberOfMessages")?;
    let visibility = within(
        request.visibility_timeout,
        attributes.number("VisibilityTimeout"),
        0..=LONGEST_VISIBILITY_SECONDS,
        "VisibilityTimeout",
    )?;
    let wait = within(
        request.wait_time_seconds,
        attributes.number("ReceiveMessageWaitTimeSeconds"),
        0..=20,
        "WaitTimeSeconds",
    )?;
    let redrive = attributes.redrive().cloned();
    let queue = store.queue(&name)?;
    let room = queue.room_in_flight(now);
    // A long poll of a full queue, and any of a FIFO one, answers that there is nothing.
    if room == 0 && wait == 0 && !queue.is_fifo() {
        return Err(ApiError::over_limit());
    }
    let most = usize::try_from(most).unwrap_or(1).min(room);

    let mut events = Vec::new();
    let mut taken = Vec::new();
    let mut moved = false;
    for seq in store.queue(&name)?.candidates(now, context.fault) {
        if taken.len() >= most {
            break;
        }
        let Some(message) = store.queue(&name)?.message(seq).cloned() else {
            continue;
        };
        if let Some(target) = dead_letter_queue(store, redrive.as_ref(), &message) {
            events.push(Event::Removed {
                queue: name.clone(),
                seq,
            });
            let message = Message {
                seq: store.take_seq(),
                visible_at: now,
                receive_count: 0,
                first_received_at: None,
                received_at: None,
                dead_letter_source: Some(name.clone()),
                ..message
            };
            events.push(Event::Message {
                queue: target,
                message: Box::new(message),
            });
            moved = true;
            continue;
        }
        if context.fault == ReceiveFault::Duplicate && !message.is_twin {
            let twin = Message {
                seq: store.take_seq(),
                is_twin: true,
                ..message.clone()
            };
            events.push(Event::Message {
                queue: name.clone(),
                message: Box::new(twin),
            });
        }
        let message = Message {
            visible_at: now + visibility * 1000,
            receive_count: message.receive_count + 1,
            first_received_at: message.first_received_at.or(Some(now)),
            received_at: Some(now),
            ..message
        };
        events.push(Event::Held {
            queue: name.clone(),
            seq,
            visible_at: message.visible_at,
            receive_count: message.receive_count,
            first_received_at: message.first_received_at,
            received_at: message.received_at,
        });
        taken.push(message);
    }
    store.commit(events)?;
    let received = Received {
        messages: taken
            .iter()
            .map(|message| describe(message, &name, request, context))
            .collect(),
        wait_seconds: u32::try_from(wait).unwrap_or(0),
        next_visible_in_ms: store.queue(&name)?.next_visible_in(now),
    };
    Ok((received, moved))
}

/// Where a message goes that has been received as often as its queue allows. A policy whose target is
/// gone loses nothing: the message stays.
fn dead_letter_queue(store: &Store, redrive: Option<&Redrive>, message: &Message) -> Option<String> {
    redrive
        .filter(|redrive| message.receive_count >= redrive.max_receive_count)
        .map(|redrive| redrive.dead_letter_queue.clone())
        .filter(|target| store.queue(target).is_ok())
}

fn within(
    asked: Option<i64>,
    default: i64,
    range: std::ops::RangeInclusive<i64>,
    parameter: &str,
) -> Result<i64, ApiError> {
    let value = asked.unwrap_or(default);
    if range.contains(&value) {
        return Ok(value);
    }
    Err(ApiError::invalid_value(format!(
        "Value {value} for parameter {parameter} is invalid. Reason: Must be between {} and {}, if provided.",
        range.start(),
        range.end()
    )))
}

fn describe(message: &Message, queue: &str, request: &ReceiveMessage, context: &RequestContext) -> Value {
    let mut fields = Map::new();
    fields.insert("MessageId".to_owned(), json!(message.id));
    fields.insert("ReceiptHandle".to_owned(), json!(message.receipt(queue).encode()));
    fields.insert("MD5OfBody".to_owned(), json!(md5_hex(message.body.as_bytes())));
    fields.insert("Body".to_owned(), json!(message.body));
    let system = system_attributes(message, request, context);
    if !system.is_empty() {
        fields.insert("Attributes".to_owned(), json!(system));
    }
    let wanted: BTreeMap<&str, &MessageAttribute> = message
        .attributes
        .iter()
        .filter(|(name, _)| is_wanted(name, &request.message_attribute_names))
        .map(|(name, attribute)| (name.as_str(), attribute))
        .collect();
    if let Some(sum) = md5_of_attributes(wanted.iter().map(|(name, attribute)| (*name, *attribute))) {
        fields.insert("MD5OfMessageAttributes".to_owned(), json!(sum));
        fields.insert("MessageAttributes".to_owned(), json!(wanted));
    }
    Value::Object(fields)
}

/// By name, by `prefix.*`, or all.
fn is_wanted(name: &str, patterns: &[String]) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix(".*") {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == "All" || pattern == name,
    })
}

fn system_attributes(
    message: &Message,
    request: &ReceiveMessage,
    context: &RequestContext,
) -> BTreeMap<&'static str, String> {
    let first_received = message.first_received_at.map(|at| at.to_string());
    let source = message
        .dead_letter_source
        .as_ref()
        .map(|source| queue_arn(context, source));
    let all = [
        ("SenderId", Some(ACCOUNT.to_owned())),
        ("SentTimestamp", Some(message.sent_at.to_string())),
        ("ApproximateReceiveCount", Some(message.receive_count.to_string())),
        ("ApproximateFirstReceiveTimestamp", first_received),
        ("SequenceNumber", message.sequence_number.clone()),
        ("MessageDeduplicationId", message.deduplication_id.clone()),
        ("MessageGroupId", message.group.clone()),
        ("AWSTraceHeader", message.trace_header.clone()),
        ("DeadLetterQueueSourceArn", source),
    ];
    let names = request
        .attribute_names
        .iter()
        .chain(&request.message_system_attribute_names);
    let everything = names.clone().any(|name| name == "All");
    all.into_iter()
        .filter(|(name, _)| everything || names.clone().any(|wanted| wanted == name))
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

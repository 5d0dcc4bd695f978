//! Sending: checks, sizes, deduplication.

use serde_json::{Map, Value, json};

use crate::sqs::attributes::QueueAttributes;
use crate::sqs::checksums::{hex, md5_hex, md5_of_attributes};
use crate::sqs::error::ApiError;
use crate::sqs::journal::Event;
use crate::sqs::queue::{DEDUPLICATION_MS, Message, Sent};
use crate::sqs::store::Store;
use crate::sqs::wire::SendMessage;

/// The most that the entries of one batch may weigh together.
pub(super) const LARGEST_BATCH_BYTES: usize = 1_048_576;
const LONGEST_DELAY_SECONDS: i64 = 900;
/// Sequence numbers of FIFO queues have 20 digits and grow.
const FIRST_SEQUENCE_NUMBER: u64 = 10_000_000_000_000_000_000;
const MOST_ATTRIBUTES: usize = 10;
const LONGEST_GROUP_ID: usize = 128;

/// Body and attributes; what the limits count.
pub(super) fn size_bytes(entry: &SendMessage) -> usize {
    let attributes: usize = entry
        .message_attributes
        .iter()
        .map(|(name, attribute)| name.len() + attribute.size_bytes())
        .sum();
    entry.message_body.as_ref().map_or(0, String::len) + attributes
}

/// Sends one message.
pub(super) fn send(store: &mut Store, name: &str, entry: SendMessage, now: i64) -> Result<Value, ApiError> {
    let queue = store.queue(name)?;
    check(&entry, &queue.attributes)?;
    let body = entry.message_body.unwrap_or_default();
    let delay = delay_seconds(entry.delay_seconds, &queue.attributes)?;
    let fifo = queue.is_fifo();
    let deduplication_id = deduplication_id(
        fifo,
        queue.attributes.is_true("ContentBasedDeduplication"),
        entry.message_deduplication_id,
        &body,
    )?;
    let mut answer = Map::new();
    answer.insert("MD5OfMessageBody".to_owned(), json!(md5_hex(body.as_bytes())));
    let sum = md5_of_attributes(
        entry
            .message_attributes
            .iter()
            .map(|(name, value)| (name.as_str(), value)),
    );
    if let Some(sum) = sum {
        answer.insert("MD5OfMessageAttributes".to_owned(), json!(sum));
    }
    let system = &entry.message_system_attributes;
    if let Some(sum) = md5_of_attributes(system.iter().map(|(name, value)| (name.as_str(), value))) {
        answer.insert("MD5OfMessageSystemAttributes".to_owned(), json!(sum));
    }

    let remembered = deduplication_id
        .as_ref()
        .and_then(|id| queue.deduplication.get(id));
    if let Some(sent) = remembered.filter(|sent| sent.expires_at > now) {
        answer.insert("MessageId".to_owned(), json!(sent.message_id));
        answer.insert("SequenceNumber".to_owned(), json!(sent.sequence_number));
        return Ok(Value::Object(answer));
    }

    let seq = store.take_seq();
    let id = store.message_id(seq);
    let sequence_number = fifo.then(|| format!("{:020}", FIRST_SEQUENCE_NUMBER.saturating_add(seq)));
    answer.insert("MessageId".to_owned(), json!(id));
    if let Some(number) = &sequence_number {
        answer.insert("SequenceNumber".to_owned(), json!(number));
    }
    let trace_header = entry
        .message_system_attributes
        .get("AWSTraceHeader")
        .and_then(|header| header.string_value.clone());
    let mut events = Vec::with_capacity(2);
    if let (Some(id_of_sender), Some(number)) = (&deduplication_id, &sequence_number) {
        events.push(Event::Deduplicated {
            queue: name.to_owned(),
            id: id_of_sender.clone(),
            sent: Sent {
                expires_at: now + DEDUPLICATION_MS,
                message_id: id.clone(),
                sequence_number: number.clone(),
            },
        });
    }
    let message = Message {
        seq,
        id,
        body,
        attributes: entry.message_attributes,
        trace_header,
        sent_at: now,
        visible_at: now + delay * 1000,
        first_received_at: None,
        received_at: None,
        receive_count: 0,
        group: entry.message_group_id,
        deduplication_id,
        sequence_number,
        dead_letter_source: None,
        is_twin: false,
    };
    events.push(Event::Message {
        queue: name.to_owned(),
        message: Box::new(message),
    });
    store.commit(events)?;
    Ok(Value::Object(answer))
}

fn check(entry: &SendMessage, attributes: &QueueAttributes) -> Result<(), ApiError> {
    let body = entry.message_body.as_deref().unwrap_or_default();
    if body.is_empty() {
        return Err(ApiError::missing("MessageBody"));
    }
    if !body.chars().all(is_allowed) {
        return Err(ApiError::invalid_contents());
    }
    let limit = usize::try_from(attributes.number("MaximumMessageSize")).unwrap_or(usize::MAX);
    if size_bytes(entry) > limit {
        return Err(ApiError::invalid_value(format!(
            "One or more parameters are invalid. Reason: Message must be shorter than {limit} bytes."
        )));
    }
    if entry.message_attributes.len() > MOST_ATTRIBUTES {
        return Err(ApiError::invalid_value(
            "Number of message attributes exceeds the allowed maximum of 10.",
        ));
    }
    entry
        .message_attributes
        .iter()
        .try_for_each(|(name, attribute)| attribute.check(name))?;
    if attributes.is_true("FifoQueue") {
        if entry.message_group_id.as_deref().unwrap_or_default().is_empty() {
            return Err(ApiError::missing("MessageGroupId"));
        }
        if entry.delay_seconds.is_some_and(|seconds| seconds != 0) {
            return Err(ApiError::invalid_value(
                "Value for parameter DelaySeconds is invalid. Reason: The request include parameter that is not valid for this queue type.",
            ));
        }
    }
    if entry.message_group_id.as_ref().is_some_and(|id| !is_group_id(id)) {
        return Err(ApiError::invalid_value(
            "Value for parameter MessageGroupId is invalid. Reason: Can only include alphanumeric and punctuation characters. 1 to 128 in length.",
        ));
    }
    Ok(())
}

fn is_group_id(id: &str) -> bool {
    (1..=LONGEST_GROUP_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The characters of XML 1.0.
fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

fn delay_seconds(asked: Option<i64>, attributes: &QueueAttributes) -> Result<i64, ApiError> {
    match asked {
        None => Ok(attributes.number("DelaySeconds")),
        // A FIFO queue knows only its own delay; `check` let nothing but 0 through.
        Some(_) if attributes.is_true("FifoQueue") => Ok(attributes.number("DelaySeconds")),
        Some(seconds) if (0..=LONGEST_DELAY_SECONDS).contains(&seconds) => Ok(seconds),
        Some(seconds) => Err(ApiError::invalid_value(format!(
            "Value {seconds} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900."
        ))),
    }
}

fn deduplication_id(
    fifo: bool,
    by_content: bool,
    given: Option<String>,
    body: &str,
) -> Result<Option<String>, ApiError> {
    match (fifo, given) {
        (true, Some(id)) if !id.is_empty() => Ok(Some(id)),
        (true, _) if by_content => {
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body.as_bytes());
            Ok(Some(hex(digest.as_ref())))
        }
        (true, _) => Err(ApiError::invalid_value(
            "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
        )),
        (false, Some(_)) => Err(ApiError::invalid_value(
            "Value for parameter MessageDeduplicationId is invalid. Reason: The request include parameter that is not valid for this queue type.",
        )),
        (false, None) => Ok(None),
    }
}

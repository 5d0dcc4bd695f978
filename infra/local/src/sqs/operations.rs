//! What each call does.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::RequestContext;
use super::attributes::QueueAttributes;
use super::error::ApiError;
use super::journal::Event;
use super::queue::Receipt;
use super::store::Store;
use super::wire::{self, Batch, OnReceipt, SendMessage};

mod receive;
mod send;

pub(super) use receive::receive;

/// The account that everything here belongs to.
const ACCOUNT: &str = "000000000000";
const LARGEST_BATCH: usize = 10;
const LONGEST_VISIBILITY_SECONDS: i64 = 43_200;

/// Does every call but `ReceiveMessage`, which may have to wait.
pub(super) fn perform(
    store: &mut Store,
    operation: &str,
    body: &[u8],
    context: &RequestContext,
    now: i64,
) -> Result<Value, ApiError> {
    match operation {
        "CreateQueue" => create_queue(store, wire::read(body)?, context, now),
        "GetQueueUrl" => {
            let request: wire::GetQueueUrl = wire::read(body)?;
            let name = request.queue_name.ok_or_else(|| ApiError::missing("QueueName"))?;
            store.queue(&name)?;
            Ok(json!({"QueueUrl": queue_url(context, &name)}))
        }
        "ListQueues" => list_queues(store, &wire::read(body)?, context),
        "GetQueueAttributes" => get_attributes(store, &wire::read(body)?, context, now),
        "SetQueueAttributes" => {
            let request: wire::SetQueueAttributes = wire::read(body)?;
            let name = queue_name(request.queue_url.as_deref())?;
            let attributes = store.queue(&name)?.attributes.with(request.attributes)?;
            check_dead_letter_queue(store, &attributes)?;
            change(store, &name, Some(attributes), None, now)
        }
        "DeleteQueue" => {
            let name = of_queue(store, body)?;
            store.commit(vec![Event::Gone { queue: name }])?;
            Ok(json!({}))
        }
        "PurgeQueue" => {
            let name = of_queue(store, body)?;
            store.commit(vec![Event::Purged { queue: name }])?;
            Ok(json!({}))
        }
        "ListQueueTags" => {
            let name = of_queue(store, body)?;
            Ok(json!({"Tags": store.queue(&name)?.tags}))
        }
        "TagQueue" => {
            let request: wire::TagQueue = wire::read(body)?;
            let name = queue_name(request.queue_url.as_deref())?;
            let mut tags = store.queue(&name)?.tags.clone();
            tags.extend(request.tags);
            change(store, &name, None, Some(tags), now)
        }
        "UntagQueue" => {
            let request: wire::UntagQueue = wire::read(body)?;
            let name = queue_name(request.queue_url.as_deref())?;
            let mut tags = store.queue(&name)?.tags.clone();
            tags.retain(|key, _| !request.tag_keys.contains(key));
            change(store, &name, None, Some(tags), now)
        }
        "SendMessage" => {
            let request: SendMessage = wire::read(body)?;
            let name = queue_name(request.queue_url.as_deref())?;
            store.queue(&name)?;
            send::send(store, &name, request, now)
        }
        "SendMessageBatch" => {
            let batch: Batch<SendMessage> = wire::read(body)?;
            let total = batch.entries.iter().map(send::size_bytes).sum();
            if total > send::LARGEST_BATCH_BYTES {
                return Err(ApiError::batch_too_long(total));
            }
            in_batch(
                store,
                batch,
                |entry| entry.id.as_deref(),
                |store, name, entry| send::send(store, name, entry, now),
            )
        }
        "DeleteMessage" => one(store, body, |store, name, entry| delete(store, name, &entry, now)),
        "DeleteMessageBatch" => many(store, body, |store, name, entry| delete(store, name, &entry, now)),
        "ChangeMessageVisibility" => one(store, body, |store, name, entry| {
            change_visibility(store, name, &entry, now)
        }),
        "ChangeMessageVisibilityBatch" => many(store, body, |store, name, entry| {
            change_visibility(store, name, &entry, now)
        }),
        other => Err(ApiError::unknown_operation(other)),
    }
}

/// The name in a queue's URL, which is its last part, whatever host and account stand before it.
fn queue_name(url: Option<&str>) -> Result<String, ApiError> {
    let url = url.ok_or_else(|| ApiError::missing("QueueUrl"))?;
    Ok(url.rsplit('/').next().unwrap_or_default().to_owned())
}

fn queue_url(context: &RequestContext, name: &str) -> String {
    format!("http://{}/{ACCOUNT}/{name}", context.host)
}

fn queue_arn(context: &RequestContext, name: &str) -> String {
    format!("arn:aws:sqs:{}:{ACCOUNT}:{name}", context.region)
}

/// The queue of a request that names nothing else.
fn of_queue(store: &Store, body: &[u8]) -> Result<String, ApiError> {
    let request: wire::OfQueue = wire::read(body)?;
    let name = queue_name(request.queue_url.as_deref())?;
    store.queue(&name)?;
    Ok(name)
}

fn create_queue(
    store: &mut Store,
    request: wire::CreateQueue,
    context: &RequestContext,
    now: i64,
) -> Result<Value, ApiError> {
    let name = request.queue_name.ok_or_else(|| ApiError::missing("QueueName"))?;
    let attributes = QueueAttributes::check(request.attributes)?;
    let stem = name.strip_suffix(".fifo");
    let characters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.len() > 80 || name.is_empty() || !stem.unwrap_or(&name).bytes().all(characters) {
        return Err(ApiError::invalid_value(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        ));
    }
    if attributes.is_true("FifoQueue") != stem.is_some() {
        return Err(ApiError::invalid_value(
            "The name of a FIFO queue, and of no other, ends with .fifo.",
        ));
    }
    check_dead_letter_queue(store, &attributes)?;
    let answer = json!({"QueueUrl": queue_url(context, &name)});
    if let Ok(existing) = store.queue(&name) {
        return match existing.attributes.difference(&attributes) {
            Some(attribute) => Err(ApiError::queue_exists(&attribute)),
            None => Ok(answer),
        };
    }
    store.commit(vec![Event::Queue {
        queue: name,
        created_at: now,
        modified_at: now,
        attributes: attributes.as_set().clone(),
        tags: request.tags,
    }])?;
    Ok(answer)
}

fn check_dead_letter_queue(store: &Store, attributes: &QueueAttributes) -> Result<(), ApiError> {
    match attributes.redrive() {
        Some(redrive) if store.queue(&redrive.dead_letter_queue).is_err() => Err(ApiError::invalid_value(
            "Value for parameter RedrivePolicy is invalid. Reason: Dead letter target does not exist.",
        )),
        _ => Ok(()),
    }
}

fn change(
    store: &mut Store,
    name: &str,
    attributes: Option<QueueAttributes>,
    tags: Option<BTreeMap<String, String>>,
    now: i64,
) -> Result<Value, ApiError> {
    let queue = store.queue(name)?;
    let attributes = attributes.unwrap_or_else(|| queue.attributes.clone());
    let event = Event::Queue {
        queue: name.to_owned(),
        created_at: queue.created_at,
        modified_at: now,
        attributes: attributes.as_set().clone(),
        tags: tags.unwrap_or_else(|| queue.tags.clone()),
    };
    store.commit(vec![event])?;
    Ok(json!({}))
}

fn list_queues(
    store: &Store,
    request: &wire::ListQueues,
    context: &RequestContext,
) -> Result<Value, ApiError> {
    let after = request.next_token.as_deref().unwrap_or_default();
    let limit = request.max_results.unwrap_or(1000);
    if !(1..=1000).contains(&limit) {
        return Err(ApiError::invalid_value(
            "Value for parameter MaxResults is invalid. Reason: Must be between 1 and 1000.",
        ));
    }
    let names = store.names(request.queue_name_prefix.as_deref());
    let mut page: Vec<String> = names
        .into_iter()
        .filter(|name| name.as_str() > after)
        .take(limit + 1)
        .collect();
    let more = page.len() > limit;
    page.truncate(limit);
    let urls: Vec<String> = page.iter().map(|name| queue_url(context, name)).collect();
    let mut answer = json!({"QueueUrls": urls});
    // A page ends with a token only where the client asked for pages.
    if let (true, Some(_), Some(last), Some(fields)) =
        (more, request.max_results, page.last(), answer.as_object_mut())
    {
        fields.insert("NextToken".to_owned(), json!(last));
    }
    Ok(answer)
}

fn get_attributes(
    store: &mut Store,
    request: &wire::GetQueueAttributes,
    context: &RequestContext,
    now: i64,
) -> Result<Value, ApiError> {
    let name = queue_name(request.queue_url.as_deref())?;
    store.expire(&name, now)?;
    let queue = store.queue(&name)?;
    let depth = queue.depth(now);
    let mut all = queue.attributes.described();
    let computed = [
        ("QueueArn", queue_arn(context, &name)),
        ("ApproximateNumberOfMessages", depth.visible.to_string()),
        (
            "ApproximateNumberOfMessagesNotVisible",
            depth.in_flight.to_string(),
        ),
        ("ApproximateNumberOfMessagesDelayed", depth.delayed.to_string()),
        ("CreatedTimestamp", (queue.created_at / 1000).to_string()),
        ("LastModifiedTimestamp", (queue.modified_at / 1000).to_string()),
    ];
    all.extend(computed.map(|(name, value)| (name.to_owned(), value)));
    if request.attribute_names.iter().any(|name| name == "All") {
        return Ok(json!({"Attributes": all}));
    }
    let known = [
        "RedrivePolicy",
        "Policy",
        "RedriveAllowPolicy",
        "KmsMasterKeyId",
        "FifoQueue",
    ];
    let known = known
        .iter()
        .chain(["KmsDataKeyReusePeriodSeconds", "ContentBasedDeduplication"].iter());
    for name in &request.attribute_names {
        if !all.contains_key(name) && !known.clone().any(|known| known == name) {
            return Err(ApiError::invalid_attribute_name(name));
        }
    }
    all.retain(|name, _| request.attribute_names.contains(name));
    Ok(json!({"Attributes": all}))
}

/// Does one entry that is a whole request.
fn one(
    store: &mut Store,
    body: &[u8],
    act: impl FnOnce(&mut Store, &str, OnReceipt) -> Result<Value, ApiError>,
) -> Result<Value, ApiError> {
    let request: OnReceipt = wire::read(body)?;
    let name = queue_name(request.queue_url.as_deref())?;
    store.queue(&name)?;
    act(store, &name, request)
}

fn many(
    store: &mut Store,
    body: &[u8],
    act: impl FnMut(&mut Store, &str, OnReceipt) -> Result<Value, ApiError>,
) -> Result<Value, ApiError> {
    let batch: Batch<OnReceipt> = wire::read(body)?;
    in_batch(store, batch, |entry| entry.id.as_deref(), act)
}

/// Does each entry of a batch; one that fails does not stop the others.
fn in_batch<Entry: DeserializeOwned>(
    store: &mut Store,
    batch: Batch<Entry>,
    id: impl Fn(&Entry) -> Option<&str>,
    mut act: impl FnMut(&mut Store, &str, Entry) -> Result<Value, ApiError>,
) -> Result<Value, ApiError> {
    let name = queue_name(batch.queue_url.as_deref())?;
    store.queue(&name)?;
    check_ids(&batch, &id)?;
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for entry in batch.entries {
        let id = id(&entry).unwrap_or_default().to_owned();
        match act(store, &name, entry) {
            Ok(Value::Object(mut fields)) => {
                fields.insert("Id".to_owned(), json!(id));
                successful.push(Value::Object(fields));
            }
            Ok(_) => successful.push(json!({"Id": id})),
            Err(error) => failed.push(json!({
                "Id": id,
                "SenderFault": error.is_senders(),
                "Code": error.code,
                "Message": error.message,
            })),
        }
    }
    let mut answer = Map::new();
    answer.insert("Successful".to_owned(), Value::Array(successful));
    answer.insert("Failed".to_owned(), Value::Array(failed));
    Ok(Value::Object(answer))
}

fn check_ids<Entry>(batch: &Batch<Entry>, id: impl Fn(&Entry) -> Option<&str>) -> Result<(), ApiError> {
    if batch.entries.is_empty() {
        return Err(ApiError::empty_batch());
    }
    if batch.entries.len() > LARGEST_BATCH {
        return Err(ApiError::too_many_entries(batch.entries.len()));
    }
    let mut seen = std::collections::HashSet::new();
    for entry in &batch.entries {
        let id = id(entry).unwrap_or_default();
        let characters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if id.is_empty() || id.len() > 80 || !id.bytes().all(characters) {
            return Err(ApiError::invalid_entry_id());
        }
        if !seen.insert(id) {
            return Err(ApiError::entry_ids_not_distinct(id));
        }
    }
    Ok(())
}

fn receipt(name: &str, entry: &OnReceipt) -> Result<Receipt, ApiError> {
    let handle = entry
        .receipt_handle
        .as_deref()
        .ok_or_else(|| ApiError::missing("ReceiptHandle"))?;
    Receipt::decode(handle)
        .filter(|receipt| receipt.queue == name)
        .ok_or_else(ApiError::invalid_handle)
}

/// Deletes by the handle of the latest receive. An older handle, and a message that is gone, are answered
/// with success and change nothing.
fn delete(store: &mut Store, name: &str, entry: &OnReceipt, now: i64) -> Result<Value, ApiError> {
    let receipt = receipt(name, entry)?;
    let queue = store.queue(name)?;
    let current = queue
        .message(receipt.seq)
        .filter(|message| message.receive_count == receipt.receive_count);
    if let Some(message) = current {
        // A FIFO group may have moved on once the message became visible again.
        if queue.is_fifo() && message.visible_at <= now {
            return Err(ApiError::invalid_value(
                "Value for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.",
            ));
        }
        store.commit(vec![Event::Removed {
            queue: name.to_owned(),
            seq: receipt.seq,
        }])?;
    }
    Ok(json!({}))
}

fn change_visibility(store: &mut Store, name: &str, entry: &OnReceipt, now: i64) -> Result<Value, ApiError> {
    let receipt = receipt(name, entry)?;
    let seconds = entry
        .visibility_timeout
        .ok_or_else(|| ApiError::missing("VisibilityTimeout"))?;
    if !(0..=LONGEST_VISIBILITY_SECONDS).contains(&seconds) {
        return Err(ApiError::invalid_value(format!(
            "Value {seconds} for parameter VisibilityTimeout is invalid. Reason: Must be between 0 and 43200."
        )));
    }
    let current = store.queue(name)?.message(receipt.seq);
    let Some(message) = current.filter(|message| message.receive_count == receipt.receive_count) else {
        return Err(ApiError::invalid_value(
            "Value for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change.",
        ));
    };
    if message.visible_at <= now {
        return Err(ApiError::not_in_flight());
    }
    // Of a message that an earlier state kept, only the first receive may be known.
    let received_at = message.received_at.or(message.first_received_at).unwrap_or(now);
    if now + seconds * 1000 > received_at + LONGEST_VISIBILITY_SECONDS * 1000 {
        return Err(ApiError::invalid_value(format!(
            "Value {seconds} for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message is beyond the limit [{LONGEST_VISIBILITY_SECONDS} seconds]."
        )));
    }
    let event = Event::Held {
        queue: name.to_owned(),
        seq: receipt.seq,
        visible_at: now + seconds * 1000,
        receive_count: message.receive_count,
        first_received_at: message.first_received_at,
        received_at: message.received_at,
    };
    store.commit(vec![event])?;
    Ok(json!({}))
}

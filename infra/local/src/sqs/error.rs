//! The errors of SQS: the JSON protocol's type, and beside it, in a header, the code of the old query
//! protocol, which is what SDKs map to their error types.

use http::HeaderValue;
use serde_json::json;

use super::wire::CONTENT_TYPE;
use crate::endpoint::{Answer, text_answer};

/// An error as a client sees it.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    /// `__type` of the JSON protocol.
    kind: &'static str,
    /// The query protocol's code; also the code of a batch entry that failed.
    pub(super) code: &'static str,
    pub(super) message: String,
    status: u16,
}

impl ApiError {
    fn new(kind: &'static str, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            code,
            message: message.into(),
            status: 400,
        }
    }

    pub(super) fn no_such_queue() -> Self {
        Self::new(
            "com.amazonaws.sqs#QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue",
            "The specified queue does not exist.",
        )
    }

    pub(super) fn queue_exists(attribute: &str) -> Self {
        Self::new(
            "com.amazonaws.sqs#QueueNameExists",
            "QueueAlreadyExists",
            format!(
                "A queue already exists with the same name and a different value for attribute {attribute}"
            ),
        )
    }

    pub(super) fn invalid_value(message: impl Into<String>) -> Self {
        Self::new(
            "com.amazon.coral.service#InvalidParameterValueException",
            "InvalidParameterValue",
            message,
        )
    }

    pub(super) fn missing(parameter: &str) -> Self {
        Self::new(
            "com.amazon.coral.service#MissingRequiredParameterException",
            "MissingParameter",
            format!("The request must contain the parameter {parameter}."),
        )
    }

    pub(super) fn invalid_attribute_name(name: &str) -> Self {
        Self::new(
            "com.amazonaws.sqs#InvalidAttributeName",
            "InvalidAttributeName",
            format!("Unknown Attribute {name}."),
        )
    }

    pub(super) fn invalid_attribute_value(name: &str) -> Self {
        Self::new(
            "com.amazonaws.sqs#InvalidAttributeValue",
            "InvalidAttributeValue",
            format!("Invalid value for the parameter {name}."),
        )
    }

    pub(super) fn invalid_contents() -> Self {
        Self::new(
            "com.amazonaws.sqs#InvalidMessageContents",
            "InvalidMessageContents",
            "Invalid characters found in the message body.",
        )
    }

    pub(super) fn invalid_handle() -> Self {
        Self::new(
            "com.amazonaws.sqs#ReceiptHandleIsInvalid",
            "ReceiptHandleIsInvalid",
            "The input receipt handle is invalid.",
        )
    }

    pub(super) fn not_in_flight() -> Self {
        Self::new(
            "com.amazonaws.sqs#MessageNotInflight",
            "AWS.SimpleQueueService.MessageNotInflight",
            "The message referred to is not in flight.",
        )
    }

    pub(super) fn empty_batch() -> Self {
        Self::new(
            "com.amazonaws.sqs#EmptyBatchRequest",
            "AWS.SimpleQueueService.EmptyBatchRequest",
            "There should be at least one entry in the request.",
        )
    }

    pub(super) fn too_many_entries(entries: usize) -> Self {
        Self::new(
            "com.amazonaws.sqs#TooManyEntriesInBatchRequest",
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            format!("Maximum number of entries per request are 10. You have sent {entries}."),
        )
    }

    pub(super) fn entry_ids_not_distinct(id: &str) -> Self {
        Self::new(
            "com.amazonaws.sqs#BatchEntryIdsNotDistinct",
            "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
            format!("Id {id} repeated."),
        )
    }

    pub(super) fn invalid_entry_id() -> Self {
        Self::new(
            "com.amazonaws.sqs#InvalidBatchEntryId",
            "AWS.SimpleQueueService.InvalidBatchEntryId",
            "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.",
        )
    }

    pub(super) fn batch_too_long(bytes: usize) -> Self {
        Self::new(
            "com.amazonaws.sqs#BatchRequestTooLong",
            "AWS.SimpleQueueService.BatchRequestTooLong",
            format!("Batch requests cannot be longer than 1048576 bytes. You have sent {bytes} bytes."),
        )
    }

    pub(super) fn over_limit() -> Self {
        Self {
            status: 403,
            ..Self::new(
                "com.amazonaws.sqs#OverLimit",
                "OverLimit",
                "Too many messages are in flight: the queue has reached its maximum of 120000.",
            )
        }
    }

    pub(super) fn serialization(message: impl Into<String>) -> Self {
        Self::new(
            "com.amazon.coral.service#SerializationException",
            "MalformedInput",
            message,
        )
    }

    pub(super) fn unknown_operation(operation: &str) -> Self {
        Self::new(
            "com.amazon.coral.service#UnknownOperationException",
            "InvalidAction",
            format!("`{operation}` is not served here"),
        )
    }

    /// The journal could not be written: nothing was done.
    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self {
            status: 500,
            ..Self::new("com.amazonaws.sqs#InternalFailure", "InternalFailure", message)
        }
    }

    /// Whether the sender is at fault.
    pub(super) fn is_senders(&self) -> bool {
        self.status < 500
    }

    pub(super) fn into_answer(self) -> Answer {
        let body = json!({"__type": self.kind, "message": self.message}).to_string();
        let mut answer = text_answer(self.status, CONTENT_TYPE, body);
        let fault = if self.is_senders() { "Sender" } else { "Receiver" };
        if let Ok(value) = HeaderValue::try_from(format!("{};{fault}", self.code)) {
            answer.headers_mut().insert("x-amzn-query-error", value);
        }
        answer
    }
}

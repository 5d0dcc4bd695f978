//! The SQS batch loop: each record has its own verdict.
//!
//! Lambda deletes the messages of a batch unless the answer names them (partial batch response,
//! `ReportBatchItemFailures`); the named ones come back after their visibility timeout and, when
//! the queue's redrive count is used up, go to its dead-letter queue. Source: "Handling errors for
//! an SQS event source in Lambda",
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>.

use std::collections::BTreeSet;
use std::error::Error;
use std::panic::AssertUnwindSafe;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures::{FutureExt, StreamExt, stream};
use serde::de::DeserializeOwned;
use tracing::{Instrument, Span};

use crate::error_chain::ErrorChain;
use crate::metrics::{Metric, Unit};

/// The record could not be dealt with now: let the queue deliver it again.
///
/// There is no other verdict. What can never succeed is for the work itself to record as failed,
/// which is a success of the record; what nobody foresaw ends in the dead-letter queue by itself.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Retry(Box<dyn Error + Send + Sync>);

impl Retry {
    /// Retries because of this. The error is logged with its sources: its text must name nobody.
    pub fn because(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(error.into())
    }
}

/// A message that is to be delivered again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redelivery {
    /// By which SQS knows this delivery.
    pub receipt_handle: String,
    /// How often it was delivered, this time included.
    pub receive_count: u32,
}

/// What came of a batch.
#[derive(Clone, Debug, Default)]
pub struct BatchOutcome {
    /// Lambda's answer.
    pub response: SqsBatchResponse,
    /// The messages that the answer names.
    pub again: Vec<Redelivery>,
    succeeded: Vec<(String, Redelivery)>,
}

impl BatchOutcome {
    /// Has the messages that were dealt with delivered again as well.
    pub fn fail_all(&mut self) {
        for (message_id, redelivery) in std::mem::take(&mut self.succeeded) {
            self.response.add_failure(message_id);
            self.again.push(redelivery);
        }
    }
}

/// Deals with the records of a batch, at most `concurrency` (at least 1) at a time, begun in the
/// order of the batch. `handle` is given the message and how often it was delivered.
///
/// `span_of` gives the span of a message's work, with its ids; what is logged of its end stands in it.
///
/// The answer names, in that order and once each, the messages that are to be delivered again:
/// those whose body is no `M`, those whose `handle` failed, those whose `handle` panicked. A message
/// without an id (SQS sends none) makes the answer one that Lambda takes as "all failed".
pub async fn run_batch<M, S, F, Fut>(
    event: SqsEvent,
    concurrency: usize,
    span_of: S,
    handle: F,
) -> BatchOutcome
where
    M: DeserializeOwned,
    S: Fn(&M) -> Span,
    F: Fn(M, u32) -> Fut,
    Fut: Future<Output = Result<(), Retry>>,
{
    let (span_of, handle) = (&span_of, &handle);
    let dealt: Vec<_> = stream::iter(event.records)
        .map(|record| async move {
            let message_id = record.message_id.clone().unwrap_or_default();
            let redelivery = Redelivery {
                receipt_handle: record.receipt_handle.clone().unwrap_or_default(),
                receive_count: receive_count(&record),
            };
            let span = tracing::info_span!("record", message_id, receive_count = redelivery.receive_count);
            let succeeded = run_record(&record, span_of, handle).instrument(span).await;
            (message_id, redelivery, succeeded)
        })
        .buffered(concurrency.max(1))
        .collect()
        .await;

    let mut outcome = BatchOutcome::default();
    let mut named = BTreeSet::new();
    for (message_id, redelivery, succeeded) in dealt {
        if succeeded {
            outcome.succeeded.push((message_id, redelivery));
        } else if named.insert(message_id.clone()) {
            outcome.response.add_failure(message_id);
            outcome.again.push(redelivery);
        }
    }
    outcome
}

/// How often a message was delivered, as SQS counts; 1 where it does not say.
fn receive_count(record: &SqsMessage) -> u32 {
    let count = record.attributes.get("ApproximateReceiveCount");
    count.and_then(|count| count.parse().ok()).unwrap_or(1)
}

/// What a batch of so many records adds to its function's metrics.
pub fn batch_metrics(records: usize, response: &SqsBatchResponse) -> [Metric<'static>; 2] {
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    [
        ("Records", Unit::Count, count(records)),
        (
            "RecordsFailed",
            Unit::Count,
            count(response.batch_item_failures.len()),
        ),
    ]
}

/// Deals with one record and says whether it is done with.
async fn run_record<M, S, F, Fut>(record: &SqsMessage, span_of: &S, handle: &F) -> bool
where
    M: DeserializeOwned,
    S: Fn(&M) -> Span,
    F: Fn(M, u32) -> Fut,
    Fut: Future<Output = Result<(), Retry>>,
{
    let message = match serde_json::from_str::<M>(record.body.as_deref().unwrap_or_default()) {
        Ok(message) => message,
        Err(error) => {
            // Only where and which kind: serde's own text may repeat what stands in the body.
            tracing::error!(
                kind = ?error.classify(),
                line = error.line(),
                column = error.column(),
                "the message cannot be read and will end in the dead-letter queue"
            );
            return false;
        }
    };
    let span = span_of(&message);
    run_message(message, receive_count(record), handle)
        .instrument(span)
        .await
}

/// Deals with one message and says whether it is done with.
async fn run_message<M, F, Fut>(message: M, receive_count: u32, handle: &F) -> bool
where
    F: Fn(M, u32) -> Fut,
    Fut: Future<Output = Result<(), Retry>>,
{
    // The panicking record's own values are gone; what it shares with others are AWS clients and
    // records in tables, which every step finds as another process may have left them.
    match AssertUnwindSafe(async { handle(message, receive_count).await })
        .catch_unwind()
        .await
    {
        Ok(Ok(())) => true,
        Ok(Err(Retry(error))) => {
            tracing::warn!(error = %ErrorChain(error.as_ref()), "the message will be delivered again");
            false
        }
        Err(_payload) => {
            tracing::error!("dealing with the message panicked; it will be delivered again");
            false
        }
    }
}

#[cfg(test)]
mod tests;

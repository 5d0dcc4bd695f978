//! Function `janitor`: sends again what is stuck, marks what has expired, deletes what is due.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lambda_events::eventbridge::EventBridgeEvent;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use lambda_runtime::Diagnostic;
use oubli_runtime::batch::{Retry, run_batch};
use oubli_runtime::error_chain::ErrorChain;
use oubli_runtime::metrics::{Metrics, Unit};
use oubli_workflows::{Oubli, WorkQueue, WorkflowError};
use serde::Deserialize;
use serde_json::Value;

/// What EventBridge calls a schedule's event ("Scheduled events", Amazon EventBridge User Guide).
const SCHEDULED: &str = "Scheduled Event";

/// Why a run did not happen, or not in full.
#[derive(Debug, thiserror::Error)]
pub enum JanitorError {
    /// Not an EventBridge event at all.
    #[error("the event is no EventBridge event")]
    Unreadable(#[source] serde_json::Error),
    /// An EventBridge event of another kind: a rule points here that should not.
    #[error("the event must be a `{SCHEDULED}` or messages, this is an `{0}`")]
    Unknown(String),
    /// It could not be done; a sweep begins where the one before got to.
    #[error("the work failed")]
    Work(#[from] WorkflowError),
}

/// What Lambda tells the invoker and logs: the error with its causes, not its inner shape.
impl From<JanitorError> for Diagnostic {
    fn from(error: JanitorError) -> Self {
        Self {
            error_type: "JanitorError".to_owned(),
            error_message: ErrorChain(&error).to_string(),
        }
    }
}

/// What there is to do.
#[derive(Debug)]
enum Task {
    Sweep,
    /// Objects of the bucket of archives are gone: events of S3, each in a message.
    Events(SqsEvent),
}

/// What S3 says of an object, as far as it is read.
#[derive(Clone, Debug, Deserialize)]
struct ObjectEvent {
    #[serde(rename = "detail-type")]
    kind: ObjectEventKind,
    detail: Detail,
}

/// Events of other kinds are none that a rule sends here.
#[derive(Clone, Copy, Debug, Deserialize)]
enum ObjectEventKind {
    /// By a lifecycle rule too ("EventBridge event message structure", Amazon S3 User Guide).
    #[serde(rename = "Object Deleted")]
    Deleted,
}

#[derive(Clone, Debug, Deserialize)]
struct Detail {
    object: Object,
}

#[derive(Clone, Debug, Deserialize)]
struct Object {
    key: String,
}

/// How many events are dealt with at once: each is a few calls, and mostly waiting for them.
const CONCURRENCY: usize = 10;

/// Sweeps once, whichever minute the event was meant for: what is due is decided by the clock. Or notes that
/// archives are gone, when S3 says so; then answers which messages are to be delivered again.
///
/// # Errors
/// [`JanitorError`] when the event is neither, or the sweep fails.
pub async fn handle(
    oubli: &Oubli,
    metrics: &Metrics,
    event: Value,
) -> Result<Option<SqsBatchResponse>, JanitorError> {
    match task(event)? {
        Task::Sweep => sweep(oubli, metrics).await.map(|()| None),
        Task::Events(events) => Ok(Some(handle_events(oubli, metrics, events).await)),
    }
}

/// Notes, of each object of a batch of events, that an archive is gone, and answers which messages are to be
/// delivered again.
pub async fn handle_events(oubli: &Oubli, metrics: &Metrics, event: SqsEvent) -> SqsBatchResponse {
    let deleted = AtomicU64::new(0);
    // A key of the bucket of archives is made of ids.
    let span_of = |event: &ObjectEvent| tracing::info_span!("gone", object_key = event.detail.object.key);
    let outcome = run_batch(event, CONCURRENCY, span_of, |event, _| {
        let deleted = &deleted;
        async move {
            let ObjectEventKind::Deleted = event.kind;
            let key = &event.detail.object.key;
            if oubli.note_object_deleted(key).await.map_err(Retry::because)? {
                deleted.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        }
    })
    .await;
    let again = outcome.again.into_iter();
    let again = again.map(|message| (message.receipt_handle, message.receive_count));
    oubli.deliver_again(WorkQueue::ArchiveEvents, again).await;
    let deleted = deleted.into_inner();
    tracing::info!(deleted, "objects of the archives were deleted");
    metrics.emit(oubli.now(), &[("ArchivesDeleted", Unit::Count, deleted)]);
    outcome.response
}

async fn sweep(oubli: &Oubli, metrics: &Metrics) -> Result<(), JanitorError> {
    let swept = oubli.sweep().await?;
    tracing::info!(
        actions = swept.actions,
        items = swept.items,
        mails = swept.mails,
        expired = swept.expired,
        deleted = swept.deleted,
        purged = swept.purged,
        failures = swept.failures,
        "swept"
    );
    let redriven = swept
        .actions
        .saturating_add(swept.items)
        .saturating_add(swept.mails);
    metrics.emit(
        oubli.now(),
        &[
            ("Redriven", Unit::Count, redriven),
            ("ArchivesExpired", Unit::Count, swept.expired),
            ("ArchivesDeleted", Unit::Count, swept.deleted),
            ("SweepFailures", Unit::Count, swept.failures),
        ],
    );
    Ok(())
}

fn task(event: Value) -> Result<Task, JanitorError> {
    if event.get("Records").is_some() {
        let events = serde_json::from_value(event).map_err(JanitorError::Unreadable)?;
        return Ok(Task::Events(events));
    }
    let event: EventBridgeEvent = serde_json::from_value(event).map_err(JanitorError::Unreadable)?;
    match event.detail_type.as_str() {
        SCHEDULED => Ok(Task::Sweep),
        _ => Err(JanitorError::Unknown(event.detail_type)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task_of(text: &str) -> Result<Task, JanitorError> {
        task(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn a_schedule_and_messages_are_taken() {
        let scheduled = task_of(include_str!("../../../events/janitor/each-minute.json")).unwrap();
        assert!(matches!(scheduled, Task::Sweep));
        let events = task_of(include_str!("../../../events/janitor/archives-gone.json")).unwrap();
        let Task::Events(events) = events else {
            panic!("{events:?}");
        };
        let body = events.records[0].body.as_deref().unwrap();
        let event: ObjectEvent = serde_json::from_str(body).unwrap();
        let key = event.detail.object.key;
        assert!(key.starts_with("archives/demo/") && key.ends_with(".zip"));
    }

    #[test]
    fn another_event_is_refused_with_its_kind() {
        let error = task_of(include_str!("../../../events/janitor/bad-object-created.json")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the event must be a `Scheduled Event` or messages, this is an `Object Created`"
        );
        for text in ["{}", "null", "[]", r#"{"Records":1}"#] {
            assert!(
                matches!(task_of(text), Err(JanitorError::Unreadable(_))),
                "{text}"
            );
        }
    }
}

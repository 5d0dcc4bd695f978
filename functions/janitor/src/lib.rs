//! Function `janitor`: sends again what is stuck, marks what has expired, deletes what is due.

use aws_lambda_events::eventbridge::EventBridgeEvent;
use lambda_runtime::Diagnostic;
use oubli_runtime::error_chain::ErrorChain;
use oubli_runtime::metrics::{Metrics, Unit};
use oubli_workflows::{Oubli, WorkflowError};
use serde_json::Value;

/// What EventBridge calls a schedule's event ("Scheduled events", Amazon EventBridge User Guide).
const SCHEDULED: &str = "Scheduled Event";
/// What S3 sends when an object is deleted, by a lifecycle rule too ("EventBridge event message structure",
/// Amazon S3 User Guide).
const DELETED: &str = "Object Deleted";

/// Why a run did not happen, or not in full.
#[derive(Debug, thiserror::Error)]
pub enum JanitorError {
    /// Not an EventBridge event at all.
    #[error("the event is no EventBridge event")]
    Unreadable(#[source] serde_json::Error),
    /// An EventBridge event of another kind: a rule points here that should not.
    #[error("the event must be a `{SCHEDULED}` or an `{DELETED}`, this is an `{0}`")]
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
    /// An object of the bucket of archives is gone; this is its key.
    ObjectDeleted(String),
}

/// Sweeps once, whichever minute the event was meant for: what is due is decided by the clock. Or notes that
/// an archive is gone, when S3 says so.
///
/// # Errors
/// [`JanitorError`] when the event is neither, or the work fails.
pub async fn handle(oubli: &Oubli, metrics: &Metrics, event: Value) -> Result<(), JanitorError> {
    match task(event)? {
        Task::Sweep => sweep(oubli, metrics).await,
        Task::ObjectDeleted(key) => {
            let deleted = oubli.note_object_deleted(&key).await?;
            let count = u64::from(deleted);
            tracing::info!(deleted = count, "an object of the archives was deleted");
            metrics.emit(oubli.now(), &[("ArchivesDeleted", Unit::Count, count)]);
            Ok(())
        }
    }
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
    #[derive(serde::Deserialize)]
    struct Detail {
        object: Object,
    }
    #[derive(serde::Deserialize)]
    struct Object {
        key: String,
    }
    let event: EventBridgeEvent = serde_json::from_value(event).map_err(JanitorError::Unreadable)?;
    match event.detail_type.as_str() {
        SCHEDULED => Ok(Task::Sweep),
        DELETED => {
            let detail: Detail = serde_json::from_value(event.detail).map_err(JanitorError::Unreadable)?;
            Ok(Task::ObjectDeleted(detail.object.key))
        }
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
    fn a_schedule_and_a_deleted_object_are_taken() {
        let scheduled = task_of(include_str!("../../../events/janitor/each-minute.json")).unwrap();
        assert!(matches!(scheduled, Task::Sweep));
        let deleted = task_of(include_str!("../../../events/janitor/archive-deleted.json")).unwrap();
        let Task::ObjectDeleted(key) = deleted else {
            panic!("{deleted:?}");
        };
        assert!(key.starts_with("archives/demo/") && key.ends_with(".zip"));
    }

    #[test]
    fn another_event_is_refused_with_its_kind() {
        let error = task_of(include_str!("../../../events/janitor/bad-object-created.json")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the event must be a `Scheduled Event` or an `Object Deleted`, this is an `Object Created`"
        );
        for text in ["{}", "null", "[]", r#"{"Records":[]}"#] {
            assert!(
                matches!(task_of(text), Err(JanitorError::Unreadable(_))),
                "{text}"
            );
        }
    }
}

//! Function `janitor`: sends again what is stuck, marks what has expired, deletes what is due.

use aws_lambda_events::eventbridge::EventBridgeEvent;
use lambda_runtime::Diagnostic;
use oubli_runtime::error_chain::ErrorChain;
use oubli_runtime::metrics::{Metrics, Unit};
use oubli_workflows::{Oubli, WorkflowError};
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
    #[error("the event must be a `{SCHEDULED}`, this is a `{0}`")]
    NotScheduled(String),
    /// The sweep failed; the next one begins where this one got to.
    #[error("the sweep failed")]
    Sweep(#[from] WorkflowError),
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

/// Sweeps once, whichever minute the event was meant for: what is due is decided by the clock.
///
/// # Errors
/// [`JanitorError`] when the event is not a schedule's, or the sweep fails.
pub async fn handle(oubli: &Oubli, metrics: &Metrics, event: Value) -> Result<(), JanitorError> {
    check(event)?;
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

fn check(event: Value) -> Result<(), JanitorError> {
    let event: EventBridgeEvent = serde_json::from_value(event).map_err(JanitorError::Unreadable)?;
    if event.detail_type == SCHEDULED {
        Ok(())
    } else {
        Err(JanitorError::NotScheduled(event.detail_type))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(text: &str) -> Result<(), JanitorError> {
        check(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn a_schedule_is_taken() {
        check_text(include_str!("../../../events/janitor/each-minute.json")).unwrap();
    }

    #[test]
    fn another_event_is_refused_with_its_kind() {
        let error = check_text(include_str!("../../../events/janitor/bad-not-scheduled.json")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the event must be a `Scheduled Event`, this is a `Object Created`"
        );
        for text in ["{}", "null", "[]", r#"{"Records":[]}"#] {
            assert!(
                matches!(check_text(text), Err(JanitorError::Unreadable(_))),
                "{text}"
            );
        }
    }
}

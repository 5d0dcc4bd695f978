//! The one place that turns a workflow's refusal into HTTP's.

use std::error::Error;

use oubli_workflows::{Conflict, WorkflowError};

use super::{Code, Problem};
use crate::data_actions::view::PreviewView;

/// After how many seconds a busy deployment is worth asking again.
const BUSY_SECONDS: u32 = 2;

impl Problem {
    /// Something went wrong on our side: logged here, once, and not told to the caller.
    pub fn internal(error: &(dyn Error + 'static)) -> Self {
        tracing::error!(error, "the request failed");
        Self::new(Code::Internal)
    }
}

impl From<WorkflowError> for Problem {
    fn from(error: WorkflowError) -> Self {
        match error {
            WorkflowError::NotFound => Self::new(Code::NotFound),
            WorkflowError::NotAMember => Self::new(Code::NotAMember),
            WorkflowError::RightMissing(right) => {
                Self::new(Code::RightMissing).detail(format!("the right `{}` is missing", right.code()))
            }
            WorkflowError::Invalid(errors) => Self::refused(&errors),
            WorkflowError::Conflict(conflict) => Self::new(code_of(conflict)).detail(conflict.detail()),
            WorkflowError::PreconditionFailed => Self::new(Code::PreconditionFailed),
            WorkflowError::ArchiveExpired => Self::new(Code::ArchiveExpired),
            WorkflowError::IdempotencyMismatch => Self::new(Code::IdempotencyKeyReused),
            WorkflowError::CursorInvalid => Self::new(Code::CursorInvalid),
            WorkflowError::PlanChanged(preview) => match serde_json::to_value(PreviewView::new(*preview)) {
                Ok(preview) => Self::new(Code::PlanChanged).member("preview", preview),
                Err(error) => Self::internal(&error),
            },
            WorkflowError::Busy => Self::new(Code::Busy).retry_after(BUSY_SECONDS),
            WorkflowError::Internal(error) => Self::internal(error.as_ref()),
        }
    }
}

fn code_of(conflict: Conflict) -> Code {
    match conflict {
        Conflict::AlreadyExists => Code::AlreadyExists,
        Conflict::LastAdministrator => Code::LastAdministrator,
        Conflict::UploadMissing => Code::UploadMissing,
        Conflict::UploadSizeMismatch => Code::UploadSizeMismatch,
        Conflict::UploadHashMismatch => Code::UploadHashMismatch,
        Conflict::ActionEnded => Code::ActionEnded,
        Conflict::ActionNotEnded => Code::ActionNotEnded,
        Conflict::NothingToRetry => Code::NothingToRetry,
        Conflict::DocumentNotStored => Code::DocumentNotStored,
        Conflict::ContactAnonymised => Code::ContactAnonymised,
        Conflict::UploadChanged => Code::UploadChanged,
        Conflict::ArchiveHashMismatch => Code::ArchiveHashMismatch,
        Conflict::TooManyDocuments => Code::TooManyDocuments,
        Conflict::Contended => Code::Contended,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oubli_domain::group::Right;

    #[test]
    fn conflicts_keep_their_codes() {
        for conflict in Conflict::ALL {
            let problem = Problem::from(WorkflowError::Conflict(conflict));
            assert_eq!(problem.code().code(), conflict.code());
            assert_eq!(problem.code().status(), 409);
        }
    }

    #[test]
    fn internal_text_stays_inside() {
        let problem = Problem::from(WorkflowError::internal("table contacts-7 of Chlo\u{e9}"));
        assert_eq!(problem.code(), Code::Internal);
        assert!(!format!("{problem:?}").contains("contacts-7"));
    }

    #[test]
    fn refusals_have_their_statuses() {
        for (error, status) in [
            (WorkflowError::NotFound, 404),
            (WorkflowError::NotAMember, 403),
            (WorkflowError::RightMissing(Right::Administration), 403),
            (WorkflowError::PreconditionFailed, 412),
            (WorkflowError::ArchiveExpired, 410),
            (WorkflowError::IdempotencyMismatch, 422),
            (WorkflowError::CursorInvalid, 400),
            (WorkflowError::Busy, 503),
        ] {
            assert_eq!(Problem::from(error).code().status(), status);
        }
    }
}

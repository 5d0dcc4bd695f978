//! How a use case can end other than well.

use oubli_cloud::{CloudError, CursorError};
use oubli_domain::FieldErrors;
use oubli_domain::group::Right;

use crate::preview::Preview;

/// Why a use case did not happen. Knows nothing of HTTP or queues.
#[derive(Debug, thiserror::Error)]
pub enum WorkflowError {
    /// There is no such thing in the tenant; another tenant's is no such thing either.
    #[error("there is no such thing")]
    NotFound,
    /// The token is genuine, but its member is not, or no longer, a member of the tenant.
    #[error("the caller is not a member of the tenant")]
    NotAMember,
    /// The member lacks a right.
    #[error("the right `{}` is missing", .0.code())]
    RightMissing(Right),
    /// Understood, but refused.
    #[error("the input is refused")]
    Invalid(FieldErrors),
    /// Not in the present state of things.
    #[error("{}", .0.detail())]
    Conflict(Conflict),
    /// The thing is not in the version that the caller has seen.
    #[error("the version has changed")]
    PreconditionFailed,
    /// The archive's ten days are over.
    #[error("the archive has expired")]
    ArchiveExpired,
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    IdempotencyMismatch,
    /// The list has moved on from this cursor, or it is none.
    #[error("the cursor does not fit")]
    CursorInvalid,
    /// The plan is not the one that was previewed.
    #[error("the plan has changed since its preview")]
    PlanChanged(Box<Preview>),
    /// Too much is going on; a little later it will work.
    #[error("too much is going on")]
    Busy,
    /// What nobody foresaw.
    #[error("an unforeseen failure")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl WorkflowError {
    /// Whether the failure is of AWS, or of the moment, and says nothing of what was to be done.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Busy => true,
            Self::Internal(error) => error
                .downcast_ref::<CloudError>()
                .is_some_and(CloudError::is_passing),
            _ => false,
        }
    }

    /// An unforeseen failure.
    pub fn internal(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(error.into())
    }
}

impl From<CloudError> for WorkflowError {
    fn from(error: CloudError) -> Self {
        if error.is_throttling() {
            Self::Busy
        } else {
            Self::internal(error)
        }
    }
}

impl From<CursorError> for WorkflowError {
    fn from(error: CursorError) -> Self {
        match error {
            CursorError::Invalid => Self::CursorInvalid,
            CursorError::Cloud(error) => error.into(),
        }
    }
}

impl From<FieldErrors> for WorkflowError {
    fn from(errors: FieldErrors) -> Self {
        Self::Invalid(errors)
    }
}

/// What stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// Something with this id is there already.
    AlreadyExists,
    /// Nobody could administer the tenant any more.
    LastAdministrator,
    /// Nothing was uploaded, or not with the headers that were given.
    UploadMissing,
    /// What was uploaded has another size.
    UploadSizeMismatch,
    /// What was uploaded has another hash.
    UploadHashMismatch,
    /// Other bytes were uploaded at the same moment.
    UploadChanged,
    /// What was downloaded is not the archive.
    ArchiveHashMismatch,
    /// The document has no verified bytes yet.
    DocumentNotStored,
    /// The contact holds the most documents that it can.
    TooManyDocuments,
    /// The contact is anonymised.
    ContactAnonymised,
    /// The action has ended, or is being stopped.
    ActionEnded,
    /// The action has not ended.
    ActionNotEnded,
    /// No item of the action failed.
    NothingToRetry,
    /// Something else changed the same things, again and again.
    Contended,
}

impl Conflict {
    /// Every conflict there is: for the documents and their test.
    pub const ALL: [Self; 14] = [
        Self::AlreadyExists,
        Self::LastAdministrator,
        Self::UploadMissing,
        Self::UploadSizeMismatch,
        Self::UploadHashMismatch,
        Self::UploadChanged,
        Self::ArchiveHashMismatch,
        Self::DocumentNotStored,
        Self::TooManyDocuments,
        Self::ContactAnonymised,
        Self::ActionEnded,
        Self::ActionNotEnded,
        Self::NothingToRetry,
        Self::Contended,
    ];

    /// A stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::AlreadyExists => "already_exists",
            Self::LastAdministrator => "last_administrator",
            Self::UploadMissing => "upload_missing",
            Self::UploadSizeMismatch => "upload_size_mismatch",
            Self::UploadHashMismatch => "upload_hash_mismatch",
            Self::UploadChanged => "upload_changed",
            Self::ArchiveHashMismatch => "archive_hash_mismatch",
            Self::DocumentNotStored => "document_not_stored",
            Self::TooManyDocuments => "too_many_documents",
            Self::ContactAnonymised => "contact_anonymised",
            Self::ActionEnded => "action_ended",
            Self::ActionNotEnded => "action_not_ended",
            Self::NothingToRetry => "nothing_to_retry",
            Self::Contended => "contended",
        }
    }

    /// What to tell the caller.
    pub fn detail(self) -> &'static str {
        match self {
            Self::AlreadyExists => "something with this id is there already",
            Self::LastAdministrator => "nobody could administer the tenant any more",
            Self::UploadMissing => "the document's bytes have not arrived",
            Self::UploadSizeMismatch => "the uploaded bytes are not as many as announced",
            Self::UploadHashMismatch => "the uploaded bytes do not have the announced hash",
            Self::UploadChanged => "the upload changed while it was being checked",
            Self::ArchiveHashMismatch => "what was downloaded does not have the archive's SHA-256",
            Self::DocumentNotStored => "the document awaits its upload",
            Self::TooManyDocuments => "the contact holds the most documents that it can",
            Self::ContactAnonymised => "the contact is anonymised",
            Self::ActionEnded => "the action has ended, or is being stopped",
            Self::ActionNotEnded => "the action has not ended",
            Self::NothingToRetry => "no item of the action failed",
            Self::Contended => "something else changed the same things at the same moment",
        }
    }
}

impl From<Conflict> for WorkflowError {
    fn from(conflict: Conflict) -> Self {
        Self::Conflict(conflict)
    }
}

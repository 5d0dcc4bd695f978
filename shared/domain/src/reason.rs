//! Why something is not possible, or went wrong, for one contact.

use serde::{Deserialize, Serialize};

/// A stable code; front ends translate it, the documents list it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// There is no such contact in the tenant.
    ContactAbsent,
    /// The contact is anonymised already.
    AlreadyAnonymised,
    /// A document of the contact cannot be read as it was stored.
    DocumentUnreadable,
    /// The archive would pass 20 GiB or 100,000 entries.
    ArchiveTooLarge,
    /// The contact is not what was archived, or kept changing while it was.
    ContactChanged,
    /// The work failed at every try; the operator finds the cause in the logs.
    TooManyAttempts,
    /// The action was stopped before this contact's turn.
    ActionStopped,
    /// There is no archive of the contact to fall back on.
    NoCurrentArchive,
    /// The archive's ten days are over.
    ArchiveExpired,
    /// Another action is at work on the contact.
    ActionInProgress,
    /// The contact is there as it was archived.
    NotAnonymised,
    /// The person asked for erasure.
    ErasedByRequest,
    /// There is no such archive in the tenant.
    ArchiveAbsent,
    /// The saved archive's bytes have not arrived.
    UploadMissing,
    /// The file is no archive as Oubli writes them.
    ArchiveUnreadable,
    /// The archive was written by a later release.
    ArchiveFormatUnknown,
    /// The archive is not signed by this deployment.
    ArchiveNotAuthentic,
    /// The archive belongs to another tenant.
    ArchiveForeign,
    /// A content of the archive is not what its manifest says.
    ArchiveDamaged,
    /// The contact is anonymised, but storage would not delete its documents at any try.
    DocumentsNotDeleted,
}

impl Reason {
    /// Every reason there is: for the documents and their test.
    pub const ALL: [Self; 20] = [
        Self::ContactAbsent,
        Self::AlreadyAnonymised,
        Self::DocumentUnreadable,
        Self::ArchiveTooLarge,
        Self::ContactChanged,
        Self::TooManyAttempts,
        Self::ActionStopped,
        Self::NoCurrentArchive,
        Self::ArchiveExpired,
        Self::ActionInProgress,
        Self::NotAnonymised,
        Self::ErasedByRequest,
        Self::ArchiveAbsent,
        Self::UploadMissing,
        Self::ArchiveUnreadable,
        Self::ArchiveFormatUnknown,
        Self::ArchiveNotAuthentic,
        Self::ArchiveForeign,
        Self::ArchiveDamaged,
        Self::DocumentsNotDeleted,
    ];

    /// The stable code, as the API writes it.
    pub fn code(self) -> &'static str {
        match self {
            Self::ContactAbsent => "contact_absent",
            Self::AlreadyAnonymised => "already_anonymised",
            Self::DocumentUnreadable => "document_unreadable",
            Self::ArchiveTooLarge => "archive_too_large",
            Self::ContactChanged => "contact_changed",
            Self::TooManyAttempts => "too_many_attempts",
            Self::ActionStopped => "action_stopped",
            Self::NoCurrentArchive => "no_current_archive",
            Self::ArchiveExpired => "archive_expired",
            Self::ActionInProgress => "action_in_progress",
            Self::NotAnonymised => "not_anonymised",
            Self::ErasedByRequest => "erased_by_request",
            Self::ArchiveAbsent => "archive_absent",
            Self::UploadMissing => "upload_missing",
            Self::ArchiveUnreadable => "archive_unreadable",
            Self::ArchiveFormatUnknown => "archive_format_unknown",
            Self::ArchiveNotAuthentic => "archive_not_authentic",
            Self::ArchiveForeign => "archive_foreign",
            Self::ArchiveDamaged => "archive_damaged",
            Self::DocumentsNotDeleted => "documents_not_deleted",
        }
    }

    /// What the documents say of it.
    pub fn explanation(self) -> &'static str {
        match self {
            Self::ContactAbsent => "The tenant has no such contact; it may have been deleted.",
            Self::AlreadyAnonymised => "The contact is anonymised already: there is nothing personal left.",
            Self::DocumentUnreadable => {
                "A document of the contact is missing from storage, or its bytes are not those that were stored. \
                 Nothing was archived."
            }
            Self::ArchiveTooLarge => "The archive would pass 20 GiB or 100,000 entries.",
            Self::ContactChanged => {
                "The contact is not, or not any more, what was archived: export it again. A restore may replace it with `overwrite`."
            }
            Self::TooManyAttempts => {
                "The work failed at every try. The logs of the function name the action and the contact."
            }
            Self::ActionStopped => "The action was stopped before it came to this contact.",
            Self::NoCurrentArchive => {
                "The contact has no archive. Export it first: nothing that was never archived is destroyed."
            }
            Self::ArchiveExpired => {
                "The archive's ten days are over. To anonymise, export the contact again; to restore, upload a saved archive."
            }
            Self::ActionInProgress => "An export of the contact is under way. Wait for its end.",
            Self::NotAnonymised => {
                "The contact is not anonymised, and is as the archive has it: there is nothing to restore."
            }
            Self::ErasedByRequest => {
                "The contact was erased at the person's request, and cannot be restored."
            }
            Self::ArchiveAbsent => "The tenant has no such archive.",
            Self::UploadMissing => {
                "The saved archive was never announced in the tenant, has not arrived, or waited for more than a day."
            }
            Self::ArchiveUnreadable => {
                "The file is no ZIP, is cut off, or holds what Oubli would never write: unsafe or doubled names, overlapping or encrypted entries, sizes that lie. Nothing was written."
            }
            Self::ArchiveFormatUnknown => {
                "The archive has a format that this release does not know: a later one wrote it. Update, then retry. Nothing was written."
            }
            Self::ArchiveNotAuthentic => {
                "The archive bears no signature of this deployment, or was changed after it was signed. Nothing was written."
            }
            Self::ArchiveForeign => "The archive was made for another tenant. Nothing was written.",
            Self::ArchiveDamaged => {
                "A content of the archive is not what its signed manifest says. Nothing was written."
            }
            Self::DocumentsNotDeleted => {
                "The contact is anonymised, but S3 refused at every try to delete its documents. The logs of `anonymiser` name the error. Oubli goes on trying; a retry of the action ends the item once they are gone."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_what_serde_writes() {
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.code());
        }
    }
}

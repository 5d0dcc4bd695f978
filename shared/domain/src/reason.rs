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
    /// The contact kept changing while its archive was built.
    ContactChanged,
    /// The work failed at every try; the operator finds the cause in the logs.
    TooManyAttempts,
    /// The action was stopped before this contact's turn.
    ActionStopped,
    /// This deployment cannot do it.
    NotAvailable,
}

impl Reason {
    /// Every reason there is: for the documents and their test.
    pub const ALL: [Self; 8] = [
        Self::ContactAbsent,
        Self::AlreadyAnonymised,
        Self::DocumentUnreadable,
        Self::ArchiveTooLarge,
        Self::ContactChanged,
        Self::TooManyAttempts,
        Self::ActionStopped,
        Self::NotAvailable,
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
            Self::NotAvailable => "not_available",
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
            Self::ContactChanged => "The contact changed while its archive was being built, at every try.",
            Self::TooManyAttempts => {
                "The work failed at every try. The logs of the function name the action and the contact."
            }
            Self::ActionStopped => "The action was stopped before it came to this contact.",
            Self::NotAvailable => "This deployment does not offer the action.",
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

//! What says which actions are possible on a contact, without what was entered of the person.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Anonymised, Contact, ContactState, Hold};
use crate::archive::ArchiveStamp;
use crate::ids::{ArchiveId, ContactId};
use crate::reason::Reason;

/// A contact without its fields: as much as a preview reads of each of a hundred thousand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactSummary {
    /// Which contact.
    #[serde(rename = "contact_id")]
    pub id: ContactId,
    /// Whether the person can still be named.
    pub state: ContactState,
    /// Grows by one with every change.
    pub version: u64,
    /// How many documents are stored.
    #[serde(default)]
    pub document_count: u64,
    /// Their bytes.
    #[serde(default)]
    pub document_bytes: u64,
    /// The latest archive that was completed, of whichever version.
    #[serde(default)]
    pub last_archive: Option<ArchiveStamp>,
    /// An export that is under way.
    #[serde(default)]
    pub hold: Option<Hold>,
    /// How it was anonymised, if it is.
    #[serde(default)]
    pub anonymised: Option<Anonymised>,
    /// When the last archive that could bring it back was seen gone.
    #[serde(default)]
    pub sealed_at: Option<Timestamp>,
}

impl ContactSummary {
    /// What says which actions are possible.
    pub fn standing(&self) -> Standing<'_> {
        Standing {
            state: self.state,
            version: self.version,
            last_archive: self.last_archive.as_ref(),
            hold: self.hold.as_ref(),
            anonymised: self.anonymised.as_ref(),
            sealed_at: self.sealed_at,
        }
    }
}

impl From<Contact> for ContactSummary {
    fn from(contact: Contact) -> Self {
        Self {
            id: contact.id,
            state: contact.state,
            version: contact.version,
            document_count: contact.document_count,
            document_bytes: contact.document_bytes,
            last_archive: contact.last_archive,
            hold: contact.hold,
            anonymised: contact.anonymised,
            sealed_at: contact.sealed_at,
        }
    }
}

/// What says which actions are possible on a contact.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    pub(super) state: ContactState,
    pub(super) version: u64,
    pub(super) last_archive: Option<&'a ArchiveStamp>,
    pub(super) hold: Option<&'a Hold>,
    pub(super) anonymised: Option<&'a Anonymised>,
    pub(super) sealed_at: Option<Timestamp>,
}

impl<'a> Standing<'a> {
    /// Whether an export may begin now.
    ///
    /// # Errors
    /// The reason why not.
    pub fn may_export(self) -> Result<(), Reason> {
        match self.state {
            ContactState::Active => Ok(()),
            ContactState::Anonymised => Err(Reason::AlreadyAnonymised),
        }
    }

    /// Whether the contact may be anonymised now, and the archive that allows it: complete, unexpired, and of
    /// the contact as it is. Nothing that was never archived is ever lost.
    ///
    /// # Errors
    /// The reason why not.
    pub fn may_anonymise(self, now: Timestamp) -> Result<&'a ArchiveStamp, Reason> {
        if self.state == ContactState::Anonymised {
            return Err(Reason::AlreadyAnonymised);
        }
        if self.hold.is_some_and(|hold| hold.until_ms > now.as_millisecond()) {
            return Err(Reason::ActionInProgress);
        }
        let archive = self.last_archive.ok_or(Reason::NoCurrentArchive)?;
        if now >= archive.expires_at {
            Err(Reason::ArchiveExpired)
        } else if archive.contact_version != self.version {
            Err(Reason::ContactChanged)
        } else {
            Ok(archive)
        }
    }

    /// Whether the contact may be restored now from the archive that Oubli has of it.
    ///
    /// # Errors
    /// The reason why not. A saved archive may still bring back what is sealed.
    pub fn may_restore(self, now: Timestamp) -> Result<&'a ArchiveId, Reason> {
        match self.anonymised {
            None => Err(Reason::NotAnonymised),
            Some(_) if self.is_sealed_at(now) => Err(Reason::ArchiveExpired),
            Some(anonymised) => Ok(&anonymised.archive_id),
        }
    }

    /// Whether an anonymised contact is beyond recall. The clock rules, whatever was recorded.
    pub fn is_sealed_at(self, now: Timestamp) -> bool {
        self.anonymised
            .is_some_and(|anonymised| self.sealed_at.is_some() || now >= anonymised.restorable_until)
    }
}

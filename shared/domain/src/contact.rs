//! Contacts: what a tenant holds about a client.

mod alias;
mod draft;
mod fields;
mod summary;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::archive::ArchiveStamp;
use crate::hash::Sha256;
use crate::ids::{ActionId, ArchiveId, AttemptId, ContactId, TenantId};
use crate::personal::Personal;
use crate::reason::Reason;
use crate::search::{NAME_SEPARATOR, fold};

pub use alias::{Alias, MASK};
pub use draft::ContactDraft;
pub use fields::{
    Address, Business, ContactFields, FIELDS, Fate, Field, FieldDeclaration, FieldValue, Presence, Shape,
};
pub use summary::{ContactSummary, Standing};

/// Longest last name and first name, in characters.
pub const MAX_NAME_CHARACTERS: usize = 200;
/// Longest single line elsewhere (job title, address line, city), in characters.
pub const MAX_LINE_CHARACTERS: usize = 300;
/// Most lines of an address.
pub const MAX_ADDRESS_LINES: usize = 6;
/// Most custom fields of a contact.
pub const MAX_CUSTOM_FIELDS: usize = 200;
/// Longest notes, in characters; what fits here may still pass DynamoDB's limit for the whole.
pub const MAX_NOTES_CHARACTERS: usize = 500_000;
/// What a contact may take as stored, in bytes: DynamoDB's 400 KB for an item, less what the
/// keys and counters around it need.
pub const MAX_STORED_BYTES: usize = 400 * 1024 - 8 * 1024;

/// What a name may take in a sort key: DynamoDB takes 1,024 bytes, for both names and the id.
pub const MAX_KEY_PART_BYTES: usize = 440;

/// Whether the person can still be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContactState {
    /// As entered.
    Active,
    /// The personal values are gone.
    Anonymised,
}

/// How long an export that is under way keeps its contact from being anonymised: as long as its lease.
pub const HOLD_LIFE: SignedDuration = crate::action::ITEM_LEASE;

/// Where a contact's documents stand: their records and their objects.
///
/// A contact begins with generation `None`. Each anonymisation and each restore begins another, named by the
/// attempt that did it. What belongs to an earlier one is seen by nobody and waits to be deleted, so that a
/// late deletion never meets what was restored.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shelf {
    /// Whose.
    pub tenant_id: TenantId,
    /// Of which contact.
    pub contact_id: ContactId,
    /// In which generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<AttemptId>,
}

/// That an export is under way: until when it is waited for, should it never end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// By which action.
    pub action_id: ActionId,
    /// By which attempt.
    pub attempt_id: AttemptId,
    /// Until when, in milliseconds since 1970.
    pub until_ms: i64,
}

/// How a contact was anonymised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anonymised {
    /// By which action.
    pub action_id: ActionId,
    /// By which attempt.
    pub attempt_id: AttemptId,
    /// The version that was archived, and is gone.
    pub contact_version: u64,
    /// The generation of the documents that it left behind; see [`Shelf`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<AttemptId>,
    /// The archive that holds it.
    pub archive_id: ArchiveId,
    /// When.
    pub at: Timestamp,
    /// When that archive ends.
    pub restorable_until: Timestamp,
}

/// From what a contact was restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// By which action.
    pub action_id: ActionId,
    /// The manifest of the archive.
    pub manifest_sha256: Sha256,
    /// The version that the contact had right after.
    pub contact_version: u64,
    /// When.
    pub at: Timestamp,
}

/// A contact as the tenant holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Whose.
    pub tenant_id: TenantId,
    /// Which.
    pub id: ContactId,
    /// Whether the person can still be named.
    pub state: ContactState,
    /// Grows by one with every change of the fields or of the stored documents.
    pub version: u64,
    /// What was entered.
    pub fields: ContactFields,
    /// Where its documents stand; see [`Shelf`].
    pub generation: Option<AttemptId>,
    /// How many documents are stored.
    pub document_count: u64,
    /// Their bytes.
    pub document_bytes: u64,
    /// The latest archive that was completed, of whichever version.
    pub last_archive: Option<ArchiveStamp>,
    /// An export that is under way.
    pub hold: Option<Hold>,
    /// How it was anonymised, if it is.
    pub anonymised: Option<Anonymised>,
    /// When the last archive that could bring it back was seen gone.
    pub sealed_at: Option<Timestamp>,
    /// From what it was restored last.
    pub restored: Option<Restored>,
    /// When it was entered.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Contact {
    /// The sort key of the list by name: folded last name, then first name.
    pub fn name_key(&self) -> String {
        self.fields.name_key()
    }

    /// Where its documents stand.
    pub fn shelf(&self) -> Shelf {
        Shelf {
            tenant_id: self.tenant_id.clone(),
            contact_id: self.id.clone(),
            generation: self.generation.clone(),
        }
    }

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

    /// As [`Standing::may_export`].
    ///
    /// # Errors
    /// The reason why not.
    pub fn may_export(&self) -> Result<(), Reason> {
        self.standing().may_export()
    }

    /// As [`Standing::may_anonymise`].
    ///
    /// # Errors
    /// The reason why not.
    pub fn may_anonymise(&self, now: Timestamp) -> Result<&ArchiveStamp, Reason> {
        self.standing().may_anonymise(now)
    }

    /// As [`Standing::may_restore`].
    ///
    /// # Errors
    /// The reason why not.
    pub fn may_restore(&self, now: Timestamp) -> Result<&ArchiveId, Reason> {
        self.standing().may_restore(now)
    }

    /// Until when an anonymised contact can be restored from Oubli's own archive; `None` once that is over.
    pub fn restorable_until_at(&self, now: Timestamp) -> Option<Timestamp> {
        let until = self
            .anonymised
            .as_ref()
            .map(|anonymised| anonymised.restorable_until);
        until.filter(|_| !self.is_sealed_at(now))
    }

    /// Whether an anonymised contact is beyond recall. The clock rules, whatever was recorded.
    pub fn is_sealed_at(&self, now: Timestamp) -> bool {
        self.standing().is_sealed_at(now)
    }

    /// Where the documents stood that an anonymised contact left behind.
    pub fn left_shelf(&self) -> Option<Shelf> {
        let anonymised = self.anonymised.as_ref()?;
        Some(Shelf {
            generation: anonymised.left.clone(),
            ..self.shelf()
        })
    }

    /// The contact without its person, its documents left behind on the shelf that it had.
    #[must_use]
    pub fn anonymised(&self, how: Anonymised, alias: &Alias) -> Self {
        Self {
            state: ContactState::Anonymised,
            version: self.version.saturating_add(1),
            fields: self.fields.anonymised(alias),
            generation: Some(how.attempt_id.clone()),
            document_count: 0,
            document_bytes: 0,
            hold: None,
            updated_at: how.at,
            anonymised: Some(how),
            sealed_at: None,
            restored: None,
            ..self.clone()
        }
    }
}

impl ContactFields {
    /// The sort key of the list by name: folded last name, then first name, each at most
    /// [`MAX_KEY_PART_BYTES`].
    pub fn name_key(&self) -> String {
        let part = |name: &str| {
            let mut folded = fold(name);
            folded.truncate(folded.floor_char_boundary(MAX_KEY_PART_BYTES));
            folded
        };
        let first_name = self
            .first_name
            .as_ref()
            .map(|name| part(name.expose()))
            .unwrap_or_default();
        format!("{}{NAME_SEPARATOR}{first_name}", part(self.last_name.expose()))
    }

    /// An upper estimate of the bytes that the fields take as a DynamoDB item, index keys
    /// included: the size as JSON, which names every field as the item does.
    /// Source: "Item sizes and formats", Amazon DynamoDB Developer Guide.
    pub fn stored_bytes(&self) -> usize {
        serde_json::to_vec(self).map_or(usize::MAX, |json| json.len())
    }

    /// The fields as a draft again: what a partial change starts from.
    pub fn to_draft(&self) -> ContactDraft {
        let text = |value: &Option<Personal<String>>| value.as_ref().map(|value| value.expose().clone());
        ContactDraft {
            last_name: self.last_name.expose().clone(),
            first_name: text(&self.first_name),
            job_title: text(&self.job_title),
            email: self
                .email
                .as_ref()
                .map(|email| email.expose().as_str().to_owned()),
            phone: text(&self.phone),
            mobile: text(&self.mobile),
            address: self.address.as_ref().map(|address| address.expose().clone()),
            notes: text(&self.notes),
            custom_fields: self.custom_fields.as_ref().map(|fields| fields.expose().clone()),
            assigned_to: self.assigned_to.as_ref().map(|id| id.as_str().to_owned()),
            business: self.business,
            photo_document_id: self.photo_document_id.as_ref().map(|id| id.as_str().to_owned()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;

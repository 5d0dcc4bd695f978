//! Archives: the ZIP of one contact, and the ten days that it lives.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::hash::Sha256;
use crate::ids::{ActionId, ArchiveId, ContactId, TenantId};

/// How long an archive lives: 10 × 24 h from its creation, to the second.
pub const ARCHIVE_LIFE: SignedDuration = SignedDuration::from_hours(240);
/// The longest life of a download link.
pub const MAX_LINK_LIFE: SignedDuration = SignedDuration::from_mins(5);

/// How far an archive has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArchiveState {
    /// Being built.
    Building,
    /// Whole, and to be had.
    Ready,
    /// Its ten days are over.
    Expired,
    /// Its object was seen gone.
    Deleted,
}

/// What a contact remembers of its latest archive: what the gate before anonymising asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveStamp {
    /// Which archive.
    pub id: ArchiveId,
    /// Of which version of the contact.
    pub contact_version: u64,
    /// When it ends.
    pub expires_at: Timestamp,
    /// How many documents are in it.
    #[serde(default)]
    pub document_count: u64,
    /// Their bytes.
    #[serde(default)]
    pub document_bytes: u64,
    /// Its bytes in S3; stamps of earlier releases do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<StoredObject>,
    /// When a reader first proved to have it whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downloaded_at: Option<Timestamp>,
}

/// An object of the bucket of archives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredObject {
    /// Its key.
    pub key: String,
    /// Its size in bytes.
    pub size_bytes: u64,
}

/// The record of an archive that was completed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// Whose.
    pub tenant_id: TenantId,
    /// Which.
    pub id: ArchiveId,
    /// Of which contact.
    pub contact_id: ContactId,
    /// In which version.
    pub contact_version: u64,
    /// Built by which action.
    pub action_id: ActionId,
    /// As last recorded. What holds now is [`Archive::state_at`].
    pub state: ArchiveState,
    /// Where its bytes are, in the bucket of archives.
    pub object_key: String,
    /// How many documents are in it.
    #[serde(default)]
    pub document_count: u64,
    /// Their bytes.
    #[serde(default)]
    pub document_bytes: u64,
    /// SHA-256 of its manifest; archives of the first format have none recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_sha256: Option<Sha256>,
    /// Size in bytes.
    pub size_bytes: u64,
    /// SHA-256 of the whole file.
    pub sha256: Sha256,
    /// When its building began.
    pub created_at: Timestamp,
    /// When it ends: `created_at` and ten days.
    pub expires_at: Timestamp,
    /// When a reader first proved to have it whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downloaded_at: Option<Timestamp>,
    /// When its object was seen gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
}

impl Archive {
    /// The state by the clock: an archive past its time is expired, whatever was recorded.
    pub fn state_at(&self, now: Timestamp) -> ArchiveState {
        match self.state {
            ArchiveState::Ready if now >= self.expires_at => ArchiveState::Expired,
            state => state,
        }
    }

    /// How long a download link minted now may live: 5 minutes, and never beyond the archive.
    /// `None` when there is nothing to download any more.
    pub fn link_life_at(&self, now: Timestamp) -> Option<SignedDuration> {
        let left = self.expires_at.duration_since(now);
        let ready = self.state_at(now) == ArchiveState::Ready;
        // A presigned link counts in whole seconds; less than one is nothing.
        (ready && left.as_secs() >= 1).then(|| left.min(MAX_LINK_LIFE))
    }
}

/// When an archive ends whose building began at `created_at`.
pub fn archive_expiry(created_at: Timestamp) -> Timestamp {
    created_at.saturating_add(ARCHIVE_LIFE).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(created_at: Timestamp) -> Archive {
        Archive {
            tenant_id: TenantId::parse("demo").unwrap(),
            id: ArchiveId::parse("a").unwrap(),
            contact_id: ContactId::parse("c").unwrap(),
            contact_version: 1,
            action_id: ActionId::parse("x").unwrap(),
            state: ArchiveState::Ready,
            object_key: "archives/demo/a/1.zip".into(),
            document_count: 0,
            document_bytes: 0,
            manifest_sha256: None,
            size_bytes: 1,
            sha256: Sha256::of(b""),
            created_at,
            expires_at: archive_expiry(created_at),
            downloaded_at: None,
            deleted_at: None,
        }
    }

    #[test]
    fn ten_days_to_the_second() {
        // Across the change from summer to winter time, which must not matter.
        let created_at: Timestamp = "2026-10-20T12:00:00Z".parse().unwrap();
        let archive = archive(created_at);
        let end: Timestamp = "2026-10-30T12:00:00Z".parse().unwrap();
        assert_eq!(
            archive.state_at(end - SignedDuration::from_secs(1)),
            ArchiveState::Ready
        );
        assert_eq!(archive.state_at(end), ArchiveState::Expired);
        assert_eq!(archive.link_life_at(created_at), Some(MAX_LINK_LIFE));
        assert_eq!(
            archive.link_life_at(end - SignedDuration::from_secs(9)),
            Some(SignedDuration::from_secs(9))
        );
        assert_eq!(archive.link_life_at(end - SignedDuration::from_millis(900)), None);
        assert_eq!(archive.link_life_at(end), None);
    }
}

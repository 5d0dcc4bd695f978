//! The audit: who was given a link to what, and which archives are gone. Entries are added and never changed.
//! They hold ids alone, nothing about a person.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ids::{ArchiveId, AuditEntryId, ContactId, DocumentId, MemberId, TenantId};

/// How long records of what was done are kept, in calendar months (GDPR, article 5(1)(e) and 5(2)).
pub const RETENTION_MONTHS: i32 = 36;

/// One entry of the audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Whose.
    pub tenant_id: TenantId,
    /// Which.
    pub id: AuditEntryId,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub event: AuditEvent,
}

/// What is audited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AuditEvent {
    /// A member was given a link to an archive.
    ArchiveLinkMinted {
        /// Who.
        member_id: MemberId,
        /// To which archive.
        archive_id: ArchiveId,
        /// Of which contact.
        contact_id: ContactId,
        /// When the link ends.
        link_expires_at: Timestamp,
    },
    /// A member was given a link to a document.
    DocumentLinkMinted {
        /// Who.
        member_id: MemberId,
        /// To which document.
        document_id: DocumentId,
        /// Of which contact.
        contact_id: ContactId,
        /// When the link ends.
        link_expires_at: Timestamp,
    },
    /// The file of an archive was first seen gone.
    ArchiveGone {
        /// Which archive.
        archive_id: ArchiveId,
        /// Of which contact.
        contact_id: ContactId,
    },
}

impl AuditEvent {
    /// The code of every kind of event.
    pub const CODES: [&str; 3] = ["archive_link_minted", "document_link_minted", "archive_gone"];

    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ArchiveLinkMinted { .. } => "archive_link_minted",
            Self::DocumentLinkMinted { .. } => "document_link_minted",
            Self::ArchiveGone { .. } => "archive_gone",
        }
    }

    /// Who did it; nobody does what the clock does.
    pub fn member_id(&self) -> Option<&MemberId> {
        match self {
            Self::ArchiveLinkMinted { member_id, .. } | Self::DocumentLinkMinted { member_id, .. } => {
                Some(member_id)
            }
            Self::ArchiveGone { .. } => None,
        }
    }
}

/// Until when a record of an instant is kept.
pub fn kept_until(at: Timestamp) -> Timestamp {
    let months = Span::new().months(RETENTION_MONTHS);
    let end = at.to_zoned(TimeZone::UTC).checked_add(months);
    end.map_or(Timestamp::MAX, |end| end.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_kept_for_three_years_by_the_calendar() {
        let end = |at: &str| kept_until(at.parse().unwrap()).to_string();
        assert_eq!(end("2026-11-02T09:00:00Z"), "2029-11-02T09:00:00Z");
        assert_eq!(end("2024-02-29T09:00:00Z"), "2027-02-28T09:00:00Z");
        assert_eq!(kept_until(Timestamp::MAX), Timestamp::MAX);
    }

    #[test]
    fn events_are_stored_under_their_codes() {
        let archive_id = ArchiveId::parse("r").unwrap();
        let contact_id = ContactId::parse("c").unwrap();
        let member_id = MemberId::parse("m").unwrap();
        let link_expires_at = Timestamp::UNIX_EPOCH;
        let events = [
            AuditEvent::ArchiveLinkMinted {
                member_id: member_id.clone(),
                archive_id: archive_id.clone(),
                contact_id: contact_id.clone(),
                link_expires_at,
            },
            AuditEvent::DocumentLinkMinted {
                member_id,
                document_id: DocumentId::parse("d").unwrap(),
                contact_id: contact_id.clone(),
                link_expires_at,
            },
            AuditEvent::ArchiveGone {
                archive_id,
                contact_id,
            },
        ];
        for (event, code) in events.iter().zip(AuditEvent::CODES) {
            assert_eq!(event.code(), code);
            assert_eq!(serde_json::to_value(event).unwrap()["kind"], code);
        }
    }
}

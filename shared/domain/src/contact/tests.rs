use jiff::SignedDuration;
use rstest::rstest;

use super::*;
use crate::archive::archive_expiry;

const NOW: &str = "2026-11-21T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// An active contact in this version.
pub(crate) fn contact(version: u64) -> Contact {
    let draft = ContactDraft {
        last_name: "Lefèvre".to_owned(),
        first_name: Some("Chloé".to_owned()),
        photo_document_id: Some("p1".to_owned()),
        ..Default::default()
    };
    Contact {
        tenant_id: TenantId::parse("demo").unwrap(),
        id: ContactId::parse("c1").unwrap(),
        state: ContactState::Active,
        version,
        fields: draft.parse().unwrap(),
        generation: None,
        document_count: 3,
        document_bytes: 300,
        last_archive: None,
        hold: None,
        anonymised: None,
        sealed_at: None,
        restored: None,
        created_at: now(),
        updated_at: now(),
    }
}

fn archived(version: u64, archived_version: u64) -> Contact {
    Contact {
        last_archive: Some(ArchiveStamp {
            id: ArchiveId::parse("r1").unwrap(),
            contact_version: archived_version,
            expires_at: archive_expiry(now()),
            document_count: 3,
            document_bytes: 300,
            object: None,
            downloaded_at: None,
        }),
        ..contact(version)
    }
}

/// A contact that was anonymised from this version.
pub(crate) fn anonymised(version: u64) -> Contact {
    let how = Anonymised {
        action_id: ActionId::parse("a1").unwrap(),
        attempt_id: AttemptId::parse("t1").unwrap(),
        contact_version: version,
        left: None,
        archive_id: ArchiveId::parse("r1").unwrap(),
        at: now(),
        restorable_until: archive_expiry(now()),
    };
    archived(version, version).anonymised(how, &Alias::from(uuid::Uuid::from_u64_pair(0, 0x169)))
}

/// A contact that was restored, and is in this version since.
pub(crate) fn restored(version: u64, manifest: &[u8]) -> Contact {
    Contact {
        restored: Some(Restored {
            action_id: ActionId::parse("a2").unwrap(),
            manifest_sha256: Sha256::of(manifest),
            contact_version: version,
            at: now(),
        }),
        ..contact(version)
    }
}

#[rstest]
#[case::never_exported(contact(5), Err(Reason::NoCurrentArchive))]
#[case::exported(archived(5, 5), Ok(()))]
#[case::changed(archived(6, 5), Err(Reason::ContactChanged))]
#[case::already(anonymised(5), Err(Reason::AlreadyAnonymised))]
fn only_what_is_archived_may_be_anonymised(#[case] contact: Contact, #[case] expected: Result<(), Reason>) {
    assert_eq!(contact.may_anonymise(now()).map(|_| ()), expected);
}

#[test]
fn the_gate_closes_with_the_archive_to_the_second() {
    let end = archive_expiry(now());
    let contact = archived(5, 5);
    assert!(
        contact
            .may_anonymise(end - SignedDuration::from_millis(1))
            .is_ok()
    );
    assert_eq!(contact.may_anonymise(end), Err(Reason::ArchiveExpired));
}

#[test]
fn an_export_that_is_under_way_is_waited_for() {
    let until = now() + HOLD_LIFE;
    let held = Contact {
        hold: Some(Hold {
            action_id: ActionId::parse("a1").unwrap(),
            attempt_id: AttemptId::parse("t1").unwrap(),
            until_ms: until.as_millisecond(),
        }),
        ..archived(5, 5)
    };
    assert_eq!(held.may_anonymise(now()), Err(Reason::ActionInProgress));
    assert!(held.may_anonymise(until).is_ok());
}

#[test]
fn an_anonymised_contact_is_restorable_until_its_archive_ends_and_sealed_then() {
    let contact = anonymised(5);
    assert_eq!(
        (contact.version, contact.document_count, contact.document_bytes),
        (6, 0, 0)
    );
    assert_eq!(contact.fields.first_name.as_ref().unwrap().expose(), "XXXXX_169");
    assert_eq!(contact.name_key(), "xxxxx\txxxxx_169");
    assert_ne!(contact.shelf(), archived(5, 5).shelf());
    assert_eq!(contact.left_shelf(), Some(archived(5, 5).shelf()));

    let end = archive_expiry(now());
    let before = end - SignedDuration::from_millis(1);
    assert_eq!(contact.restorable_until_at(before), Some(end));
    assert!(contact.may_restore(before).is_ok() && !contact.is_sealed_at(before));
    assert_eq!(contact.restorable_until_at(end), None);
    assert_eq!(contact.may_restore(end), Err(Reason::ArchiveExpired));
    assert!(contact.is_sealed_at(end));
    // An archive that is gone before its time seals as well.
    let sealed = Contact {
        sealed_at: Some(now()),
        ..contact
    };
    assert!(sealed.is_sealed_at(before));
    assert_eq!(archived(5, 5).may_restore(now()), Err(Reason::NotAnonymised));
}

//! Whether an archive may bring its contact back.

use jiff::Timestamp;

use crate::action::Verdict;
use crate::contact::{Contact, ContactState};
use crate::hash::Sha256;
use crate::reason::Reason;

/// What is known of the archive from which a contact would be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Whether it is one that Oubli keeps, and not one that a member saved.
    pub is_kept: bool,
    /// The version of the contact that it holds.
    pub contact_version: u64,
    /// The hash of its manifest.
    pub manifest_sha256: Sha256,
}

/// What a member asked for, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Whether what was changed since may be replaced.
    pub overwrite: bool,
    /// When the member decided.
    pub decided_at: Timestamp,
    /// The present.
    pub now: Timestamp,
}

/// What is known of a contact's end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Departure {
    /// Whether it was erased at the person's request.
    pub is_erased: bool,
    /// When it was deleted last, as far as that is still known.
    pub deleted_at: Option<Timestamp>,
}

/// What a restore replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaces {
    /// Nothing: the contact was deleted.
    Nothing,
    /// The contact in this version.
    Version(u64),
}

/// Decides about a restore.
///
/// - What was erased at the person's request stays erased.
/// - What was decided after the member asked for the restore stands: a contact that was deleted, edited,
///   anonymised or restored since is left as it is, also with `overwrite`, which is about what was there.
/// - A deleted contact comes back as it was.
/// - An anonymised contact comes back from the archive that was made of it last. An older archive lacks what
///   was changed after it: that takes `overwrite`.
/// - What is sealed comes back from a saved archive alone.
/// - A contact that is there, and is what the archive holds, needs nothing. One that was edited since is
///   replaced only with `overwrite`.
///
/// # Errors
/// How the item ends instead.
pub fn decide(
    present: Option<&Contact>,
    departure: Departure,
    saved: &Saved,
    wish: &Wish,
) -> Result<Replaces, Verdict> {
    if departure.is_erased {
        return Err(Verdict::Failed(Reason::ErasedByRequest));
    }
    let is_later = |instant: Timestamp| instant > wish.decided_at;
    let Some(contact) = present else {
        return if departure.deleted_at.is_some_and(is_later) {
            Err(Verdict::Failed(Reason::ContactAbsent))
        } else {
            Ok(Replaces::Nothing)
        };
    };
    if saved.is_kept && contact.is_sealed_at(wish.now) {
        return Err(Verdict::Failed(Reason::ArchiveExpired));
    }
    let anonymised = contact.anonymised.as_ref();
    if anonymised.is_some_and(|anonymised| is_later(anonymised.at)) {
        return Err(Verdict::Failed(Reason::ContactChanged));
    }
    let is_the_archived = match contact.state {
        ContactState::Anonymised => {
            anonymised.is_some_and(|anonymised| anonymised.contact_version == saved.contact_version)
        }
        ContactState::Active => {
            let is_restored = contact.restored.as_ref().is_some_and(|restored| {
                restored.manifest_sha256 == saved.manifest_sha256
                    && restored.contact_version == contact.version
            });
            if is_restored || contact.version == saved.contact_version {
                return Err(Verdict::Skipped(Reason::NotAnonymised));
            }
            let restored_at = contact.restored.as_ref().map(|restored| restored.at);
            if is_later(contact.updated_at) || restored_at.is_some_and(is_later) {
                return Err(Verdict::Failed(Reason::ContactChanged));
            }
            false
        }
    };
    if is_the_archived || wish.overwrite {
        Ok(Replaces::Version(contact.version))
    } else {
        Err(Verdict::Failed(Reason::ContactChanged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::tests::{anonymised, contact, restored};
    use jiff::SignedDuration;
    use rstest::rstest;

    const HERE: Departure = Departure {
        is_erased: false,
        deleted_at: None,
    };
    const ERASED: Departure = Departure {
        is_erased: true,
        deleted_at: None,
    };

    fn saved(contact_version: u64) -> Saved {
        Saved {
            is_kept: true,
            contact_version,
            manifest_sha256: Sha256::of(b"manifest"),
        }
    }

    /// A member's wish, a minute after the contacts here were anonymised.
    fn wish(overwrite: bool) -> Wish {
        let anonymised_at = anonymised(1).updated_at;
        Wish {
            overwrite,
            decided_at: anonymised_at + SignedDuration::from_mins(1),
            now: anonymised_at + SignedDuration::from_mins(2),
        }
    }

    #[rstest]
    #[case::as_archived(anonymised(5), 5, false, Ok(Replaces::Version(6)))]
    #[case::older_archive(anonymised(5), 4, false, Err(Verdict::Failed(Reason::ContactChanged)))]
    #[case::older_archive_all_the_same(anonymised(5), 4, true, Ok(Replaces::Version(6)))]
    #[case::never_anonymised(contact(5), 5, false, Err(Verdict::Skipped(Reason::NotAnonymised)))]
    #[case::never_anonymised_nor_changed(contact(5), 5, true, Err(Verdict::Skipped(Reason::NotAnonymised)))]
    #[case::edited(contact(6), 5, false, Err(Verdict::Failed(Reason::ContactChanged)))]
    #[case::edited_overwritten(contact(6), 5, true, Ok(Replaces::Version(6)))]
    #[case::restored_already(
        restored(7, b"manifest"),
        5,
        false,
        Err(Verdict::Skipped(Reason::NotAnonymised))
    )]
    #[case::restored_from_another(
        restored(7, b"other"),
        5,
        false,
        Err(Verdict::Failed(Reason::ContactChanged))
    )]
    fn every_state_has_its_answer(
        #[case] present: Contact,
        #[case] version: u64,
        #[case] overwrite: bool,
        #[case] expected: Result<Replaces, Verdict>,
    ) {
        assert_eq!(
            decide(Some(&present), HERE, &saved(version), &wish(overwrite)),
            expected
        );
    }

    #[test]
    fn the_deleted_come_back_and_the_erased_do_not() {
        assert_eq!(decide(None, HERE, &saved(5), &wish(false)), Ok(Replaces::Nothing));
        for overwrite in [false, true] {
            let erased = Err(Verdict::Failed(Reason::ErasedByRequest));
            assert_eq!(decide(None, ERASED, &saved(5), &wish(overwrite)), erased);
            assert_eq!(
                decide(Some(&anonymised(5)), ERASED, &saved(5), &wish(overwrite)),
                erased
            );
        }
    }

    #[test]
    fn what_is_sealed_comes_back_from_a_saved_archive_alone() {
        let present = anonymised(5);
        let late = Wish {
            now: present.anonymised.as_ref().unwrap().restorable_until,
            ..wish(true)
        };
        let kept = decide(Some(&present), HERE, &saved(5), &late);
        assert_eq!(kept, Err(Verdict::Failed(Reason::ArchiveExpired)));
        let brought = Saved {
            is_kept: false,
            ..saved(5)
        };
        let brought = decide(Some(&present), HERE, &brought, &late);
        assert_eq!(brought, Ok(Replaces::Version(6)));
    }

    #[test]
    fn an_anonymisation_that_came_later_stands() {
        let present = anonymised(5);
        let early = Wish {
            decided_at: present.updated_at - SignedDuration::from_millis(1),
            ..wish(true)
        };
        let verdict = decide(Some(&present), HERE, &saved(5), &early);
        assert_eq!(verdict, Err(Verdict::Failed(Reason::ContactChanged)));
    }

    #[test]
    fn an_edit_a_restore_and_a_deletion_that_came_later_stand() {
        let decided_at = wish(true).decided_at;
        let later = decided_at + SignedDuration::from_millis(1);
        let mut edited = contact(6);
        let mut brought = restored(7, b"other");
        for (instant, changes, stays) in [
            (decided_at, Ok(Replaces::Version(6)), Ok(Replaces::Nothing)),
            (
                later,
                Err(Verdict::Failed(Reason::ContactChanged)),
                Err(Verdict::Failed(Reason::ContactAbsent)),
            ),
        ] {
            edited.updated_at = instant;
            assert_eq!(decide(Some(&edited), HERE, &saved(5), &wish(true)), changes);
            if let Some(restored) = &mut brought.restored {
                restored.at = instant;
            }
            let verdict = decide(Some(&brought), HERE, &saved(5), &wish(true));
            assert_eq!(verdict.is_ok(), changes.is_ok());
            let deleted = Departure {
                deleted_at: Some(instant),
                ..HERE
            };
            assert_eq!(decide(None, deleted, &saved(5), &wish(true)), stays);
        }
    }
}

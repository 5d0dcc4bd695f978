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
/// - A deleted contact comes back as it was.
/// - An anonymised contact comes back from the archive that was made of it last. An older archive lacks what
///   was changed after it: that takes `overwrite`.
/// - What was anonymised after the member asked for the restore stays so: that was decided later.
/// - What is sealed comes back from a saved archive alone.
/// - A contact that is there, and is what the archive holds, needs nothing. One that was edited since is
///   replaced only with `overwrite`.
///
/// # Errors
/// How the item ends instead.
pub fn decide(
    present: Option<&Contact>,
    is_erased: bool,
    saved: &Saved,
    wish: &Wish,
) -> Result<Replaces, Verdict> {
    if is_erased {
        return Err(Verdict::Failed(Reason::ErasedByRequest));
    }
    let Some(contact) = present else {
        return Ok(Replaces::Nothing);
    };
    if saved.is_kept && contact.is_sealed_at(wish.now) {
        return Err(Verdict::Failed(Reason::ArchiveExpired));
    }
    let anonymised = contact.anonymised.as_ref();
    if anonymised.is_some_and(|anonymised| anonymised.at > wish.decided_at) {
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
            decide(Some(&present), false, &saved(version), &wish(overwrite)),
            expected
        );
    }

    #[test]
    fn the_deleted_come_back_and_the_erased_do_not() {
        assert_eq!(
            decide(None, false, &saved(5), &wish(false)),
            Ok(Replaces::Nothing)
        );
        for overwrite in [false, true] {
            let erased = Err(Verdict::Failed(Reason::ErasedByRequest));
            assert_eq!(decide(None, true, &saved(5), &wish(overwrite)), erased);
            assert_eq!(
                decide(Some(&anonymised(5)), true, &saved(5), &wish(overwrite)),
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
        let kept = decide(Some(&present), false, &saved(5), &late);
        assert_eq!(kept, Err(Verdict::Failed(Reason::ArchiveExpired)));
        let brought = Saved {
            is_kept: false,
            ..saved(5)
        };
        let brought = decide(Some(&present), false, &brought, &late);
        assert_eq!(brought, Ok(Replaces::Version(6)));
    }

    #[test]
    fn an_anonymisation_that_came_later_stands() {
        let present = anonymised(5);
        let early = Wish {
            decided_at: present.updated_at - SignedDuration::from_millis(1),
            ..wish(true)
        };
        let verdict = decide(Some(&present), false, &saved(5), &early);
        assert_eq!(verdict, Err(Verdict::Failed(Reason::ContactChanged)));
    }
}

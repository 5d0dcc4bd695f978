//! Whether an archive may bring its contact back.

use crate::action::Verdict;
use crate::contact::{Contact, ContactState};
use crate::hash::Sha256;
use crate::reason::Reason;

/// What an authentic archive says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The version of the contact that it holds.
    pub contact_version: u64,
    /// The hash of its manifest.
    pub manifest_sha256: Sha256,
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
/// - A contact that is there, and is what the archive holds, needs nothing. One that was edited since is
///   replaced only with `overwrite`.
///
/// # Errors
/// How the item ends instead.
pub fn decide(
    present: Option<&Contact>,
    is_erased: bool,
    saved: &Saved,
    overwrite: bool,
) -> Result<Replaces, Verdict> {
    if is_erased {
        return Err(Verdict::Failed(Reason::ErasedByRequest));
    }
    let Some(contact) = present else {
        return Ok(Replaces::Nothing);
    };
    let is_the_archived = match contact.state {
        ContactState::Anonymised => contact
            .anonymised
            .as_ref()
            .is_some_and(|anonymised| anonymised.contact_version == saved.contact_version),
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
    if is_the_archived || overwrite {
        Ok(Replaces::Version(contact.version))
    } else {
        Err(Verdict::Failed(Reason::ContactChanged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::tests::{anonymised, contact, restored};
    use rstest::rstest;

    fn saved(contact_version: u64) -> Saved {
        Saved {
            contact_version,
            manifest_sha256: Sha256::of(b"manifest"),
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
            decide(Some(&present), false, &saved(version), overwrite),
            expected
        );
    }

    #[test]
    fn the_deleted_come_back_and_the_erased_do_not() {
        assert_eq!(decide(None, false, &saved(5), false), Ok(Replaces::Nothing));
        for overwrite in [false, true] {
            let erased = Err(Verdict::Failed(Reason::ErasedByRequest));
            assert_eq!(decide(None, true, &saved(5), overwrite), erased);
            assert_eq!(decide(Some(&anonymised(5)), true, &saved(5), overwrite), erased);
        }
    }
}

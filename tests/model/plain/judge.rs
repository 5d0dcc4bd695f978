//! How items must end, told from the specification.

use jiff::Timestamp;
use oubli_domain::Reason;
use oubli_domain::action::ItemState;

use super::{DONE, Facts, Life, Plain, Verdict, Work};

/// Whether a restore may overwrite, and when it was asked for.
type Wish<'a> = (bool, &'a Facts);

const fn failed(reason: Reason) -> Verdict {
    (ItemState::Failed, Some(reason))
}

const fn skipped(reason: Reason) -> Verdict {
    (ItemState::Skipped, Some(reason))
}

impl Plain {
    /// How an item must end that is done now.
    pub(crate) fn judge(&self, work: &Work, action: &Facts, now: Timestamp) -> Verdict {
        match work {
            Work::Export(contact) => match &self.contacts[*contact].life {
                Life::Absent => failed(Reason::ContactAbsent),
                Life::Anonymised { .. } => failed(Reason::AlreadyAnonymised),
                Life::Active { .. } => DONE,
            },
            Work::Anonymise(contact) => self.judge_anonymise(*contact, action, now),
            Work::Restore(contact) => match &self.contacts[*contact].life {
                Life::Absent => failed(Reason::ContactAbsent),
                Life::Active { .. } => skipped(Reason::NotAnonymised),
                Life::Anonymised { archive, version, .. } => {
                    self.judge_archive(self.archive_number(archive), *version, (false, action), now)
                }
            },
            Work::RestoreArchive { archive, overwrite } => self.judge_archive(
                *archive,
                self.archives[*archive].version,
                (*overwrite, action),
                now,
            ),
            Work::RestoreUpload { upload, overwrite } => {
                self.judge_upload(*upload, (*overwrite, action), now)
            }
        }
    }

    fn judge_anonymise(&self, contact: usize, action: &Facts, now: Timestamp) -> Verdict {
        let contact = &self.contacts[contact];
        match &contact.life {
            Life::Absent => failed(Reason::ContactAbsent),
            Life::Anonymised { action: by, .. } if *by == action.id => DONE,
            Life::Anonymised { .. } => skipped(Reason::AlreadyAnonymised),
            // What the member decided was about the contact as it was before.
            Life::Active {
                restored: Some(restored),
                ..
            } if restored.at > action.decided_at => failed(Reason::ContactChanged),
            Life::Active { .. } if now < contact.held_until => failed(Reason::ActionInProgress),
            Life::Active {
                last_archive: None, ..
            } => failed(Reason::NoCurrentArchive),
            Life::Active {
                last_archive: Some(archive),
                ..
            } => {
                let archive = &self.archives[self.archive_number(archive)];
                if now >= archive.expires_at {
                    failed(Reason::ArchiveExpired)
                } else if archive.version != contact.version {
                    failed(Reason::ContactChanged)
                } else {
                    DONE
                }
            }
        }
    }

    fn judge_archive(&self, archive: usize, version: u64, wish: Wish<'_>, now: Timestamp) -> Verdict {
        let archive = &self.archives[archive];
        let is_sealed = match &self.contacts[archive.contact].life {
            Life::Anonymised { archive, .. } => self.is_sealed(archive, now),
            Life::Absent | Life::Active { .. } => false,
        };
        // What is sealed comes back from a saved archive alone.
        if is_sealed || !archive.is_ready(now) {
            return failed(Reason::ArchiveExpired);
        }
        self.decide(archive.contact, version, wish)
    }

    fn judge_upload(&self, upload: usize, wish: Wish<'_>, now: Timestamp) -> Verdict {
        let upload = &self.uploads[upload];
        if now >= upload.expires_at {
            return failed(Reason::UploadMissing);
        }
        let archive = &self.archives[upload.archive];
        if upload.is_used {
            return match self.decide(archive.contact, archive.version, wish) {
                same @ (ItemState::Skipped, _) => same,
                _ => failed(Reason::UploadMissing),
            };
        }
        if upload.is_gone {
            return failed(Reason::UploadMissing);
        }
        self.decide(archive.contact, archive.version, wish)
    }

    fn decide(&self, contact: usize, version: u64, (overwrite, action): Wish<'_>) -> Verdict {
        let contact = &self.contacts[contact];
        let is_current = match &contact.life {
            // What was decided after the restore was asked for stands.
            Life::Absent if contact.deleted_at > action.decided_at => {
                return failed(Reason::ContactAbsent);
            }
            Life::Absent => true,
            Life::Anonymised { at, .. } if *at > action.decided_at => return failed(Reason::ContactChanged),
            Life::Anonymised {
                version: archived, ..
            } => *archived == version,
            Life::Active {
                content, restored, ..
            } => {
                let is_back = restored.as_ref().is_some_and(|restored| {
                    restored.archived == version && restored.version == contact.version
                });
                if is_back || contact.version == version {
                    return skipped(Reason::NotAnonymised);
                }
                let restored_at = restored.as_ref().map(|restored| restored.at);
                if Some(content.updated_at).max(restored_at) > Some(action.decided_at) {
                    return failed(Reason::ContactChanged);
                }
                false
            }
        };
        if is_current || overwrite {
            DONE
        } else {
            failed(Reason::ContactChanged)
        }
    }

    /// Whether a restore may end so because somebody did something to its contact meanwhile.
    pub(crate) fn may_give_way(work: &Work, verdict: Verdict) -> bool {
        let gives_way = [Reason::ContactChanged, Reason::ContactAbsent].map(failed);
        work.is_restore() && gives_way.contains(&verdict)
    }
}

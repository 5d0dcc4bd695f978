//! What must be the case, told from the specification: contacts, archives and uploads as plain values.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use oubli_domain::action::{ActionKind, ITEM_LEASE, ItemState};
use oubli_domain::contact::ContactFields;
use oubli_domain::{ActionId, ArchiveId, ContactId, DocumentId, Reason, Sha256, UploadId};

/// How an item ends.
pub(crate) type Verdict = (ItemState, Option<Reason>);

pub(crate) const DONE: Verdict = (ItemState::Done, None);

const fn failed(reason: Reason) -> Verdict {
    (ItemState::Failed, Some(reason))
}

const fn skipped(reason: Reason) -> Verdict {
    (ItemState::Skipped, Some(reason))
}

/// What a person would miss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) fields: ContactFields,
    /// Name and bytes of each document.
    pub(crate) documents: BTreeMap<DocumentId, (String, Sha256)>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

#[derive(Clone, Debug)]
pub(crate) enum Life {
    Absent,
    Active {
        content: Content,
        last_archive: Option<ArchiveId>,
        restored: Option<Restored>,
    },
    Anonymised {
        /// What was destroyed.
        content: Content,
        archive: ArchiveId,
        /// The version that was archived.
        version: u64,
        action: ActionId,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Restored {
    /// Which version the archive holds.
    archived: u64,
    /// Which one the contact had then.
    version: u64,
    at: Timestamp,
}

#[derive(Clone, Debug)]
pub(crate) struct PlainContact {
    pub(crate) id: ContactId,
    /// Stands in every personal value, and nowhere else.
    pub(crate) marker: String,
    pub(crate) life: Life,
    /// The highest version that it ever had.
    pub(crate) version: u64,
    /// Whether it has just that version; else a higher one, which is to be learned.
    pub(crate) is_exact: bool,
    /// Changes whenever documents that were announced before are nobody's any more.
    pub(crate) epoch: u32,
    /// Until when an export that did not end may keep others waiting.
    pub(crate) may_be_held_until: Timestamp,
    /// Until when one does; learned.
    pub(crate) held_until: Timestamp,
}

#[derive(Clone, Debug)]
pub(crate) struct PlainArchive {
    pub(crate) id: ArchiveId,
    /// The number of its contact.
    pub(crate) contact: usize,
    pub(crate) version: u64,
    pub(crate) content: Content,
    pub(crate) bytes: Arc<Vec<u8>>,
    pub(crate) expires_at: Timestamp,
    /// Whether S3 has deleted it; learned, and checked to be neither early nor too late.
    pub(crate) is_gone: bool,
}

impl PlainArchive {
    pub(crate) fn is_ready(&self, now: Timestamp) -> bool {
        now < self.expires_at && !self.is_gone
    }
}

#[derive(Clone, Debug)]
pub(crate) struct PlainUpload {
    pub(crate) id: UploadId,
    /// The number of the archive that it is a copy of.
    pub(crate) archive: usize,
    /// Until when it may be used, if its bytes are there.
    pub(crate) expires_at: Timestamp,
    /// Whether S3 has deleted it; learned.
    pub(crate) is_gone: bool,
    pub(crate) is_used: bool,
}

/// What a worker is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Export(usize),
    Anonymise(usize),
    Restore(usize),
    RestoreArchive { archive: usize, overwrite: bool },
    RestoreUpload { upload: usize, overwrite: bool },
}

impl Work {
    pub(crate) fn kind(&self) -> ActionKind {
        match self {
            Self::Export(_) => ActionKind::Export,
            Self::Anonymise(_) => ActionKind::Anonymise,
            Self::Restore(_) | Self::RestoreArchive { .. } | Self::RestoreUpload { .. } => {
                ActionKind::Restore
            }
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Export(_) => "export",
            Self::Anonymise(_) => "anonymise",
            Self::Restore(_) => "restore",
            Self::RestoreArchive { overwrite: false, .. } => "restore archive",
            Self::RestoreArchive { overwrite: true, .. } => "restore archive, overwrite",
            Self::RestoreUpload { overwrite: false, .. } => "restore upload",
            Self::RestoreUpload { overwrite: true, .. } => "restore upload, overwrite",
        }
    }
}

/// An action, as far as outcomes depend on it.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) id: ActionId,
    pub(crate) created_at: Timestamp,
}

impl Facts {
    /// For what is asked before there is an action.
    pub(crate) fn of_nobody() -> Self {
        Self {
            id: ActionId::parse("none").unwrap(),
            created_at: Timestamp::MAX,
        }
    }
}

/// All of one tenant.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plain {
    pub(crate) contacts: Vec<PlainContact>,
    pub(crate) archives: Vec<PlainArchive>,
    pub(crate) uploads: Vec<PlainUpload>,
}

impl Plain {
    /// The contact that work is about.
    pub(crate) fn contact_of(&self, work: &Work) -> usize {
        match work {
            Work::Export(contact) | Work::Anonymise(contact) | Work::Restore(contact) => *contact,
            Work::RestoreArchive { archive, .. } => self.archives[*archive].contact,
            Work::RestoreUpload { upload, .. } => self.archives[self.uploads[*upload].archive].contact,
        }
    }

    pub(crate) fn archive_number(&self, id: &ArchiveId) -> usize {
        let mut all = self.archives.iter();
        all.position(|archive| archive.id == *id)
            .expect("an archive that nobody made")
    }

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
                    self.judge_archive(self.archive_number(archive), *version, false, now)
                }
            },
            Work::RestoreArchive { archive, overwrite } => {
                self.judge_archive(*archive, self.archives[*archive].version, *overwrite, now)
            }
            Work::RestoreUpload { upload, overwrite } => self.judge_upload(*upload, *overwrite, now),
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
            } if restored.at >= action.created_at => failed(Reason::ContactChanged),
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

    fn judge_archive(&self, archive: usize, version: u64, overwrite: bool, now: Timestamp) -> Verdict {
        if self.archives[archive].is_ready(now) {
            self.decide(self.archives[archive].contact, version, overwrite)
        } else {
            failed(Reason::ArchiveExpired)
        }
    }

    fn judge_upload(&self, upload: usize, overwrite: bool, now: Timestamp) -> Verdict {
        let upload = &self.uploads[upload];
        if now >= upload.expires_at {
            return failed(Reason::UploadMissing);
        }
        let archive = &self.archives[upload.archive];
        if upload.is_used {
            return match self.decide(archive.contact, archive.version, false) {
                same @ (ItemState::Skipped, _) => same,
                _ => failed(Reason::UploadMissing),
            };
        }
        if upload.is_gone {
            return failed(Reason::UploadMissing);
        }
        self.decide(archive.contact, archive.version, overwrite)
    }

    fn decide(&self, contact: usize, version: u64, overwrite: bool) -> Verdict {
        let contact = &self.contacts[contact];
        let is_current = match &contact.life {
            Life::Absent => true,
            Life::Anonymised {
                version: archived, ..
            } => *archived == version,
            Life::Active { restored, .. } => {
                let is_back = restored.as_ref().is_some_and(|restored| {
                    restored.archived == version && restored.version == contact.version
                });
                if is_back || contact.version == version {
                    return skipped(Reason::NotAnonymised);
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

    /// An export is done: this is what it made.
    pub(crate) fn exported(&mut self, made: PlainArchive) -> Result<(), String> {
        let contact = &mut self.contacts[made.contact];
        let Life::Active {
            content,
            last_archive,
            ..
        } = &mut contact.life
        else {
            return Err("an archive of a contact that is not active".to_owned());
        };
        if !contact.is_exact && made.version > contact.version {
            (contact.version, contact.is_exact) = (made.version, true);
        }
        if (made.version, &made.content) != (contact.version, content) {
            return Err(format!(
                "archived in version {}: {:?}\nis in version {}: {content:?}",
                made.version, made.content, contact.version
            ));
        }
        *last_archive = Some(made.id.clone());
        self.archives.push(made);
        Ok(())
    }

    /// An export is done that had read the contact before it changed.
    pub(crate) fn exported_late(&mut self, made: PlainArchive) {
        let newest = match &self.contacts[made.contact].life {
            Life::Active {
                last_archive: Some(last),
                ..
            } => self.archives[self.archive_number(last)].version,
            _ => 0,
        };
        if let Life::Active { last_archive, .. } = &mut self.contacts[made.contact].life
            && made.version >= newest
        {
            *last_archive = Some(made.id.clone());
        }
        self.archives.push(made);
    }

    /// What work changes that is done now, of which [`Plain::judge`] says that it may be.
    pub(crate) fn done(&mut self, work: &Work, action: &Facts, now: Timestamp) {
        let number = self.contact_of(work);
        let archive = match work {
            Work::Export(_) => return,
            Work::Anonymise(_) => return self.anonymised(number, action),
            Work::Restore(_) => match &self.contacts[number].life {
                Life::Anonymised { archive, .. } => self.archive_number(archive),
                _ => return,
            },
            Work::RestoreArchive { archive, .. } => *archive,
            Work::RestoreUpload { upload, .. } => {
                self.uploads[*upload].is_used = true;
                self.uploads[*upload].archive
            }
        };
        let archive = &self.archives[archive];
        let contact = &mut self.contacts[number];
        contact.version += 1;
        // Of a deleted contact nobody knows the version: it goes on with a higher one.
        contact.is_exact &= !matches!(contact.life, Life::Absent);
        contact.epoch += 1;
        contact.held_until = Timestamp::MIN;
        contact.life = Life::Active {
            content: archive.content.clone(),
            last_archive: None,
            restored: Some(Restored {
                archived: archive.version,
                version: contact.version,
                at: now,
            }),
        };
    }

    fn anonymised(&mut self, number: usize, action: &Facts) {
        let contact = &mut self.contacts[number];
        if let Life::Active {
            content,
            last_archive: Some(archive),
            ..
        } = &contact.life
        {
            contact.life = Life::Anonymised {
                content: content.clone(),
                archive: archive.clone(),
                version: contact.version,
                action: action.id.clone(),
            };
            contact.version += 1;
            contact.epoch += 1;
        }
    }

    /// The contact has this version, if it may.
    pub(crate) fn learn_version(&mut self, number: usize, found: u64) -> bool {
        let contact = &mut self.contacts[number];
        if contact.is_exact || found < contact.version {
            return found == contact.version;
        }
        if let Life::Active {
            restored: Some(restored),
            ..
        } = &mut contact.life
        {
            restored.version += found - contact.version;
        }
        (contact.version, contact.is_exact) = (found, true);
        true
    }

    /// Whether an anonymised contact cannot be restored from its archive any more.
    pub(crate) fn is_sealed(&self, archive: &ArchiveId, now: Timestamp) -> bool {
        !self.archives[self.archive_number(archive)].is_ready(now)
    }

    /// An export is under way that may never end.
    pub(crate) fn may_be_held(&mut self, work: &Work, now: Timestamp) {
        if let Work::Export(contact) = work {
            let contact = &mut self.contacts[*contact];
            let until = now.saturating_add(ITEM_LEASE).unwrap();
            contact.may_be_held_until = contact.may_be_held_until.max(until);
        }
    }
}

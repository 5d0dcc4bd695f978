//! What must be the case, told from the specification: contacts, archives and uploads as plain values.

mod judge;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use oubli_domain::action::{ActionKind, ITEM_LEASE, ItemState};
use oubli_domain::contact::{Contact, ContactFields};
use oubli_domain::{ActionId, ArchiveId, ContactId, DocumentId, Reason, Sha256, UploadId};

/// How an item ends.
pub(crate) type Verdict = (ItemState, Option<Reason>);

pub(crate) const DONE: Verdict = (ItemState::Done, None);

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
        at: Timestamp,
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
    /// When it was deleted last.
    pub(crate) deleted_at: Timestamp,
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
    pub(crate) fn is_restore(&self) -> bool {
        self.kind() == ActionKind::Restore
    }

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
    /// When a member asked for it, or for it once more. What others decide later stands.
    pub(crate) decided_at: Timestamp,
}

impl Facts {
    /// For what is asked before there is an action.
    pub(crate) fn of_nobody() -> Self {
        Self {
            id: ActionId::parse("none").unwrap(),
            decided_at: Timestamp::MAX,
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

    /// An export is done that had read the contact before it changed. One that was restored since is not what
    /// was archived, and remembers nothing of it.
    pub(crate) fn exported_late(&mut self, made: PlainArchive, is_same_life: bool) {
        let newest = match &self.contacts[made.contact].life {
            Life::Active {
                last_archive: Some(last),
                ..
            } => self.archives[self.archive_number(last)].version,
            _ => 0,
        };
        if let Life::Active { last_archive, .. } = &mut self.contacts[made.contact].life
            && is_same_life
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
            Work::Anonymise(_) => return self.anonymised(number, action, now),
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

    fn anonymised(&mut self, number: usize, action: &Facts, now: Timestamp) {
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
                at: now,
            };
            contact.version += 1;
            contact.epoch += 1;
        }
    }

    /// Whether this very action has anonymised its contact.
    pub(crate) fn is_anonymised_by(&self, work: &Work, action: &Facts) -> bool {
        let life = &self.contacts[self.contact_of(work)].life;
        matches!(life, Life::Anonymised { action: by, .. } if *by == action.id)
    }

    /// When it happened, by the clock of the one who did it.
    pub(crate) fn learn_time(&mut self, number: usize, found: &Contact) {
        match &mut self.contacts[number].life {
            Life::Anonymised { at, .. } => *at = found.anonymised.as_ref().map_or(*at, |found| found.at),
            Life::Active {
                restored: Some(restored),
                ..
            } => restored.at = found.restored.as_ref().map_or(restored.at, |found| found.at),
            Life::Active { .. } | Life::Absent => {}
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

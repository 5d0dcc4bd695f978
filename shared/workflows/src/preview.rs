//! What an action would do, before it is started.

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use oubli_cloud::{ContactQuery, SavedUpload};
use oubli_domain::action::{ActionKind, ContactFilter, Selection, Verdict};
use oubli_domain::archive::{Archive, ArchiveState};
use oubli_domain::contact::{Contact, ContactSummary};
use oubli_domain::plan::PlanHasher;
use oubli_domain::restore::{Departure, Saved, Wish, decide};
use oubli_domain::search::Search;
use oubli_domain::{ArchiveId, ContactId, FieldErrors, ItemId, Reason, Sha256, TenantId, UploadId};

use crate::Oubli;
use crate::error::WorkflowError;

/// How many archives or uploads are looked at side by side.
const AT_ONCE: usize = 16;
/// How many contacts that cannot be acted on are listed; all are counted.
const MAX_LISTED: usize = 1_000;

/// Something on which the action is not possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Which contact, if that is known.
    pub contact_id: Option<ContactId>,
    /// The archive that was named.
    pub archive_id: Option<ArchiveId>,
    /// The upload that was named.
    pub upload_id: Option<UploadId>,
    /// Why.
    pub reason: Reason,
}

impl Blocked {
    fn of(contact_id: Option<ContactId>, reason: Reason) -> Self {
        Self {
            contact_id,
            archive_id: None,
            upload_id: None,
            reason,
        }
    }
}

/// A contact and the archive by which it would be anonymised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactArchive {
    /// Which contact.
    pub contact_id: ContactId,
    /// Which archive.
    pub archive_id: ArchiveId,
}

/// What an action would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// Contacts that would be acted on.
    pub contacts: u64,
    /// Their documents.
    pub documents: u64,
    /// The bytes of these.
    pub bytes: u64,
    /// Those on which it is not possible; at most 1,000 are listed.
    pub blocked: Vec<Blocked>,
    /// How many those are.
    pub blocked_count: u64,
    /// Of what would be anonymised: archives that nobody ever fetched; at most 1,000 are listed.
    pub never_downloaded: Vec<ContactArchive>,
    /// How many those are.
    pub never_downloaded_count: u64,
    /// Codes of what the member should be told before starting.
    pub notices: Vec<&'static str>,
    /// The hash of exactly this plan.
    pub plan_hash: Sha256,
}

struct Tally {
    kind: ActionKind,
    overwrite: bool,
    now: Timestamp,
    hasher: PlanHasher,
    contacts: u64,
    documents: u64,
    bytes: u64,
    blocked: Vec<Blocked>,
    blocked_count: u64,
    never_downloaded: Vec<ContactArchive>,
    never_downloaded_count: u64,
}

impl Tally {
    fn new(kind: ActionKind, overwrite: bool, now: Timestamp) -> Self {
        Self {
            kind,
            overwrite,
            now,
            hasher: PlanHasher::new(kind),
            contacts: 0,
            documents: 0,
            bytes: 0,
            blocked: Vec::new(),
            blocked_count: 0,
            never_downloaded: Vec::new(),
            never_downloaded_count: 0,
        }
    }

    fn contact(&mut self, contact: &ContactSummary) {
        let standing = contact.standing();
        let possible = match self.kind {
            ActionKind::Export => standing.may_export(),
            ActionKind::Anonymise => standing.may_anonymise(self.now).map(|_| ()),
            ActionKind::Restore => standing.may_restore(self.now).map(|_| ()),
        };
        self.hasher.contact(contact, possible.err());
        if let Err(reason) = possible {
            return self.block(Blocked::of(Some(contact.id.clone()), reason));
        }
        let archive = contact.last_archive.as_ref();
        let (documents, bytes) = match (self.kind, archive) {
            // What would come back is in the archive.
            (ActionKind::Restore, Some(archive)) => (archive.document_count, archive.document_bytes),
            _ => (contact.document_count, contact.document_bytes),
        };
        self.take(documents, bytes);
        let unsaved = archive.filter(|archive| archive.downloaded_at.is_none());
        if let (ActionKind::Anonymise, Some(archive)) = (self.kind, unsaved) {
            self.never_downloaded_count += 1;
            if self.never_downloaded.len() < MAX_LISTED {
                self.never_downloaded.push(ContactArchive {
                    contact_id: contact.id.clone(),
                    archive_id: archive.id.clone(),
                });
            }
        }
    }

    /// An archive, and its contact as it is: what the restorer will decide, as far as it can be known now.
    fn archive(
        &mut self,
        id: &ArchiveId,
        archive: Option<&Archive>,
        contact: Option<&Contact>,
        is_erased: bool,
    ) {
        let item = ItemId::from(id.clone());
        let Some(archive) = archive else {
            self.hasher.absent(&item);
            let blocked = Blocked::of(None, Reason::ArchiveAbsent);
            return self.block(Blocked {
                archive_id: Some(id.clone()),
                ..blocked
            });
        };
        let saved = Saved {
            is_kept: true,
            contact_version: archive.contact_version,
            // Archives of which it was not recorded are not signed: the restorer says so.
            manifest_sha256: archive.manifest_sha256.unwrap_or(archive.sha256),
        };
        let wish = Wish {
            overwrite: self.overwrite,
            decided_at: self.now,
            now: self.now,
        };
        let refused = if archive.state_at(self.now) == ArchiveState::Ready {
            // Whoever is deleted by now was so before this is decided.
            let departure = Departure {
                is_erased,
                deleted_at: None,
            };
            let verdict = decide(contact, departure, &saved, &wish).err();
            verdict.map(|(Verdict::Failed(reason) | Verdict::Skipped(reason))| reason)
        } else {
            Some(Reason::ArchiveExpired)
        };
        let version = contact.map_or(0, |contact| contact.version);
        self.hasher.source(&item, archive.size_bytes, version, refused);
        match refused {
            None => self.take(archive.document_count, archive.document_bytes),
            Some(reason) => self.block(Blocked {
                archive_id: Some(id.clone()),
                ..Blocked::of(Some(archive.contact_id.clone()), reason)
            }),
        }
    }

    /// A saved archive: what is in it is known once it was verified, its size is.
    fn upload(&mut self, id: &UploadId, saved: Option<SavedUpload>) {
        let item = ItemId::from(id.clone());
        // What was restored once is deleted.
        match saved.filter(|saved| saved.restored.is_none()) {
            Some(saved) => {
                self.hasher.source(&item, saved.size_bytes, 0, None);
                self.take(0, saved.size_bytes);
            }
            None => {
                self.hasher.absent(&item);
                self.block(Blocked {
                    upload_id: Some(id.clone()),
                    ..Blocked::of(None, Reason::UploadMissing)
                });
            }
        }
    }

    fn absent(&mut self, contact_id: ContactId) {
        self.hasher.absent(&contact_id.clone().into());
        self.block(Blocked::of(Some(contact_id), Reason::ContactAbsent));
    }

    fn take(&mut self, documents: u64, bytes: u64) {
        self.contacts += 1;
        self.documents += documents;
        self.bytes += bytes;
    }

    fn block(&mut self, blocked: Blocked) {
        self.blocked_count += 1;
        if self.blocked.len() < MAX_LISTED {
            self.blocked.push(blocked);
        }
    }

    fn finish(self, selection: &Selection) -> Preview {
        let mut notices = match self.kind {
            // The archives live ten days; they should be saved in a safe place.
            ActionKind::Export => vec!["archives_live_ten_days", "save_the_archives"],
            ActionKind::Anonymise => vec!["irreversible", "save_the_archives", "lost_after_ten_days"],
            ActionKind::Restore => vec!["archives_are_verified_first"],
        };
        if self.never_downloaded_count > 0 {
            notices.push("some_archives_were_never_downloaded");
        }
        if matches!(selection, Selection::UploadIds(_)) {
            notices.push("contents_are_known_when_verified");
        }
        if self.blocked_count > 0 {
            notices.push("some_contacts_are_blocked");
        }
        Preview {
            contacts: self.contacts,
            documents: self.documents,
            bytes: self.bytes,
            blocked: self.blocked,
            blocked_count: self.blocked_count,
            never_downloaded: self.never_downloaded,
            never_downloaded_count: self.never_downloaded_count,
            notices,
            plan_hash: self.hasher.finish(),
        }
    }
}

/// The question that a filter asks of the lists. A search text in which there is nothing to search
/// for must not select everybody.
pub(crate) fn query_of(filter: &ContactFilter) -> Result<ContactQuery, FieldErrors> {
    let search = filter.q.as_ref().map(|q| {
        Search::parse(q.expose())
            .ok_or_else(|| FieldErrors::one("/selection/filter/q", "must hold a letter or a digit"))
    });
    Ok(ContactQuery {
        search: search.transpose()?,
        state: filter.state,
        assigned_to: filter.assigned_to.clone(),
    })
}

impl Oubli {
    /// Computes what an action would do, from what the tenant holds now.
    ///
    /// # Errors
    /// [`WorkflowError::Busy`], [`WorkflowError::Internal`].
    pub(crate) async fn compute_preview(
        &self,
        tenant: &TenantId,
        kind: ActionKind,
        selection: &Selection,
        overwrite: bool,
    ) -> Result<Preview, WorkflowError> {
        let mut tally = Tally::new(kind, overwrite, self.now());
        match selection {
            Selection::ArchiveIds(ids) => {
                let mut ids = ids.clone();
                ids.sort();
                let archives = self.cloud.archives(tenant, &ids).await?;
                let mut looked = stream::iter(ids.into_iter().zip(archives))
                    .map(|(id, archive)| self.look_at_archive(tenant, id, archive))
                    .buffered(AT_ONCE);
                while let Some((id, archive, contact, is_erased)) = looked.try_next().await? {
                    tally.archive(&id, archive.as_ref(), contact.as_ref(), is_erased);
                }
            }
            Selection::UploadIds(ids) => {
                let mut ids = ids.clone();
                ids.sort();
                let mut looked = stream::iter(ids)
                    .map(|id| self.look_at_upload(tenant, id))
                    .buffered(AT_ONCE);
                while let Some((id, saved)) = looked.try_next().await? {
                    tally.upload(&id, saved);
                }
            }
            Selection::ContactIds(ids) => {
                // The order in which they were named is no part of the plan.
                let mut ids = ids.clone();
                ids.sort();
                // A hundred at a time: a contact may take 400 KB.
                for ids in ids.chunks(100) {
                    let contacts = self.cloud.contacts_by_id(tenant, ids).await?;
                    for (id, contact) in ids.iter().zip(contacts) {
                        match contact {
                            Some(contact) => tally.contact(&contact.into()),
                            None => tally.absent(id.clone()),
                        }
                    }
                }
            }
            Selection::Filter(filter) => {
                let query = query_of(filter)?;
                let mut position: Option<String> = None;
                loop {
                    let page = self
                        .cloud
                        .summarise_contacts(tenant, &query, filter.created_before, position.as_deref())
                        .await?;
                    page.contacts.iter().for_each(|contact| tally.contact(contact));
                    position = page.next;
                    if position.is_none() {
                        break;
                    }
                }
            }
        }
        Ok(tally.finish(selection))
    }

    /// An archive with its contact, and whether that was erased.
    async fn look_at_archive(
        &self,
        tenant: &TenantId,
        id: ArchiveId,
        archive: Option<Archive>,
    ) -> Result<(ArchiveId, Option<Archive>, Option<Contact>, bool), WorkflowError> {
        let (mut contact, mut is_erased) = (None, false);
        if let Some(archive) = &archive {
            contact = self.cloud.contact(tenant, &archive.contact_id).await?;
            is_erased = self.cloud.is_erased(tenant, &archive.contact_id).await?;
        }
        Ok((id, archive, contact, is_erased))
    }

    async fn look_at_upload(
        &self,
        tenant: &TenantId,
        id: UploadId,
    ) -> Result<(UploadId, Option<SavedUpload>), WorkflowError> {
        let saved = self.cloud.saved_upload(tenant, &id, self.now()).await?;
        Ok((id, saved))
    }
}

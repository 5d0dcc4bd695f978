//! The restorer: one contact, data and documents, back from its archive.
//!
//! Nothing is written before all of the archive was verified. Documents come to a shelf of the attempt's
//! own, which nobody sees; then the contact moves to it in one transaction. A killed attempt leaves a note by
//! which its shelf is cleared.

mod documents;
mod origin;
mod source;

use jiff::{SignedDuration, Timestamp};
use oubli_archive::saved::{self, Refusal, SavedArchive};
use oubli_archive::signature::PublicKey;
use oubli_archive::zip64::MAX_ARCHIVE_BYTES;
use oubli_cloud::{Purge, ReadyRestore, RestoreOrigin, RestoreOutcome, RestoredFrom, SavedSource, TakenItem};
use oubli_domain::action::{Action, ActionKind, ITEM_LEASE, ItemState, MAX_ITEM_ATTEMPTS, Verdict};
use oubli_domain::contact::{Contact, ContactState, Restored, Shelf};
use oubli_domain::message::ItemMessage;
use oubli_domain::restore::{Replaces, Saved, Wish, decide};
use oubli_domain::{AttemptId, ContactId, Reason, TenantId, UploadId};
use tracing::Span;

use crate::Oubli;
use crate::error::WorkflowError;
use crate::working::{ItemBatch, Task};
use documents::{Returned, write_documents};
use origin::Origin;
use source::{RangedReader, SourceError};

/// How often a restore begins again when its archive or its contact changes meanwhile.
const TRIES: usize = 5;
/// How long after an attempt's lease its shelf is cleared, if the contact did not move to it.
const SHELF_GRACE: SignedDuration = SignedDuration::from_mins(2);

/// Why a contact was not restored.
#[derive(Debug)]
enum RestoreError {
    /// The item ends so.
    Ended(Verdict),
    /// Other bytes came to the archive's place: look again.
    Moved,
    /// Not now.
    Workflow(WorkflowError),
}

impl<E: Into<WorkflowError>> From<E> for RestoreError {
    fn from(error: E) -> Self {
        Self::Workflow(error.into())
    }
}

impl From<Refusal> for RestoreError {
    fn from(refusal: Refusal) -> Self {
        if let Some(reason) = refusal.reason() {
            tracing::info!(%refusal, "an archive is refused");
            return failed(reason);
        }
        let Refusal::Unavailable(error) = refusal else {
            return Self::Workflow(WorkflowError::internal(refusal));
        };
        match SourceError::of(error) {
            Ok(SourceError::Moved) => Self::Moved,
            Ok(SourceError::Cloud(error)) => Self::Workflow(error.into()),
            Ok(SourceError::Task(error)) => Self::Workflow(WorkflowError::internal(error)),
            Err(error) => Self::Workflow(WorkflowError::internal(error)),
        }
    }
}

fn failed(reason: Reason) -> RestoreError {
    RestoreError::Ended(Verdict::Failed(reason))
}

fn skipped(reason: Reason) -> RestoreError {
    RestoreError::Ended(Verdict::Skipped(reason))
}

/// An archive that was verified from its first byte to its last.
type Opened = SavedArchive<RangedReader>;

/// The contact that there is, and what a restore replaces of it.
type Decided = (Option<Contact>, Replaces);

/// The item at work.
#[derive(Clone, Copy)]
struct Work<'a> {
    action: &'a Action,
    chunk: u32,
    taken: &'a TakenItem,
}

impl Oubli {
    /// Restores one contact of an action, if that is still to be done.
    ///
    /// # Errors
    /// [`WorkflowError::Busy`], [`WorkflowError::Internal`]: the message is to come again.
    pub async fn restore_item(
        &self,
        batch: &ItemBatch,
        message: &ItemMessage,
        receive_count: u32,
    ) -> Result<(), WorkflowError> {
        let begun = self
            .begin_item(batch, ActionKind::Restore, message, receive_count)
            .await?;
        let Some(task) = begun else {
            return self.forget_used(message).await;
        };
        match self.restore_begun(&task).await {
            Ok(Some(state)) => self.item_ended(batch, message, state).await,
            Ok(None) => self.item_lost(batch, message).await,
            Err(error) => {
                self.give_back(&task, &error).await;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Answers how the item has ended by this attempt; `None`: another has it.
    async fn restore_begun(&self, task: &Task) -> Result<Option<ItemState>, WorkflowError> {
        let Task { action, chunk, taken } = task;
        let work = Work {
            action,
            chunk: *chunk,
            taken,
        };
        let mut contact = None;
        let ended = if taken.item.attempts > MAX_ITEM_ATTEMPTS {
            contact = taken.item.contact_id.clone();
            Err(failed(Reason::TooManyAttempts))
        } else {
            self.restore_patiently(work, &mut contact).await
        };
        match ended {
            Ok(restored) => Ok(restored.then_some(ItemState::Done)),
            Err(RestoreError::Ended(verdict)) => {
                tracing::info!(?verdict, "the contact is not restored");
                let ended = self
                    .cloud
                    .end_item(action, *chunk, taken, verdict, contact.as_ref(), self.now())
                    .await?;
                let state = match verdict {
                    Verdict::Failed(_) => ItemState::Failed,
                    Verdict::Skipped(_) => ItemState::Skipped,
                };
                Ok(ended.then_some(state))
            }
            Err(RestoreError::Moved) => Err(WorkflowError::Busy),
            Err(RestoreError::Workflow(error)) => Err(error),
        }
    }

    /// Deletes an upload from which was restored, should the one who restored have died before that.
    async fn forget_used(&self, message: &ItemMessage) -> Result<(), WorkflowError> {
        let upload = UploadId::from(message.item_id.clone());
        let saved = self
            .cloud
            .saved_upload(&message.tenant_id, &upload, self.now())
            .await?;
        match saved.filter(|saved| saved.restored.is_some()) {
            Some(saved) => Ok(self.cloud.delete_saved_upload(&saved).await?),
            None => Ok(()),
        }
    }

    /// Restores from the item's archive; from the bytes that it has by then, if others come meanwhile. `false`:
    /// another attempt has the item.
    async fn restore_patiently(
        &self,
        work: Work<'_>,
        contact: &mut Option<ContactId>,
    ) -> Result<bool, RestoreError> {
        for _ in 1..TRIES {
            // A large future, on the heap; so is the next.
            match Box::pin(self.restore_once(work, contact)).await {
                Err(RestoreError::Moved) => {}
                ended => return ended,
            }
        }
        Box::pin(self.restore_once(work, contact)).await
    }

    async fn restore_once(
        &self,
        work: Work<'_>,
        contact: &mut Option<ContactId>,
    ) -> Result<bool, RestoreError> {
        let tenant = &work.action.tenant_id;
        let (origin, source) = self.origin(work, contact).await?;
        if source.size_bytes > MAX_ARCHIVE_BYTES {
            return Err(failed(Reason::ArchiveTooLarge));
        }
        let archive = self.open(tenant, source).await?;
        let id = archive.contact().id.clone();
        if let Origin::Archive(stored) = &origin
            && stored.contact_id != id
        {
            return Err(failed(Reason::ArchiveDamaged));
        }
        *contact = Some(id.clone());
        let saved = Saved {
            contact_version: archive.contact().version,
            manifest_sha256: *archive.manifest_sha256(),
            is_kept: matches!(origin, Origin::Archive(_)),
        };
        let decided = self.decide_restore(work, &id, &saved).await?;
        let shelf = Shelf {
            tenant_id: tenant.clone(),
            contact_id: id,
            // Of this try alone: what an earlier one left is deleted with its own shelf.
            generation: Some(AttemptId::from(self.ids.uuid())),
        };
        let note = Purge::of_restore(shelf.clone());
        let lease = ITEM_LEASE.saturating_add(SHELF_GRACE);
        let now = self.now();
        let due = now.saturating_add(lease).unwrap_or(now);
        self.cloud.note_restoring(&note, due).await?;
        let moving = self.fill_and_move(work, archive, &origin, saved, &note, decided);
        let restored = Box::pin(moving).await;
        if !matches!(restored, Ok(true)) {
            // It may be that the next attempt comes before the janitor.
            self.purge_now(&note).await;
        }
        restored
    }

    /// Verifies an archive, all of it.
    async fn open(&self, tenant: &TenantId, source: SavedSource) -> Result<Opened, RestoreError> {
        let keys = self.archive_keys().await?;
        let keys: Vec<PublicKey> = keys.into_iter().map(|key| key.public_key).collect();
        let (reader, tenant) = (RangedReader::new(self.cloud.clone(), source), tenant.clone());
        let span = Span::current();
        let opening =
            tokio::task::spawn_blocking(move || span.in_scope(|| saved::open(reader, &keys, &tenant)));
        Ok(opening.await.map_err(WorkflowError::internal)??)
    }

    /// The contact that a restore replaces, if it may.
    async fn decide_restore(
        &self,
        work: Work<'_>,
        contact: &ContactId,
        saved: &Saved,
    ) -> Result<Decided, RestoreError> {
        let tenant = &work.action.tenant_id;
        let departure = self.cloud.departure(tenant, contact).await?;
        let present = self.cloud.contact(tenant, contact).await?;
        let wish = Wish {
            overwrite: work.action.overwrite,
            decided_at: work.action.decided_at(),
            now: self.now(),
        };
        let replaces = decide(present.as_ref(), departure, saved, &wish).map_err(RestoreError::Ended)?;
        Ok((present, replaces))
    }

    /// Writes the documents and moves the contact to them. Answers whether it moved; if not, this attempt
    /// is over and another has the item.
    async fn fill_and_move(
        &self,
        work: Work<'_>,
        archive: Opened,
        origin: &Origin,
        saved: Saved,
        note: &Purge,
        decided: Decided,
    ) -> Result<bool, RestoreError> {
        let contact = archive.contact().clone();
        let totals = archive
            .documents()
            .iter()
            .fold((0_u64, 0_u64), |(count, bytes), document| {
                (count + 1, bytes.saturating_add(document.size_bytes))
            });
        if totals.0 > 0 && write_documents(&self.cloud, archive, note, self.now()).await? == Returned::Lost {
            tracing::warn!("another attempt has taken over; what this one wrote is deleted");
            return Ok(false);
        }
        let (present, replaces) = decided;
        let now = self.now();
        let version = next_version(replaces, saved.contact_version, now);
        let restored = Contact {
            tenant_id: work.action.tenant_id.clone(),
            id: contact.id.clone(),
            state: ContactState::Active,
            version,
            fields: contact.fields.clone(),
            generation: note.shelf.generation.clone(),
            document_count: totals.0,
            document_bytes: totals.1,
            last_archive: None,
            hold: None,
            anonymised: None,
            sealed_at: None,
            restored: Some(Restored {
                action_id: work.action.id.clone(),
                manifest_sha256: saved.manifest_sha256,
                contact_version: version,
                at: now,
            }),
            created_at: contact.created_at,
            updated_at: contact.updated_at,
        };
        match self
            .move_contact(work, &restored, present.as_ref(), origin, note, &contact.outdated)
            .await?
        {
            RestoreOutcome::Restored(left) => {
                self.clear_behind(origin, left.as_ref()).await;
                Ok(true)
            }
            RestoreOutcome::Moved => Err(self.moved_meanwhile(work, &contact.id, &saved, replaces).await?),
            RestoreOutcome::Erased => Err(failed(Reason::ErasedByRequest)),
            RestoreOutcome::OriginOver => Err(failed(match origin {
                Origin::Archive(_) => Reason::ArchiveExpired,
                Origin::Upload(_) => Reason::UploadMissing,
            })),
            RestoreOutcome::Lost => {
                tracing::warn!("another attempt has taken over; what this one wrote is deleted");
                Ok(false)
            }
        }
    }

    /// Why a contact cannot be moved any more that could be when the restore began: what somebody did to it
    /// since was decided later, and stands.
    async fn moved_meanwhile(
        &self,
        work: Work<'_>,
        contact: &ContactId,
        saved: &Saved,
        decided: Replaces,
    ) -> Result<RestoreError, RestoreError> {
        let reason = match self.decide_restore(work, contact, saved).await {
            Err(RestoreError::Ended(verdict)) => return Ok(RestoreError::Ended(verdict)),
            Err(error) => return Err(error),
            Ok((None, _)) if decided != Replaces::Nothing => Reason::ContactAbsent,
            Ok(_) => Reason::ContactChanged,
        };
        Ok(failed(reason))
    }

    async fn move_contact(
        &self,
        work: Work<'_>,
        restored: &Contact,
        replaced: Option<&Contact>,
        origin: &Origin,
        note: &Purge,
        outdated: &[String],
    ) -> Result<RestoreOutcome, WorkflowError> {
        let now = self.now();
        let used = restored.restored.as_ref().map(|from| RestoredFrom {
            contact_id: restored.id.clone(),
            manifest_sha256: from.manifest_sha256,
        });
        let origin = match (origin, &used) {
            (Origin::Upload(saved), Some(used)) => RestoreOrigin::Upload(&saved.id, used),
            (Origin::Archive(archive), _) => RestoreOrigin::Archive(archive),
            (Origin::Upload(_), None) => {
                return Err(WorkflowError::internal(
                    "a restored contact does not say from what",
                ));
            }
        };
        let restore = ReadyRestore {
            contact: restored,
            replaced,
            note,
            origin,
            outdated,
        };
        let work = (work.action, work.chunk, work.taken);
        Ok(self.cloud.restore_contact(work, &restore, now).await?)
    }

    /// Deletes what nobody needs any more: the upload, and what an edited contact left behind. The contact
    /// is back whatever comes of it; the bucket's rule and the janitor finish it.
    async fn clear_behind(&self, origin: &Origin, left: Option<&Purge>) {
        if let Origin::Upload(saved) = origin
            && let Err(error) = self.cloud.delete_saved_upload(saved).await
        {
            tracing::warn!(%error, "an upload was not deleted after its contact was restored");
        }
        if let Some(left) = left {
            self.purge_now(left).await;
        }
    }
}

/// The version of a restored contact: higher than any that it had. Of a deleted one nobody knows them any
/// more; no contact was ever changed as often as milliseconds went by.
fn next_version(replaces: Replaces, archived: u64, now: Timestamp) -> u64 {
    match replaces {
        Replaces::Version(version) => version.saturating_add(1),
        Replaces::Nothing => u64::try_from(now.as_millisecond())
            .unwrap_or(0)
            .max(archived.saturating_add(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_only_grow() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        assert_eq!(next_version(Replaces::Version(6), 5, now), 7);
        assert!(next_version(Replaces::Nothing, 5, now) > 1_700_000_000_000);
        assert_eq!(
            next_version(Replaces::Nothing, 2_000_000_000_000, now),
            2_000_000_000_001
        );
    }
}

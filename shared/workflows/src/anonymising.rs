//! The anonymiser: what names a person goes, after it was archived, and never before.

use oubli_cloud::{Anonymisation, AnonymiseOutcome, Purge, TakeOutcome, WholeContact};
use oubli_domain::action::{Action, ActionKind, ItemState, MAX_ITEM_ATTEMPTS, Verdict};
use oubli_domain::archive::{ArchiveStamp, StoredObject};
use oubli_domain::contact::{Alias, Anonymised, Contact};
use oubli_domain::message::ItemMessage;
use oubli_domain::{ArchiveId, ContactId, Reason};

use crate::Oubli;
use crate::error::WorkflowError;
use crate::working::{ItemBatch, Task};

/// How often a contact is read again that changes at the same moment.
const LOOKS: usize = 5;

/// What came of anonymising one contact.
enum Ending {
    /// It names nobody, and the item is done.
    Done,
    /// It names nobody; its documents are still to be deleted, and then the item is done.
    DocumentsLeft(Documents, ArchiveId),
    /// It is not anonymised, and this is why.
    Not(Verdict),
    /// Another attempt has the item.
    Lost,
}

/// Documents of a contact that is anonymised.
enum Documents {
    /// Their records went with its data.
    Known(Box<WholeContact>, Purge),
    /// What is left of them is looked for.
    Unknown(Purge),
}

impl Oubli {
    /// Anonymises one contact of an action, if that is still to be done. Its data goes in one transaction
    /// that holds the gate; then its documents; only then is the item done.
    ///
    /// # Errors
    /// [`WorkflowError::Busy`], [`WorkflowError::Internal`]: the message is to come again.
    pub async fn anonymise_item(
        &self,
        batch: &ItemBatch,
        message: &ItemMessage,
        receive_count: u32,
    ) -> Result<(), WorkflowError> {
        let begun = self
            .begin_item(batch, ActionKind::Anonymise, message, receive_count)
            .await?;
        let Some(mut task) = begun else {
            return Ok(());
        };
        match self.anonymise_begun(&mut task).await {
            Ok(Some(state)) => self.item_ended(batch, message, state).await,
            Ok(None) => {
                tracing::info!("another attempt has the item, or had it");
                self.item_lost(batch, message).await;
            }
            Err(error) => {
                self.give_back(&task, &error).await;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Answers how the item has ended by this attempt; `None`: it has not.
    async fn anonymise_begun(&self, task: &mut Task) -> Result<Option<ItemState>, WorkflowError> {
        let contact = ContactId::from(task.taken.item.id.clone());
        let ending = self.anonymise(task, &contact).await?;
        let Task { action, chunk, taken } = &*task;
        let verdict = match ending {
            Ending::Done => return Ok(Some(ItemState::Done)),
            Ending::Lost => return Ok(None),
            Ending::Not(verdict) => verdict,
            Ending::DocumentsLeft(documents, archive) => {
                let deleted = self.delete_left(&documents).await;
                match deleted {
                    Ok(done) => {
                        let work = (&**action, *chunk, taken);
                        let completed = self
                            .cloud
                            .complete_item(work, &contact, Some(archive), done, self.now())
                            .await?;
                        return Ok(completed.then_some(ItemState::Done));
                    }
                    Err(error) if taken.item.attempts < MAX_ITEM_ATTEMPTS => return Err(error),
                    Err(error) => {
                        // The note stays: the janitor goes on trying, and the action can end.
                        tracing::error!(%error, "documents of an anonymised contact are not deleted yet");
                        Verdict::Failed(Reason::DocumentsNotDeleted)
                    }
                }
            }
        };
        let (Verdict::Failed(reason) | Verdict::Skipped(reason)) = verdict;
        tracing::info!(reason = reason.code(), "the item is not done");
        let ended = self
            .cloud
            .end_item(action, *chunk, taken, verdict, Some(&contact), self.now())
            .await?;
        let state = match verdict {
            Verdict::Failed(_) => ItemState::Failed,
            Verdict::Skipped(_) => ItemState::Skipped,
        };
        Ok(ended.then_some(state))
    }

    /// Deletes the documents that an anonymised contact left behind. Answers the note of them if that is done
    /// with, and still there.
    async fn delete_left<'a>(&self, documents: &'a Documents) -> Result<Option<&'a Purge>, WorkflowError> {
        match documents {
            Documents::Known(whole, purge) => {
                let done = self.cloud.purge_documents(whole, purge, self.now()).await?;
                Ok(done.then_some(purge))
            }
            Documents::Unknown(purge) => {
                self.cloud.purge(purge, self.now()).await?;
                Ok(None)
            }
        }
    }

    async fn anonymise(&self, task: &mut Task, id: &ContactId) -> Result<Ending, WorkflowError> {
        let action = task.action.clone();
        for _ in 0..LOOKS {
            let Some(whole) = self.cloud.whole_contact(&action.tenant_id, id).await? else {
                return Ok(Ending::Not(Verdict::Failed(Reason::ContactAbsent)));
            };
            let contact = &whole.contact;
            // What is begun is finished, however often it takes.
            if let Some(ending) = begun_before(&action, contact) {
                let is_held = task.taken.is_leased || self.take(task).await?;
                return Ok(if is_held { ending } else { Ending::Lost });
            }
            if task.taken.item.attempts > MAX_ITEM_ATTEMPTS {
                return Ok(Ending::Not(Verdict::Failed(Reason::TooManyAttempts)));
            }
            let archive = match contact.may_anonymise(self.now()) {
                Ok(archive) => archive.clone(),
                Err(Reason::AlreadyAnonymised) => {
                    return Ok(Ending::Not(Verdict::Skipped(Reason::AlreadyAnonymised)));
                }
                Err(reason) => return Ok(Ending::Not(Verdict::Failed(reason))),
            };
            if !self.is_stored_whole(contact, &archive).await? {
                return Ok(Ending::Not(Verdict::Failed(Reason::NoCurrentArchive)));
            }
            let now = self.now();
            let how = Anonymised {
                action_id: action.id.clone(),
                attempt_id: task.taken.attempt_id.clone(),
                contact_version: contact.version,
                left: contact.generation.clone(),
                archive_id: archive.id.clone(),
                at: now,
                restorable_until: archive.expires_at,
            };
            let alias = Alias::from(self.ids.uuid());
            let after = contact.anonymised(how, &alias);
            let anonymisation = Anonymisation {
                before: &whole,
                after: &after,
                archive: &archive,
                alias: &alias,
            };
            let work = (&*action, task.chunk, &task.taken);
            match self.cloud.anonymise_contact(work, anonymisation, now).await? {
                AnonymiseOutcome::Done => return Ok(Ending::Done),
                AnonymiseOutcome::DocumentsLeft(purge) => {
                    task.taken.is_leased = true;
                    let documents = if whole.records_fit() {
                        Documents::Known(Box::new(whole), purge)
                    } else {
                        Documents::Unknown(purge)
                    };
                    return Ok(Ending::DocumentsLeft(documents, archive.id));
                }
                AnonymiseOutcome::Lost => return Ok(Ending::Lost),
                AnonymiseOutcome::ArchiveOver => {
                    let reason = contact.may_anonymise(self.now()).err();
                    let reason = reason.unwrap_or(Reason::NoCurrentArchive);
                    return Ok(Ending::Not(Verdict::Failed(reason)));
                }
                AnonymiseOutcome::AliasTaken | AnonymiseOutcome::Moved => {}
            }
        }
        Err(WorkflowError::Busy)
    }

    /// Takes the item of a contact that an earlier attempt has anonymised. `false`: it has ended, or is held.
    async fn take(&self, task: &mut Task) -> Result<bool, WorkflowError> {
        let (item, attempt) = (&task.taken.item.id, &task.taken.attempt_id);
        let outcome = self
            .cloud
            .take_item(&task.action, task.chunk, item, attempt, None, self.now())
            .await?;
        let TakeOutcome::Taken(taken) = outcome else {
            return Ok(false);
        };
        task.taken = taken;
        Ok(true)
    }

    /// Whether S3 has the archive, whole: what the record says is not enough to destroy the original by.
    async fn is_stored_whole(&self, contact: &Contact, stamp: &ArchiveStamp) -> Result<bool, WorkflowError> {
        let object = match &stamp.object {
            Some(object) => object.clone(),
            None => match self.cloud.archive(&contact.tenant_id, &stamp.id).await? {
                None => return Ok(false),
                Some(archive) => StoredObject {
                    key: archive.object_key,
                    size_bytes: archive.size_bytes,
                },
            },
        };
        let stored = self.cloud.archive_object_size(&object.key).await?;
        Ok(stored == Some(object.size_bytes))
    }
}

/// What an earlier attempt of the same action did to a contact, if it came as far as that.
fn begun_before(action: &Action, contact: &Contact) -> Option<Ending> {
    // Brought back since the member decided: that was about the contact as it was before.
    let is_restored = |at| at > action.decided_at();
    if contact
        .restored
        .as_ref()
        .is_some_and(|restored| is_restored(restored.at))
    {
        return Some(Ending::Not(Verdict::Failed(Reason::ContactChanged)));
    }
    let anonymised = contact.anonymised.as_ref()?;
    if anonymised.action_id != action.id {
        return None;
    }
    let purge = Purge::of_shelf(contact.left_shelf()?);
    let documents = Documents::Unknown(purge);
    Some(Ending::DocumentsLeft(documents, anonymised.archive_id.clone()))
}

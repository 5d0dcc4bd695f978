//! The anonymiser: what names a person goes, after it was archived, and never before.

use oubli_cloud::{AnonymiseOutcome, Purge, TakenItem};
use oubli_domain::action::{Action, ActionKind, MAX_ITEM_ATTEMPTS, Verdict};
use oubli_domain::archive::ArchiveStamp;
use oubli_domain::contact::{Alias, Anonymised, Contact};
use oubli_domain::message::ItemMessage;
use oubli_domain::{ArchiveId, ContactId, Reason};

use crate::Oubli;
use crate::error::WorkflowError;

/// How often a contact is read again that changes at the same moment.
const LOOKS: usize = 5;

/// What came of anonymising one contact.
enum Ending {
    /// It names nobody; its documents are still to be deleted, and then the item is done.
    Anonymised(Purge, ArchiveId),
    /// It is not anonymised, and this is why.
    Not(Verdict),
    /// Another attempt has the item.
    Lost,
}

impl Oubli {
    /// Anonymises one contact of an action, if that is still to be done. Its data goes in one transaction
    /// that holds the gate; then its documents; only then is the item done.
    ///
    /// # Errors
    /// [`WorkflowError::Busy`], [`WorkflowError::Internal`]: the message is to come again.
    pub async fn anonymise_item(&self, message: &ItemMessage) -> Result<(), WorkflowError> {
        let Some((action, taken)) = self.begin_item(ActionKind::Anonymise, message).await? else {
            return Ok(());
        };
        let (tenant, chunk) = (&action.tenant_id, message.chunk);
        let contact = ContactId::from(taken.item.id.clone());
        let ending = self.anonymise(&action, chunk, &taken, &contact).await?;
        match ending {
            Ending::Anonymised(purge, archive) => {
                self.cloud.purge(&purge, self.now()).await?;
                let (archive, now) = (Some(archive), self.now());
                self.cloud
                    .complete_item(&action, chunk, &taken, &contact, archive, now)
                    .await?;
            }
            Ending::Not(verdict) => {
                let (Verdict::Failed(reason) | Verdict::Skipped(reason)) = verdict;
                tracing::info!(reason = reason.code(), "the contact is not anonymised");
                self.cloud
                    .end_item(&action, chunk, &taken, verdict, Some(&contact), self.now())
                    .await?;
            }
            Ending::Lost => tracing::warn!("another attempt has taken over"),
        }
        self.settle_chunk(tenant, &action.id, chunk).await
    }

    async fn anonymise(
        &self,
        action: &Action,
        chunk: u32,
        taken: &TakenItem,
        id: &ContactId,
    ) -> Result<Ending, WorkflowError> {
        for _ in 0..LOOKS {
            let Some(contact) = self.cloud.contact(&action.tenant_id, id).await? else {
                return Ok(Ending::Not(Verdict::Failed(Reason::ContactAbsent)));
            };
            // What is begun is finished, however often it takes.
            if let Some(ending) = begun_before(action, &contact) {
                return Ok(ending);
            }
            if taken.item.attempts > MAX_ITEM_ATTEMPTS {
                return Ok(Ending::Not(Verdict::Failed(Reason::TooManyAttempts)));
            }
            let archive = match contact.may_anonymise(self.now()) {
                Ok(archive) => archive.clone(),
                Err(Reason::AlreadyAnonymised) => {
                    return Ok(Ending::Not(Verdict::Skipped(Reason::AlreadyAnonymised)));
                }
                Err(reason) => return Ok(Ending::Not(Verdict::Failed(reason))),
            };
            if !self.is_stored_whole(&contact, &archive).await? {
                return Ok(Ending::Not(Verdict::Failed(Reason::NoCurrentArchive)));
            }
            let now = self.now();
            let how = Anonymised {
                action_id: action.id.clone(),
                attempt_id: taken.attempt_id.clone(),
                contact_version: contact.version,
                left: contact.generation.clone(),
                archive_id: archive.id.clone(),
                at: now,
                restorable_until: archive.expires_at,
            };
            let alias = Alias::from(self.ids.uuid());
            let after = contact.anonymised(how, &alias);
            let outcome = self
                .cloud
                .anonymise_contact((action, chunk, taken), &contact, &after, &archive, &alias, now)
                .await?;
            match outcome {
                AnonymiseOutcome::Done(purge) => return Ok(Ending::Anonymised(purge, archive.id)),
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

    /// Whether S3 has the archive, whole: what the record says is not enough to destroy the original by.
    async fn is_stored_whole(&self, contact: &Contact, stamp: &ArchiveStamp) -> Result<bool, WorkflowError> {
        let Some(archive) = self.cloud.archive(&contact.tenant_id, &stamp.id).await? else {
            return Ok(false);
        };
        let stored = self.cloud.archive_object_size(&archive).await?;
        Ok(stored == Some(archive.size_bytes))
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
    Some(Ending::Anonymised(purge, anonymised.archive_id.clone()))
}

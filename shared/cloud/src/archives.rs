//! Archives: recorded when S3 has them whole, expired by the clock, seen gone.

use jiff::{SignedDuration, Timestamp};
use oubli_domain::action::{Action, ItemState};
use oubli_domain::archive::{Archive, ArchiveStamp, StoredObject};
use oubli_domain::audit::AuditEntry;
use oubli_domain::contact::Shelf;
use oubli_domain::{ArchiveId, TenantId};

use crate::chunks::TakenItem;
use crate::connect::Cloud;
use crate::contacts::{PastAction, on_generation};
use crate::documents::LearnedHashes;
use crate::error::CloudError;
use crate::expression::{Condition, Update, number, text};
use crate::items;
use crate::keys;
use crate::open_work;
use crate::pauses::LongPauses;
use crate::table::Transacted;

/// How often the object of an expired archive is looked for.
const LOOK_FOR_OBJECT: SignedDuration = SignedDuration::from_hours(6);

/// How often a contact is looked at again that changes while it is sealed.
const SEALING_TRIES: usize = 5;

/// What came of recording a finished export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompletedExport {
    /// The archive is ready, the item done.
    Recorded,
    /// This attempt does not hold the item any more; its object is nobody's.
    Lost,
    /// The contact was deleted, or anonymised, while its archive was built.
    ContactGone,
}

/// Most documents of which an export records the hashes as it ends: DynamoDB takes 100 writes.
pub const MAX_LEARNED: usize = 90;

impl Cloud {
    /// Records, in one transaction, that an export is done at `now`: the archive, the item, what the contact
    /// remembers of it, and the hashes of up to [`MAX_LEARNED`] documents that were learned. S3 must have the archive before. Failures of DynamoDB are waited out for some minutes.
    ///
    /// # Errors
    /// [`CloudError`] when DynamoDB fails; as all methods here.
    pub async fn complete_export(
        &self,
        work: (&Action, u32, &TakenItem),
        archive: (&Archive, &Shelf),
        learned: &[LearnedHashes],
        now: Timestamp,
    ) -> Result<CompletedExport, CloudError> {
        let mut pauses = LongPauses::of("TransactWriteItems", self.first_backoff);
        loop {
            match self.complete_export_once(work, archive, learned, now).await {
                // The archive is there, and only this is left: it is not built again for it.
                Err(error) if error.is_passing() => pauses.next(error).await?,
                ended => return ended,
            }
        }
    }

    async fn complete_export_once(
        &self,
        (action, chunk, taken): (&Action, u32, &TakenItem),
        (archive, shelf): (&Archive, &Shelf),
        learned: &[LearnedHashes],
        now: Timestamp,
    ) -> Result<CompletedExport, CloudError> {
        let tenant = &archive.tenant_id;
        let key = keys::archive(tenant, &archive.id);
        let mut record = items::with_key(items::write("archive", archive)?, &key);
        record.extend(open_work::attributes(&key, archive.expires_at));
        // What conditions compare: texts of instants do not sort as instants do.
        let ends = archive.expires_at.as_millisecond();
        record.insert("expires_at_ms".to_owned(), number(ends));
        let stamp = ArchiveStamp {
            id: archive.id.clone(),
            contact_version: archive.contact_version,
            expires_at: archive.expires_at,
            document_count: archive.document_count,
            document_bytes: archive.document_bytes,
            object: Some(StoredObject {
                key: archive.object_key.clone(),
                size_bytes: archive.size_bytes,
            }),
            downloaded_at: None,
        };
        let past = PastAction {
            action_id: action.id.clone(),
            kind: action.kind,
            state: ItemState::Done,
            reason: None,
            at: now,
            archive_id: Some(archive.id.clone()),
        };
        let past_key = keys::past_action(tenant, &archive.contact_id, &action.id);
        let card = items::with_key(items::write("past action", &past)?, &past_key);
        let stamp = items::write_value("archive", &stamp)?;
        let contact = keys::contact(tenant, &archive.contact_id);
        // Nothing is recorded of a contact that was anonymised meanwhile: its archive is the one that allowed it.
        let active = Condition::Equal("state", text("active"));
        // A newer version may have been archived meanwhile: then the contact remembers that one. One that was
        // restored meanwhile remembers none: what was archived is not what it is.
        let newest = Condition::All(vec![
            active.clone(),
            on_generation(shelf.generation.as_ref()),
            Condition::Any(vec![
                Condition::Absent("last_archive"),
                Condition::LessOrEqual("last_archive.contact_version", number(archive.contact_version)),
            ]),
        ]);
        let own_hold = Condition::Equal("hold.attempt_id", text(&taken.attempt_id));
        let remember = Update::of(contact.clone()).set("last_archive", stamp);
        let release = remember
            .clone()
            .remove("hold")
            .when(Condition::All(vec![own_hold, newest.clone()]));
        let release = self.contacts.update_write(release)?;
        let remember = self.contacts.update_write(remember.when(newest))?;
        let leave = self.contacts.check_write(&contact, active)?;
        let contact_id = Some(&archive.contact_id);
        for contact in [release, remember, leave] {
            let writes = vec![
                self.end_item_write(action, chunk, taken, contact_id, &past)?,
                contact,
                self.requests.put_write(record.clone(), None)?,
                self.contacts.put_write(card.clone(), None)?,
            ];
            let mut with_hashes = writes.clone();
            for hashes in learned.iter().take(MAX_LEARNED) {
                with_hashes.push(self.contacts.update_write(hashes.update(shelf))?);
            }
            let mut outcome = self.requests.transact(with_hashes).await?;
            if (writes.len()..writes.len() + learned.len()).any(|index| outcome.refused(index).is_some()) {
                // One of the documents was deleted meanwhile. The archive is of the version before.
                outcome = self.requests.transact(writes).await?;
            }
            if matches!(outcome, Transacted::Yes)
                || self.ended_by(action, chunk, taken, ItemState::Done).await?
            {
                return Ok(CompletedExport::Recorded);
            }
            match outcome.refused(1) {
                Some(_) if outcome.refused(0).is_some() => return Ok(CompletedExport::Lost),
                Some(refused) if refused.item.is_none() => return Ok(CompletedExport::ContactGone),
                Some(_) => {}
                None => return Ok(CompletedExport::Lost),
            }
        }
        Ok(CompletedExport::ContactGone)
    }

    /// Reads the record of an archive, strongly consistent.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn archive(
        &self,
        tenant: &TenantId,
        archive: &ArchiveId,
    ) -> Result<Option<Archive>, CloudError> {
        let found = self.requests.get(&keys::archive(tenant, archive)).await?;
        found
            .map(|attributes| items::read("archive", attributes))
            .transpose()
    }

    /// Reads the records of many archives, in the order of the ids.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn archives(
        &self,
        tenant: &TenantId,
        ids: &[ArchiveId],
    ) -> Result<Vec<Option<Archive>>, CloudError> {
        let mut archives = Vec::with_capacity(ids.len());
        for ids in ids.chunks(100) {
            let keys: Vec<_> = ids.iter().map(|id| keys::archive(tenant, id)).collect();
            let mut found = self.requests.get_many(&keys).await?;
            for key in &keys {
                archives.push(
                    found
                        .remove(key)
                        .map(|item| items::read("archive", item))
                        .transpose()?,
                );
            }
        }
        Ok(archives)
    }

    /// Records the first time that an archive was downloaded whole.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn note_downloaded(&self, archive: &Archive, now: Timestamp) -> Result<(), CloudError> {
        let (tenant, contact) = (&archive.tenant_id, &archive.contact_id);
        let update = Update::of(keys::archive(tenant, &archive.id))
            .set_once("downloaded_at", text(now))
            .when(Condition::Present("pk"));
        self.requests.update(update).await?;
        // The preview of an anonymisation tells which archives nobody has saved yet.
        let remember = Update::of(keys::contact(tenant, contact))
            .set_once("last_archive.downloaded_at", text(now))
            .when(Condition::Equal("last_archive.id", text(&archive.id)));
        self.contacts.update(remember).await.map(|_| ())
    }

    /// Records that an archive's time is over. Its object is looked for until it is gone.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn note_expired(&self, archive: &Archive, now: Timestamp) -> Result<(), CloudError> {
        let due = now.saturating_add(LOOK_FOR_OBJECT).unwrap_or(now);
        let not_deleted = Condition::Any(vec![
            Condition::Equal("state", text("ready")),
            Condition::Equal("state", text("expired")),
        ]);
        let update = Update::of(keys::archive(&archive.tenant_id, &archive.id))
            .set("state", text("expired"))
            .look_again(due)
            .when(not_deleted);
        self.requests.update(update).await.map(|_| ())
    }

    /// Records when an archive's object was first seen gone, with an entry of the audit, and seals the contact that
    /// could have been restored from it, in one transaction: an anonymisation or a restore comes before it or
    /// after it. Where it was recorded before, or the archive's record is gone, nothing is.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn note_deleted(&self, archive: &Archive, entry: &AuditEntry) -> Result<(), CloudError> {
        let now = entry.at;
        let deleted = Update::of(keys::archive(&archive.tenant_id, &archive.id))
            .set("state", text("deleted"))
            .set("deleted_at", text(now))
            .close()
            .when(Condition::All(vec![
                Condition::Present("pk"),
                Condition::Absent("deleted_at"),
            ]));
        let contact = keys::contact(&archive.tenant_id, &archive.contact_id);
        let rests_on_it = Condition::Equal("anonymised.archive_id", text(&archive.id));
        let seal = Update::of(contact.clone())
            .set("sealed_at", text(now))
            .remove("last_archive")
            .when(Condition::All(vec![rests_on_it, Condition::Absent("sealed_at")]));
        // Absent, on no archive, on another one, or sealed already.
        let other = Condition::Any(vec![
            Condition::Absent("anonymised"),
            Condition::NotEqual("anonymised.archive_id", text(&archive.id)),
            Condition::Present("sealed_at"),
        ]);
        for _ in 0..SEALING_TRIES {
            for contact in [
                self.contacts.update_write(seal.clone())?,
                self.contacts.check_write(&contact, other.clone())?,
            ] {
                let deleted = self.requests.update_write(deleted.clone())?;
                let writes = vec![deleted, contact, self.audit_write(entry)?];
                let outcome = self.requests.transact(writes).await?;
                if outcome.refused(0).is_some() || outcome.refused(1).is_none() {
                    return Ok(());
                }
            }
        }
        Err(CloudError::Throttled {
            operation: "TransactWriteItems",
            code: "the contact keeps changing".to_owned(),
        })
    }
}

//! Restores: documents onto a shelf that nobody sees yet, then the contact to it, all at once.

use std::sync::Arc;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use jiff::{SignedDuration, Timestamp};
use oubli_domain::action::{Action, ItemState};
use oubli_domain::archive::Archive;
use oubli_domain::contact::{Contact, ContactState};
use oubli_domain::document::Document;
use oubli_domain::restore::Departure;
use oubli_domain::{ContactId, TenantId, UploadId};

use crate::chunks::TakenItem;
use crate::connect::Cloud;
use crate::contacts::{PastAction, on_generation, write_contact};
use crate::documents::write_document;
use crate::error::CloudError;
use crate::expression::{Condition, number, text};
use crate::items;
use crate::keys;
use crate::purges::{Purge, soon};
use crate::saved_archives::RestoredFrom;
use crate::table::Transacted;

/// How long it is known when a contact was deleted: longer than any restore that was asked for before may
/// still be under way.
const DELETION_KNOWN: SignedDuration = SignedDuration::from_hours(90 * 24);
/// The attribute that holds when a contact was deleted, in milliseconds since 1970.
const DELETED_AT: &str = "deleted_at_ms";

/// From what a contact is restored.
#[derive(Clone, Copy, Debug)]
pub enum RestoreOrigin<'a> {
    /// An archive that Oubli has.
    Archive(&'a Archive),
    /// A saved archive that a member uploaded.
    Upload(&'a UploadId, &'a RestoredFrom),
}

/// A restore whose documents are written: what is left is one transaction.
#[derive(Clone, Copy, Debug)]
pub struct ReadyRestore<'a> {
    /// The contact as it is to be.
    pub contact: &'a Contact,
    /// The contact that it replaces, as it was read; `None`: there is none.
    pub replaced: Option<&'a Contact>,
    /// The note of the shelf on which the documents stand.
    pub note: &'a Purge,
    /// Where it comes from.
    pub origin: RestoreOrigin<'a>,
    /// The names of fields whose values nobody could enter today.
    pub outdated: &'a [String],
}

/// What came of a restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestoreOutcome {
    /// The contact is back. What it left behind, if anything, is still to be deleted.
    Restored(Option<Purge>),
    /// The contact is not any more what was read.
    Moved,
    /// It was erased at the person's request.
    Erased,
    /// The archive's time is over, or the upload was used or forgotten.
    OriginOver,
    /// This attempt is over: another has the item, or what was written is being deleted.
    Lost,
}

impl Cloud {
    /// Whether a contact was erased at the person's request. It may be gone otherwise.
    ///
    /// # Errors
    /// [`CloudError`] when DynamoDB fails; as all methods here.
    pub async fn is_erased(&self, tenant: &TenantId, contact: &ContactId) -> Result<bool, CloudError> {
        let found = self.contacts.get(&keys::erased(tenant, contact)).await?;
        Ok(found.is_some())
    }

    /// What is known of the end of a contact that is not there.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn departure(&self, tenant: &TenantId, contact: &ContactId) -> Result<Departure, CloudError> {
        let deleted = self.contacts.get(&keys::deleted(tenant, contact)).await?;
        let deleted = deleted.as_ref().and_then(|found| found.get(DELETED_AT));
        let milliseconds = deleted.and_then(|value| value.as_n().ok());
        let milliseconds = milliseconds.and_then(|value| value.parse().ok());
        Ok(Departure {
            is_erased: self.is_erased(tenant, contact).await?,
            deleted_at: milliseconds.and_then(|value| Timestamp::from_millisecond(value).ok()),
        })
    }

    /// The write that notes when a contact is deleted.
    pub(crate) fn deleted_write(
        &self,
        contact: &Contact,
        now: Timestamp,
    ) -> Result<TransactWriteItem, CloudError> {
        let known_until = now.saturating_add(DELETION_KNOWN).unwrap_or(now);
        let noted = [
            (DELETED_AT, now.as_millisecond()),
            ("ttl", known_until.as_second()),
        ];
        let noted = noted.map(|(name, value)| (name.to_owned(), number(value)));
        let key = keys::deleted(&contact.tenant_id, &contact.id);
        self.contacts.put_write(items::with_key(noted.into(), &key), None)
    }

    /// Records up to 99 documents whose objects are there, on a shelf that a restore fills. `false`:
    /// somebody has begun to delete what stands on it.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn record_restored(
        &self,
        documents: &[Arc<Document>],
        note: &Purge,
    ) -> Result<bool, CloudError> {
        let untouched = Condition::Equal("restoring", AttributeValue::Bool(true));
        let mut writes = vec![self.requests.check_write(&note.key(), untouched)?];
        for document in documents {
            writes.push(self.contacts.put_write(write_document(document)?, None)?);
        }
        Ok(matches!(self.contacts.transact(writes).await?, Transacted::Yes))
    }

    /// Brings a contact back: its fields and index keys, its documents and the item, in one
    /// transaction. Nothing of it happens unless the contact is still what was read, was not erased, the
    /// archive is still there, and this attempt still holds the item and its shelf.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn restore_contact(
        &self,
        (action, chunk, taken): (&Action, u32, &TakenItem),
        restore: &ReadyRestore<'_>,
        now: Timestamp,
    ) -> Result<RestoreOutcome, CloudError> {
        let contact = restore.contact;
        let (tenant, id) = (&contact.tenant_id, &contact.id);
        let unchanged = match restore.replaced {
            None => Condition::Absent("pk"),
            Some(replaced) => {
                let mut same = vec![
                    on_generation(replaced.generation.as_ref()),
                    Condition::Equal("version", number(replaced.version)),
                ];
                if matches!(restore.origin, RestoreOrigin::Archive(_)) {
                    same.push(Condition::Absent("sealed_at"));
                }
                Condition::All(same)
            }
        };
        let not_erased = Condition::Absent("pk");
        let mut writes = vec![
            self.contacts
                .put_write(write_contact(contact)?, Some(unchanged))?,
            self.contacts.check_write(&keys::erased(tenant, id), not_erased)?,
            self.restored_write(restore.note)?,
        ];
        writes.push(match restore.origin {
            RestoreOrigin::Archive(archive) => {
                let alive = Condition::All(vec![
                    Condition::Equal("state", text("ready")),
                    Condition::Greater("expires_at_ms", number(now.as_millisecond())),
                ]);
                self.requests
                    .check_write(&keys::archive(tenant, &archive.id), alive)?
            }
            RestoreOrigin::Upload(upload, used) => self.used_write(tenant, upload, used)?,
        });
        let item = writes.len();
        let past = PastAction {
            action_id: action.id.clone(),
            kind: action.kind,
            state: ItemState::Done,
            reason: None,
            at: now,
            archive_id: match restore.origin {
                RestoreOrigin::Archive(archive) => Some(archive.id.clone()),
                RestoreOrigin::Upload(..) => None,
            },
        };
        let mut ended = self.end_item_update(action, chunk, taken, Some(id), &past);
        if !restore.outdated.is_empty() {
            ended = ended.set(
                "outdated_fields",
                items::write_value("fields", &restore.outdated)?,
            );
        }
        writes.push(self.requests.update_write(ended)?);
        let past_key = keys::past_action(tenant, id, &action.id);
        let past = items::with_key(items::write("past action", &past)?, &past_key);
        writes.push(self.contacts.put_write(past, None)?);
        // What an anonymised contact had is noted already; an edited one leaves its documents behind now.
        let left = restore
            .replaced
            .filter(|replaced| replaced.state == ContactState::Active)
            .map(|replaced| Purge::of_shelf(replaced.shelf()));
        if let Some(left) = &left {
            writes.push(self.purge_write(left, soon(now))?);
        }
        if restore.replaced.is_none() {
            // Another restore may have brought it back, and somebody deleted that.
            let decided_at = number(action.decided_at().as_millisecond());
            let not_deleted_since = Condition::Any(vec![
                Condition::Absent(DELETED_AT),
                Condition::LessOrEqual(DELETED_AT, decided_at),
            ]);
            let deleted = keys::deleted(tenant, id);
            writes.push(self.contacts.check_write(&deleted, not_deleted_since)?);
        }
        let time = match restore.origin {
            RestoreOrigin::Archive(archive) => archive.expires_at.duration_since(now),
            RestoreOrigin::Upload(..) => SignedDuration::MAX,
        };
        let outcome = self.contacts.transact_within(writes, time).await?;
        if matches!(outcome, Transacted::Yes) || self.ended_by(action, chunk, taken, ItemState::Done).await? {
            return Ok(RestoreOutcome::Restored(left));
        }
        let is_refused = |index: usize| outcome.refused(index).is_some();
        Ok(if is_refused(2) || is_refused(item) {
            RestoreOutcome::Lost
        } else if is_refused(1) {
            RestoreOutcome::Erased
        } else if is_refused(3) {
            RestoreOutcome::OriginOver
        } else {
            RestoreOutcome::Moved
        })
    }
}

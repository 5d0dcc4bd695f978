//! A contact without its person: written in one transaction.

use jiff::Timestamp;
use oubli_domain::action::{Action, ItemState};
use oubli_domain::archive::ArchiveStamp;
use oubli_domain::contact::{Alias, Contact, Hold};
use oubli_domain::{AttemptId, ContactId, TenantId};

use crate::chunks::TakenItem;
use crate::connect::Cloud;
use crate::contacts::{ANNOUNCED, PastAction, on_generation, read_contact, write_contact};
use crate::documents::WholeContact;
use crate::error::CloudError;
use crate::expression::{Attributes, Condition, Update, number, text};
use crate::items;
use crate::keys;
use crate::purges::{Purge, soon};
use crate::table::{Transacted, Written};

/// Most documents whose records one transaction deletes with the contact's data: DynamoDB takes 100 writes.
const MAX_RECORDS: usize = 90;

/// A contact that is to be anonymised, and what it will be.
#[derive(Clone, Copy, Debug)]
pub struct Anonymisation<'a> {
    /// As it is, with its documents.
    pub before: &'a WholeContact,
    /// As it will be.
    pub after: &'a Contact,
    /// The archive that allows it.
    pub archive: &'a ArchiveStamp,
    /// The number by which it will be called.
    pub alias: &'a Alias,
}

/// What came of anonymising a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnonymiseOutcome {
    /// The contact names nobody any more, and has no documents: the item is done.
    Done,
    /// The contact names nobody any more; its documents are still to be deleted.
    DocumentsLeft(Purge),
    /// Another contact of the tenant has the number: draw another one.
    AliasTaken,
    /// The contact has changed since it was read: look again.
    Moved,
    /// The archive is not to be had any more.
    ArchiveOver,
    /// This attempt does not hold the item any more.
    Lost,
}

impl WholeContact {
    /// Whether the transaction that anonymises the contact deletes the records of its documents as well.
    pub fn records_fit(&self) -> bool {
        self.documents.len() <= MAX_RECORDS
    }
}

impl Cloud {
    /// Anonymises a contact, if it is still in the version that the archive holds, the archive is still to be
    /// had at `now`, and the item is this attempt's: one transaction, in which the index keys change with the
    /// contact, the objects to be deleted are noted, and the records of up to 90 documents go. Without
    /// documents it ends the item too.
    ///
    /// # Errors
    /// [`CloudError`] when DynamoDB fails; as all methods here.
    pub async fn anonymise_contact(
        &self,
        (action, chunk, taken): (&Action, u32, &TakenItem),
        Anonymisation {
            before: whole,
            after,
            archive,
            alias,
        }: Anonymisation<'_>,
        now: Timestamp,
    ) -> Result<AnonymiseOutcome, CloudError> {
        let before = &whole.contact;
        let (tenant, contact) = (&before.tenant_id, &before.id);
        let millisecond = now.as_millisecond();
        let purge = if whole.records_fit() {
            Purge::of_whole(whole, now)
        } else {
            Purge::of_shelf(before.shelf())
        };
        let same_announced = match whole.announced {
            0 => Condition::Absent(ANNOUNCED),
            announced => Condition::Equal(ANNOUNCED, number(announced)),
        };
        let unchanged = Condition::All(vec![
            Condition::Equal("state", text("active")),
            Condition::Equal("version", number(before.version)),
            same_announced,
            Condition::Equal("last_archive.id", text(&archive.id)),
            Condition::Equal("last_archive.contact_version", number(before.version)),
            // An export that began a moment ago is waited for.
            Condition::Any(vec![
                Condition::Absent("hold"),
                Condition::LessOrEqual("hold.until_ms", number(millisecond)),
            ]),
        ]);
        let ready = Condition::All(vec![
            Condition::Equal("state", text("ready")),
            Condition::Equal("contact_version", number(before.version)),
            Condition::Greater("expires_at_ms", number(millisecond)),
        ]);
        let past = PastAction {
            action_id: action.id.clone(),
            kind: action.kind,
            state: ItemState::Done,
            reason: None,
            at: now,
            archive_id: Some(archive.id.clone()),
        };
        let has_documents = !whole.documents.is_empty();
        let item = if has_documents {
            self.begin_item_write(action, chunk, taken, now)?
        } else {
            self.end_item_write(action, chunk, taken, Some(contact), &past)?
        };
        let mut writes = vec![
            self.contacts.put_write(write_contact(after)?, Some(unchanged))?,
            self.requests
                .check_write(&keys::archive(tenant, &archive.id), ready)?,
            item,
        ];
        let alias_index = writes.len();
        if before.fields.first_name.is_some() {
            let key = keys::alias(tenant, alias);
            let reserved = items::with_key(Attributes::new(), &key);
            writes.push(self.contacts.put_write(reserved, Some(Condition::Absent("pk")))?);
        }
        if has_documents {
            writes.push(self.purge_write(&purge, soon(now))?);
        } else {
            let key = keys::past_action(tenant, contact, &action.id);
            let card = items::with_key(items::write("past action", &past)?, &key);
            writes.push(self.contacts.put_write(card, None)?);
        }
        if whole.records_fit() {
            for document in &whole.documents {
                let key = keys::document(&before.shelf(), &document.id);
                writes.push(self.contacts.delete_write(&key, None)?);
            }
        }
        let anonymised = if has_documents {
            AnonymiseOutcome::DocumentsLeft(purge)
        } else {
            AnonymiseOutcome::Done
        };
        let left = archive.expires_at.duration_since(now);
        let outcome = self.requests.transact_within(writes, left).await?;
        if matches!(outcome, Transacted::Yes) {
            return Ok(anonymised);
        }
        if let Some(refused) = outcome.refused(0) {
            // A lost answer makes the SDK ask again, and the second asking meets the first's write.
            let found = refused.item.clone().map(read_contact).transpose()?;
            let found = found.and_then(|contact| contact.anonymised);
            let is_ours = found.is_some_and(|anonymised| anonymised.attempt_id == taken.attempt_id);
            return Ok(if is_ours {
                anonymised
            } else {
                AnonymiseOutcome::Moved
            });
        }
        Ok(if outcome.refused(2).is_some() {
            AnonymiseOutcome::Lost
        } else if outcome.refused(1).is_some() {
            AnonymiseOutcome::ArchiveOver
        } else if outcome.refused(alias_index).is_some() {
            AnonymiseOutcome::AliasTaken
        } else {
            AnonymiseOutcome::Moved
        })
    }

    /// Notes on a contact, if it is still active and in the version that was read, that an export of it is
    /// under way. `false`: it has changed since, or is gone.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn hold_contact(&self, contact: &Contact, hold: &Hold) -> Result<bool, CloudError> {
        let unchanged = Condition::All(vec![
            Condition::Equal("state", text("active")),
            Condition::Equal("version", number(contact.version)),
            on_generation(contact.generation.as_ref()),
        ]);
        let update = Update::of(keys::contact(&contact.tenant_id, &contact.id))
            .set("hold", items::write_value("hold", hold)?)
            .when(unchanged);
        Ok(matches!(self.contacts.update(update).await?, Written::Yes(_)))
    }

    /// Takes that note away, if it is still this attempt's.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn release_contact(
        &self,
        tenant: &TenantId,
        contact: &ContactId,
        attempt: &AttemptId,
    ) -> Result<(), CloudError> {
        let update = Update::of(keys::contact(tenant, contact))
            .remove("hold")
            .when(Condition::Equal("hold.attempt_id", text(attempt)));
        self.contacts.update(update).await.map(|_| ())
    }
}

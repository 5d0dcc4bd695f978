//! A contact without its person: written in one transaction.

use jiff::Timestamp;
use oubli_domain::action::Action;
use oubli_domain::archive::ArchiveStamp;
use oubli_domain::contact::{Alias, Contact, Hold};
use oubli_domain::{AttemptId, ContactId, TenantId};

use crate::chunks::{TakenItem, held_by};
use crate::connect::Cloud;
use crate::contacts::{read_contact, write_contact};
use crate::error::CloudError;
use crate::expression::{Attributes, Condition, Update, number, text};
use crate::items;
use crate::keys;
use crate::purges::{Purge, soon};
use crate::table::Transacted;

/// What came of anonymising a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnonymiseOutcome {
    /// The contact names nobody any more; its documents are to be purged.
    Done(Purge),
    /// Another contact of the tenant has the number: draw another one.
    AliasTaken,
    /// The contact has changed since it was read: look again.
    Moved,
    /// The archive is not to be had any more.
    ArchiveOver,
    /// This attempt does not hold the item any more.
    Lost,
}

impl Cloud {
    /// Anonymises a contact, if it is still in the version that the archive holds, the archive is still to be
    /// had at `now`, and the item is still this attempt's: one transaction, in which the index keys change
    /// with the contact and the objects to be deleted are noted.
    ///
    /// # Errors
    /// [`CloudError`] when DynamoDB fails; as all methods here.
    pub async fn anonymise_contact(
        &self,
        (action, chunk, taken): (&Action, u32, &TakenItem),
        before: &Contact,
        after: &Contact,
        archive: &ArchiveStamp,
        alias: &Alias,
        now: Timestamp,
    ) -> Result<AnonymiseOutcome, CloudError> {
        let tenant = &before.tenant_id;
        let millisecond = now.as_millisecond();
        let purge = Purge::of_shelf(before.shelf());
        let unchanged = Condition::All(vec![
            Condition::Equal("state", text("active")),
            Condition::Equal("version", number(before.version)),
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
        let item = keys::item(tenant, &action.id, chunk, &taken.item.id);
        let mut writes = vec![
            self.contacts.put_write(write_contact(after)?, Some(unchanged))?,
            self.requests
                .check_write(&keys::archive(tenant, &archive.id), ready)?,
            self.requests.check_write(&item, held_by(&taken.attempt_id))?,
            self.purge_write(&purge, soon(now))?,
        ];
        if before.fields.first_name.is_some() {
            let key = keys::alias(tenant, alias);
            let reserved = items::with_key(Attributes::new(), &key);
            writes.push(self.contacts.put_write(reserved, Some(Condition::Absent("pk")))?);
        }
        let left = archive.expires_at.duration_since(now);
        let outcome = self.requests.transact_within(writes, left).await?;
        if matches!(outcome, Transacted::Yes) {
            return Ok(AnonymiseOutcome::Done(purge));
        }
        if let Some(refused) = outcome.refused(0) {
            // A lost answer makes the SDK ask again, and the second asking meets the first's write.
            let found = refused.item.clone().map(read_contact).transpose()?;
            let found = found.and_then(|contact| contact.anonymised);
            let is_ours = found.is_some_and(|anonymised| anonymised.attempt_id == taken.attempt_id);
            return Ok(if is_ours {
                AnonymiseOutcome::Done(purge)
            } else {
                AnonymiseOutcome::Moved
            });
        }
        Ok(if outcome.refused(2).is_some() {
            AnonymiseOutcome::Lost
        } else if outcome.refused(1).is_some() {
            AnonymiseOutcome::ArchiveOver
        } else if outcome.refused(4).is_some() {
            AnonymiseOutcome::AliasTaken
        } else {
            AnonymiseOutcome::Moved
        })
    }

    /// Notes on a contact that an export of it is under way. Of one that is not there, or not active, nothing
    /// is noted: the export finds that out by itself.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn hold_contact(
        &self,
        tenant: &TenantId,
        contact: &ContactId,
        hold: &Hold,
    ) -> Result<(), CloudError> {
        let update = Update::of(keys::contact(tenant, contact))
            .set("hold", items::write_value("hold", hold)?)
            .when(Condition::Equal("state", text("active")));
        self.contacts.update(update).await.map(|_| ())
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

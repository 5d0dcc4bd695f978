//! How an item ends: recorded, and told on the contact's card, in one transaction.

use aws_sdk_dynamodb::types::TransactWriteItem;
use jiff::Timestamp;
use oubli_domain::action::{Action, ActionKind, Item, ItemState, Verdict};
use oubli_domain::{ArchiveId, ContactId, TenantId};

use super::leases::{begun, free_at, leased};
use super::{TakenItem, held_by, item_state_code, read_item};
use crate::connect::Cloud;
use crate::contacts::PastAction;
use crate::error::CloudError;
use crate::expression::{Condition, Update, text};
use crate::items;
use crate::keys;
use crate::purges::Purge;
use crate::table::Transacted;

impl Cloud {
    /// Records that an item cannot be done, or need not be. `false`: this attempt does not hold it any more.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn end_item(
        &self,
        action: &Action,
        chunk: u32,
        taken: &TakenItem,
        verdict: Verdict,
        contact: Option<&ContactId>,
        now: Timestamp,
    ) -> Result<bool, CloudError> {
        let (state, reason) = match verdict {
            Verdict::Failed(reason) => (ItemState::Failed, reason),
            Verdict::Skipped(reason) => (ItemState::Skipped, reason),
        };
        let past = PastAction {
            action_id: action.id.clone(),
            kind: action.kind,
            state,
            reason: Some(reason),
            at: now,
            archive_id: None,
        };
        self.end(action, chunk, taken, contact, past, None).await
    }

    /// Records that an item is done of which all that it changes is changed already, and deletes the note of
    /// the objects that had to be deleted for it, if there is one that is done with. `false`: this attempt does
    /// not hold the item any more.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn complete_item(
        &self,
        (action, chunk, taken): (&Action, u32, &TakenItem),
        contact: &ContactId,
        archive: Option<ArchiveId>,
        done: Option<&Purge>,
        now: Timestamp,
    ) -> Result<bool, CloudError> {
        let past = PastAction {
            action_id: action.id.clone(),
            kind: action.kind,
            state: ItemState::Done,
            reason: None,
            at: now,
            archive_id: archive,
        };
        self.end(action, chunk, taken, Some(contact), past, done).await
    }

    async fn end(
        &self,
        action: &Action,
        chunk: u32,
        taken: &TakenItem,
        contact: Option<&ContactId>,
        past: PastAction,
        done: Option<&Purge>,
    ) -> Result<bool, CloudError> {
        let mut writes = vec![self.end_item_write(action, chunk, taken, contact, &past)?];
        if let Some(contact) = contact {
            writes.extend(self.past_writes(&action.tenant_id, contact, &past)?);
        }
        if let Some(done) = done {
            writes.push(self.requests.delete_write(&done.key(), None)?);
        }
        let mut outcome = self.requests.transact(writes).await?;
        if outcome.refused(1).is_some() {
            // No contact, so no card on which it could stand.
            let mut writes = vec![self.end_item_write(action, chunk, taken, contact, &past)?];
            if let Some(done) = done {
                writes.push(self.requests.delete_write(&done.key(), None)?);
            }
            outcome = self.requests.transact(writes).await?;
        }
        match outcome {
            Transacted::Yes => Ok(true),
            Transacted::No(_) => self.ended_by(action, chunk, taken, past.state).await,
        }
    }

    /// The writes that tell on a contact's card, if there is one, how an action ended for it.
    fn past_writes(
        &self,
        tenant: &TenantId,
        contact: &ContactId,
        past: &PastAction,
    ) -> Result<[TransactWriteItem; 2], CloudError> {
        let key = keys::past_action(tenant, contact, &past.action_id);
        let past = items::with_key(items::write("past action", past)?, &key);
        let there = Condition::Present("pk");
        Ok([
            self.contacts
                .check_write(&keys::contact(tenant, contact), there)?,
            self.contacts.put_write(past, None)?,
        ])
    }

    /// The write by which this attempt has an item, for a transaction after which there is more to do: its
    /// lease begins now, or goes on.
    pub(crate) fn begin_item_write(
        &self,
        action: &Action,
        chunk: u32,
        taken: &TakenItem,
        now: Timestamp,
    ) -> Result<TransactWriteItem, CloudError> {
        let key = keys::item(&action.tenant_id, &action.id, chunk, &taken.item.id);
        if taken.is_leased {
            return self.requests.check_write(&key, held_by(&taken.attempt_id));
        }
        let take = leased(Update::of(key), action, &taken.item, &taken.attempt_id, now);
        self.requests.update_write(take.when(free_at(now)))
    }

    /// The write that ends an item as the contact's card tells it, for a transaction.
    pub(crate) fn end_item_write(
        &self,
        action: &Action,
        chunk: u32,
        taken: &TakenItem,
        contact: Option<&ContactId>,
        ending: &PastAction,
    ) -> Result<TransactWriteItem, CloudError> {
        let update = self.end_item_update(action, chunk, taken, contact, ending);
        self.requests.update_write(update)
    }

    /// The same as an update to which more can be added.
    pub(crate) fn end_item_update(
        &self,
        action: &Action,
        chunk: u32,
        taken: &TakenItem,
        contact: Option<&ContactId>,
        ending: &PastAction,
    ) -> Update {
        let state = ending.state;
        let mut item = Update::of(keys::item(&action.tenant_id, &action.id, chunk, &taken.item.id))
            .set("state", text(item_state_code(state)))
            .set_or_remove("reason", ending.reason.map(|reason| text(reason.code())))
            .remove("lease_until")
            .remove("lease_until_ms");
        item = if taken.is_leased {
            item.when(held_by(&taken.attempt_id))
        } else {
            let condition = free_at(ending.at);
            let queued = Item {
                contact_id: None,
                ..taken.item.clone()
            };
            begun(item, action, &queued, &taken.attempt_id).when(condition)
        };
        if let Some(contact) = contact {
            item = item.set("contact_id", text(contact));
        }
        if let Some(archive) = &ending.archive_id {
            item = item.set("archive_id", text(archive));
        }
        // An archive that was not completed is none.
        if action.kind == ActionKind::Export && state != ItemState::Done {
            item = item.remove("archive_id");
        }
        item
    }

    /// Whether an item was ended just so by this very attempt, whose answer was lost.
    pub(crate) async fn ended_by(
        &self,
        action: &Action,
        chunk: u32,
        taken: &TakenItem,
        state: ItemState,
    ) -> Result<bool, CloudError> {
        let key = keys::item(&action.tenant_id, &action.id, chunk, &taken.item.id);
        let Some(found) = self.requests.get(&key).await? else {
            return Ok(false);
        };
        let item = read_item(found)?;
        Ok(item.state == state && item.attempt_id.as_ref() == Some(&taken.attempt_id))
    }
}

//! How an item ends: recorded, counted and told on the contact's card in one transaction.

use aws_sdk_dynamodb::types::TransactWriteItem;
use jiff::Timestamp;
use oubli_domain::Reason;
use oubli_domain::action::{Action, Item, ItemState};

use super::{TakenItem, counter_of, held_by, item_state_code};
use crate::connect::Cloud;
use crate::contacts::PastAction;
use crate::error::CloudError;
use crate::expression::{Condition, Update, text};
use crate::items;
use crate::keys;
use crate::table::Transacted;

/// How an item ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemOutcome {
    /// Impossible, or given up.
    Failed(Reason),
    /// Nothing to do.
    Skipped(Reason),
}

impl Cloud {
    /// Records that an item cannot be done. `false`: this attempt does not hold it any more.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn end_item(
        &self,
        action: &Action,
        chunk: u32,
        taken: &TakenItem,
        outcome: ItemOutcome,
        now: Timestamp,
    ) -> Result<bool, CloudError> {
        let (state, reason) = match outcome {
            ItemOutcome::Failed(reason) => (ItemState::Failed, reason),
            ItemOutcome::Skipped(reason) => (ItemState::Skipped, reason),
        };
        let (tenant, contact) = (&action.tenant_id, &taken.item.contact_id);
        let past = PastAction {
            action_id: action.id.clone(),
            kind: action.kind,
            state,
            reason: Some(reason),
            at: now,
            archive_id: None,
        };
        let past = items::with_key(
            items::write("past action", &past)?,
            &keys::past_action(tenant, contact, &action.id),
        );
        let mut writes = self.end_item_writes(action, chunk, taken, state, Some(reason))?;
        let there = writes.len();
        writes.push(
            self.contacts
                .check_write(&keys::contact(tenant, contact), Condition::Present("pk"))?,
        );
        writes.push(self.contacts.put_write(past, None)?);
        let mut outcome = self.requests.transact(writes).await?;
        if outcome.refused(there).is_some() {
            // No contact, so no card on which it could stand.
            let writes = self.end_item_writes(action, chunk, taken, state, Some(reason))?;
            outcome = self.requests.transact(writes).await?;
        }
        match outcome {
            Transacted::Yes => Ok(true),
            Transacted::No(_) => self.ended_by(action, chunk, taken, state).await,
        }
    }

    /// The writes that end an item and count it, for a transaction.
    pub(crate) fn end_item_writes(
        &self,
        action: &Action,
        chunk: u32,
        taken: &TakenItem,
        state: ItemState,
        reason: Option<Reason>,
    ) -> Result<Vec<TransactWriteItem>, CloudError> {
        let (tenant, id) = (&action.tenant_id, &action.id);
        let mut item = Update::of(keys::item(tenant, id, chunk, &taken.item.contact_id))
            .set("state", text(item_state_code(state)))
            .set_or_remove("reason", reason.map(|reason| text(reason.code())))
            .remove("lease_until")
            .remove("lease_until_ms")
            .when(held_by(&taken.attempt_id));
        if state != ItemState::Done {
            item = item.remove("archive_id");
        }
        let count = Update::of(keys::chunk(tenant, id, chunk)).add(counter_of(state), 1);
        Ok(vec![
            self.requests.update_write(item)?,
            self.requests.update_write(count)?,
        ])
    }

    /// Whether an item was ended just so by this very attempt, whose answer was lost.
    pub(crate) async fn ended_by(
        &self,
        action: &Action,
        chunk: u32,
        taken: &TakenItem,
        state: ItemState,
    ) -> Result<bool, CloudError> {
        let key = keys::item(&action.tenant_id, &action.id, chunk, &taken.item.contact_id);
        let Some(found) = self.requests.get(&key).await? else {
            return Ok(false);
        };
        let item: Item = items::read("item", found)?;
        Ok(item.state == state && item.attempt_id.as_ref() == Some(&taken.attempt_id))
    }
}

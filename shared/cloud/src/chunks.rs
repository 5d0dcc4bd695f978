//! Chunks and items: who works on which contact, how it ended, and the counts of that.

mod counting;
mod endings;
mod leases;

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use oubli_domain::action::{Action, ActionKind, Chunk, Item, ItemState};
use oubli_domain::{ActionId, ItemId, Reason, TenantId};

use crate::actions::in_phase;
use crate::connect::Cloud;
use crate::error::CloudError;
use crate::expression::{Attributes, Condition, Update, number, text};
use crate::items;
use crate::keys;
use crate::table::{Query, Transacted};

pub(crate) use leases::held_by;
pub use leases::{TakeOutcome, TakenItem};

/// How many items one transaction moves: 100 writes at most, less those of the chunk and the action.
const ITEMS_PER_TRANSACTION: usize = 90;

pub(crate) fn item_state_code(state: ItemState) -> &'static str {
    match state {
        ItemState::Queued => "queued",
        ItemState::Running => "running",
        ItemState::Done => "done",
        ItemState::Failed => "failed",
        ItemState::Skipped => "skipped",
        ItemState::Stopped => "stopped",
    }
}

impl Cloud {
    /// The items of a chunk, in the order of the selection.
    ///
    /// # Errors
    /// [`CloudError`] when DynamoDB fails; as all methods here.
    pub async fn chunk_item_ids(
        &self,
        tenant: &TenantId,
        action: &ActionId,
        chunk: u32,
    ) -> Result<Vec<ItemId>, CloudError> {
        #[derive(serde::Deserialize)]
        struct Record {
            #[serde(alias = "contact_ids")]
            item_ids: Vec<ItemId>,
        }
        let found = self.requests.get(&keys::chunk_ids(tenant, action, chunk)).await?;
        let record: Record = items::read("chunk", found.ok_or(CloudError::Corrupt { what: "chunk" })?)?;
        Ok(record.item_ids)
    }

    /// The counters of a chunk, strongly consistent.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn chunk(
        &self,
        tenant: &TenantId,
        action: &ActionId,
        chunk: u32,
    ) -> Result<Option<Chunk>, CloudError> {
        let found = self.requests.get(&keys::chunk(tenant, action, chunk)).await?;
        found
            .map(|attributes| items::read("chunk", attributes))
            .transpose()
    }

    /// The counters of all chunks of an action.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn chunks(&self, tenant: &TenantId, action: &ActionId) -> Result<Vec<Chunk>, CloudError> {
        let query = Query::beginning(keys::action_partition(tenant, action), keys::CHUNK_PREFIX);
        let found = self.requests.query_all(query).await?;
        found
            .into_iter()
            .map(|attributes| items::read("chunk", attributes))
            .collect()
    }

    /// The items of a chunk that were ever taken, stopped or put back. One without a record is queued.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn chunk_items(
        &self,
        tenant: &TenantId,
        action: &ActionId,
        chunk: u32,
    ) -> Result<BTreeMap<ItemId, Item>, CloudError> {
        let query = Query::beginning(keys::chunk_partition(tenant, action, chunk), keys::ITEM_PREFIX);
        let found = self.requests.query_all(query).await?;
        let items = found.into_iter().map(read_item);
        items
            .map(|item| item.map(|item| (item.id.clone(), item)))
            .collect()
    }

    /// One item of a chunk; `None`: its turn has not come.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn item(
        &self,
        tenant: &TenantId,
        action: &ActionId,
        chunk: u32,
        item: &ItemId,
    ) -> Result<Option<Item>, CloudError> {
        let key = keys::item(tenant, action, chunk, item);
        self.requests.get(&key).await?.map(read_item).transpose()
    }

    /// Puts failed items of an earlier run back into the queue of this run. `false`: look again, at
    /// the action too.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn requeue_items(
        &self,
        action: &Action,
        chunk: u32,
        items: &[Item],
    ) -> Result<bool, CloudError> {
        let (tenant, id) = (&action.tenant_id, &action.id);
        let mut all = true;
        for items in items.chunks(ITEMS_PER_TRANSACTION) {
            let mut writes = Vec::with_capacity(items.len() + 2);
            for item in items {
                let mut requeue = Update::of(keys::item(tenant, id, chunk, &item.id))
                    .set("state", text("queued"))
                    .set("run", number(action.run))
                    .set("attempts", number(0))
                    .set("takes", number(0))
                    .remove("reason")
                    .remove("attempt_id");
                if action.kind == ActionKind::Export {
                    requeue = requeue.remove("archive_id");
                }
                let requeue = requeue.when(Condition::All(vec![
                    Condition::Equal("state", text("failed")),
                    Condition::Less("run", number(action.run)),
                ]));
                writes.push(self.requests.update_write(requeue)?);
            }
            let taken = i64::try_from(items.len()).unwrap_or(i64::MAX);
            // Whoever looked at the chunk between its unfolding and this may have counted it again.
            let uncounted = Condition::Equal("folded", AttributeValue::Bool(false));
            let count = Update::of(keys::chunk(tenant, id, chunk)).when(uncounted);
            let count = count.add("counts.failed", -taken).increment("requeued");
            writes.push(self.requests.update_write(count)?);
            // Put back after a stop has looked at the chunk, they would be nobody's for ever.
            let goes_on = self
                .requests
                .check_write(&keys::action(tenant, id), in_phase(action));
            writes.push(goes_on?);
            all &= matches!(self.requests.transact(writes).await?, Transacted::Yes);
        }
        Ok(all)
    }

    /// Stops items that have not begun. `false`: some began meanwhile; look again.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn stop_items(
        &self,
        action: &Action,
        chunk: u32,
        items: &[ItemId],
    ) -> Result<bool, CloudError> {
        let (tenant, id) = (&action.tenant_id, &action.id);
        let mut all = true;
        for items in items.chunks(ITEMS_PER_TRANSACTION) {
            let mut writes = Vec::with_capacity(items.len());
            for item_id in items {
                let item = Item {
                    state: ItemState::Stopped,
                    reason: Some(Reason::ActionStopped),
                    run: action.run,
                    ..Item::queued(action.subject, item_id.clone())
                };
                let key = keys::item(tenant, id, chunk, item_id);
                let not_begun = Condition::Any(vec![
                    Condition::Absent("pk"),
                    Condition::Equal("state", text("queued")),
                ]);
                let attributes = crate::items::with_key(crate::items::write("item", &item)?, &key);
                writes.push(self.requests.put_write(attributes, Some(not_begun))?);
            }
            all &= matches!(self.requests.transact(writes).await?, Transacted::Yes);
        }
        Ok(all)
    }

    /// When the janitor is to look at a chunk next; the pauses double, up to six hours, since a
    /// long queue is no reason to lengthen it.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn look_at_chunk_later(
        &self,
        tenant: &TenantId,
        action: &ActionId,
        chunk: u32,
        now: Timestamp,
    ) -> Result<(), CloudError> {
        let key = keys::chunk(tenant, action, chunk);
        let found: Attributes = self.requests.get(&key).await?.unwrap_or_default();
        let looks = found.get("looks").and_then(|looks| looks.as_n().ok());
        let looks: u32 = looks.and_then(|looks| looks.parse().ok()).unwrap_or(0);
        let minutes = (18_i64 << looks.min(5)).min(360);
        let due = now
            .saturating_add(SignedDuration::from_mins(minutes))
            .unwrap_or(now);
        let update = Update::of(key)
            .set("looks", number(looks + 1))
            .look_again(due)
            .when(Condition::Equal("folded", AttributeValue::Bool(false)));
        self.requests.update(update).await.map(|_| ())
    }
}

/// Reads an item. One that was written before items had ids of their own has it in its key.
pub(crate) fn read_item(mut attributes: Attributes) -> Result<Item, CloudError> {
    let key = items::key_of(&attributes);
    if let Some(id) = key
        .as_ref()
        .and_then(|key| key.sk.strip_prefix(keys::ITEM_PREFIX))
    {
        attributes.insert("id".to_owned(), text(id));
    }
    items::read("item", attributes)
}

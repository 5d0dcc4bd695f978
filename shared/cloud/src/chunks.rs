//! Chunks and items: who works on which contact, how it ended, and the counts of that.

mod endings;

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use oubli_domain::action::{Action, ActionKind, Chunk, ITEM_LEASE, Item, ItemState};
use oubli_domain::{ActionId, ArchiveId, AttemptId, ItemId, Reason, TenantId};

use crate::actions::in_phase;
use crate::connect::Cloud;
use crate::error::CloudError;
use crate::expression::{Attributes, Condition, Update, number, text};
use crate::items;
use crate::keys;
use crate::table::{Query, Transacted, Written};

/// How many items one transaction moves: 100 writes at most, less the counters.
const ITEMS_PER_TRANSACTION: usize = 90;

/// An item that this attempt holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenItem {
    /// The item as it is now.
    pub item: Item,
    /// Who holds it.
    pub attempt_id: AttemptId,
}

/// What came of reaching for an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakeOutcome {
    /// It is this attempt's.
    Taken(TakenItem),
    /// Another attempt holds it.
    Busy,
    /// It has ended.
    Ended(Item),
}

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

/// The counter of a chunk that an end state belongs to.
pub(crate) fn counter_of(state: ItemState) -> &'static str {
    match state {
        ItemState::Done => "counts.done",
        ItemState::Skipped => "counts.skipped",
        ItemState::Stopped => "counts.stopped",
        ItemState::Failed | ItemState::Queued | ItemState::Running => "counts.failed",
    }
}

/// That an attempt still holds its item.
pub(crate) fn held_by(attempt: &AttemptId) -> Condition {
    Condition::All(vec![
        Condition::Equal("state", text("running")),
        Condition::Equal("attempt_id", text(attempt)),
    ])
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

    /// Takes an item with a lease: one that is queued, or whose holder's lease is over.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn take_item(
        &self,
        action: &Action,
        chunk: u32,
        item: &ItemId,
        attempt: &AttemptId,
        archive: Option<&ArchiveId>,
        now: Timestamp,
    ) -> Result<TakeOutcome, CloudError> {
        let lease_until = now.saturating_add(ITEM_LEASE).unwrap_or(now);
        let queued = Item::queued(action.subject, item.clone());
        let mut take = Update::of(keys::item(&action.tenant_id, &action.id, chunk, item))
            .set("id", text(item))
            .set("state", text("running"))
            .set("attempt_id", text(attempt))
            .set("lease_until", text(lease_until))
            .set("lease_until_ms", number(lease_until.as_millisecond()))
            .set_once("run", number(action.run))
            .increment("attempts");
        if let Some(contact) = &queued.contact_id {
            take = take.set("contact_id", text(contact));
        }
        // The archive to be built is the same at every attempt of a run.
        if let Some(archive) = archive.or(queued.archive_id.as_ref()) {
            take = take.set_once("archive_id", text(archive));
        }
        let take = take.when(Condition::Any(vec![
            Condition::Absent("pk"),
            Condition::Equal("state", text("queued")),
            Condition::All(vec![
                Condition::Equal("state", text("running")),
                Condition::LessOrEqual("lease_until_ms", number(now.as_millisecond())),
            ]),
        ]));
        let attributes = match self.requests.update(take).await? {
            Written::Yes(attributes) => attributes,
            Written::No(found) => found.ok_or(CloudError::Corrupt { what: "item" })?,
        };
        let item = read_item(attributes)?;
        if item.state.has_ended() {
            return Ok(TakeOutcome::Ended(item));
        }
        // A lost answer makes the SDK ask again, and the second asking meets the first's write:
        // the attempt id tells that it is ours.
        if item.attempt_id.as_ref() != Some(attempt) {
            return Ok(TakeOutcome::Busy);
        }
        Ok(TakeOutcome::Taken(TakenItem {
            item,
            attempt_id: attempt.clone(),
        }))
    }

    /// Counts a chunk that has ended in its action, once. Answers whether it is counted now.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn fold_chunk(
        &self,
        tenant: &TenantId,
        action: &ActionId,
        chunk: &Chunk,
    ) -> Result<bool, CloudError> {
        if chunk.folded {
            return Ok(true);
        }
        if chunk.counts.ended() < chunk.total {
            return Ok(false);
        }
        let fold = Update::of(keys::chunk(tenant, action, chunk.number))
            .set("folded", AttributeValue::Bool(true))
            .close()
            .when(unchanged(chunk));
        let mut count = Update::of(keys::action(tenant, action)).add("chunks_folded", 1);
        for (path, value) in counters(chunk) {
            count = count.add(path, value);
        }
        let writes = vec![
            self.requests.update_write(fold)?,
            self.requests.update_write(count)?,
        ];
        // Refused: somebody else has counted it, or has put items back; both go on by themselves.
        self.requests.transact(writes).await.map(|_| true)
    }

    /// Takes a chunk out of its action's counts again, because items of it are put back.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn unfold_chunk(
        &self,
        action: &Action,
        chunk: &Chunk,
        due: Timestamp,
    ) -> Result<(), CloudError> {
        if !chunk.folded {
            return Ok(());
        }
        let (tenant, id) = (&action.tenant_id, &action.id);
        let unfold = Update::of(keys::chunk(tenant, id, chunk.number))
            .set("folded", AttributeValue::Bool(false))
            .remove("looks")
            .look_again(due)
            .when(unchanged(chunk));
        // A stop that has come meanwhile has its own look at every chunk: nothing is put back then.
        let mut count = Update::of(keys::action(tenant, id))
            .add("chunks_folded", -1)
            .when(in_phase(action));
        for (path, value) in counters(chunk) {
            count = count.add(path, -value);
        }
        let writes = vec![
            self.requests.update_write(unfold)?,
            self.requests.update_write(count)?,
        ];
        // Refused: another planner did it a moment ago, or the action is stopped.
        self.requests.transact(writes).await.map(|_| ())
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
            let count = count.add("counts.failed", -taken);
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
            let mut writes = Vec::with_capacity(items.len() + 1);
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
            let stopped = i64::try_from(items.len()).unwrap_or(i64::MAX);
            let count = Update::of(keys::chunk(tenant, id, chunk)).add("counts.stopped", stopped);
            writes.push(self.requests.update_write(count)?);
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

fn counters(chunk: &Chunk) -> [(&'static str, i64); 4] {
    let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    [
        ("counts.done", count(chunk.counts.done)),
        ("counts.failed", count(chunk.counts.failed)),
        ("counts.skipped", count(chunk.counts.skipped)),
        ("counts.stopped", count(chunk.counts.stopped)),
    ]
}

/// That a chunk still counts what was read of it.
fn unchanged(chunk: &Chunk) -> Condition {
    let mut same = vec![Condition::Equal("folded", AttributeValue::Bool(chunk.folded))];
    same.extend(counters(chunk).map(|(path, value)| Condition::Equal(path, number(value))));
    Condition::All(same)
}

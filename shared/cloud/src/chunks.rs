//! Chunks and items: who works on which contact, how it ended, and the counts of that.

mod endings;

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use oubli_domain::action::{Action, ActionKind, Chunk, Counts, ITEM_LEASE, Item, ItemState};
use oubli_domain::{ActionId, ArchiveId, AttemptId, ItemId, Reason, TenantId};

use crate::actions::in_phase;
use crate::connect::Cloud;
use crate::error::CloudError;
use crate::expression::{Attributes, Condition, Update, number, text};
use crate::items;
use crate::keys;
use crate::table::{Query, Transacted, Written};

/// How many items one transaction moves: 100 writes at most, less those of the chunk and the action.
const ITEMS_PER_TRANSACTION: usize = 90;

/// An item that this attempt works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenItem {
    /// The item as it is now.
    pub item: Item,
    /// Who works on it.
    pub attempt_id: AttemptId,
    /// Whether its lease is written. If not, the next write takes the item, provided that nobody else has.
    pub is_leased: bool,
}

impl TakenItem {
    /// An item that no attempt has held yet, as far as is known: the first write of this attempt takes it.
    pub fn unleased(action: &Action, item: ItemId, attempt: AttemptId) -> Self {
        Self {
            item: Item {
                run: action.run,
                ..Item::queued(action.subject, item)
            },
            attempt_id: attempt,
            is_leased: false,
        }
    }

    /// The same after a write that took it.
    #[must_use]
    pub fn leased(self) -> Self {
        Self {
            is_leased: true,
            ..self
        }
    }
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

/// That an attempt still holds its item.
pub(crate) fn held_by(attempt: &AttemptId) -> Condition {
    Condition::All(vec![
        Condition::Equal("state", text("running")),
        Condition::Equal("attempt_id", text(attempt)),
    ])
}

/// That an item may be taken: it has not begun, or its holder's lease is over.
fn free_at(now: Timestamp) -> Condition {
    Condition::Any(vec![
        Condition::Absent("pk"),
        Condition::Equal("state", text("queued")),
        Condition::All(vec![
            Condition::Equal("state", text("running")),
            Condition::LessOrEqual("lease_until_ms", number(now.as_millisecond())),
        ]),
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
        let queued = Item::queued(action.subject, item.clone());
        let key = keys::item(&action.tenant_id, &action.id, chunk, item);
        let mut take = leased(Update::of(key), action, &queued, attempt, now);
        // The archive to be built is the same at every attempt of a run.
        if let Some(archive) = archive.or(queued.archive_id.as_ref()) {
            take = take.set_once("archive_id", text(archive));
        }
        let take = take.when(free_at(now));
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
            is_leased: true,
        }))
    }

    /// Gives an item back that this attempt could not end, so that another may take it at once. `counts`: the
    /// attempt is one of those after which the item is given up.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn give_item_back(
        &self,
        action: &Action,
        chunk: u32,
        taken: &TakenItem,
        counts: bool,
    ) -> Result<(), CloudError> {
        let key = keys::item(&action.tenant_id, &action.id, chunk, &taken.item.id);
        let give = Update::of(key)
            .set("state", text("queued"))
            .remove("attempt_id")
            .remove("lease_until")
            .remove("lease_until_ms");
        let give = if counts { give } else { give.add("attempts", -1) };
        // Refused: its lease was over, and another has it; or it was never written.
        self.requests
            .update(give.when(held_by(&taken.attempt_id)))
            .await
            .map(|_| ())
    }

    /// How many items of a chunk have ended, and how: counted from the items, strongly consistent.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn count_ended(
        &self,
        tenant: &TenantId,
        action: &ActionId,
        chunk: u32,
    ) -> Result<Counts, CloudError> {
        #[derive(serde::Deserialize)]
        struct Record {
            state: ItemState,
        }
        let mut query = Query::beginning(keys::chunk_partition(tenant, action, chunk), keys::ITEM_PREFIX);
        query.projection = Some("state");
        let mut counts = Counts::default();
        for attributes in self.requests.query_all(query).await? {
            let record: Record = items::read("item", attributes)?;
            counts.count(record.state, 1);
        }
        Ok(counts)
    }

    /// Adds to a chunk's progress, which is shown until the chunk has ended: one write for all items, at least
    /// one, that a worker has ended since the last. Answers the chunk as it is then; `None`: it has ended.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn add_progress(
        &self,
        tenant: &TenantId,
        action: &ActionId,
        chunk: u32,
        ended: Counts,
    ) -> Result<Option<Chunk>, CloudError> {
        let mut update = Update::of(keys::chunk(tenant, action, chunk))
            .when(Condition::Equal("folded", AttributeValue::Bool(false)));
        for (path, value) in counters(ended) {
            update = update.add(path, value);
        }
        match self.requests.update(update).await? {
            Written::Yes(attributes) => items::read("chunk", attributes).map(Some),
            Written::No(_) => Ok(None),
        }
    }

    /// Counts a chunk of which every item has ended in its action, once. Answers whether it is counted now.
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
        // After the chunk: what is put back since makes the transaction fail.
        let counts = self.count_ended(tenant, action, chunk.number).await?;
        if counts.ended() < chunk.total {
            return Ok(false);
        }
        let fold = Update::of(keys::chunk(tenant, action, chunk.number))
            .set("folded", AttributeValue::Bool(true))
            .set("counts", items::write_value("counts", &counts)?)
            .close()
            .when(in_state(chunk));
        let mut count = Update::of(keys::action(tenant, action)).add("chunks_folded", 1);
        for (path, value) in counters(counts) {
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
            .increment("requeued")
            .look_again(due)
            .when(in_state(chunk));
        // A stop that has come meanwhile has its own look at every chunk: nothing is put back then.
        let mut count = Update::of(keys::action(tenant, id))
            .add("chunks_folded", -1)
            .when(in_phase(action));
        for (path, value) in counters(chunk.counts) {
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

/// The attributes of a lease.
fn leased(update: Update, action: &Action, item: &Item, attempt: &AttemptId, now: Timestamp) -> Update {
    let until = now.saturating_add(ITEM_LEASE).unwrap_or(now);
    let update = update
        .set("state", text("running"))
        .set("lease_until", text(until))
        .set("lease_until_ms", number(until.as_millisecond()));
    begun(update, action, item, attempt)
}

/// The attributes of an item that an attempt has begun.
fn begun(update: Update, action: &Action, item: &Item, attempt: &AttemptId) -> Update {
    let update = update
        .set("id", text(&item.id))
        .set("attempt_id", text(attempt))
        .set_once("run", number(action.run))
        .increment("attempts");
    match &item.contact_id {
        Some(contact) => update.set("contact_id", text(contact)),
        None => update,
    }
}

fn counters(counts: Counts) -> [(&'static str, i64); 4] {
    let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    [
        ("counts.done", count(counts.done)),
        ("counts.failed", count(counts.failed)),
        ("counts.skipped", count(counts.skipped)),
        ("counts.stopped", count(counts.stopped)),
    ]
}

/// That a chunk is still folded or not as it was read, and no item of it was put back since.
fn in_state(chunk: &Chunk) -> Condition {
    let requeued = match chunk.requeued {
        0 => Condition::Absent("requeued"),
        requeued => Condition::Equal("requeued", number(requeued)),
    };
    Condition::All(vec![
        Condition::Equal("folded", AttributeValue::Bool(chunk.folded)),
        requeued,
    ])
}

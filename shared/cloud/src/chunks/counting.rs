//! How many items of a chunk have ended: told by the workers as they go on, counted from the items at the end.
//! No record is written for each item, so none is hot.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use oubli_domain::action::{Action, Chunk, Counts, ItemState};
use oubli_domain::{ActionId, TenantId};

use crate::actions::in_phase;
use crate::connect::Cloud;
use crate::error::CloudError;
use crate::expression::{Condition, Update, number};
use crate::items;
use crate::keys;
use crate::table::{Query, Written};

impl Cloud {
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

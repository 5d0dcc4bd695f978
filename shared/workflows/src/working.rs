//! What is the same for every kind of action: an item is begun once, by one, and ended or given back.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use oubli_cloud::{TakeOutcome, TakenItem};
use oubli_domain::action::{Action, ActionKind, Counts, ItemState};
use oubli_domain::message::ItemMessage;
use oubli_domain::{ActionId, ArchiveId, AttemptId, Language, TenantId};
use tokio::sync::Mutex;

use crate::Oubli;
use crate::error::WorkflowError;

/// How long an action that was read once is taken to be as it was: a stop is seen within this time.
const ACTION_LIFE: SignedDuration = SignedDuration::from_secs(5);
/// How long after a member's decision failures of AWS are no reason to give an item up.
const PASSING_FOR: SignedDuration = SignedDuration::from_hours(24);
/// How many bytes of documents one batch reads at most, unless its first contact alone has more: a function
/// has fifteen minutes for all of them.
const BATCH_BYTES: u64 = 1024 * 1024 * 1024;

/// What the messages that a function was given together share: read once, and written once, for all of them.
#[derive(Debug, Default)]
pub struct ItemBatch {
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    actions: BTreeMap<(TenantId, ActionId), ReadAction>,
    languages: BTreeMap<TenantId, Language>,
    chunks: BTreeMap<(TenantId, ActionId, u32), Progress>,
    bytes: u64,
}

/// An action as it was at an instant; `None`: it was not there.
#[derive(Clone, Debug)]
struct ReadAction {
    at: Timestamp,
    action: Option<Arc<Action>>,
}

/// What a batch did to the items of one chunk.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// Those that it ended.
    ended: Counts,
    /// Whether all of the chunk are to be counted: an earlier attempt may have told nothing of what it ended.
    recount: bool,
}

/// An item at work.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) action: Arc<Action>,
    pub(crate) chunk: u32,
    pub(crate) taken: TakenItem,
}

impl ItemBatch {
    async fn note(&self, message: &ItemMessage, note: impl FnOnce(&mut Progress)) {
        let key = (
            message.tenant_id.clone(),
            message.action_id.clone(),
            message.chunk,
        );
        note(self.shared.lock().await.chunks.entry(key).or_default());
    }

    /// Whether so many bytes of documents may be read as well.
    pub(crate) async fn admits(&self, bytes: u64) -> bool {
        let mut shared = self.shared.lock().await;
        let sum = shared.bytes.saturating_add(bytes);
        let admitted = shared.bytes == 0 || sum <= BATCH_BYTES;
        if admitted {
            shared.bytes = sum;
        }
        admitted
    }
}

impl Oubli {
    /// Begins the item that a message is about, if it is still to be done and nobody else is at it. One that
    /// is anonymised is taken by the write that changes it, unless the message came before: then something went
    /// wrong, and each attempt is counted.
    ///
    /// # Errors
    /// [`WorkflowError::Busy`], [`WorkflowError::Internal`]: the message is to come again.
    pub(crate) async fn begin_item(
        &self,
        batch: &ItemBatch,
        kind: ActionKind,
        message: &ItemMessage,
        receive_count: u32,
    ) -> Result<Option<Task>, WorkflowError> {
        let chunk = message.chunk;
        let action = self
            .action_in(batch, &message.tenant_id, &message.action_id)
            .await?;
        let is_its = |action: &Arc<Action>| action.kind == kind && chunk < action.chunks_planned;
        let Some(action) = action.filter(is_its) else {
            tracing::warn!("a message for an item that is not there");
            return Ok(None);
        };
        if action.state.has_ended() {
            // So has each of its items.
            return Ok(None);
        }
        if action.stop_requested && !self.has_begun(message).await? {
            // The planner records what a stop left; this message has nothing to do.
            return Ok(None);
        }
        if message.recount || receive_count > 1 {
            batch.note(message, |progress| progress.recount = true).await;
        }
        let attempt = AttemptId::from(self.ids.uuid());
        if kind == ActionKind::Anonymise && receive_count <= 1 {
            let taken = TakenItem::unleased(&action, message.item_id.clone(), attempt);
            return Ok(Some(Task { action, chunk, taken }));
        }
        let archive = (kind == ActionKind::Export).then(|| ArchiveId::from(self.ids.uuid()));
        let (item, now) = (&message.item_id, self.now());
        let outcome = self
            .cloud
            .take_item(&action, chunk, item, &attempt, archive.as_ref(), now)
            .await?;
        match outcome {
            // Its holder ends it, or its lease does and the janitor hands it out again.
            TakeOutcome::Busy => Ok(None),
            TakeOutcome::Ended(_) => {
                batch.note(message, |progress| progress.recount = true).await;
                Ok(None)
            }
            TakeOutcome::Taken(taken) => Ok(Some(Task { action, chunk, taken })),
        }
    }

    /// Counts an item that this batch has ended.
    pub(crate) async fn item_ended(&self, batch: &ItemBatch, message: &ItemMessage, state: ItemState) {
        batch
            .note(message, |progress| progress.ended.count(state, 1))
            .await;
    }

    /// Notes that another attempt has ended an item, or has it.
    pub(crate) async fn item_lost(&self, batch: &ItemBatch, message: &ItemMessage) {
        batch.note(message, |progress| progress.recount = true).await;
    }

    /// Gives an item back at once after a failure, so that its next attempt need not wait for the lease. What
    /// AWS failed at says nothing of the item, and does not count as one of its attempts.
    pub(crate) async fn give_back(&self, task: &Task, error: &WorkflowError) {
        if !task.taken.is_leased {
            return;
        }
        let age = self.now().duration_since(task.action.decided_at());
        let counts = !error.is_passing() || age > PASSING_FOR;
        let given = self
            .cloud
            .give_item_back(&task.action, task.chunk, &task.taken, counts)
            .await;
        if let Err(error) = given {
            tracing::warn!(%error, "an item is free again when its lease is over");
        }
    }

    /// Tells the chunks how many items the batch has ended, and ends those in which none is left.
    ///
    /// # Errors
    /// [`WorkflowError::Busy`], [`WorkflowError::Internal`]: the messages are to come again; their items have
    /// ended, and are only counted then.
    pub async fn finish_batch(&self, batch: &ItemBatch) -> Result<(), WorkflowError> {
        let chunks = std::mem::take(&mut batch.shared.lock().await.chunks);
        for ((tenant, action, chunk), progress) in chunks {
            let mut may_have_ended = progress.recount;
            if progress.ended.ended() > 0 {
                let told = self
                    .cloud
                    .add_progress(&tenant, &action, chunk, progress.ended)
                    .await?;
                may_have_ended |= told.is_none_or(|chunk| chunk.counts.ended() >= chunk.total);
            }
            if may_have_ended {
                self.settle_chunk(&tenant, &action, chunk).await?;
            }
        }
        Ok(())
    }

    /// The language of a tenant, for what is written for its members.
    pub(crate) async fn language_in(
        &self,
        batch: &ItemBatch,
        tenant: &TenantId,
    ) -> Result<Language, WorkflowError> {
        let mut shared = batch.shared.lock().await;
        if let Some(language) = shared.languages.get(tenant) {
            return Ok(*language);
        }
        let found = self.cloud.tenant(tenant).await?;
        let language = found.map_or(Language::En, |tenant| tenant.language);
        shared.languages.insert(tenant.clone(), language);
        Ok(language)
    }

    async fn action_in(
        &self,
        batch: &ItemBatch,
        tenant: &TenantId,
        action: &ActionId,
    ) -> Result<Option<Arc<Action>>, WorkflowError> {
        let key = (tenant.clone(), action.clone());
        // Held while it is read: those who ask at the same moment wait for the answer.
        let mut shared = batch.shared.lock().await;
        let now = self.now();
        if let Some(read) = shared.actions.get(&key)
            && now.duration_since(read.at) < ACTION_LIFE
        {
            return Ok(read.action.clone());
        }
        let action = self.cloud.action(tenant, action).await?.map(Arc::new);
        let read = ReadAction {
            at: now,
            action: action.clone(),
        };
        shared.actions.insert(key, read);
        Ok(action)
    }

    async fn has_begun(&self, message: &ItemMessage) -> Result<bool, WorkflowError> {
        let (tenant, action) = (&message.tenant_id, &message.action_id);
        let item = self
            .cloud
            .item(tenant, action, message.chunk, &message.item_id)
            .await?;
        Ok(item.is_some_and(|item| item.state == ItemState::Running))
    }
}

//! The planner: cuts selections into chunks and hands out their items; sweeps for retries and
//! stops. One page a message, then a message to itself.

use jiff::{SignedDuration, Timestamp};
use oubli_cloud::PlannedChunk;
use oubli_domain::ItemId;
use oubli_domain::action::{Action, Counts, ItemState, MAX_CHUNK_ITEMS, PlannerStep, Selection};
use oubli_domain::message::{ItemMessage, PlanMessage};

use crate::Oubli;
use crate::error::WorkflowError;
use crate::preview::query_of;

/// How often a sweep looks again at a chunk whose items moved under it.
const LOOKS: usize = 5;

impl Oubli {
    /// Does the next steps of an action, up to one page of contacts, and sends a message to go on
    /// with. A repeated or late message does what is next, whatever that is by then.
    ///
    /// # Errors
    /// [`WorkflowError::Busy`], [`WorkflowError::Internal`]: the message is to come again.
    pub async fn plan_step(&self, message: &PlanMessage) -> Result<(), WorkflowError> {
        loop {
            let Some(action) = self.cloud.action(&message.tenant_id, &message.action_id).await? else {
                tracing::warn!("a plan message for an action that is not there");
                return Ok(());
            };
            match action.next_step() {
                PlannerStep::PlanChunk(_) => {
                    if self.plan_chunk(&action).await? {
                        return Ok(self.cloud.send_plan(message).await?);
                    }
                }
                PlannerStep::DispatchChunk(chunk) => {
                    self.dispatch_chunk(&action, chunk).await?;
                    if action.selection_exhausted {
                        continue;
                    }
                    self.cloud.send_plan(message).await?;
                    return Ok(());
                }
                PlannerStep::RetryChunk(chunk) => {
                    self.retry_chunk(&action, chunk).await?;
                    self.cloud.note_swept(&action, self.now()).await?;
                    if chunk + 1 < action.chunks_planned {
                        return Ok(self.cloud.send_plan(message).await?);
                    }
                }
                PlannerStep::StopChunk(chunk) => {
                    self.stop_chunk(&action, chunk).await?;
                    self.cloud.note_swept(&action, self.now()).await?;
                    if chunk + 1 < action.chunks_planned {
                        return Ok(self.cloud.send_plan(message).await?);
                    }
                }
                PlannerStep::Settle => {
                    self.cloud.note_waiting(&action, self.now()).await?;
                }
                PlannerStep::Nothing => return self.settle_action(&action.tenant_id, &action.id).await,
            }
        }
    }

    /// Answers whether nobody was found yet, and there is more to look through.
    async fn plan_chunk(&self, action: &Action) -> Result<bool, WorkflowError> {
        let selection = self.cloud.selection(&action.tenant_id, &action.id).await?;
        let Some(selection) = selection else {
            // Gone: another planner was at its end a moment ago.
            let again = self.cloud.action(&action.tenant_id, &action.id).await?;
            return match again {
                Some(again) if again == *action => Err(WorkflowError::internal("a selection is missing")),
                _ => Ok(false),
            };
        };
        let planned = match selection {
            Selection::ContactIds(ids) => planned_ids(ids, action.plan_cursor.as_deref()),
            Selection::ArchiveIds(ids) => planned_ids(ids, action.plan_cursor.as_deref()),
            Selection::UploadIds(ids) => planned_ids(ids, action.plan_cursor.as_deref()),
            Selection::Filter(filter) => {
                // Contacts that are entered after the action was started are not in it.
                let end = action.created_at.saturating_add(SignedDuration::from_millis(1));
                let end = end.unwrap_or(Timestamp::MAX);
                let before = filter.created_before.map_or(end, |before| before.min(end));
                let limit = u32::try_from(MAX_CHUNK_ITEMS).unwrap_or(u32::MAX);
                let cursor = action.plan_cursor.as_deref();
                let page = self
                    .cloud
                    .scan_contacts(
                        &action.tenant_id,
                        &query_of(&filter)?,
                        Some(before),
                        cursor,
                        limit,
                    )
                    .await?;
                let item_ids = page.contacts.into_iter().map(|contact| contact.id.into());
                PlannedChunk {
                    item_ids: item_ids.collect(),
                    next: page.next,
                }
            }
        };
        self.cloud.write_chunk(action, &planned, self.now()).await?;
        Ok(planned.item_ids.is_empty() && planned.next.is_some())
    }

    async fn dispatch_chunk(&self, action: &Action, chunk: u32) -> Result<(), WorkflowError> {
        let items = self
            .cloud
            .chunk_item_ids(&action.tenant_id, &action.id, chunk)
            .await?;
        self.send_items(action, chunk, items, false).await?;
        self.cloud.note_dispatched(action, self.now()).await?;
        Ok(())
    }

    pub(crate) async fn send_items(
        &self,
        action: &Action,
        chunk: u32,
        items: Vec<ItemId>,
        recount: bool,
    ) -> Result<(), WorkflowError> {
        let message = |item_id| ItemMessage {
            tenant_id: action.tenant_id.clone(),
            action_id: action.id.clone(),
            chunk,
            item_id,
            recount,
        };
        let messages: Vec<_> = items.into_iter().map(message).collect();
        Ok(self.cloud.send_items(action.kind, &messages).await?)
    }

    /// Puts the failed items of a chunk back and hands them out again.
    async fn retry_chunk(&self, action: &Action, chunk: u32) -> Result<(), WorkflowError> {
        let (tenant, id) = (&action.tenant_id, &action.id);
        for _ in 0..LOOKS {
            let items = self.cloud.chunk_items(tenant, id, chunk).await?;
            let failed = items
                .values()
                .filter(|item| item.state == ItemState::Failed && item.run < action.run);
            let failed: Vec<_> = failed.cloned().collect();
            if failed.is_empty() {
                let back = items.values().filter(|item| {
                    item.run == action.run && matches!(item.state, ItemState::Queued | ItemState::Running)
                });
                let back: Vec<_> = back.map(|item| item.id.clone()).collect();
                self.send_items(action, chunk, back, false).await?;
                return self.settle_chunk(tenant, id, chunk).await;
            }
            if let Some(counted) = self.cloud.chunk(tenant, id, chunk).await? {
                let due = self.now().saturating_add(SignedDuration::from_mins(18));
                self.cloud
                    .unfold_chunk(action, &counted, due.unwrap_or(Timestamp::MAX))
                    .await?;
            }
            if !self.cloud.requeue_items(action, chunk, &failed).await? {
                let now = self.cloud.action(tenant, id).await?;
                if now.is_none_or(|now| (now.phase, now.run) != (action.phase, action.run)) {
                    // Stopped meanwhile: whoever does that has looked at this chunk, or will.
                    return Ok(());
                }
            }
        }
        Err(WorkflowError::Busy)
    }

    /// Stops what has not begun in a chunk.
    async fn stop_chunk(&self, action: &Action, chunk: u32) -> Result<(), WorkflowError> {
        let (tenant, id) = (&action.tenant_id, &action.id);
        let planned = self.cloud.chunk_item_ids(tenant, id, chunk).await?;
        for _ in 0..LOOKS {
            let items = self.cloud.chunk_items(tenant, id, chunk).await?;
            let not_begun = |id: &&ItemId| items.get(*id).is_none_or(|item| item.state == ItemState::Queued);
            let not_begun: Vec<_> = planned.iter().filter(not_begun).cloned().collect();
            if not_begun.is_empty() || self.cloud.stop_items(action, chunk, &not_begun).await? {
                if !not_begun.is_empty() {
                    let mut stopped = Counts::default();
                    stopped.count(ItemState::Stopped, not_begun.len() as u64);
                    self.cloud.add_progress(tenant, id, chunk, stopped).await?;
                }
                return self.settle_chunk(tenant, id, chunk).await;
            }
        }
        Err(WorkflowError::Busy)
    }
}

fn planned_ids<T: Into<ItemId>>(ids: Vec<T>, cursor: Option<&str>) -> PlannedChunk {
    let from = cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(0_usize);
    let count = ids.len();
    let item_ids: Vec<_> = ids
        .into_iter()
        .skip(from)
        .take(MAX_CHUNK_ITEMS)
        .map(T::into)
        .collect();
    let to = from + item_ids.len();
    PlannedChunk {
        item_ids,
        next: (to < count).then(|| to.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oubli_domain::ContactId;

    #[test]
    fn ids_are_planned_in_pages_without_a_gap() {
        let ids: Vec<_> = (0..1_000)
            .map(|n| ContactId::parse(format!("c{n}")).unwrap())
            .collect();
        let first = planned_ids(ids.clone(), None);
        assert_eq!((first.item_ids.len(), first.next.as_deref()), (500, Some("500")));
        let second = planned_ids(ids.clone(), first.next.as_deref());
        assert_eq!((second.item_ids.len(), second.next), (500, None));
        let ids: Vec<ItemId> = ids.into_iter().map(ItemId::from).collect();
        assert_eq!([first.item_ids, second.item_ids].concat(), ids);
    }
}

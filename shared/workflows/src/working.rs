//! What is the same for every kind of action: an item is begun once, by one, and ended.

use oubli_cloud::{TakeOutcome, TakenItem};
use oubli_domain::action::{Action, ActionKind, ItemState};
use oubli_domain::message::ItemMessage;
use oubli_domain::{ArchiveId, AttemptId};

use crate::Oubli;
use crate::error::WorkflowError;

impl Oubli {
    /// Takes the item that a message is about, if it is still to be done and nobody else is at it.
    ///
    /// # Errors
    /// [`WorkflowError::Busy`], [`WorkflowError::Internal`]: the message is to come again.
    pub(crate) async fn begin_item(
        &self,
        kind: ActionKind,
        message: &ItemMessage,
    ) -> Result<Option<(Action, TakenItem)>, WorkflowError> {
        let (tenant, id, chunk) = (&message.tenant_id, &message.action_id, message.chunk);
        let action = self.cloud.action(tenant, id).await?;
        let is_its = |action: &Action| action.kind == kind && chunk < action.chunks_planned;
        let Some(action) = action.filter(is_its) else {
            tracing::warn!("a message for an item that is not there");
            return Ok(None);
        };
        if action.stop_requested && !self.has_begun(message).await? {
            // The planner counts what a stop left; this message has nothing to do.
            self.settle_chunk(tenant, id, chunk).await?;
            return Ok(None);
        }
        let attempt = AttemptId::from(self.ids.uuid());
        let archive = (kind == ActionKind::Export).then(|| ArchiveId::from(self.ids.uuid()));
        let outcome = self
            .cloud
            .take_item(
                &action,
                chunk,
                &message.item_id,
                &attempt,
                archive.as_ref(),
                self.now(),
            )
            .await?;
        match outcome {
            // Its holder ends it, or its lease does and the janitor hands it out again.
            TakeOutcome::Busy => Ok(None),
            TakeOutcome::Ended(_) => {
                self.settle_chunk(tenant, id, chunk).await?;
                Ok(None)
            }
            TakeOutcome::Taken(taken) => Ok(Some((action, taken))),
        }
    }

    async fn has_begun(&self, message: &ItemMessage) -> Result<bool, WorkflowError> {
        let item = self
            .cloud
            .item(
                &message.tenant_id,
                &message.action_id,
                message.chunk,
                &message.item_id,
            )
            .await?;
        Ok(item.is_some_and(|item| item.state == ItemState::Running))
    }
}

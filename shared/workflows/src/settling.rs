//! From the last item of a chunk to the end of its action. Whoever ends an item tries; so does
//! the janitor. Only one succeeds at each step.

use oubli_domain::{ActionId, TenantId};

use crate::Oubli;
use crate::error::WorkflowError;

impl Oubli {
    /// Counts a chunk in its action if it has ended, and the action if that was the last.
    pub(crate) async fn settle_chunk(
        &self,
        tenant: &TenantId,
        action: &ActionId,
        chunk: u32,
    ) -> Result<(), WorkflowError> {
        let Some(chunk) = self.cloud.chunk(tenant, action, chunk).await? else {
            return Ok(());
        };
        if self.cloud.fold_chunk(tenant, action, &chunk).await? {
            self.settle_action(tenant, action).await?;
        }
        Ok(())
    }

    /// Ends an action of which everything is counted, and has its mail sent.
    pub(crate) async fn settle_action(
        &self,
        tenant: &TenantId,
        action: &ActionId,
    ) -> Result<(), WorkflowError> {
        let Some(action) = self.cloud.action(tenant, action).await? else {
            return Ok(());
        };
        if !action.is_settled() {
            return Ok(());
        }
        let mail = self.new_mail(&action);
        if self.cloud.end_action(&action, &mail, self.now()).await? {
            let counts = action.counts;
            tracing::info!(
                action_id = %action.id,
                done = counts.done,
                failed = counts.failed,
                skipped = counts.skipped,
                stopped = counts.stopped,
                "a data action has ended"
            );
            self.send_notify(&action, &mail.id).await;
        }
        Ok(())
    }
}

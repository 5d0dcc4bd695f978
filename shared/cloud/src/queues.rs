//! The queues between functions. Messages hold ids, and nothing else.
//!
//! Every message bears its tenant as message group: SQS then sees to it that one tenant's hundred thousand
//! do not make another's single one wait ("Amazon SQS fair queues", Amazon SQS Developer Guide).

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use futures::stream::{self, StreamExt, TryStreamExt};
use oubli_domain::TenantId;
use oubli_domain::action::ActionKind;
use oubli_domain::message::{ItemMessage, NotifyMessage, PlanMessage};
use serde::Serialize;

use crate::connect::Cloud;
use crate::error::{CloudError, failed};

/// SQS takes ten messages a call.
const BATCH: usize = 10;
const BATCHES_IN_FLIGHT: usize = 8;

#[derive(Clone, Debug)]
pub(crate) struct Queues {
    pub(crate) client: Client,
    pub(crate) bulk_planner: String,
    pub(crate) archive_builder: String,
    pub(crate) anonymiser: String,
    pub(crate) restorer: String,
    pub(crate) notifier: String,
}

impl Cloud {
    /// Tells `bulk-planner` to do an action's next step.
    ///
    /// # Errors
    /// [`CloudError`] when SQS fails; the janitor sends it again.
    pub async fn send_plan(&self, message: &PlanMessage) -> Result<(), CloudError> {
        self.queues
            .send(&self.queues.bulk_planner, &message.tenant_id, message)
            .await
    }

    /// Tells `notifier` to send a mail.
    ///
    /// # Errors
    /// [`CloudError`] when SQS fails; the janitor sends it again.
    pub async fn send_notify(&self, message: &NotifyMessage) -> Result<(), CloudError> {
        self.queues
            .send(&self.queues.notifier, &message.tenant_id, message)
            .await
    }

    /// Tells the function that does this kind of action to do items of it.
    ///
    /// # Errors
    /// [`CloudError`] when SQS does not take all of them.
    pub async fn send_items(&self, kind: ActionKind, messages: &[ItemMessage]) -> Result<(), CloudError> {
        let queue = match kind {
            ActionKind::Export => &self.queues.archive_builder,
            ActionKind::Anonymise => &self.queues.anonymiser,
            ActionKind::Restore => &self.queues.restorer,
        };
        // Owned batches: a future over a borrowed one is not general enough to be sent to a thread.
        let batches: Vec<Vec<ItemMessage>> = messages.chunks(BATCH).map(<[_]>::to_vec).collect();
        stream::iter(batches)
            .map(|batch| async move { self.queues.send_batch(queue, &batch).await })
            .buffer_unordered(BATCHES_IN_FLIGHT)
            .try_collect::<()>()
            .await
    }
}

impl Queues {
    async fn send(&self, queue: &str, tenant: &TenantId, message: &impl Serialize) -> Result<(), CloudError> {
        let operation = "SendMessage";
        let body = serde_json::to_string(message).map_err(|_| CloudError::Request { operation })?;
        let request = self.client.send_message().queue_url(queue).message_body(body);
        let request = request.message_group_id(tenant.as_str());
        request.send().await.map(|_| ()).map_err(failed(operation))
    }

    async fn send_batch(&self, queue: &str, messages: &[ItemMessage]) -> Result<(), CloudError> {
        let operation = "SendMessageBatch";
        let mut entries = Vec::with_capacity(messages.len());
        for (index, message) in messages.iter().enumerate() {
            let body = serde_json::to_string(message).map_err(|_| CloudError::Request { operation })?;
            let entry = SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_body(body)
                .message_group_id(message.tenant_id.as_str())
                .build();
            entries.push(entry.map_err(|_| CloudError::Request { operation })?);
        }
        let request = self
            .client
            .send_message_batch()
            .queue_url(queue)
            .set_entries(Some(entries));
        let answer = request.send().await.map_err(failed(operation))?;
        match answer.failed().first() {
            None => Ok(()),
            Some(refused) => Err(CloudError::Failed {
                operation,
                code: refused.code().to_owned(),
            }),
        }
    }
}

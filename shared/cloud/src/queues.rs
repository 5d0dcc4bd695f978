//! The queues between functions. Messages hold ids, and nothing else.
//!
//! Every message bears its tenant as message group: SQS then sees to it that one tenant's hundred thousand
//! do not make another's single one wait ("Amazon SQS fair queues", Amazon SQS Developer Guide).

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, SendMessageBatchRequestEntry};
use futures::stream::{self, StreamExt, TryStreamExt};
use oubli_domain::TenantId;
use oubli_domain::action::ActionKind;
use oubli_domain::message::{ItemMessage, NotifyMessage, PlanMessage};
use serde::Serialize;

use crate::connect::Cloud;
use crate::error::{CloudError, failed, refused};

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
    pub(crate) archive_events: String,
}

/// The queue of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkQueue {
    /// Of `bulk-planner`.
    BulkPlanner,
    /// Of `archive-builder`.
    ArchiveBuilder,
    /// Of `anonymiser`.
    Anonymiser,
    /// Of `restorer`.
    Restorer,
    /// Of `notifier`.
    Notifier,
    /// Of `janitor`: archives that are gone.
    ArchiveEvents,
}

impl Cloud {
    /// Has deliveries of a queue's messages, each named by its receipt handle, end after so many seconds: then
    /// the messages are delivered again.
    ///
    /// # Errors
    /// [`CloudError`] when SQS fails; the messages then come again when their visibility timeout is over.
    pub async fn hide_messages(
        &self,
        queue: WorkQueue,
        deliveries: &[(String, u32)],
    ) -> Result<(), CloudError> {
        let operation = "ChangeMessageVisibilityBatch";
        let queue = self.queues.url(queue);
        for deliveries in deliveries.chunks(BATCH) {
            let mut entries = Vec::with_capacity(deliveries.len());
            for (index, (receipt_handle, seconds)) in deliveries.iter().enumerate() {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(receipt_handle)
                    .visibility_timeout(i32::try_from(*seconds).unwrap_or(i32::MAX))
                    .build();
                entries.push(entry.map_err(|_| CloudError::Request { operation })?);
            }
            let request = self.queues.client.change_message_visibility_batch();
            let request = request.queue_url(queue).set_entries(Some(entries));
            let answer = request.send().await.map_err(failed(operation))?;
            if let Some(entry) = answer.failed().first() {
                return Err(refused(operation, entry.code()));
            }
        }
        Ok(())
    }

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
        let queue = self.queues.url(match kind {
            ActionKind::Export => WorkQueue::ArchiveBuilder,
            ActionKind::Anonymise => WorkQueue::Anonymiser,
            ActionKind::Restore => WorkQueue::Restorer,
        });
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
    fn url(&self, queue: WorkQueue) -> &str {
        match queue {
            WorkQueue::BulkPlanner => &self.bulk_planner,
            WorkQueue::ArchiveBuilder => &self.archive_builder,
            WorkQueue::Anonymiser => &self.anonymiser,
            WorkQueue::Restorer => &self.restorer,
            WorkQueue::Notifier => &self.notifier,
            WorkQueue::ArchiveEvents => &self.archive_events,
        }
    }

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
            Some(entry) => Err(refused(operation, entry.code())),
        }
    }
}

//! Function `archive-builder`: builds the archive of one contact for each message.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use oubli_domain::message::ItemMessage;
use oubli_runtime::batch::{Retry, batch_metrics, run_batch};
use oubli_runtime::metrics::Metrics;
use oubli_workflows::{ItemBatch, Oubli, WorkQueue};

/// Archives built at once: each takes 110 MiB at most, and small ones wait more than they work.
const CONCURRENCY: usize = 4;

/// Deals with a batch of messages and answers which are to be delivered again.
pub async fn handle(oubli: &Oubli, metrics: &Metrics, event: SqsEvent) -> SqsBatchResponse {
    let (records, batch) = (event.records.len(), &ItemBatch::default());
    let span_of = |message: &ItemMessage| {
        tracing::info_span!(
            "build",
            tenant_id = %message.tenant_id,
            action_id = %message.action_id,
            item_id = %message.item_id
        )
    };
    let mut outcome = run_batch(event, CONCURRENCY, span_of, |message, receive_count| async move {
        let worked = oubli.build_archive(batch, &message, receive_count).await;
        worked.map_err(Retry::because)
    })
    .await;
    if let Err(error) = oubli.finish_batch(batch).await {
        tracing::warn!(%error, "the items of this batch have ended, and are counted when its messages come again");
        outcome.fail_all();
    }
    let again = outcome.again.into_iter();
    let again = again.map(|message| (message.receipt_handle, message.receive_count));
    oubli.deliver_again(WorkQueue::ArchiveBuilder, again).await;
    metrics.emit(oubli.now(), &batch_metrics(records, &outcome.response));
    outcome.response
}

//! Function `restorer`: restores one contact a message, from its archive.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use oubli_domain::message::ItemMessage;
use oubli_runtime::batch::{Retry, batch_metrics, run_batch};
use oubli_runtime::metrics::Metrics;
use oubli_workflows::Oubli;

/// Contacts restored at once. One alone keeps the restorer within its memory whatever its archive's size.
const CONCURRENCY: usize = 1;

/// Deals with a batch of messages and answers which are to be delivered again.
pub async fn handle(oubli: &Oubli, metrics: &Metrics, event: SqsEvent) -> SqsBatchResponse {
    let records = event.records.len();
    let span_of = |message: &ItemMessage| {
        tracing::info_span!(
            "restore",
            tenant_id = %message.tenant_id,
            action_id = %message.action_id,
            item_id = %message.item_id
        )
    };
    let response = run_batch(event, CONCURRENCY, span_of, |message| async move {
        oubli.restore_item(&message).await.map_err(Retry::because)
    })
    .await;
    metrics.emit(oubli.now(), &batch_metrics(records, &response));
    response
}

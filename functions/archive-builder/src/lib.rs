//! Function `archive-builder`: builds the archive of one contact a message.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use oubli_domain::message::ItemMessage;
use oubli_runtime::batch::{Retry, batch_metrics, run_batch};
use oubli_runtime::metrics::Metrics;
use oubli_workflows::Oubli;

/// Archives built at once. One alone keeps the builder within its memory whatever its size; small ones,
/// which wait more than they work, are what functions in parallel are for.
const CONCURRENCY: usize = 1;

/// Deals with a batch of messages and answers which are to be delivered again.
pub async fn handle(oubli: &Oubli, metrics: &Metrics, event: SqsEvent) -> SqsBatchResponse {
    let records = event.records.len();
    let span_of = |message: &ItemMessage| {
        tracing::info_span!(
            "build",
            tenant_id = %message.tenant_id,
            action_id = %message.action_id,
            item_id = %message.item_id
        )
    };
    let response = run_batch(event, CONCURRENCY, span_of, |message| async move {
        oubli.build_archive(&message).await.map_err(Retry::because)
    })
    .await;
    metrics.emit(oubli.now(), &batch_metrics(records, &response));
    response
}

//! Function `anonymiser`: anonymises one contact a message.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use oubli_domain::message::ItemMessage;
use oubli_runtime::batch::{Retry, batch_metrics, run_batch};
use oubli_runtime::metrics::Metrics;
use oubli_workflows::Oubli;

/// Contacts anonymised at once: each is a few calls, and mostly waiting for them.
const CONCURRENCY: usize = 10;

/// Deals with a batch of messages and answers which are to be delivered again.
pub async fn handle(oubli: &Oubli, metrics: &Metrics, event: SqsEvent) -> SqsBatchResponse {
    let records = event.records.len();
    let span_of = |message: &ItemMessage| {
        tracing::info_span!(
            "anonymise",
            tenant_id = %message.tenant_id,
            action_id = %message.action_id,
            item_id = %message.item_id
        )
    };
    let response = run_batch(event, CONCURRENCY, span_of, |message| async move {
        oubli.anonymise_item(&message).await.map_err(Retry::because)
    })
    .await;
    metrics.emit(oubli.now(), &batch_metrics(records, &response));
    response
}

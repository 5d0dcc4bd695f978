//! Function `notifier`: sends one mail a message.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use oubli_domain::message::NotifyMessage;
use oubli_runtime::batch::{Retry, batch_metrics, run_batch};
use oubli_runtime::metrics::Metrics;
use oubli_workflows::Oubli;

/// Mails sent at once: a new SES account may send one a second, and grows from there.
const CONCURRENCY: usize = 1;

/// Deals with a batch of messages and answers which are to be delivered again.
pub async fn handle(oubli: &Oubli, metrics: &Metrics, event: SqsEvent) -> SqsBatchResponse {
    let records = event.records.len();
    let span_of = |message: &NotifyMessage| {
        tracing::info_span!(
            "notify",
            tenant_id = %message.tenant_id,
            action_id = %message.action_id,
            mail_id = %message.mail_id
        )
    };
    let response = run_batch(event, CONCURRENCY, span_of, |message| async move {
        oubli.send_mail(&message).await.map_err(Retry::because)
    })
    .await;
    metrics.emit(oubli.now(), &batch_metrics(records, &response));
    response
}

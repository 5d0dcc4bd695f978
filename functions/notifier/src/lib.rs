//! Function `notifier`: sends one mail a message.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use oubli_domain::message::NotifyMessage;
use oubli_runtime::batch::{Retry, batch_metrics, run_batch};
use oubli_runtime::metrics::Metrics;
use oubli_workflows::{Oubli, WorkQueue};

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
    let outcome = run_batch(event, CONCURRENCY, span_of, |message, _| async move {
        oubli.send_mail(&message).await.map_err(Retry::because)
    })
    .await;
    let again = outcome.again.into_iter();
    let again = again.map(|message| (message.receipt_handle, message.receive_count));
    oubli.deliver_again(WorkQueue::Notifier, again).await;
    metrics.emit(oubli.now(), &batch_metrics(records, &outcome.response));
    outcome.response
}

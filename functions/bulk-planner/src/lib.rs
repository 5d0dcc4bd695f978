//! Function `bulk-planner`: plans a data action, one step a message.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use oubli_domain::message::PlanMessage;
use oubli_runtime::batch::{Retry, batch_metrics, run_batch};
use oubli_runtime::metrics::Metrics;
use oubli_workflows::{Oubli, WorkQueue};

/// Steps of one action depend on each other: two at once would only meet at a condition.
const CONCURRENCY: usize = 1;

/// Deals with a batch of messages and answers which are to be delivered again.
pub async fn handle(oubli: &Oubli, metrics: &Metrics, event: SqsEvent) -> SqsBatchResponse {
    let records = event.records.len();
    let span_of = |message: &PlanMessage| {
        tracing::info_span!(
            "plan",
            tenant_id = %message.tenant_id,
            action_id = %message.action_id
        )
    };
    let outcome = run_batch(event, CONCURRENCY, span_of, |message, _| async move {
        oubli.plan_step(&message).await.map_err(Retry::because)
    })
    .await;
    let again = outcome.again.into_iter();
    let again = again.map(|message| (message.receipt_handle, message.receive_count));
    oubli.deliver_again(WorkQueue::BulkPlanner, again).await;
    metrics.emit(oubli.now(), &batch_metrics(records, &outcome.response));
    outcome.response
}

//! 10,000 contacts with their documents exported on the local stack: every function at work at once, fed
//! from its queue. Contacts a second, beside the rate of bare conditional transactions on the same tables;
//! and which calls of AWS an exported contact takes.
//!
//! ```text
//! cargo bench -p oubli-tests --bench export
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "benchmarks are test code, and print"
)]

#[expect(dead_code, reason = "other benchmarks watch an action on its way")]
mod local;
#[expect(dead_code, reason = "memory is measured elsewhere")]
mod measure;

use aws_sdk_dynamodb::types::{Put, TransactWriteItem, Update};
use futures::stream::{self, StreamExt};
use oubli_tests::Stack;

use local::{AT_ONCE, print_calls, print_rate, print_ratio, table, text};
use measure::{Spent, Stopwatch, scaled};

#[tokio::main]
async fn main() {
    let count = scaled(10_000, 20);
    let stack = local::start().await;
    local::enter(&stack, "demo", count).await;

    let exported = local::run(&stack, "export", count, "exported").await;
    let bare = bare_transactions(&stack, count).await;
    print_ratio("export / transaction", exported, bare);

    // A second time, with a record of the calls, which costs a little itself.
    let engines = stack.engines().unwrap();
    engines.faults().record();
    local::run(&stack, "export", count, "again, recorded").await;
    let calls = engines.faults().calls();
    engines.faults().clear();
    print_calls(&calls, count);
    stack.runner.shutdown().await;
}

/// The least that a recorded result can cost: one new item and one changed, each under a condition.
async fn bare_transactions(stack: &Stack, count: usize) -> Spent {
    let client = local::tables(stack).await;
    let table = table(stack, "OUBLI_REQUESTS_TABLE");
    let stopwatch = Stopwatch::start(std::process::id());
    stream::iter(0..count)
        .for_each_concurrent(AT_ONCE, |index| {
            let put = Put::builder()
                .table_name(table)
                .item("pk", text(format!("BENCH#{index}")))
                .item("sk", text("NEW"))
                .item("state", text("ready"))
                .condition_expression("attribute_not_exists(pk)")
                .build()
                .unwrap();
            let update = Update::builder()
                .table_name(table)
                .key("pk", text(format!("BENCH#{index}")))
                .key("sk", text("ITEM"))
                .update_expression("SET #state = :done")
                .condition_expression("attribute_not_exists(#state)")
                .expression_attribute_names("#state", "state")
                .expression_attribute_values(":done", text("done"))
                .build()
                .unwrap();
            let request = client
                .transact_write_items()
                .transact_items(TransactWriteItem::builder().put(put).build())
                .transact_items(TransactWriteItem::builder().update(update).build());
            async move {
                request.send().await.unwrap();
            }
        })
        .await;
    let spent = stopwatch.stop();
    print_rate("bare transactions", count, spent);
    spent
}

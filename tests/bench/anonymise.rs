//! Contacts that were exported, anonymised on the local stack: every function at work at once, fed from its
//! queue. Anonymised contacts a second, beside the rate of bare conditional transactions of the same shape on
//! the same tables; and which calls of AWS an anonymised contact takes.
//!
//! ```text
//! cargo bench -p oubli-tests --bench anonymise
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

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Put, TransactWriteItem};
use futures::stream::{self, StreamExt};
use oubli_tests::Stack;

use local::{AT_ONCE, print_calls, print_rate, print_ratio, table, text};
use measure::{Spent, Stopwatch, scaled};

#[tokio::main]
async fn main() {
    let count = scaled(2_000, 20);
    let stack = local::start().await;
    local::enter(&stack, "demo", count).await;
    local::run(&stack, "export", count, "exported").await;

    let anonymised = local::run(&stack, "anonymise", count, "anonymised").await;
    let bare = bare_transactions(&stack, count).await;
    print_ratio("anonymise / transaction", anonymised, bare);
    local::run(&stack, "restore", count, "restored").await;

    // A second time, with a record of the calls, which costs a little itself.
    local::run(&stack, "export", count, "exported again").await;
    let engines = stack.engines().unwrap();
    engines.faults().record();
    local::run(&stack, "anonymise", count, "anonymised, recorded").await;
    let calls = engines.faults().calls();
    engines.faults().clear();
    print_calls(&calls, count);
    stack.runner.shutdown().await;
}

fn put(table: &str, pk: String, sk: &str) -> aws_sdk_dynamodb::types::builders::PutBuilder {
    Put::builder()
        .table_name(table)
        .item("pk", text(pk))
        .item("sk", text(sk))
}

fn check(table: &str, pk: String, sk: &str) -> TransactWriteItem {
    let check = ConditionCheck::builder()
        .table_name(table)
        .key("pk", text(pk))
        .key("sk", text(sk))
        .condition_expression("#state = :state")
        .expression_attribute_names("#state", "state")
        .expression_attribute_values(":state", text("ready"));
    TransactWriteItem::builder()
        .condition_check(check.build().unwrap())
        .build()
}

/// A contact with its keys in two indexes, in a version.
fn contact(table: &str, index: usize, version: u32) -> aws_sdk_dynamodb::types::builders::PutBuilder {
    put(table, format!("BENCH#{index}"), "CONTACT")
        .item("version", AttributeValue::N(version.to_string()))
        .item("last_name", text("XXXXX"))
        .item("by_name_pk", text("BENCH#NAME"))
        .item("by_name_sk", text(format!("{version}#{index}")))
        .item("by_created_pk", text("BENCH#CREATED"))
        .item("by_created_sk", text(format!("{index}")))
}

async fn each(count: usize, write: impl AsyncFn(usize)) {
    stream::iter(0..count)
        .for_each_concurrent(AT_ONCE, |index| write(index))
        .await;
}

/// What is destroyed, destroyed by nothing but the transaction: a contact replaced if it is in its version,
/// two records looked at, two written.
async fn bare_transactions(stack: &Stack, count: usize) -> Spent {
    let client: Client = local::tables(stack).await;
    let (contacts, requests) = (
        table(stack, "OUBLI_CONTACTS_TABLE"),
        table(stack, "OUBLI_REQUESTS_TABLE"),
    );
    each(count, async |index| {
        let archive = put(requests, format!("BENCH#R#{index}"), "ARCHIVE").item("state", text("ready"));
        let item = put(requests, format!("BENCH#I#{index}"), "ITEM").item("state", text("ready"));
        let puts = [contact(contacts, index, 1), archive, item];
        let writes = puts.map(|put| TransactWriteItem::builder().put(put.build().unwrap()).build());
        let write = client
            .transact_write_items()
            .set_transact_items(Some(writes.to_vec()));
        write.send().await.unwrap();
    })
    .await;
    let stopwatch = Stopwatch::start(std::process::id());
    each(count, async |index| {
        let replaced = contact(contacts, index, 2)
            .condition_expression("#version = :version")
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":version", AttributeValue::N("1".to_owned()));
        let note = put(requests, format!("BENCH#PURGE#{index}"), "SHELF")
            .item("open_work_pk", text(format!("BENCH#OPEN#{}", index % 8)))
            .item("open_work_sk", text(format!("{index}")));
        let number = put(contacts, format!("BENCH#X#{index}"), "ALIAS")
            .condition_expression("attribute_not_exists(pk)");
        let [replaced, note, number] = [replaced, note, number]
            .map(|put| TransactWriteItem::builder().put(put.build().unwrap()).build());
        let writes = vec![
            replaced,
            check(requests, format!("BENCH#R#{index}"), "ARCHIVE"),
            check(requests, format!("BENCH#I#{index}"), "ITEM"),
            note,
            number,
        ];
        let write = client.transact_write_items().set_transact_items(Some(writes));
        write.send().await.unwrap();
    })
    .await;
    let spent = stopwatch.stop();
    print_rate("bare transactions", count, spent);
    spent
}

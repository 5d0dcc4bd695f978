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

#[expect(dead_code, reason = "memory is measured elsewhere")]
mod measure;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use futures::stream::{self, StreamExt};
use oubli_local::clock::EngineClock;
use oubli_local::demo::generated_contacts;
use oubli_local::faults::Call;
use oubli_local::runner::{RunnerOptions, seeding};
use oubli_tests::Stack;
use reqwest::StatusCode;
use serde_json::json;

use measure::{Spent, Stopwatch, scaled};

/// As many as the builders that the local runner has at work.
const AT_ONCE: usize = 4;
const LOOK_AGAIN: Duration = Duration::from_millis(100);

#[tokio::main]
async fn main() {
    let count = scaled(10_000, 20);
    let stack = Stack::start_with(RunnerOptions {
        by_itself: true,
        ..RunnerOptions::ephemeral(EngineClock::system(0))
    })
    .await;
    let entering = Stopwatch::start(std::process::id());
    seeding::seed_contacts(
        &stack.runner,
        "demo",
        "bench",
        generated_contacts(count, 7),
        || {},
    )
    .await
    .unwrap();
    println!(
        "{count} contacts, entered in {:.1} s",
        entering.stop().wall.as_secs_f64()
    );

    let exported = export(&stack, count, "exported").await;
    let bare = bare_transactions(&stack, count).await;
    println!(
        "{:24}time {:.1}, CPU {:.1}",
        "export / transaction",
        exported.wall.as_secs_f64() / bare.wall.as_secs_f64(),
        exported.cpu_seconds / bare.cpu_seconds,
    );

    // A second time, with a record of the calls, which costs a little itself.
    let engines = stack.engines().unwrap();
    engines.faults().record();
    export(&stack, count, "again, recorded").await;
    let calls = engines.faults().calls();
    engines.faults().clear();
    print_calls(&calls, count);
    stack.runner.shutdown().await;
}

/// Exports every contact and waits until the mail is sent.
async fn export(stack: &Stack, count: usize, name: &str) -> Spent {
    let engines = stack.engines().unwrap();
    let mails = engines.mails().outbox().len();
    let stopwatch = Stopwatch::start(std::process::id());
    let body = json!({ "kind": "export", "selection": { "filter": {} } });
    let action = stack.agent().post("/v1/data-actions", body).await;
    let action = action.expect(StatusCode::ACCEPTED)["id"].clone();
    let action = action.as_str().unwrap();
    let ended = loop {
        let now = stack.action(action).await;
        if !["queued", "planning", "running"].contains(&now["state"].as_str().unwrap()) {
            break now;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    };
    while engines.mails().outbox().len() == mails {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    let spent = stopwatch.stop();
    assert_eq!(ended["state"], "completed", "{ended}");
    assert_eq!(
        (&ended["done"], &ended["failed"]),
        (&json!(count), &json!(0)),
        "{ended}"
    );
    assert_eq!(engines.mails().outbox().len(), mails + 1, "one mail an action");
    print_rate(name, count, spent);
    spent
}

fn print_rate(name: &str, count: usize, spent: Spent) {
    println!(
        "{name:24}{:>8.0} a second, {:.1} s, {:.2} ms of CPU each",
        count as f64 / spent.wall.as_secs_f64(),
        spent.wall.as_secs_f64(),
        spent.cpu_seconds * 1_000.0 / count as f64,
    );
}

/// The least that a recorded result can cost: one new item and one changed, each under a condition.
async fn bare_transactions(stack: &Stack, count: usize) -> Spent {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(stack.runner.aws_url())
        .region(Region::from_static("eu-west-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "embedded"))
        .load()
        .await;
    let client = Client::new(&config);
    let table = &stack.runner.provisioned().environment["api"]["OUBLI_REQUESTS_TABLE"];
    let text = |value: String| AttributeValue::S(value);
    let stopwatch = Stopwatch::start(std::process::id());
    stream::iter(0..count)
        .for_each_concurrent(AT_ONCE, |index| {
            let put = Put::builder()
                .table_name(table)
                .item("pk", text(format!("BENCH#{index}")))
                .item("sk", text("NEW".to_owned()))
                .item("state", text("ready".to_owned()))
                .condition_expression("attribute_not_exists(pk)")
                .build()
                .unwrap();
            let update = Update::builder()
                .table_name(table)
                .key("pk", text(format!("BENCH#{index}")))
                .key("sk", text("ITEM".to_owned()))
                .update_expression("SET #state = :done")
                .condition_expression("attribute_not_exists(#state)")
                .expression_attribute_names("#state", "state")
                .expression_attribute_values(":done", text("done".to_owned()))
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

/// How often each operation was called by each function, for each contact.
fn print_calls(calls: &[Call], count: usize) {
    let mut counted: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for call in calls {
        let caller = call.caller.as_deref().unwrap_or("?");
        *counted.entry((caller, &call.operation)).or_default() += 1;
    }
    println!("calls for each contact:");
    let mut sum = 0;
    for ((caller, operation), number) in counted {
        // The API's are those of this program, which asks how far the action is.
        if caller != "oubli-api" {
            sum += number;
            println!("  {caller:24}{operation:32}{:>8.3}", number as f64 / count as f64);
        }
    }
    println!("  {:56}{:>8.3}", "all", sum as f64 / count as f64);
}

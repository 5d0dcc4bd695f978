//! One action over 100,000 contacts, of each kind: how long its preview takes, when the first are done, how
//! many a second, how soon a stop takes effect, and how long another tenant's single export takes meanwhile.
//! The contacts have no documents, so that entering them does not take most of the time. The state is kept in a
//! folder, as `cargo run` keeps it; the most memory that the process had resident is told at the end.
//!
//! ```text
//! cargo bench -p oubli-tests --bench mass
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "benchmarks are test code, and print"
)]

#[expect(dead_code, reason = "other benchmarks run whole actions beside bare writes")]
mod local;
mod measure;

use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt as _};
use oubli_domain::TenantId;
use oubli_domain::contact::ContactDraft;
use oubli_tests::Stack;
use oubli_workflows::Idempotency;
use reqwest::StatusCode;
use serde_json::{Value, json};

use measure::{Stopwatch, peak_memory_bytes, scaled};

const LOOK_AGAIN: Duration = Duration::from_millis(500);
const CLOSELY: Duration = Duration::from_millis(20);
/// How many contacts are entered at a time.
const ENTERED_AT_ONCE: usize = 16;

#[tokio::main]
async fn main() {
    let count = scaled(100_000, 100);
    let folder = tempfile::tempdir().unwrap();
    let stack = local::start_in(folder.path()).await;
    let entering = Instant::now();
    enter(&stack, "demo", count).await;
    let quiet = enter(&stack, "other", 1).await.remove(0);
    println!(
        "{count} contacts, entered in {:.1} s",
        entering.elapsed().as_secs_f64()
    );

    let stopped = stop_early(&stack, count).await;
    println!("a stopped export: {stopped}");
    for (kind, state) in [
        ("export", "active"),
        ("anonymise", "anonymised"),
        ("restore", "active"),
    ] {
        run(&stack, kind, count, &quiet).await;
        let query = format!("/v1/contacts?state={state}&limit=1");
        let listed = stack.agent().get(&query).await.expect(StatusCode::OK);
        let exact = listed["total"].as_u64();
        // Above 10,000 the API says no more than that.
        assert!(exact.is_none_or(|total| total == count as u64), "{listed}");
    }
    let peak = peak_memory_bytes(std::process::id());
    println!("resident at most, engines and all: {} MiB", peak / (1024 * 1024));
    stack.runner.shutdown().await;
}

/// Enters contacts without the way over HTTP; answers their ids.
async fn enter(stack: &Stack, tenant: &str, count: usize) -> Vec<String> {
    let tenant = TenantId::parse(tenant).unwrap();
    let enter = |n: usize| {
        let (tenant, oubli) = (&tenant, stack.runner.oubli());
        async move {
            let draft = ContactDraft {
                last_name: format!("Name{n:06}"),
                first_name: Some("Zoé".to_owned()),
                email: Some(format!("zoe.{n}@example.com")),
                ..ContactDraft::default()
            };
            let entered = oubli.create_contact(tenant, draft, &Idempotency::none()).await;
            entered.unwrap().id.to_string()
        }
    };
    let entering = stream::iter((0..count).map(enter));
    entering.buffer_unordered(ENTERED_AT_ONCE).collect().await
}

/// Stops an export when a hundredth is done; tells how many more were done, and when it had ended.
async fn stop_early(stack: &Stack, count: usize) -> String {
    let agent = stack.agent();
    let action = local::begin(&agent, "export", json!({ "filter": {} })).await;
    let before = local::reached(&agent, &action, count / 100, CLOSELY).await;
    let stopping = Instant::now();
    let stop = format!("/v1/data-actions/{action}/stop");
    agent.post(&stop, Value::Null).await.expect(StatusCode::ACCEPTED);
    let ended = local::ended(&agent, &action, CLOSELY).await;
    assert_eq!(ended["state"], "stopped", "{ended}");
    stack.engines().unwrap().mails().delivered(1).await;
    let more = ended["done"].as_u64().unwrap() - before["done"].as_u64().unwrap();
    format!(
        "{} were done, {more} more after it was asked to stop, ended after {:.2} s",
        before["done"],
        stopping.elapsed().as_secs_f64()
    )
}

/// Previews and runs an action over everybody, and another tenant's export of one when a tenth is done.
async fn run(stack: &Stack, kind: &str, count: usize, quiet: &str) {
    let agent = stack.agent();
    let mut body = json!({ "kind": kind, "selection": { "filter": {} } });
    let asked = Instant::now();
    let preview = agent.post("/v1/data-actions/preview", body.clone()).await;
    let preview = preview.expect(StatusCode::OK);
    let previewed = asked.elapsed();
    assert_eq!(
        (&preview["contacts"], &preview["blocked_count"]),
        (&json!(count), &json!(0))
    );
    body["plan_hash"] = preview["plan_hash"].clone();
    body["acknowledged"] = json!(true);

    let mails = stack.engines().unwrap().mails().outbox().len();
    let stopwatch = Stopwatch::start(std::process::id());
    let begun = Instant::now();
    let action = agent.post("/v1/data-actions", body).await;
    let action = action.expect(StatusCode::ACCEPTED)["id"].clone();
    let (action, accepted) = (action.as_str().unwrap(), begun.elapsed());
    local::reached(&agent, action, 1, CLOSELY).await;
    let first = begun.elapsed();

    let before = local::reached(&agent, action, count / 10, CLOSELY).await;
    let asked = Instant::now();
    let other = stack.other_agent();
    let single = local::begin(&other, "export", json!({ "contact_ids": [quiet] })).await;
    let single = local::ended(&other, &single, CLOSELY).await;
    assert_eq!(
        (&single["state"], &single["done"]),
        (&json!("completed"), &json!(1))
    );
    let waited = asked.elapsed();

    for tenth in 2..10 {
        let at = local::reached(&agent, action, count / 10 * tenth, LOOK_AGAIN).await;
        println!(
            "  {kind}: {} after {:.1} s",
            at["done"],
            begun.elapsed().as_secs_f64()
        );
    }
    let ended = local::ended(&agent, action, LOOK_AGAIN).await;
    // The mail of the many, and that of the one.
    stack.engines().unwrap().mails().delivered(mails + 2).await;
    let spent = stopwatch.stop();
    let counts = ["total", "done", "failed", "skipped"].map(|name| ended[name].as_u64().unwrap());
    assert_eq!(counts, [count as u64, count as u64, 0, 0], "{ended}");
    assert_eq!(ended["state"], "completed", "{ended}");
    assert_eq!(
        stack.engines().unwrap().mails().outbox().len(),
        mails + 2,
        "one mail each"
    );
    local::print_rate(kind, count, spent);
    println!(
        "  preview {:.2} s, accepted {:.2} s, first done {:.2} s; another's single export {:.2} s, when {} were done",
        previewed.as_secs_f64(),
        accepted.as_secs_f64(),
        first.as_secs_f64(),
        waited.as_secs_f64(),
        before["done"],
    );
}

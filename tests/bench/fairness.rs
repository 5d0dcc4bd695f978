//! One tenant's many beside another's one: how long a single export waits while 10,000 of another tenant
//! are under way.
//!
//! Messages bear their tenant as group, and queues serve the group with the fewest in flight first (Amazon
//! SQS fair queues). How it would be without is what the first tenant sees of itself: a single export of its
//! own is of the same group, and stands behind the 10,000.
//!
//! ```text
//! cargo bench -p oubli-tests --bench fairness
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "benchmarks are test code, and print"
)]

#[expect(dead_code, reason = "other benchmarks measure whole actions")]
mod local;
#[expect(dead_code, reason = "memory is measured elsewhere")]
mod measure;

use std::time::{Duration, Instant};

use oubli_tests::Client;
use reqwest::StatusCode;
use serde_json::json;

use measure::scaled;

/// How closely the end of a single export is watched.
const CLOSELY: Duration = Duration::from_millis(5);
/// How often a single export is timed; the median counts.
const SINGLES: usize = 5;

#[tokio::main]
async fn main() {
    let count = scaled(10_000, 40);
    let stack = local::start().await;
    local::enter(&stack, "demo", count).await;
    local::enter(&stack, "other", 1).await;
    let (noisy, quiet) = (stack.agent(), stack.other_agent());
    let of_quiet = first_contact(&quiet).await;
    let of_noisy = first_contact(&noisy).await;

    let mut idle = Vec::new();
    for _ in 0..SINGLES {
        idle.push(single(&quiet, &of_quiet).await);
    }
    let idle = median(idle);
    println!(
        "{:40}{:>8.3} s",
        "a single export, nothing else at work",
        idle.as_secs_f64()
    );

    for kind in ["export", "anonymise"] {
        let (action, begun) = under_way(&noisy, kind, count).await;
        let before = done(&noisy, &action).await;
        let mut waits = Vec::new();
        for _ in 0..SINGLES {
            waits.push(single(&quiet, &of_quiet).await);
        }
        let between = done(&noisy, &action).await;
        let wait = median(waits);
        println!(
            "{:40}{:>8.3} s, {:.1} times as long; {} of {count} were done before, {} after {SINGLES} of them",
            format!("another's, beside {kind} of {count}"),
            wait.as_secs_f64(),
            wait.as_secs_f64() / idle.as_secs_f64(),
            before,
            between,
        );
        // Only an export can be asked for again of one who may be anonymised by now.
        if kind == "export" {
            let own = single(&noisy, &of_noisy).await;
            let at_end = done(&noisy, &action).await;
            println!(
                "{:40}{:>8.3} s, {:.1} times as long; {at_end} of {count} were done after it",
                "one's own, of the same group",
                own.as_secs_f64(),
                own.as_secs_f64() / idle.as_secs_f64(),
            );
        }
        let ended = local::ended(&noisy, &action, Duration::from_millis(100)).await;
        assert_eq!(ended["state"], "completed", "{ended}");
        println!(
            "{:40}{:>8.1} s",
            format!("all of {kind}"),
            begun.elapsed().as_secs_f64()
        );
    }
    stack.runner.shutdown().await;
}

async fn first_contact(client: &Client) -> String {
    let page = client.get("/v1/contacts?sort=created_at&limit=1").await;
    let page = page.expect(StatusCode::OK);
    page["items"][0]["id"].as_str().unwrap().to_owned()
}

/// Starts the many and waits until workers are at them and many more wait in the queue.
async fn under_way(client: &Client, kind: &str, count: usize) -> (String, Instant) {
    let begun = Instant::now();
    let action = local::begin(client, kind, json!({ "filter": {} })).await;
    local::reached(client, &action, (count / 50).max(1), CLOSELY).await;
    (action, begun)
}

async fn done(client: &Client, action: &str) -> u64 {
    local::look(client, action).await["done"].as_u64().unwrap()
}

/// How long one contact's export takes, from the request to the end of the action.
async fn single(client: &Client, contact: &str) -> Duration {
    let begun = Instant::now();
    let action = local::begin(client, "export", json!({ "contact_ids": [contact] })).await;
    let ended = local::ended(client, &action, CLOSELY).await;
    assert_eq!(ended["state"], "completed", "{ended}");
    begun.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

//! The local stack as benchmarks use it: everything at work at once, by the system's clock, each queue fed
//! as Lambda would feed it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_sdk_dynamodb::types::AttributeValue;
use oubli_local::clock::EngineClock;
use oubli_local::demo::generated_contacts;
use oubli_local::faults::Call;
use oubli_local::runner::{RunnerOptions, seeding};
use oubli_tests::{Client, Stack};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::measure::{Spent, Stopwatch};

/// As many as the workers that the local runner has at one queue.
pub(crate) const AT_ONCE: usize = 4;
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Starts a stack that works by itself.
pub(crate) async fn start() -> Stack {
    Stack::start_with(RunnerOptions {
        by_itself: true,
        ..RunnerOptions::ephemeral(EngineClock::system(0))
    })
    .await
}

/// The same with its state in this folder, as `cargo run` keeps it.
pub(crate) async fn start_in(folder: &Path) -> Stack {
    Stack::start_with(RunnerOptions {
        by_itself: true,
        state: Some(folder.to_owned()),
        ..RunnerOptions::ephemeral(EngineClock::system(0))
    })
    .await
}

/// Enters generated contacts with their documents into a tenant.
pub(crate) async fn enter(stack: &Stack, tenant: &str, count: usize) {
    let entering = Stopwatch::start(std::process::id());
    let contacts = generated_contacts(count, 7);
    seeding::seed_contacts(&stack.runner, tenant, "bench", contacts, || {})
        .await
        .unwrap();
    println!(
        "{count} contacts of {tenant}, entered in {:.1} s",
        entering.stop().wall.as_secs_f64()
    );
}

/// Starts an action of this kind over everybody of the caller's tenant; answers its id.
pub(crate) async fn begin(client: &Client, kind: &str, selection: Value) -> String {
    let body = json!({ "kind": kind, "selection": selection, "acknowledged": true });
    let action = client.post("/v1/data-actions", body).await;
    let action = action.expect(StatusCode::ACCEPTED)["id"].clone();
    action.as_str().unwrap().to_owned()
}

/// An action, as its member sees it.
pub(crate) async fn look(client: &Client, action: &str) -> Value {
    let action = client.get(&format!("/v1/data-actions/{action}")).await;
    action.expect(StatusCode::OK)
}

/// Looks at an action again and again, as front ends do, which nothing tells of its progress. Fails when the
/// action has ended otherwise.
async fn until(client: &Client, action: &str, look_again: Duration, is_so: impl Fn(&Value) -> bool) -> Value {
    loop {
        let now = look(client, action).await;
        if is_so(&now) {
            return now;
        }
        assert!(!now["completed_at"].is_string(), "ended too early: {now}");
        tokio::time::sleep(look_again).await;
    }
}

/// Waits for the end of an action; answers how it ended.
pub(crate) async fn ended(client: &Client, action: &str, look_again: Duration) -> Value {
    until(client, action, look_again, |now| now["completed_at"].is_string()).await
}

/// Waits until so many are done; answers the action then.
pub(crate) async fn reached(client: &Client, action: &str, done: usize, look_again: Duration) -> Value {
    let is_so = |now: &Value| now["done"].as_u64().unwrap() >= done as u64;
    until(client, action, look_again, is_so).await
}

/// Does this to every contact of tenant `demo`, and waits until the mail is sent.
pub(crate) async fn run(stack: &Stack, kind: &str, count: usize, name: &str) -> Spent {
    let engines = stack.engines().unwrap();
    let mails = engines.mails().outbox().len();
    let stopwatch = Stopwatch::start(std::process::id());
    let agent = stack.agent();
    let action = begin(&agent, kind, json!({ "filter": {} })).await;
    let ended = ended(&agent, &action, LOOK_AGAIN).await;
    engines.mails().delivered(mails + 1).await;
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

pub(crate) fn print_rate(name: &str, count: usize, spent: Spent) {
    println!(
        "{name:24}{:>8.0} a second, {:.1} s, {:.2} ms of CPU each",
        count as f64 / spent.wall.as_secs_f64(),
        spent.wall.as_secs_f64(),
        spent.cpu_seconds * 1_000.0 / count as f64,
    );
}

/// How often the work took what the bare transactions took.
pub(crate) fn print_ratio(name: &str, work: Spent, bare: Spent) {
    println!("{name:24}{}", work.beside(bare));
}

/// The tables, without the code of Oubli before them.
pub(crate) async fn tables(stack: &Stack) -> aws_sdk_dynamodb::Client {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(stack.runner.aws_url())
        .region(Region::from_static("eu-west-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "embedded"))
        .load()
        .await;
    aws_sdk_dynamodb::Client::new(&config)
}

/// The name of a table, by the setting in which the API has it.
pub(crate) fn table<'a>(stack: &'a Stack, setting: &str) -> &'a str {
    &stack.runner.provisioned().environment["api"][setting]
}

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// How often each operation was called by each function, for each contact.
pub(crate) fn print_calls(calls: &[Call], count: usize) {
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

//! Archives built by the program `archive-builder` itself, under the Runtime API, from documents in the
//! embedded S3: MB/s, processor seconds, and the peak of the program's memory, which must stay under
//! 128 MiB. Beside it the same bytes copied through the same endpoint, without a ZIP and without hashes.
//!
//! ```text
//! cargo bench -p oubli-tests --bench archive [-- large small single entries]
//! ```
//!
//! | | |
//! |---|---|
//! | `large` | 2 GiB in 200 documents from 1 KiB to 64 MiB |
//! | `small` | 5,000 documents of 50 KB |
//! | `single` | one document of 4.5 GiB |
//! | `entries` | 70,000 documents of 1 KB |
//!
//! The first two are the default. `OUBLI_BENCH_SCALE=0.01` takes a hundredth of the documents (of the bytes,
//! for `single`); `OUBLI_BENCH_PROGRAMS` names a folder with a program built otherwise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "benchmarks are test code, and print"
)]

mod bare_copy;
mod content;
mod measure;
mod programs;
mod upload;

use std::path::Path;
use std::time::Duration;

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use lambda_simulator::process::{ProcessConfig, ProcessRole};
use lambda_simulator::{InvocationStatus, Simulator};
use oubli_domain::message::{ItemMessage, PlanMessage};
use oubli_domain::{ActionId, ItemId, TenantId};
use oubli_local::clock::EngineClock;
use oubli_local::runner::RunnerOptions;
use oubli_tests::Stack;
use serde::Serialize;
use serde_json::json;

use content::Kind;
use measure::{Spent, Stopwatch, scale, scaled};
use upload::PlannedDocument;

/// What the builder may use at most.
const MEMORY_LIMIT_MIB: f64 = 128.0;
const MIB: f64 = 1024.0 * 1024.0;
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(3 * 3600);

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments
        .next_if(|argument| argument == bare_copy::ARGUMENT)
        .is_some()
    {
        return bare_copy::run(&arguments.next().unwrap()).await;
    }
    let mut scenarios: Vec<_> = arguments.filter(|argument| !argument.starts_with("--")).collect();
    if scenarios.is_empty() {
        scenarios = ["large", "small"].map(str::to_owned).to_vec();
    }
    let program = programs::programs(&["archive-builder"])
        .remove("archive-builder")
        .expect("the builder is built");
    let mut peak: f64 = 0.0;
    for scenario in &scenarios {
        peak = peak.max(Box::pin(run(scenario, &program)).await);
    }
    assert!(
        peak < MEMORY_LIMIT_MIB,
        "the builder used {peak:.1} MiB of memory; it must stay under {MEMORY_LIMIT_MIB} MiB"
    );
}

fn documents(scenario: &str) -> Vec<PlannedDocument> {
    let kinds = [Kind::Noise, Kind::Text, Kind::Noise, Kind::Mixed];
    let planned = |index: usize, size_bytes: u64| PlannedDocument {
        name: format!("document {index:05}.bin"),
        kind: kinds[index % kinds.len()],
        seed: index as u64 + 1,
        size_bytes,
    };
    match scenario {
        "large" => {
            let count = scaled(200, 8);
            // From 1 KiB to 64 MiB, the larger the more: 200 of them come to 2 GiB.
            let size = |index: usize| {
                let place = index as f64 / (count - 1) as f64;
                (1024.0 * 65_536_f64.powf(place.sqrt())) as u64
            };
            // The kinds must not follow the sizes.
            (0..count)
                .map(|index| planned(index, size(index * 7 % count)))
                .collect()
        }
        "small" => (0..scaled(5_000, 50))
            .map(|index| planned(index, 50_000))
            .collect(),
        "entries" => (0..scaled(70_000, 100))
            .map(|index| planned(index, 1_000))
            .collect(),
        "single" => vec![PlannedDocument {
            name: "scan.tiff".to_owned(),
            kind: Kind::Noise,
            seed: 1,
            size_bytes: (4.5 * 1024.0 * MIB * scale()) as u64,
        }],
        other => panic!("there is no scenario `{other}`"),
    }
}

/// Runs a scenario; answers the builder's peak of memory, in MiB.
async fn run(scenario: &str, program: &Path) -> f64 {
    let clock = EngineClock::system(0);
    let stack = Stack::start_with(RunnerOptions::ephemeral(clock)).await;
    let contact = stack.contact(json!({ "last_name": "Lefèvre" })).await;
    let documents = documents(scenario);
    let bytes: u64 = documents.iter().map(|document| document.size_bytes).sum();
    println!(
        "{scenario}: {} documents, {:.1} MiB",
        documents.len(),
        bytes as f64 / MIB
    );
    upload::all(&stack, &contact, &documents).await;
    drop(documents);

    println!(
        "{:26}{:>9}{:>9}{:>9}{:>11}",
        "", "MB/s", "wall s", "CPU s", "peak MiB"
    );
    let first = export(&stack, &contact, program, "first export", bytes).await;
    let again = export(&stack, &contact, program, "again, its hashes known", bytes).await;
    let copied = bare_copy::measured(&stack, &contact, bytes).await;
    for (name, run) in [("first", &first), ("again", &again)] {
        println!(
            "{:26}{}",
            format!("{name} / bare copy"),
            run.spent.beside(copied.spent)
        );
    }
    println!();
    stack.runner.shutdown().await;
    first.peak_mib.max(again.peak_mib)
}

/// What a process took for the bytes of a scenario.
struct Measured {
    spent: Spent,
    peak_mib: f64,
}

impl Measured {
    fn print(self, name: &str, bytes: u64) -> Self {
        let wall = self.spent.wall.as_secs_f64();
        println!(
            "{name:26}{:>9.1}{wall:>9.2}{:>9.2}{:>11.1}",
            bytes as f64 / 1e6 / wall,
            self.spent.cpu_seconds,
            self.peak_mib
        );
        self
    }
}

/// Exports the contact by a new process of the builder.
async fn export(stack: &Stack, contact: &str, program: &Path, name: &str, bytes: u64) -> Measured {
    let action = stack.export(&[contact]).await;
    let functions = stack.runner.functions();
    let (tenant_id, action_id) = (
        TenantId::parse("demo").unwrap(),
        ActionId::parse(&action).unwrap(),
    );
    let plan = PlanMessage {
        tenant_id: tenant_id.clone(),
        action_id: action_id.clone(),
    };
    let planned = functions.handle("bulk-planner", event(&plan)).await;
    assert!(planned.batch_item_failures.is_empty(), "the plan failed");

    let simulator = Simulator::builder()
        .function_name("archive-builder")
        .invocation_timeout(PATIENCE)
        .build()
        .await
        .unwrap();
    let mut config = ProcessConfig::new(program, ProcessRole::Runtime)
        .inherit_stdio(std::env::var_os("OUBLI_BENCH_LOGS").is_some())
        .env("AWS_ENDPOINT_URL", stack.runner.aws_url())
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test");
    for (name, value) in &stack.runner.provisioned().environment["archive-builder"] {
        config = config.env(name, value);
    }
    let process = simulator.spawn_process_with_config(config).unwrap();
    let stopwatch = Stopwatch::start(process.pid());
    let build = ItemMessage {
        tenant_id,
        action_id,
        chunk: 0,
        item_id: ItemId::parse(contact).unwrap(),
        recount: false,
    };
    let payload = serde_json::to_value(event(&build)).unwrap();
    let request = simulator.enqueue_payload(payload).await;
    let ended = simulator
        .wait_for_invocation_complete(&request, PATIENCE)
        .await
        .unwrap();
    let measured = Measured {
        spent: stopwatch.stop(),
        peak_mib: measure::peak_memory_bytes(process.pid()) as f64 / MIB,
    };
    drop(process);
    assert_eq!(ended.status, InvocationStatus::Success, "{:?}", ended.error);

    let action = stack.action(&action).await;
    assert_eq!(action["state"], "completed", "{action}");
    measured.print(name, bytes)
}

/// A batch of one message, as the event source delivers it.
fn event(message: &impl Serialize) -> SqsEvent {
    let mut record = SqsMessage::default();
    record.message_id = Some("c5ee7015-1270-5c14-8ade-d14f53d00674".to_owned());
    record.body = Some(serde_json::to_string(message).unwrap());
    let mut event = SqsEvent::default();
    event.records = vec![record];
    event
}

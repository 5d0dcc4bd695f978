//! The functions' programs: their sizes, and the time from the start of the process to its first `/next`.
//!
//! ```text
//! cargo bench -p oubli-tests --bench cold_start
//! OUBLI_BENCH_PROGRAMS=target/release cargo bench -p oubli-tests --bench cold_start
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "benchmarks are test code, and print"
)]

#[expect(dead_code, reason = "a start takes less than `/proc` can count")]
mod measure;
mod programs;

use std::process::Stdio;
use std::time::Instant;

use oubli_local::clock::EngineClock;
use oubli_local::runner::RunnerOptions;
use oubli_tests::Stack;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::process::Command;

const FUNCTIONS: [&str; 8] = [
    "api",
    "bulk-planner",
    "archive-builder",
    "anonymiser",
    "restorer",
    "notifier",
    "janitor",
    "tenant-provisioner",
];

/// How the first request of a runtime begins
/// (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>).
const NEXT: &[u8; 44] = b"GET /2018-06-01/runtime/invocation/next HTTP";

#[tokio::main]
async fn main() {
    let starts = measure::scaled(30, 3);
    let programs = programs::programs(&FUNCTIONS);
    // For the names of what the settings say; no program calls AWS before its first event.
    let stack = Stack::start_with(RunnerOptions::ephemeral(EngineClock::system(0))).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    println!(
        "{:20}{:>10}{:>14}{:>10}{:>14}",
        "", "MB", "median ms", "best ms", "resident MiB"
    );
    for function in FUNCTIONS {
        let program = &programs[function];
        let mut times = Vec::with_capacity(starts);
        let mut resident = 0;
        for _ in 0..starts {
            let mut command = Command::new(program);
            command
                .env_clear()
                .envs(&stack.runner.provisioned().environment[function])
                .env("AWS_LAMBDA_RUNTIME_API", &address)
                .env("AWS_LAMBDA_FUNCTION_NAME", function)
                .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
                .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769")
                .env("AWS_REGION", "eu-west-1")
                .env("AWS_ACCESS_KEY_ID", "test")
                .env("AWS_SECRET_ACCESS_KEY", "test")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .kill_on_drop(true);
            let started = Instant::now();
            let mut process = command.spawn().unwrap();
            let (mut connection, _) = listener.accept().await.unwrap();
            connection.readable().await.unwrap();
            times.push(started.elapsed().as_secs_f64() * 1_000.0);
            let mut first = [0; NEXT.len()];
            connection.read_exact(&mut first).await.unwrap();
            assert_eq!(first, *NEXT, "`{function}` asks for something else first");
            resident = measure::peak_memory_bytes(process.id().unwrap());
            process.kill().await.unwrap();
        }
        times.sort_by(f64::total_cmp);
        println!(
            "{function:20}{:>10.1}{:>14.1}{:>10.1}{:>14.1}",
            std::fs::metadata(program).unwrap().len() as f64 / 1e6,
            times[times.len() / 2],
            times[0],
            resident as f64 / (1024.0 * 1024.0),
        );
    }
    stack.runner.shutdown().await;
}

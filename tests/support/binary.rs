//! A function's binary as Lambda runs it: started with the environment of the template, asking the
//! Runtime API for events, which are those of `events/<function>/`.

#![allow(
    clippy::print_stdout,
    reason = "a test's figure goes to whoever runs it with `--nocapture`"
)]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use lambda_simulator::{InvocationStatus, Simulator, SimulatorPhase};
use oubli_local::clock::EngineClock;
use oubli_local::runner::{Runner, RunnerOptions, TokenRequest};
use serde_json::{Map, Value};
use tokio::process::{Child, Command};

use crate::Stack;

/// Longer than anything here takes on a slow machine; only a test that fails waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Settings that a function does without.
const OPTIONAL: [&str; 2] = ["OUBLI_ALLOWED_ORIGINS", "OUBLI_LOG"];

/// Fields of the events whose values are about people, and never logged.
const PERSONAL: [&str; 5] = ["name", "email", "first_name", "last_name", "authorization"];

/// What a function answered: a payload, or what it reports as its error.
pub type Answered = Result<Value, FunctionError>;

/// A function error, as Lambda shows it to whoever invoked the function.
#[derive(Clone, Debug)]
pub struct FunctionError {
    pub error_type: String,
    pub message: String,
}

/// A running binary, with AWS and the issuer of tokens that it needs.
pub struct Binary {
    stack: Stack,
    simulator: Simulator,
    process: Child,
    /// From the start of the process to its first `/next`.
    pub init: Duration,
}

impl Binary {
    /// Starts the binary `path` of the function and waits until it asks for its first event.
    pub async fn start(function: &str, path: &str) -> Self {
        let (stack, simulator) = Box::pin(surroundings(function)).await;
        let mut command = command(function, path, &stack.runner, &simulator);
        let started = Instant::now();
        let process = command.spawn().unwrap();
        let ready = simulator.wait_for_phase(SimulatorPhase::Ready, PATIENCE).await;
        let init = started.elapsed();
        let binary = Self {
            stack,
            simulator,
            process,
            init,
        };
        if ready.is_err() {
            panic!(
                "`{function}` asked for no event; it wrote {:?}",
                binary.stop().await
            );
        }
        binary
    }

    /// Gives it an event and waits for its answer.
    pub async fn invoke(&self, event: &Value) -> Answered {
        let request_id = self.simulator.enqueue_payload(event.clone()).await;
        let ended = self
            .simulator
            .wait_for_invocation_complete(&request_id, PATIENCE)
            .await
            .unwrap();
        match ended.status {
            InvocationStatus::Success => Ok(ended.response.unwrap().payload),
            InvocationStatus::Error => {
                let error = ended.error.unwrap();
                Err(FunctionError {
                    error_type: error.error_type,
                    message: error.error_message,
                })
            }
            other => panic!("ended as {other:?}"),
        }
    }

    /// What it speaks to; the functions of this process speak to it too.
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// The most memory that the process ever had resident, in bytes; `None` where the system does not tell.
    pub fn peak_resident_bytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kib * 1024)
    }

    /// A bearer token of the tenant `demo`'s member `agent`.
    pub fn agents_token(&self) -> String {
        let request = TokenRequest::Staff {
            tenant: "demo".to_owned(),
            member: "agent".to_owned(),
            email: "agent@demo.example.com".to_owned(),
        };
        let now = self.stack.now();
        self.stack.runner.identity().token(&request, now).unwrap().0
    }

    /// Ends it as Lambda does, without a word, and tells what it wrote.
    pub async fn stop(mut self) -> Output {
        self.process.start_kill().unwrap();
        let output = self.process.wait_with_output().await.unwrap();
        self.simulator.shutdown().await;
        self.stack.runner.shutdown().await;
        output
    }
}

/// AWS and the issuer with the tenant `demo`, and the Runtime API. Binaries have the system's time.
async fn surroundings(function: &str) -> (Stack, Simulator) {
    let stack = Stack::start_with(RunnerOptions::ephemeral(EngineClock::system(0))).await;
    let simulator = Simulator::builder()
        .function_name(function)
        .region("eu-west-1")
        .invocation_timeout(PATIENCE)
        .build()
        .await
        .unwrap();
    (stack, simulator)
}

/// The binary with the environment that the template and Lambda give it, and no more.
fn command(function: &str, path: &str, runner: &Runner, simulator: &Simulator) -> Command {
    let mut command = Command::new(path);
    command
        .env_clear()
        .envs(simulator.lambda_env_vars())
        .envs(&runner.provisioned().environment[function])
        .env("AWS_ENDPOINT_URL", runner.aws_url())
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Every event of the function, by file name.
pub fn events(function: &str) -> Vec<(String, Value)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("../events").join(function);
    let mut events: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let event = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            (path.file_name().unwrap().to_str().unwrap().to_owned(), event)
        })
        .collect();
    events.sort_by(|one, other| one.0.cmp(&other.0));
    assert!(!events.is_empty(), "{} is empty", folder.display());
    events
}

/// Gives a function every event there is of it, twice, since a warm one gets many. Names that begin
/// with `bad-` must end in a function error; of the others' answers `check` decides.
pub async fn answers_every_event(function: &str, path: &str, check: impl Fn(&str, &Value, u32, &Value)) {
    let binary = Box::pin(Binary::start(function, path)).await;
    println!(
        "{function}: {:.1} ms from start to first `/next` (not optimised)",
        binary.init.as_secs_f64() * 1_000.0
    );
    let events = events(function);
    for round in [1, 2] {
        for (name, event) in &events {
            let event = with_token(event, &binary.agents_token());
            match (name.starts_with("bad-"), binary.invoke(&event).await) {
                (false, Ok(answer)) => check(name, &event, round, &answer),
                (true, Err(error)) => assert!(
                    !error.error_type.is_empty() && !error.message.is_empty(),
                    "{name}: {error:?}"
                ),
                (_, answered) => panic!("{name}: {answered:?}"),
            }
        }
    }
    let events: Vec<_> = events.into_iter().map(|(_, event)| event).collect();
    logs_are_json_and_name_nobody(&binary.stop().await, &events);
}

/// As [`answers_every_event`], for a function that reads a queue: a partial batch response names the
/// records whose bodies are no messages, which are there when the event's name begins with `poison`.
/// A message is an object of exactly these fields, each an id or a number.
pub async fn answers_every_batch(function: &str, path: &str, fields: &[&str]) {
    let check = |name: &str, event: &Value, _: u32, answer: &Value| {
        let records = event["Records"].as_array().unwrap();
        let bad: BTreeSet<_> = records
            .iter()
            .filter(|record| !is_message(record["body"].as_str().unwrap(), fields))
            .map(|record| record["messageId"].as_str().unwrap())
            .collect();
        assert_eq!(!bad.is_empty(), name.starts_with("poison"), "{name}: {bad:?}");
        let failures = answer["batchItemFailures"].as_array().unwrap();
        let named: Vec<_> = failures
            .iter()
            .map(|failure| failure["itemIdentifier"].as_str().unwrap())
            .collect();
        assert_eq!(named.len(), bad.len(), "{name}: {named:?}");
        assert_eq!(named.into_iter().collect::<BTreeSet<_>>(), bad, "{name}");
    };
    Box::pin(answers_every_event(function, path, check)).await;
}

/// Judges a body by itself, not by the types that the functions read it with.
fn is_message(body: &str, fields: &[&str]) -> bool {
    let Ok(Value::Object(message)) = serde_json::from_str(body) else {
        return false;
    };
    let is_id = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    message.keys().map(String::as_str).collect::<BTreeSet<_>>() == fields.iter().copied().collect()
        && message
            .values()
            .all(|value| value.is_u64() || value.as_str().is_some_and(is_id))
}

/// Takes each setting away in turn: the binary says in one line which one it lacks, and exits with 1.
pub async fn tells_each_missing_setting(function: &str, path: &str) {
    let (stack, simulator) = Box::pin(surroundings(function)).await;
    let environment = &stack.runner.provisioned().environment[function];
    let needed: Vec<_> = environment
        .keys()
        .filter(|name| !OPTIONAL.contains(&name.as_str()))
        .collect();
    assert!(!needed.is_empty(), "{environment:?}");
    for name in needed {
        let mut command = command(function, path, &stack.runner, &simulator);
        let process = command.env_remove(name).spawn().unwrap();
        let output = tokio::select! {
            output = process.wait_with_output() => output.unwrap(),
            _ = simulator.wait_for_phase(SimulatorPhase::Ready, PATIENCE) => {
                panic!("`{function}` starts without `{name}`")
            }
        };
        assert_eq!(output.status.code(), Some(1), "`{name}`: {output:?}");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert_eq!(said.lines().count(), 1, "`{name}`: {said}");
        assert!(
            said.contains(name) && said.contains("missing"),
            "`{name}`: {said}"
        );
    }
}

/// The event with the token in the place that it leaves for one.
fn with_token(event: &Value, token: &str) -> Value {
    let text = event.to_string().replace("{{agent}}", token);
    serde_json::from_str(&text).unwrap()
}

fn logs_are_json_and_name_nobody(output: &Output, events: &[Value]) {
    assert!(output.stderr.is_empty(), "{output:?}");
    let logs = std::str::from_utf8(&output.stdout).unwrap();
    for line in logs.lines() {
        let line = serde_json::from_str::<Map<String, Value>>(line);
        assert!(line.is_ok(), "not JSON: {logs}");
    }
    let mut personal = BTreeSet::new();
    for event in events {
        gather_personal(event, &mut personal);
    }
    for value in personal {
        assert!(!logs.contains(&value), "`{value}` is logged: {logs}");
    }
}

/// Every text of a personal field, those in bodies too.
fn gather_personal(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if PERSONAL.contains(&name.as_str()) => {
                        if text.trim().len() > 2 {
                            found.insert(text.clone());
                        }
                    }
                    Value::String(text) if name == "body" => {
                        if let Ok(body) = serde_json::from_str(text) {
                            gather_personal(&body, found);
                        }
                    }
                    _ => gather_personal(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| gather_personal(value, found)),
        _ => {}
    }
}

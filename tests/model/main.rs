//! The model test: random sequences of what members, workers, the clock and brooms do, on Oubli and on a plain
//! model in memory. After each step both must say the same; in the end nothing may be left over.
//!
//! `OUBLI_MODEL_SEQUENCES=10000` runs so many, `OUBLI_MODEL_SEED` begins with another seed than 1. A
//! failing sequence is shrunk and printed; its seed with `OUBLI_MODEL_SEQUENCES=1` runs it again.
#![cfg(test)]

mod compare;
mod member;
mod operation;
mod plain;
mod schedule;
mod sequence;
mod world;

use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures::FutureExt as _;
use proptest::strategy::{Strategy as _, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use operation::Operation;
use sequence::Tally;
use world::World;

/// How many sequences run by default: what two cores do in less than a minute.
const SEQUENCES: u64 = 60;
/// After so many sequences the engines begin anew: they forget nothing by themselves.
const SEQUENCES_PER_WORLD: u64 = 50;
/// How many sequences run side by side.
const LANES: u64 = 2;
/// How often a failing sequence is tried with less in it.
const SHRINKS: usize = 120;

/// What must have happened at least once, or the sequences show nothing.
const REQUIRED: [(&str, &str); 10] = [
    ("export", "done"),
    ("anonymise", "done"),
    ("restore", "done"),
    ("restore archive", "done"),
    ("restore archive, overwrite", "done"),
    ("restore upload", "done"),
    ("edit", "Done"),
    ("delete", "Done"),
    ("add document", "Done"),
    ("two workers", "one item"),
];

/// How many sequences it takes until this has happened too.
const MANY: u64 = 1_000;
const REQUIRED_OF_MANY: [(&str, &str); 6] = [
    ("recovered", "anonymise"),
    ("recovered", "restore"),
    ("woken too late", "anonymise"),
    ("woken too late", "restore"),
    ("anonymise", "failed: action_in_progress"),
    ("anonymise", "failed: archive_expired"),
];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

fn drawn(seed: u64) -> impl ValueTree<Value = Vec<Operation>> {
    let config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    operation::sequence().new_tree(&mut runner).unwrap()
}

/// Runs a sequence; a panic on its way is a divergence too.
async fn run(world: &World, tenant: &str, operations: &[Operation], tally: &mut Tally) -> Result<(), String> {
    let run = sequence::run(world, tenant, operations, tally);
    match std::panic::AssertUnwindSafe(run).catch_unwind().await {
        Ok(ran) => ran,
        Err(_) => Err("a panic".to_owned()),
    }
}

/// The smallest sequence that can be found which still fails.
async fn shrink(seed: u64, mut divergence: String) -> String {
    let mut tree = drawn(seed);
    let mut smallest = tree.current();
    let mut tries = 0;
    let mut is_smaller = tree.simplify();
    while is_smaller && tries < SHRINKS {
        tries += 1;
        let world = World::start().await;
        is_smaller = match run(&world, "shrunk", &tree.current(), &mut Tally::new()).await {
            Ok(()) => tree.complicate(),
            Err(found) => {
                (smallest, divergence) = (tree.current(), found);
                tree.simplify()
            }
        };
    }
    let mut told = format!("OUBLI_MODEL_SEED={seed}, shrunk in {tries} tries to:\n");
    for (number, operation) in smallest.iter().enumerate() {
        writeln!(told, "  {number}: {operation:?}").unwrap();
    }
    told + &divergence
}

/// What all lanes share.
struct Field {
    next: AtomicU64,
    end: u64,
    failed: AtomicBool,
    failures: Mutex<Vec<String>>,
    operations: AtomicU64,
    tally: Mutex<Tally>,
}

impl Field {
    /// Runs sequences until there are no more, or one has failed.
    async fn lane(&self) {
        let mut tally = Tally::new();
        loop {
            let world = World::start().await;
            for _ in 0..SEQUENCES_PER_WORLD {
                let seed = self.next.fetch_add(1, Ordering::SeqCst);
                if seed >= self.end || self.failed.load(Ordering::SeqCst) {
                    for (key, count) in tally {
                        *self.tally.lock().unwrap().entry(key).or_default() += count;
                    }
                    return;
                }
                let operations = drawn(seed).current();
                let count = operations.len() as u64;
                if let Err(divergence) = run(&world, &format!("m{seed}"), &operations, &mut tally).await {
                    self.failed.store(true, Ordering::SeqCst);
                    let told = Box::pin(shrink(seed, divergence)).await;
                    self.failures.lock().unwrap().push(told);
                }
                self.operations.fetch_add(count, Ordering::SeqCst);
            }
        }
    }
}

#[test]
fn oubli_does_what_a_plain_model_does() {
    // Each sequence holds workers at single calls, and moves the clock of the engines.
    if oubli_tests::is_elsewhere() {
        oubli_tests::left_out();
        return;
    }
    let begin = number("OUBLI_MODEL_SEED").unwrap_or(1);
    let count = number("OUBLI_MODEL_SEQUENCES").unwrap_or(SEQUENCES);
    let field = Field {
        next: AtomicU64::new(begin),
        end: begin + count,
        failed: AtomicBool::new(false),
        failures: Mutex::default(),
        operations: AtomicU64::new(0),
        tally: Mutex::default(),
    };
    std::thread::scope(|scope| {
        for _ in 0..LANES.min(count) {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.unwrap().block_on(field.lane());
            });
        }
    });
    let tally = field.tally.into_inner().unwrap();
    let mut told = String::new();
    for ((what, outcome), count) in &tally {
        writeln!(told, "{count:>7}  {what}: {outcome}").unwrap();
    }
    let operations = field.operations.into_inner();
    println!("{told}{count} sequences from seed {begin}, {operations} operations");
    let failures = field.failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    if count >= SEQUENCES {
        let of_many = REQUIRED_OF_MANY.iter().filter(|_| count >= MANY);
        for (what, outcome) in REQUIRED.iter().chain(of_many) {
            let key = ((*what).to_owned(), (*outcome).to_owned());
            assert!(tally.contains_key(&key), "`{what}: {outcome}` never happened");
        }
    }
}

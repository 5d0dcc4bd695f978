//! What benchmarks measure by: the share of the whole to run, processor time, memory.

use std::time::{Duration, Instant};

/// `/proc` counts processor time in hundredths of a second, on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Which share of the whole to run: `OUBLI_BENCH_SCALE`; else all of it under `cargo bench`, and a
/// hundredth when it is only to be seen that the benchmark works (`cargo test --benches`).
pub(crate) fn scale() -> f64 {
    if let Ok(scale) = std::env::var("OUBLI_BENCH_SCALE") {
        return scale
            .parse()
            .expect("OUBLI_BENCH_SCALE must be a number, such as 0.01");
    }
    let whole = std::env::args().any(|argument| argument == "--bench");
    if whole { 1.0 } else { 0.01 }
}

/// A share of `count`, at least `least`.
pub(crate) fn scaled(count: usize, least: usize) -> usize {
    ((count as f64 * scale()) as usize).max(least)
}

/// Time passed, and processor time that a process and its threads took meanwhile.
pub(crate) struct Stopwatch {
    pid: u32,
    started: Instant,
    cpu: f64,
}

impl Stopwatch {
    /// Starts to watch a process.
    pub(crate) fn start(pid: u32) -> Self {
        Self {
            pid,
            started: Instant::now(),
            cpu: cpu_seconds(pid),
        }
    }

    /// What passed since.
    pub(crate) fn stop(&self) -> Spent {
        Spent {
            wall: self.started.elapsed(),
            cpu_seconds: cpu_seconds(self.pid) - self.cpu,
        }
    }
}

/// What something took.
#[derive(Clone, Copy)]
pub(crate) struct Spent {
    pub(crate) wall: Duration,
    pub(crate) cpu_seconds: f64,
}

/// Less processor time than this is mostly the rounding of [`TICKS_PER_SECOND`].
const LEAST_CPU_SECONDS: f64 = 0.1;

impl Spent {
    /// How many times the wall time and the processor time of another this took, as text; `-` for the
    /// latter where it is too little to be counted.
    #[allow(dead_code, reason = "not every benchmark compares")]
    pub(crate) fn beside(self, other: Self) -> String {
        let wall = self.wall.as_secs_f64() / other.wall.as_secs_f64();
        if other.cpu_seconds < LEAST_CPU_SECONDS {
            return format!("time {wall:.2}, CPU -");
        }
        format!("time {wall:.2}, CPU {:.2}", self.cpu_seconds / other.cpu_seconds)
    }
}

/// Processor seconds of a process so far, its own and the system's on its behalf (proc(5)).
fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The second field is the name in parentheses; user and system time are fields 14 and 15.
    let fields: Vec<_> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_ascii_whitespace()
        .collect();
    let ticks = |index: usize| fields[index].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / TICKS_PER_SECOND
}

/// The most memory that a process ever had resident, in bytes.
pub(crate) fn peak_memory_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.unwrap().trim().trim_end_matches("kB").trim();
    kib.parse::<u64>().unwrap() * 1024
}

//! The writer of archives alone, against the `zip` crate, in the same run: MB per processor second.
//!
//! The writer takes a CRC-32 and a SHA-256 of each entry and a SHA-256 of the whole archive; the crate
//! takes a CRC-32. `with SHA-256` is the crate and as many hashes beside it: the same work.
//!
//! ```text
//! cargo bench -p oubli-tests --bench zip
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "benchmarks are test code, and print"
)]

mod content;
#[expect(dead_code, reason = "processor time is taken more finely here")]
mod measure;

use std::hint::black_box;
use std::io::{self, Read as _, Write};

use jiff::Timestamp;
use oubli_archive::zip64::{ArchiveWriter, DEFAULT_PART_BYTES, DosTime, EntryPlan, TRIAL_BYTES};
use oubli_domain::Sha256;
use rustix::time::{ClockId, clock_gettime};
use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, ZipArchive};

use content::{Content, Kind};

const ENTRY_BYTES: u64 = 8 * 1024 * 1024;
const ROUNDS: usize = 5;

fn main() {
    let entries = measure::scaled(16, 1);
    println!("MB per CPU-second, {entries} entries of 8 MiB, the best of {ROUNDS}");
    println!(
        "{:8}{:>10}{:>8}{:>14}{:>8}{:>14}{:>8}{:>16}{:>8}",
        "", "oubli", "size", "zip stored", "ratio", "+ SHA-256", "ratio", "zip deflate 6", "ratio"
    );
    for kind in [Kind::Text, Kind::Noise, Kind::Mixed] {
        let contents: Vec<Vec<u8>> = (0..entries)
            .map(|index| Content::new(kind, index as u64, ENTRY_BYTES).flatten().collect())
            .collect();
        let bytes: usize = contents.iter().map(Vec::len).sum();
        let rate = |write: &dyn Fn(&[Vec<u8>]) -> u64| {
            let mut best = f64::INFINITY;
            let mut size = 0;
            for _ in 0..ROUNDS {
                let before = cpu_seconds();
                size = write(black_box(&contents));
                best = best.min(cpu_seconds() - before);
            }
            let rate = bytes as f64 / 1e6 / best;
            assert!(rate.is_finite() && size > 0, "{rate} MB per second, {size} bytes");
            (rate, size as f64 / bytes as f64)
        };
        check(&contents);
        let (ours, size) = rate(&|contents| {
            let mut size = 0;
            oubli(contents, &mut |part| size += black_box(part).len() as u64);
            size
        });
        let (stored, _) = rate(&|contents| crates(contents, CompressionMethod::Stored, false));
        let (hashed, _) = rate(&|contents| crates(contents, CompressionMethod::Stored, true));
        let (deflated, _) = rate(&|contents| crates(contents, CompressionMethod::Deflated, false));
        println!(
            "{:8}{ours:>10.0}{size:>8.3}{stored:>14.0}{:>8.2}{hashed:>14.0}{:>8.2}{deflated:>16.0}{:>8.2}",
            format!("{kind:?}"),
            ours / stored,
            ours / hashed,
            ours / deflated,
        );
    }
}

/// Processor seconds of this thread, the only one at work: `CLOCK_THREAD_CPUTIME_ID`, which counts
/// nanoseconds (clock_gettime(2)).
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Reads the archive of the writer with the crate: what was measured is an archive of these contents.
fn check(contents: &[Vec<u8>]) {
    let mut archive = Vec::new();
    oubli(contents, &mut |part| archive.extend_from_slice(part));
    let mut archive = ZipArchive::new(io::Cursor::new(archive)).unwrap();
    assert_eq!(archive.len(), contents.len());
    for (index, content) in contents.iter().enumerate() {
        let mut entry = archive.by_index(index).unwrap();
        let mut read = Vec::with_capacity(content.len());
        entry.read_to_end(&mut read).unwrap();
        assert!(read == *content, "entry {index} is not what was written");
    }
}

/// Writes an archive of these contents, and gives its parts to `take`.
fn oubli(contents: &[Vec<u8>], take: &mut dyn FnMut(&[u8])) {
    let mut writer = ArchiveWriter::new(DEFAULT_PART_BYTES);
    let mut take = |writer: &mut ArchiveWriter| {
        while let Some(part) = writer.take_part().unwrap() {
            take(&part);
        }
    };
    for (index, content) in contents.iter().enumerate() {
        let plan = EntryPlan {
            name: &format!("documents/{index}"),
            size_bytes: content.len() as u64,
            crc32: None,
            modified: DosTime::from_timestamp(Timestamp::UNIX_EPOCH),
        };
        let (head, rest) = content.split_at(TRIAL_BYTES);
        writer.start_entry(&plan, head).unwrap();
        for chunk in rest.chunks(TRIAL_BYTES) {
            writer.write(chunk).unwrap();
        }
        writer.finish_entry().unwrap();
        take(&mut writer);
    }
    writer.finish().unwrap();
    take(&mut writer);
}

fn crates(contents: &[Vec<u8>], method: CompressionMethod, hashed: bool) -> u64 {
    let mut writer = ZipWriter::new_stream(Counted(0));
    let options = SimpleFileOptions::default().compression_method(method);
    let options = match method {
        CompressionMethod::Deflated => options.compression_level(Some(6)),
        _ => options,
    };
    for (index, content) in contents.iter().enumerate() {
        writer.start_file(format!("documents/{index}"), options).unwrap();
        for chunk in content.chunks(TRIAL_BYTES) {
            writer.write_all(chunk).unwrap();
        }
        if hashed {
            // Of the entry, and of its share of the archive.
            black_box((Sha256::of(content), Sha256::of(content)));
        }
    }
    writer.finish().unwrap().into_inner().0
}

/// Where the crate writes to.
struct Counted(u64);

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += black_box(bytes).len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! The index on disk: a file of lines, each a checksum and a batch of records, only ever appended to.
//!
//! A batch is one line, so that it counts whole or not at all: a process killed in the middle of a line
//! leaves a line without an end, which the next opening drops (nobody was told that it was done). Any
//! other line that does not match its checksum is damage.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use crc_fast::{CrcAlgorithm, checksum};

use super::record::Record;

/// Why a journal cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum JournalError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("line {0} does not match its checksum")]
    Damaged(usize),
}

/// The open end of the journal.
pub(super) struct Journal {
    file: File,
    size_bytes: u64,
}

impl Journal {
    /// Reads every whole batch of the file at `path`, handing each to `take` with its line number.
    ///
    /// An absent file is an empty one. Returns how many bytes hold whole lines.
    pub(super) fn read<E: From<JournalError>>(
        path: &Path,
        mut take: impl FnMut(usize, Vec<Record>) -> Result<(), E>,
    ) -> Result<u64, E> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            other => other.map_err(JournalError::from)?,
        };
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let mut line = Vec::new();
        let mut size_bytes = 0;
        for number in 1.. {
            line.clear();
            let count = reader.read_until(b'\n', &mut line).map_err(JournalError::from)?;
            if line.pop() != Some(b'\n') {
                break;
            }
            let records = parse(&line).ok_or(JournalError::Damaged(number))?;
            take(number, records)?;
            size_bytes += count as u64;
        }
        Ok(size_bytes)
    }

    /// Opens the file for appending after its first `size_bytes`; what follows them is dropped.
    pub(super) fn open(path: &Path, size_bytes: u64) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        file.set_len(size_bytes)?;
        Ok(Self { file, size_bytes })
    }

    /// Replaces the file at `path` by one that holds just `batches`, in one step.
    pub(super) fn replace(path: &Path, batches: impl Iterator<Item = Vec<Record>>) -> io::Result<Self> {
        let temporary: PathBuf = path.with_extension("new");
        let mut writer = BufWriter::with_capacity(1 << 20, File::create(&temporary)?);
        let mut size_bytes = 0;
        for batch in batches {
            let line = format(&batch)?;
            writer.write_all(&line)?;
            size_bytes += line.len() as u64;
        }
        writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        fs::rename(&temporary, path)?;
        Self::open(path, size_bytes)
    }

    /// Appends one batch. When that fails nothing of it stays.
    pub(super) fn append(&mut self, batch: &[Record]) -> io::Result<()> {
        let line = format(batch)?;
        if let Err(error) = self.file.write_all(&line) {
            self.file.set_len(self.size_bytes)?;
            return Err(error);
        }
        self.size_bytes += line.len() as u64;
        Ok(())
    }
}

fn format(batch: &[Record]) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(batch)?;
    let mut line = format!("{:08x} ", checksum(CrcAlgorithm::Crc32IsoHdlc, &json)).into_bytes();
    line.extend(json);
    line.push(b'\n');
    Ok(line)
}

fn parse(line: &[u8]) -> Option<Vec<Record>> {
    let (sum, json) = line.split_at_checked(9)?;
    let sum = sum.strip_suffix(b" ")?;
    let sum = u64::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
    if sum != checksum(CrcAlgorithm::Crc32IsoHdlc, json) {
        return None;
    }
    serde_json::from_slice(json).ok()
}

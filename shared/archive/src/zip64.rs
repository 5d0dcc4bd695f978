//! A ZIP64 writer that makes no call and needs no file: bytes go in, parts of the archive come out.
//!
//! The `zip` crate marks every streamed entry with a data descriptor, and readers that stream (Java's
//! `ZipInputStream`, `bsdtar` from a pipe) refuse stored entries that have one. Here the size of an entry is
//! always known beforehand, and its header is whole whenever it can be:
//!
//! | entry | header |
//! |---|---|
//! | up to [`PATCH_WINDOW_BYTES`] | patched when the entry ends, its part still being in memory |
//! | larger, stored | holds the CRC-32, which the caller must know ([`ZipError::CrcNeeded`] otherwise) |
//! | larger, deflated | flag bit 3, a data descriptor behind the data |
//!
//! Which row applies depends on size and content alone: the same entries give the same bytes, whatever the
//! size of the parts, the cut of the chunks, and whether the CRC-32 was known.
//!
//! An archive appears whole or not at all: after an error (other than `CrcNeeded`) nothing more comes out.

mod central_directory;
mod compression;
mod directory;
mod dos_time;
mod error;
mod format;
mod output;
mod source;
mod unpacking;

use bytes::Bytes;
use oubli_domain::{Crc32, Sha256};

use crate::hashes::ContentHasher;
use central_directory::CentralDirectory;
use compression::Compressor;
use format::{U32_SENTINEL, end_of_central_directory};
use output::Output;

pub use compression::TRIAL_BYTES;
pub(crate) use directory::read_central_directory;
pub use directory::{DirectoryEntry, DirectoryError, read_directory};
pub use dos_time::DosTime;
pub use error::ZipError;
pub(crate) use format::EntryHeader;
pub use format::Method;
pub(crate) use unpacking::{Entries, UnpackError};

/// The usual size of a part: S3 takes 10,000 parts of at least 5 MiB, so 8 MiB reaches beyond
/// [`MAX_ARCHIVE_BYTES`].
pub const DEFAULT_PART_BYTES: usize = 8 * 1024 * 1024;
/// Entries up to this size stay in memory until they end.
pub const PATCH_WINDOW_BYTES: u64 = 8 * 1024 * 1024;
/// The largest archive: 20 GiB.
pub const MAX_ARCHIVE_BYTES: u64 = 20 * 1024 * 1024 * 1024;
/// The most entries of an archive.
pub const MAX_ENTRIES: u64 = 100_000;

/// Deflate can make a content larger, and whether a header is ZIP64 must be known before the data: close
/// below 4 GiB an entry is stored, so that its compressed size cannot cross the line on its own.
const DEFLATE_MARGIN_BYTES: u64 = 64 * 1024 * 1024;

/// What is known of an entry before its content.
#[derive(Clone, Copy, Debug)]
pub struct EntryPlan<'a> {
    /// Path in the archive, `/` between folders; safe ([`crate::names`]) and unique.
    pub name: &'a str,
    /// Exact size of the content.
    pub size_bytes: u64,
    /// CRC-32 of the content, if known. It is checked.
    pub crc32: Option<Crc32>,
    /// Date and time that readers show.
    pub modified: DosTime,
}

/// An entry that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryRecord {
    /// Size of the content.
    pub size_bytes: u64,
    /// Size in the archive, headers apart.
    pub compressed_size_bytes: u64,
    /// CRC-32 of the content.
    pub crc32: Crc32,
    /// SHA-256 of the content.
    pub sha256: Sha256,
    /// How it was kept.
    pub method: Method,
    /// Where its local header begins in the archive.
    pub offset_bytes: u64,
}

/// An archive that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchiveSummary {
    /// Size of the whole file.
    pub size_bytes: u64,
    /// SHA-256 of the whole file.
    pub sha256: Sha256,
    /// Number of entries.
    pub entries: u64,
}

#[derive(Clone, Copy)]
struct Limits {
    patch_window_bytes: u64,
    archive_bytes: u64,
    entries: u64,
}

const LIMITS: Limits = Limits {
    patch_window_bytes: PATCH_WINDOW_BYTES,
    archive_bytes: MAX_ARCHIVE_BYTES,
    entries: MAX_ENTRIES,
};

struct OpenEntry {
    header: EntryHeader,
    expected_crc32: Option<Crc32>,
    /// Header (still in memory) to be written again with what was learned.
    patched: bool,
    data_start: u64,
    /// The whole content was in the head and its compressed form is out already.
    compressed_whole: bool,
    hasher: ContentHasher,
}

enum State {
    Between,
    Entry(Box<OpenEntry>),
    Finished,
    Poisoned,
}

/// Writes one archive. See the [module](self) for the rules.
///
/// Memory: up to a part, [`PATCH_WINDOW_BYTES`], the central directory, and 0.7 MiB for the compressor.
pub struct ArchiveWriter {
    output: Output,
    directory: CentralDirectory,
    compressor: Compressor,
    limits: Limits,
    state: State,
}

impl ArchiveWriter {
    /// An empty archive that comes out in parts of `part_size_bytes` (zero counts as one).
    pub fn new(part_size_bytes: usize) -> Self {
        Self::with_limits(part_size_bytes, LIMITS)
    }

    fn with_limits(part_size_bytes: usize, limits: Limits) -> Self {
        Self {
            output: Output::new(part_size_bytes),
            directory: CentralDirectory::default(),
            compressor: Compressor::new(),
            limits,
            state: State::Between,
        }
    }

    /// Begins an entry and writes `head`, the beginning of its content: at least [`TRIAL_BYTES`] of it, or
    /// all of it when it is shorter. The head decides between Stored and Deflate.
    ///
    /// # Errors
    /// [`ZipError::CrcNeeded`]: nothing happened, learn the CRC-32 and start again. Any other error ends
    /// the archive.
    pub fn start_entry(&mut self, plan: &EntryPlan<'_>, head: &[u8]) -> Result<(), ZipError> {
        let started = self.open_entry(plan, head).and_then(|()| {
            if matches!(&self.state, State::Entry(open) if open.compressed_whole) {
                return Ok(());
            }
            self.write_content(head)
        });
        self.poison_on_error(started)
    }

    /// Writes the next bytes of the open entry.
    ///
    /// # Errors
    /// [`ZipError`] when the content is longer than planned or the archive too large; it ends the archive.
    pub fn write(&mut self, data: &[u8]) -> Result<(), ZipError> {
        let written = self.write_content(data);
        self.poison_on_error(written)
    }

    /// Ends the open entry.
    ///
    /// # Errors
    /// [`ZipError`] when size or CRC-32 are not what the plan said; it ends the archive.
    pub fn finish_entry(&mut self) -> Result<EntryRecord, ZipError> {
        let finished = self.close_entry();
        self.poison_on_error(finished)
    }

    /// Writes the central directory. What is left is then taken with [`Self::take_part`].
    ///
    /// # Errors
    /// [`ZipError`] when an entry is open or the archive too large; it ends the archive.
    pub fn finish(&mut self) -> Result<ArchiveSummary, ZipError> {
        let finished = self.close_archive();
        self.poison_on_error(finished)
    }

    /// The next full part, or `None` when there is none yet. After [`Self::finish`] also the last, shorter
    /// one, then `None` for good.
    ///
    /// # Errors
    /// [`ZipError::Poisoned`] after any error.
    pub fn take_part(&mut self) -> Result<Option<Bytes>, ZipError> {
        match &self.state {
            State::Poisoned => Err(ZipError::Poisoned),
            State::Finished => Ok(self.output.take_front()),
            State::Entry(open) if open.patched => Ok(self.output.take_full_part(open.header.offset)),
            State::Entry(_) | State::Between => Ok(self.output.take_full_part(self.output.position())),
        }
    }

    /// Gives the archive up: nothing more comes out.
    pub fn abandon(&mut self) {
        self.state = State::Poisoned;
    }

    /// Length of the archive so far.
    pub fn position_bytes(&self) -> u64 {
        self.output.position()
    }

    fn open_entry(&mut self, plan: &EntryPlan<'_>, head: &[u8]) -> Result<(), ZipError> {
        self.expect_between()?;
        if !name_is_safe(plan.name) {
            return Err(ZipError::UnsafeName);
        }
        if self.directory.entries() >= self.limits.entries {
            return Err(ZipError::TooManyEntries {
                limit: self.limits.entries,
            });
        }
        let given = head.len() as u64;
        if given > plan.size_bytes {
            return Err(ZipError::SizeMismatch {
                expected: plan.size_bytes,
                actual: given,
            });
        }
        let needed = plan.size_bytes.min(TRIAL_BYTES as u64) as usize;
        let Some(trial_head) = head.get(..needed) else {
            return Err(ZipError::HeadTooShort {
                needed,
                given: head.len(),
            });
        };

        let compressed = if deflate_is_possible(plan.size_bytes) {
            self.compressor.trial(trial_head)?
        } else {
            None
        };
        let method = if compressed.is_some() {
            Method::Deflated
        } else {
            Method::Stored
        };
        let patched = plan.size_bytes <= self.limits.patch_window_bytes;
        if method == Method::Stored && !patched && plan.crc32.is_none() {
            return Err(ZipError::CrcNeeded {
                size_bytes: plan.size_bytes,
            });
        }
        let header = EntryHeader {
            name: plan.name.to_owned(),
            method,
            modified: plan.modified,
            crc32: plan.crc32.map_or(0, Crc32::value),
            size: plan.size_bytes,
            compressed_size: if method == Method::Stored {
                plan.size_bytes
            } else {
                0
            },
            offset: self.output.position(),
            descriptor: method == Method::Deflated && !patched,
        };
        self.output.append(&header.local());
        if header.compressed_size > self.limits.archive_bytes.saturating_sub(self.output.position()) {
            return Err(ZipError::ArchiveTooLarge {
                limit_bytes: self.limits.archive_bytes,
            });
        }
        let mut open = OpenEntry {
            header,
            expected_crc32: plan.crc32,
            patched,
            data_start: self.output.position(),
            compressed_whole: false,
            hasher: ContentHasher::new(),
        };
        // The trial of a small entry is its compression.
        if let Some(compressed) = compressed
            && plan.size_bytes == needed as u64
        {
            self.output.append(compressed);
            open.hasher.update(head);
            open.compressed_whole = true;
        }
        self.state = State::Entry(Box::new(open));
        self.check_size()
    }

    fn write_content(&mut self, data: &[u8]) -> Result<(), ZipError> {
        let open = match &mut self.state {
            State::Entry(open) => open,
            State::Poisoned => return Err(ZipError::Poisoned),
            State::Between | State::Finished => return Err(ZipError::OutOfOrder),
        };
        let actual = open.hasher.size_bytes().saturating_add(data.len() as u64);
        if actual > open.header.size {
            return Err(ZipError::SizeMismatch {
                expected: open.header.size,
                actual,
            });
        }
        open.hasher.update(data);
        match open.header.method {
            Method::Stored => self.output.append(data),
            Method::Deflated => self
                .compressor
                .write(data, &mut |bytes| self.output.append(bytes))?,
        }
        self.check_size()
    }

    fn close_entry(&mut self) -> Result<EntryRecord, ZipError> {
        let mut open = match std::mem::replace(&mut self.state, State::Between) {
            State::Entry(open) => open,
            State::Poisoned => return Err(ZipError::Poisoned),
            State::Between | State::Finished => return Err(ZipError::OutOfOrder),
        };
        if open.header.method == Method::Deflated && !open.compressed_whole {
            self.compressor.finish(&mut |bytes| self.output.append(bytes))?;
        }
        let hashes = open.hasher.finish();
        if hashes.size_bytes != open.header.size {
            return Err(ZipError::SizeMismatch {
                expected: open.header.size,
                actual: hashes.size_bytes,
            });
        }
        if open
            .expected_crc32
            .is_some_and(|expected| expected != hashes.crc32)
        {
            return Err(ZipError::CrcMismatch);
        }
        let header = &mut open.header;
        header.crc32 = hashes.crc32.value();
        header.compressed_size = self.output.position() - open.data_start;
        if open.patched {
            self.output.patch(header.offset, &header.local())?;
        } else if header.descriptor {
            self.output.append(&header.data_descriptor());
        }
        self.directory.push(header);
        self.check_size()?;
        Ok(EntryRecord {
            size_bytes: header.size,
            compressed_size_bytes: header.compressed_size,
            crc32: hashes.crc32,
            sha256: hashes.sha256,
            method: header.method,
            offset_bytes: header.offset,
        })
    }

    fn close_archive(&mut self) -> Result<ArchiveSummary, ZipError> {
        self.expect_between()?;
        let (entries, size) = (self.directory.entries(), self.directory.size_bytes());
        let offset = self.output.position();
        for records in self.directory.drain() {
            self.output.append(&records);
        }
        self.output
            .append(&end_of_central_directory(entries, offset, size));
        self.check_size()?;
        let sha256 = self.output.seal().ok_or(ZipError::OutOfOrder)?;
        self.state = State::Finished;
        Ok(ArchiveSummary {
            size_bytes: self.output.position(),
            sha256,
            entries,
        })
    }

    fn expect_between(&self) -> Result<(), ZipError> {
        match self.state {
            State::Between => Ok(()),
            State::Poisoned => Err(ZipError::Poisoned),
            State::Entry(_) | State::Finished => Err(ZipError::OutOfOrder),
        }
    }

    fn check_size(&self) -> Result<(), ZipError> {
        if self.output.position() > self.limits.archive_bytes {
            return Err(ZipError::ArchiveTooLarge {
                limit_bytes: self.limits.archive_bytes,
            });
        }
        Ok(())
    }

    fn poison_on_error<T>(&mut self, result: Result<T, ZipError>) -> Result<T, ZipError> {
        if let Err(error) = &result
            && !matches!(error, ZipError::CrcNeeded { .. })
        {
            self.state = State::Poisoned;
        }
        result
    }
}

fn deflate_is_possible(size_bytes: u64) -> bool {
    !(U32_SENTINEL - DEFLATE_MARGIN_BYTES..=U32_SENTINEL).contains(&size_bytes)
}

/// The last line of defence: names are made by [`crate::names`].
fn name_is_safe(name: &str) -> bool {
    name.len() <= usize::from(u16::MAX)
        && !name.contains(|c: char| c.is_control() || matches!(c, '\\' | ':'))
        && name.split('/').all(|step| !matches!(step, "" | "." | ".."))
}

#[cfg(test)]
mod tests;

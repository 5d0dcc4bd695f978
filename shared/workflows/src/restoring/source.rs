//! An archive in S3 as a file to be read and sought: the bytes that were looked at, and no others.

use std::collections::VecDeque;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use bytes::Bytes;
use oubli_cloud::{Cloud, CloudError, SavedSource};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tracing::Instrument;

/// An archive up to this size is read in one request, in bytes.
const WHOLE_BYTES: u64 = 8 * 1024 * 1024;
/// What is read after a jump, in bytes: what lies there may be all that is wanted.
const FIRST_BYTES: u64 = 128 * 1024;
/// How much more is read with each step forward.
const GROWTH: u64 = 4;
/// The most that is read in one request, in bytes.
const WINDOW_BYTES: u64 = 4 * 1024 * 1024;
/// How many requests are ahead of the reader at most.
const WINDOWS_AHEAD: usize = 3;
/// How often bytes are asked for before the archive is given up for now.
const READS: usize = 3;

/// Why the bytes of an archive cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum SourceError {
    /// They are gone, or others came to their place.
    #[error("the archive is not the one that was looked at")]
    Moved,
    /// S3 fails.
    #[error(transparent)]
    Cloud(#[from] CloudError),
    /// The program does.
    #[error("a read did not end")]
    Task(#[from] tokio::task::JoinError),
}

impl SourceError {
    /// The error of ours behind one of `std`, if it is one.
    pub(super) fn of(error: io::Error) -> Result<Self, io::Error> {
        error.downcast()
    }
}

type Window = Result<Bytes, SourceError>;

/// A stretch that is being read.
struct Ahead {
    from: u64,
    to: u64,
    bytes: JoinHandle<Window>,
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.bytes.abort();
    }
}

/// Reads an archive. It blocks, so it belongs on a thread for that; the requests are made by the runtime.
pub(super) struct RangedReader {
    cloud: Cloud,
    source: Arc<SavedSource>,
    runtime: Handle,
    at: u64,
    window_from: u64,
    window: Bytes,
    ahead: VecDeque<Ahead>,
}

impl RangedReader {
    /// A reader whose requests the present runtime makes.
    pub(super) fn new(cloud: Cloud, source: SavedSource) -> Self {
        Self {
            cloud,
            source: Arc::new(source),
            runtime: Handle::current(),
            at: 0,
            window_from: 0,
            window: Bytes::new(),
            ahead: VecDeque::new(),
        }
    }

    fn window_to(&self) -> u64 {
        self.window_from.saturating_add(self.window.len() as u64)
    }

    fn begin(&self, from: u64, to: u64) -> Ahead {
        let (cloud, source) = (self.cloud.clone(), self.source.clone());
        let read = async move { read_patiently(&cloud, &source, from, to).await };
        Ahead {
            from,
            to,
            bytes: self.runtime.spawn(read.in_current_span()),
        }
    }

    /// Brings the window to where the reader stands.
    fn load(&mut self) -> Result<(), SourceError> {
        let size = self.source.size_bytes;
        while self.ahead.front().is_some_and(|ahead| ahead.to <= self.at) {
            self.ahead.pop_front();
        }
        let goes_on = self.at == self.window_to() && !self.window.is_empty();
        let mut ahead = match self.ahead.pop_front().filter(|ahead| ahead.from <= self.at) {
            Some(ahead) => ahead,
            None => {
                self.ahead.clear();
                let length = if goes_on {
                    (self.window.len() as u64)
                        .saturating_mul(GROWTH)
                        .min(WINDOW_BYTES)
                } else {
                    FIRST_BYTES
                };
                let (from, to) = if size <= WHOLE_BYTES {
                    (0, size)
                } else {
                    (self.at, self.at.saturating_add(length).min(size))
                };
                self.begin(from, to)
            }
        };
        // What was read is let go before more is waited for.
        self.window = Bytes::new();
        if ahead.to - ahead.from == WINDOW_BYTES {
            self.read_ahead(ahead.to);
        }
        self.window = self.runtime.block_on(&mut ahead.bytes)??;
        self.window_from = ahead.from;
        Ok(())
    }

    /// Asks for what comes next, since the reader goes straight on.
    fn read_ahead(&mut self, after: u64) {
        let mut from = self.ahead.back().map_or(after, |last| last.to);
        while self.ahead.len() < WINDOWS_AHEAD && from < self.source.size_bytes {
            let to = from.saturating_add(WINDOW_BYTES).min(self.source.size_bytes);
            let next = self.begin(from, to);
            self.ahead.push_back(next);
            from = to;
        }
    }
}

/// Reads a stretch, again if its connection breaks: of the thousands that a large archive needs, one does.
async fn read_patiently(cloud: &Cloud, source: &SavedSource, from: u64, to: u64) -> Window {
    for _ in 1..READS {
        match cloud.read_saved(source, from, to).await {
            Err(error) => tracing::info!(%error, "a part of an archive is read again"),
            Ok(read) => return read.ok_or(SourceError::Moved),
        }
    }
    cloud
        .read_saved(source, from, to)
        .await?
        .ok_or(SourceError::Moved)
}

impl Read for RangedReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.source.size_bytes || into.is_empty() {
            return Ok(0);
        }
        if !(self.window_from..self.window_to()).contains(&self.at) {
            self.load().map_err(io::Error::other)?;
        }
        let offset = usize::try_from(self.at - self.window_from).map_err(io::Error::other)?;
        let here = self.window.get(offset..).unwrap_or_default();
        let count = here.len().min(into.len());
        if let (Some(to), Some(from)) = (into.get_mut(..count), here.get(..count)) {
            to.copy_from_slice(from);
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for RangedReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(to) => Some(to),
            SeekFrom::End(by) => self.source.size_bytes.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = to.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

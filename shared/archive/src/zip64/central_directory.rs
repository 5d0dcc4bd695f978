//! The central directory while the archive grows.

use super::format::EntryHeader;

const CHUNK_BYTES: usize = 256 * 1024;

/// Encoded records, in chunks: 100,000 entries with names of 120 bytes are 17 MB, and a single growing
/// vector would need twice that whenever it moves.
#[derive(Default)]
pub(super) struct CentralDirectory {
    chunks: Vec<Vec<u8>>,
    entries: u64,
    size_bytes: u64,
}

impl CentralDirectory {
    pub(super) fn push(&mut self, header: &EntryHeader) {
        let record = header.central();
        self.entries += 1;
        self.size_bytes += record.len() as u64;
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() + record.len() <= CHUNK_BYTES => chunk.extend_from_slice(&record),
            // An archive of a few entries keeps a few hundred bytes; only a long one takes whole chunks.
            last => {
                let mut chunk = Vec::with_capacity(if last.is_some() { CHUNK_BYTES } else { record.len() });
                chunk.extend_from_slice(&record);
                self.chunks.push(chunk);
            }
        }
    }

    pub(super) fn entries(&self) -> u64 {
        self.entries
    }

    pub(super) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Hands the records out in order, and their memory with them.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Vec<u8>> + '_ {
        self.chunks.drain(..)
    }
}

//! The two hashes of a content, taken in one pass over its bytes.

use aws_lc_rs::digest::{Context, SHA256};
use crc_fast::{CrcAlgorithm, Digest};
use oubli_domain::{Crc32, Sha256};

/// What is known of a content once every byte of it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentHashes {
    /// How many bytes it has.
    pub size_bytes: u64,
    /// CRC-32 as ZIP wants it (ISO-HDLC).
    pub crc32: Crc32,
    /// SHA-256.
    pub sha256: Sha256,
}

/// Takes a content in chunks of any size and hashes it.
pub struct ContentHasher {
    size_bytes: u64,
    crc32: Digest,
    sha256: Context,
}

impl ContentHasher {
    /// A hasher that has seen nothing yet.
    pub fn new() -> Self {
        Self {
            size_bytes: 0,
            crc32: Digest::new(CrcAlgorithm::Crc32IsoHdlc),
            sha256: Context::new(&SHA256),
        }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.size_bytes += bytes.len() as u64;
        self.crc32.update(bytes);
        self.sha256.update(bytes);
    }

    /// How many bytes were taken so far.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The hashes of everything that was taken.
    pub fn finish(self) -> ContentHashes {
        ContentHashes {
            size_bytes: self.size_bytes,
            // The crate computes every width in 64 bits; a CRC-32 fills the lower half.
            crc32: Crc32::new((self.crc32.finalize() & 0xFFFF_FFFF) as u32),
            sha256: finish_sha256(self.sha256),
        }
    }
}

impl Default for ContentHasher {
    fn default() -> Self {
        Self::new()
    }
}

pub(crate) fn finish_sha256(context: Context) -> Sha256 {
    let digest = context.finish();
    let mut bytes = [0; 32];
    for (to, from) in bytes.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    Sha256::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_of_any_size_give_the_check_values() {
        let mut hasher = ContentHasher::new();
        for chunk in [&b"1234"[..], b"", b"56789"] {
            hasher.update(chunk);
        }
        let hashes = hasher.finish();
        assert_eq!(hashes.size_bytes, 9);
        assert_eq!(hashes.crc32, Crc32::new(0xCBF4_3926));
        assert_eq!(hashes.sha256, Sha256::of(b"123456789"));
    }
}

//! What was written and not yet taken, cut into parts of one size.

use std::collections::VecDeque;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use oubli_domain::Sha256;

use super::ZipError;
use crate::hashes::finish_sha256;

/// Bytes on their way out. Each part is its own allocation, so that a taken part costs no copy and frees
/// its memory as soon as it is uploaded.
pub(super) struct Output {
    part_size: usize,
    parts: VecDeque<Vec<u8>>,
    /// Offset in the archive of the first byte still here.
    drained: u64,
    position: u64,
    /// Bytes are hashed when they leave: until then a header may be patched.
    sha256: Option<Context>,
}

impl Output {
    pub(super) fn new(part_size: usize) -> Self {
        Self {
            part_size: part_size.max(1),
            parts: VecDeque::new(),
            drained: 0,
            position: 0,
            sha256: Some(Context::new(&SHA256)),
        }
    }

    /// Offset of the next byte: how long the archive is so far.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn append(&mut self, mut bytes: &[u8]) {
        self.position += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = self.parts.back().map_or(0, |part| self.part_size - part.len());
            if room == 0 {
                self.start_part();
                continue;
            }
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            if let Some(part) = self.parts.back_mut() {
                part.extend_from_slice(now);
            }
            bytes = later;
        }
    }

    fn start_part(&mut self) {
        // Most archives are smaller than one part: the first grows as needed, those behind it are
        // likely to be filled.
        let first = self.drained == 0 && self.parts.is_empty();
        self.parts.push_back(if first {
            Vec::new()
        } else {
            Vec::with_capacity(self.part_size)
        });
    }

    /// Overwrites bytes that are still here.
    pub(super) fn patch(&mut self, offset: u64, bytes: &[u8]) -> Result<(), ZipError> {
        let start = offset.checked_sub(self.drained).ok_or(ZipError::HeaderDrained)?;
        let part_size = self.part_size as u64;
        for (place, byte) in (start..).zip(bytes) {
            *usize::try_from(place / part_size)
                .ok()
                .and_then(|part| self.parts.get_mut(part))
                .and_then(|part| part.get_mut((place % part_size) as usize))
                .ok_or(ZipError::HeaderDrained)? = *byte;
        }
        Ok(())
    }

    /// The next full part, if it ends at or before `limit`.
    pub(super) fn take_full_part(&mut self, limit: u64) -> Option<Bytes> {
        let full = self
            .parts
            .front()
            .is_some_and(|part| part.len() == self.part_size);
        if !full || self.drained + self.part_size as u64 > limit {
            return None;
        }
        self.take_front()
    }

    /// The next part, be it full or not. Only once nothing more is appended.
    pub(super) fn take_front(&mut self) -> Option<Bytes> {
        let part = self.parts.pop_front()?;
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(&part);
        }
        self.drained += part.len() as u64;
        Some(Bytes::from(part))
    }

    /// Hashes what is left. Nothing may be appended or patched afterwards.
    pub(super) fn seal(&mut self) -> Option<Sha256> {
        let mut sha256 = self.sha256.take()?;
        for part in &self.parts {
            sha256.update(part);
        }
        Some(finish_sha256(sha256))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_reaches_across_parts_and_not_behind_what_left() {
        let mut output = Output::new(4);
        output.append(b"0123456789");
        assert_eq!(output.patch(2, b"abcde"), Ok(()));
        assert_eq!(output.take_full_part(3), None);
        assert_eq!(output.take_full_part(4).as_deref(), Some(&b"01ab"[..]));
        assert_eq!(output.patch(3, b"x"), Err(ZipError::HeaderDrained));
        assert_eq!(output.patch(9, b"xy"), Err(ZipError::HeaderDrained));
        assert_eq!(output.take_full_part(10).as_deref(), Some(&b"cde7"[..]));
        assert_eq!(output.take_full_part(10), None);
        output.append(b"Z");
        assert_eq!(output.seal(), Some(Sha256::of(b"01abcde78xZ")));
        assert_eq!(output.take_front().as_deref(), Some(&b"8xZ"[..]));
        assert_eq!(output.take_front(), None);
    }
}

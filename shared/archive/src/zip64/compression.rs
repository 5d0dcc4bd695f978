//! Deflate, and the trial that decides whether it pays.

use zlib_rs::{Deflate, DeflateFlush, Status};

use super::ZipError;

/// The trial reads this much of an entry's beginning.
pub const TRIAL_BYTES: usize = 64 * 1024;

/// Deflate is chosen when the trial comes down to this share: below 5 % saved, the reader's and our own
/// processor time is worth more than the bytes.
const WORTH_PERCENT: usize = 95;

const LEVEL: i32 = 6;
const WINDOW_BITS: u8 = 15;
/// Larger than all that one block can release at once, so that the output never runs full in the middle
/// of a block.
const SCRATCH_BYTES: usize = 4 * TRIAL_BYTES;

/// A raw Deflate stream that is used for one entry after the other.
///
/// The compressor may decide differently according to how its input is cut. It is therefore always fed in
/// blocks of [`TRIAL_BYTES`] counted from the entry's start: the same content gives the same bytes however
/// it arrives.
pub(super) struct Compressor {
    stream: Deflate,
    block: Vec<u8>,
    scratch: Vec<u8>,
    trial: Vec<u8>,
}

impl Compressor {
    pub(super) fn new() -> Self {
        Self {
            stream: Deflate::new(LEVEL, false, WINDOW_BITS),
            block: Vec::with_capacity(TRIAL_BYTES),
            scratch: vec![0; SCRATCH_BYTES],
            trial: Vec::with_capacity(TRIAL_BYTES + 1024),
        }
    }

    /// Compresses a beginning, and gives the result if that paid.
    pub(super) fn trial(&mut self, head: &[u8]) -> Result<Option<&[u8]>, ZipError> {
        self.trial.clear();
        let trial = &mut self.trial;
        compress(
            &mut self.stream,
            &mut self.scratch,
            head,
            DeflateFlush::Finish,
            &mut |bytes| {
                trial.extend_from_slice(bytes);
            },
        )?;
        self.stream.reset();
        let pays = self.trial.len() * 100 <= head.len() * WORTH_PERCENT && !head.is_empty();
        Ok(pays.then_some(&self.trial))
    }

    /// Takes the next bytes of an entry.
    pub(super) fn write(&mut self, mut data: &[u8], sink: &mut impl FnMut(&[u8])) -> Result<(), ZipError> {
        while !data.is_empty() {
            if self.block.is_empty()
                && let Some((block, rest)) = data.split_at_checked(TRIAL_BYTES)
            {
                compress(
                    &mut self.stream,
                    &mut self.scratch,
                    block,
                    DeflateFlush::NoFlush,
                    sink,
                )?;
                data = rest;
                continue;
            }
            let room = TRIAL_BYTES - self.block.len();
            let (now, later) = data.split_at(room.min(data.len()));
            self.block.extend_from_slice(now);
            data = later;
            if self.block.len() == TRIAL_BYTES {
                compress(
                    &mut self.stream,
                    &mut self.scratch,
                    &self.block,
                    DeflateFlush::NoFlush,
                    sink,
                )?;
                self.block.clear();
            }
        }
        Ok(())
    }

    /// Ends the entry and makes ready for the next.
    pub(super) fn finish(&mut self, sink: &mut impl FnMut(&[u8])) -> Result<(), ZipError> {
        compress(
            &mut self.stream,
            &mut self.scratch,
            &self.block,
            DeflateFlush::Finish,
            sink,
        )?;
        self.block.clear();
        self.stream.reset();
        Ok(())
    }
}

fn compress(
    stream: &mut Deflate,
    scratch: &mut [u8],
    mut input: &[u8],
    flush: DeflateFlush,
    sink: &mut impl FnMut(&[u8]),
) -> Result<(), ZipError> {
    loop {
        let (in_before, out_before) = (stream.total_in(), stream.total_out());
        let status = stream
            .compress(input, scratch, flush)
            .map_err(|_| ZipError::Compression)?;
        let consumed = (stream.total_in() - in_before) as usize;
        let produced = (stream.total_out() - out_before) as usize;
        input = input.get(consumed..).ok_or(ZipError::Compression)?;
        sink(scratch.get(..produced).ok_or(ZipError::Compression)?);
        let done = match flush {
            DeflateFlush::Finish => status == Status::StreamEnd,
            _ => input.is_empty() && produced < scratch.len(),
        };
        if done {
            return Ok(());
        }
        if consumed == 0 && produced == 0 {
            return Err(ZipError::Compression);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(len: usize) -> Vec<u8> {
        (0u32..)
            .flat_map(|n| format!("{} oublié {}\n", n * 7919 % 1009, n).into_bytes())
            .take(len)
            .collect()
    }

    fn deflated(compressor: &mut Compressor, data: &[u8], chunk: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in data.chunks(chunk) {
            compressor
                .write(piece, &mut |bytes| out.extend_from_slice(bytes))
                .unwrap();
        }
        compressor
            .finish(&mut |bytes| out.extend_from_slice(bytes))
            .unwrap();
        out
    }

    #[test]
    fn the_cut_of_the_input_does_not_show_in_the_output() {
        let mut compressor = Compressor::new();
        let data = text(400_000);
        let whole = deflated(&mut compressor, &data, data.len());
        for chunk in [1_000, 65_535, 65_536, 65_537, 131_072] {
            assert_eq!(
                deflated(&mut compressor, &data, chunk),
                whole,
                "chunks of {chunk}"
            );
        }
    }

    #[test]
    fn the_trial_pays_for_text_and_not_for_noise_and_leaves_no_trace() {
        let mut compressor = Compressor::new();
        let data = text(TRIAL_BYTES);
        let before = deflated(&mut compressor, &data, data.len());
        assert!(
            compressor
                .trial(&data)
                .unwrap()
                .is_some_and(|out| out.len() < TRIAL_BYTES / 2)
        );
        let mut state = 1u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .take(TRIAL_BYTES)
        .collect();
        assert_eq!(compressor.trial(&noise).unwrap(), None);
        assert_eq!(compressor.trial(b"").unwrap(), None);
        assert_eq!(deflated(&mut compressor, &data, data.len()), before);
    }
}

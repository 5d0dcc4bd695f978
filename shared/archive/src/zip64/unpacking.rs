//! Reads contents back, as far as their records say and no further.

use std::io::{self, Read, Seek};

use zlib_rs::{Inflate, InflateFlush, Status};

use super::directory::{DirectoryError, check_descriptor, check_local};
use super::format::{EntryHeader, Method};
use super::source::Source;
use crate::hashes::{ContentHasher, ContentHashes};

const WINDOW_BITS: u8 = 15;
const CHUNK_BYTES: usize = 64 * 1024;

/// Why a content could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnpackError {
    /// The reader failed, or who took the bytes.
    #[error("the archive could not be read")]
    Io(#[from] io::Error),
    /// The records around the content are not those of the directory.
    #[error(transparent)]
    Records(DirectoryError),
    /// The content is not what its records say.
    #[error("the content does not unpack to what its records say")]
    Damaged,
}

impl From<DirectoryError> for UnpackError {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Io(error) => Self::Io(error),
            error => Self::Records(error),
        }
    }
}

/// The contents of an archive whose directory was read.
pub(crate) struct Entries<R> {
    source: Source<R>,
    inflate: Inflate,
    chunk: Vec<u8>,
}

impl<R: Read + Seek> Entries<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self {
            source: Source::new(reader),
            inflate: Inflate::new(false, WINDOW_BITS),
            chunk: vec![0; CHUNK_BYTES],
        }
    }

    /// Reads a content from its beginning to its end and hands it on piece by piece. Size and CRC-32 are
    /// those of its records, or it is an error at the end. Entries are told by their number, from 1.
    ///
    /// # Errors
    /// [`UnpackError`], also when `take` fails.
    pub(crate) fn read(
        &mut self,
        header: &EntryHeader,
        number: u64,
        mut take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<ContentHashes, UnpackError> {
        check_local(&mut self.source, header, number)?;
        // Out of `self` while the content borrows the rest.
        let mut chunk = std::mem::take(&mut self.chunk);
        let hashes = self.open(header).and_then(|mut content| {
            loop {
                let read = content.next(&mut chunk)?;
                match chunk.get(..read) {
                    Some([]) | None => return content.finish(),
                    Some(bytes) => take(bytes)?,
                }
            }
        });
        self.chunk = chunk;
        let hashes = hashes?;
        check_descriptor(&mut self.source, header, number)?;
        Ok(hashes)
    }

    /// Opens a content of which the records were checked.
    ///
    /// # Errors
    /// [`UnpackError::Damaged`] for a header that was not read from a directory.
    pub(crate) fn open(&mut self, header: &EntryHeader) -> Result<Content<'_, R>, UnpackError> {
        let data = header.data().ok_or(UnpackError::Damaged)?;
        let inflate = match header.method {
            Method::Stored => None,
            Method::Deflated => {
                self.inflate.reset(false);
                Some(&mut self.inflate)
            }
        };
        Ok(Content {
            source: &mut self.source,
            inflate,
            offset: data.start,
            end: data.end,
            left: header.size,
            ended: false,
            crc32: header.crc32,
            hasher: ContentHasher::new(),
            failure: None,
        })
    }
}

/// One content, from its beginning to its end.
pub(crate) struct Content<'a, R> {
    source: &'a mut Source<R>,
    inflate: Option<&'a mut Inflate>,
    offset: u64,
    end: u64,
    /// How much is still to come, by the records.
    left: u64,
    ended: bool,
    crc32: u32,
    hasher: ContentHasher,
    /// What [`Read`] could not tell.
    failure: Option<UnpackError>,
}

impl<R: Read + Seek> Content<'_, R> {
    /// The next bytes; none at the end, which was then checked.
    pub(crate) fn next(&mut self, out: &mut [u8]) -> Result<usize, UnpackError> {
        let read = self.unpack(out)?;
        self.hasher.update(out.get(..read).unwrap_or_default());
        Ok(read)
    }

    /// The hashes of the whole content, what was not read yet included.
    ///
    /// # Errors
    /// [`UnpackError`]: also that of an earlier call of [`Read::read`].
    pub(crate) fn finish(mut self) -> Result<ContentHashes, UnpackError> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let mut rest = vec![0; if self.ended { 0 } else { CHUNK_BYTES }];
        while !self.ended {
            self.next(&mut rest)?;
        }
        let hashes = self.hasher.finish();
        if hashes.crc32.value() == self.crc32 {
            Ok(hashes)
        } else {
            Err(UnpackError::Damaged)
        }
    }

    fn unpack(&mut self, out: &mut [u8]) -> Result<usize, UnpackError> {
        while !self.ended && !out.is_empty() {
            let input = if self.offset < self.end {
                self.source.bytes_at(self.offset, self.end - self.offset)?
            } else {
                &[]
            };
            let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(out.len());
            let (consumed, produced, ended) = match &mut self.inflate {
                None => {
                    let bytes = input.get(..room).unwrap_or(input);
                    let to = out.get_mut(..bytes.len()).ok_or(UnpackError::Damaged)?;
                    to.copy_from_slice(bytes);
                    (bytes.len(), bytes.len(), self.left == bytes.len() as u64)
                }
                Some(inflate) => {
                    // All bytes are there: what is left may only end the stream. One byte more is one too many.
                    let room = room.max(1);
                    let to = out.get_mut(..room).ok_or(UnpackError::Damaged)?;
                    inflated(inflate, input, to)?
                }
            };
            self.offset += consumed as u64;
            self.left = self
                .left
                .checked_sub(produced as u64)
                .ok_or(UnpackError::Damaged)?;
            self.ended = ended;
            if ended && (self.left > 0 || self.offset != self.end) {
                return Err(UnpackError::Damaged);
            }
            if produced > 0 {
                return Ok(produced);
            }
            if consumed == 0 && !ended {
                return Err(UnpackError::Damaged);
            }
        }
        Ok(0)
    }
}

fn inflated(
    inflate: &mut Inflate,
    input: &[u8],
    out: &mut [u8],
) -> Result<(usize, usize, bool), UnpackError> {
    let (in_before, out_before) = (inflate.total_in(), inflate.total_out());
    let status = inflate
        .decompress(input, out, InflateFlush::NoFlush)
        .map_err(|_| UnpackError::Damaged)?;
    let consumed = (inflate.total_in() - in_before) as usize;
    let produced = (inflate.total_out() - out_before) as usize;
    Ok((consumed, produced, status == Status::StreamEnd))
}

/// For a parser: it is told of a failure, and [`Content::finish`] of which.
impl<R: Read + Seek> Read for Content<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.next(out).map_err(|error| {
            self.failure = Some(error);
            io::ErrorKind::Other.into()
        })
    }
}

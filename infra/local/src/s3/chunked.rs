//! Unwraps `aws-chunked` bodies as they stream:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>.
//!
//! A chunk may be as large as the object, so it is passed on piece by piece. Chunk signatures are not
//! verified, like those of the headers; the checksums that follow the body are.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue};
use s3s::Body;
use s3s::dto::StreamingBlob;
use s3s::stream::DynByteStream;

/// The longest line of a chunk's head or a trailer, in bytes.
const MAX_LINE_BYTES: usize = 16 * 1024;

/// The headers that follow a body: there once it was read to its end.
#[derive(Clone, Default)]
pub(super) struct Trailers(Arc<Mutex<HeaderMap>>);

impl Trailers {
    pub(super) fn take(&self) -> HeaderMap {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, line: &[u8]) -> io::Result<()> {
        let line = std::str::from_utf8(line).map_err(io::Error::other)?;
        let (name, value) = line.split_once(':').ok_or_else(|| malformed("trailer"))?;
        let name: HeaderName = name.trim().parse().map_err(io::Error::other)?;
        let value = HeaderValue::from_str(value.trim()).map_err(io::Error::other)?;
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name, value);
        Ok(())
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("malformed {what} of an aws-chunked body"),
    )
}

enum Phase {
    Head,
    Data { remaining: u64 },
    AfterData,
    Trailers,
}

struct Decoder {
    body: Body,
    buffer: BytesMut,
    phase: Phase,
    /// Of the decoded body, in bytes.
    remaining: u64,
    trailers: Trailers,
}

impl Decoder {
    /// More of the body into the buffer; `false` at its end.
    async fn fill(&mut self) -> io::Result<bool> {
        match self.body.next().await {
            None => Ok(false),
            Some(bytes) => {
                self.buffer.extend_from_slice(&bytes.map_err(io::Error::other)?);
                Ok(true)
            }
        }
    }

    /// The next line without its end, or `None` when the body ends in it.
    async fn line(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(at) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let mut line = self.buffer.split_to(at + 1);
                line.truncate(at);
                if line.last() == Some(&b'\r') {
                    line.truncate(at - 1);
                }
                return Ok(Some(line.freeze()));
            }
            if self.buffer.len() > MAX_LINE_BYTES {
                return Err(malformed("line"));
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }

    /// The next decoded bytes.
    async fn step(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            match self.phase {
                Phase::Head => {
                    let line = self.line().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
                    let line = std::str::from_utf8(&line).map_err(|_| malformed("head"))?;
                    let size = line.split(';').next().unwrap_or_default();
                    let size = u64::from_str_radix(size.trim(), 16).map_err(|_| malformed("head"))?;
                    self.phase = match size {
                        0 => Phase::Trailers,
                        remaining => Phase::Data { remaining },
                    };
                }
                Phase::Data { remaining: 0 } => self.phase = Phase::AfterData,
                Phase::Data { remaining } => {
                    if self.buffer.is_empty() && !self.fill().await? {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    let count = usize::try_from(remaining)
                        .unwrap_or(usize::MAX)
                        .min(self.buffer.len());
                    let bytes = self.buffer.split_to(count).freeze();
                    self.phase = Phase::Data {
                        remaining: remaining - count as u64,
                    };
                    self.remaining = self
                        .remaining
                        .checked_sub(count as u64)
                        .ok_or_else(|| malformed("length"))?;
                    if !bytes.is_empty() {
                        return Ok(Some(bytes));
                    }
                }
                Phase::AfterData => {
                    let line = self.line().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
                    if !line.is_empty() {
                        return Err(malformed("chunk"));
                    }
                    self.phase = Phase::Head;
                }
                Phase::Trailers => {
                    while let Some(line) = self.line().await? {
                        if !line.is_empty() {
                            self.trailers.put(&line)?;
                        }
                    }
                    return if self.remaining == 0 {
                        Ok(None)
                    } else {
                        Err(io::ErrorKind::UnexpectedEof.into())
                    };
                }
            }
        }
    }
}

/// The decoded body of `length` bytes. The trailers are filled when it ends.
pub(super) fn decode(body: Body, length: u64, trailers: Trailers) -> Body {
    let decoder = Decoder {
        body,
        buffer: BytesMut::new(),
        phase: Phase::Head,
        remaining: length,
        trailers,
    };
    let stream = futures::stream::try_unfold(decoder, |mut decoder| async move {
        let bytes = decoder.step().await?;
        Ok::<_, io::Error>(bytes.map(|bytes| (bytes, decoder)))
    });
    Body::from(DynByteStream::from(StreamingBlob::wrap(stream)))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(wire: &'static str, piece: usize, length: u64) -> (io::Result<Vec<u8>>, HeaderMap) {
        let pieces: Vec<_> = wire
            .as_bytes()
            .chunks(piece)
            .map(|p| Ok::<_, io::Error>(Bytes::from_static(p)))
            .collect();
        let body = Body::from(DynByteStream::from(StreamingBlob::wrap(futures::stream::iter(
            pieces,
        ))));
        let trailers = Trailers::default();
        let mut decoded = decode(body, length, trailers.clone());
        let mut bytes = Vec::new();
        while let Some(next) = decoded.next().await {
            match next {
                Ok(next) => bytes.extend_from_slice(&next),
                Err(error) => return (Err(io::Error::other(error)), trailers.take()),
            }
        }
        (Ok(bytes), trailers.take())
    }

    const WIRE: &str =
        "5\r\nhello\r\n6;chunk-signature=abc\r\n world\r\n0\r\nx-amz-checksum-crc32:AAAA\r\nx-b: c\r\n\r\n";

    #[tokio::test]
    async fn chunks_and_trailers_in_pieces_of_any_size() {
        for piece in [1, 2, 3, 7, 1000] {
            let (bytes, trailers) = run(WIRE, piece, 11).await;
            assert_eq!(bytes.unwrap(), b"hello world");
            assert_eq!(trailers["x-amz-checksum-crc32"], "AAAA");
            assert_eq!(trailers["x-b"], "c");
        }
    }

    #[tokio::test]
    async fn wrong_lengths_and_malformed_chunks_are_errors() {
        for (wire, length) in [
            (WIRE, 10),
            (WIRE, 12),
            ("5\r\nhel", 5),
            ("x\r\n", 0),
            ("5\r\nhelloo\r\n0\r\n\r\n", 5),
        ] {
            assert!(run(wire, 4, length).await.0.is_err(), "{wire:?} {length}");
        }
    }
}

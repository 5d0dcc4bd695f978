//! Documents read ahead: small ones whole, large ones in ranges, in order, bounded by bytes.

use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, Stream, StreamExt};
use oubli_cloud::Cloud;
use oubli_domain::Reason;
use oubli_domain::document::Document;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::ExportError;

/// The most that is read in one request.
const PIECE_BYTES: u64 = 8 * 1024 * 1024;
/// How much is read ahead, in KiB. Measured at 75 MB/s and 30 ms to the first byte: more adds
/// nothing.
const AHEAD_KIB: u32 = 16 * 1024;
/// How many requests are under way at most.
const REQUESTS: usize = 64;

/// A piece of a document, and the room that it takes until it is dropped.
pub(super) struct Piece {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

impl std::ops::Deref for Piece {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

type Pieces = Pin<Box<dyn Stream<Item = Result<Piece, ExportError>> + Send>>;

/// Reads documents in their order.
pub(super) struct DocumentReader {
    pieces: Pieces,
}

impl DocumentReader {
    pub(super) fn new(cloud: &Cloud, documents: Vec<Document>) -> Self {
        let room = Arc::new(Semaphore::new(usize::try_from(AHEAD_KIB).unwrap_or(usize::MAX)));
        let cloud = cloud.clone();
        let pieces = stream::iter(documents)
            .flat_map(|document| {
                let document = Arc::new(document);
                stream::iter(ranges(document.fields.size_bytes)).map(move |range| (document.clone(), range))
            })
            // Room is taken in the order of the documents, so that the next one always has it.
            .then(move |(document, range)| {
                let room = room.clone();
                async move {
                    let kib = u32::try_from(range.len().div_ceil(1024))
                        .unwrap_or(AHEAD_KIB)
                        .clamp(1, AHEAD_KIB);
                    let taken = room.acquire_many_owned(kib).await;
                    (document, range, taken)
                }
            })
            .map(move |(document, range, taken)| {
                let cloud = cloud.clone();
                async move {
                    let room = taken.map_err(crate::WorkflowError::internal)?;
                    let bytes = read(&cloud, &document, range).await?;
                    Ok(Piece { bytes, _room: room })
                }
            })
            .buffered(REQUESTS);
        Self {
            pieces: Box::pin(pieces),
        }
    }

    /// The next piece: of this document, since all are read in order and to their ends.
    pub(super) async fn next_piece(&mut self, document: &Document) -> Result<Piece, ExportError> {
        match self.pieces.next().await {
            Some(piece) => piece,
            None => {
                tracing::error!(document_id = %document.id, "a document was asked for beyond its end");
                Err(ExportError::Impossible(Reason::DocumentUnreadable))
            }
        }
    }
}

/// A part of a document: from its first byte to the byte after its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    from: u64,
    to: u64,
    whole: bool,
}

impl Range {
    fn len(self) -> u64 {
        self.to - self.from
    }
}

/// The pieces of a document; an empty one has one, so that its object is looked at too.
fn ranges(size_bytes: u64) -> impl Iterator<Item = Range> {
    let count = size_bytes.div_ceil(PIECE_BYTES).max(1);
    (0..count).map(move |index| {
        let from = index * PIECE_BYTES;
        Range {
            from,
            to: (from + PIECE_BYTES).min(size_bytes),
            whole: count == 1,
        }
    })
}

/// Reads a piece into memory. An object that is gone, or has another length, is unreadable.
async fn read(cloud: &Cloud, document: &Document, range: Range) -> Result<Bytes, ExportError> {
    let unreadable = || {
        tracing::warn!(document_id = %document.id, "a document is not what was stored");
        ExportError::Impossible(Reason::DocumentUnreadable)
    };
    let wanted = (!range.whole).then_some((range.from, range.to));
    let mut stream = cloud
        .read_document(document, wanted)
        .await?
        .ok_or_else(unreadable)?;
    let expected = usize::try_from(range.len()).map_err(crate::WorkflowError::internal)?;
    let mut piece = BytesMut::with_capacity(expected);
    while let Some(bytes) = stream.next().await {
        let bytes = bytes?;
        if piece.len() + bytes.len() > expected {
            return Err(unreadable());
        }
        piece.extend_from_slice(&bytes);
    }
    if piece.len() == expected {
        Ok(piece.freeze())
    } else {
        Err(unreadable())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_cover_a_document_without_gap_or_overlap(size in 0_u64..100 * PIECE_BYTES) {
            let mut at = 0;
            for range in ranges(size) {
                prop_assert_eq!(range.from, at);
                prop_assert!(range.len() <= PIECE_BYTES);
                prop_assert!(range.len() > 0 || size == 0);
                prop_assert_eq!(range.whole, size <= PIECE_BYTES);
                at = range.to;
            }
            prop_assert_eq!(at, size);
        }
    }
}

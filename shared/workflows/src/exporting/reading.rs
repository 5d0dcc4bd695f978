//! Documents read ahead: small ones whole, large ones in ranges, in order, bounded by bytes.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, StreamExt};
use oubli_archive::contents::PlannedDocument;
use oubli_cloud::Cloud;
use oubli_domain::contact::Shelf;
use oubli_domain::{DocumentId, Reason};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tracing::Instrument;

use super::ExportError;
use crate::WorkflowError;

/// The most that is read in one request.
const PIECE_BYTES: u64 = 8 * 1024 * 1024;
/// How much is read ahead, in KiB. Measured at 75 MB/s and 30 ms to the first byte: more adds
/// nothing.
const AHEAD_KIB: u32 = 16 * 1024;
/// How many requests are under way at most.
const REQUESTS: usize = 64;
/// How often a piece is read before the archive is given up for now.
const READS: usize = 3;

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

type Read = Result<Piece, ExportError>;

/// A document to be read.
#[derive(Debug)]
pub(super) struct WantedDocument {
    pub(super) id: DocumentId,
    pub(super) size_bytes: u64,
}

impl WantedDocument {
    pub(super) fn of(planned: &PlannedDocument) -> Arc<Self> {
        Arc::new(Self {
            id: planned.id.clone(),
            size_bytes: planned.size_bytes,
        })
    }
}

/// Reads documents in their order, by a task of its own: reading goes on while what was read is
/// compressed and sent. It ends with its reader.
pub(super) struct DocumentReader {
    pieces: mpsc::Receiver<Read>,
    reading: JoinSet<()>,
}

impl DocumentReader {
    /// Starts to read documents of a contact.
    pub(super) fn start(cloud: &Cloud, shelf: &Shelf, documents: Vec<Arc<WantedDocument>>) -> Self {
        let source = Arc::new(Source {
            cloud: cloud.clone(),
            shelf: shelf.clone(),
        });
        let room = Arc::new(Semaphore::new(usize::try_from(AHEAD_KIB).unwrap_or(usize::MAX)));
        let pieces = stream::iter(documents)
            .flat_map(|document| {
                stream::iter(ranges(document.size_bytes)).map(move |range| (document.clone(), range))
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
                let source = source.clone();
                async move {
                    let room = taken.map_err(WorkflowError::internal)?;
                    let bytes = source.read_patiently(&document, range).await?;
                    Ok(Piece { bytes, _room: room })
                }
            })
            .buffered(REQUESTS);
        let (sender, receiver) = mpsc::channel(REQUESTS);
        let mut reading = JoinSet::new();
        let task = async move {
            let mut pieces = std::pin::pin!(pieces);
            while let Some(piece) = pieces.next().await {
                if sender.send(piece).await.is_err() {
                    break;
                }
            }
        };
        reading.spawn(task.in_current_span());
        Self {
            pieces: receiver,
            reading,
        }
    }

    /// The next piece, of the document whose turn it is: all are read in order and to their ends.
    pub(super) async fn next(&mut self) -> Read {
        if let Some(piece) = self.pieces.recv().await {
            return piece;
        }
        match self.reading.join_next().await {
            Some(Err(error)) => Err(WorkflowError::internal(error).into()),
            _ => Err(WorkflowError::internal("a document was asked for beyond its end").into()),
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

/// Whose documents are read, and where.
struct Source {
    cloud: Cloud,
    shelf: Shelf,
}

impl Source {
    /// Reads a piece, again if its connection breaks: of the thousands that a large archive needs, one
    /// does. The SDK itself repeats what fails before the first byte.
    async fn read_patiently(&self, document: &WantedDocument, range: Range) -> Result<Bytes, ExportError> {
        for _ in 1..READS {
            match self.read(document, range).await {
                Err(ExportError::Workflow(error)) => {
                    tracing::info!(%error, document_id = %document.id, "a piece of a document is read again");
                }
                ended => return ended,
            }
        }
        self.read(document, range).await
    }

    /// Reads a piece into memory. An object that is gone, or has another length, is unreadable.
    async fn read(&self, document: &WantedDocument, range: Range) -> Result<Bytes, ExportError> {
        let unreadable = || {
            tracing::warn!(document_id = %document.id, "a document is not what was stored");
            ExportError::Impossible(Reason::DocumentUnreadable)
        };
        let wanted = (!range.whole).then_some((range.from, range.to));
        let mut stream = self
            .cloud
            .read_document(&self.shelf, &document.id, wanted)
            .await?
            .ok_or_else(unreadable)?;
        let expected = usize::try_from(range.len()).map_err(WorkflowError::internal)?;
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

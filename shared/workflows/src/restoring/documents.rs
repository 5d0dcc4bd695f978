//! The documents of an archive on their way back: read and hashed by one thread, sent several at a time,
//! recorded when S3 has them.

use std::io::{self, Read, Seek};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use oubli_archive::saved::{Refusal, SavedArchive, SavedDocument};
use oubli_cloud::{Cloud, CloudError, PartReceipt, Purge, RestoredParts};
use oubli_domain::contact::Shelf;
use oubli_domain::document::{Document, DocumentFields, DocumentState};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tracing::Span;

use super::RestoreError;
use crate::error::WorkflowError;

/// The largest document that goes in one request, and the parts of a larger one, in bytes.
const PIECE_BYTES: usize = 8 * 1024 * 1024;
/// How much is under way at most, in KiB.
const ROOM_KIB: u32 = 24 * 1024;
/// The room that even the smallest document takes, in KiB: it bounds how many are under way.
const LEAST_KIB: u32 = 512;
/// How many documents are recorded at once: a transaction has 100 writes, less the check.
const RECORDED_AT_ONCE: usize = 90;
/// How many such transactions are under way at most: all check the same note, and DynamoDB cancels one of two
/// that meet at an item.
const TRANSACTIONS: usize = 1;

/// Whether the documents are back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Returned {
    /// All of them, and recorded.
    All,
    /// What was written is being deleted: this attempt is over.
    Lost,
}

/// A piece of a document, and the room that it takes until it is sent.
struct Piece {
    document: Arc<Document>,
    number: u32,
    is_last: bool,
    bytes: Bytes,
    room: OwnedSemaphorePermit,
}

/// Writes every document of an archive onto the shelf that a note is about.
pub(super) async fn write_documents<R>(
    cloud: &Cloud,
    archive: SavedArchive<R>,
    note: &Purge,
    now: Timestamp,
) -> Result<Returned, RestoreError>
where
    R: Read + Seek + Send + 'static,
{
    let (sender, mut pieces) = mpsc::channel(usize::try_from(ROOM_KIB / LEAST_KIB).unwrap_or(1));
    let reading = Reading {
        shelf: note.shelf.clone(),
        stored_at: now,
        runtime: Handle::current(),
        room: Arc::new(Semaphore::new(usize::try_from(ROOM_KIB).unwrap_or(usize::MAX))),
        pieces: sender,
    };
    let span = Span::current();
    let reader = tokio::task::spawn_blocking(move || span.in_scope(|| reading.read(archive)));
    let mut writer = Writer::new(cloud, note);
    let written = async {
        while let Some(piece) = pieces.recv().await {
            writer.take(piece).await?;
        }
        Ok::<_, RestoreError>(())
    };
    let written = written.await;
    // Closed, so that a reader whose pieces nobody wants ends too.
    drop(pieces);
    let read = reader.await.map_err(WorkflowError::internal)?;
    if let Err(error) = written.and(read.map_err(RestoreError::from)) {
        writer.abort().await;
        return Err(error);
    }
    writer.finish().await
}

fn document_of(saved: &SavedDocument, shelf: &Shelf, stored_at: Timestamp) -> Document {
    Document {
        tenant_id: shelf.tenant_id.clone(),
        contact_id: shelf.contact_id.clone(),
        id: saved.id.clone(),
        generation: shelf.generation.clone(),
        state: DocumentState::Stored,
        fields: DocumentFields {
            name: saved.name.clone(),
            content_type: saved.content_type.to_string(),
            size_bytes: saved.size_bytes,
            sha256: Some(saved.sha256),
            crc32: Some(saved.crc32),
            kind: saved.kind,
        },
        created_at: saved.created_at,
        stored_at: Some(stored_at),
    }
}

/// What the reading thread has.
struct Reading {
    shelf: Shelf,
    stored_at: Timestamp,
    runtime: Handle,
    room: Arc<Semaphore>,
    pieces: mpsc::Sender<Piece>,
}

impl Reading {
    fn read<R: Read + Seek>(&self, mut archive: SavedArchive<R>) -> Result<(), Refusal> {
        let mut index = 0;
        while let Some(saved) = archive.documents().get(index) {
            let document = Arc::new(document_of(saved, &self.shelf, self.stored_at));
            let mut cutter = Cutter::begin(self, document).map_err(Refusal::Unavailable)?;
            archive.read_document(index, |bytes| cutter.add(bytes))?;
            // Its bytes are what the manifest says, or it never comes to this.
            cutter.send(true).map_err(Refusal::Unavailable)?;
            index += 1;
        }
        Ok(())
    }

    /// Room for a piece, once there is.
    fn room(&self, bytes: usize) -> io::Result<OwnedSemaphorePermit> {
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(ROOM_KIB);
        let room = self
            .room
            .clone()
            .acquire_many_owned(kib.clamp(LEAST_KIB, ROOM_KIB));
        self.runtime.block_on(room).map_err(io::Error::other)
    }
}

/// Cuts a document into pieces.
struct Cutter<'a> {
    reading: &'a Reading,
    document: Arc<Document>,
    number: u32,
    left: u64,
    gathered: BytesMut,
    capacity: usize,
    room: Option<OwnedSemaphorePermit>,
}

impl<'a> Cutter<'a> {
    fn begin(reading: &'a Reading, document: Arc<Document>) -> io::Result<Self> {
        let mut cutter = Self {
            reading,
            left: document.fields.size_bytes,
            document,
            number: 1,
            gathered: BytesMut::new(),
            capacity: 0,
            room: None,
        };
        cutter.make_room()?;
        Ok(cutter)
    }

    fn make_room(&mut self) -> io::Result<()> {
        self.capacity = usize::try_from(self.left).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
        self.room = Some(self.reading.room(self.capacity)?);
        self.gathered = BytesMut::with_capacity(self.capacity);
        Ok(())
    }

    fn add(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.gathered.len() == self.capacity {
                // More than the manifest says: the archive's own check tells, at the end.
                if self.left == 0 {
                    return Ok(());
                }
                self.send(false)?;
                self.make_room()?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(self.capacity - self.gathered.len()));
            self.gathered.extend_from_slice(now);
            self.left = self.left.saturating_sub(now.len() as u64);
            bytes = later;
        }
        Ok(())
    }

    fn send(&mut self, is_last: bool) -> io::Result<()> {
        let room = self
            .room
            .take()
            .ok_or_else(|| io::Error::other("a piece has no room"))?;
        let piece = Piece {
            document: self.document.clone(),
            number: self.number,
            is_last,
            bytes: std::mem::take(&mut self.gathered).freeze(),
            room,
        };
        self.number += 1;
        let given_up = |_| io::Error::other("nobody takes what is read");
        self.reading.pieces.blocking_send(piece).map_err(given_up)
    }
}

/// A large document on its way.
struct Large {
    document: Arc<Document>,
    parts: RestoredParts,
    under_way: JoinSet<Result<(u32, PartReceipt), CloudError>>,
}

struct Writer<'a> {
    cloud: &'a Cloud,
    note: &'a Purge,
    small: JoinSet<Result<Arc<Document>, CloudError>>,
    large: Option<Large>,
    stored: Vec<Arc<Document>>,
    recording: JoinSet<Result<bool, CloudError>>,
    is_lost: bool,
}

impl<'a> Writer<'a> {
    fn new(cloud: &'a Cloud, note: &'a Purge) -> Self {
        Self {
            cloud,
            note,
            small: JoinSet::new(),
            large: None,
            stored: Vec::new(),
            recording: JoinSet::new(),
            is_lost: false,
        }
    }

    async fn take(&mut self, piece: Piece) -> Result<(), WorkflowError> {
        if piece.number == 1 && piece.is_last {
            let cloud = self.cloud.clone();
            self.small.spawn(async move {
                cloud.put_restored(&piece.document, piece.bytes).await?;
                drop(piece.room);
                Ok(piece.document)
            });
        } else {
            self.take_part(piece).await?;
        }
        while let Some(put) = self.small.try_join_next() {
            self.stored.push(put.map_err(WorkflowError::internal)??);
        }
        while self.stored.len() >= RECORDED_AT_ONCE {
            self.record(RECORDED_AT_ONCE).await?;
        }
        Ok(())
    }

    async fn take_part(&mut self, piece: Piece) -> Result<(), WorkflowError> {
        if self.large.is_none() {
            let parts = self.cloud.begin_restored(&piece.document).await?;
            self.large = Some(Large {
                document: piece.document.clone(),
                parts,
                under_way: JoinSet::new(),
            });
        }
        let Some(large) = &mut self.large else {
            return Ok(());
        };
        let (cloud, parts) = (self.cloud.clone(), large.parts.clone());
        large.under_way.spawn(async move {
            let receipt = cloud.put_restored_part(&parts, piece.number, piece.bytes).await?;
            drop(piece.room);
            Ok((piece.number, receipt))
        });
        if piece.is_last {
            let mut receipts = Vec::new();
            while let Some(sent) = large.under_way.join_next().await {
                receipts.push(sent.map_err(WorkflowError::internal)??);
            }
            receipts.sort_by_key(|(number, _)| *number);
            let receipts = receipts.into_iter().map(|(_, receipt)| receipt).collect();
            self.cloud.complete_restored(&large.parts, receipts).await?;
            self.stored.push(large.document.clone());
            self.large = None;
        }
        Ok(())
    }

    /// Records documents that S3 has.
    async fn record(&mut self, count: usize) -> Result<(), WorkflowError> {
        while self.recording.len() >= TRANSACTIONS {
            self.recorded().await?;
        }
        let documents: Vec<_> = self.stored.drain(..count.min(self.stored.len())).collect();
        let (cloud, note) = (self.cloud.clone(), self.note.clone());
        self.recording
            .spawn(async move { cloud.record_restored(&documents, &note).await });
        Ok(())
    }

    async fn recorded(&mut self) -> Result<(), WorkflowError> {
        if let Some(recorded) = self.recording.join_next().await {
            self.is_lost |= !recorded.map_err(WorkflowError::internal)??;
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<Returned, RestoreError> {
        while let Some(put) = self.small.join_next().await {
            self.stored.push(put.map_err(WorkflowError::internal)??);
        }
        while !self.stored.is_empty() {
            self.record(RECORDED_AT_ONCE).await?;
        }
        while !self.recording.is_empty() {
            self.recorded().await?;
        }
        Ok(if self.is_lost {
            Returned::Lost
        } else {
            Returned::All
        })
    }

    /// Gives up what is under way. What S3 has by then, the note deletes.
    async fn abort(mut self) {
        self.small.shutdown().await;
        self.recording.shutdown().await;
        if let Some(mut large) = self.large.take() {
            large.under_way.shutdown().await;
            if let Err(error) = self.cloud.abort_restored(&large.parts).await {
                tracing::warn!(%error, "a document on its way was not given up");
            }
        }
    }
}

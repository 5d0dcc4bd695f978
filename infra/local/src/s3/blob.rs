//! The bytes: files named by an id, never by a key, that live as long as something refers to them.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use s3s::StdError;
use s3s::dto::StreamingBlob;
use s3s::stream::{ByteStream, RemainingLength};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How much is read from a file at once, in bytes: what one download holds in memory.
const READ_BYTES: u64 = 256 * 1024;
/// How many emptied files wait at most to be written to again.
const EMPTIED_FILES: usize = 1_000;

/// The folder of blobs below the store's root.
///
/// Ids are made of the store's generation (one more at each opening) and a counter, so that they never
/// repeat and need no randomness. Versions and uploads take their ids from here too.
pub(super) struct BlobStore {
    folder: PathBuf,
    generation: u64,
    next: AtomicU64,
    files: Arc<Files>,
}

/// What becomes of a file when nothing refers to it any more: it is emptied, and takes a later blob. ext4
/// searches long for the number of a new file where many were removed within seconds.
struct Files {
    keep: AtomicBool,
    /// Where emptied files wait, outside the folder of blobs. Made on first use.
    folder: PathBuf,
    emptied: Mutex<Vec<PathBuf>>,
}

impl Files {
    /// Takes back the file of a blob that is gone.
    fn take_back(&self, path: &Path) -> io::Result<()> {
        let mut emptied = self.emptied.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(name) = path.file_name().filter(|_| emptied.len() < EMPTIED_FILES) else {
            return fs::remove_file(path);
        };
        OpenOptions::new().write(true).open(path)?.set_len(0)?;
        let waiting = self.folder.join(name);
        match fs::rename(path, &waiting) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(&self.folder)?;
                fs::rename(path, &waiting)?;
            }
            other => other?,
        }
        emptied.push(waiting);
        Ok(())
    }

    /// Removes the emptied files that an earlier process left.
    fn forget(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// A file at `path`, which is not there yet, in a folder that is.
    fn create(&self, path: &Path) -> io::Result<File> {
        let mut emptied = self.emptied.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(used) = emptied.pop() {
            match fs::rename(&used, path) {
                Ok(()) => return OpenOptions::new().write(true).open(path),
                // Somebody else removed it: the next one, or a new one.
                Err(_) if !used.exists() => {}
                Err(error) => {
                    emptied.push(used);
                    return Err(error);
                }
            }
        }
        drop(emptied);
        File::create_new(path)
    }
}

impl BlobStore {
    /// A store that leaves every file alone until [`BlobStore::own_files`]. The folder is made on first use.
    pub(super) fn new(folder: PathBuf) -> Self {
        let files = Files {
            keep: AtomicBool::new(true),
            folder: folder.with_file_name("emptied"),
            emptied: Mutex::default(),
        };
        Self {
            folder,
            generation: 0,
            next: AtomicU64::new(0),
            files: Arc::new(files),
        }
    }

    /// The index is read: from now on a file goes with the last handle of its blob.
    pub(super) fn own_files(&mut self, generation: u64) -> io::Result<()> {
        self.files.forget()?;
        self.generation = generation;
        self.files.keep.store(false, Ordering::SeqCst);
        Ok(())
    }

    /// An id that this store has never given before.
    pub(super) fn new_id(&self) -> String {
        format!(
            "{:08x}{:010x}",
            self.generation,
            self.next.fetch_add(1, Ordering::Relaxed)
        )
    }

    /// From now on dropping a blob leaves its file: the store closes, and the index still refers to it.
    pub(super) fn keep_files(&self) {
        self.files.keep.store(true, Ordering::SeqCst);
    }

    /// A blob of this store whose file exists already.
    pub(super) fn existing(&self, id: &str) -> BlobRef {
        let home = Some(Home {
            path: self.path_of(id),
            files: Arc::clone(&self.files),
        });
        BlobRef(Arc::new(Blob {
            id: id.to_owned(),
            home,
        }))
    }

    /// A new, empty file to write to. It is removed when the blob is dropped.
    pub(super) fn create(&self) -> io::Result<BlobWriter> {
        let blob = self.existing(&self.new_id());
        let path = blob.path()?;
        let file = match self.files.create(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if let Some(shard) = path.parent() {
                    fs::create_dir_all(shard)?;
                }
                self.files.create(path)?
            }
            other => other?,
        };
        Ok(BlobWriter {
            blob,
            file,
            size_bytes: 0,
        })
    }

    fn path_of(&self, id: &str) -> PathBuf {
        let shard = id.get(id.len().saturating_sub(2)..).unwrap_or(id);
        self.folder.join(shard).join(id)
    }

    /// Every file in the folder, as (id, size in bytes).
    pub(super) fn files(&self) -> io::Result<Vec<(String, u64)>> {
        let mut found = Vec::new();
        let shards = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
            other => other?,
        };
        for shard in shards {
            for file in fs::read_dir(shard?.path())? {
                let file = file?;
                found.push((
                    file.file_name().to_string_lossy().into_owned(),
                    file.metadata()?.len(),
                ));
            }
        }
        Ok(found)
    }

    /// Removes a file that nothing refers to: what a killed process was writing.
    pub(super) fn remove_orphan(&self, id: &str) -> io::Result<()> {
        fs::remove_file(self.path_of(id))
    }
}

/// A shared handle of one file. The file goes with the last handle, unless the store closed before.
#[derive(Clone)]
pub(super) struct BlobRef(Arc<Blob>);

struct Blob {
    id: String,
    /// `None` only between reading a record and binding it to its store.
    home: Option<Home>,
}

struct Home {
    path: PathBuf,
    files: Arc<Files>,
}

impl BlobRef {
    pub(super) fn id(&self) -> &str {
        &self.0.id
    }

    pub(super) fn path(&self) -> io::Result<&Path> {
        let home = self.0.home.as_ref();
        home.map(|home| home.path.as_path())
            .ok_or_else(|| io::Error::other("blob without a store"))
    }
}

impl Drop for Blob {
    fn drop(&mut self) {
        let Some(home) = &self.home else { return };
        if home.files.keep.load(Ordering::SeqCst) {
            return;
        }
        if let Err(error) = home.files.take_back(&home.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            // The next opening finds the file without an owner and removes it.
            tracing::warn!(blob = self.id, %error, "could not remove a blob");
        }
    }
}

impl Serialize for BlobRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.id)
    }
}

impl<'de> Deserialize<'de> for BlobRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = String::deserialize(deserializer)?;
        Ok(Self(Arc::new(Blob { id, home: None })))
    }
}

/// A stretch of a blob. An object is a list of these: its parts, or stretches of what it was copied from.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Segment {
    pub(super) blob: BlobRef,
    pub(super) start: u64,
    pub(super) size_bytes: u64,
}

/// The segments that make up `range` (bytes) of what `segments` hold together.
pub(super) fn cut(segments: &[Segment], range: Range<u64>) -> Vec<Segment> {
    let mut offset = 0;
    let mut taken = Vec::new();
    for segment in segments {
        let end = offset + segment.size_bytes;
        let from = range.start.max(offset);
        let to = range.end.min(end);
        if from < to {
            let start = segment.start + (from - offset);
            taken.push(Segment {
                blob: segment.blob.clone(),
                start,
                size_bytes: to - from,
            });
        }
        offset = end;
    }
    taken
}

/// A blob that is being written; blocking, for `spawn_blocking`.
pub(super) struct BlobWriter {
    blob: BlobRef,
    file: File,
    size_bytes: u64,
}

impl BlobWriter {
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.size_bytes += bytes.len() as u64;
        Ok(())
    }

    /// The whole file as a segment.
    pub(super) fn finish(self) -> Segment {
        Segment {
            blob: self.blob,
            start: 0,
            size_bytes: self.size_bytes,
        }
    }
}

struct Reader {
    ahead: VecDeque<Segment>,
    open: Option<(String, File)>,
}

impl Reader {
    /// The next bytes, or `None` at the end.
    fn read(&mut self) -> io::Result<Option<Bytes>> {
        let Some(segment) = self.ahead.front_mut() else {
            return Ok(None);
        };
        let file = match &mut self.open {
            Some((id, file)) if id == segment.blob.id() => file,
            open => {
                &mut open
                    .insert((segment.blob.id().to_owned(), File::open(segment.blob.path()?)?))
                    .1
            }
        };
        let count = segment.size_bytes.min(READ_BYTES);
        let mut buffer = vec![0; usize::try_from(count).map_err(io::Error::other)?];
        file.read_exact_at(&mut buffer, segment.start)?;
        segment.start += count;
        segment.size_bytes -= count;
        if segment.size_bytes == 0 {
            self.ahead.pop_front();
        }
        Ok(Some(buffer.into()))
    }

    async fn step(mut self) -> io::Result<Option<(Bytes, Self)>> {
        let read = tokio::task::spawn_blocking(move || {
            let bytes = self.read()?;
            Ok(bytes.map(|bytes| (bytes, self)))
        });
        read.await.map_err(io::Error::other)?
    }
}

/// The bytes of `segments`, one after another.
///
/// # Errors
/// When the first bytes cannot be read: a lost file is an error answer, not a body cut short.
pub(super) async fn read(segments: Vec<Segment>) -> io::Result<StreamingBlob> {
    let ahead: VecDeque<Segment> = segments
        .into_iter()
        .filter(|segment| segment.size_bytes > 0)
        .collect();
    let total: u64 = ahead.iter().map(|segment| segment.size_bytes).sum();
    let remaining = usize::try_from(total).map_err(io::Error::other)?;
    let first = Reader { ahead, open: None }.step().await?;
    let (first, rest) = first.map_or((None, None), |(bytes, reader)| (Some(Ok(bytes)), Some(reader)));
    let rest = futures::stream::try_unfold(rest, |reader| async move {
        let Some(reader) = reader else { return Ok(None) };
        let step = reader.step().await?;
        Ok::<_, io::Error>(step.map(|(bytes, reader)| (bytes, Some(reader))))
    });
    let stream = futures::stream::iter(first)
        .chain(rest)
        .map(|bytes| bytes.map_err(StdError::from));
    Ok(StreamingBlob::new(KnownLength {
        stream: Box::pin(stream),
        remaining,
    }))
}

/// A stream that knows its length, so that the answer has a `Content-Length`.
struct KnownLength {
    stream: Pin<Box<dyn Stream<Item = Result<Bytes, StdError>> + Send + Sync>>,
    remaining: usize,
}

impl Stream for KnownLength {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.stream.as_mut().poll_next(context);
        if let Poll::Ready(Some(Ok(bytes))) = &polled {
            self.remaining = self.remaining.saturating_sub(bytes.len());
        }
        polled
    }
}

impl ByteStream for KnownLength {
    fn remaining_length(&self) -> RemainingLength {
        RemainingLength::new_exact(self.remaining)
    }
}

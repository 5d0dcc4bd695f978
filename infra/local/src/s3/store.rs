//! The index, its journal and the blobs together: opening, looking and changing.

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use s3s::dto::BucketLifecycleConfiguration;
use s3s::{S3Result, s3_error};

use super::S3EngineError;
use super::blob::BlobStore;
use super::index::{Binding, Bucket, FORMAT, Index};
use super::journal::{Journal, JournalError};
use super::record::{Record, Upload, Version};
use crate::clock::EngineClock;

/// How many superseded records a journal may carry before an opening rewrites it.
const SUPERSEDED_RECORDS: usize = 1000;

/// An open store, shared by all requests.
pub(super) struct Store {
    pub(super) blobs: BlobStore,
    pub(super) clock: EngineClock,
    state: Mutex<State>,
}

struct State {
    index: Index,
    journal: Journal,
    /// Locked while the store is open; `None` once it is closed.
    lock: Option<File>,
}

impl Drop for Store {
    fn drop(&mut self) {
        self.blobs.keep_files();
    }
}

impl Store {
    /// Opens or creates the store below `root`; blocking.
    pub(super) fn open(root: &Path, clock: EngineClock) -> Result<Self, S3EngineError> {
        let unreadable = |error| S3EngineError::Io {
            path: root.to_owned(),
            error,
        };
        fs::create_dir_all(root).map_err(unreadable)?;
        let lock = File::create(root.join("lock")).map_err(unreadable)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => S3EngineError::InUse {
                path: root.to_owned(),
            },
            TryLockError::Error(error) => unreadable(error),
        })?;
        let path = root.join("index.journal");
        let mut blobs = BlobStore::new(root.join("blobs"));
        let (mut index, count, size_bytes) = replay(&path, &blobs)?;
        check_files(&index, &blobs, root)?;
        let mut journal = if count > 2 * index.record_count() + SUPERSEDED_RECORDS {
            Journal::replace(&path, index.snapshot())
        } else {
            Journal::open(&path, size_bytes)
        }
        .map_err(unreadable)?;
        let generation = index.generation + 1;
        journal
            .append(&[Record::Opened {
                format: FORMAT,
                generation,
            }])
            .map_err(unreadable)?;
        index.generation = generation;
        blobs.own_files(generation).map_err(unreadable)?;
        Ok(Self {
            blobs,
            clock,
            state: Mutex::new(State {
                index,
                journal,
                lock: Some(lock),
            }),
        })
    }

    /// Lets the folder go. Later changes are refused.
    pub(super) fn close(&self) {
        self.blobs.keep_files();
        self.state().lock = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the index.
    pub(super) fn look<T>(&self, read: impl FnOnce(&Index) -> S3Result<T>) -> S3Result<T> {
        read(&self.state().index)
    }

    /// Decides on a change with the index at rest, writes it down, makes it.
    ///
    /// What `decide` sees is what its records apply to: nothing comes between.
    pub(super) fn change<T>(&self, decide: impl FnOnce(&Index) -> S3Result<(Vec<Record>, T)>) -> S3Result<T> {
        let mut state = self.state();
        let (records, answer) = decide(&state.index)?;
        if records.is_empty() {
            return Ok(answer);
        }
        if state.lock.is_none() {
            return Err(s3_error!(ServiceUnavailable, "the store is closed"));
        }
        state
            .journal
            .append(&records)
            .map_err(|error| s3_error!(error, InternalError))?;
        for record in records {
            state
                .index
                .apply(record)
                .map_err(|error| s3_error!(error, InternalError))?;
        }
        let removed = std::mem::take(&mut state.index.removed);
        drop(state);
        // Files are removed here, where no other request waits for it.
        drop(removed);
        Ok(answer)
    }
}

/// Reads the journal: the index, how many records it took, and how many bytes are whole.
fn replay(path: &Path, blobs: &BlobStore) -> Result<(Index, usize, u64), S3EngineError> {
    let mut index = Index::default();
    let mut binding = Binding::default();
    let mut count = 0;
    let damaged = |line, reason: String| S3EngineError::Damaged {
        path: path.to_owned(),
        line,
        reason,
    };
    let read = Journal::read::<ReplayError>(path, |line, records| {
        for mut record in records {
            count += 1;
            binding.bind(&mut record, blobs);
            index
                .apply(record)
                .map_err(|error| ReplayError::Record(line, error.to_string()))?;
        }
        Ok(())
    });
    let size_bytes = read.map_err(|error| match error {
        ReplayError::Journal(JournalError::Io(error)) => S3EngineError::Io {
            path: path.to_owned(),
            error,
        },
        ReplayError::Journal(JournalError::Damaged(line)) => {
            damaged(line, "it does not match its checksum".to_owned())
        }
        ReplayError::Record(line, reason) => damaged(line, reason),
    })?;
    index.removed = super::index::Removed::default();
    Ok((index, count, size_bytes))
}

#[derive(Debug, thiserror::Error)]
enum ReplayError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("line {0}: {1}")]
    Record(usize, String),
}

/// Every stretch that the index refers to must be there; every file that it does not refer to goes.
fn check_files(index: &Index, blobs: &BlobStore, root: &Path) -> Result<(), S3EngineError> {
    let unreadable = |error| S3EngineError::Io {
        path: root.to_owned(),
        error,
    };
    let sizes: HashMap<String, u64> = blobs.files().map_err(unreadable)?.into_iter().collect();
    let mut orphans = sizes.clone();
    for segment in index.segments() {
        let id = segment.blob.id();
        if sizes
            .get(id)
            .is_none_or(|size_bytes| segment.start + segment.size_bytes > *size_bytes)
        {
            let path = segment.blob.path().map_err(unreadable)?.to_owned();
            return Err(S3EngineError::MissingBytes { path });
        }
        orphans.remove(id);
    }
    for id in orphans.keys() {
        blobs.remove_orphan(id).map_err(unreadable)?;
    }
    Ok(())
}

/// Looking things up, with the errors of the S3 API.
impl Index {
    pub(super) fn existing(&self, bucket: &str) -> S3Result<&Bucket> {
        self.buckets
            .get(bucket)
            .ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))
    }
}

impl Bucket {
    /// The newest version of a key, be it a delete marker.
    pub(super) fn latest(&self, key: &str) -> Option<&Arc<Version>> {
        self.objects.get(key)?.front()
    }

    /// An upload of this very key.
    pub(super) fn upload(&self, key: &str, upload_id: &str) -> S3Result<&Upload> {
        let upload = self.uploads.get(upload_id).filter(|upload| upload.key == key);
        upload.ok_or_else(|| {
            s3_error!(
                NoSuchUpload,
                "The specified upload does not exist. The upload ID may be invalid, or the upload may have been \
                 aborted or completed."
            )
        })
    }

    /// The lifecycle rules in force.
    pub(super) fn lifecycle(&self) -> Option<&BucketLifecycleConfiguration> {
        self.lifecycle.as_deref()
    }
}

/// Where something lies on disk, for those who list the whole store.
pub(super) fn path_of(segment: &super::blob::Segment) -> io::Result<PathBuf> {
    segment.blob.path().map(Path::to_owned)
}

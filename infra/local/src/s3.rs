//! S3 for one machine: the wire protocol over files, with versions, lifecycle rules and checksums.
//!
//! The protocol (routes, XML, headers) is the `s3s` crate's; what an operation does is here. Bytes lie in
//! files that are named by ids; what they mean is in memory and in an append-only journal (`index.journal`)
//! that an opening reads. An object is there once its line is in the journal, and not before: a killed
//! process leaves no half object. Nothing is flushed to the disk: this survives the process, not the power.

use std::path::PathBuf;
use std::sync::Arc;

use http::{Method, Request, Response};
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, S3Result};

mod admission;
mod blob;
mod chunked;
mod cors;
mod deletion;
mod digest;
mod index;
mod intake;
mod journal;
mod lifecycle;
mod limits;
mod listing;
mod multipart;
mod objects;
mod paging;
mod part_checksums;
mod record;
mod refusal;
mod retrieval;
mod sent_checksum;
mod service;
mod settings;
mod store;

use crate::clock::EngineClock;

pub use lifecycle::{RemovalReason, RemovedObject};

/// Why the store cannot be opened or answer.
#[derive(Debug, thiserror::Error)]
pub enum S3EngineError {
    /// The file system failed.
    #[error("cannot use `{path}`: {error}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// Another process, or another engine of this one, has the folder open.
    #[error("`{path}` is in use by another process")]
    InUse {
        /// The store's folder.
        path: PathBuf,
    },
    /// The journal does not say what was written to it, or is of a newer format.
    #[error("`{path}` is damaged at line {line}: {reason}")]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// The first line that cannot be used, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The journal names bytes that are not there.
    #[error("`{path}` is missing or too short")]
    MissingBytes {
        /// The file.
        path: PathBuf,
    },
    /// A request could not be answered at all.
    #[error("S3 could not answer: {0}")]
    Unanswered(String),
}

/// Something that the store holds, as [`S3Engine::inventory`] lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredItem {
    /// The bucket's name.
    pub bucket: String,
    /// The object's key, or that of the upload.
    pub key: String,
    /// Whether it is an object or still on its way.
    pub kind: StoredKind,
    /// Where its bytes are, in order; empty for an empty object and a delete marker. Copies share files.
    pub paths: Vec<PathBuf>,
}

/// What kind of thing a [`StoredItem`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredKind {
    /// A version of an object (`null` in a bucket that keeps none).
    Version {
        /// The version's id.
        id: String,
        /// Whether it is what a read without a version id gets.
        is_latest: bool,
        /// Whether it says that the object was deleted.
        is_delete_marker: bool,
    },
    /// A part of an upload that is not completed.
    Part {
        /// The upload's id.
        upload_id: String,
        /// The part's number.
        number: i32,
    },
}

/// The engine: cheap to clone, all clones are one store.
#[derive(Clone)]
pub struct S3Engine {
    store: Arc<store::Store>,
    service: S3Service,
}

impl std::fmt::Debug for S3Engine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("S3Engine").finish_non_exhaustive()
    }
}

impl S3Engine {
    /// Opens (or creates) the store below `root`. Times are `clock`'s.
    ///
    /// # Errors
    /// When the folder cannot be used, is open elsewhere, or is damaged: nothing is ever lost in silence.
    pub async fn open(root: PathBuf, clock: EngineClock) -> Result<Self, S3EngineError> {
        let opened = tokio::task::spawn_blocking(move || store::Store::open(&root, clock)).await;
        let store = opened.map_err(|error| S3EngineError::Unanswered(error.to_string()))??;
        let store = Arc::new(store);
        let mut builder = S3ServiceBuilder::new(service::Service(Arc::clone(&store)));
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(S3Config::default()))));
        Ok(Self {
            store,
            service: builder.build(),
        })
    }

    /// Lets the folder go, so that another engine can open it while clones of this one still live.
    /// Changes are refused from now on.
    pub fn close(&self) {
        self.store.close();
    }

    /// Answers a request with path-style addressing.
    ///
    /// A signature in the `Authorization` header is taken on trust, whatever its key, secret and time; a
    /// presigned link is verified by the engine's clock and the secret `test` (or `secret`). An unsigned
    /// request is refused, a browser's preflight aside.
    ///
    /// # Errors
    /// When there is no answer to give; errors of S3 are answers.
    pub async fn call(&self, request: Request<Body>) -> Result<Response<Body>, S3EngineError> {
        let answered = Box::pin(self.answer(request)).await;
        answered.or_else(|error| {
            error
                .to_http_response()
                .map_err(|error| S3EngineError::Unanswered(error.to_string()))
        })
    }

    async fn answer(&self, request: Request<Body>) -> S3Result<Response<Body>> {
        if request.method() == Method::OPTIONS {
            return cors::preflight(&self.store, request.uri(), request.headers());
        }
        let ask = cors::Ask::of_request(request.method().as_str(), request.uri(), request.headers());
        // Errors too carry the headers, or a browser's script could not read them.
        let mut response = match self.admitted(request).await {
            Ok(response) => response,
            Err(error) => error.to_http_response()?,
        };
        if let Some(ask) = ask {
            response.headers_mut().extend(ask.answer_headers(&self.store)?);
        }
        Ok(response)
    }

    async fn admitted(&self, request: Request<Body>) -> S3Result<Response<Body>> {
        let (request, overrides) = admission::admit(request, self.store.clock.now())?;
        let request = deletion::verified(request).await?;
        let response = self.service.call(request).await;
        let mut response = response
            .map_err(|error| s3s::S3Error::with_source(s3s::S3ErrorCode::InternalError, error.into()))?;
        if response.status().is_success() {
            response.headers_mut().extend(overrides.0);
        }
        Ok(response)
    }

    /// Removes what the lifecycle rules say is due by the clock: expired objects, noncurrent versions,
    /// delete markers with nothing below them, incomplete uploads.
    ///
    /// # Errors
    /// When the journal cannot be written; then nothing was removed.
    pub async fn sweep_lifecycle(&self) -> Result<Vec<RemovedObject>, S3EngineError> {
        self.blocking(lifecycle::sweep).await
    }

    /// Whether EventBridge is told what happens in a bucket, as its notification setting says. A bucket that is
    /// not there tells nothing.
    ///
    /// # Errors
    /// When the setting cannot be read, which is a fault of the engine.
    pub fn tells_event_bridge(&self, bucket: &str) -> Result<bool, S3EngineError> {
        settings::tells_event_bridge(&self.store, bucket)
            .map_err(|error| S3EngineError::Unanswered(error.to_string()))
    }

    /// Every version of every object and every part of every upload, with where its bytes are: for tests.
    ///
    /// # Errors
    /// When a path cannot be told, which is a fault of the engine.
    pub async fn inventory(&self) -> Result<Vec<StoredItem>, S3EngineError> {
        self.blocking(inventory).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: fn(&store::Store) -> S3Result<T>,
    ) -> Result<T, S3EngineError> {
        let store = Arc::clone(&self.store);
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        let done = done.map_err(|error| S3EngineError::Unanswered(error.to_string()))?;
        done.map_err(|error| S3EngineError::Unanswered(error.to_string()))
    }
}

fn inventory(store: &store::Store) -> S3Result<Vec<StoredItem>> {
    store.look(|index| {
        let mut items = Vec::new();
        for (name, bucket) in &index.buckets {
            items.append(&mut bucket_inventory(name, bucket)?);
        }
        Ok(items)
    })
}

fn bucket_inventory(name: &str, bucket: &index::Bucket) -> S3Result<Vec<StoredItem>> {
    let paths = |segments: &[blob::Segment]| {
        let paths: Result<Vec<_>, _> = segments.iter().map(store::path_of).collect();
        paths.map_err(|error| s3s::s3_error!(error, InternalError))
    };
    let mut items = Vec::new();
    let mut take = |key: &str, kind, segments: &[blob::Segment]| -> S3Result<()> {
        let (bucket, key) = (name.to_owned(), key.to_owned());
        items.push(StoredItem {
            bucket,
            key,
            kind,
            paths: paths(segments)?,
        });
        Ok(())
    };
    for (key, versions) in &bucket.objects {
        for (at, version) in versions.iter().enumerate() {
            let segments = version
                .content
                .as_ref()
                .map(|content| content.segments.as_slice());
            let is_delete_marker = segments.is_none();
            let kind = StoredKind::Version {
                id: version.id.clone(),
                is_latest: at == 0,
                is_delete_marker,
            };
            take(key, kind, segments.unwrap_or_default())?;
        }
    }
    for (upload_id, upload) in &bucket.uploads {
        for (number, part) in &upload.parts {
            let kind = StoredKind::Part {
                upload_id: upload_id.clone(),
                number: *number,
            };
            take(&upload.key, kind, &part.segments)?;
        }
    }
    Ok(items)
}

//! Takes in a body: to a file and through the hashes, a piece at a time.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use http::HeaderMap;
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3Request, S3Result, s3_error};

use super::admission::PayloadSha256;
use super::blob::{self, BlobWriter, Segment};
use super::chunked::Trailers;
use super::digest::{self, Algorithm, Digester, Digests, Expected, Values};
use super::store::Store;

/// How much of a body is gathered before it is written, in bytes: what one upload holds in memory.
const BATCH_BYTES: usize = 512 * 1024;

/// What a request says of its body outside its input.
pub(super) struct Announced {
    algorithms: Vec<Algorithm>,
    trailers: Option<Trailers>,
    payload_sha256: Option<String>,
}

/// A body on disk.
pub(super) struct Received {
    pub(super) segments: Vec<Segment>,
    pub(super) size_bytes: u64,
    pub(super) digests: Digests,
}

struct Intake {
    store: Arc<Store>,
    digester: Digester,
    writer: Option<BlobWriter>,
}

impl Intake {
    async fn write(mut self, batch: Vec<Bytes>) -> S3Result<Self> {
        let written = tokio::task::spawn_blocking(move || {
            let mut writer = match self.writer.take() {
                Some(writer) => writer,
                None => self.store.blobs.create()?,
            };
            for bytes in &batch {
                self.digester.update(bytes);
                writer.write(bytes)?;
            }
            self.writer = Some(writer);
            Ok::<_, std::io::Error>(self)
        });
        let written = written.await.map_err(|error| s3_error!(error, InternalError))?;
        written.map_err(|error| s3_error!(error, InternalError))
    }
}

impl Announced {
    pub(super) fn new<T>(request: &S3Request<T>) -> Self {
        Self {
            algorithms: digest::announced(&request.headers),
            trailers: request.extensions.get::<Trailers>().cloned(),
            payload_sha256: request
                .extensions
                .get::<PayloadSha256>()
                .map(|payload| payload.0.clone()),
        }
    }

    /// Takes the body in and compares it with all that was said of it. When it differs nothing stays.
    ///
    /// `also` is an algorithm to compute besides those with a given value; with neither it is S3's default.
    pub(super) async fn receive(
        self,
        store: &Arc<Store>,
        body: Option<StreamingBlob>,
        given: Values,
        content_md5: Option<String>,
        also: Option<Algorithm>,
    ) -> S3Result<Received> {
        let mut algorithms: Vec<_> = self
            .algorithms
            .into_iter()
            .chain(given.keys().copied())
            .chain(also)
            .collect();
        if algorithms.is_empty() {
            algorithms.push(Algorithm::Crc64nvme);
        }
        let mut expected = Expected {
            values: given,
            content_md5,
            payload_sha256: self.payload_sha256,
        };
        let digester = Digester::new(algorithms, expected.payload_sha256.is_some());
        let mut intake = Intake {
            store: Arc::clone(store),
            digester,
            writer: None,
        };
        if let Some(mut body) = body {
            let (mut batch, mut batched) = (Vec::new(), 0);
            while let Some(bytes) = body.next().await {
                let bytes = bytes.map_err(incomplete)?;
                batched += bytes.len();
                batch.push(bytes);
                if batched >= BATCH_BYTES {
                    intake = intake.write(std::mem::take(&mut batch)).await?;
                    batched = 0;
                }
            }
            if batched > 0 {
                intake = intake.write(batch).await?;
            }
        }
        if let Some(trailers) = self.trailers {
            let trailers: HeaderMap = trailers.take();
            expected.add_trailers(&trailers);
        }
        let digests = intake.digester.finish();
        expected.check(&digests)?;
        let segments: Vec<_> = intake.writer.map(BlobWriter::finish).into_iter().collect();
        let size_bytes = segments.iter().map(|segment| segment.size_bytes).sum();
        Ok(Received {
            segments,
            size_bytes,
            digests,
        })
    }
}

fn incomplete(source: s3s::StdError) -> S3Error {
    let text = "You did not provide the number of bytes specified by the Content-Length HTTP header.";
    let mut error = s3_error!(IncompleteBody, "{text}");
    error.set_source(source);
    error
}

/// Reads bytes that are here already through the hashes.
pub(super) async fn digest(
    segments: Vec<Segment>,
    algorithms: impl IntoIterator<Item = Algorithm>,
) -> S3Result<Digests> {
    let mut digester = Digester::new(algorithms, false);
    let mut body = blob::read(segments)
        .await
        .map_err(|error| s3_error!(error, InternalError))?;
    while let Some(bytes) = body.next().await {
        digester
            .update(&bytes.map_err(|error| S3Error::with_source(s3s::S3ErrorCode::InternalError, error))?);
    }
    Ok(digester.finish())
}

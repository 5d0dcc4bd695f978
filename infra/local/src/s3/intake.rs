//! Takes in a body: to a file and through the hashes, a piece at a time.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use http::header::HeaderName;
use http::{Extensions, HeaderMap, StatusCode};
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3Result, s3_error};

use super::admission::PayloadSha256;
use super::blob::{self, BlobWriter, Segment};
use super::chunked::Trailers;
use super::digest::{Algorithm, Digester, Digests, Expected};
use super::refusal::refusal;
use super::sent_checksum::SentChecksum;
use super::store::Store;

/// How much of a body is gathered before it is written, in bytes: what one upload holds in memory.
const BATCH_BYTES: usize = 512 * 1024;

const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// What a request says of its body.
pub(super) struct Announced {
    checksum: Option<SentChecksum>,
    /// Base64, from `Content-MD5`.
    content_md5: Option<String>,
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
    pub(super) fn new(headers: &HeaderMap, extensions: &Extensions) -> S3Result<Self> {
        let content_md5 = headers.get(CONTENT_MD5);
        Ok(Self {
            checksum: SentChecksum::of_headers(headers)?,
            content_md5: content_md5.map(|md5| String::from_utf8_lossy(md5.as_bytes()).into_owned()),
            trailers: extensions.get::<Trailers>().cloned(),
            payload_sha256: extensions.get::<PayloadSha256>().map(|payload| payload.0.clone()),
        })
    }

    /// The algorithm of the checksum that comes with the body.
    pub(super) fn algorithm(&self) -> Option<Algorithm> {
        self.checksum.as_ref().map(SentChecksum::algorithm)
    }

    /// Whether the request gives anything by which a change of its body on the way would be noticed.
    pub(super) fn is_protected(&self) -> bool {
        self.checksum.is_some() || self.content_md5.is_some()
    }

    /// Compares a body that is in memory with all that was said of it.
    pub(super) fn check_bytes(self, bytes: &[u8]) -> S3Result<()> {
        let mut digester = Digester::new(self.algorithm(), self.payload_sha256.is_some());
        digester.update(bytes);
        self.check(&digester.finish())
    }

    /// Compares what was found of a body, which was read to its end, with what was said of it.
    fn check(self, found: &Digests) -> S3Result<()> {
        let mut expected = Expected {
            values: self
                .checksum
                .as_ref()
                .map(SentChecksum::values)
                .unwrap_or_default(),
            content_md5: self.content_md5,
            payload_sha256: self.payload_sha256,
        };
        if let Some(trailers) = self.trailers {
            let trailers: HeaderMap = trailers.take();
            expected.add_trailers(&trailers);
        }
        let announced = self.checksum.as_ref().map(SentChecksum::algorithm);
        if announced.is_some_and(|algorithm| !expected.values.contains_key(&algorithm)) {
            let text = "The request contained trailing data that was not well-formed or did not conform to our \
                        published schema.";
            return Err(refusal("MalformedTrailerError", StatusCode::BAD_REQUEST, text));
        }
        expected.check(found)
    }

    /// Takes the body in and compares it with all that was said of it. When it differs nothing stays.
    ///
    /// `also` is an algorithm to compute besides that of the given checksum; with neither it is S3's default.
    pub(super) async fn receive(
        self,
        store: &Arc<Store>,
        body: Option<StreamingBlob>,
        also: Option<Algorithm>,
    ) -> S3Result<Received> {
        let mut algorithms: Vec<_> = self.algorithm().into_iter().chain(also).collect();
        if algorithms.is_empty() {
            algorithms.push(Algorithm::Crc64nvme);
        }
        let digester = Digester::new(algorithms, self.payload_sha256.is_some());
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
        let digests = intake.digester.finish();
        self.check(&digests)?;
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

//! The three buckets: uploads that are not verified, stored documents, archives.

mod archive_upload;
mod deletion;
mod parts;
mod restored;
mod saved;
mod store;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use aws_sdk_s3::primitives::ByteStream;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use oubli_domain::DocumentId;
use oubli_domain::archive::Archive;
use oubli_domain::contact::Shelf;
use oubli_domain::document::Document;

pub use archive_upload::ArchiveUpload;
pub use parts::PartReceipt;
pub use restored::RestoredParts;
pub use saved::SavedSource;
pub(crate) use store::MAX_COPY_BYTES;
pub use store::{StoreOutcome, UploadedObject};

use crate::connect::Cloud;
use crate::error::{CloudError, code_of, failed};
use crate::keys;

#[derive(Clone, Debug)]
pub(crate) struct Objects {
    pub(crate) client: Client,
    /// For links that others use: signs only what they are told to send.
    pub(crate) links: Client,
    pub(crate) documents_bucket: String,
    pub(crate) archives_bucket: String,
    pub(crate) uploads_bucket: String,
}

/// A request that somebody without credentials may make, until it expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedUpload {
    /// The HTTP method.
    pub method: String,
    /// Where to.
    pub url: String,
    /// Headers that must be sent exactly so.
    pub headers: BTreeMap<String, String>,
}

/// The bytes of an object, as they come.
#[derive(Debug)]
pub struct ObjectBytes {
    stream: ByteStream,
}

impl ObjectBytes {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// [`CloudError`] when the connection breaks.
    pub async fn next(&mut self) -> Option<Result<Bytes, CloudError>> {
        let broken = |_| CloudError::Unavailable {
            operation: "GetObject",
            code: "the connection broke".to_owned(),
        };
        self.stream.next().await.map(|bytes| bytes.map_err(broken))
    }
}

fn presigning(
    now: Timestamp,
    life: SignedDuration,
    operation: &'static str,
) -> Result<PresigningConfig, CloudError> {
    let life = Duration::try_from(life).map_err(|_| CloudError::Request { operation })?;
    let config = PresigningConfig::builder()
        .start_time(SystemTime::from(now))
        .expires_in(life)
        .build();
    config.map_err(|_| CloudError::Request { operation })
}

fn signed_upload(request: &PresignedRequest) -> SignedUpload {
    // `host` and `content-length` are the client's own affair.
    let headers = request
        .headers()
        .filter(|(name, _)| !["host", "content-length"].contains(name));
    SignedUpload {
        method: request.method().to_owned(),
        url: request.uri().to_owned(),
        headers: headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    }
}

/// Whether S3 says that there is no such object.
fn is_absent<E, R>(error: &aws_sdk_s3::error::SdkError<E, R>) -> bool
where
    E: aws_sdk_s3::error::ProvideErrorMetadata,
{
    matches!(code_of(error), Some("NoSuchKey" | "NotFound" | "404"))
}

impl Cloud {
    /// Signs the upload of an announced document: any bytes of any size, unless hashes were given.
    /// A SHA-256, or else a CRC-32, is signed in, so that S3 itself refuses other bytes.
    ///
    /// # Errors
    /// [`CloudError`] when the link cannot be signed.
    pub async fn sign_upload(
        &self,
        document: &Document,
        now: Timestamp,
        life: SignedDuration,
    ) -> Result<SignedUpload, CloudError> {
        let operation = "PutObject";
        let sha256 = document.fields.sha256.map(|hash| BASE64.encode(hash.as_bytes()));
        let crc32 = document
            .fields
            .crc32
            .map(|hash| BASE64.encode(hash.to_be_bytes()));
        let request = self
            .objects
            .links
            .put_object()
            .bucket(&self.objects.uploads_bucket)
            .key(keys::upload_object(&document.tenant_id, &document.id))
            .content_type(&document.fields.content_type)
            // S3 takes one checksum a request.
            .set_checksum_crc32(crc32.filter(|_| sha256.is_none()))
            .set_checksum_sha256(sha256)
            .presigned(presigning(now, life, operation)?)
            .await
            .map_err(failed(operation))?;
        Ok(signed_upload(&request))
    }

    /// A link to a stored document.
    ///
    /// # Errors
    /// [`CloudError`] when the link cannot be signed.
    pub async fn document_link(
        &self,
        document: &Document,
        now: Timestamp,
        life: SignedDuration,
    ) -> Result<String, CloudError> {
        let key = keys::document_object(&document.shelf(), &document.id);
        self.link(&self.objects.documents_bucket, key, now, life).await
    }

    /// A link to an archive.
    ///
    /// # Errors
    /// [`CloudError`] when the link cannot be signed.
    pub async fn archive_link(
        &self,
        archive: &Archive,
        now: Timestamp,
        life: SignedDuration,
    ) -> Result<String, CloudError> {
        self.link(
            &self.objects.archives_bucket,
            archive.object_key.clone(),
            now,
            life,
        )
        .await
    }

    async fn link(
        &self,
        bucket: &str,
        key: String,
        now: Timestamp,
        life: SignedDuration,
    ) -> Result<String, CloudError> {
        let operation = "GetObject";
        let request = self.objects.links.get_object().bucket(bucket).key(key);
        let request = request
            .presigned(presigning(now, life, operation)?)
            .await
            .map_err(failed(operation))?;
        Ok(request.uri().to_owned())
    }

    /// Reads a stored document, or `range` (first byte, byte after the last) of it, as it comes.
    /// `None`: its object is not there.
    ///
    /// # Errors
    /// [`CloudError`] when S3 fails.
    pub async fn read_document(
        &self,
        shelf: &Shelf,
        document: &DocumentId,
        range: Option<(u64, u64)>,
    ) -> Result<Option<ObjectBytes>, CloudError> {
        let key = keys::document_object(shelf, document);
        let range = range.map(|(from, to)| format!("bytes={from}-{}", to.saturating_sub(1)));
        let request = self
            .objects
            .client
            .get_object()
            .bucket(&self.objects.documents_bucket)
            .key(key);
        match request.set_range(range).send().await {
            Ok(answer) => Ok(Some(ObjectBytes { stream: answer.body })),
            // A range beyond the end: the object is shorter than it was.
            Err(error) if is_absent(&error) || code_of(&error) == Some("InvalidRange") => Ok(None),
            Err(error) => Err(failed("GetObject")(error)),
        }
    }

    /// The size of an archive's object, in bytes; `None`: it is not there.
    ///
    /// # Errors
    /// [`CloudError`] when S3 fails.
    pub async fn archive_object_size(&self, object_key: &str) -> Result<Option<u64>, CloudError> {
        let request = self
            .objects
            .client
            .head_object()
            .bucket(&self.objects.archives_bucket);
        match request.key(object_key).send().await {
            Ok(found) => Ok(found.content_length().and_then(|size| u64::try_from(size).ok())),
            Err(error) if error.as_service_error().is_some_and(|error| error.is_not_found()) => Ok(None),
            Err(error) => Err(failed("HeadObject")(error)),
        }
    }

    /// Deletes an archive's object.
    ///
    /// # Errors
    /// [`CloudError`] when S3 fails.
    pub async fn delete_archive_object(&self, object_key: &str) -> Result<(), CloudError> {
        self.objects
            .delete(&self.objects.archives_bucket, object_key.to_owned())
            .await
    }
}

//! From an upload to a stored document: looked at, then copied to where no link can write.

use aws_sdk_s3::types::{ChecksumMode, CompletedMultipartUpload, CompletedPart, MetadataDirective};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures::stream::{self, StreamExt, TryStreamExt};
use oubli_domain::document::Document;
use oubli_domain::{Crc32, Sha256};

use super::disposition::disposition;
use super::is_absent;
use super::parts::{Headers, PartsUpload};
use crate::connect::Cloud;
use crate::error::{CloudError, code_of, failed};
use crate::keys;

/// Up to this size S3 copies in one call, quickly enough for an HTTP answer.
pub(crate) const MAX_COPY_BYTES: u64 = 256 * 1024 * 1024;
/// The parts of a larger copy, made side by side.
const COPY_PART_BYTES: u64 = 256 * 1024 * 1024;
const COPIES_IN_FLIGHT: usize = 10;

/// What S3 has of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadedObject {
    /// Size in bytes.
    pub size_bytes: u64,
    /// Which bytes, as S3 names them.
    pub etag: String,
    /// SHA-256 that S3 verified, where one was signed in.
    pub sha256: Option<Sha256>,
    /// CRC-32 that S3 verified, where one was signed in.
    pub crc32: Option<Crc32>,
}

/// What came of storing an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreOutcome {
    /// Its bytes are stored.
    Stored,
    /// It is gone, or other bytes came since it was looked at.
    Moved,
}

impl Cloud {
    /// What S3 has of an announced document; `None`: nothing yet.
    ///
    /// # Errors
    /// [`CloudError`] when S3 fails.
    pub async fn uploaded_object(&self, document: &Document) -> Result<Option<UploadedObject>, CloudError> {
        let request = self
            .objects
            .client
            .head_object()
            .bucket(&self.objects.uploads_bucket)
            .key(keys::upload_object(&document.tenant_id, &document.id))
            .checksum_mode(ChecksumMode::Enabled);
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) if error.as_service_error().is_some_and(|error| error.is_not_found()) => {
                return Ok(None);
            }
            Err(error) => return Err(failed("HeadObject")(error)),
        };
        let bytes = |text: Option<&str>| text.and_then(|text| BASE64.decode(text).ok());
        let sha256 = bytes(answer.checksum_sha256()).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let crc32 = bytes(answer.checksum_crc32()).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
        Ok(Some(UploadedObject {
            size_bytes: answer
                .content_length()
                .and_then(|size| u64::try_from(size).ok())
                .unwrap_or(0),
            etag: answer.e_tag().unwrap_or_default().to_owned(),
            sha256: sha256.map(Sha256::from_bytes),
            crc32: crc32.map(|bytes| Crc32::new(u32::from_be_bytes(bytes))),
        }))
    }

    /// Copies the very bytes that were looked at to where documents are stored. The name goes into
    /// the object's own headers: in a link it would stand in a URL.
    ///
    /// # Errors
    /// [`CloudError`] when S3 fails.
    pub async fn store_upload(
        &self,
        document: &Document,
        uploaded: &UploadedObject,
    ) -> Result<StoreOutcome, CloudError> {
        let outcome = if uploaded.size_bytes <= MAX_COPY_BYTES {
            self.copy_whole(document, uploaded).await?
        } else {
            self.copy_in_parts(document, uploaded).await?
        };
        Ok(outcome)
    }

    /// Deletes the upload of a document that is stored.
    ///
    /// # Errors
    /// [`CloudError`] when S3 fails.
    pub async fn delete_upload(&self, document: &Document) -> Result<(), CloudError> {
        self.objects
            .delete_upload(&document.tenant_id, &document.id)
            .await
    }

    fn source(&self, document: &Document) -> String {
        let key = keys::upload_object(&document.tenant_id, &document.id);
        format!("{}/{key}", self.objects.uploads_bucket)
    }

    fn target(document: &Document) -> String {
        keys::document_object(&document.shelf(), &document.id)
    }

    async fn copy_whole(
        &self,
        document: &Document,
        uploaded: &UploadedObject,
    ) -> Result<StoreOutcome, CloudError> {
        let request = self
            .objects
            .client
            .copy_object()
            .bucket(&self.objects.documents_bucket)
            .key(Self::target(document))
            .copy_source(self.source(document))
            .copy_source_if_match(&uploaded.etag)
            .metadata_directive(MetadataDirective::Replace)
            .content_type(&document.fields.content_type)
            .content_disposition(disposition(document.fields.name.expose()));
        match request.send().await {
            Ok(_) => Ok(StoreOutcome::Stored),
            Err(error) if is_absent(&error) || code_of(&error) == Some("PreconditionFailed") => {
                Ok(StoreOutcome::Moved)
            }
            Err(error) => Err(failed("CopyObject")(error)),
        }
    }

    async fn copy_in_parts(
        &self,
        document: &Document,
        uploaded: &UploadedObject,
    ) -> Result<StoreOutcome, CloudError> {
        let headers = Headers {
            content_type: &document.fields.content_type,
            disposition: &disposition(document.fields.name.expose()),
        };
        let bucket = &self.objects.documents_bucket;
        let begun = self.objects.begin_parts(bucket, Self::target(document), headers);
        let PartsUpload { key, upload_id, .. } = begun.await?;
        match self.copy_parts(document, uploaded, &key, &upload_id).await {
            Ok(StoreOutcome::Stored) => Ok(StoreOutcome::Stored),
            unfinished => {
                let abort = self
                    .objects
                    .client
                    .abort_multipart_upload()
                    .bucket(bucket)
                    .key(&key)
                    .upload_id(upload_id);
                if let Err(error) = abort.send().await {
                    // Its parts go by the bucket's rule for incomplete uploads.
                    tracing::warn!(error = %failed("AbortMultipartUpload")(error), "a copy was not aborted");
                }
                unfinished
            }
        }
    }

    async fn copy_parts(
        &self,
        document: &Document,
        uploaded: &UploadedObject,
        key: &str,
        upload_id: &str,
    ) -> Result<StoreOutcome, CloudError> {
        let (client, bucket) = (&self.objects.client, &self.objects.documents_bucket);
        let count = uploaded.size_bytes.div_ceil(COPY_PART_BYTES);
        let copies = (0..count).map(|index| async move {
            let from = index * COPY_PART_BYTES;
            let to = (from + COPY_PART_BYTES).min(uploaded.size_bytes);
            let number = i32::try_from(index + 1).unwrap_or(i32::MAX);
            let request = client
                .upload_part_copy()
                .bucket(bucket)
                .key(key)
                .upload_id(upload_id)
                .part_number(number)
                .copy_source(self.source(document))
                .copy_source_if_match(&uploaded.etag)
                .copy_source_range(format!("bytes={from}-{}", to.saturating_sub(1)));
            match request.send().await {
                Ok(answer) => {
                    let (etag, crc32) = answer
                        .copy_part_result
                        .map(|copied| (copied.e_tag, copied.checksum_crc32))
                        .unwrap_or_default();
                    Ok(Some(
                        CompletedPart::builder()
                            .part_number(number)
                            .set_e_tag(etag)
                            .set_checksum_crc32(crc32)
                            .build(),
                    ))
                }
                Err(error) if is_absent(&error) || code_of(&error) == Some("PreconditionFailed") => Ok(None),
                Err(error) => Err(failed("UploadPartCopy")(error)),
            }
        });
        let parts: Vec<_> = stream::iter(copies)
            .buffered(COPIES_IN_FLIGHT)
            .try_collect()
            .await?;
        let Some(parts) = parts.into_iter().collect::<Option<Vec<_>>>() else {
            return Ok(StoreOutcome::Moved);
        };
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let request = client
            .complete_multipart_upload()
            .bucket(bucket)
            .key(key)
            .upload_id(upload_id);
        request
            .multipart_upload(parts)
            .send()
            .await
            .map_err(failed("CompleteMultipartUpload"))?;
        Ok(StoreOutcome::Stored)
    }
}

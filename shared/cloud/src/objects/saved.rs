//! Saved archives as objects: uploaded by members, read in ranges, pinned to the bytes that were
//! looked at.

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};
use oubli_domain::archive::Archive;

use super::is_absent;
use super::links::{Links, SignedUpload, content_length, signed_upload};
use crate::connect::Cloud;
use crate::error::{CloudError, code_of, failed};
use crate::keys;
use crate::saved_archives::SavedUpload;

const CONTENT_TYPE: &str = "application/zip";

/// The bytes of an archive in S3: these, and no others that come to the same place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedSource {
    bucket: String,
    key: String,
    etag: String,
    /// How many they are.
    pub size_bytes: u64,
}

impl Cloud {
    /// Signs the upload of a saved archive in one request: of its size, and of any bytes unless a hash was given.
    ///
    /// # Errors
    /// [`CloudError`] when the link cannot be signed.
    pub async fn sign_saved_upload(
        &self,
        saved: &SavedUpload,
        links: &Links,
    ) -> Result<SignedUpload, CloudError> {
        let operation = "PutObject";
        let request = links
            .client
            .put_object()
            .bucket(&self.objects.uploads_bucket)
            .key(keys::saved_archive_object(&saved.tenant_id, &saved.id))
            .content_type(CONTENT_TYPE)
            .content_length(content_length(saved.size_bytes))
            .set_checksum_sha256(saved.sha256.map(|hash| BASE64.encode(hash.as_bytes())))
            .presigned(links.presigning(operation)?)
            .await
            .map_err(failed(operation))?;
        Ok(signed_upload(&request))
    }

    /// Begins to gather the parts of a saved archive; answers where.
    ///
    /// # Errors
    /// [`CloudError`] when S3 fails.
    pub async fn begin_saved_parts(&self, saved: &SavedUpload) -> Result<String, CloudError> {
        let begun = self
            .objects
            .unchecked
            .create_multipart_upload()
            .bucket(&self.objects.uploads_bucket)
            .key(keys::saved_archive_object(&saved.tenant_id, &saved.id))
            .content_type(CONTENT_TYPE)
            .send()
            .await
            .map_err(failed("CreateMultipartUpload"))?;
        Ok(begun.upload_id().unwrap_or_default().to_owned())
    }

    /// Signs the upload of one part, numbered from 1 and of this size, of a saved archive that is sent in parts.
    ///
    /// # Errors
    /// [`CloudError`] when the link cannot be signed.
    pub async fn sign_saved_part(
        &self,
        saved: &SavedUpload,
        number: u32,
        size_bytes: u64,
        links: &Links,
    ) -> Result<SignedUpload, CloudError> {
        let operation = "UploadPart";
        let request = links
            .client
            .upload_part()
            .bucket(&self.objects.uploads_bucket)
            .key(keys::saved_archive_object(&saved.tenant_id, &saved.id))
            .set_upload_id(saved.parts_id.clone())
            .part_number(i32::try_from(number).unwrap_or(i32::MAX))
            .content_length(content_length(size_bytes))
            .presigned(links.presigning(operation)?)
            .await
            .map_err(failed(operation))?;
        Ok(signed_upload(&request))
    }

    /// Gives up the parts of a saved archive that nobody will send.
    ///
    /// # Errors
    /// [`CloudError`] when S3 fails.
    pub async fn abort_saved_parts(&self, saved: &SavedUpload, parts_id: &str) -> Result<(), CloudError> {
        let key = keys::saved_archive_object(&saved.tenant_id, &saved.id);
        self.objects
            .abort_parts(&self.objects.uploads_bucket, &key, parts_id)
            .await
    }

    /// The bytes of a stored archive; `None`: its object is gone.
    ///
    /// # Errors
    /// [`CloudError`] when S3 fails.
    pub async fn stored_source(&self, archive: &Archive) -> Result<Option<SavedSource>, CloudError> {
        self.saved_source(&self.objects.archives_bucket, archive.object_key.clone())
            .await
    }

    /// The bytes of an uploaded archive; its parts are joined first, once all are there. `None`: they
    /// are not, or not as many as announced.
    ///
    /// # Errors
    /// [`CloudError`] when S3 fails.
    pub async fn uploaded_source(&self, saved: &SavedUpload) -> Result<Option<SavedSource>, CloudError> {
        let (bucket, key) = (
            &self.objects.uploads_bucket,
            keys::saved_archive_object(&saved.tenant_id, &saved.id),
        );
        if let Some(parts_id) = &saved.parts_id
            && !self.join_parts(bucket, &key, parts_id, saved.size_bytes).await?
        {
            return Ok(None);
        }
        let source = self.saved_source(bucket, key).await?;
        Ok(source.filter(|source| source.size_bytes == saved.size_bytes))
    }

    /// Joins the parts of an upload, if they are as many bytes as announced: a sender who is still at
    /// it must be able to go on. `false`: they are not.
    async fn join_parts(
        &self,
        bucket: &str,
        key: &str,
        parts_id: &str,
        size_bytes: u64,
    ) -> Result<bool, CloudError> {
        let client = &self.objects.unchecked;
        let (mut parts, mut sent, mut after) = (Vec::new(), 0_u64, None);
        loop {
            let request = client.list_parts().bucket(bucket).key(key).upload_id(parts_id);
            let page = match request.set_part_number_marker(after).send().await {
                Ok(page) => page,
                // Joined before, or given up: the object tells.
                Err(error) if code_of(&error) == Some("NoSuchUpload") => return Ok(true),
                Err(error) => return Err(failed("ListParts")(error)),
            };
            for part in page.parts() {
                sent += part.size().and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
                let part = CompletedPart::builder()
                    .set_part_number(part.part_number())
                    .set_e_tag(part.e_tag().map(str::to_owned));
                parts.push(part.build());
            }
            after = page.next_part_number_marker().map(str::to_owned);
            if page.is_truncated() != Some(true) || after.is_none() {
                break;
            }
        }
        if parts.is_empty() || sent != size_bytes {
            return Ok(false);
        }
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let request = client
            .complete_multipart_upload()
            .bucket(bucket)
            .key(key)
            .upload_id(parts_id);
        match request.multipart_upload(parts).send().await {
            Ok(_) => Ok(true),
            // The answer to the first asking was lost: S3 forgets an upload that it completed.
            Err(error) if code_of(&error) == Some("NoSuchUpload") => Ok(true),
            // Cut otherwise than told, or sent anew at this moment.
            Err(error)
                if matches!(
                    code_of(&error),
                    Some("EntityTooSmall" | "InvalidPart" | "InvalidPartOrder")
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(failed("CompleteMultipartUpload")(error)),
        }
    }

    async fn saved_source(&self, bucket: &str, key: String) -> Result<Option<SavedSource>, CloudError> {
        let request = self.objects.client.head_object().bucket(bucket).key(&key);
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) if error.as_service_error().is_some_and(|error| error.is_not_found()) => {
                return Ok(None);
            }
            Err(error) => return Err(failed("HeadObject")(error)),
        };
        let size = answer.content_length().and_then(|size| u64::try_from(size).ok());
        Ok(Some(SavedSource {
            bucket: bucket.to_owned(),
            key,
            etag: answer.e_tag().unwrap_or_default().to_owned(),
            size_bytes: size.unwrap_or(0),
        }))
    }

    /// Reads bytes `from..to` of an archive. `None`: they are gone, or others came to their place.
    ///
    /// # Errors
    /// [`CloudError`] when S3 fails or the connection breaks.
    pub async fn read_saved(
        &self,
        source: &SavedSource,
        from: u64,
        to: u64,
    ) -> Result<Option<Bytes>, CloudError> {
        let operation = "GetObject";
        let request = self
            .objects
            .client
            .get_object()
            .bucket(&source.bucket)
            .key(&source.key)
            .if_match(&source.etag)
            .range(format!("bytes={from}-{}", to.saturating_sub(1)));
        let mut answer = match request.send().await {
            Ok(answer) => answer,
            Err(error)
                if is_absent(&error)
                    || matches!(code_of(&error), Some("PreconditionFailed" | "InvalidRange")) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(failed(operation)(error)),
        };
        let broken = || CloudError::Unavailable {
            operation,
            code: "the connection broke".to_owned(),
        };
        let wanted = usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX);
        let mut read = BytesMut::with_capacity(wanted);
        while let Some(bytes) = answer.body.next().await {
            let bytes = bytes.map_err(|_| broken())?;
            if read.len() + bytes.len() > wanted {
                return Err(broken());
            }
            read.extend_from_slice(&bytes);
        }
        if read.len() == wanted {
            Ok(Some(read.freeze()))
        } else {
            Err(broken())
        }
    }

    /// Deletes the bytes of an uploaded archive.
    ///
    /// # Errors
    /// [`CloudError`] when S3 fails.
    pub async fn delete_saved_upload(&self, saved: &SavedUpload) -> Result<(), CloudError> {
        let key = keys::saved_archive_object(&saved.tenant_id, &saved.id);
        self.objects.delete(&self.objects.uploads_bucket, key).await
    }
}

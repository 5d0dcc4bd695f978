//! The multipart upload of an archive: it appears whole or not at all.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use oubli_domain::{ArchiveId, AttemptId, TenantId};

use crate::connect::Cloud;
use crate::error::{CloudError, code_of, failed};
use crate::keys;

const CONTENT_TYPE: &str = "application/zip";

fn object_key(tenant: &TenantId, archive: &ArchiveId, attempt: &AttemptId) -> String {
    format!("{}{attempt}.zip", keys::archive_objects(tenant, archive))
}

/// The name under which a browser saves an archive: it names nobody.
fn disposition(archive: &ArchiveId) -> String {
    format!("attachment; filename=\"archive-{archive}.zip\"")
}

/// An archive on its way to S3.
#[derive(Clone, Debug)]
pub struct ArchiveUpload {
    /// Where it will be. Each attempt has its own place, so that two can never mix.
    pub object_key: String,
    upload_id: String,
}

/// S3's receipt for a part.
#[derive(Clone, Debug)]
pub struct PartReceipt(CompletedPart);

impl Cloud {
    /// Begins the upload of an archive.
    ///
    /// # Errors
    /// [`CloudError`] when S3 fails; as all methods here.
    pub async fn begin_archive(
        &self,
        tenant: &TenantId,
        archive: &ArchiveId,
        attempt: &AttemptId,
    ) -> Result<ArchiveUpload, CloudError> {
        let object_key = object_key(tenant, archive, attempt);
        let begun = self
            .objects
            .client
            .create_multipart_upload()
            .bucket(&self.objects.archives_bucket)
            .key(&object_key)
            .content_type(CONTENT_TYPE)
            .content_disposition(disposition(archive))
            .send()
            .await
            .map_err(failed("CreateMultipartUpload"))?;
        let upload_id = begun.upload_id().unwrap_or_default().to_owned();
        Ok(ArchiveUpload {
            object_key,
            upload_id,
        })
    }

    /// Puts a small archive in one request: it appears whole, or the request fails.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn put_archive(
        &self,
        tenant: &TenantId,
        archive: &ArchiveId,
        attempt: &AttemptId,
        bytes: Bytes,
    ) -> Result<String, CloudError> {
        let object_key = object_key(tenant, archive, attempt);
        let request = self
            .objects
            .client
            .put_object()
            .bucket(&self.objects.archives_bucket)
            .key(&object_key)
            .content_type(CONTENT_TYPE)
            .content_disposition(disposition(archive))
            .body(ByteStream::from(bytes));
        request.send().await.map_err(failed("PutObject"))?;
        Ok(object_key)
    }

    /// Sends a part; they are numbered from 1. S3 verifies its checksum.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn put_archive_part(
        &self,
        upload: &ArchiveUpload,
        number: u32,
        bytes: Bytes,
    ) -> Result<PartReceipt, CloudError> {
        let number = i32::try_from(number).unwrap_or(i32::MAX);
        let answer = self
            .objects
            .client
            .upload_part()
            .bucket(&self.objects.archives_bucket)
            .key(&upload.object_key)
            .upload_id(&upload.upload_id)
            .part_number(number)
            .body(ByteStream::from(bytes))
            .send()
            .await
            .map_err(failed("UploadPart"))?;
        let part = CompletedPart::builder()
            .part_number(number)
            .set_e_tag(answer.e_tag().map(str::to_owned))
            .set_checksum_crc32(answer.checksum_crc32().map(str::to_owned))
            .build();
        Ok(PartReceipt(part))
    }

    /// Completes the upload: from now on the archive is there, whole.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn complete_archive(
        &self,
        upload: &ArchiveUpload,
        parts: Vec<PartReceipt>,
    ) -> Result<(), CloudError> {
        let parts = parts.into_iter().map(|part| part.0).collect();
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let (bucket, key) = (&self.objects.archives_bucket, &upload.object_key);
        let request = self
            .objects
            .client
            .complete_multipart_upload()
            .bucket(bucket)
            .key(key);
        match request
            .upload_id(&upload.upload_id)
            .multipart_upload(parts)
            .send()
            .await
        {
            Ok(_) => Ok(()),
            // The answer to the first asking was lost: S3 forgets an upload that it completed.
            Err(error) if code_of(&error) == Some("NoSuchUpload") => {
                let head = self
                    .objects
                    .client
                    .head_object()
                    .bucket(bucket)
                    .key(key)
                    .send()
                    .await;
                head.map(|_| ()).map_err(failed("HeadObject"))
            }
            Err(error) => Err(failed("CompleteMultipartUpload")(error)),
        }
    }

    /// Gives an upload up; its parts are deleted.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn abort_archive(&self, upload: &ArchiveUpload) -> Result<(), CloudError> {
        let request = self
            .objects
            .client
            .abort_multipart_upload()
            .bucket(&self.objects.archives_bucket)
            .key(&upload.object_key)
            .upload_id(&upload.upload_id);
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if code_of(&error) == Some("NoSuchUpload") => Ok(()),
            Err(error) => Err(failed("AbortMultipartUpload")(error)),
        }
    }

    /// Clears what earlier attempts at an archive left: their objects and unfinished uploads, all
    /// but the one that counts.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn clear_attempts(
        &self,
        tenant: &TenantId,
        archive: &ArchiveId,
        keep: Option<&str>,
    ) -> Result<(), CloudError> {
        let bucket = &self.objects.archives_bucket;
        let prefix = keys::archive_objects(tenant, archive);
        self.objects.delete_beneath(bucket, &prefix, keep).await?;
        let request = self
            .objects
            .client
            .list_multipart_uploads()
            .bucket(bucket)
            .prefix(&prefix);
        let unfinished = request.send().await.map_err(failed("ListMultipartUploads"))?;
        for upload in unfinished.uploads() {
            let (Some(key), Some(upload_id)) = (upload.key(), upload.upload_id()) else {
                continue;
            };
            let upload = ArchiveUpload {
                object_key: key.to_owned(),
                upload_id: upload_id.to_owned(),
            };
            self.abort_archive(&upload).await?;
        }
        Ok(())
    }
}

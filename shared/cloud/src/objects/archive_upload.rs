//! An archive on its way to S3: it appears whole or not at all.

use bytes::Bytes;
use oubli_domain::{ArchiveId, AttemptId, TenantId};

use super::parts::{Headers, PartReceipt, PartsUpload};
use crate::connect::Cloud;
use crate::error::CloudError;
use crate::keys;

fn object_key(tenant: &TenantId, archive: &ArchiveId, attempt: &AttemptId) -> String {
    format!("{}{attempt}.zip", keys::archive_objects(tenant, archive))
}

/// The name under which a browser saves an archive: it names nobody.
fn disposition(archive: &ArchiveId) -> String {
    format!("attachment; filename=\"archive-{archive}.zip\"")
}

fn headers(disposition: &str) -> Headers<'_> {
    Headers {
        content_type: "application/zip",
        disposition,
    }
}

/// An archive that is sent in parts.
#[derive(Clone, Debug)]
pub struct ArchiveUpload(PartsUpload);

impl ArchiveUpload {
    /// Where it will be. Each attempt has its own place, so that two can never mix.
    pub fn object_key(&self) -> &str {
        &self.0.key
    }
}

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
        let (bucket, key) = (
            &self.objects.archives_bucket,
            object_key(tenant, archive, attempt),
        );
        let begun = self
            .objects
            .begin_parts(bucket, key, headers(&disposition(archive)))
            .await?;
        Ok(ArchiveUpload(begun))
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
        let (bucket, key) = (
            &self.objects.archives_bucket,
            object_key(tenant, archive, attempt),
        );
        self.objects
            .put_whole(bucket, &key, headers(&disposition(archive)), bytes)
            .await?;
        Ok(key)
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
        self.objects.put_part(&upload.0, number, bytes).await
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
        self.objects.complete_parts(&upload.0, parts).await
    }

    /// Gives an upload up; its parts are deleted.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn abort_archive(&self, upload: &ArchiveUpload) -> Result<(), CloudError> {
        let (bucket, key) = (&upload.0.bucket, &upload.0.key);
        self.objects.abort_parts(bucket, key, &upload.0.upload_id).await
    }

    /// Clears what earlier attempts at an archive left, objects and unfinished uploads. Ids of attempts sort
    /// by time: what a later one made, whose lease is the one that counts, is left alone.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn clear_attempts(
        &self,
        tenant: &TenantId,
        archive: &ArchiveId,
        before: &AttemptId,
    ) -> Result<(), CloudError> {
        let bucket = &self.objects.archives_bucket;
        let prefix = keys::archive_objects(tenant, archive);
        let own = object_key(tenant, archive, before);
        let is_earlier = |key: &str| key < own.as_str();
        self.objects.delete_beneath(bucket, &prefix, is_earlier).await?;
        self.objects
            .abort_uploads(bucket, &prefix, None, is_earlier)
            .await
    }
}

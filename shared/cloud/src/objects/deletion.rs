//! Deleting: objects in all their versions, uploads that were begun, whatever stands beneath a prefix.

use aws_sdk_s3::error::BuildError;
use aws_sdk_s3::types::{Delete, DeletedObject, ObjectIdentifier};
use oubli_domain::contact::Shelf;
use oubli_domain::{DocumentId, TenantId};

use super::Objects;
use crate::error::{CloudError, failed, refused};
use crate::keys;

/// S3 deletes a thousand objects a call.
const BATCH: usize = 1_000;

impl Objects {
    pub(crate) async fn delete_document(
        &self,
        shelf: &Shelf,
        document: &DocumentId,
    ) -> Result<(), CloudError> {
        self.delete(&self.documents_bucket, keys::document_object(shelf, document))
            .await
    }

    /// Deletes documents by their keys. Answers whether the bucket keeps versions, so that they are still there.
    pub(crate) async fn delete_documents(
        &self,
        shelf: &Shelf,
        documents: &[DocumentId],
    ) -> Result<bool, CloudError> {
        let mut keeps_versions = false;
        for documents in documents.chunks(BATCH) {
            let keys = documents
                .iter()
                .map(|document| ObjectIdentifier::builder().key(keys::document_object(shelf, document)));
            let deleted = self
                .delete_batch(
                    &self.documents_bucket,
                    keys.map(|key| key.build()).collect(),
                    false,
                )
                .await?;
            keeps_versions |= deleted
                .iter()
                .any(|deleted| deleted.delete_marker() == Some(true) || deleted.version_id().is_some());
        }
        Ok(keeps_versions)
    }

    pub(crate) async fn delete_upload(
        &self,
        tenant: &TenantId,
        document: &DocumentId,
    ) -> Result<(), CloudError> {
        self.delete(&self.uploads_bucket, keys::upload_object(tenant, document))
            .await
    }

    /// Deletes what was uploaded for documents and not cleared yet.
    pub(crate) async fn delete_uploads(
        &self,
        tenant: &TenantId,
        documents: Vec<DocumentId>,
    ) -> Result<(), CloudError> {
        for documents in documents.chunks(BATCH) {
            let keys = documents
                .iter()
                .map(|document| keys::upload_object(tenant, document));
            let doomed = keys.map(|key| ObjectIdentifier::builder().key(key).build());
            self.delete_all(&self.uploads_bucket, doomed.collect()).await?;
        }
        Ok(())
    }

    /// Deletes every document of a shelf: all versions, should somebody have had the bucket keep them, and
    /// the parts of copies that were never completed.
    pub(crate) async fn delete_shelf(&self, shelf: &Shelf) -> Result<(), CloudError> {
        let (bucket, prefix) = (&self.documents_bucket, keys::document_objects(shelf));
        let (mut key_marker, mut version_marker) = (None, None);
        loop {
            // With the delimiter, what stands deeper is not listed: it belongs to other shelves.
            let request = self
                .client
                .list_object_versions()
                .bucket(bucket)
                .prefix(&prefix)
                .delimiter("/")
                .set_key_marker(key_marker)
                .set_version_id_marker(version_marker);
            let page = request.send().await.map_err(failed("ListObjectVersions"))?;
            let versions = page
                .versions()
                .iter()
                .map(|found| (found.key(), found.version_id()));
            let markers = page
                .delete_markers()
                .iter()
                .map(|found| (found.key(), found.version_id()));
            let doomed = versions.chain(markers).filter_map(|(key, version)| {
                let object = ObjectIdentifier::builder().key(key?);
                Some(object.set_version_id(version.map(str::to_owned)).build())
            });
            self.delete_all(bucket, doomed.collect()).await?;
            if page.is_truncated() != Some(true) {
                break;
            }
            key_marker = page.next_key_marker().map(str::to_owned);
            version_marker = page.next_version_id_marker().map(str::to_owned);
        }
        self.abort_uploads(bucket, &prefix, Some("/"), |_| true).await
    }

    /// Aborts the multipart uploads beneath a prefix whose keys are meant.
    pub(crate) async fn abort_uploads(
        &self,
        bucket: &str,
        prefix: &str,
        delimiter: Option<&str>,
        is_meant: impl Fn(&str) -> bool + Send,
    ) -> Result<(), CloudError> {
        let (mut key_marker, mut id_marker) = (None, None);
        loop {
            let request = self
                .client
                .list_multipart_uploads()
                .bucket(bucket)
                .prefix(prefix)
                .set_delimiter(delimiter.map(str::to_owned))
                .set_key_marker(key_marker)
                .set_upload_id_marker(id_marker);
            let unfinished = request.send().await.map_err(failed("ListMultipartUploads"))?;
            for upload in unfinished.uploads() {
                if let (Some(key), Some(upload_id)) = (upload.key(), upload.upload_id())
                    && is_meant(key)
                {
                    self.abort_parts(bucket, key, upload_id).await?;
                }
            }
            if unfinished.is_truncated() != Some(true) {
                return Ok(());
            }
            key_marker = unfinished.next_key_marker().map(str::to_owned);
            id_marker = unfinished.next_upload_id_marker().map(str::to_owned);
        }
    }

    pub(crate) async fn delete(&self, bucket: &str, key: String) -> Result<(), CloudError> {
        let request = self.client.delete_object().bucket(bucket).key(key);
        request.send().await.map(|_| ()).map_err(failed("DeleteObject"))
    }

    /// Deletes the objects beneath a prefix whose keys are meant.
    pub(crate) async fn delete_beneath(
        &self,
        bucket: &str,
        prefix: &str,
        is_meant: impl Fn(&str) -> bool + Send,
    ) -> Result<(), CloudError> {
        let mut after = None;
        loop {
            let request = self.client.list_objects_v2().bucket(bucket).prefix(prefix);
            let page = request
                .set_continuation_token(after)
                .send()
                .await
                .map_err(failed("ListObjectsV2"))?;
            let keys = page.contents().iter().filter_map(|object| object.key());
            let doomed = keys
                .filter(|key| is_meant(key))
                .map(|key| ObjectIdentifier::builder().key(key).build());
            self.delete_all(bucket, doomed.collect()).await?;
            after = page.next_continuation_token().map(str::to_owned);
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn delete_all(
        &self,
        bucket: &str,
        doomed: Vec<Result<ObjectIdentifier, BuildError>>,
    ) -> Result<(), CloudError> {
        let mut doomed = doomed.into_iter();
        loop {
            let batch: Vec<_> = doomed.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                return Ok(());
            }
            self.delete_batch(bucket, batch, true).await?;
        }
    }

    /// Deletes up to a thousand objects. Unless `quiet`, S3 tells of each what it did.
    async fn delete_batch(
        &self,
        bucket: &str,
        objects: Vec<Result<ObjectIdentifier, BuildError>>,
        quiet: bool,
    ) -> Result<Vec<DeletedObject>, CloudError> {
        let operation = "DeleteObjects";
        let unbuilt = |_| CloudError::Request { operation };
        let objects: Vec<_> = objects.into_iter().collect::<Result<_, _>>().map_err(unbuilt)?;
        let delete = Delete::builder().set_objects(Some(objects)).quiet(quiet);
        let delete = delete.build().map_err(unbuilt)?;
        let request = self.client.delete_objects().bucket(bucket).delete(delete);
        let answer = request.send().await.map_err(failed(operation))?;
        if let Some(error) = answer.errors().first() {
            return Err(refused(operation, error.code().unwrap_or("unknown")));
        }
        Ok(answer.deleted.unwrap_or_default())
    }
}

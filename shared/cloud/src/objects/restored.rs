//! Documents that come back from an archive, on a shelf of their own.

use bytes::Bytes;
use oubli_domain::document::Document;

use super::disposition::disposition;
use super::parts::{Headers, PartReceipt, PartsUpload};
use crate::connect::Cloud;
use crate::error::CloudError;
use crate::keys;

/// A document that comes back in parts.
#[derive(Clone, Debug)]
pub struct RestoredParts(PartsUpload);

fn headers<'a>(document: &'a Document, disposition: &'a str) -> Headers<'a> {
    Headers {
        content_type: &document.fields.content_type,
        disposition,
    }
}

fn key(document: &Document) -> String {
    keys::document_object(&document.shelf(), &document.id)
}

impl Cloud {
    /// Puts a small document where it stands, with its name and type as [`Cloud::store_upload`] does.
    ///
    /// # Errors
    /// [`CloudError`] when S3 fails; as all methods here.
    pub async fn put_restored(&self, document: &Document, bytes: Bytes) -> Result<(), CloudError> {
        let disposition = disposition(document.fields.name.expose());
        let bucket = &self.objects.documents_bucket;
        self.objects
            .put_whole(bucket, &key(document), headers(document, &disposition), bytes)
            .await
    }

    /// Begins a large document.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn begin_restored(&self, document: &Document) -> Result<RestoredParts, CloudError> {
        let disposition = disposition(document.fields.name.expose());
        let bucket = &self.objects.documents_bucket;
        let begun = self
            .objects
            .begin_parts(bucket, key(document), headers(document, &disposition));
        Ok(RestoredParts(begun.await?))
    }

    /// Sends a part of a document; they are numbered from 1.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn put_restored_part(
        &self,
        parts: &RestoredParts,
        number: u32,
        bytes: Bytes,
    ) -> Result<PartReceipt, CloudError> {
        self.objects.put_part(&parts.0, number, bytes).await
    }

    /// Completes a large document: from now on it is there, whole.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn complete_restored(
        &self,
        parts: &RestoredParts,
        receipts: Vec<PartReceipt>,
    ) -> Result<(), CloudError> {
        self.objects.complete_parts(&parts.0, receipts).await
    }

    /// Gives a large document up.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn abort_restored(&self, parts: &RestoredParts) -> Result<(), CloudError> {
        let PartsUpload {
            bucket,
            key,
            upload_id,
        } = &parts.0;
        self.objects.abort_parts(bucket, key, upload_id).await
    }
}

//! The three buckets: uploads that are not verified, stored documents, archives.

mod archive_upload;
mod deletion;
mod disposition;
mod links;
mod parts;
mod restored;
mod saved;
mod store;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use oubli_domain::DocumentId;
use oubli_domain::contact::Shelf;

pub use archive_upload::ArchiveUpload;
pub(crate) use links::LinkSource;
pub use links::{Links, SignedUpload};
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
    /// For uploads that others send in parts: asks for no checksum, which a browser would not send.
    pub(crate) unchecked: Client,
    pub(crate) link_source: LinkSource,
    pub(crate) documents_bucket: String,
    pub(crate) archives_bucket: String,
    pub(crate) uploads_bucket: String,
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

/// Whether S3 says that there is no such object.
fn is_absent<E, R>(error: &aws_sdk_s3::error::SdkError<E, R>) -> bool
where
    E: aws_sdk_s3::error::ProvideErrorMetadata,
{
    matches!(code_of(error), Some("NoSuchKey" | "NotFound" | "404"))
}

impl Cloud {
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

//! An object sent in parts: it appears whole or not at all.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;

use super::Objects;
use crate::error::{CloudError, code_of, failed};

/// An object on its way to S3.
#[derive(Clone, Debug)]
pub(crate) struct PartsUpload {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) upload_id: String,
}

/// S3's receipt for a part.
#[derive(Clone, Debug)]
pub struct PartReceipt(CompletedPart);

/// What an object is and how a browser saves it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Headers<'a> {
    pub(crate) content_type: &'a str,
    pub(crate) disposition: &'a str,
}

impl Objects {
    /// Puts a small object in one request: it appears whole, or the request fails.
    pub(crate) async fn put_whole(
        &self,
        bucket: &str,
        key: &str,
        headers: Headers<'_>,
        bytes: Bytes,
    ) -> Result<(), CloudError> {
        let request = self
            .client
            .put_object()
            .bucket(bucket)
            .key(key)
            .content_type(headers.content_type)
            .content_disposition(headers.disposition)
            .body(ByteStream::from(bytes));
        request.send().await.map(|_| ()).map_err(failed("PutObject"))
    }

    /// Begins an object that is sent in parts, or copied in parts.
    ///
    /// The SDK gives each part a CRC-32. S3 takes it back at completion only if the upload was begun with this
    /// algorithm; of the whole object it then keeps one CRC-32 over all bytes, as of an object in one piece:
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>.
    pub(crate) async fn begin_parts(
        &self,
        bucket: &str,
        key: String,
        headers: Headers<'_>,
    ) -> Result<PartsUpload, CloudError> {
        let begun = self
            .client
            .create_multipart_upload()
            .bucket(bucket)
            .key(&key)
            .content_type(headers.content_type)
            .content_disposition(headers.disposition)
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .checksum_type(ChecksumType::FullObject)
            .send()
            .await
            .map_err(failed("CreateMultipartUpload"))?;
        Ok(PartsUpload {
            bucket: bucket.to_owned(),
            key,
            upload_id: begun.upload_id().unwrap_or_default().to_owned(),
        })
    }

    /// Sends a part; they are numbered from 1. S3 verifies its checksum.
    pub(crate) async fn put_part(
        &self,
        upload: &PartsUpload,
        number: u32,
        bytes: Bytes,
    ) -> Result<PartReceipt, CloudError> {
        let number = i32::try_from(number).unwrap_or(i32::MAX);
        let answer = self
            .client
            .upload_part()
            .bucket(&upload.bucket)
            .key(&upload.key)
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

    /// Completes the upload: from now on the object is there, whole.
    pub(crate) async fn complete_parts(
        &self,
        upload: &PartsUpload,
        parts: Vec<PartReceipt>,
    ) -> Result<(), CloudError> {
        let parts = parts.into_iter().map(|part| part.0).collect();
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let (bucket, key) = (&upload.bucket, &upload.key);
        let request = self.client.complete_multipart_upload().bucket(bucket).key(key);
        match request
            .upload_id(&upload.upload_id)
            .multipart_upload(parts)
            .send()
            .await
        {
            Ok(_) => Ok(()),
            // The answer to the first asking was lost: S3 forgets an upload that it completed.
            Err(error) if code_of(&error) == Some("NoSuchUpload") => {
                let head = self.client.head_object().bucket(bucket).key(key).send().await;
                head.map(|_| ()).map_err(failed("HeadObject"))
            }
            Err(error) => Err(failed("CompleteMultipartUpload")(error)),
        }
    }

    /// Gives an upload up; its parts are deleted.
    pub(crate) async fn abort_parts(
        &self,
        bucket: &str,
        key: &str,
        upload_id: &str,
    ) -> Result<(), CloudError> {
        let request = self.client.abort_multipart_upload().bucket(bucket).key(key);
        match request.upload_id(upload_id).send().await {
            Ok(_) => Ok(()),
            Err(error) if code_of(&error) == Some("NoSuchUpload") => Ok(()),
            Err(error) => Err(failed("AbortMultipartUpload")(error)),
        }
    }
}

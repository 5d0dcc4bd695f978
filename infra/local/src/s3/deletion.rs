//! Deleting objects: for good, or behind a delete marker where versions are kept.

use std::collections::BTreeMap;

use http::{Method, Request};
use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject,
    ETagCondition, Error as DeleteError,
};
use s3s::{Body, S3Error, S3ErrorCode, S3Result, s3_error};

use super::index::Bucket;
use super::intake::Announced;
use super::objects::check_write;
use super::record::{Record, Version};
use super::store::Store;

/// The largest body of a `DeleteObjects`, in bytes: a thousand of the longest keys, however they are escaped.
const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;

/// Compares the body of a `DeleteObjects` with the checksum that S3 demands for it; passes other requests on.
pub(super) async fn verified(request: Request<Body>) -> S3Result<Request<Body>> {
    let mut query = request.uri().query().unwrap_or_default().split('&');
    let is_deletion =
        request.method() == Method::POST && query.any(|pair| pair.split('=').next() == Some("delete"));
    if !is_deletion {
        return Ok(request);
    }
    let (parts, mut body) = request.into_parts();
    let announced = Announced::new(&parts.headers, &parts.extensions)?;
    if !announced.is_protected() {
        return Err(s3_error!(
            InvalidRequest,
            "Missing required header for this request: Content-MD5 OR x-amz-checksum-*"
        ));
    }
    let bytes = body.store_all_limited(MAX_BODY_BYTES).await;
    let bytes = bytes.map_err(|error| S3Error::with_source(S3ErrorCode::MalformedXML, error))?;
    announced.check_bytes(&bytes)?;
    Ok(Request::from_parts(parts, body))
}

impl Store {
    pub(super) fn delete_object(&self, input: &DeleteObjectInput) -> S3Result<DeleteObjectOutput> {
        self.change(|index| {
            let bucket = index.existing(&input.bucket)?;
            if input.if_match.is_some() {
                check_write(bucket.latest(&input.key), input.if_match.as_ref(), None)?;
            }
            let (record, deleted) =
                self.deletion(&input.bucket, bucket, &input.key, input.version_id.as_deref());
            let marker = deleted.delete_marker;
            let version_id = deleted.delete_marker_version_id.or(deleted.version_id);
            let output = DeleteObjectOutput {
                delete_marker: marker,
                version_id,
                ..DeleteObjectOutput::default()
            };
            Ok((record.into_iter().collect(), output))
        })
    }

    pub(super) fn delete_objects(&self, input: &DeleteObjectsInput) -> S3Result<DeleteObjectsOutput> {
        if input.delete.objects.len() > 1000 {
            return Err(s3_error!(MalformedXML));
        }
        self.change(|index| {
            let bucket = index.existing(&input.bucket)?;
            let mut records = BTreeMap::new();
            let (mut deleted, mut errors) = (Vec::new(), Vec::new());
            for object in &input.delete.objects {
                let condition = object.e_tag.clone().map(ETagCondition::ETag);
                if condition.is_some()
                    && let Err(error) = check_write(bucket.latest(&object.key), condition.as_ref(), None)
                {
                    errors.push(delete_error(&error, &object.key, object.version_id.clone()));
                    continue;
                }
                let version_id = object.version_id.as_deref();
                let (record, answer) = self.deletion(&input.bucket, bucket, &object.key, version_id);
                if let Some(record) = record {
                    // A key that is named twice is deleted once.
                    records
                        .entry((object.key.clone(), object.version_id.clone()))
                        .or_insert(record);
                }
                deleted.push(answer);
            }
            if input.delete.quiet == Some(true) {
                deleted.clear();
            }
            let output = DeleteObjectsOutput {
                deleted: Some(deleted),
                errors: Some(errors),
                ..DeleteObjectsOutput::default()
            };
            Ok((records.into_values().collect(), output))
        })
    }

    /// What deleting a key, or one version of it, does, and what the answer says.
    fn deletion(
        &self,
        bucket_name: &str,
        bucket: &Bucket,
        key: &str,
        version_id: Option<&str>,
    ) -> (Option<Record>, DeletedObject) {
        let owned = || (bucket_name.to_owned(), key.to_owned());
        let removal = |id: &str| {
            let (bucket, key) = owned();
            Record::VersionRemoved {
                bucket,
                key,
                version_id: id.to_owned(),
            }
        };
        let mut deleted = DeletedObject {
            key: Some(key.to_owned()),
            ..DeletedObject::default()
        };
        if let Some(id) = version_id {
            let found = bucket
                .objects
                .get(key)
                .and_then(|versions| versions.iter().find(|version| version.id == id));
            deleted.version_id = Some(id.to_owned());
            if found.is_some_and(|version| version.content.is_none()) {
                deleted.delete_marker = Some(true);
                deleted.delete_marker_version_id = Some(id.to_owned());
            }
            return (found.map(|_| removal(id)), deleted);
        }
        if bucket.versioning.is_none() {
            return (bucket.latest(key).map(|version| removal(&version.id)), deleted);
        }
        let id = bucket.next_version_id(self);
        deleted.delete_marker = Some(true);
        deleted.delete_marker_version_id = Some(id.clone());
        let version = Version {
            id,
            modified_at: self.clock.now(),
            content: None,
        };
        let (bucket, key) = owned();
        (Some(Record::VersionAdded { bucket, key, version }), deleted)
    }
}

fn delete_error(error: &S3Error, key: &str, version_id: Option<String>) -> DeleteError {
    DeleteError {
        code: Some(error.code().as_str().to_owned()),
        key: Some(key.to_owned()),
        message: error.message().map(str::to_owned),
        version_id,
    }
}

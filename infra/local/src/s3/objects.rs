//! Writing, copying, tagging and deleting objects.

use std::sync::Arc;

use http::HeaderMap;
use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, ETag, ETagCondition, MetadataDirective,
    PutObjectInput, PutObjectOutput, ServerSideEncryption, Tag, TaggingDirective, Timestamp as WireTimestamp,
    TimestampFormat,
};
use s3s::{S3Request, S3Result, s3_error};

use super::admission::percent_decode;
use super::digest::{Algorithm, Checksums, hex, put_checksums};
use super::index::{Bucket, NULL_VERSION, Versioning};
use super::intake::{self, Announced};
use super::lifecycle::{expiration_header, to_wire};
use super::limits;
use super::record::{Content, Record, Tags, Version};
use super::retrieval::Found;
use super::store::Store;

/// The attributes of a new object, by the names that the inputs share.
macro_rules! attributes {
    ($input:expr) => {
        $crate::s3::record::Attributes {
            content_type: $input.content_type.take(),
            content_encoding: $input
                .content_encoding
                .take()
                .filter(|encoding| !encoding.is_empty()),
            content_disposition: $input.content_disposition.take(),
            content_language: $input.content_language.take(),
            cache_control: $input.cache_control.take(),
            expires: $input
                .expires
                .take()
                .map(|at| $crate::s3::objects::http_date(&at))
                .transpose()?,
            website_redirect_location: $input.website_redirect_location.take(),
            storage_class: $input.storage_class.take().map(|class| class.as_str().to_owned()),
            server_side_encryption: $input
                .server_side_encryption
                .take()
                .map(|sse| sse.as_str().to_owned()),
            kms_key_id: $input.ssekms_key_id.take(),
            metadata: $input.metadata.take().unwrap_or_default().into_iter().collect(),
        }
    };
}
pub(super) use attributes;

pub(super) fn http_date(at: &WireTimestamp) -> S3Result<String> {
    let mut text = Vec::new();
    at.format(TimestampFormat::HttpDate, &mut text)
        .map_err(|error| s3_error!(error, InternalError))?;
    String::from_utf8(text).map_err(|error| s3_error!(error, InternalError))
}

/// The tags of `x-amz-tagging`, which is written like a query.
pub(super) fn parse_tags(header: Option<&str>) -> Tags {
    let pairs = header
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decode(name, true), percent_decode(value, true))
        })
        .collect()
}

pub(super) fn etag_matches(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(given) => given.value() == etag,
    }
}

pub(super) fn wire_size(size_bytes: u64) -> i64 {
    i64::try_from(size_bytes).unwrap_or(i64::MAX)
}

pub(super) fn sse(algorithm: Option<&String>) -> Option<ServerSideEncryption> {
    algorithm.map(|algorithm| ServerSideEncryption::from(algorithm.clone()))
}

/// Conditional writes: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>.
pub(super) fn check_write(
    current: Option<&Arc<Version>>,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<()> {
    let failed = || {
        s3_error!(
            PreconditionFailed,
            "At least one of the pre-conditions you specified did not hold"
        )
    };
    let content = current.and_then(|version| version.content.as_ref());
    match (content, if_match) {
        (None, Some(_)) => return Err(s3_error!(NoSuchKey, "The specified key does not exist.")),
        (Some(content), Some(condition)) if !etag_matches(condition, &content.etag) => return Err(failed()),
        _ => {}
    }
    match (content, if_none_match) {
        (Some(content), Some(condition)) if etag_matches(condition, &content.etag) => Err(failed()),
        _ => Ok(()),
    }
}

impl Bucket {
    /// The id that the next version in this bucket gets.
    pub(super) fn next_version_id(&self, store: &Store) -> String {
        match self.versioning {
            Some(Versioning::Enabled) => store.blobs.new_id(),
            Some(Versioning::Suspended) | None => NULL_VERSION.to_owned(),
        }
    }

    /// A version id as answers show it: not at all in a bucket that never kept versions.
    pub(super) fn shown_version_id(&self, id: &str) -> Option<String> {
        self.versioning.map(|_| id.to_owned())
    }
}

/// What a write made.
pub(super) struct Written {
    pub(super) version: Version,
    pub(super) shown_id: Option<String>,
    pub(super) expiration: Option<String>,
}

impl Store {
    /// Makes what `make` gives the newest version of a key, if the conditions hold.
    pub(super) fn add_version(
        &self,
        bucket_name: &str,
        key: &str,
        if_match: Option<&ETagCondition>,
        if_none_match: Option<&ETagCondition>,
        make: impl FnOnce(&Bucket) -> S3Result<(Content, Option<Record>)>,
    ) -> S3Result<Written> {
        self.change(|index| {
            let bucket = index.existing(bucket_name)?;
            let (mut content, also) = make(bucket)?;
            check_write(bucket.latest(key), if_match, if_none_match)?;
            if content.attributes.server_side_encryption.is_none() {
                let (algorithm, kms_key_id) = bucket.default_encryption()?;
                content.attributes.server_side_encryption = Some(algorithm);
                content.attributes.kms_key_id = kms_key_id;
            }
            if content.attributes.content_type.is_none() {
                content.attributes.content_type = Some("binary/octet-stream".to_owned());
            }
            let id = bucket.next_version_id(self);
            let version = Version {
                id,
                modified_at: self.clock.now(),
                content: Some(content),
            };
            let written = Written {
                shown_id: bucket.shown_version_id(&version.id),
                expiration: expiration_header(bucket, key, &version),
                version: version.clone(),
            };
            let added = Record::VersionAdded {
                bucket: bucket_name.to_owned(),
                key: key.to_owned(),
                version,
            };
            Ok((std::iter::once(added).chain(also).collect(), written))
        })
    }

    pub(super) async fn put_object(
        self: &Arc<Self>,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<PutObjectOutput> {
        let announced = Announced::new(&request.headers, &request.extensions)?;
        let mut input = request.input;
        if input.sse_customer_algorithm.is_some() || input.write_offset_bytes.is_some() {
            return Err(s3_error!(NotImplemented));
        }
        limits::check_body(input.content_length)?;
        let (if_match, if_none_match) = (input.if_match.take(), input.if_none_match.take());
        // Once before the body, to save its way, and again when the version is added.
        self.look(|index| {
            check_write(
                index.existing(&input.bucket)?.latest(&input.key),
                if_match.as_ref(),
                if_none_match.as_ref(),
            )
        })?;
        let attributes = attributes!(input);
        limits::check_metadata(&attributes)?;
        let tags = parse_tags(input.tagging.as_deref());
        let received = announced.receive(self, input.body.take(), None).await?;
        let content = Content {
            size_bytes: received.size_bytes,
            etag: hex(&received.digests.md5),
            segments: received.segments,
            part_sizes: Vec::new(),
            attributes,
            checksums: Checksums {
                values: received.digests.values,
                composite: false,
            },
            tags,
        };
        let (if_match, if_none_match) = (if_match.as_ref(), if_none_match.as_ref());
        let written = self.add_version(&input.bucket, &input.key, if_match, if_none_match, |_| {
            Ok((content, None))
        })?;
        let Some(content) = &written.version.content else {
            return Err(s3_error!(InternalError));
        };
        let mut output = PutObjectOutput {
            e_tag: Some(ETag::Strong(content.etag.clone())),
            checksum_type: Some("FULL_OBJECT".to_owned().into()),
            expiration: written.expiration,
            server_side_encryption: sse(content.attributes.server_side_encryption.as_ref()),
            ssekms_key_id: content.attributes.kms_key_id.clone(),
            version_id: written.shown_id,
            ..PutObjectOutput::default()
        };
        put_checksums!(output, &content.checksums.values);
        Ok(output)
    }

    /// The object that a copy reads.
    pub(super) fn copy_source(&self, source: &CopySource) -> S3Result<Found> {
        match source {
            CopySource::Bucket {
                bucket,
                key,
                version_id,
            } => self.find(bucket, key, version_id.as_deref()),
            CopySource::AccessPoint { .. } | CopySource::Outpost { .. } => Err(s3_error!(NotImplemented)),
        }
    }

    pub(super) async fn copy_object(
        self: &Arc<Self>,
        mut input: CopyObjectInput,
    ) -> S3Result<CopyObjectOutput> {
        let source = self.copy_source(&input.copy_source)?;
        let content = source.content()?;
        source.check_copy(
            input.copy_source_if_match.as_ref(),
            input.copy_source_if_none_match.as_ref(),
            input.copy_source_if_unmodified_since.as_ref(),
            input.copy_source_if_modified_since.as_ref(),
        )?;
        limits::check_copy(content.size_bytes)?;
        let directive = input.metadata_directive.take();
        let replaces = directive.is_some_and(|directive| directive.as_str() == MetadataDirective::REPLACE);
        let is_itself = matches!(&input.copy_source, CopySource::Bucket { bucket, key, version_id: None }
            if **bucket == input.bucket && **key == input.key);
        let changes_nothing = !replaces
            && input.storage_class.is_none()
            && input.server_side_encryption.is_none()
            && input.website_redirect_location.is_none();
        if is_itself && changes_nothing {
            return Err(s3_error!(
                InvalidRequest,
                "This copy request is illegal because it is trying to copy an object to itself without changing the \
                 object's metadata, storage class, website redirect location or encryption attributes."
            ));
        }
        let asked = attributes!(input);
        limits::check_metadata(&asked)?;
        let attributes = if replaces {
            asked
        } else {
            let mut kept = content.attributes.clone();
            kept.storage_class = asked.storage_class;
            kept.server_side_encryption = asked.server_side_encryption;
            kept.kms_key_id = asked.kms_key_id;
            kept
        };
        let tags = match input.tagging_directive.take() {
            Some(directive) if directive.as_str() == TaggingDirective::REPLACE => {
                parse_tags(input.tagging.as_deref())
            }
            _ => content.tags.clone(),
        };
        let algorithm = input
            .checksum_algorithm
            .take()
            .map(|name| Algorithm::parse(name.as_str()))
            .transpose()?;
        let algorithm = algorithm.or_else(|| content.checksums.values.keys().next().copied());
        let algorithm = algorithm.unwrap_or(Algorithm::Crc64nvme);
        // A copy is one piece, whatever its source was made of: it shares the bytes, not the checksums of parts.
        let is_plain = content.part_sizes.is_empty() && content.checksums.values.contains_key(&algorithm);
        let (etag, checksums) = if is_plain {
            (content.etag.clone(), content.checksums.clone())
        } else {
            let digests = intake::digest(content.segments.clone(), [algorithm]).await?;
            (
                hex(&digests.md5),
                Checksums {
                    values: digests.values,
                    composite: false,
                },
            )
        };
        let (size_bytes, segments) = (content.size_bytes, content.segments.clone());
        let copy = Content {
            size_bytes,
            etag,
            segments,
            part_sizes: Vec::new(),
            attributes,
            checksums,
            tags,
        };
        let written = self.add_version(&input.bucket, &input.key, None, None, |_| Ok((copy, None)))?;
        let Some(content) = &written.version.content else {
            return Err(s3_error!(InternalError));
        };
        let mut result = CopyObjectResult {
            e_tag: Some(ETag::Strong(content.etag.clone())),
            last_modified: Some(to_wire(written.version.modified_at)),
            checksum_type: Some("FULL_OBJECT".to_owned().into()),
            ..CopyObjectResult::default()
        };
        put_checksums!(result, &content.checksums.values);
        Ok(CopyObjectOutput {
            copy_object_result: Some(result),
            copy_source_version_id: source.shown_id.clone(),
            expiration: written.expiration,
            server_side_encryption: sse(content.attributes.server_side_encryption.as_ref()),
            ssekms_key_id: content.attributes.kms_key_id.clone(),
            version_id: written.shown_id,
            ..CopyObjectOutput::default()
        })
    }

    /// Replaces the tags of an object. Returns its version id as shown.
    pub(super) fn put_tags(
        &self,
        bucket_name: &str,
        key: &str,
        version_id: Option<&str>,
        tags: Vec<Tag>,
    ) -> S3Result<Option<String>> {
        let pairs = tags.into_iter().map(|tag| Some((tag.key?, tag.value?)));
        let tags: Tags = pairs
            .collect::<Option<_>>()
            .ok_or_else(|| s3_error!(MalformedXML))?;
        let found = self.find(bucket_name, key, version_id)?;
        self.change(|index| {
            let versions = index.existing(bucket_name)?.objects.get(key);
            let version = versions.and_then(|versions| versions.iter().find(|v| v.id == found.version.id));
            let version_id = version.ok_or_else(|| s3_error!(NoSuchKey))?.id.clone();
            let record = Record::TagsPut {
                bucket: bucket_name.to_owned(),
                key: key.to_owned(),
                version_id,
                tags,
            };
            Ok((vec![record], found.shown_id))
        })
    }
}

/// The headers of an answer about a delete marker.
pub(super) fn marker_headers(shown_id: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-delete-marker", http::HeaderValue::from_static("true"));
    if let Some(id) = shown_id.and_then(|id| http::HeaderValue::from_str(id).ok()) {
        headers.insert("x-amz-version-id", id);
    }
    headers
}

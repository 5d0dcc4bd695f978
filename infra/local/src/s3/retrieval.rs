//! Reading objects: whole, in ranges and parts, under conditions, or just what is said of them.

use std::ops::Range;
use std::sync::Arc;

use http::StatusCode;
use s3s::dto::{
    Checksum, ChecksumMode, ChecksumType, ETag, ETagCondition, GetObjectAttributesInput,
    GetObjectAttributesOutput, GetObjectAttributesParts, GetObjectInput, GetObjectOutput, HeadObjectInput,
    HeadObjectOutput, Range as WireRange, StorageClass, Timestamp as WireTimestamp, TimestampFormat,
};
use s3s::{S3Error, S3Result, s3_error};

use super::blob;
use super::digest::{Checksums, put_checksums};
use super::lifecycle::{expiration_header, to_wire};
use super::objects::{etag_matches, marker_headers, sse, wire_size};
use super::record::{Content, Version};
use super::refusal::refusal;
use super::store::Store;

/// A version that was asked for.
pub(super) struct Found {
    pub(super) version: Arc<Version>,
    /// `None` in a bucket that never kept versions.
    pub(super) shown_id: Option<String>,
    expiration: Option<String>,
}

/// What a read asks for beside the key.
struct Ask {
    range: Option<WireRange>,
    part_number: Option<i32>,
    with_checksums: bool,
}

/// Which bytes a read answers with.
struct Extent {
    bytes: Range<u64>,
    /// Not the whole object, or asked for as a range.
    content_range: Option<String>,
    parts_count: Option<i32>,
}

/// Conditions of a read, in the precedence of RFC 9110.
macro_rules! conditions {
    ($found:expr, $input:expr) => {
        $found.check_read(
            $input.if_match.as_ref(),
            $input.if_none_match.as_ref(),
            $input.if_unmodified_since.as_ref(),
            $input.if_modified_since.as_ref(),
        )
    };
}

/// What the answers to `GetObject` and `HeadObject` share.
macro_rules! describe {
    ($output:ty, $found:expr, $content:expr, $extent:expr, $ask:expr) => {{
        let (found, content, extent, ask): (&Found, &Content, &Extent, &Ask) =
            ($found, $content, $extent, $ask);
        let attributes = &content.attributes;
        let expires = attributes.expires.as_deref();
        let mut output = <$output>::default();
        output.accept_ranges = Some("bytes".to_owned());
        output.cache_control = attributes.cache_control.clone();
        output.content_disposition = attributes.content_disposition.clone();
        output.content_encoding = attributes.content_encoding.clone();
        output.content_language = attributes.content_language.clone();
        output.content_length = Some(wire_size(extent.bytes.end - extent.bytes.start));
        output.content_range = extent.content_range.clone();
        output.content_type = attributes.content_type.clone();
        output.e_tag = Some(ETag::Strong(content.etag.clone()));
        output.expiration = found.expiration.clone();
        output.expires = expires.and_then(|at| WireTimestamp::parse(TimestampFormat::HttpDate, at).ok());
        output.last_modified = Some(to_wire(found.version.modified_at));
        output.metadata = Some(attributes.metadata.clone().into_iter().collect());
        output.parts_count = extent.parts_count;
        output.server_side_encryption = sse(attributes.server_side_encryption.as_ref());
        output.ssekms_key_id = attributes.kms_key_id.clone();
        output.storage_class = attributes.storage_class.clone().map(StorageClass::from);
        output.version_id = found.shown_id.clone();
        output.website_redirect_location = attributes.website_redirect_location.clone();
        let is_whole = extent.bytes == (0..content.size_bytes);
        if ask.with_checksums && is_whole {
            put_checksums!(output, &content.checksums.values);
            output.checksum_type = Some(checksum_type(&content.checksums));
        }
        output
    }};
}

/// `FULL_OBJECT` or `COMPOSITE`.
pub(super) fn checksum_type(checksums: &Checksums) -> ChecksumType {
    let name = if checksums.composite {
        ChecksumType::COMPOSITE
    } else {
        ChecksumType::FULL_OBJECT
    };
    ChecksumType::from(name.to_owned())
}

fn wants_checksums(mode: Option<&ChecksumMode>) -> bool {
    mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED)
}

impl Found {
    /// The object; versions that were found always have one.
    pub(super) fn content(&self) -> S3Result<&Content> {
        self.version.content.as_ref().ok_or_else(|| s3_error!(NoSuchKey))
    }

    fn is_modified_after(&self, at: &WireTimestamp) -> bool {
        // HTTP dates have whole seconds.
        let seconds = jiff::Timestamp::from_second(self.version.modified_at.as_second());
        seconds.is_ok_and(|modified_at| to_wire(modified_at) > *at)
    }

    fn check_read(
        &self,
        if_match: Option<&ETagCondition>,
        if_none_match: Option<&ETagCondition>,
        if_unmodified_since: Option<&WireTimestamp>,
        if_modified_since: Option<&WireTimestamp>,
    ) -> S3Result<()> {
        let etag = &self.content()?.etag;
        let holds = match if_match {
            Some(condition) => etag_matches(condition, etag),
            None => if_unmodified_since.is_none_or(|at| !self.is_modified_after(at)),
        };
        if !holds {
            let text = "At least one of the pre-conditions you specified did not hold";
            return Err(s3_error!(PreconditionFailed, "{text}"));
        }
        let is_new = match if_none_match {
            Some(condition) => !etag_matches(condition, etag),
            None => if_modified_since.is_none_or(|at| self.is_modified_after(at)),
        };
        if is_new {
            Ok(())
        } else {
            Err(self.not_modified(etag))
        }
    }

    fn not_modified(&self, etag: &str) -> S3Error {
        let mut error = s3_error!(NotModified);
        if let Ok(etag) = ETag::Strong(etag.to_owned()).to_http_header() {
            error.set_headers([(http::header::ETAG, etag)].into_iter().collect());
        }
        error
    }

    /// The same conditions on the source of a copy, where every failure is 412.
    pub(super) fn check_copy(
        &self,
        if_match: Option<&ETagCondition>,
        if_none_match: Option<&ETagCondition>,
        if_unmodified_since: Option<&WireTimestamp>,
        if_modified_since: Option<&WireTimestamp>,
    ) -> S3Result<()> {
        let checked = self.check_read(if_match, if_none_match, if_unmodified_since, if_modified_since);
        let text = "At least one of the pre-conditions you specified did not hold";
        checked.map_err(|_| s3_error!(PreconditionFailed, "{text}"))
    }

    fn extent(&self, ask: &Ask) -> S3Result<Extent> {
        let content = self.content()?;
        let size_bytes = content.size_bytes;
        let parts_count = i32::try_from(content.part_sizes.len()).unwrap_or(i32::MAX);
        let shown = |bytes: &Range<u64>| format!("bytes {}-{}/{size_bytes}", bytes.start, bytes.end - 1);
        match (ask.part_number, ask.range) {
            (Some(_), Some(_)) => Err(s3_error!(
                InvalidRequest,
                "Cannot specify both Range header and partNumber"
            )),
            (Some(1), None) if content.part_sizes.is_empty() => Ok(Extent {
                bytes: 0..size_bytes,
                content_range: None,
                parts_count: None,
            }),
            (Some(number), None) => {
                let missing = || {
                    let text = "The requested partnumber is not satisfiable";
                    refusal("InvalidPartNumber", StatusCode::RANGE_NOT_SATISFIABLE, text)
                };
                let before = usize::try_from(number)
                    .ok()
                    .and_then(|number| number.checked_sub(1));
                let before = before.ok_or_else(missing)?;
                let part_bytes = content.part_sizes.get(before).ok_or_else(missing)?;
                let start: u64 = content.part_sizes.iter().take(before).sum();
                let bytes = start..start + part_bytes;
                let content_range = (*part_bytes > 0).then(|| shown(&bytes));
                Ok(Extent {
                    bytes,
                    content_range,
                    parts_count: Some(parts_count),
                })
            }
            (None, Some(range)) => {
                let bytes = range.check(size_bytes)?;
                let content_range = Some(shown(&bytes));
                Ok(Extent {
                    bytes,
                    content_range,
                    parts_count: None,
                })
            }
            (None, None) => Ok(Extent {
                bytes: 0..size_bytes,
                content_range: None,
                parts_count: None,
            }),
        }
    }
}

impl Store {
    /// The version of a key that a request names, or its newest.
    pub(super) fn find(&self, bucket_name: &str, key: &str, version_id: Option<&str>) -> S3Result<Found> {
        self.look(|index| {
            let bucket = index.existing(bucket_name)?;
            let version = match version_id {
                None => bucket
                    .latest(key)
                    .ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist."))?,
                Some(id) => {
                    let versions = bucket.objects.get(key);
                    let found =
                        versions.and_then(|versions| versions.iter().find(|version| version.id == id));
                    found.ok_or_else(|| s3_error!(NoSuchVersion, "The specified version does not exist."))?
                }
            };
            let shown_id = bucket.shown_version_id(&version.id);
            if version.content.is_none() {
                let mut error = match version_id {
                    None => s3_error!(NoSuchKey, "The specified key does not exist."),
                    Some(_) => s3_error!(
                        MethodNotAllowed,
                        "The specified method is not allowed against this resource."
                    ),
                };
                error.set_headers(marker_headers(shown_id.as_deref()));
                return Err(error);
            }
            let is_latest = bucket.latest(key).is_some_and(|latest| latest.id == version.id);
            let expiration = is_latest
                .then(|| expiration_header(bucket, key, version))
                .flatten();
            Ok(Found {
                version: Arc::clone(version),
                shown_id,
                expiration,
            })
        })
    }

    pub(super) async fn get_object(&self, input: GetObjectInput) -> S3Result<GetObjectOutput> {
        let found = self.find(&input.bucket, &input.key, input.version_id.as_deref())?;
        conditions!(found, input)?;
        let with_checksums = wants_checksums(input.checksum_mode.as_ref());
        let ask = Ask {
            range: input.range,
            part_number: input.part_number,
            with_checksums,
        };
        let extent = found.extent(&ask)?;
        let content = found.content()?;
        let mut output = describe!(GetObjectOutput, &found, content, &extent, &ask);
        output.tag_count = i32::try_from(content.tags.len()).ok().filter(|count| *count > 0);
        let segments = blob::cut(&content.segments, extent.bytes);
        output.body = Some(
            blob::read(segments)
                .await
                .map_err(|error| s3_error!(error, InternalError))?,
        );
        Ok(output)
    }

    pub(super) fn head_object(&self, input: &HeadObjectInput) -> S3Result<HeadObjectOutput> {
        let found = self.find(&input.bucket, &input.key, input.version_id.as_deref())?;
        conditions!(found, input)?;
        let with_checksums = wants_checksums(input.checksum_mode.as_ref());
        let ask = Ask {
            range: input.range,
            part_number: input.part_number,
            with_checksums,
        };
        let extent = found.extent(&ask)?;
        Ok(describe!(
            HeadObjectOutput,
            &found,
            found.content()?,
            &extent,
            &ask
        ))
    }

    pub(super) fn get_object_attributes(
        &self,
        input: &GetObjectAttributesInput,
    ) -> S3Result<GetObjectAttributesOutput> {
        let found = self.find(&input.bucket, &input.key, input.version_id.as_deref())?;
        let content = found.content()?;
        let asked = |name: &str| {
            input
                .object_attributes
                .iter()
                .any(|attribute| attribute.as_str() == name)
        };
        let mut checksum = Checksum::default();
        put_checksums!(checksum, &content.checksums.values);
        checksum.checksum_type = Some(checksum_type(&content.checksums));
        let parts_count = i32::try_from(content.part_sizes.len())
            .ok()
            .filter(|count| *count > 0);
        let parts = parts_count.map(|count| GetObjectAttributesParts {
            total_parts_count: Some(count),
            ..GetObjectAttributesParts::default()
        });
        Ok(GetObjectAttributesOutput {
            checksum: asked("Checksum").then_some(checksum),
            e_tag: asked("ETag").then(|| ETag::Strong(content.etag.clone())),
            last_modified: Some(to_wire(found.version.modified_at)),
            object_parts: parts.filter(|_| asked("ObjectParts")),
            object_size: asked("ObjectSize").then(|| wire_size(content.size_bytes)),
            storage_class: asked("StorageClass").then(|| {
                let class = content.attributes.storage_class.clone();
                StorageClass::from(class.unwrap_or_else(|| StorageClass::STANDARD.to_owned()))
            }),
            version_id: found.shown_id.clone(),
            ..GetObjectAttributesOutput::default()
        })
    }
}

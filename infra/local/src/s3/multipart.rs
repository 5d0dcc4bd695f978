//! Multipart uploads: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>.
//!
//! A completed object is a list of its parts' stretches: completing moves no byte.

use std::sync::Arc;

use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{
    ChecksumAlgorithm, ChecksumType, CompleteMultipartUploadInput, CompleteMultipartUploadOutput,
    CompletedPart, CopyPartResult, CreateMultipartUploadInput, CreateMultipartUploadOutput, ETag,
    UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3Request, S3Result, s3_error};

use super::blob;
use super::digest::{self, Checksums, Digests, Values, given_checksums, hex, put_checksums, unhex};
use super::intake::{self, Announced};
use super::lifecycle::{abort_due, to_wire};
use super::limits;
use super::objects::{attributes, parse_tags, sse, wire_size};
use super::part_checksums::{UploadChecksum, invalid_order, invalid_part};
use super::record::{Content, Part, Record, Upload};
use super::retrieval::checksum_type;
use super::store::Store;

pub(super) fn wire_algorithm(upload: &Upload) -> Option<ChecksumAlgorithm> {
    let checksum = upload.checksum;
    checksum
        .named
        .then(|| ChecksumAlgorithm::from(checksum.algorithm.name().to_owned()))
}

pub(super) fn wire_type(upload: &Upload) -> Option<ChecksumType> {
    let checksum = upload.checksum;
    checksum
        .named
        .then(|| ChecksumType::from(checksum.type_name().to_owned()))
}

impl Store {
    pub(super) fn create_multipart_upload(
        &self,
        mut input: CreateMultipartUploadInput,
    ) -> S3Result<CreateMultipartUploadOutput> {
        if input.sse_customer_algorithm.is_some() {
            return Err(s3_error!(NotImplemented));
        }
        let checksum = UploadChecksum::created_with(
            input.checksum_algorithm.as_ref().map(ChecksumAlgorithm::as_str),
            input.checksum_type.as_ref().map(ChecksumType::as_str),
        )?;
        let mut attributes = attributes!(input);
        limits::check_metadata(&attributes)?;
        let tags = parse_tags(input.tagging.as_deref());
        let upload_id = self.blobs.new_id();
        self.change(|index| {
            let bucket = index.existing(&input.bucket)?;
            if attributes.server_side_encryption.is_none() {
                let (encryption, kms_key_id) = bucket.default_encryption()?;
                attributes.server_side_encryption = Some(encryption);
                attributes.kms_key_id = kms_key_id;
            }
            let upload = Upload {
                key: input.key.clone(),
                initiated_at: self.clock.now(),
                attributes,
                tags,
                checksum,
                parts: std::collections::BTreeMap::new(),
            };
            let abort = abort_due(bucket, &input.key, upload.initiated_at);
            let (abort_date, abort_rule_id) = abort.map(|(at, rule)| (to_wire(at), rule)).unzip();
            let output = CreateMultipartUploadOutput {
                abort_date,
                abort_rule_id,
                bucket: Some(input.bucket.clone()),
                checksum_algorithm: wire_algorithm(&upload),
                checksum_type: wire_type(&upload),
                key: Some(input.key.clone()),
                server_side_encryption: sse(upload.attributes.server_side_encryption.as_ref()),
                ssekms_key_id: upload.attributes.kms_key_id.clone(),
                upload_id: Some(upload_id.clone()),
                ..CreateMultipartUploadOutput::default()
            };
            Ok((
                vec![Record::UploadCreated {
                    bucket: input.bucket.clone(),
                    upload_id,
                    upload,
                }],
                output,
            ))
        })
    }

    /// The checksum of an upload, and its encryption.
    fn upload_traits(
        &self,
        bucket: &str,
        key: &str,
        upload_id: &str,
    ) -> S3Result<(UploadChecksum, Option<String>)> {
        self.look(|index| {
            let upload = index.existing(bucket)?.upload(key, upload_id)?;
            Ok((upload.checksum, upload.attributes.server_side_encryption.clone()))
        })
    }

    fn add_part(&self, bucket: &str, key: &str, upload_id: &str, number: i32, part: Part) -> S3Result<()> {
        self.change(|index| {
            index.existing(bucket)?.upload(key, upload_id)?;
            let (bucket, upload_id) = (bucket.to_owned(), upload_id.to_owned());
            Ok((
                vec![Record::PartAdded {
                    bucket,
                    upload_id,
                    number,
                    part,
                }],
                (),
            ))
        })
    }

    fn new_part(&self, segments: Vec<blob::Segment>, digests: &Digests, checksum: UploadChecksum) -> Part {
        let mut values = digests.values.clone();
        values.retain(|algorithm, _| *algorithm == checksum.algorithm);
        Part {
            size_bytes: segments.iter().map(|segment| segment.size_bytes).sum(),
            etag: hex(&digests.md5),
            modified_at: self.clock.now(),
            segments,
            checksums: Checksums {
                values,
                composite: false,
            },
        }
    }

    pub(super) async fn upload_part(
        self: &Arc<Self>,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<UploadPartOutput> {
        let announced = Announced::new(&request.headers, &request.extensions)?;
        let mut input = request.input;
        limits::check_part_number(input.part_number)?;
        limits::check_body(input.content_length)?;
        let (checksum, encryption) = self.upload_traits(&input.bucket, &input.key, &input.upload_id)?;
        let sent = announced.algorithm();
        checksum.check_sent(sent)?;
        let received = announced
            .receive(self, input.body.take(), Some(checksum.algorithm))
            .await?;
        let part = self.new_part(received.segments, &received.digests, checksum);
        let mut output = UploadPartOutput {
            e_tag: Some(ETag::Strong(part.etag.clone())),
            server_side_encryption: sse(encryption.as_ref()),
            ..UploadPartOutput::default()
        };
        // What was sent is echoed, also where nothing is kept of it.
        let mut echoed = received.digests.values;
        echoed.retain(|algorithm, _| Some(*algorithm) == sent || checksum.named);
        put_checksums!(output, &echoed);
        self.add_part(
            &input.bucket,
            &input.key,
            &input.upload_id,
            input.part_number,
            part,
        )?;
        Ok(output)
    }

    pub(super) async fn upload_part_copy(
        &self,
        input: UploadPartCopyInput,
    ) -> S3Result<UploadPartCopyOutput> {
        limits::check_part_number(input.part_number)?;
        let (checksum, encryption) = self.upload_traits(&input.bucket, &input.key, &input.upload_id)?;
        let source = self.copy_source(&input.copy_source)?;
        source.check_copy(
            input.copy_source_if_match.as_ref(),
            input.copy_source_if_none_match.as_ref(),
            input.copy_source_if_unmodified_since.as_ref(),
            input.copy_source_if_modified_since.as_ref(),
        )?;
        let content = source.content()?;
        let range = match input.copy_source_range.as_deref() {
            None => 0..content.size_bytes,
            Some(range) => copy_range(range, content.size_bytes)?,
        };
        limits::check_copy(range.end - range.start)?;
        let segments = blob::cut(&content.segments, range);
        let digests = intake::digest(segments.clone(), [checksum.algorithm]).await?;
        let part = self.new_part(segments, &digests, checksum);
        let mut result = CopyPartResult {
            e_tag: Some(ETag::Strong(part.etag.clone())),
            last_modified: Some(to_wire(part.modified_at)),
            ..CopyPartResult::default()
        };
        put_checksums!(result, &checksum.shown(&part.checksums.values));
        self.add_part(
            &input.bucket,
            &input.key,
            &input.upload_id,
            input.part_number,
            part,
        )?;
        Ok(UploadPartCopyOutput {
            copy_part_result: Some(result),
            copy_source_version_id: source.shown_id,
            server_side_encryption: sse(encryption.as_ref()),
            ..UploadPartCopyOutput::default()
        })
    }

    pub(super) fn complete_multipart_upload(
        &self,
        mut input: CompleteMultipartUploadInput,
    ) -> S3Result<CompleteMultipartUploadOutput> {
        let named = input
            .multipart_upload
            .take()
            .and_then(|upload| upload.parts)
            .unwrap_or_default();
        let given = given_checksums!(input);
        let kind = input.checksum_type.take().map(|kind| kind.as_str().to_owned());
        let (if_match, if_none_match) = (input.if_match.as_ref(), input.if_none_match.as_ref());
        let written = self.add_version(&input.bucket, &input.key, if_match, if_none_match, |bucket| {
            let upload = bucket.upload(&input.key, &input.upload_id)?;
            let content = assemble(upload, named, kind.as_deref(), &given)?;
            let computed = wire_size(content.size_bytes);
            if let Some(size) = input.mpu_object_size
                && size != computed
            {
                return Err(s3_error!(
                    InvalidRequest,
                    "The provided 'x-amz-mp-object-size' header value {} does not match what was computed: {}",
                    size,
                    computed
                ));
            }
            let (bucket, upload_id) = (input.bucket.clone(), input.upload_id.clone());
            Ok((content, Some(Record::UploadRemoved { bucket, upload_id })))
        })?;
        let Some(content) = &written.version.content else {
            return Err(s3_error!(InternalError));
        };
        let mut output = CompleteMultipartUploadOutput {
            bucket: Some(input.bucket.clone()),
            key: Some(input.key.clone()),
            location: Some(format!(
                "/{}/{}",
                input.bucket,
                super::admission::percent_encode(&input.key, true)
            )),
            e_tag: Some(ETag::Strong(content.etag.clone())),
            checksum_type: Some(checksum_type(&content.checksums)),
            expiration: written.expiration,
            server_side_encryption: sse(content.attributes.server_side_encryption.as_ref()),
            ssekms_key_id: content.attributes.kms_key_id.clone(),
            version_id: written.shown_id,
            ..CompleteMultipartUploadOutput::default()
        };
        put_checksums!(output, &content.checksums.values);
        Ok(output)
    }

    pub(super) fn abort_multipart_upload(&self, bucket: &str, key: &str, upload_id: &str) -> S3Result<()> {
        self.change(|index| {
            index.existing(bucket)?.upload(key, upload_id)?;
            let (bucket, upload_id) = (bucket.to_owned(), upload_id.to_owned());
            Ok((vec![Record::UploadRemoved { bucket, upload_id }], ()))
        })
    }
}

/// `bytes=FIRST-LAST`, both there and inside the source.
fn copy_range(range: &str, size_bytes: u64) -> S3Result<std::ops::Range<u64>> {
    let bounds = range
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'));
    let bounds =
        bounds.and_then(|(first, last)| Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?)));
    let (first, last) = bounds.filter(|(first, last)| first <= last).ok_or_else(|| {
        s3_error!(
            InvalidArgument,
            "The x-amz-copy-source-range value must be of the form bytes=first-last"
        )
    })?;
    if last >= size_bytes {
        return Err(s3_error!(
            InvalidArgument,
            "Range specified is not valid for source object of size: {}",
            size_bytes
        ));
    }
    Ok(first..last + 1)
}

/// The object that the named parts make, if they are what was uploaded, and as the upload was created.
///
/// `kind` is `x-amz-checksum-type`, `given` the checksum of the whole object.
fn assemble(
    upload: &Upload,
    named: Vec<CompletedPart>,
    kind: Option<&str>,
    given: &Values,
) -> S3Result<Content> {
    let checksum = upload.checksum;
    checksum.check_type(kind)?;
    if named.is_empty() {
        return Err(s3_error!(MalformedXML, "You must specify at least one part"));
    }
    let mut chosen: Vec<(i32, &Part)> = Vec::with_capacity(named.len());
    for mut part in named {
        let number = part.part_number.ok_or_else(|| s3_error!(MalformedXML))?;
        if chosen.last().is_some_and(|(previous, _)| number <= *previous) {
            return Err(invalid_order());
        }
        let stored = upload.parts.get(&number).ok_or_else(invalid_part)?;
        if part.e_tag.take().is_none_or(|etag| etag.value() != stored.etag) {
            return Err(invalid_part());
        }
        checksum.check_named(number, &stored.checksums.values, &given_checksums!(part))?;
        chosen.push((number, stored));
    }
    checksum.check_numbers(chosen.iter().map(|(number, _)| *number))?;
    let part_sizes: Vec<_> = chosen.iter().map(|(_, part)| part.size_bytes).collect();
    limits::check_part_sizes(&part_sizes)?;
    let mut md5 = Md5::new();
    let mut sums = Vec::with_capacity(chosen.len());
    for (_, part) in &chosen {
        md5.update(&unhex(&part.etag).ok_or_else(|| s3_error!(InternalError))?);
        let sum = part.checksums.values.get(&checksum.algorithm);
        let sum = sum.ok_or_else(|| s3_error!(InternalError, "a part has no checksum"))?;
        sums.push((sum.as_str(), part.size_bytes));
    }
    let whole = digest::of_parts(checksum.algorithm, checksum.composite, &sums)?;
    checksum.check_whole(kind, given, &whole)?;
    Ok(Content {
        size_bytes: part_sizes.iter().sum(),
        etag: format!("{}-{}", hex(&md5.finalize()), chosen.len()),
        segments: chosen
            .iter()
            .flat_map(|(_, part)| part.segments.clone())
            .collect(),
        part_sizes,
        attributes: upload.attributes.clone(),
        checksums: Checksums {
            values: [(checksum.algorithm, whole)].into(),
            composite: checksum.composite,
        },
        tags: upload.tags.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::copy_range;

    #[test]
    fn copy_ranges_lie_inside_their_source() {
        assert_eq!(copy_range("bytes=0-9", 10).unwrap(), 0..10);
        for range in [
            "bytes=0-10",
            "bytes=5-4",
            "bytes=-5",
            "bytes=5-",
            "0-5",
            "bytes=a-b",
        ] {
            assert!(copy_range(range, 10).is_err(), "{range}");
        }
    }
}

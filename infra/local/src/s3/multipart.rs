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
use super::digest::{
    self, Algorithm, Checksums, Digests, Values, given_checksums, hex, put_checksums, unhex,
};
use super::intake::{self, Announced};
use super::lifecycle::{abort_due, to_wire};
use super::objects::{MAX_PUT_BYTES, attributes, parse_tags, sse, wire_size};
use super::record::{Content, Part, Record, Upload};
use super::retrieval::checksum_type;
use super::store::Store;

/// Every part but the last has at least this many bytes.
const MIN_PART_BYTES: u64 = 5 * 1024 * 1024;

const MAX_PART_NUMBER: i32 = 10_000;

pub(super) fn wire_algorithm(upload: &Upload) -> Option<ChecksumAlgorithm> {
    upload
        .algorithm_given
        .then(|| ChecksumAlgorithm::from(upload.algorithm.name().to_owned()))
}

pub(super) fn wire_type(upload: &Upload) -> Option<ChecksumType> {
    let checksums = Checksums {
        values: Values::new(),
        composite: upload.composite,
    };
    upload.algorithm_given.then(|| checksum_type(&checksums))
}

fn check_part_number(number: i32) -> S3Result<()> {
    if (1..=MAX_PART_NUMBER).contains(&number) {
        return Ok(());
    }
    Err(s3_error!(
        InvalidArgument,
        "Part number must be an integer between 1 and 10000, inclusive"
    ))
}

impl Store {
    pub(super) fn create_multipart_upload(
        &self,
        mut input: CreateMultipartUploadInput,
    ) -> S3Result<CreateMultipartUploadOutput> {
        if input.sse_customer_algorithm.is_some() {
            return Err(s3_error!(NotImplemented));
        }
        let given = input
            .checksum_algorithm
            .as_ref()
            .map(|name| Algorithm::parse(name.as_str()))
            .transpose()?;
        let algorithm = given.unwrap_or(Algorithm::Crc64nvme);
        let asked_type = input.checksum_type.as_ref().map(ChecksumType::as_str);
        let composite = match asked_type {
            None => algorithm != Algorithm::Crc64nvme,
            Some(name) => name == ChecksumType::COMPOSITE,
        };
        if (composite && algorithm == Algorithm::Crc64nvme) || (!composite && !algorithm.is_linear()) {
            let (kind, name) = (asked_type.unwrap_or_default(), algorithm.name());
            return Err(s3_error!(
                InvalidRequest,
                "The {kind} checksum type cannot be used with the {name} checksum"
            ));
        }
        let mut attributes = attributes!(input);
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
                algorithm,
                composite,
                algorithm_given: given.is_some(),
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

    /// The algorithm of an upload, and its encryption.
    fn upload_traits(
        &self,
        bucket: &str,
        key: &str,
        upload_id: &str,
    ) -> S3Result<(Algorithm, Option<String>)> {
        self.look(|index| {
            let upload = index.existing(bucket)?.upload(key, upload_id)?;
            Ok((upload.algorithm, upload.attributes.server_side_encryption.clone()))
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

    fn new_part(&self, segments: Vec<blob::Segment>, digests: &Digests) -> Part {
        Part {
            size_bytes: segments.iter().map(|segment| segment.size_bytes).sum(),
            etag: hex(&digests.md5),
            modified_at: self.clock.now(),
            segments,
            checksums: Checksums {
                values: digests.values.clone(),
                composite: false,
            },
        }
    }

    pub(super) async fn upload_part(
        self: &Arc<Self>,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<UploadPartOutput> {
        let announced = Announced::new(&request);
        let mut input = request.input;
        check_part_number(input.part_number)?;
        if input
            .content_length
            .is_some_and(|length| length > wire_size(MAX_PUT_BYTES))
        {
            return Err(s3_error!(
                EntityTooLarge,
                "Your proposed upload exceeds the maximum allowed size"
            ));
        }
        let (algorithm, encryption) = self.upload_traits(&input.bucket, &input.key, &input.upload_id)?;
        let given = given_checksums!(input);
        let (body, content_md5) = (input.body.take(), input.content_md5.take());
        let received = announced
            .receive(self, body, given, content_md5, Some(algorithm))
            .await?;
        let part = self.new_part(received.segments, &received.digests);
        let mut output = UploadPartOutput {
            e_tag: Some(ETag::Strong(part.etag.clone())),
            server_side_encryption: sse(encryption.as_ref()),
            ..UploadPartOutput::default()
        };
        put_checksums!(output, &part.checksums.values);
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
        check_part_number(input.part_number)?;
        let (algorithm, encryption) = self.upload_traits(&input.bucket, &input.key, &input.upload_id)?;
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
        if range.end - range.start > MAX_PUT_BYTES {
            return Err(s3_error!(
                InvalidRequest,
                "The specified copy range is larger than 5368709120 bytes"
            ));
        }
        let segments = blob::cut(&content.segments, range);
        let digests = intake::digest(segments.clone(), [algorithm]).await?;
        let part = self.new_part(segments, &digests);
        let mut result = CopyPartResult {
            e_tag: Some(ETag::Strong(part.etag.clone())),
            last_modified: Some(to_wire(part.modified_at)),
            ..CopyPartResult::default()
        };
        put_checksums!(result, &part.checksums.values);
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
        let (if_match, if_none_match) = (input.if_match.as_ref(), input.if_none_match.as_ref());
        let written = self.add_version(&input.bucket, &input.key, if_match, if_none_match, |bucket| {
            let content = assemble(bucket.upload(&input.key, &input.upload_id)?, named, &given)?;
            if input
                .mpu_object_size
                .is_some_and(|size| size != wire_size(content.size_bytes))
            {
                let text = "The provided 'x-amz-mp-object-size' header does not match the size of the object";
                return Err(s3_error!(InvalidRequest, "{text}"));
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

/// The object that the named parts make, if they are what was uploaded.
fn assemble(upload: &Upload, named: Vec<CompletedPart>, given: &Values) -> S3Result<Content> {
    if named.is_empty() {
        return Err(s3_error!(MalformedXML, "You must specify at least one part"));
    }
    let mut chosen: Vec<&Part> = Vec::with_capacity(named.len());
    let mut previous = 0;
    for mut part in named {
        let invalid = || {
            s3_error!(
                InvalidPart,
                "One or more of the specified parts could not be found. The part may not have been uploaded, or the \
                 specified entity tag may not match the part's entity tag."
            )
        };
        let number = part.part_number.ok_or_else(|| s3_error!(MalformedXML))?;
        if number <= previous {
            return Err(s3_error!(
                InvalidPartOrder,
                "The list of parts was not in ascending order. Parts must be ordered by part number."
            ));
        }
        previous = number;
        let stored = upload.parts.get(&number).ok_or_else(invalid)?;
        let given = given_checksums!(part);
        let differs = |(algorithm, value)| {
            stored
                .checksums
                .values
                .get(algorithm)
                .is_some_and(|own| own != value)
        };
        if part.e_tag.is_none_or(|etag| etag.value() != stored.etag) || given.iter().any(differs) {
            return Err(invalid());
        }
        chosen.push(stored);
    }
    let too_small = chosen
        .split_last()
        .is_some_and(|(_, others)| others.iter().any(|part| part.size_bytes < MIN_PART_BYTES));
    if too_small {
        return Err(s3_error!(
            EntityTooSmall,
            "Your proposed upload is smaller than the minimum allowed size"
        ));
    }
    let mut md5 = Md5::new();
    for part in &chosen {
        md5.update(&unhex(&part.etag).ok_or_else(|| s3_error!(InternalError))?);
    }
    let sums: Option<Vec<_>> = chosen
        .iter()
        .map(|part| {
            Some((
                part.checksums.values.get(&upload.algorithm)?.as_str(),
                part.size_bytes,
            ))
        })
        .collect();
    let sums = sums.ok_or_else(|| s3_error!(InternalError, "a part has no checksum"))?;
    let sum = digest::of_parts(upload.algorithm, upload.composite, &sums)?;
    if given.get(&upload.algorithm).is_some_and(|given| *given != sum) {
        return Err(digest::bad_checksum(upload.algorithm));
    }
    Ok(Content {
        size_bytes: chosen.iter().map(|part| part.size_bytes).sum(),
        etag: format!("{}-{}", hex(&md5.finalize()), chosen.len()),
        segments: chosen.iter().flat_map(|part| part.segments.clone()).collect(),
        part_sizes: chosen.iter().map(|part| part.size_bytes).collect(),
        attributes: upload.attributes.clone(),
        checksums: Checksums {
            values: [(upload.algorithm, sum)].into(),
            composite: upload.composite,
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

//! The listings: buckets, objects, versions, uploads and parts.

use std::ops::Bound;
use std::sync::Arc;

use s3s::dto::{
    ChecksumAlgorithm, CommonPrefix, DeleteMarkerEntry, ETag, EncodingType, ListBucketsInput,
    ListBucketsOutput, ListMultipartUploadsInput, ListMultipartUploadsOutput, ListObjectVersionsInput,
    ListObjectVersionsOutput, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output,
    ListPartsInput, ListPartsOutput, MultipartUpload, Object, ObjectStorageClass, ObjectVersion,
    ObjectVersionStorageClass, Owner, Part as WirePart, StorageClass,
};
use s3s::{S3Result, s3_error};

use super::digest::{Checksums, put_checksums};
use super::index::Bucket;
use super::lifecycle::{abort_due, to_wire};
use super::multipart::{wire_algorithm, wire_type};
use super::objects::wire_size;
use super::paging::{After, Ask, Page, page, shown};
use super::record::{Content, Version};
use super::retrieval::checksum_type;
use super::store::Store;

fn is_encoded(encoding: Option<&EncodingType>) -> bool {
    encoding.is_some_and(|encoding| encoding.as_str() == EncodingType::URL)
}

/// The one account of this endpoint.
fn owner() -> Owner {
    Owner {
        display_name: None,
        id: Some("local".to_owned()),
    }
}

fn algorithms(checksums: &Checksums) -> Option<Vec<ChecksumAlgorithm>> {
    Some(
        checksums
            .values
            .keys()
            .map(|algorithm| ChecksumAlgorithm::from(algorithm.name().to_owned()))
            .collect(),
    )
}

fn prefixes(found: Vec<String>, encoded: bool) -> Option<Vec<CommonPrefix>> {
    let prefix = |text: String| CommonPrefix {
        prefix: Some(shown(&text, encoded)),
    };
    Some(found.into_iter().map(prefix).collect())
}

fn object(key: &str, version: &Version, content: &Content, encoded: bool, with_owner: bool) -> Object {
    let class = content
        .attributes
        .storage_class
        .clone()
        .unwrap_or_else(|| StorageClass::STANDARD.to_owned());
    Object {
        checksum_algorithm: algorithms(&content.checksums),
        checksum_type: Some(checksum_type(&content.checksums)),
        e_tag: Some(ETag::Strong(content.etag.clone())),
        key: Some(shown(key, encoded)),
        last_modified: Some(to_wire(version.modified_at)),
        owner: with_owner.then(owner),
        size: Some(wire_size(content.size_bytes)),
        storage_class: Some(ObjectStorageClass::from(class)),
        ..Object::default()
    }
}

/// A page of the current objects of a bucket, as the wire shows them.
fn current(bucket: &Bucket, ask: &Ask, encoded: bool, with_owner: bool) -> Page<Object> {
    let bounds = (After::bound(ask.after.as_ref(), &ask.prefix), Bound::Unbounded);
    let sorted = bucket
        .objects
        .range::<str, _>(bounds)
        .filter_map(|(key, versions)| {
            let version = versions.front()?;
            let content = version.content.as_ref()?;
            Some((key.as_str(), (key, version, content)))
        });
    let Page {
        items,
        prefixes,
        next,
    } = page(ask, sorted);
    let items = items.into_iter();
    let items = items
        .map(|(key, version, content)| object(key, version, content, encoded, with_owner))
        .collect();
    Page {
        items,
        prefixes,
        next,
    }
}

/// A marker is the text of what was listed last: a key, or a common prefix, which ends like one.
fn from_marker(marker: Option<&str>, delimiter: Option<&str>) -> Option<After> {
    let marker = marker.filter(|marker| !marker.is_empty())?;
    let is_prefix = delimiter.is_some_and(|delimiter| !delimiter.is_empty() && marker.ends_with(delimiter));
    Some(if is_prefix {
        After::Prefix(marker.to_owned())
    } else {
        After::Key(marker.to_owned())
    })
}

impl Store {
    pub(super) fn list_buckets(&self, input: &ListBucketsInput) -> S3Result<ListBucketsOutput> {
        self.look(|index| {
            let prefix = input.prefix.as_deref().unwrap_or_default();
            let limit = usize::try_from(input.max_buckets.unwrap_or(10_000)).unwrap_or_default();
            let after = input
                .continuation_token
                .as_deref()
                .map(After::from_token)
                .transpose()?;
            let ask = Ask {
                prefix: prefix.to_owned(),
                delimiter: None,
                after,
                limit,
            };
            let bounds = (After::bound(ask.after.as_ref(), prefix), Bound::Unbounded);
            let sorted = index.buckets.range::<str, _>(bounds);
            let found = page(&ask, sorted.map(|(name, bucket)| (name.as_str(), (name, bucket))));
            let buckets = found.items.into_iter().map(|(name, bucket)| s3s::dto::Bucket {
                bucket_region: bucket.location.clone(),
                creation_date: Some(to_wire(bucket.created_at)),
                name: Some(name.clone()),
            });
            Ok(ListBucketsOutput {
                buckets: Some(buckets.collect()),
                continuation_token: found.next.map(|next| next.token()),
                owner: Some(owner()),
                prefix: input.prefix.clone(),
            })
        })
    }

    pub(super) fn list_objects_v2(&self, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
        let encoded = is_encoded(input.encoding_type.as_ref());
        let mut ask = Ask::new(input.prefix.clone(), input.delimiter.clone(), input.max_keys)?;
        ask.after = match (&input.continuation_token, &input.start_after) {
            (Some(token), _) => Some(After::from_token(token)?),
            (None, start_after) => start_after.clone().map(After::Key),
        };
        let with_owner = input.fetch_owner == Some(true);
        let found =
            self.look(|index| Ok(current(index.existing(&input.bucket)?, &ask, encoded, with_owner)))?;
        let count = found.items.len() + found.prefixes.len();
        Ok(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(shown(&ask.prefix, encoded)),
            max_keys: Some(input.max_keys.unwrap_or(1000)),
            key_count: i32::try_from(count).ok(),
            continuation_token: input.continuation_token,
            is_truncated: Some(found.next.is_some()),
            next_continuation_token: found.next.map(|next| next.token()),
            contents: Some(found.items),
            common_prefixes: prefixes(found.prefixes, encoded),
            delimiter: input.delimiter.map(|delimiter| shown(&delimiter, encoded)),
            encoding_type: input.encoding_type,
            start_after: input.start_after.map(|key| shown(&key, encoded)),
            ..ListObjectsV2Output::default()
        })
    }

    pub(super) fn list_objects(&self, input: ListObjectsInput) -> S3Result<ListObjectsOutput> {
        let encoded = is_encoded(input.encoding_type.as_ref());
        let mut ask = Ask::new(input.prefix.clone(), input.delimiter.clone(), input.max_keys)?;
        ask.after = from_marker(input.marker.as_deref(), input.delimiter.as_deref());
        let found = self.look(|index| Ok(current(index.existing(&input.bucket)?, &ask, encoded, true)))?;
        let next_marker = found.next.as_ref().filter(|_| input.delimiter.is_some());
        let next_marker = next_marker.map(|next| shown(next.text(), encoded));
        Ok(ListObjectsOutput {
            name: Some(input.bucket),
            prefix: Some(shown(&ask.prefix, encoded)),
            marker: input.marker.map(|marker| shown(&marker, encoded)),
            max_keys: Some(input.max_keys.unwrap_or(1000)),
            is_truncated: Some(found.next.is_some()),
            next_marker,
            contents: Some(found.items),
            common_prefixes: prefixes(found.prefixes, encoded),
            delimiter: input.delimiter.map(|delimiter| shown(&delimiter, encoded)),
            encoding_type: input.encoding_type,
            ..ListObjectsOutput::default()
        })
    }

    pub(super) fn list_object_versions(
        &self,
        input: ListObjectVersionsInput,
    ) -> S3Result<ListObjectVersionsOutput> {
        let encoded = is_encoded(input.encoding_type.as_ref());
        let mut ask = Ask::new(input.prefix.clone(), input.delimiter.clone(), input.max_keys)?;
        // With a version marker the key's own older versions are still to come.
        let inside = input
            .key_marker
            .as_deref()
            .zip(input.version_id_marker.as_deref());
        if inside.is_none() {
            ask.after = from_marker(input.key_marker.as_deref(), input.delimiter.as_deref());
        }
        let (mut versions, mut delete_markers) = (Vec::new(), Vec::new());
        let (mut last_id, mut found) = (None, None);
        self.look(|index| {
            let bucket = index.existing(&input.bucket)?;
            let start = match inside {
                Some((key, _)) => Bound::Included(key),
                None => After::bound(ask.after.as_ref(), &ask.prefix),
            };
            let sorted = bucket
                .objects
                .range::<str, _>((start, Bound::Unbounded))
                .flat_map(|(key, all)| {
                    let skipped = match inside {
                        Some((marker, id)) if marker == key => all
                            .iter()
                            .position(|version| version.id == id)
                            .map_or(all.len(), |at| at + 1),
                        _ => 0,
                    };
                    let rest = all.iter().enumerate().skip(skipped);
                    rest.map(move |(at, version)| (key.as_str(), (key, at == 0, version)))
                });
            let Page {
                items,
                prefixes,
                next,
            } = page(&ask, sorted);
            for (key, is_latest, version) in items {
                last_id = Some(version.id.clone());
                put_version(
                    key,
                    is_latest,
                    version,
                    encoded,
                    &mut versions,
                    &mut delete_markers,
                );
            }
            found = Some((prefixes, next));
            Ok(())
        })?;
        let (common, next) = found.ok_or_else(|| s3_error!(InternalError))?;
        let next_version_id_marker = last_id.filter(|_| matches!(next, Some(After::Key(_))));
        Ok(ListObjectVersionsOutput {
            common_prefixes: prefixes(common, encoded),
            delete_markers: Some(delete_markers),
            delimiter: input.delimiter.map(|delimiter| shown(&delimiter, encoded)),
            encoding_type: input.encoding_type,
            is_truncated: Some(next.is_some()),
            key_marker: input.key_marker.map(|marker| shown(&marker, encoded)),
            max_keys: Some(input.max_keys.unwrap_or(1000)),
            name: Some(input.bucket),
            next_key_marker: next.map(|next| shown(next.text(), encoded)),
            next_version_id_marker,
            prefix: Some(shown(&ask.prefix, encoded)),
            version_id_marker: input.version_id_marker,
            versions: Some(versions),
            ..ListObjectVersionsOutput::default()
        })
    }

    pub(super) fn list_multipart_uploads(
        &self,
        input: ListMultipartUploadsInput,
    ) -> S3Result<ListMultipartUploadsOutput> {
        let encoded = is_encoded(input.encoding_type.as_ref());
        let mut ask = Ask::new(input.prefix.clone(), input.delimiter.clone(), input.max_uploads)?;
        let inside = input.key_marker.as_deref().zip(input.upload_id_marker.as_deref());
        if inside.is_none() {
            ask.after = from_marker(input.key_marker.as_deref(), input.delimiter.as_deref());
        }
        let (uploads, common, next, last_id) = self.look(|index| {
            let bucket = index.existing(&input.bucket)?;
            let mut all: Vec<_> = bucket
                .uploads
                .iter()
                .map(|(id, upload)| (upload.key.as_str(), id.as_str(), upload))
                .collect();
            all.sort_by_key(|(key, id, _)| (*key, *id));
            let all = all.into_iter().filter(|(key, id, _)| {
                key.starts_with(&ask.prefix) && inside.is_none_or(|marker| (*key, *id) > marker)
            });
            let Page {
                items,
                prefixes,
                next,
            } = page(&ask, all.map(|(key, id, upload)| (key, (id, upload))));
            let last_id = items.last().map(|(id, _)| (*id).to_owned());
            let uploads = items.into_iter().map(|(id, upload)| MultipartUpload {
                checksum_algorithm: wire_algorithm(upload),
                checksum_type: wire_type(upload),
                initiated: Some(to_wire(upload.initiated_at)),
                key: Some(shown(&upload.key, encoded)),
                owner: Some(owner()),
                storage_class: Some(StorageClass::STANDARD.to_owned().into()),
                upload_id: Some(id.to_owned()),
                ..MultipartUpload::default()
            });
            Ok((uploads.collect::<Vec<_>>(), prefixes, next, last_id))
        })?;
        let next_upload_id_marker = last_id.filter(|_| matches!(next, Some(After::Key(_))));
        Ok(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            common_prefixes: prefixes(common, encoded),
            delimiter: input.delimiter.map(|delimiter| shown(&delimiter, encoded)),
            encoding_type: input.encoding_type,
            is_truncated: Some(next.is_some()),
            key_marker: input.key_marker.map(|marker| shown(&marker, encoded)),
            max_uploads: Some(input.max_uploads.unwrap_or(1000)),
            next_key_marker: next.map(|next| shown(next.text(), encoded)),
            next_upload_id_marker,
            prefix: Some(shown(&ask.prefix, encoded)),
            upload_id_marker: input.upload_id_marker,
            uploads: Some(uploads),
            ..ListMultipartUploadsOutput::default()
        })
    }

    pub(super) fn list_parts(&self, input: ListPartsInput) -> S3Result<ListPartsOutput> {
        let limit =
            usize::try_from(input.max_parts.unwrap_or(1000)).map_err(|_| s3_error!(InvalidArgument))?;
        let limit = limit.min(1000);
        let marker = input.part_number_marker.unwrap_or_default();
        self.look(|index| {
            let bucket = index.existing(&input.bucket)?;
            let upload = bucket.upload(&input.key, &input.upload_id)?;
            let mut ahead = upload.parts.range((Bound::Excluded(marker), Bound::Unbounded));
            let parts: Vec<_> = ahead.by_ref().take(limit).collect();
            let last = parts.last().map(|(number, _)| **number);
            let is_truncated = ahead.next().is_some();
            let parts = parts.into_iter().map(|(number, part)| {
                let mut shown = WirePart {
                    e_tag: Some(ETag::Strong(part.etag.clone())),
                    last_modified: Some(to_wire(part.modified_at)),
                    part_number: Some(*number),
                    size: Some(wire_size(part.size_bytes)),
                    ..WirePart::default()
                };
                put_checksums!(shown, &upload.checksum.shown(&part.checksums.values));
                shown
            });
            let abort = abort_due(bucket, &input.key, upload.initiated_at);
            let (abort_date, abort_rule_id) = abort.map(|(at, rule)| (to_wire(at), rule)).unzip();
            Ok(ListPartsOutput {
                abort_date,
                abort_rule_id,
                bucket: Some(input.bucket.clone()),
                checksum_algorithm: wire_algorithm(upload),
                checksum_type: wire_type(upload),
                is_truncated: Some(is_truncated),
                key: Some(input.key.clone()),
                max_parts: i32::try_from(limit).ok(),
                next_part_number_marker: last,
                owner: Some(owner()),
                part_number_marker: Some(marker),
                parts: Some(parts.collect()),
                storage_class: Some(StorageClass::STANDARD.to_owned().into()),
                upload_id: Some(input.upload_id.clone()),
                ..ListPartsOutput::default()
            })
        })
    }
}

fn put_version(
    key: &str,
    is_latest: bool,
    version: &Arc<Version>,
    encoded: bool,
    versions: &mut Vec<ObjectVersion>,
    delete_markers: &mut Vec<DeleteMarkerEntry>,
) {
    let Some(content) = &version.content else {
        delete_markers.push(DeleteMarkerEntry {
            is_latest: Some(is_latest),
            key: Some(shown(key, encoded)),
            last_modified: Some(to_wire(version.modified_at)),
            owner: Some(owner()),
            version_id: Some(version.id.clone()),
        });
        return;
    };
    versions.push(ObjectVersion {
        checksum_algorithm: algorithms(&content.checksums),
        checksum_type: Some(checksum_type(&content.checksums)),
        e_tag: Some(ETag::Strong(content.etag.clone())),
        is_latest: Some(is_latest),
        key: Some(shown(key, encoded)),
        last_modified: Some(to_wire(version.modified_at)),
        owner: Some(owner()),
        size: Some(wire_size(content.size_bytes)),
        storage_class: Some(ObjectVersionStorageClass::from(StorageClass::STANDARD.to_owned())),
        version_id: Some(version.id.clone()),
        ..ObjectVersion::default()
    });
}

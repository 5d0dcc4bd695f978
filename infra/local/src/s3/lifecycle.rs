//! Lifecycle rules by the engine's clock:
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html>.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use s3s::S3Result;
use s3s::dto::{
    BucketLifecycleConfiguration, ExpirationStatus, LifecycleExpiration, LifecycleRule, Tag,
    Timestamp as WireTimestamp, TimestampFormat,
};

use super::admission::percent_encode;
use super::index::{Bucket, NULL_VERSION, Versioning};
use super::record::{Content, Record, Version};
use super::store::Store;

/// What a sweep removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovedObject {
    /// The bucket's name.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// Why it went.
    pub reason: RemovalReason,
}

/// Why a lifecycle rule removed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemovalReason {
    /// The object expired: it is gone, or, in a bucket that keeps versions, hidden by a delete marker.
    Expired,
    /// A version that another one had replaced.
    NoncurrentVersion,
    /// A delete marker with nothing left below it.
    ExpiredDeleteMarker,
    /// An upload that was never completed.
    IncompleteUpload,
}

/// `from` and `days` more, rounded up to midnight UTC.
fn due(from: Timestamp, days: i32) -> Option<Timestamp> {
    let due = from
        .to_zoned(TimeZone::UTC)
        .checked_add(i64::from(days).days())
        .ok()?;
    let midnight = due.start_of_day().ok()?;
    if midnight == due {
        return Some(due.timestamp());
    }
    Some(midnight.checked_add(1.days()).ok()?.timestamp())
}

pub(super) fn from_wire(timestamp: &WireTimestamp) -> Option<Timestamp> {
    let mut text = Vec::new();
    timestamp.format(TimestampFormat::DateTime, &mut text).ok()?;
    std::str::from_utf8(&text).ok()?.parse().ok()
}

pub(super) fn to_wire(timestamp: Timestamp) -> WireTimestamp {
    SystemTime::from(timestamp).into()
}

/// The enabled rules, each with its name: its id or else its place.
fn rules(configuration: &BucketLifecycleConfiguration) -> impl Iterator<Item = (String, &LifecycleRule)> {
    let named = configuration.rules.iter().enumerate().map(|(at, rule)| {
        let name = rule.id.clone().unwrap_or_else(|| format!("rule-{}", at + 1));
        (name, rule)
    });
    named.filter(|(_, rule)| rule.status.as_str() == ExpirationStatus::ENABLED)
}

fn prefix(rule: &LifecycleRule) -> &str {
    let filter = rule.filter.as_ref();
    let and = filter
        .and_then(|filter| filter.and.as_ref())
        .and_then(|and| and.prefix.as_deref());
    let own = filter.and_then(|filter| filter.prefix.as_deref());
    own.or(and).or(rule.prefix.as_deref()).unwrap_or_default()
}

fn covers(rule: &LifecycleRule, key: &str, content: &Content) -> bool {
    let Some(filter) = &rule.filter else {
        return key.starts_with(prefix(rule));
    };
    let and = filter.and.as_ref();
    let wanted = filter
        .tag
        .iter()
        .chain(and.and_then(|and| and.tags.as_ref()).into_iter().flatten());
    let has = |tag: &Tag| {
        let given = |(name, value): &(String, String)| {
            Some(name.as_str()) == tag.key.as_deref() && Some(value.as_str()) == tag.value.as_deref()
        };
        content.tags.iter().any(given)
    };
    let size = i64::try_from(content.size_bytes).unwrap_or(i64::MAX);
    let above = filter
        .object_size_greater_than
        .or(and.and_then(|and| and.object_size_greater_than));
    let below = filter
        .object_size_less_than
        .or(and.and_then(|and| and.object_size_less_than));
    key.starts_with(prefix(rule))
        && wanted.into_iter().all(has)
        && above.is_none_or(|limit| size > limit)
        && below.is_none_or(|limit| size < limit)
}

fn expiry(expiration: &LifecycleExpiration, from: Timestamp) -> Option<Timestamp> {
    let by_days = expiration.days.and_then(|days| due(from, days));
    by_days.or_else(|| expiration.date.as_ref().and_then(from_wire))
}

/// When a current version expires and by which rule: the earliest.
fn expiration(bucket: &Bucket, key: &str, version: &Version) -> Option<(Timestamp, String)> {
    let content = version.content.as_ref()?;
    let due = rules(bucket.lifecycle()?).filter_map(|(name, rule)| {
        let expiration = rule.expiration.as_ref().filter(|_| covers(rule, key, content))?;
        Some((expiry(expiration, version.modified_at)?, name))
    });
    due.min()
}

/// The header `x-amz-expiration` of a current version.
pub(super) fn expiration_header(bucket: &Bucket, key: &str, version: &Version) -> Option<String> {
    let (at, rule) = expiration(bucket, key, version)?;
    let at = at
        .to_zoned(TimeZone::UTC)
        .strftime("%a, %d %b %Y %H:%M:%S GMT")
        .to_string();
    Some(format!(
        "expiry-date=\"{at}\", rule-id=\"{}\"",
        percent_encode(&rule, false)
    ))
}

/// When an incomplete upload of `key` is aborted, and by which rule.
pub(super) fn abort_due(bucket: &Bucket, key: &str, initiated_at: Timestamp) -> Option<(Timestamp, String)> {
    let due = rules(bucket.lifecycle()?).filter_map(|(name, rule)| {
        let abort = rule.abort_incomplete_multipart_upload.as_ref()?;
        let days = abort
            .days_after_initiation
            .filter(|_| key.starts_with(prefix(rule)))?;
        Some((due(initiated_at, days)?, name))
    });
    due.min()
}

/// Which versions other than the current one are due, by id.
fn noncurrent_due(
    bucket: &Bucket,
    key: &str,
    versions: &VecDeque<Arc<Version>>,
    now: Timestamp,
) -> Vec<String> {
    let Some(configuration) = bucket.lifecycle() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let pairs = versions.iter().zip(versions.iter().skip(1)).enumerate();
    for (newer_noncurrent, (successor, version)) in pairs {
        let is_due = rules(configuration).any(|(_, rule)| {
            let Some(expiration) = &rule.noncurrent_version_expiration else {
                return false;
            };
            let covered = match &version.content {
                Some(content) => covers(rule, key, content),
                None => key.starts_with(prefix(rule)),
            };
            let spared = expiration.newer_noncurrent_versions.unwrap_or_default();
            let spared = usize::try_from(spared).unwrap_or_default();
            // A version is noncurrent since its successor came.
            let at = expiration
                .noncurrent_days
                .and_then(|days| due(successor.modified_at, days));
            covered && newer_noncurrent >= spared && at.is_some_and(|at| at <= now)
        });
        if is_due {
            found.push(version.id.clone());
        }
    }
    found
}

/// A lone delete marker goes when a rule asks for it.
fn marker_due(
    bucket: &Bucket,
    key: &str,
    versions: &VecDeque<Arc<Version>>,
    now: Timestamp,
) -> Option<String> {
    let [marker] = versions.iter().collect::<Vec<_>>()[..] else {
        return None;
    };
    if marker.content.is_some() {
        return None;
    }
    let asked = rules(bucket.lifecycle()?).any(|(_, rule)| {
        let Some(expiration) = rule.expiration.as_ref().filter(|_| key.starts_with(prefix(rule))) else {
            return false;
        };
        expiration.expired_object_delete_marker == Some(true)
            || expiry(expiration, marker.modified_at).is_some_and(|at| at <= now)
    });
    asked.then(|| marker.id.clone())
}

/// What is due in one bucket at `now`.
fn sweep_bucket(store: &Store, name: &str, bucket: &Bucket, now: Timestamp) -> Vec<(Record, RemovedObject)> {
    let mut found = Vec::new();
    let mut take = |record, key: &str, reason| {
        found.push((
            record,
            RemovedObject {
                bucket: name.to_owned(),
                key: key.to_owned(),
                reason,
            },
        ));
    };
    let removed = |key: &str, version_id: String| Record::VersionRemoved {
        bucket: name.to_owned(),
        key: key.to_owned(),
        version_id,
    };
    for (key, versions) in &bucket.objects {
        for id in noncurrent_due(bucket, key, versions, now) {
            take(removed(key, id), key, RemovalReason::NoncurrentVersion);
        }
        if let Some(id) = marker_due(bucket, key, versions, now) {
            take(removed(key, id), key, RemovalReason::ExpiredDeleteMarker);
        }
        let Some(current) = versions.front() else { continue };
        if expiration(bucket, key, current).is_some_and(|(at, _)| at <= now) {
            let marker_id = match bucket.versioning {
                None => None,
                Some(Versioning::Enabled) => Some(store.blobs.new_id()),
                Some(Versioning::Suspended) => Some(NULL_VERSION.to_owned()),
            };
            let record = match marker_id {
                None => removed(key, current.id.clone()),
                Some(id) => Record::VersionAdded {
                    bucket: name.to_owned(),
                    key: key.clone(),
                    version: Version {
                        id,
                        modified_at: now,
                        content: None,
                    },
                },
            };
            take(record, key, RemovalReason::Expired);
        }
    }
    for (upload_id, upload) in &bucket.uploads {
        if abort_due(bucket, &upload.key, upload.initiated_at).is_some_and(|(at, _)| at <= now) {
            let record = Record::UploadRemoved {
                bucket: name.to_owned(),
                upload_id: upload_id.clone(),
            };
            take(record, &upload.key, RemovalReason::IncompleteUpload);
        }
    }
    found
}

/// Removes what is due by the store's clock.
pub(super) fn sweep(store: &Store) -> S3Result<Vec<RemovedObject>> {
    let now = store.clock.now();
    store.change(|index| {
        let due = index
            .buckets
            .iter()
            .flat_map(|(name, bucket)| sweep_bucket(store, name, bucket, now));
        Ok(due.unzip())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_from_creation_and_rounded_up_to_midnight() {
        let due = |from: &str, days| due(from.parse().unwrap(), days).unwrap().to_string();
        assert_eq!(due("2026-01-15T10:30:00Z", 3), "2026-01-19T00:00:00Z");
        assert_eq!(due("2026-01-15T00:00:00Z", 3), "2026-01-18T00:00:00Z");
        assert_eq!(due("2026-02-25T23:59:59Z", 10), "2026-03-08T00:00:00Z");
    }
}

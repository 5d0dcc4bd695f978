//! Lifecycle rules by the moved clock.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, BucketVersioningStatus, ExpirationStatus,
    LifecycleExpiration, LifecycleRule, LifecycleRuleFilter, NoncurrentVersionExpiration,
    VersioningConfiguration,
};
use jiff::SignedDuration;
use oubli_local::s3::{RemovalReason, RemovedObject};

use super::support::{TestS3, files};

fn rule(id: &str, prefix: &str) -> aws_sdk_s3::types::builders::LifecycleRuleBuilder {
    let filter = LifecycleRuleFilter::builder().prefix(prefix).build();
    LifecycleRule::builder()
        .id(id)
        .status(ExpirationStatus::Enabled)
        .filter(filter)
}

async fn store(rules: Vec<LifecycleRule>) -> (TestS3, oubli_local::clock::EngineClock) {
    let (s3, clock) = TestS3::at("2026-03-01T10:00:00Z").await;
    s3.client.create_bucket().bucket("b-1").send().await.unwrap();
    let configuration = BucketLifecycleConfiguration::builder()
        .set_rules(Some(rules))
        .build()
        .unwrap();
    let put = s3.client.put_bucket_lifecycle_configuration().bucket("b-1");
    put.lifecycle_configuration(configuration.clone())
        .send()
        .await
        .unwrap();
    let stored = s3
        .client
        .get_bucket_lifecycle_configuration()
        .bucket("b-1")
        .send()
        .await
        .unwrap();
    assert_eq!(stored.rules(), configuration.rules());
    (s3, clock)
}

fn removed(key: &str, reason: RemovalReason) -> RemovedObject {
    RemovedObject {
        bucket: "b-1".to_owned(),
        key: key.to_owned(),
        reason,
    }
}

#[tokio::test]
async fn objects_expire_at_midnight_after_their_days() {
    let expiration = LifecycleExpiration::builder().days(10).build();
    let (s3, clock) = store(vec![
        rule("ten days", "archives/")
            .expiration(expiration)
            .build()
            .unwrap(),
    ])
    .await;
    s3.put("archives/a", "x").await;
    s3.put("documents/a", "x").await;
    let head = s3
        .client
        .head_object()
        .bucket("b-1")
        .key("archives/a")
        .send()
        .await
        .unwrap();
    let header = "expiry-date=\"Thu, 12 Mar 2026 00:00:00 GMT\", rule-id=\"ten%20days\"";
    assert_eq!(head.expiration(), Some(header));
    let other = s3
        .client
        .head_object()
        .bucket("b-1")
        .key("documents/a")
        .send()
        .await
        .unwrap();
    assert_eq!(other.expiration(), None);

    // 10 d 13 h 59 min 59 s: one second before midnight.
    clock.advance(SignedDuration::from_secs(10 * 86_400 + 14 * 3600 - 1));
    assert_eq!(s3.engine.sweep_lifecycle().await.unwrap(), []);
    assert_eq!(s3.get("archives/a").await, b"x");
    clock.advance(SignedDuration::from_secs(1));
    let swept = s3.engine.sweep_lifecycle().await.unwrap();
    assert_eq!(swept, [removed("archives/a", RemovalReason::Expired)]);
    assert_eq!(s3.keys().await, ["documents/a"]);
    assert_eq!(files(&s3.root().join("blobs")).len(), 1);
}

#[tokio::test]
async fn incomplete_uploads_are_aborted() {
    let abort = AbortIncompleteMultipartUpload::builder()
        .days_after_initiation(1)
        .build();
    let (s3, clock) = store(vec![
        rule("abort", "")
            .abort_incomplete_multipart_upload(abort)
            .build()
            .unwrap(),
    ])
    .await;
    let upload = s3
        .client
        .create_multipart_upload()
        .bucket("b-1")
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(upload.abort_rule_id(), Some("abort"));
    assert_eq!(upload.abort_date().unwrap().to_string(), "2026-03-03T00:00:00Z");
    let part = s3
        .client
        .upload_part()
        .bucket("b-1")
        .key("k")
        .upload_id(upload.upload_id().unwrap());
    part.part_number(1)
        .body(ByteStream::from_static(b"part"))
        .send()
        .await
        .unwrap();
    clock.advance(SignedDuration::from_hours(37));
    assert_eq!(s3.engine.sweep_lifecycle().await.unwrap(), []);
    clock.advance(SignedDuration::from_hours(1));
    let swept = s3.engine.sweep_lifecycle().await.unwrap();
    assert_eq!(swept, [removed("k", RemovalReason::IncompleteUpload)]);
    assert_eq!(s3.engine.inventory().await.unwrap(), []);
    assert!(files(&s3.root().join("blobs")).is_empty());
}

#[tokio::test]
async fn versions_are_hidden_then_removed() {
    let expiration = LifecycleExpiration::builder().days(1).build();
    let noncurrent = NoncurrentVersionExpiration::builder().noncurrent_days(1).build();
    let both = rule("v", "")
        .expiration(expiration)
        .noncurrent_version_expiration(noncurrent);
    let (s3, clock) = store(vec![both.build().unwrap()]).await;
    let enabled = VersioningConfiguration::builder()
        .status(BucketVersioningStatus::Enabled)
        .build();
    s3.client
        .put_bucket_versioning()
        .bucket("b-1")
        .versioning_configuration(enabled)
        .send()
        .await
        .unwrap();
    s3.put("k", "one").await;
    s3.put("k", "two").await;
    clock.advance(SignedDuration::from_hours(48));
    let swept = s3.engine.sweep_lifecycle().await.unwrap();
    let expected = [
        removed("k", RemovalReason::NoncurrentVersion),
        removed("k", RemovalReason::Expired),
    ];
    assert_eq!(swept, expected);
    let listed = s3
        .client
        .list_object_versions()
        .bucket("b-1")
        .send()
        .await
        .unwrap();
    assert_eq!((listed.versions().len(), listed.delete_markers().len()), (1, 1));
    clock.advance(SignedDuration::from_hours(48));
    let swept = s3.engine.sweep_lifecycle().await.unwrap();
    assert_eq!(swept, [removed("k", RemovalReason::NoncurrentVersion)]);
    let swept = s3.engine.sweep_lifecycle().await.unwrap();
    assert_eq!(swept, [removed("k", RemovalReason::ExpiredDeleteMarker)]);
    assert_eq!(s3.engine.inventory().await.unwrap(), []);
}

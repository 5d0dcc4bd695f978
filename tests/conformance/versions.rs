//! S3: what is read is what was looked at, and what is deleted is gone in every version.

use std::sync::Arc;

use aws_sdk_s3::types::{BucketVersioningStatus, Delete, ObjectIdentifier, VersioningConfiguration};

use crate::aws::{Aws, code, declare_checks};

declare_checks! {
    ranges_are_of_the_bytes_that_were_looked_at: "S3.HeadObject" "S3.GetObject";
    versions_of_one_level_are_listed: "S3.ListObjectVersions";
    every_version_is_found_and_deleted: "S3.ListObjectVersions" "S3.DeleteObjects";
}

async fn ranges_are_of_the_bytes_that_were_looked_at(aws: Arc<Aws>) {
    let (bucket, key) = (aws.uploads(), aws.name("uploads/demo/archives/pinned"));
    aws.put(bucket, &key, b"0123456789").await;
    let head = aws.buckets.head_object().bucket(bucket).key(&key);
    let etag = head.send().await.unwrap().e_tag.unwrap();
    let range = |range: &'static str| {
        let get = aws.buckets.get_object().bucket(bucket).key(&key);
        get.if_match(&etag).range(range).send()
    };
    for (asked, expected) in [("bytes=0-0", "0"), ("bytes=3-6", "3456"), ("bytes=8-9", "89")] {
        let part = range(asked).await.unwrap();
        assert_eq!(part.e_tag(), Some(etag.as_str()));
        let bytes = part.body.collect().await.unwrap().to_vec();
        assert_eq!(bytes, expected.as_bytes(), "{asked}");
    }
    // Other bytes of the same length, then of another, then none.
    aws.put(bucket, &key, b"abcdefghij").await;
    assert_eq!(code(range("bytes=0-3").await), "PreconditionFailed");
    aws.put(bucket, &key, b"ab").await;
    assert_eq!(code(range("bytes=3-6").await), "PreconditionFailed");
    let delete = aws.buckets.delete_object().bucket(bucket).key(&key);
    delete.send().await.unwrap();
    assert_eq!(code(range("bytes=0-3").await), "NoSuchKey");
}

/// The keys and version ids of all that stands beneath a prefix, versions and delete markers, in pages of
/// two; with a delimiter, on this level alone.
async fn versions(
    aws: &Aws,
    bucket: &str,
    prefix: &str,
    delimiter: Option<&str>,
) -> Vec<(String, String, bool)> {
    let (mut found, mut key_marker, mut version_marker) = (Vec::new(), None, None);
    loop {
        let request = aws.buckets.list_object_versions().bucket(bucket).prefix(prefix);
        let request = request
            .max_keys(2)
            .set_delimiter(delimiter.map(str::to_owned))
            .set_key_marker(key_marker)
            .set_version_id_marker(version_marker);
        let page = request.send().await.unwrap();
        let ids = |key: Option<&str>, version: Option<&str>, is_marker| {
            (key.unwrap().to_owned(), version.unwrap().to_owned(), is_marker)
        };
        let versions = page.versions().iter();
        found.extend(versions.map(|found| ids(found.key(), found.version_id(), false)));
        let markers = page.delete_markers().iter();
        found.extend(markers.map(|found| ids(found.key(), found.version_id(), true)));
        if page.is_truncated() != Some(true) {
            found.sort();
            return found;
        }
        key_marker = page.next_key_marker().map(str::to_owned);
        version_marker = page.next_version_id_marker().map(str::to_owned);
        assert!(key_marker.is_some());
    }
}

async fn versions_of_one_level_are_listed(aws: Arc<Aws>) {
    let (bucket, prefix) = (aws.documents(), format!("{}/", aws.name("documents/demo/level")));
    let here: Vec<_> = (0..5).map(|index| format!("{prefix}{index}")).collect();
    for key in &here {
        aws.put(bucket, key, b"x").await;
    }
    aws.put(bucket, &format!("{prefix}2/deeper"), b"x").await;
    aws.put(bucket, &format!("{prefix}generation/0"), b"x").await;
    let found = versions(&aws, bucket, &prefix, Some("/")).await;
    // A bucket that keeps none calls the only one `null`.
    let expected = here.iter().map(|key| (key.clone(), "null".to_owned(), false));
    assert_eq!(found, expected.collect::<Vec<_>>());
    assert_eq!(versions(&aws, bucket, &prefix, None).await.len(), 7);
}

async fn every_version_is_found_and_deleted(aws: Arc<Aws>) {
    let bucket = format!("{}-{}", aws.name("oubli-versions"), std::process::id());
    let create = aws.buckets.create_bucket().bucket(&bucket);
    let region = aws_sdk_s3::types::CreateBucketConfiguration::builder()
        .location_constraint(aws_sdk_s3::types::BucketLocationConstraint::EuWest1)
        .build();
    create.create_bucket_configuration(region).send().await.unwrap();
    let kept = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled);
    let versioning = aws.buckets.put_bucket_versioning().bucket(&bucket);
    versioning
        .versioning_configuration(kept.build())
        .send()
        .await
        .unwrap();
    for bytes in [b"first", b"other"] {
        aws.put(&bucket, "documents/a", bytes).await;
    }
    aws.put(&bucket, "documents/b", b"x").await;
    let delete = aws.buckets.delete_object().bucket(&bucket).key("documents/a");
    delete.send().await.unwrap();
    assert!(!aws.is_there(&bucket, "documents/a").await);
    let found = versions(&aws, &bucket, "documents/", Some("/")).await;
    let (markers, others): (Vec<_>, Vec<_>) = found.iter().partition(|(_, _, is_marker)| *is_marker);
    assert_eq!((markers.len(), others.len()), (1, 3), "{found:?}");
    let doomed = found.iter().map(|(key, version, _)| {
        let object = ObjectIdentifier::builder().key(key).version_id(version);
        object.build().unwrap()
    });
    let delete = Delete::builder().set_objects(Some(doomed.collect())).quiet(true);
    let request = aws.buckets.delete_objects().bucket(&bucket);
    let answer = request.delete(delete.build().unwrap()).send().await.unwrap();
    assert!(answer.errors().is_empty(), "{answer:?}");
    assert_eq!(versions(&aws, &bucket, "", None).await, []);
}

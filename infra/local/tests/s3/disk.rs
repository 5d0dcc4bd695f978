//! What lies on disk: after restarts, kills and damage.

use std::fs::{self, OpenOptions};
use std::io::Write;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use oubli_local::clock::EngineClock;
use oubli_local::s3::{S3Engine, S3EngineError, StoredKind};

use super::support::{TestS3, code, files};

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let s3 = TestS3::with_bucket().await;
    let enabled = VersioningConfiguration::builder()
        .status(BucketVersioningStatus::Enabled)
        .build();
    s3.put("before", "null version").await;
    s3.client
        .put_bucket_versioning()
        .bucket("b-1")
        .versioning_configuration(enabled)
        .send()
        .await
        .unwrap();
    s3.put("k", "one").await;
    s3.put("k", "two").await;
    s3.client
        .delete_object()
        .bucket("b-1")
        .key("k")
        .send()
        .await
        .unwrap();
    let upload = s3
        .client
        .create_multipart_upload()
        .bucket("b-1")
        .key("up")
        .send()
        .await
        .unwrap();
    let part = s3
        .client
        .upload_part()
        .bucket("b-1")
        .key("up")
        .upload_id(upload.upload_id().unwrap());
    part.part_number(1)
        .body(ByteStream::from_static(b"part"))
        .send()
        .await
        .unwrap();
    let before = s3.engine.inventory().await.unwrap();
    assert_eq!(before.len(), 5);

    let s3 = TestS3::in_folder(s3.stop(), EngineClock::system(0)).await;
    assert_eq!(s3.engine.inventory().await.unwrap(), before);
    assert_eq!(s3.get("before").await, b"null version");
    // Ids given after a restart are new ones.
    s3.put("k", "three").await;
    let after = s3.engine.inventory().await.unwrap();
    assert_eq!(after.len(), 6);
    let old = |item| before.contains(item);
    assert_eq!(
        after.iter().filter(|item| !old(item)).count(),
        2,
        "the new version, and the marker that is no longer latest"
    );
    assert_eq!(s3.get("k").await, b"three");
}

#[tokio::test]
async fn any_key_is_a_key_and_never_a_path() {
    let s3 = TestS3::with_bucket().await;
    let long = "é".repeat(512);
    let keys = [
        "a/../../b",
        "../../../etc/x",
        "/leading",
        "a//b",
        "nul\0byte",
        ".",
        "..",
        "a b+c%2Fd",
        &long,
        "con.txt",
        "🦀",
    ];
    for key in keys {
        s3.put(key, key).await;
    }
    for key in keys {
        assert_eq!(s3.get(key).await, key.as_bytes(), "{key:?}");
    }
    let mut expected: Vec<_> = keys.iter().map(|key| (*key).to_owned()).collect();
    expected.sort();
    let mut listed = Vec::new();
    for item in s3.engine.inventory().await.unwrap() {
        listed.push(item.key);
        assert!(
            item.paths
                .iter()
                .all(|path| path.starts_with(s3.root().join("blobs")))
        );
    }
    assert_eq!(listed, expected);
    let too_long = format!("{long}x");
    let put = s3
        .client
        .put_object()
        .bucket("b-1")
        .key(too_long)
        .body(ByteStream::from_static(b"x"))
        .send()
        .await;
    assert_eq!(code(put), "KeyTooLongError");
    let beside: Vec<_> = fs::read_dir(s3.root().parent().unwrap()).unwrap().collect();
    assert_eq!(beside.len(), 1, "nothing was written beside the store");
}

#[tokio::test]
async fn files_go_with_what_they_held() {
    let s3 = TestS3::with_bucket().await;
    let blobs = s3.root().join("blobs");
    s3.put("k", "one").await;
    s3.put("k", "two").await;
    s3.client
        .copy_object()
        .bucket("b-1")
        .key("copy")
        .copy_source("b-1/k")
        .send()
        .await
        .unwrap();
    assert_eq!(
        files(&blobs).len(),
        1,
        "the overwritten file is gone, the copy shares the other"
    );
    s3.client
        .delete_object()
        .bucket("b-1")
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(s3.get("copy").await, b"two");
    s3.client
        .delete_object()
        .bucket("b-1")
        .key("copy")
        .send()
        .await
        .unwrap();
    assert_eq!(files(&blobs).len(), 0);
    // A body that is refused leaves nothing either.
    let put = s3
        .client
        .put_object()
        .bucket("b-1")
        .key("bad")
        .checksum_sha256("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
        .body(ByteStream::from_static(b"x"));
    assert_eq!(code(put.send().await), "BadDigest");
    assert_eq!(files(&blobs).len(), 0);
}

#[tokio::test]
async fn files_that_wait_for_another_object_hold_nothing() {
    let s3 = TestS3::with_bucket().await;
    let emptied = s3.root().join("emptied");
    for key in ["a", "b"] {
        s3.put(key, "secret").await;
        s3.client
            .delete_object()
            .bucket("b-1")
            .key(key)
            .send()
            .await
            .unwrap();
    }
    let waiting = files(&emptied);
    assert_eq!(
        waiting.len(),
        1,
        "the second was written where the first had been"
    );
    assert!(fs::read(&waiting[0]).unwrap().is_empty());
    s3.put("c", "c").await;
    assert!(files(&emptied).is_empty());
    s3.client
        .delete_object()
        .bucket("b-1")
        .key("c")
        .send()
        .await
        .unwrap();
    let s3 = TestS3::in_folder(s3.stop(), EngineClock::system(0)).await;
    assert!(files(&emptied).is_empty(), "another process knows none of them");
    s3.put("d", "d").await;
    assert_eq!(s3.get("d").await, b"d");
}

#[tokio::test]
async fn a_killed_process_leaves_no_half_object() {
    let s3 = TestS3::with_bucket().await;
    s3.put("whole", "whole").await;
    let root = s3.root();
    let folder = s3.stop();
    // A file that was being written, and a line that was cut.
    fs::create_dir_all(root.join("blobs/zz")).unwrap();
    fs::write(root.join("blobs/zz/orphanzz"), "half").unwrap();
    let mut journal = OpenOptions::new()
        .append(true)
        .open(root.join("index.journal"))
        .unwrap();
    journal.write_all(b"0123abcd [{\"VersionAdded\":{\"buck").unwrap();
    let s3 = TestS3::in_folder(folder, EngineClock::system(0)).await;
    assert_eq!(s3.keys().await, ["whole"]);
    assert_eq!(files(&root.join("blobs")).len(), 1);
    s3.put("next", "next").await;
    let s3 = TestS3::in_folder(s3.stop(), EngineClock::system(0)).await;
    assert_eq!(s3.keys().await, ["next", "whole"]);
}

#[tokio::test]
async fn damage_is_told_and_changes_nothing() {
    let s3 = TestS3::with_bucket().await;
    s3.put("k", "one").await;
    let root = s3.root();
    let _folder = s3.stop();
    let journal = root.join("index.journal");
    let bytes = fs::read(&journal).unwrap();

    let mut damaged = bytes.clone();
    damaged[40] ^= 1;
    fs::write(&journal, &damaged).unwrap();
    let error = S3Engine::open(root.clone(), EngineClock::system(0))
        .await
        .unwrap_err();
    assert!(matches!(error, S3EngineError::Damaged { line: 1, .. }), "{error}");
    assert_eq!(fs::read(&journal).unwrap(), damaged);

    fs::write(&journal, &bytes).unwrap();
    let blob = files(&root.join("blobs")).remove(0);
    fs::write(&blob, "on").unwrap();
    let error = S3Engine::open(root.clone(), EngineClock::system(0))
        .await
        .unwrap_err();
    assert!(
        matches!(error, S3EngineError::MissingBytes { ref path } if *path == blob),
        "{error}"
    );

    fs::write(&blob, "one").unwrap();
    S3Engine::open(root, EngineClock::system(0)).await.unwrap();
}

#[tokio::test]
async fn a_store_is_open_once() {
    let s3 = TestS3::with_bucket().await;
    let error = S3Engine::open(s3.root(), EngineClock::system(0))
        .await
        .unwrap_err();
    assert!(matches!(error, S3EngineError::InUse { .. }), "{error}");
    s3.engine.close();
    let put = s3
        .client
        .put_object()
        .bucket("b-1")
        .key("k")
        .body(ByteStream::from_static(b"x"))
        .send()
        .await;
    assert_eq!(code(put), "ServiceUnavailable");
    S3Engine::open(s3.root(), EngineClock::system(0)).await.unwrap();
}

#[tokio::test]
async fn a_journal_of_superseded_records_is_rewritten() {
    let s3 = TestS3::with_bucket().await;
    for round in 0..1100 {
        s3.put("k", format!("{round}")).await;
    }
    let journal = s3.root().join("index.journal");
    let long = fs::metadata(&journal).unwrap().len();
    let s3 = TestS3::in_folder(s3.stop(), EngineClock::system(0)).await;
    let short = fs::metadata(&journal).unwrap().len();
    assert!(short * 100 < long, "{long} → {short}");
    assert_eq!(s3.get("k").await, b"1099");
    let s3 = TestS3::in_folder(s3.stop(), EngineClock::system(0)).await;
    let items = s3.engine.inventory().await.unwrap();
    assert_eq!(items.len(), 1);
    let is_latest = matches!(&items[0].kind, StoredKind::Version { id, is_latest: true, .. } if id == "null");
    assert!(is_latest);
}

//! Checksums: computed, compared, kept, given back.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, ChecksumType};

use super::support::{TestS3, code, files, pattern};

#[tokio::test]
async fn every_algorithm_is_kept_and_given_back() {
    let s3 = TestS3::with_bucket().await;
    // Of `hello world`, by other programs.
    let known = [
        (ChecksumAlgorithm::Crc32, "DUoRhQ=="),
        (ChecksumAlgorithm::Crc32C, "yZRlqg=="),
        (ChecksumAlgorithm::Crc64Nvme, "jSnVw/bqjr4="),
        (ChecksumAlgorithm::Sha1, "Kq5sNclPz7QV2+lfQIuc6R7oRu0="),
        (
            ChecksumAlgorithm::Sha256,
            "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=",
        ),
    ];
    for (algorithm, expected) in known {
        let put = s3
            .client
            .put_object()
            .bucket("b-1")
            .key("k")
            .checksum_algorithm(algorithm.clone());
        put.body(ByteStream::from_static(b"hello world"))
            .send()
            .await
            .unwrap();
        let get = s3
            .client
            .get_object()
            .bucket("b-1")
            .key("k")
            .checksum_mode(ChecksumMode::Enabled);
        let head = s3
            .client
            .head_object()
            .bucket("b-1")
            .key("k")
            .checksum_mode(ChecksumMode::Enabled);
        let (get, head) = (get.send().await.unwrap(), head.send().await.unwrap());
        let values = [
            (
                ChecksumAlgorithm::Crc32,
                get.checksum_crc32(),
                head.checksum_crc32(),
            ),
            (
                ChecksumAlgorithm::Crc32C,
                get.checksum_crc32_c(),
                head.checksum_crc32_c(),
            ),
            (
                ChecksumAlgorithm::Crc64Nvme,
                get.checksum_crc64_nvme(),
                head.checksum_crc64_nvme(),
            ),
            (ChecksumAlgorithm::Sha1, get.checksum_sha1(), head.checksum_sha1()),
            (
                ChecksumAlgorithm::Sha256,
                get.checksum_sha256(),
                head.checksum_sha256(),
            ),
        ];
        for (name, of_get, of_head) in values {
            let expected = (name == algorithm).then_some(expected);
            assert_eq!(
                (of_get, of_head),
                (expected, expected),
                "{name} of an object with {algorithm}"
            );
        }
        assert_eq!(head.checksum_type(), Some(&ChecksumType::FullObject));
        let silent = s3
            .client
            .head_object()
            .bucket("b-1")
            .key("k")
            .send()
            .await
            .unwrap();
        assert_eq!(silent.checksum_sha256().or(silent.checksum_crc32()), None);
        // The SDK compares while it reads.
        assert_eq!(get.body.collect().await.unwrap().to_vec(), b"hello world");
    }
}

#[tokio::test]
async fn wrong_checksums_change_nothing() {
    let s3 = TestS3::with_bucket().await;
    s3.put("k", "old").await;
    let put = || {
        s3.client
            .put_object()
            .bucket("b-1")
            .key("k")
            .body(ByteStream::from_static(b"new"))
    };
    let sha256 = "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=";
    assert_eq!(code(put().checksum_sha256(sha256).send().await), "BadDigest");
    assert_eq!(code(put().checksum_crc32("DUoRhQ==").send().await), "BadDigest");
    assert_eq!(
        code(put().checksum_crc64_nvme("jSnVw/bqjr4=").send().await),
        "BadDigest"
    );
    assert_eq!(
        code(put().content_md5("XrY7u+Ae7tCTyyK7j1rNww==").send().await),
        "BadDigest"
    );
    assert_eq!(s3.get("k").await, b"old");
    assert_eq!(files(&s3.root().join("blobs")).len(), 1);
}

#[tokio::test]
async fn streamed_bodies_are_stored_without_their_framing() {
    let s3 = TestS3::with_bucket().await;
    let bytes = pattern(3_000_001, 1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("body");
    std::fs::write(&path, &bytes).unwrap();
    let body = ByteStream::from_path(&path).await.unwrap();
    let put = s3
        .client
        .put_object()
        .bucket("b-1")
        .key("k")
        .content_encoding("x-own")
        .body(body);
    assert!(put.send().await.unwrap().checksum_crc32().is_some());
    assert_eq!(s3.get("k").await, bytes);
    let head = s3
        .client
        .head_object()
        .bucket("b-1")
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(head.content_encoding(), Some("x-own"));
    let stored = s3.engine.inventory().await.unwrap();
    assert_eq!(std::fs::read(&stored[0].paths[0]).unwrap(), bytes);
}

#[tokio::test]
async fn a_body_cut_short_is_no_object() {
    use tokio::io::AsyncWriteExt as _;
    let s3 = TestS3::with_bucket().await;
    let address = s3.url.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = "PUT /b-1/k HTTP/1.1\r\nhost: x\r\nauthorization: AWS4-HMAC-SHA256 x\r\ncontent-length: 2000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&pattern(1_000_000, 2)).await.unwrap();
    let blobs = s3.root().join("blobs");
    while files(&blobs).is_empty() {
        tokio::task::yield_now().await;
    }
    drop(stream);
    while !files(&blobs).is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(s3.keys().await.is_empty());
}

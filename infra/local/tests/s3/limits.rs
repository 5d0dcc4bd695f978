//! What S3 takes at most, and what it demands of a request, over the wire (see `RULES.md`).

use std::time::{Duration, SystemTime};

use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, MetadataDirective, ObjectIdentifier};
use http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::support::{TestS3, code};

/// Sends a request whose body, if it has one, need not come; its answer, up to the end of the error.
async fn raw(s3: &TestS3, head: &str, body: &str) -> String {
    let address = s3.url.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let text = format!("{head}host: x\r\nauthorization: AWS4-HMAC-SHA256 x\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"</Error>") && !answer.starts_with(b"HTTP/1.1 200") {
        let count = stream.read_buf(&mut answer).await.unwrap();
        assert_ne!(count, 0, "{}", String::from_utf8_lossy(&answer));
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn no_body_has_more_than_five_gib() {
    let s3 = TestS3::with_bucket().await;
    let created = s3.client.create_multipart_upload().bucket("b-1").key("k");
    let id = created.send().await.unwrap().upload_id.unwrap();
    for path in ["/b-1/k".to_owned(), format!("/b-1/k?partNumber=1&uploadId={id}")] {
        let head = format!("PUT {path} HTTP/1.1\r\ncontent-length: 5368709121\r\n");
        let answer = raw(&s3, &head, "").await;
        assert!(answer.contains("<Code>EntityTooLarge</Code>"), "{answer}");
        let head = format!("PUT {path} HTTP/1.1\r\ntransfer-encoding: chunked\r\n");
        let answer = raw(&s3, &head, "1\r\nx\r\n0\r\n\r\n").await;
        assert!(answer.contains("<Code>MissingContentLength</Code>"), "{answer}");
    }
    assert!(s3.keys().await.is_empty());
}

#[tokio::test]
async fn metadata_has_two_kib_of_either_kind() {
    let s3 = TestS3::with_bucket().await;
    let put = || s3.client.put_object().bucket("b-1").key("k");
    // With `content-disposition`, `content-type` and a type of 24 bytes.
    let room = 2_048 - 19 - 12 - 24;
    let disposition = |bytes: usize| put().content_disposition("d".repeat(bytes));
    let typed = "application/octet-stream";
    disposition(room).content_type(typed).send().await.unwrap();
    let over = disposition(room + 1).content_type(typed).send().await;
    assert_eq!(code(over), "MetadataTooLarge");
    put().metadata("n", "v".repeat(2_047)).send().await.unwrap();
    let over = put().metadata("n", "v".repeat(2_048)).send().await;
    assert_eq!(code(over), "MetadataTooLarge");

    let begun = s3.client.create_multipart_upload().bucket("b-1").key("k");
    let over = begun.content_disposition("d".repeat(2_048)).send().await;
    assert_eq!(code(over), "MetadataTooLarge");
    let copied = s3
        .client
        .copy_object()
        .bucket("b-1")
        .key("copy")
        .copy_source("b-1/k");
    let over = copied
        .metadata_directive(MetadataDirective::Replace)
        .content_disposition("d".repeat(2_048));
    assert_eq!(code(over.send().await), "MetadataTooLarge");
    assert_eq!(s3.keys().await, ["k"]);
}

#[tokio::test]
async fn headers_and_query_have_eight_kib() {
    let s3 = TestS3::with_bucket().await;
    s3.put("k", "x").await;
    for (path, header) in [
        ("/b-1/k".to_owned(), 8_192),
        (format!("/b-1/k?x={}", "y".repeat(8_192)), 1),
    ] {
        let head = format!("GET {path} HTTP/1.1\r\ncookie: {}\r\n", "z".repeat(header));
        let answer = raw(&s3, &head, "").await;
        assert!(
            answer.contains("<Code>RequestHeaderSectionTooLarge</Code>"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_buckets_name_is_one_of_a_host() {
    let s3 = TestS3::with_bucket().await;
    for name in ["ab", "Upper-case", "under_score", "192.168.1.1", &"a".repeat(64)] {
        let refused = s3.client.create_bucket().bucket(name).send().await;
        assert_eq!(code(refused), "InvalidBucketName", "{name}");
    }
}

#[tokio::test]
async fn a_link_lives_a_week() {
    let (s3, clock) = TestS3::at("2026-03-01T12:00:00Z").await;
    s3.client.create_bucket().bucket("b-1").send().await.unwrap();
    s3.put("k", "x").await;
    let week = 7 * 24 * 60 * 60;
    for (seconds, status) in [(week, StatusCode::OK), (week + 1, StatusCode::BAD_REQUEST)] {
        let life = PresigningConfig::builder()
            .start_time(SystemTime::from(clock.now()))
            .expires_in(Duration::from_secs(week))
            .build()
            .unwrap();
        let link = s3
            .client
            .get_object()
            .bucket("b-1")
            .key("k")
            .presigned(life)
            .await;
        // The SDK does not sign longer lives; S3 looks at the number before the signature.
        let link = link
            .unwrap()
            .uri()
            .replace(&format!("={week}&"), &format!("={seconds}&"));
        let answer = reqwest::get(link).await.unwrap();
        assert_eq!(answer.status().as_u16(), status.as_u16());
        let text = answer.text().await.unwrap();
        assert_eq!(
            text.contains("AuthorizationQueryParametersError"),
            status != StatusCode::OK,
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_thousand_keys_are_deleted_at_once() {
    let s3 = TestS3::with_bucket().await;
    s3.put("k", "x").await;
    let delete = |count: usize| {
        let object = |n: usize| ObjectIdentifier::builder().key(format!("k{n}")).build().unwrap();
        let delete = Delete::builder().set_objects(Some((0..count).map(object).collect()));
        let request = s3.client.delete_objects().bucket("b-1");
        request.delete(delete.build().unwrap()).send()
    };
    delete(1_000).await.unwrap();
    assert_eq!(code(delete(1_001).await), "MalformedXML");
}

#[tokio::test]
async fn deletions_are_protected_by_a_checksum() {
    let s3 = TestS3::with_bucket().await;
    s3.put("k", "x").await;
    let body = "<Delete><Object><Key>k</Key></Object></Delete>";
    let delete = async |header: &str| {
        let length = body.len();
        let head = format!("POST /b-1?delete HTTP/1.1\r\ncontent-length: {length}\r\n{header}");
        raw(&s3, &head, body).await
    };
    let bare = delete("").await;
    assert!(
        bare.contains("Missing required header for this request: Content-MD5 OR x-amz-checksum-*"),
        "{bare}"
    );
    for (wrong, expected) in [
        ("content-md5: XrY7u+Ae7tCTyyK7j1rNww==\r\n", "BadDigest"),
        ("content-md5: XrY7u+Ae7tCTyyK7j1rN\r\n", "InvalidDigest"),
        ("x-amz-checksum-crc32: AAAAAA==\r\n", "BadDigest"),
    ] {
        let answer = delete(wrong).await;
        assert!(answer.contains(&format!("<Code>{expected}</Code>")), "{answer}");
    }
    assert_eq!(s3.keys().await, ["k"]);
    delete("x-amz-checksum-crc32: A8uZRQ==\r\n").await;
    assert!(s3.keys().await.is_empty());
}

#[tokio::test]
async fn an_algorithm_needs_its_checksum() {
    let s3 = TestS3::with_bucket().await;
    let put = async |headers: &str| {
        let head = format!("PUT /b-1/k HTTP/1.1\r\ncontent-length: 3\r\n{headers}");
        raw(&s3, &head, "abc").await
    };
    for (headers, expected) in [
        ("x-amz-sdk-checksum-algorithm: CRC32\r\n", "InvalidRequest"),
        (
            "x-amz-sdk-checksum-algorithm: SHA256\r\nx-amz-checksum-crc32: NSRBwg==\r\n",
            "BadDigest",
        ),
        (
            "x-amz-checksum-crc32c: Nks/tw==\r\nx-amz-checksum-crc32: NSRBwg==\r\n",
            "InvalidRequest",
        ),
        ("x-amz-checksum-crc32: 12345678\r\n", "InvalidRequest"),
        ("x-amz-trailer: x-amz-checksum-crc32\r\n", "MalformedTrailerError"),
    ] {
        let answer = put(headers).await;
        assert!(
            answer.contains(&format!("<Code>{expected}</Code>")),
            "{headers}{answer}"
        );
    }
    assert!(s3.keys().await.is_empty());
    put("x-amz-sdk-checksum-algorithm: CRC32\r\nx-amz-checksum-crc32: NSRBwg==\r\n").await;
    let silent = s3.client.put_object().bucket("b-1").key("other");
    silent.body(ByteStream::from_static(b"abc")).send().await.unwrap();
    assert_eq!(s3.keys().await, ["k", "other"]);
}

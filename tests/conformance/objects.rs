//! S3: whole objects, links, lists.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumMode, Delete, MetadataDirective, ObjectIdentifier};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use oubli_domain::Sha256;

use crate::aws::{Aws, code, declare_checks};

declare_checks! {
    an_upload_by_link_takes_the_announced_bytes_only: "S3.PutObject" "S3.HeadObject";
    a_link_ends: "S3.PutObject" "S3.GetObject";
    a_copy_takes_the_bytes_that_were_looked_at: "S3.CopyObject" "S3.HeadObject";
    an_object_is_read_whole_and_in_ranges: "S3.PutObject" "S3.GetObject";
    what_is_absent_is_told_as_absent: "S3.GetObject" "S3.HeadObject" "S3.CopyObject";
    deleted_is_gone_and_twice_is_fine: "S3.DeleteObject" "S3.HeadObject";
    all_beneath_a_prefix_is_found_and_deleted: "S3.ListObjectsV2" "S3.DeleteObjects";
}

impl Aws {
    pub(crate) async fn put(&self, bucket: &str, key: &str, bytes: &[u8]) {
        let request = self.buckets.put_object().bucket(bucket).key(key);
        let body = ByteStream::from(bytes.to_vec());
        request.body(body).send().await.unwrap();
    }

    pub(crate) async fn get(&self, bucket: &str, key: &str) -> Vec<u8> {
        let request = self.buckets.get_object().bucket(bucket).key(key);
        let answer = request.send().await.unwrap();
        answer.body.collect().await.unwrap().to_vec()
    }

    pub(crate) async fn is_there(&self, bucket: &str, key: &str) -> bool {
        match self.buckets.head_object().bucket(bucket).key(key).send().await {
            Ok(_) => true,
            Err(error) => {
                assert!(error.as_service_error().unwrap().is_not_found(), "{error:?}");
                false
            }
        }
    }

    /// The status of a request that was signed, with other bytes perhaps than it was signed for.
    async fn ask(&self, signed: &PresignedRequest, body: &[u8]) -> (u16, Vec<u8>) {
        let method = reqwest::Method::from_bytes(signed.method().as_bytes()).unwrap();
        let mut request = self.http.request(method, signed.uri()).body(body.to_vec());
        for (name, value) in signed.headers() {
            if name != "content-length" && name != "host" {
                request = request.header(name, value);
            }
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
    }
}

fn for_five_minutes(from: SystemTime) -> PresigningConfig {
    let life = Duration::from_secs(300);
    PresigningConfig::builder()
        .start_time(from)
        .expires_in(life)
        .build()
        .unwrap()
}

async fn an_upload_by_link_takes_the_announced_bytes_only(aws: Arc<Aws>) {
    let (bucket, key) = (aws.uploads(), format!("uploads/{}", aws.name("demo/link")));
    let now = SystemTime::from(aws.stack.now());
    let bytes = b"%PDF-1.4 payslip";
    let hash = BASE64.encode(Sha256::of(bytes).as_bytes());
    let put = aws.buckets.put_object().bucket(bucket).key(&key);
    let put = put.content_type("application/pdf").checksum_sha256(&hash);
    let signed = put.presigned(for_five_minutes(now)).await.unwrap();
    assert_eq!(aws.ask(&signed, b"%PDF-1.4 payslap").await.0, 400);
    assert!(!aws.is_there(bucket, &key).await);
    assert_eq!(aws.ask(&signed, bytes).await.0, 200);
    let head = aws.buckets.head_object().bucket(bucket).key(&key);
    let head = head.checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    assert_eq!(head.content_length(), Some(bytes.len() as i64));
    assert_eq!(head.content_type(), Some("application/pdf"));
    assert_eq!(head.checksum_sha256(), Some(hash.as_str()));
    // A link for one key is none for another.
    let elsewhere = signed.uri().replace("/uploads/", "/uploads/x");
    let other = aws.http.put(elsewhere).body(bytes.to_vec()).send().await.unwrap();
    assert_eq!(other.status(), 403);
}

async fn a_link_ends(aws: Arc<Aws>) {
    let (bucket, key) = (aws.archives(), format!("archives/{}", aws.name("demo/link")));
    aws.put(bucket, &key, b"zip").await;
    let now = SystemTime::from(aws.stack.now());
    let signed = |from| {
        let get = aws.buckets.get_object().bucket(bucket).key(&key);
        get.presigned(for_five_minutes(from))
    };
    let alive = signed(now).await.unwrap();
    assert_eq!(aws.ask(&alive, b"").await, (200, b"zip".to_vec()));
    let ended = signed(now - Duration::from_secs(301)).await.unwrap();
    assert_eq!(aws.ask(&ended, b"").await.0, 403);
    let tampered = alive.uri().replace("X-Amz-Expires=300", "X-Amz-Expires=600");
    assert_ne!(tampered, alive.uri());
    assert_eq!(aws.http.get(tampered).send().await.unwrap().status(), 403);
}

async fn a_copy_takes_the_bytes_that_were_looked_at(aws: Arc<Aws>) {
    let (from, to) = (aws.uploads(), aws.documents());
    let (source, target) = (aws.name("uploads/demo/copy"), aws.name("documents/demo/copy"));
    aws.put(from, &source, b"first").await;
    let head = aws.buckets.head_object().bucket(from).key(&source);
    let etag = head.send().await.unwrap().e_tag.unwrap();
    let copy = || {
        aws.buckets
            .copy_object()
            .bucket(to)
            .key(&target)
            .copy_source(format!("{from}/{source}"))
            .copy_source_if_match(&etag)
            .metadata_directive(MetadataDirective::Replace)
            .content_type("application/pdf")
            .content_disposition("attachment; filename*=UTF-8''Bulletin%20%C3%A9t%C3%A9.pdf")
            .send()
    };
    // Other bytes came since.
    aws.put(from, &source, b"other").await;
    assert_eq!(code(copy().await), "PreconditionFailed");
    assert!(!aws.is_there(to, &target).await);
    aws.put(from, &source, b"first").await;
    copy().await.unwrap();
    aws.put(from, &source, b"later").await;
    assert_eq!(aws.get(to, &target).await, b"first");
    let head = aws.buckets.head_object().bucket(to).key(&target);
    let head = head.send().await.unwrap();
    assert_eq!(head.content_type(), Some("application/pdf"));
    assert_eq!(
        head.content_disposition(),
        Some("attachment; filename*=UTF-8''Bulletin%20%C3%A9t%C3%A9.pdf")
    );
}

async fn an_object_is_read_whole_and_in_ranges(aws: Arc<Aws>) {
    let (bucket, key) = (aws.documents(), aws.name("documents/demo/range"));
    aws.put(bucket, &key, b"0123456789").await;
    assert_eq!(aws.get(bucket, &key).await, b"0123456789");
    let range = |range: &str| {
        let get = aws.buckets.get_object().bucket(bucket).key(&key);
        get.range(range).send()
    };
    let part = range("bytes=3-6").await.unwrap();
    assert_eq!(part.body.collect().await.unwrap().to_vec(), b"3456");
    let last = range("bytes=8-100").await.unwrap();
    assert_eq!(last.body.collect().await.unwrap().to_vec(), b"89");
    assert_eq!(code(range("bytes=10-20").await), "InvalidRange");
}

async fn what_is_absent_is_told_as_absent(aws: Arc<Aws>) {
    let (bucket, key) = (aws.documents(), aws.name("documents/demo/absent"));
    let get = aws.buckets.get_object().bucket(bucket).key(&key);
    assert_eq!(code(get.send().await), "NoSuchKey");
    assert!(!aws.is_there(bucket, &key).await);
    let copy = aws.buckets.copy_object().bucket(bucket).key(aws.name("target"));
    let copy = copy.copy_source(format!("{bucket}/{key}")).send().await;
    assert_eq!(code(copy), "NoSuchKey");
}

async fn deleted_is_gone_and_twice_is_fine(aws: Arc<Aws>) {
    let (bucket, key) = (aws.documents(), aws.name("documents/demo/gone"));
    aws.put(bucket, &key, b"x").await;
    for _ in 0..2 {
        let delete = aws.buckets.delete_object().bucket(bucket).key(&key);
        delete.send().await.unwrap();
        assert!(!aws.is_there(bucket, &key).await);
    }
}

async fn all_beneath_a_prefix_is_found_and_deleted(aws: Arc<Aws>) {
    let (bucket, prefix) = (aws.documents(), aws.name("documents/demo/list"));
    let neighbour = format!("{prefix}x/kept");
    aws.put(bucket, &neighbour, b"kept").await;
    for index in 0..5 {
        aws.put(bucket, &format!("{prefix}/{index} é+&.pdf"), b"x").await;
    }
    let (mut keys, mut after) = (Vec::new(), None);
    loop {
        let list = aws.buckets.list_objects_v2().bucket(bucket);
        let list = list.prefix(format!("{prefix}/")).max_keys(2);
        let page = list.set_continuation_token(after).send().await.unwrap();
        assert!(page.contents().len() <= 2);
        keys.extend(
            page.contents()
                .iter()
                .map(|object| object.key().unwrap().to_owned()),
        );
        after = page.next_continuation_token().map(str::to_owned);
        if after.is_none() {
            break;
        }
    }
    let expected: Vec<_> = (0..5).map(|index| format!("{prefix}/{index} é+&.pdf")).collect();
    assert_eq!(keys, expected);
    let doomed = keys
        .iter()
        .map(|key| ObjectIdentifier::builder().key(key).build().unwrap());
    let delete = Delete::builder()
        .set_objects(Some(doomed.collect()))
        .quiet(true)
        .build()
        .unwrap();
    let request = aws.buckets.delete_objects().bucket(bucket).delete(delete);
    let answer = request.send().await.unwrap();
    assert!(
        answer.deleted().is_empty() && answer.errors().is_empty(),
        "{answer:?}"
    );
    for key in keys {
        assert!(!aws.is_there(bucket, &key).await);
    }
    assert_eq!(aws.get(bucket, &neighbour).await, b"kept");
}

//! S3: uploads in parts, which appear whole or not at all.

use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};

use crate::aws::{Aws, code, declare_checks};

/// What S3 takes as a part that is not the last.
const SMALLEST_PART: usize = 5 * 1024 * 1024;

declare_checks! {
    an_upload_appears_whole_when_it_is_completed:
        "S3.CreateMultipartUpload" "S3.UploadPart" "S3.CompleteMultipartUpload";
    a_wrong_receipt_completes_nothing: "S3.UploadPart" "S3.CompleteMultipartUpload";
    a_checksum_that_was_not_asked_for_completes_nothing: "S3.UploadPart" "S3.CompleteMultipartUpload";
    what_is_aborted_is_gone: "S3.AbortMultipartUpload" "S3.ListMultipartUploads";
    what_is_begun_deeper_is_not_listed: "S3.ListMultipartUploads";
    parts_that_have_arrived_are_told: "S3.ListParts" "S3.CompleteMultipartUpload";
    parts_are_copied_from_the_bytes_that_were_looked_at: "S3.UploadPartCopy" "S3.CompleteMultipartUpload";
    a_copied_part_brings_its_checksum: "S3.UploadPartCopy" "S3.CompleteMultipartUpload";
}

impl Aws {
    async fn begin(&self, bucket: &str, key: &str) -> String {
        let begun = self.buckets.create_multipart_upload().bucket(bucket).key(key);
        let begun = begun
            .content_type("application/zip")
            .content_disposition("attachment; filename=\"archive.zip\"")
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .checksum_type(ChecksumType::FullObject);
        begun.send().await.unwrap().upload_id.unwrap()
    }

    async fn part(
        &self,
        bucket: &str,
        key: &str,
        upload: &str,
        number: i32,
        bytes: Vec<u8>,
    ) -> CompletedPart {
        let request = self.buckets.upload_part().bucket(bucket).key(key);
        let request = request.upload_id(upload).part_number(number);
        let answer = request.body(ByteStream::from(bytes)).send().await.unwrap();
        // The SDK sends a checksum with each part; S3 tells it again once it has verified it.
        CompletedPart::builder()
            .part_number(number)
            .set_e_tag(answer.e_tag)
            .set_checksum_crc32(answer.checksum_crc32)
            .build()
    }

    async fn complete(
        &self,
        bucket: &str,
        key: &str,
        upload: &str,
        parts: Vec<CompletedPart>,
    ) -> Result<(), String> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let request = self.buckets.complete_multipart_upload().bucket(bucket).key(key);
        match request.upload_id(upload).multipart_upload(parts).send().await {
            Ok(_) => Ok(()),
            error => Err(code(error)),
        }
    }

    /// The uploads that are under way beneath a prefix.
    async fn under_way(&self, bucket: &str, prefix: &str) -> Vec<String> {
        let request = self.buckets.list_multipart_uploads().bucket(bucket);
        let answer = request.prefix(prefix).send().await.unwrap();
        let ids = answer.uploads().iter();
        ids.map(|upload| upload.upload_id().unwrap().to_owned()).collect()
    }
}

async fn an_upload_appears_whole_when_it_is_completed(aws: Arc<Aws>) {
    let (bucket, key) = (aws.archives(), aws.name("archives/demo/parts"));
    let upload = aws.begin(bucket, &key).await;
    // In any order, and one twice: the later one counts.
    let second = aws.part(bucket, &key, &upload, 2, vec![2; 10]).await;
    aws.part(bucket, &key, &upload, 1, vec![9; SMALLEST_PART]).await;
    let first = aws.part(bucket, &key, &upload, 1, vec![1; SMALLEST_PART]).await;
    assert!(!aws.is_there(bucket, &key).await);
    aws.complete(bucket, &key, &upload, vec![first, second])
        .await
        .unwrap();
    let bytes = aws.get(bucket, &key).await;
    assert_eq!(bytes, [vec![1; SMALLEST_PART], vec![2; 10]].concat());
    let head = aws.buckets.head_object().bucket(bucket).key(&key);
    let head = head.send().await.unwrap();
    assert_eq!(
        head.content_disposition(),
        Some("attachment; filename=\"archive.zip\"")
    );
    assert!(aws.under_way(bucket, &key).await.is_empty());
}

async fn a_wrong_receipt_completes_nothing(aws: Arc<Aws>) {
    let (bucket, key) = (aws.archives(), aws.name("archives/demo/receipt"));
    let upload = aws.begin(bucket, &key).await;
    aws.part(bucket, &key, &upload, 1, b"x".to_vec()).await;
    let wrong = CompletedPart::builder()
        .part_number(1)
        .e_tag("\"00000000000000000000000000000000\"")
        .build();
    let refused = aws.complete(bucket, &key, &upload, vec![wrong]).await;
    assert_eq!(refused, Err("InvalidPart".to_owned()));
    assert!(!aws.is_there(bucket, &key).await);
}

/// The SDK gives each part a checksum, also where the upload was begun without an algorithm.
async fn a_checksum_that_was_not_asked_for_completes_nothing(aws: Arc<Aws>) {
    let (bucket, key) = (aws.archives(), aws.name("archives/demo/unasked"));
    let begun = aws.buckets.create_multipart_upload().bucket(bucket).key(&key);
    let upload = begun.send().await.unwrap().upload_id.unwrap();
    let part = aws.part(bucket, &key, &upload, 1, b"x".to_vec()).await;
    assert!(part.checksum_crc32().is_some());
    let refused = aws.complete(bucket, &key, &upload, vec![part.clone()]).await;
    assert_eq!(refused, Err("InvalidPart".to_owned()));
    assert!(!aws.is_there(bucket, &key).await);
    let bare = CompletedPart::builder()
        .part_number(1)
        .set_e_tag(part.e_tag)
        .build();
    aws.complete(bucket, &key, &upload, vec![bare]).await.unwrap();
    assert_eq!(aws.get(bucket, &key).await, b"x");
}

async fn a_copied_part_brings_its_checksum(aws: Arc<Aws>) {
    let bucket = aws.documents();
    let (source, target) = (
        aws.name("documents/demo/checksum"),
        aws.name("documents/demo/copied"),
    );
    aws.put(bucket, &source, b"hello world").await;
    let upload = aws.begin(bucket, &target).await;
    let copied = aws.buckets.upload_part_copy().bucket(bucket).key(&target);
    let copied = copied
        .upload_id(&upload)
        .part_number(1)
        .copy_source(format!("{bucket}/{source}"));
    let copied = copied.send().await.unwrap().copy_part_result.unwrap();
    assert_eq!(copied.checksum_crc32(), Some("DUoRhQ=="));
    let part = CompletedPart::builder()
        .part_number(1)
        .set_e_tag(copied.e_tag)
        .set_checksum_crc32(copied.checksum_crc32)
        .build();
    aws.complete(bucket, &target, &upload, vec![part]).await.unwrap();
    assert_eq!(aws.get(bucket, &target).await, b"hello world");
}

async fn what_is_aborted_is_gone(aws: Arc<Aws>) {
    let (bucket, prefix) = (aws.archives(), aws.name("archives/demo/abort/"));
    let key = format!("{prefix}/1.zip");
    let upload = aws.begin(bucket, &key).await;
    let part = aws.part(bucket, &key, &upload, 1, b"x".to_vec()).await;
    assert_eq!(
        aws.under_way(bucket, &prefix).await,
        std::slice::from_ref(&upload)
    );
    let abort = || {
        let request = aws.buckets.abort_multipart_upload().bucket(bucket).key(&key);
        request.upload_id(&upload).send()
    };
    abort().await.unwrap();
    assert!(aws.under_way(bucket, &prefix).await.is_empty());
    let late = aws.complete(bucket, &key, &upload, vec![part]).await;
    assert_eq!(late, Err("NoSuchUpload".to_owned()));
    assert!(!aws.is_there(bucket, &key).await);
}

async fn parts_are_copied_from_the_bytes_that_were_looked_at(aws: Arc<Aws>) {
    let (from, to) = (aws.uploads(), aws.documents());
    let (source, target) = (aws.name("uploads/demo/parts"), aws.name("documents/demo/parts"));
    let bytes = [vec![1; SMALLEST_PART], vec![2; 10]].concat();
    aws.put(from, &source, &bytes).await;
    let head = aws.buckets.head_object().bucket(from).key(&source);
    let etag = head.send().await.unwrap().e_tag.unwrap();
    let upload = aws.begin(to, &target).await;
    let copy = |number: i32, range: String| {
        aws.buckets
            .upload_part_copy()
            .bucket(to)
            .key(&target)
            .upload_id(&upload)
            .part_number(number)
            .copy_source(format!("{from}/{source}"))
            .copy_source_if_match(&etag)
            .copy_source_range(range)
            .send()
    };
    let ranges = [
        format!("bytes=0-{}", SMALLEST_PART - 1),
        format!("bytes={SMALLEST_PART}-{}", bytes.len() - 1),
    ];
    let mut parts = Vec::new();
    for (number, range) in (1..).zip(&ranges) {
        let copied = copy(number, range.clone()).await.unwrap();
        let etag = copied.copy_part_result.unwrap().e_tag;
        parts.push(
            CompletedPart::builder()
                .part_number(number)
                .set_e_tag(etag)
                .build(),
        );
    }
    aws.put(from, &source, &vec![3; bytes.len()]).await;
    assert_eq!(code(copy(3, ranges[0].clone()).await), "PreconditionFailed");
    aws.complete(to, &target, &upload, parts).await.unwrap();
    assert!(aws.get(to, &target).await == bytes, "other bytes were copied");
}

/// With a delimiter, uploads to keys on deeper levels are somebody else's.
async fn what_is_begun_deeper_is_not_listed(aws: Arc<Aws>) {
    let (bucket, prefix) = (aws.documents(), format!("{}/", aws.name("documents/demo/begun")));
    let here = aws.begin(bucket, &format!("{prefix}a")).await;
    let deeper = aws.begin(bucket, &format!("{prefix}generation/a")).await;
    let list = |delimiter: Option<&str>| {
        let request = aws.buckets.list_multipart_uploads().bucket(bucket);
        let request = request.prefix(&prefix);
        request.set_delimiter(delimiter.map(str::to_owned)).send()
    };
    let ids = |answer: aws_sdk_s3::operation::list_multipart_uploads::ListMultipartUploadsOutput| {
        let uploads = answer.uploads.unwrap_or_default().into_iter();
        uploads
            .map(|upload| upload.upload_id.unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(list(Some("/")).await.unwrap()), std::slice::from_ref(&here));
    let all = ids(list(None).await.unwrap());
    assert!(
        all.contains(&here) && all.contains(&deeper) && all.len() == 2,
        "{all:?}"
    );
}

async fn parts_that_have_arrived_are_told(aws: Arc<Aws>) {
    let (bucket, key) = (aws.uploads(), aws.name("uploads/demo/archives/parts"));
    let begun = aws.buckets.create_multipart_upload().bucket(bucket).key(&key);
    let upload = begun.send().await.unwrap().upload_id.unwrap();
    let list = |after: Option<String>| {
        let request = aws.buckets.list_parts().bucket(bucket).key(&key);
        let request = request.upload_id(&upload).max_parts(2);
        request.set_part_number_marker(after).send()
    };
    let none = list(None).await.unwrap();
    assert!(
        none.parts().is_empty() && none.is_truncated() != Some(true),
        "{none:?}"
    );
    // As a browser sends them, in any order; one of them twice.
    for (number, bytes) in [
        (3, vec![3; 10]),
        (1, vec![9; SMALLEST_PART]),
        (2, vec![2; SMALLEST_PART]),
        (1, vec![1; SMALLEST_PART + 1]),
    ] {
        aws.part(bucket, &key, &upload, number, bytes).await;
    }
    let (mut told, mut after) = (Vec::new(), None);
    loop {
        let page = list(after).await.unwrap();
        assert!(page.parts().len() <= 2);
        told.extend(page.parts().to_vec());
        after = page.next_part_number_marker().map(str::to_owned);
        if page.is_truncated() != Some(true) {
            break;
        }
    }
    let sizes: Vec<_> = told
        .iter()
        .map(|part| (part.part_number().unwrap(), part.size().unwrap()))
        .collect();
    let small = SMALLEST_PART as i64;
    assert_eq!(sizes, [(1, small + 1), (2, small), (3, 10)]);
    // What is told is enough to join them.
    let parts = told.iter().map(|part| {
        CompletedPart::builder()
            .set_part_number(part.part_number())
            .set_e_tag(part.e_tag().map(str::to_owned))
            .build()
    });
    aws.complete(bucket, &key, &upload, parts.collect())
        .await
        .unwrap();
    let bytes = [vec![1; SMALLEST_PART + 1], vec![2; SMALLEST_PART], vec![3; 10]].concat();
    assert!(aws.get(bucket, &key).await == bytes, "other bytes were joined");
    assert_eq!(code(list(None).await), "NoSuchUpload");
}

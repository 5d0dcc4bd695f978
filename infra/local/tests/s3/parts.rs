//! Multipart uploads.

use aws_sdk_s3::operation::upload_part::UploadPartOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};

use super::support::{TestS3, code, files, pattern};

pub(crate) const MIB: usize = 1024 * 1024;

async fn create(s3: &TestS3, key: &str) -> String {
    let created = s3
        .client
        .create_multipart_upload()
        .bucket("b-1")
        .key(key)
        .send()
        .await
        .unwrap();
    created.upload_id().unwrap().to_owned()
}

async fn upload(s3: &TestS3, key: &str, id: &str, number: i32, bytes: Vec<u8>) -> UploadPartOutput {
    let part = s3
        .client
        .upload_part()
        .bucket("b-1")
        .key(key)
        .upload_id(id)
        .part_number(number);
    part.body(ByteStream::from(bytes)).send().await.unwrap()
}

pub(crate) fn named(number: i32, etag: &str) -> CompletedPart {
    CompletedPart::builder().part_number(number).e_tag(etag).build()
}

/// A request that completes an upload to the bucket `b-1`.
macro_rules! complete {
    ($s3:expr, $key:expr, $id:expr, $parts:expr) => {{
        let parts = CompletedMultipartUpload::builder()
            .set_parts(Some($parts))
            .build();
        $s3.client
            .complete_multipart_upload()
            .bucket("b-1")
            .key($key)
            .upload_id($id)
            .multipart_upload(parts)
    }};
}
pub(crate) use complete;

#[tokio::test]
async fn parts_become_one_object() {
    let s3 = TestS3::with_bucket().await;
    let bytes = pattern(11 * MIB + 5, 3);
    let create = s3
        .client
        .create_multipart_upload()
        .bucket("b-1")
        .key("k")
        .content_type("video/x")
        .tagging("a=1");
    let id = create.send().await.unwrap().upload_id().unwrap().to_owned();
    let mut parts = Vec::new();
    // In any order; numbers may have gaps.
    for (number, range) in [
        (9, 10 * MIB..bytes.len()),
        (1, 0..5 * MIB),
        (4, 5 * MIB..10 * MIB),
    ] {
        let part = upload(&s3, "k", &id, number, bytes[range].to_vec()).await;
        parts.push(named(number, part.e_tag().unwrap()));
    }
    parts.sort_by_key(|part| part.part_number());
    let list = s3
        .client
        .list_parts()
        .bucket("b-1")
        .key("k")
        .upload_id(&id)
        .max_parts(2)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (list.is_truncated(), list.next_part_number_marker()),
        (Some(true), Some("4"))
    );
    let list = s3
        .client
        .list_parts()
        .bucket("b-1")
        .key("k")
        .upload_id(&id)
        .part_number_marker("4")
        .send()
        .await
        .unwrap();
    assert_eq!(
        list.parts()
            .iter()
            .map(|part| part.part_number())
            .collect::<Vec<_>>(),
        [Some(9)]
    );
    assert!(s3.keys().await.is_empty());

    let before = files(&s3.root().join("blobs"));
    let done = complete!(s3, "k", &id, parts.clone()).send().await.unwrap();
    assert_eq!(files(&s3.root().join("blobs")), before, "no byte was moved");
    assert!(done.e_tag().unwrap().ends_with("-3\""));
    let get = s3
        .client
        .get_object()
        .bucket("b-1")
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (get.content_type(), get.tag_count(), get.e_tag()),
        (Some("video/x"), Some(1), done.e_tag())
    );
    assert_eq!(get.body.collect().await.unwrap().to_vec(), bytes);
    let (from, to) = (5 * MIB - 3, 10 * MIB + 2);
    let get = s3
        .client
        .get_object()
        .bucket("b-1")
        .key("k")
        .range(format!("bytes={from}-{to}"))
        .send()
        .await
        .unwrap();
    assert_eq!(get.body.collect().await.unwrap().to_vec(), bytes[from..=to]);
    let second = s3
        .client
        .get_object()
        .bucket("b-1")
        .key("k")
        .part_number(2)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (second.parts_count(), second.content_length()),
        (Some(3), Some(5 * MIB as i64))
    );
    assert_eq!(
        second.body.collect().await.unwrap().to_vec(),
        bytes[5 * MIB..10 * MIB]
    );
    assert_eq!(code(complete!(s3, "k", &id, parts).send().await), "NoSuchUpload");
}

#[tokio::test]
async fn what_cannot_be_completed() {
    let s3 = TestS3::with_bucket().await;
    let id = create(&s3, "k").await;
    let one = upload(&s3, "k", &id, 1, vec![1; 5 * MIB])
        .await
        .e_tag()
        .unwrap()
        .to_owned();
    let two = upload(&s3, "k", &id, 2, vec![2; 10])
        .await
        .e_tag()
        .unwrap()
        .to_owned();
    let three = upload(&s3, "k", &id, 3, vec![3; 10])
        .await
        .e_tag()
        .unwrap()
        .to_owned();
    let cases = [
        (vec![], "MalformedXML"),
        (vec![named(1, "\"00\"")], "InvalidPart"),
        (vec![named(1, &one), named(7, &two)], "InvalidPart"),
        (vec![named(2, &two), named(1, &one)], "InvalidPartOrder"),
        (vec![named(1, &one), named(1, &one)], "InvalidPartOrder"),
        (
            vec![named(1, &one), named(2, &two), named(3, &three)],
            "EntityTooSmall",
        ),
    ];
    for (parts, expected) in cases {
        assert_eq!(code(complete!(s3, "k", &id, parts).send().await), expected);
    }
    let parts = || vec![named(1, &one), named(2, &two)];
    assert_eq!(
        code(complete!(s3, "k", &id, parts()).mpu_object_size(5).send().await),
        "InvalidRequest"
    );
    s3.put("k", "there").await;
    assert_eq!(
        code(complete!(s3, "k", &id, parts()).if_none_match("*").send().await),
        "PreconditionFailed"
    );
    assert_eq!(
        code(complete!(s3, "other", &id, parts()).send().await),
        "NoSuchUpload"
    );
    assert_eq!(s3.get("k").await, b"there");
    complete!(s3, "k", &id, parts()).send().await.unwrap();
    assert_eq!(
        files(&s3.root().join("blobs")).len(),
        2,
        "the part left out is gone, and the old object"
    );
}

#[tokio::test]
async fn aborted_uploads_leave_nothing() {
    let s3 = TestS3::with_bucket().await;
    let id = create(&s3, "a/k").await;
    create(&s3, "b/k").await;
    upload(&s3, "a/k", &id, 1, vec![1; 10]).await;
    upload(&s3, "a/k", &id, 1, vec![2; 10]).await;
    assert_eq!(
        files(&s3.root().join("blobs")).len(),
        1,
        "a part sent again replaces the first"
    );
    let list = s3
        .client
        .list_multipart_uploads()
        .bucket("b-1")
        .prefix("a/")
        .send()
        .await
        .unwrap();
    assert_eq!(
        list.uploads()
            .iter()
            .map(|upload| upload.upload_id())
            .collect::<Vec<_>>(),
        [Some(id.as_str())]
    );
    let first = s3
        .client
        .list_multipart_uploads()
        .bucket("b-1")
        .max_uploads(1)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (first.is_truncated(), first.next_key_marker()),
        (Some(true), Some("a/k"))
    );
    let rest = s3.client.list_multipart_uploads().bucket("b-1").key_marker("a/k");
    let rest = rest
        .set_upload_id_marker(first.next_upload_id_marker().map(str::to_owned))
        .send()
        .await
        .unwrap();
    assert_eq!(
        rest.uploads()
            .iter()
            .map(|upload| upload.key())
            .collect::<Vec<_>>(),
        [Some("b/k")]
    );

    let abort = || {
        s3.client
            .abort_multipart_upload()
            .bucket("b-1")
            .key("a/k")
            .upload_id(&id)
            .send()
    };
    abort().await.unwrap();
    assert_eq!(code(abort().await), "NoSuchUpload");
    let part = s3
        .client
        .upload_part()
        .bucket("b-1")
        .key("a/k")
        .upload_id(&id)
        .part_number(1);
    assert_eq!(
        code(part.body(ByteStream::from_static(b"x")).send().await),
        "NoSuchUpload"
    );
    assert_eq!(files(&s3.root().join("blobs")).len(), 0);
}

#[tokio::test]
async fn parts_copied_from_objects() {
    let s3 = TestS3::with_bucket().await;
    let bytes = pattern(6 * MIB, 5);
    s3.put("source", bytes.clone()).await;
    let id = create(&s3, "k").await;
    let copy = |number: i32, range: String| {
        let copy = s3
            .client
            .upload_part_copy()
            .bucket("b-1")
            .key("k")
            .upload_id(&id)
            .part_number(number);
        copy.copy_source("b-1/source").copy_source_range(range)
    };
    let mut parts = Vec::new();
    for (number, range) in [
        (1, format!("bytes=100-{}", 5 * MIB + 99)),
        (2, "bytes=0-9".to_owned()),
    ] {
        let copied = copy(number, range).send().await.unwrap();
        parts.push(named(number, copied.copy_part_result().unwrap().e_tag().unwrap()));
    }
    assert_eq!(
        code(copy(3, format!("bytes=0-{}", 6 * MIB)).send().await),
        "InvalidArgument"
    );
    let unlike = copy(3, "bytes=0-9".to_owned()).copy_source_if_match("\"other\"");
    assert_eq!(code(unlike.send().await), "PreconditionFailed");
    let done = complete!(s3, "k", &id, parts).send().await.unwrap();
    s3.client
        .delete_object()
        .bucket("b-1")
        .key("source")
        .send()
        .await
        .unwrap();
    let expected = [&bytes[100..5 * MIB + 100], &bytes[..10]].concat();
    assert_eq!(s3.get("k").await, expected);

    // A copy of what was uploaded in parts is one piece, with the ETag of one.
    let copied = s3
        .client
        .copy_object()
        .bucket("b-1")
        .key("whole")
        .copy_source("b-1/k")
        .send()
        .await
        .unwrap();
    let etag = copied.copy_object_result().unwrap().e_tag().unwrap().to_owned();
    assert_ne!(done.e_tag(), Some(etag.as_str()));
    s3.put("same", expected.clone()).await;
    let same = s3
        .client
        .head_object()
        .bucket("b-1")
        .key("same")
        .send()
        .await
        .unwrap();
    assert_eq!(same.e_tag(), Some(etag.as_str()));
    assert_eq!(s3.get("whole").await, expected);
}

//! Checksums of uploads in parts: what S3 refuses, as measured there (see `RULES.md`).

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::upload_part::UploadPartOutput;
use aws_sdk_s3::operation::upload_part::builders::UploadPartFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedMultipartUpload, CompletedPart,
};
use rstest::rstest;

use super::parts::{MIB, complete, named};
use super::support::{TestS3, client_without_checksums, code, pattern};

/// Checksums of `abc`, by other programs.
const CRC32: &str = "NSRBwg==";
const CRC32C: &str = "Nks/tw==";
const SHA256: &str = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";

/// A store with the upload `k` in the bucket `b-1`.
async fn begin(algorithm: Option<ChecksumAlgorithm>, kind: Option<ChecksumType>) -> (TestS3, String) {
    let s3 = TestS3::with_bucket().await;
    let create = s3.client.create_multipart_upload().bucket("b-1").key("k");
    let create = create.set_checksum_algorithm(algorithm).set_checksum_type(kind);
    let id = create.send().await.unwrap().upload_id.unwrap();
    (s3, id)
}

/// A part `abc`, to be sent by a client that adds a CRC-32 where none is given.
fn abc(s3: &TestS3, id: &str, number: i32) -> UploadPartFluentBuilder {
    let part = s3.client.upload_part().bucket("b-1").key("k").upload_id(id);
    part.part_number(number).body(ByteStream::from_static(b"abc"))
}

/// As [`abc`], by a client that adds nothing.
async fn bare_abc(s3: &TestS3, id: &str) -> Result<UploadPartOutput, String> {
    let client = client_without_checksums(&s3.url);
    let part = client
        .upload_part()
        .bucket("b-1")
        .key("k")
        .upload_id(id)
        .part_number(1);
    let sent = part.body(ByteStream::from_static(b"abc")).send().await;
    sent.map_err(|error| refusal(&error))
}

/// Code and text of an error answer.
fn refusal<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> String {
    let error = error.as_service_error().expect("an answer of the service");
    format!("{}: {}", error.code().unwrap(), error.message().unwrap())
}

/// The refusal of a request that must be refused.
macro_rules! refused {
    ($request:expr) => {
        refusal(&$request.send().await.unwrap_err())
    };
}

fn with_crc32(part: CompletedPart, value: &str) -> CompletedPart {
    CompletedPart::builder()
        .set_part_number(part.part_number)
        .set_e_tag(part.e_tag)
        .checksum_crc32(value)
        .build()
}

/// The defect that hid here: the SDK sends a CRC-32 with each part, and completion named it.
#[tokio::test]
async fn an_upload_without_algorithm_is_completed_without_checksums() {
    let (s3, id) = begin(None, None).await;
    let sent = abc(&s3, &id, 1).send().await.unwrap();
    assert_eq!(sent.checksum_crc32(), Some(CRC32), "echoed");
    let listed = s3.client.list_parts().bucket("b-1").key("k").upload_id(&id);
    let listed = listed.send().await.unwrap();
    assert_eq!(listed.parts()[0].checksum_crc32(), None, "and not kept");
    assert_eq!(listed.parts()[0].checksum_crc64_nvme(), None);
    assert_eq!(listed.checksum_algorithm(), None);
    let bare = named(1, sent.e_tag().unwrap());
    let with = vec![with_crc32(bare.clone(), CRC32)];
    assert_eq!(code(complete!(s3, "k", &id, with).send().await), "InvalidPart");
    for kind in [ChecksumType::FullObject, ChecksumType::Composite] {
        assert_eq!(
            refused!(complete!(s3, "k", &id, vec![bare.clone()]).checksum_type(kind)),
            "InvalidRequest: The upload was created using the null checksum mode. The complete request must use the \
             same checksum mode."
        );
    }
    // After each refusal the upload is there as it was. The object's own checksum is not looked at.
    let done = complete!(s3, "k", &id, vec![bare]).checksum_crc32_c("AAAAAA==-2");
    let done = done.send().await.unwrap();
    assert_eq!(done.checksum_type(), Some(&ChecksumType::FullObject));
    assert!(done.checksum_crc64_nvme().is_some() && done.checksum_crc32_c().is_none());
}

#[tokio::test]
async fn an_algorithm_has_its_default_type() {
    for (algorithm, kind) in [
        (ChecksumAlgorithm::Crc32, ChecksumType::Composite),
        (ChecksumAlgorithm::Crc32C, ChecksumType::Composite),
        (ChecksumAlgorithm::Sha1, ChecksumType::Composite),
        (ChecksumAlgorithm::Sha256, ChecksumType::Composite),
        (ChecksumAlgorithm::Crc64Nvme, ChecksumType::FullObject),
    ] {
        let s3 = TestS3::with_bucket().await;
        let create = s3.client.create_multipart_upload().bucket("b-1").key("k");
        let created = create.checksum_algorithm(algorithm.clone()).send().await.unwrap();
        assert_eq!(created.checksum_algorithm(), Some(&algorithm));
        assert_eq!(created.checksum_type(), Some(&kind), "{algorithm}");
    }
}

#[rstest]
#[case(Some("SHA1"), "FULL_OBJECT")]
#[case(Some("SHA256"), "FULL_OBJECT")]
#[case(Some("CRC64NVME"), "COMPOSITE")]
#[case(Some("CRC32"), "WHOLE")]
#[case(Some("CRC16"), "COMPOSITE")]
#[case(None, "FULL_OBJECT")]
#[tokio::test]
async fn other_types_are_refused(#[case] algorithm: Option<&str>, #[case] kind: &str) {
    let s3 = TestS3::with_bucket().await;
    let create = s3.client.create_multipart_upload().bucket("b-1").key("k");
    let create = create.set_checksum_algorithm(algorithm.map(ChecksumAlgorithm::from));
    let refused = create.checksum_type(ChecksumType::from(kind)).send().await;
    assert_eq!(code(refused), "InvalidRequest");
}

#[tokio::test]
async fn a_composite_checksum_needs_one_of_each_part() {
    let (s3, id) = begin(Some(ChecksumAlgorithm::Sha256), None).await;
    assert_eq!(
        bare_abc(&s3, &id).await.unwrap_err(),
        "InvalidRequest: Checksum Type mismatch occurred, expected checksum Type: sha256, actual checksum Type: null"
    );
    assert_eq!(
        refused!(abc(&s3, &id, 1)),
        "InvalidRequest: Checksum Type mismatch occurred, expected checksum Type: sha256, actual checksum Type: crc32"
    );
    let sent = abc(&s3, &id, 1).checksum_sha256(SHA256).send().await.unwrap();
    assert_eq!(sent.checksum_sha256(), Some(SHA256));
    let part = || {
        CompletedPart::builder()
            .part_number(1)
            .set_e_tag(sent.e_tag.clone())
    };
    let completed = |part: CompletedPart| complete!(s3, "k", &id, vec![part]);
    assert_eq!(
        refused!(completed(part().build())),
        "InvalidRequest: The upload was created using a sha256 checksum. The complete request must include the \
         checksum for each part. It was missing for part 1 in the request."
    );
    assert_eq!(
        refused!(completed(part().checksum_crc32(CRC32).build())),
        "BadDigest: The crc32 you specified for part 1 did not match what we received."
    );
    let two = part().checksum_crc32(CRC32).checksum_sha256(SHA256);
    assert_eq!(code(completed(two.build()).send().await), "InvalidArgument");
    let wrong = part().checksum_sha256("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    assert_eq!(code(completed(wrong.build()).send().await), "InvalidPart");
    let right = part().checksum_sha256(SHA256).build();
    assert_eq!(
        refused!(completed(right.clone()).checksum_type(ChecksumType::FullObject)),
        "InvalidRequest: The upload was created using the COMPOSITE checksum mode. The complete request must use the \
         same checksum mode."
    );
    let done = completed(right).send().await.unwrap();
    assert!(done.checksum_sha256().unwrap().ends_with("=-1"));
}

#[tokio::test]
async fn a_checksum_of_all_bytes_needs_none_of_the_parts() {
    let (s3, id) = begin(Some(ChecksumAlgorithm::Crc32C), Some(ChecksumType::FullObject)).await;
    assert_eq!(
        refused!(abc(&s3, &id, 1)),
        "InvalidRequest: Checksum Type mismatch occurred, expected checksum Type: crc32c, actual checksum Type: crc32"
    );
    let sent = bare_abc(&s3, &id).await.unwrap();
    assert_eq!(sent.checksum_crc32_c(), Some(CRC32C));
    let completed = || complete!(s3, "k", &id, vec![named(1, sent.e_tag().unwrap())]);
    let full = ChecksumType::FullObject;
    for wrong in [
        completed().checksum_crc32_c(CRC32C),
        completed()
            .checksum_crc32_c("AAAAAA==")
            .checksum_type(full.clone()),
        completed().checksum_crc32(CRC32).checksum_type(full.clone()),
    ] {
        assert_eq!(
            refused!(wrong),
            "BadDigest: The crc32c you specified did not match the calculated checksum."
        );
    }
    assert_eq!(
        refused!(completed().mpu_object_size(5)),
        "InvalidRequest: The provided 'x-amz-mp-object-size' header value 5 does not match what was computed: 3"
    );
    let done = completed()
        .checksum_crc32_c(CRC32C)
        .checksum_type(full)
        .mpu_object_size(3);
    assert_eq!(done.send().await.unwrap().checksum_crc32_c(), Some(CRC32C));
}

#[tokio::test]
async fn with_checksums_the_numbers_have_no_gaps() {
    let (s3, id) = begin(Some(ChecksumAlgorithm::Crc32), Some(ChecksumType::FullObject)).await;
    for number in [0, 10_001] {
        assert_eq!(code(abc(&s3, &id, number).send().await), "InvalidArgument");
    }
    let sent = abc(&s3, &id, 2).send().await.unwrap();
    let parts = vec![with_crc32(named(2, sent.e_tag().unwrap()), CRC32)];
    assert_eq!(
        code(complete!(s3, "k", &id, parts).send().await),
        "InvalidPartOrder"
    );
    let sent = abc(&s3, &id, 1).send().await.unwrap();
    let parts = vec![with_crc32(named(1, sent.e_tag().unwrap()), CRC32)];
    complete!(s3, "k", &id, parts).send().await.unwrap();
}

#[tokio::test]
async fn a_copied_part_brings_the_checksum_that_was_asked_for() {
    for (algorithm, kind) in [
        (None, None),
        (Some(ChecksumAlgorithm::Crc32), Some(ChecksumType::FullObject)),
        (Some(ChecksumAlgorithm::Crc32), Some(ChecksumType::Composite)),
    ] {
        let (s3, id) = begin(algorithm.clone(), kind).await;
        s3.put("source", "abc").await;
        let copy = s3.client.upload_part_copy().bucket("b-1").key("k").upload_id(&id);
        let copied = copy
            .part_number(1)
            .copy_source("b-1/source")
            .send()
            .await
            .unwrap();
        let copied = copied.copy_part_result.unwrap();
        assert_eq!(copied.checksum_crc32(), algorithm.map(|_| CRC32));
        assert_eq!(copied.checksum_crc64_nvme(), None);
        let part = CompletedPart::builder()
            .part_number(1)
            .set_e_tag(copied.e_tag)
            .set_checksum_crc32(copied.checksum_crc32);
        complete!(s3, "k", &id, vec![part.build()]).send().await.unwrap();
        assert_eq!(s3.get("k").await, b"abc");
    }
}

#[tokio::test]
async fn a_part_is_compared_with_its_checksum() {
    let (s3, id) = begin(None, None).await;
    assert_eq!(
        refused!(abc(&s3, &id, 1).checksum_crc32("AAAAAA==")),
        "BadDigest: The CRC32 you specified did not match the calculated checksum."
    );
    assert_eq!(
        refused!(abc(&s3, &id, 1).checksum_crc32("12345678")),
        "InvalidRequest: Value for x-amz-checksum-crc32 header is invalid."
    );
    assert_eq!(
        refused!(abc(&s3, &id, 1).checksum_crc32(CRC32).checksum_sha256(SHA256)),
        "InvalidRequest: Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
    );
    let listed = s3.client.list_parts().bucket("b-1").key("k").upload_id(&id);
    assert!(listed.send().await.unwrap().parts().is_empty());
}

#[tokio::test]
async fn checksums_of_the_whole_and_of_the_parts() {
    let s3 = TestS3::with_bucket().await;
    let bytes = pattern(6 * MIB, 11);
    let kinds = [
        (ChecksumAlgorithm::Crc32, ChecksumType::FullObject),
        (ChecksumAlgorithm::Crc64Nvme, ChecksumType::FullObject),
        (ChecksumAlgorithm::Sha256, ChecksumType::Composite),
    ];
    for (algorithm, kind) in kinds {
        let put = s3
            .client
            .put_object()
            .bucket("b-1")
            .key("put")
            .checksum_algorithm(algorithm.clone());
        let put = put.body(ByteStream::from(bytes.clone())).send().await.unwrap();
        let create = s3
            .client
            .create_multipart_upload()
            .bucket("b-1")
            .key("k")
            .checksum_type(kind.clone());
        let id = create
            .checksum_algorithm(algorithm.clone())
            .send()
            .await
            .unwrap()
            .upload_id()
            .unwrap()
            .to_owned();
        let mut parts = Vec::new();
        for (number, range) in [(1, 0..5 * MIB), (2, 5 * MIB..6 * MIB)] {
            let part = s3
                .client
                .upload_part()
                .bucket("b-1")
                .key("k")
                .upload_id(&id)
                .part_number(number);
            let part = part
                .checksum_algorithm(algorithm.clone())
                .body(ByteStream::from(bytes[range].to_vec()));
            let part = part.send().await.unwrap();
            let named = CompletedPart::builder()
                .part_number(number)
                .set_e_tag(part.e_tag().map(str::to_owned));
            let named = named.set_checksum_sha256(part.checksum_sha256().map(str::to_owned));
            parts.push(
                named
                    .set_checksum_crc32(part.checksum_crc32().map(str::to_owned))
                    .build(),
            );
        }
        let wrong = complete!(s3, "k", &id, parts.clone());
        let wrong = match algorithm {
            ChecksumAlgorithm::Crc32 => wrong.checksum_crc32("AAAAAA=="),
            ChecksumAlgorithm::Crc64Nvme => wrong.checksum_crc64_nvme("AAAAAAAAAAA="),
            _ => wrong.checksum_sha256("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=-2"),
        };
        assert_eq!(code(wrong.checksum_type(kind.clone()).send().await), "BadDigest");
        complete!(s3, "k", &id, parts).send().await.unwrap();
        let head = s3
            .client
            .head_object()
            .bucket("b-1")
            .key("k")
            .checksum_mode(ChecksumMode::Enabled);
        let head = head.send().await.unwrap();
        assert_eq!(head.checksum_type(), Some(&kind));
        match algorithm {
            ChecksumAlgorithm::Crc32 => assert_eq!(head.checksum_crc32(), put.checksum_crc32()),
            ChecksumAlgorithm::Crc64Nvme => assert_eq!(head.checksum_crc64_nvme(), put.checksum_crc64_nvme()),
            _ => assert!(head.checksum_sha256().unwrap().ends_with("=-2")),
        }
    }
}

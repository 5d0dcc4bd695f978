//! What archives need besides their bucket: to be told of, and a key that signs them.

use oubli_local::provision::provision;

use super::{config, engines, parameters};

#[tokio::test]
async fn what_happens_to_archives_is_told_to_event_bridge() {
    let engines = engines().await;
    provision(&engines.url(), &parameters("demo")).await.unwrap();
    for (bucket, tells) in [
        ("demo-archives", true),
        ("demo-documents", false),
        ("absent", false),
    ] {
        assert_eq!(
            engines.s3().tells_event_bridge(bucket).unwrap(),
            tells,
            "{bucket}"
        );
    }
}

#[tokio::test]
async fn archives_have_a_key_of_this_stack_that_a_second_run_finds() {
    let engines = engines().await;
    let client = aws_sdk_kms::Client::new(&config(&engines));
    let first = provision(&engines.url(), &parameters("demo")).await.unwrap();
    let id = &first.environment["archive-builder"]["OUBLI_ARCHIVE_KEY_ID"];
    for function in ["api", "restorer"] {
        assert_eq!(&first.environment[function]["OUBLI_ARCHIVE_KEY_ID"], id);
    }
    let found = client.describe_key().key_id("alias/demo-archive").send().await;
    let found = found.unwrap().key_metadata.unwrap();
    assert_eq!(found.key_id(), id);
    assert_eq!(found.key_spec().unwrap().as_str(), "ECC_NIST_P256");
    let hashes = client.describe_key().key_id("alias/demo-hash").send().await;
    let hashes = hashes.unwrap().key_metadata.unwrap();
    assert_eq!(&first.environment["api"]["OUBLI_HASH_KEY_ID"], hashes.key_id());
    assert_eq!(hashes.key_spec().unwrap().as_str(), "HMAC_256");

    let other = provision(&engines.url(), &parameters("other")).await.unwrap();
    assert_ne!(&other.environment["archive-builder"]["OUBLI_ARCHIVE_KEY_ID"], id);
    let again = provision(&engines.url(), &parameters("demo")).await.unwrap();
    assert_eq!(again, first);
}

//! KMS: the key that signs archives, what everybody may know of it, and the key of hashes.

use std::sync::Arc;

use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{KeySpec, KeyUsageType, MacAlgorithmSpec, MessageType, SigningAlgorithmSpec};
use oubli_archive::signature::PublicKey;
use oubli_domain::Sha256;

use crate::aws::{Aws, code, declare_checks};

declare_checks! {
    a_key_is_made_and_found_by_its_alias: "KMS.CreateKey" "KMS.CreateAlias" "KMS.DescribeKey";
    what_is_signed_is_verified_by_the_public_key: "KMS.GetPublicKey" "KMS.Sign";
    what_is_no_digest_is_not_signed: "KMS.Sign";
    a_secret_gives_each_message_one_code: "KMS.GenerateMac";
}

async fn a_key_is_made_and_found_by_its_alias(aws: Arc<Aws>) {
    let alias = format!("alias/{}-{}", aws.name("oubli-check"), std::process::id());
    let describe = |name: &str| aws.keys.describe_key().key_id(name).send();
    assert_eq!(code(describe(&alias).await), "NotFoundException");
    let create = aws
        .keys
        .create_key()
        .description("Signs archives")
        .key_spec(KeySpec::EccNistP256)
        .key_usage(KeyUsageType::SignVerify);
    let made = create.send().await.unwrap().key_metadata.unwrap();
    let name = || {
        let request = aws.keys.create_alias().alias_name(&alias);
        request.target_key_id(&made.key_id).send()
    };
    name().await.unwrap();
    assert_eq!(code(name().await), "AlreadyExistsException");
    // By its alias, by its id, by its name in full: the same key.
    for name in [alias.as_str(), made.key_id.as_str(), made.arn.as_deref().unwrap()] {
        let found = describe(name).await.unwrap().key_metadata.unwrap();
        assert_eq!(found.key_id, made.key_id, "{name}");
        assert_eq!(found.key_spec, Some(KeySpec::EccNistP256), "{name}");
        assert_eq!(found.key_usage, Some(KeyUsageType::SignVerify), "{name}");
    }
}

/// Signs a SHA-256 with the deployment's key.
async fn sign(aws: &Aws, digest: &Sha256) -> Vec<u8> {
    let request = aws.keys.sign().key_id(aws.setting("OUBLI_ARCHIVE_KEY_ID"));
    let request = request
        .message(Blob::new(digest.as_bytes().as_slice()))
        .message_type(MessageType::Digest)
        .signing_algorithm(SigningAlgorithmSpec::EcdsaSha256);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.signing_algorithm, Some(SigningAlgorithmSpec::EcdsaSha256));
    answer.signature.unwrap().into_inner()
}

async fn what_is_signed_is_verified_by_the_public_key(aws: Arc<Aws>) {
    let key = aws.setting("OUBLI_ARCHIVE_KEY_ID");
    let read = || aws.keys.get_public_key().key_id(key).send();
    let (once, again) = (read().await.unwrap(), read().await.unwrap());
    assert_eq!(once.public_key, again.public_key);
    assert_eq!(once.key_spec, Some(KeySpec::EccNistP256));
    assert!(once.key_id.unwrap().ends_with(key));
    let public = PublicKey::from_der(once.public_key.unwrap().as_ref()).unwrap();
    let (one, other) = (Sha256::of(b"a manifest"), Sha256::of(b"another"));
    // Each signature is another one, now and then shorter than the last (RFC 3279, section 2.2.3).
    for _ in 0..20 {
        let signature = sign(&aws, &one).await;
        assert!(signature.len() <= 72 && signature[0] == 0x30);
        assert!(public.verify_digest(&one, &signature));
        assert!(!public.verify_digest(&other, &signature));
    }
}

async fn what_is_no_digest_is_not_signed(aws: Arc<Aws>) {
    let request = aws.keys.sign().key_id(aws.setting("OUBLI_ARCHIVE_KEY_ID"));
    let request = request
        .message(Blob::new(vec![1; 31]))
        .message_type(MessageType::Digest)
        .signing_algorithm(SigningAlgorithmSpec::EcdsaSha256);
    assert_eq!(code(request.send().await), "ValidationException");
    let absent = aws.keys.sign().key_id("alias/oubli-absent");
    let absent = absent
        .message(Blob::new(vec![1; 32]))
        .message_type(MessageType::Digest)
        .signing_algorithm(SigningAlgorithmSpec::EcdsaSha256);
    assert_eq!(code(absent.send().await), "NotFoundException");
}

async fn a_secret_gives_each_message_one_code(aws: Arc<Aws>) {
    let generate = |key: &str, message: &[u8]| {
        let request = aws.keys.generate_mac().key_id(key).message(Blob::new(message));
        request.mac_algorithm(MacAlgorithmSpec::HmacSha256).send()
    };
    let key = aws.setting("OUBLI_HASH_KEY_ID");
    let code_of = async |message: &[u8]| generate(key, message).await.unwrap().mac.unwrap().into_inner();
    let one = code_of(b"one").await;
    assert_eq!(one.len(), 32);
    assert_eq!(one, code_of(b"one").await);
    assert_ne!(one, code_of(b"other").await);
    assert_eq!(
        code(generate("alias/oubli-absent", b"one").await),
        "NotFoundException"
    );
}

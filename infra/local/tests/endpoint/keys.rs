//! Keys over the wire: what they sign can be verified by who has only the public key, they outlive the
//! engines, and they never leave them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use aws_sdk_kms::Client;
use aws_sdk_kms::error::ProvideErrorMetadata;
use aws_sdk_kms::operation::create_key::builders::CreateKeyFluentBuilder;
use aws_sdk_kms::operation::generate_mac::builders::GenerateMacFluentBuilder;
use aws_sdk_kms::operation::sign::builders::SignFluentBuilder;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{KeySpec, KeyUsageType, MacAlgorithmSpec, MessageType, SigningAlgorithmSpec};

use oubli_local::clock::EngineClock;
use oubli_local::engines::Engines;
use serde_json::Value;

use super::support::{START, ephemeral, frozen, kept, kms};

/// What stands before the point in the public key of a P-256 key: `SubjectPublicKeyInfo` (RFC 5480).
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

fn new_key(client: &Client) -> CreateKeyFluentBuilder {
    client
        .create_key()
        .key_spec(KeySpec::EccNistP256)
        .key_usage(KeyUsageType::SignVerify)
}

async fn key(client: &Client) -> String {
    let made = new_key(client).send().await.unwrap();
    made.key_metadata.unwrap().key_id
}

fn sign(client: &Client, key: &str, message: &[u8], kind: MessageType) -> SignFluentBuilder {
    client
        .sign()
        .key_id(key)
        .message(Blob::new(message))
        .message_type(kind)
        .signing_algorithm(SigningAlgorithmSpec::EcdsaSha256)
}

/// The point of the public key that KMS publishes.
async fn public_point(client: &Client, key: &str) -> Vec<u8> {
    let published = client.get_public_key().key_id(key).send().await.unwrap();
    let der = published.public_key.unwrap().into_inner();
    assert_eq!(der[..26], SPKI_PREFIX);
    der[26..].to_vec()
}

fn verifies(point: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
        .verify(message, signature)
        .is_ok()
}

#[tokio::test]
async fn a_signature_is_verified_with_the_public_key_alone() {
    let (engines, _) = ephemeral().await;
    let client = kms(&engines);
    let key = key(&client).await;
    let other = self::key(&client).await;
    let point = public_point(&client, &key).await;
    let message = b"{\"format_version\": 2}";
    let hash = digest(&SHA256, message);
    for (signed, kind) in [
        (message.as_slice(), MessageType::Raw),
        (hash.as_ref(), MessageType::Digest),
    ] {
        let answer = sign(&client, &key, signed, kind.clone()).send().await.unwrap();
        let arn = format!("arn:aws:kms:eu-west-3:000000000000:key/{key}");
        assert_eq!(answer.key_id(), Some(arn.as_str()));
        assert_eq!(
            answer.signing_algorithm(),
            Some(&SigningAlgorithmSpec::EcdsaSha256)
        );
        let signature = answer.signature.unwrap().into_inner();
        assert!(verifies(&point, message, &signature), "{kind:?}");
        assert!(!verifies(&point, b"another message", &signature));
        assert!(!verifies(
            &public_point(&client, &other).await,
            message,
            &signature
        ));

        let verify = |key: &str, signature: &[u8]| {
            client
                .verify()
                .key_id(key)
                .message(Blob::new(signed))
                .message_type(kind.clone())
                .signature(Blob::new(signature))
                .signing_algorithm(SigningAlgorithmSpec::EcdsaSha256)
                .send()
        };
        assert!(verify(&arn, &signature).await.unwrap().signature_valid());
        let refused = verify(&other, &signature).await.unwrap_err();
        assert!(refused.into_service_error().is_kms_invalid_signature_exception());
        let refused = verify(&key, b"no signature").await.unwrap_err();
        assert!(refused.into_service_error().is_kms_invalid_signature_exception());
    }
}

#[tokio::test]
async fn a_key_is_found_by_id_arn_and_alias_and_described() {
    let (engines, _) = ephemeral().await;
    let client = kms(&engines);
    let made = new_key(&client)
        .description("signs")
        .policy("{}")
        .send()
        .await
        .unwrap();
    let made = made.key_metadata.unwrap();
    let (id, arn) = (made.key_id(), made.arn().unwrap());
    client
        .create_alias()
        .alias_name("alias/oubli-archive")
        .target_key_id(id)
        .send()
        .await
        .unwrap();
    let alias_arn = "arn:aws:kms:eu-west-3:000000000000:alias/oubli-archive";
    for name in [id, arn, "alias/oubli-archive", alias_arn] {
        let found = client.describe_key().key_id(name).send().await.unwrap();
        let found = found.key_metadata.unwrap();
        assert_eq!(found, made, "{name}");
    }
    assert_eq!(made.key_spec(), Some(&KeySpec::EccNistP256));
    assert_eq!(made.key_usage(), Some(&KeyUsageType::SignVerify));
    assert_eq!(made.signing_algorithms(), [SigningAlgorithmSpec::EcdsaSha256]);
    assert_eq!(made.creation_date().unwrap().secs(), START);
    assert_eq!(made.description(), Some("signs"));

    let taken = client
        .create_alias()
        .alias_name("alias/oubli-archive")
        .target_key_id(key(&client).await)
        .send()
        .await
        .unwrap_err();
    assert!(taken.into_service_error().is_already_exists_exception());
    for (alias, code) in [
        ("oubli", "InvalidAliasNameException"),
        ("alias/aws/s3", "InvalidAliasNameException"),
        ("alias/", "ValidationException"),
        ("alias/été", "ValidationException"),
    ] {
        let request = client.create_alias().alias_name(alias).target_key_id(id);
        let refused = request.send().await.unwrap_err();
        assert_eq!(refused.code(), Some(code), "{alias}");
    }
}

#[tokio::test]
async fn what_is_not_there_or_cannot_be_is_refused_as_the_service_refuses_it() {
    let (engines, _) = ephemeral().await;
    let client = kms(&engines);
    let key = key(&client).await;
    for name in [
        "alias/nobody",
        "00000000-0000-4000-8000-000000000000",
        "arn:aws:kms:eu-west-3:000000000000:key/00000000-0000-4000-8000-000000000000",
    ] {
        let absent = client.describe_key().key_id(name).send().await.unwrap_err();
        assert!(absent.into_service_error().is_not_found_exception(), "{name}");
    }
    for (message, kind) in [
        (vec![0; 4097], MessageType::Raw),
        (vec![], MessageType::Raw),
        (vec![0; 31], MessageType::Digest),
        (vec![0; 33], MessageType::Digest),
    ] {
        let refused = sign(&client, &key, &message, kind).send().await.unwrap_err();
        assert_eq!(
            refused.code(),
            Some("ValidationException"),
            "{} bytes",
            message.len()
        );
    }
    sign(&client, &key, &[0; 4096], MessageType::Raw)
        .send()
        .await
        .unwrap();
    let request = sign(&client, &key, &[0; 32], MessageType::Digest);
    let refused = request
        .signing_algorithm(SigningAlgorithmSpec::EcdsaSha384)
        .send()
        .await
        .unwrap_err();
    assert!(refused.into_service_error().is_invalid_key_usage_exception());

    for (request, code) in [
        (client.create_key(), "UnsupportedOperationException"),
        (
            client.create_key().key_spec(KeySpec::Rsa2048),
            "UnsupportedOperationException",
        ),
        (
            client.create_key().key_spec(KeySpec::from("ECC_NIST_P257")),
            "ValidationException",
        ),
        (
            client.create_key().key_spec(KeySpec::EccNistP256),
            "ValidationException",
        ),
        (
            new_key(&client).key_usage(KeyUsageType::EncryptDecrypt),
            "ValidationException",
        ),
        (
            new_key(&client).policy("none"),
            "MalformedPolicyDocumentException",
        ),
    ] {
        let refused = request.send().await.unwrap_err();
        assert_eq!(refused.code(), Some(code), "{refused:?}");
    }
    let unknown = client.list_keys().send().await.unwrap_err();
    assert_eq!(unknown.code(), Some("UnknownOperationException"));
}

/// A key that authenticates; its id.
async fn secret(client: &Client) -> String {
    let request = client.create_key().key_spec(KeySpec::Hmac256);
    let made = request.key_usage(KeyUsageType::GenerateVerifyMac).send().await;
    let made = made.unwrap().key_metadata.unwrap();
    assert_eq!(made.mac_algorithms(), [MacAlgorithmSpec::HmacSha256]);
    assert_eq!(made.signing_algorithms(), []);
    made.key_id
}

fn authenticate(client: &Client, key: &str, message: &[u8]) -> GenerateMacFluentBuilder {
    client
        .generate_mac()
        .key_id(key)
        .message(Blob::new(message))
        .mac_algorithm(MacAlgorithmSpec::HmacSha256)
}

async fn code_of(client: &Client, key: &str, message: &[u8]) -> Vec<u8> {
    let answer = authenticate(client, key, message).send().await.unwrap();
    answer.mac.unwrap().into_inner()
}

#[tokio::test]
async fn a_secret_authenticates_and_does_nothing_else() {
    let (engines, _) = ephemeral().await;
    let client = kms(&engines);
    let (one, other) = (secret(&client).await, secret(&client).await);
    let code = code_of(&client, &one, b"x").await;
    assert_eq!(code.len(), 32);
    assert_eq!(code, code_of(&client, &one, b"x").await);
    assert_ne!(code, code_of(&client, &one, b"y").await);
    assert_ne!(code, code_of(&client, &other, b"x").await);

    let signing = sign(&client, &one, b"x", MessageType::Raw)
        .send()
        .await
        .unwrap_err();
    assert!(signing.into_service_error().is_invalid_key_usage_exception());
    let public = client.get_public_key().key_id(&one).send().await.unwrap_err();
    assert!(public.into_service_error().is_unsupported_operation_exception());
    let pair = key(&client).await;
    let by_pair = authenticate(&client, &pair, b"x").send().await.unwrap_err();
    assert!(by_pair.into_service_error().is_invalid_key_usage_exception());
    let longer = authenticate(&client, &one, b"x").mac_algorithm(MacAlgorithmSpec::HmacSha512);
    let longer = longer.send().await.unwrap_err();
    assert!(longer.into_service_error().is_invalid_key_usage_exception());
    for message in [vec![], vec![0; 4097]] {
        let refused = authenticate(&client, &one, &message).send().await.unwrap_err();
        assert_eq!(refused.code(), Some("ValidationException"));
    }
    let signs = client.create_key().key_spec(KeySpec::Hmac256);
    let refused = signs
        .key_usage(KeyUsageType::SignVerify)
        .send()
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some("ValidationException"));
}

#[tokio::test]
async fn keys_outlive_the_engines_in_a_file_of_their_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let clock = frozen();
    let engines = kept(folder.path(), &clock).await.unwrap();
    let client = kms(&engines);
    let id = key(&client).await;
    let alias = client.create_alias().alias_name("alias/kept").target_key_id(&id);
    alias.send().await.unwrap();
    let signature = sign(&client, &id, b"x", MessageType::Raw).send().await.unwrap();
    let signature = signature.signature.unwrap().into_inner();
    let secret = secret(&client).await;
    let mac = code_of(&client, &secret, b"x").await;
    engines.shutdown().await;

    let file = folder.path().join("keys.json");
    let rights = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(rights & 0o777, 0o600);

    let engines = kept(folder.path(), &clock).await.unwrap();
    let point = public_point(&kms(&engines), "alias/kept").await;
    assert!(verifies(&point, b"x", &signature));
    assert_eq!(code_of(&kms(&engines), &secret, b"x").await, mac);
    engines.shutdown().await;
    format_1_is_read(&file, &signature, &clock).await;

    std::fs::write(
        &file,
        r#"{"keys_format":1,"keys":[],"aliases":{"alias/kept":"gone"}}"#,
    )
    .unwrap();
    let damaged = kept(folder.path(), &clock).await.err().unwrap().to_string();
    assert!(damaged.ends_with("are damaged"), "{damaged}");
    std::fs::write(&file, r#"{"keys_format":3}"#).unwrap();
    let newer = kept(folder.path(), &clock).await.err().unwrap().to_string();
    assert!(newer.ends_with("have format 3, this program knows 2"), "{newer}");
}

/// A file of before there were keys that authenticate: the same, without them.
async fn format_1_is_read(file: &Path, signature: &[u8], clock: &EngineClock) {
    let mut kept: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(kept["keys_format"], 2);
    kept["keys_format"] = 1.into();
    let keys = kept["keys"].as_array_mut().unwrap();
    keys.retain(|key| key["pkcs8"].is_string());
    assert_eq!(keys.len(), 1);
    std::fs::write(file, kept.to_string()).unwrap();
    let engines = kept_in(file, clock).await;
    let point = public_point(&kms(&engines), "alias/kept").await;
    assert!(verifies(&point, b"x", signature));
    engines.shutdown().await;
}

async fn kept_in(file: &Path, clock: &EngineClock) -> Engines {
    kept(file.parent().unwrap(), clock).await.unwrap()
}

#[tokio::test]
async fn calls_are_recorded_by_key_and_never_with_what_is_signed() {
    let (engines, _) = ephemeral().await;
    let client = kms(&engines);
    let id = key(&client).await;
    engines.faults().record();
    let signing = sign(&client, &id, b"marker", MessageType::Raw);
    signing.send().await.unwrap();
    let calls = engines.faults().calls();
    assert_eq!((calls[0].operation.as_str(), &calls[0].label), ("KMS.Sign", &id));
    assert_eq!(calls.len(), 1);
}

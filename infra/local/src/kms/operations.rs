//! What each call does.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::error::ApiError;
use super::key::{Key, Pair, Power, Signed};
use super::store::Store;
use super::wire::{self, Authenticate, CreateAlias, CreateKey, OfKey, OnMessage};

/// The account that everything here belongs to.
const ACCOUNT: &str = "000000000000";
/// Keys that sign.
const SPEC: &str = "ECC_NIST_P256";
const USAGE: &str = "SIGN_VERIFY";
const ALGORITHM: &str = "ECDSA_SHA_256";
/// Keys that authenticate.
const MAC_SPEC: &str = "HMAC_256";
const MAC_USAGE: &str = "GENERATE_VERIFY_MAC";
const MAC_ALGORITHM: &str = "HMAC_SHA_256";
const ALIAS_PREFIX: &str = "alias/";
/// The longest message that is hashed by KMS; longer ones come as digests.
const LONGEST_MESSAGE_BYTES: usize = 4096;
const DIGEST_BYTES: usize = 32;

/// Kinds of keys that KMS has and this engine has not ("KeySpec", `CreateKey`).
const OTHER_SPECS: [&str; 15] = [
    "RSA_2048",
    "RSA_3072",
    "RSA_4096",
    "ECC_NIST_P384",
    "ECC_NIST_P521",
    "ECC_SECG_P256K1",
    "ECC_NIST_EDWARDS25519",
    "SYMMETRIC_DEFAULT",
    "HMAC_224",
    "HMAC_384",
    "HMAC_512",
    "SM2",
    "ML_DSA_44",
    "ML_DSA_65",
    "ML_DSA_87",
];

/// Algorithms that KMS has and a key of ours has not ("SigningAlgorithm", `Sign`).
const OTHER_ALGORITHMS: [&str; 12] = [
    "RSASSA_PSS_SHA_256",
    "RSASSA_PSS_SHA_384",
    "RSASSA_PSS_SHA_512",
    "RSASSA_PKCS1_V1_5_SHA_256",
    "RSASSA_PKCS1_V1_5_SHA_384",
    "RSASSA_PKCS1_V1_5_SHA_512",
    "ECDSA_SHA_384",
    "ECDSA_SHA_512",
    "SM2DSA",
    "ML_DSA_SHAKE_256",
    "ED25519_SHA_512",
    "ED25519_PH_SHA_512",
];

/// Algorithms that KMS has and a key of ours has not ("MacAlgorithm", `GenerateMac`).
const OTHER_MAC_ALGORITHMS: [&str; 3] = ["HMAC_SHA_224", "HMAC_SHA_384", "HMAC_SHA_512"];

/// Does one call; the answer's body.
pub(super) fn perform(
    store: &mut Store,
    operation: &str,
    body: &[u8],
    region: &str,
    now: Timestamp,
) -> Result<String, ApiError> {
    let answer = match operation {
        "CreateKey" => create_key(store, wire::read(body)?, region, now)?,
        "CreateAlias" => {
            create_alias(store, &wire::read(body)?, region)?;
            return Ok(String::new());
        }
        "DescribeKey" => {
            let request: OfKey = wire::read(body)?;
            json!({"KeyMetadata": describe(find(store, &request.key_id, region)?, region)})
        }
        "GetPublicKey" => get_public_key(store, &wire::read(body)?, region)?,
        "Sign" => sign(store, &wire::read(body)?, region)?,
        "GenerateMac" => generate_mac(store, &wire::read(body)?, region)?,
        "Verify" => verify(store, &wire::read(body)?, region)?,
        other => return Err(ApiError::unknown_operation(other)),
    };
    Ok(answer.to_string())
}

fn key_arn(region: &str, id: &str) -> String {
    format!("arn:aws:kms:{region}:{ACCOUNT}:key/{id}")
}

fn alias_arn(region: &str, alias: &str) -> String {
    format!("arn:aws:kms:{region}:{ACCOUNT}:{alias}")
}

/// A key by its id, its ARN, its alias, or its alias's ARN.
fn find<'s>(store: &'s Store, name: &str, region: &str) -> Result<&'s Key, ApiError> {
    let local = match name.strip_prefix("arn:") {
        Some(arn) => arn.splitn(5, ':').nth(4).unwrap_or_default(),
        None => name,
    };
    if local.starts_with(ALIAS_PREFIX) {
        let found = store.aliased(local);
        return found.ok_or_else(|| ApiError::no_alias(&alias_arn(region, local)));
    }
    let id = local.strip_prefix("key/").unwrap_or(local);
    store
        .key(id)
        .ok_or_else(|| ApiError::no_key(&key_arn(region, id)))
}

/// A key that signs, for an operation that needs one.
fn find_pair<'s>(
    store: &'s Store,
    name: &str,
    region: &str,
    operation: &str,
) -> Result<(&'s Key, &'s Pair), ApiError> {
    let key = find(store, name, region)?;
    match &key.power {
        Power::Sign(pair) => Ok((key, pair)),
        Power::Authenticate(_) => {
            let arn = key_arn(region, &key.stored.id);
            Err(ApiError::wrong_usage(&arn, MAC_USAGE, operation))
        }
    }
}

fn create_key(
    store: &mut Store,
    request: CreateKey,
    region: &str,
    now: Timestamp,
) -> Result<Value, ApiError> {
    let spec = request.key_spec.as_deref().unwrap_or("SYMMETRIC_DEFAULT");
    let own_usage = match spec {
        SPEC => USAGE,
        MAC_SPEC => MAC_USAGE,
        other if OTHER_SPECS.contains(&other) => {
            return Err(ApiError::unsupported(format!(
                "keys of the spec {other} are not served here"
            )));
        }
        _ => {
            return Err(ApiError::constraint(
                "keySpec",
                "Member must satisfy enum value set",
            ));
        }
    };
    match request.key_usage.as_deref() {
        Some(usage) if usage == own_usage => {}
        None => {
            return Err(ApiError::validation(
                "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
            ));
        }
        Some("KEY_AGREEMENT") if spec == SPEC => {
            return Err(ApiError::unsupported(
                "keys for key agreement are not served here",
            ));
        }
        Some(usage) => {
            return Err(ApiError::validation(format!(
                "KeyUsage {usage} is not compatible with KeySpec {spec}"
            )));
        }
    }
    if let Some(policy) = &request.policy
        && !serde_json::from_str::<Value>(policy).is_ok_and(|policy| policy.is_object())
    {
        return Err(ApiError::malformed_policy());
    }
    let key = if spec == SPEC {
        Key::signing(request.description, now)
    } else {
        Key::authenticating(request.description, now)
    };
    let key = key.map_err(|_| ApiError::internal("no key can be made"))?;
    let answer = json!({"KeyMetadata": describe(&key, region)});
    store.add(key)?;
    Ok(answer)
}

fn describe(key: &Key, region: &str) -> Value {
    let stored = &key.stored;
    let (spec, usage, algorithms, algorithm) = match &key.power {
        Power::Sign(_) => (SPEC, USAGE, "SigningAlgorithms", ALGORITHM),
        Power::Authenticate(_) => (MAC_SPEC, MAC_USAGE, "MacAlgorithms", MAC_ALGORITHM),
    };
    json!({
        "AWSAccountId": ACCOUNT,
        "KeyId": stored.id,
        "Arn": key_arn(region, &stored.id),
        "CreationDate": stored.created_at.as_second(),
        "Enabled": true,
        "Description": stored.description,
        "KeyUsage": usage,
        "KeyState": "Enabled",
        "Origin": "AWS_KMS",
        "KeyManager": "CUSTOMER",
        "CustomerMasterKeySpec": spec,
        "KeySpec": spec,
        algorithms: [algorithm],
        "MultiRegion": false,
    })
}

fn create_alias(store: &mut Store, request: &CreateAlias, region: &str) -> Result<(), ApiError> {
    let alias = request.alias_name.as_str();
    let Some(name) = alias.strip_prefix(ALIAS_PREFIX) else {
        return Err(ApiError::invalid_alias_name(
            "Alias must start with the prefix \"alias/\". Please see the API reference for details.",
        ));
    };
    if name.starts_with("aws/") {
        return Err(ApiError::invalid_alias_name(
            "Aliases that begin with alias/aws/ are reserved.",
        ));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-".contains(&byte);
    if name.is_empty() || alias.len() > 256 || !name.bytes().all(allowed) {
        return Err(ApiError::constraint(
            "aliasName",
            "Member must satisfy regular expression pattern: ^[a-zA-Z0-9/_-]+$",
        ));
    }
    if request.target_key_id.contains(ALIAS_PREFIX) {
        return Err(ApiError::validation("Aliases must refer to keys. Not aliases"));
    }
    let id = find(store, &request.target_key_id, region)?.stored.id.clone();
    if store.aliased(alias).is_some() {
        return Err(ApiError::alias_exists(&alias_arn(region, alias)));
    }
    store.name(alias, &id)
}

fn get_public_key(store: &Store, request: &OfKey, region: &str) -> Result<Value, ApiError> {
    let key = find(store, &request.key_id, region)?;
    // A secret has no public half ("UnsupportedOperationException", `GetPublicKey`).
    let Power::Sign(pair) = &key.power else {
        return Err(ApiError::unsupported(format!(
            "{} has no public key",
            key.stored.id
        )));
    };
    let der = pair
        .public_key_der()
        .map_err(|_| ApiError::internal("the public key cannot be told"))?;
    Ok(json!({
        "KeyId": key_arn(region, &key.stored.id),
        "PublicKey": STANDARD.encode(der),
        "CustomerMasterKeySpec": SPEC,
        "KeySpec": SPEC,
        "KeyUsage": USAGE,
        "SigningAlgorithms": [ALGORITHM],
    }))
}

/// A message of a length that KMS takes.
fn message(blob: &wire::Blob) -> Result<&[u8], ApiError> {
    let message = blob.0.as_slice();
    if (1..=LONGEST_MESSAGE_BYTES).contains(&message.len()) {
        return Ok(message);
    }
    Err(ApiError::constraint(
        "message",
        "Member must have length less than or equal to 4096 and greater than or equal to 1",
    ))
}

/// What a request wants signed, if the key can.
fn signed(request: &OnMessage) -> Result<Signed<'_>, ApiError> {
    let message = message(&request.message)?;
    let algorithm = request.signing_algorithm.as_str();
    if algorithm != ALGORITHM {
        return Err(if OTHER_ALGORITHMS.contains(&algorithm) {
            ApiError::wrong_algorithm(algorithm, SPEC)
        } else {
            ApiError::constraint("signingAlgorithm", "Member must satisfy enum value set")
        });
    }
    match request.message_type.as_deref().unwrap_or("RAW") {
        "RAW" => Ok(Signed::Raw(message)),
        "DIGEST" if message.len() == DIGEST_BYTES => Ok(Signed::Digest(message)),
        "DIGEST" => Err(ApiError::validation(format!(
            "Digest is invalid length for algorithm {ALGORITHM}."
        ))),
        "EXTERNAL_MU" => Err(ApiError::validation(format!(
            "MessageType EXTERNAL_MU is not valid for algorithm {ALGORITHM}."
        ))),
        _ => Err(ApiError::constraint(
            "messageType",
            "Member must satisfy enum value set: [RAW, DIGEST, EXTERNAL_MU]",
        )),
    }
}

fn sign(store: &Store, request: &OnMessage, region: &str) -> Result<Value, ApiError> {
    if request.signature.is_some() {
        return Err(ApiError::serialization("`Signature` is no parameter of Sign"));
    }
    let (key, pair) = find_pair(store, &request.key_id, region, "Sign")?;
    let signature = pair
        .sign(signed(request)?)
        .map_err(|_| ApiError::internal("the message cannot be signed"))?;
    Ok(json!({
        "KeyId": key_arn(region, &key.stored.id),
        "Signature": STANDARD.encode(signature),
        "SigningAlgorithm": ALGORITHM,
    }))
}

fn verify(store: &Store, request: &OnMessage, region: &str) -> Result<Value, ApiError> {
    let (key, pair) = find_pair(store, &request.key_id, region, "Verify")?;
    let signed = signed(request)?;
    let signature = request.signature.as_ref().map(|signature| signature.0.as_slice());
    let signature = signature.filter(|signature| !signature.is_empty());
    let signature = signature.ok_or_else(|| ApiError::constraint("signature", "Member must not be null"))?;
    if !pair.verifies(signed, signature) {
        return Err(ApiError::invalid_signature());
    }
    Ok(json!({
        "KeyId": key_arn(region, &key.stored.id),
        "SignatureValid": true,
        "SigningAlgorithm": ALGORITHM,
    }))
}

/// An authentication code: the same for the same key and message.
fn generate_mac(store: &Store, request: &Authenticate, region: &str) -> Result<Value, ApiError> {
    let message = message(&request.message)?;
    let key = find(store, &request.key_id, region)?;
    let arn = key_arn(region, &key.stored.id);
    let Power::Authenticate(secret) = &key.power else {
        return Err(ApiError::wrong_usage(&arn, USAGE, "GenerateMac"));
    };
    let algorithm = request.mac_algorithm.as_str();
    if algorithm != MAC_ALGORITHM {
        return Err(if OTHER_MAC_ALGORITHMS.contains(&algorithm) {
            ApiError::wrong_algorithm(algorithm, MAC_SPEC)
        } else {
            ApiError::constraint("macAlgorithm", "Member must satisfy enum value set")
        });
    }
    Ok(json!({
        "KeyId": arn,
        "Mac": STANDARD.encode(hmac::sign(secret, message)),
        "MacAlgorithm": MAC_ALGORITHM,
    }))
}

//! One key: a pair of the curve P-256 that signs, or a secret of 256 bits that authenticates.

use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signed<'m> {
    /// The message; the engine hashes it.
    Raw(&'m [u8]),
    /// Its SHA-256.
    Digest(&'m [u8]),
}

/// A key as it is kept.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct StoredKey {
    pub(super) id: String,
    pub(super) created_at: Timestamp,
    pub(super) description: String,
    #[serde(flatten)]
    material: Material,
}

/// What must never be shown, in Base64.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Material {
    /// The private key that signs, PKCS #8.
    Pkcs8(String),
    /// The secret that authenticates, 32 bytes.
    Hmac(String),
}

/// A key that can be used.
pub(super) struct Key {
    pub(super) stored: StoredKey,
    pub(super) power: Power,
}

/// What a key can do.
pub(super) enum Power {
    /// Sign with ECDSA (`ECC_NIST_P256`).
    Sign(Pair),
    /// Authenticate with HMAC-SHA-256 (`HMAC_256`).
    Authenticate(Box<hmac::Key>),
}

impl Key {
    /// Makes a key that signs, with an id of its own.
    pub(super) fn signing(description: String, now: Timestamp) -> Result<Self, Unspecified> {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())?;
        Self::new(description, now, Material::Pkcs8(STANDARD.encode(pkcs8.as_ref())))
    }

    /// Makes a key that authenticates, with an id of its own.
    pub(super) fn authenticating(description: String, now: Timestamp) -> Result<Self, Unspecified> {
        let mut secret = [0; 32];
        SystemRandom::new().fill(&mut secret)?;
        Self::new(description, now, Material::Hmac(STANDARD.encode(secret)))
    }

    fn new(description: String, now: Timestamp, material: Material) -> Result<Self, Unspecified> {
        let mut id = [0; 16];
        SystemRandom::new().fill(&mut id)?;
        let stored = StoredKey {
            id: uuid::Builder::from_random_bytes(id).into_uuid().to_string(),
            created_at: now,
            description,
            material,
        };
        Self::of(stored).ok_or(Unspecified)
    }

    /// Reads a key that was kept; `None` for what is none.
    pub(super) fn of(stored: StoredKey) -> Option<Self> {
        Uuid::try_parse(&stored.id).ok()?;
        let power = match &stored.material {
            Material::Pkcs8(pkcs8) => {
                let pkcs8 = STANDARD.decode(pkcs8).ok()?;
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8).ok()?;
                Power::Sign(Pair(pair))
            }
            Material::Hmac(secret) => {
                let secret: [u8; 32] = STANDARD.decode(secret).ok()?.try_into().ok()?;
                Power::Authenticate(Box::new(hmac::Key::new(hmac::HMAC_SHA256, &secret)))
            }
        };
        Some(Self { stored, power })
    }
}

/// A key pair that signs.
pub(super) struct Pair(EcdsaKeyPair);

impl Pair {
    /// The public key: `SubjectPublicKeyInfo` in DER (RFC 5280, section 4.1).
    pub(super) fn public_key_der(&self) -> Result<Vec<u8>, Unspecified> {
        self.0.public_key().as_der().map(|der| der.as_ref().to_vec())
    }

    /// An ECDSA signature in DER (RFC 3279, section 2.2.3); each has another random number in it.
    pub(super) fn sign(&self, signed: Signed<'_>) -> Result<Vec<u8>, Unspecified> {
        let signature = match signed {
            Signed::Raw(message) => self.0.sign(&SystemRandom::new(), message),
            Signed::Digest(digest) => self.0.sign_digest(&Digest::import_less_safe(digest, &SHA256)?),
        };
        signature.map(|signature| signature.as_ref().to_vec())
    }

    /// Whether this key made the signature.
    pub(super) fn verifies(&self, signed: Signed<'_>, signature: &[u8]) -> bool {
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, self.0.public_key().as_ref());
        let verified = match signed {
            Signed::Raw(message) => public.verify(message, signature),
            Signed::Digest(digest) => Digest::import_less_safe(digest, &SHA256)
                .and_then(|digest| public.verify_digest(&digest, signature)),
        };
        verified.is_ok()
    }
}

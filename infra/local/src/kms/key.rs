//! One key pair of the curve P-256.

use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
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
    /// The private key, PKCS #8 in Base64.
    pkcs8: String,
}

/// A key that can be used.
pub(super) struct SigningKey {
    pub(super) stored: StoredKey,
    pair: EcdsaKeyPair,
}

impl SigningKey {
    /// Makes a key of its own, with an id of its own.
    pub(super) fn generate(description: String, now: Timestamp) -> Result<Self, Unspecified> {
        let random = SystemRandom::new();
        let mut id = [0; 16];
        aws_lc_rs::rand::SecureRandom::fill(&random, &mut id)?;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random)?;
        let stored = StoredKey {
            id: uuid::Builder::from_random_bytes(id).into_uuid().to_string(),
            created_at: now,
            description,
            pkcs8: STANDARD.encode(pkcs8.as_ref()),
        };
        Self::of(stored).ok_or(Unspecified)
    }

    /// Reads a key that was kept; `None` for what is none.
    pub(super) fn of(stored: StoredKey) -> Option<Self> {
        Uuid::try_parse(&stored.id).ok()?;
        let pkcs8 = STANDARD.decode(&stored.pkcs8).ok()?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8).ok()?;
        Some(Self { stored, pair })
    }

    /// The public key: `SubjectPublicKeyInfo` in DER (RFC 5280, section 4.1).
    pub(super) fn public_key_der(&self) -> Result<Vec<u8>, Unspecified> {
        self.pair.public_key().as_der().map(|der| der.as_ref().to_vec())
    }

    /// An ECDSA signature in DER (RFC 3279, section 2.2.3); each has another random number in it.
    pub(super) fn sign(&self, signed: Signed<'_>) -> Result<Vec<u8>, Unspecified> {
        let signature = match signed {
            Signed::Raw(message) => self.pair.sign(&SystemRandom::new(), message),
            Signed::Digest(digest) => self.pair.sign_digest(&Digest::import_less_safe(digest, &SHA256)?),
        };
        signature.map(|signature| signature.as_ref().to_vec())
    }

    /// Whether this key made the signature.
    pub(super) fn verifies(&self, signed: Signed<'_>, signature: &[u8]) -> bool {
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, self.pair.public_key().as_ref());
        let verified = match signed {
            Signed::Raw(message) => public.verify(message, signature),
            Signed::Digest(digest) => Digest::import_less_safe(digest, &SHA256)
                .and_then(|digest| public.verify_digest(&digest, signature)),
        };
        verified.is_ok()
    }
}

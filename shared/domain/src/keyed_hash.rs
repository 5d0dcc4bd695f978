//! Hashes of what may name a person: HMAC-SHA-256 (RFC 2104) under a secret of the deployment.
//!
//! A plain hash of an e-mail address confirms the address to whoever guesses it. A keyed one tells nothing
//! without the secret, which is kept outside the tables.

use std::fmt;

use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};

use crate::hash::{HashError, Sha256};

/// What a keyed hash is for. The same text hashed for two purposes gives two hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashPurpose {
    /// The caller and the `Idempotency-Key` of a request.
    IdempotencyKey,
    /// Method, path and body of a request.
    Request,
    /// Where a page of a list of contacts ended.
    ListPosition,
    /// Kind and selection of a preview.
    Preview,
}

impl HashPurpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::IdempotencyKey => b"idempotency-key\0",
            Self::Request => b"request\0",
            Self::ListPosition => b"list-position\0",
            Self::Preview => b"preview\0",
        }
    }
}

/// The secret under which a deployment hashes what may name a person: 32 bytes.
#[derive(Clone)]
pub struct HashKey(hmac::Key);

impl HashKey {
    /// Wraps the secret.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// Hashes `text` for a purpose.
    pub fn hash(&self, purpose: HashPurpose, text: &[u8]) -> KeyedHash {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(purpose.label());
        context.update(text);
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        KeyedHash(Sha256::from_bytes(bytes))
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(…)")
    }
}

/// A hash under the deployment's secret; 64 lower-case hexadecimal digits as text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyedHash(Sha256);

impl KeyedHash {
    /// Reads 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`HashError`] when it is anything else.
    pub fn parse(text: &str) -> Result<Self, HashError> {
        Sha256::parse(text).map(Self)
    }
}

impl fmt::Display for KeyedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for KeyedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_depends_on_the_secret_and_on_its_purpose() {
        let (one, other) = (HashKey::new(&[1; 32]), HashKey::new(&[2; 32]));
        let hash = one.hash(HashPurpose::Request, b"martin@example.com");
        assert_eq!(hash, one.hash(HashPurpose::Request, b"martin@example.com"));
        assert_ne!(hash, one.hash(HashPurpose::IdempotencyKey, b"martin@example.com"));
        assert_ne!(hash, other.hash(HashPurpose::Request, b"martin@example.com"));
        assert_ne!(hash.to_string(), Sha256::of(b"martin@example.com").to_string());
        assert_eq!(KeyedHash::parse(&hash.to_string()), Ok(hash));
    }

    /// RFC 4231 has no key of 32 bytes; this value is of Python's `hmac`.
    #[test]
    fn it_is_hmac_sha_256() {
        let hash = HashKey::new(&[7; 32]).hash(HashPurpose::ListPosition, b"x");
        assert_eq!(
            hash.to_string(),
            "ac526858dd09edaaeb5f1ad7ad2bc6012ad87334f904775de75da3d4ef81aed9"
        );
    }

    #[test]
    fn the_secret_is_not_shown() {
        assert_eq!(format!("{:?}", HashKey::new(&[65; 32])), "HashKey(…)");
    }
}

//! The signature over `manifest.json`: ECDSA over P-256 with SHA-256, as DER.
//!
//! The private key never leaves KMS. Here is only what anybody may do: read a public key, and judge.

use std::fmt::Write as _;

use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oubli_domain::Sha256;

/// Name of the signature in the archive; it is the last entry, and no manifest lists it.
pub const SIGNATURE_NAME: &str = "manifest.sig";
/// The longest signature: a sequence of two integers of 33 bytes (RFC 3279, section 2.2.3).
pub const MAX_SIGNATURE_BYTES: usize = 72;

/// What stands before the point in the `SubjectPublicKeyInfo` of every P-256 key: `id-ecPublicKey`,
/// `secp256r1`, and that the point is not compressed (RFC 5480, section 2).
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86,
    0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const PEM_BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const PEM_END: &str = "-----END PUBLIC KEY-----";
/// RFC 7468, section 2.
const PEM_LINE: usize = 64;

/// Why something is not a public key that verifies archives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// Another kind of key, or no key.
    #[error("it is not a public key over P-256 in the form of RFC 5480")]
    WrongKey,
    /// No block of PEM, or one that is not whole.
    #[error("it is not a public key in PEM: a block `{PEM_BEGIN}` is missing or damaged")]
    WrongPem,
}

/// A public key that verifies archives.
#[derive(Clone, Debug)]
pub struct PublicKey {
    der: Vec<u8>,
    parsed: ParsedPublicKey,
}

impl PublicKey {
    /// Reads a DER `SubjectPublicKeyInfo`: what KMS answers to `GetPublicKey`.
    ///
    /// # Errors
    /// [`PublicKeyError::WrongKey`] for what is no point of P-256.
    pub fn from_der(der: &[u8]) -> Result<Self, PublicKeyError> {
        let point = der.strip_prefix(&SPKI_PREFIX).ok_or(PublicKeyError::WrongKey)?;
        let parsed = ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point);
        Ok(Self {
            der: der.to_vec(),
            parsed: parsed.map_err(|_| PublicKeyError::WrongKey)?,
        })
    }

    /// Reads every public key of a PEM text (RFC 7468, section 13); what stands between the blocks is not
    /// looked at.
    ///
    /// # Errors
    /// [`PublicKeyError`] when there is no block, or one that holds no such key.
    pub fn all_from_pem(text: &str) -> Result<Vec<Self>, PublicKeyError> {
        let mut keys = Vec::new();
        let mut rest = text;
        while let Some((_, block)) = rest.split_once(PEM_BEGIN) {
            let (body, after) = block.split_once(PEM_END).ok_or(PublicKeyError::WrongPem)?;
            let body: String = body.split_ascii_whitespace().collect();
            let der = STANDARD.decode(body).map_err(|_| PublicKeyError::WrongPem)?;
            keys.push(Self::from_der(&der)?);
            rest = after;
        }
        if keys.is_empty() {
            return Err(PublicKeyError::WrongPem);
        }
        Ok(keys)
    }

    /// Reads the base64 of a DER `SubjectPublicKeyInfo`: PEM without its frame and line breaks.
    ///
    /// # Errors
    /// [`PublicKeyError::WrongKey`].
    pub fn from_base64(text: &str) -> Result<Self, PublicKeyError> {
        let der = STANDARD.decode(text).map_err(|_| PublicKeyError::WrongKey)?;
        Self::from_der(&der)
    }

    /// The key as base64 of its DER.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(&self.der)
    }

    /// What tells it from others: the SHA-256 of its DER.
    pub fn fingerprint(&self) -> Sha256 {
        Sha256::of(&self.der)
    }

    /// The key as PEM, with a line break at its end.
    pub fn to_pem(&self) -> String {
        let mut pem = format!("{PEM_BEGIN}\n");
        for (index, c) in STANDARD.encode(&self.der).chars().enumerate() {
            if index > 0 && index % PEM_LINE == 0 {
                pem.push('\n');
            }
            pem.push(c);
        }
        // Writing to a text does not fail.
        let _ = writeln!(pem, "\n{PEM_END}");
        pem
    }

    /// Whether `signature` (DER) was made over a content with this SHA-256 by the private half of this key.
    #[must_use]
    pub fn verify_digest(&self, digest: &Sha256, signature: &[u8]) -> bool {
        Digest::import_less_safe(digest.as_bytes(), &SHA256)
            .and_then(|digest| self.parsed.verify_digest_sig(&digest, signature))
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

    use super::*;

    /// Made with `openssl ecparam -genkey -name prime256v1`, and the signature over `oubli\n` with
    /// `openssl dgst -sha256 -sign`: another implementation than the one that reads them here.
    const PEM: &str = include_str!("signature/openssl.pem");
    const SIGNATURE: &[u8] = include_bytes!("signature/openssl.sig");

    fn spki(pair: &EcdsaKeyPair) -> Vec<u8> {
        [&SPKI_PREFIX[..], pair.public_key().as_ref()].concat()
    }

    #[test]
    fn what_openssl_signed_is_authentic_and_nothing_else_is() {
        let [key] = &PublicKey::all_from_pem(PEM).unwrap()[..] else {
            panic!("one key")
        };
        assert_eq!(key.to_pem(), PEM);
        let again = PublicKey::from_base64(&key.to_base64()).unwrap();
        assert_eq!(again.fingerprint(), key.fingerprint());
        let digest = Sha256::of(b"oubli\n");
        assert!(key.verify_digest(&digest, SIGNATURE));
        assert!(!key.verify_digest(&Sha256::of(b"oubli"), SIGNATURE));
        assert!(!key.verify_digest(&digest, b""));
        for at in 0..SIGNATURE.len() {
            let mut altered = SIGNATURE.to_vec();
            altered[at] ^= 1;
            assert!(!key.verify_digest(&digest, &altered), "byte {at}");
        }
        assert!(!key.verify_digest(&digest, &[SIGNATURE, b"\0"].concat()));
    }

    #[test]
    fn another_key_did_not_sign_it() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let key = PublicKey::from_der(&spki(&pair)).unwrap();
        let signature = pair.sign(&SystemRandom::new(), b"oubli\n").unwrap();
        assert!(signature.as_ref().len() <= MAX_SIGNATURE_BYTES);
        let digest = Sha256::of(b"oubli\n");
        assert!(key.verify_digest(&digest, signature.as_ref()));
        assert!(!key.verify_digest(&digest, SIGNATURE));
        let several = format!("first\n{PEM}\nsecond\r\n{}", key.to_pem());
        let keys = PublicKey::all_from_pem(&several).unwrap();
        let fit: Vec<bool> = keys
            .iter()
            .map(|key| key.verify_digest(&digest, signature.as_ref()))
            .collect();
        assert_eq!(fit, [false, true]);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let der = spki(&pair);
        let mut off_the_curve = der.clone();
        off_the_curve[40] ^= 1;
        for wrong in [
            &der[..90],
            &der[26..],
            &off_the_curve,
            b"",
            &[&der[..], b"\0"].concat(),
        ] {
            assert_eq!(PublicKey::from_der(wrong).unwrap_err(), PublicKeyError::WrongKey);
        }
        let pem_errors = [
            "",
            "no key",
            "-----BEGIN PUBLIC KEY-----\nAAAA\n",
            "-----BEGIN PUBLIC KEY-----\n*\n-----END PUBLIC KEY-----\n",
        ];
        for wrong in pem_errors {
            assert_eq!(
                PublicKey::all_from_pem(wrong).unwrap_err(),
                PublicKeyError::WrongPem,
                "{wrong}"
            );
        }
        let short = PEM.replacen("MFkw", "", 1);
        assert_eq!(
            PublicKey::all_from_pem(&short).unwrap_err(),
            PublicKeyError::WrongKey
        );
    }
}

//! The public keys that verify archives.

use std::str::FromStr;

use oubli_archive::signature::{PublicKey, PublicKeyError};

use crate::Oubli;
use crate::error::WorkflowError;

/// What a key is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveKeyState {
    /// It signs.
    Active,
    /// It is this deployment's, and signed before another did.
    Retired,
    /// Another deployment's, or an earlier one of this: what it signed may be restored here.
    Trusted,
}

impl ArchiveKeyState {
    /// The code, as the API writes it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Trusted => "trusted",
        }
    }
}

/// A key by which archives are verified.
#[derive(Clone, Debug)]
pub struct ArchiveKey {
    /// KMS's id of the deployment's own keys; the SHA-256 of the key, hexadecimal, of others.
    pub id: String,
    /// What it is good for.
    pub state: ArchiveKeyState,
    /// Its public half.
    pub public_key: PublicKey,
}

/// Public keys of archives that are restored although another key signed them than the deployment's: each as
/// base64 of its DER, separated by commas.
#[derive(Clone, Debug, Default)]
pub struct TrustedArchiveKeys(Vec<PublicKey>);

impl FromStr for TrustedArchiveKeys {
    type Err = PublicKeyError;

    fn from_str(text: &str) -> Result<Self, PublicKeyError> {
        let keys = text.split(',').map(str::trim).filter(|key| !key.is_empty());
        keys.map(PublicKey::from_base64)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl Oubli {
    /// With keys of archives that others have signed.
    #[must_use]
    pub fn with_trusted_archive_keys(self, keys: TrustedArchiveKeys) -> Self {
        Self {
            trusted_archive_keys: keys.0.into(),
            ..self
        }
    }

    /// The keys by which archives are verified, each once: the one that signs first.
    ///
    /// # Errors
    /// [`WorkflowError::Busy`], [`WorkflowError::Internal`].
    pub async fn archive_keys(&self) -> Result<Vec<ArchiveKey>, WorkflowError> {
        let mut keys: Vec<ArchiveKey> = Vec::new();
        let active = (self.cloud.signing_key().await?, ArchiveKeyState::Active);
        let retired = self.cloud.retired_signing_key().await?;
        let retired = retired.map(|key| (key, ArchiveKeyState::Retired));
        for (own, state) in [active].into_iter().chain(retired) {
            keys.push(ArchiveKey {
                id: own.id.clone(),
                state,
                public_key: PublicKey::from_der(&own.public_key_der).map_err(WorkflowError::internal)?,
            });
        }
        for trusted in self.trusted_archive_keys.iter() {
            let fingerprint = trusted.fingerprint();
            if keys.iter().all(|key| key.public_key.fingerprint() != fingerprint) {
                keys.push(ArchiveKey {
                    id: fingerprint.to_string(),
                    state: ArchiveKeyState::Trusted,
                    public_key: trusted.clone(),
                });
            }
        }
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key that a test of `oubli-archive` has from OpenSSL.
    const PEM: &str = include_str!("../../archive/src/signature/openssl.pem");

    #[test]
    fn keys_are_separated_by_commas() {
        let key = PublicKey::all_from_pem(PEM).unwrap().remove(0).to_base64();
        let keys: TrustedArchiveKeys = format!("{key}, {key},").parse().unwrap();
        assert_eq!(keys.0.len(), 2);
        assert_eq!(keys.0[0].to_base64(), key);
        assert!("".parse::<TrustedArchiveKeys>().unwrap().0.is_empty());
        for wrong in ["x", "MFkw", key.trim_start_matches("MFkw")] {
            assert!(wrong.parse::<TrustedArchiveKeys>().is_err(), "{wrong}");
        }
    }
}

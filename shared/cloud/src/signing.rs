//! The key that signs archives: its private half never leaves KMS.

use std::sync::Arc;

use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{MessageType, SigningAlgorithmSpec};
use oubli_domain::Sha256;
use tokio::sync::OnceCell;

use crate::connect::Cloud;
use crate::error::{CloudError, failed};

/// The key, and the public halves of those that sign, or signed, once they were read.
#[derive(Clone, Debug)]
pub(crate) struct Signer {
    client: Client,
    key_id: String,
    own_key_id: String,
    active: Arc<OnceCell<SigningKey>>,
    retired: Arc<OnceCell<SigningKey>>,
}

/// The public half of the key that signs archives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    /// KMS's id of the key.
    pub id: String,
    /// The key as DER `SubjectPublicKeyInfo` (RFC 5280, section 4.1).
    pub public_key_der: Vec<u8>,
}

impl Signer {
    pub(crate) fn new(client: Client, key_id: String, own_key_id: String) -> Self {
        Self {
            client,
            key_id,
            own_key_id,
            active: Arc::new(OnceCell::new()),
            retired: Arc::new(OnceCell::new()),
        }
    }

    async fn read_public_key(&self, key_id: &str) -> Result<SigningKey, CloudError> {
        let operation = "GetPublicKey";
        let request = self.client.get_public_key().key_id(key_id);
        let answer = request.send().await.map_err(failed(operation))?;
        let corrupt = || CloudError::Corrupt { what: "public key" };
        // An ARN, which would tell the account: its end is the key's id.
        let id = answer.key_id().and_then(|arn| arn.rsplit('/').next());
        Ok(SigningKey {
            id: id.ok_or_else(corrupt)?.to_owned(),
            public_key_der: answer.public_key.ok_or_else(corrupt)?.into_inner(),
        })
    }
}

impl Cloud {
    /// Signs the SHA-256 of an archive's manifest: ECDSA over P-256, as DER (RFC 3279, section 2.2.3).
    ///
    /// # Errors
    /// [`CloudError`] when KMS fails.
    pub async fn sign_manifest(&self, manifest: &Sha256) -> Result<Vec<u8>, CloudError> {
        let operation = "Sign";
        let request = self
            .signer
            .client
            .sign()
            .key_id(&self.signer.key_id)
            .message(Blob::new(manifest.as_bytes().as_slice()))
            .message_type(MessageType::Digest)
            .signing_algorithm(SigningAlgorithmSpec::EcdsaSha256);
        let answer = request.send().await.map_err(failed(operation))?;
        let signature = answer
            .signature
            .ok_or(CloudError::Corrupt { what: "signature" })?;
        Ok(signature.into_inner())
    }

    /// The public half of the key that signs archives. It is read once in a process's life: KMS never changes it.
    ///
    /// # Errors
    /// [`CloudError`] when KMS fails.
    pub async fn signing_key(&self) -> Result<&SigningKey, CloudError> {
        let signer = &self.signer;
        let read = || signer.read_public_key(&signer.key_id);
        signer.active.get_or_try_init(read).await
    }

    /// The public half of the stack's own key, if another one signs: what it signed can still be restored.
    ///
    /// # Errors
    /// [`CloudError`] when KMS fails.
    pub async fn retired_signing_key(&self) -> Result<Option<&SigningKey>, CloudError> {
        let signer = &self.signer;
        if signer.own_key_id.is_empty() || signer.own_key_id == signer.key_id {
            return Ok(None);
        }
        let read = || signer.read_public_key(&signer.own_key_id);
        signer.retired.get_or_try_init(read).await.map(Some)
    }
}

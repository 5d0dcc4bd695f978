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
    public_keys: Arc<OnceCell<Vec<SigningKey>>>,
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
            public_keys: Arc::new(OnceCell::new()),
        }
    }

    async fn read_public_keys(&self) -> Result<Vec<SigningKey>, CloudError> {
        let mut keys = vec![self.read_public_key(&self.key_id).await?];
        // After a rotation the stack's own key signs no more, and what it signed can still be restored.
        if !self.own_key_id.is_empty() && self.own_key_id != self.key_id {
            keys.push(self.read_public_key(&self.own_key_id).await?);
        }
        Ok(keys)
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

    /// The public halves of the key that signs archives, first, and of the stack's own if that is another. They
    /// are read once in a process's life: KMS never changes them.
    ///
    /// # Errors
    /// [`CloudError`] when KMS fails.
    pub async fn archive_public_keys(&self) -> Result<&[SigningKey], CloudError> {
        let read = || self.signer.read_public_keys();
        Ok(self.signer.public_keys.get_or_try_init(read).await?)
    }
}

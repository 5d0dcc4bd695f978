//! The secret under which this deployment hashes what may name a person.
//!
//! It is derived once in a process's life from a key that never leaves KMS, and is held in memory alone: not
//! in a table, not in the environment, which everybody may read who may describe the function.

use std::sync::Arc;

use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::MacAlgorithmSpec;
use oubli_domain::HashKey;
use tokio::sync::OnceCell;

use crate::connect::Cloud;
use crate::error::{CloudError, failed};

/// What the key of KMS authenticates; the code that it gives is the secret. Another text, another secret:
/// everything that was hashed before is not recognised any more.
const DERIVED_FROM: &[u8] = b"oubli hash key 1";

/// The key of KMS, and the secret once it was derived.
#[derive(Clone, Debug)]
pub(crate) struct HashKeySource {
    client: Client,
    key_id: String,
    derived: Arc<OnceCell<HashKey>>,
}

impl HashKeySource {
    pub(crate) fn new(client: Client, key_id: String) -> Self {
        Self {
            client,
            key_id,
            derived: Arc::new(OnceCell::new()),
        }
    }

    async fn derive(&self) -> Result<HashKey, CloudError> {
        let operation = "GenerateMac";
        let request = self.client.generate_mac().key_id(&self.key_id);
        let request = request
            .mac_algorithm(MacAlgorithmSpec::HmacSha256)
            .message(Blob::new(DERIVED_FROM));
        let answer = request.send().await.map_err(failed(operation))?;
        let secret = answer.mac.map(Blob::into_inner);
        let secret: Option<[u8; 32]> = secret.and_then(|secret| secret.try_into().ok());
        let secret = secret.ok_or(CloudError::Corrupt { what: "hash key" })?;
        Ok(HashKey::new(&secret))
    }
}

impl Cloud {
    /// The secret under which this deployment hashes what may name a person. KMS is asked once in a
    /// process's life.
    ///
    /// # Errors
    /// [`CloudError`] when KMS fails.
    pub async fn hash_key(&self) -> Result<&HashKey, CloudError> {
        let derive = || self.hash_key.derive();
        self.hash_key.derived.get_or_try_init(derive).await
    }
}

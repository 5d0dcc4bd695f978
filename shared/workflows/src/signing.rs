//! The public keys that verify archives.

use oubli_archive::signature::PublicKey;

use crate::Oubli;
use crate::error::WorkflowError;

/// A key that signs archives.
#[derive(Clone, Debug)]
pub struct ArchiveKey {
    /// Its id.
    pub id: String,
    /// Its public half.
    pub public_key: PublicKey,
}

impl Oubli {
    /// The keys that archives of this deployment are signed with.
    ///
    /// # Errors
    /// [`WorkflowError::Busy`], [`WorkflowError::Internal`].
    pub async fn archive_keys(&self) -> Result<Vec<ArchiveKey>, WorkflowError> {
        let key = self.cloud.archive_public_key().await?;
        let public_key = PublicKey::from_der(&key.public_key_der).map_err(WorkflowError::internal)?;
        Ok(vec![ArchiveKey {
            id: key.id.clone(),
            public_key,
        }])
    }
}

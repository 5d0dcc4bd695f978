//! Idempotency keys of requests that create or start something.

use oubli_cloud::{IdempotencyClaim, Replay};
use oubli_domain::{HashPurpose, MemberId, Sha256, TenantId};

use crate::Oubli;
use crate::error::WorkflowError;

/// What a request says about repeating it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The caller and the key; `None`: the request is not protected.
    pub key: Option<String>,
    /// SHA-256 of method, path and body: what the key stands for. It is never stored or logged as it is.
    pub fingerprint: Sha256,
}

impl Idempotency {
    /// The same, for a caller: two members who happen to choose one key do not meet.
    #[must_use]
    pub fn of(self, member: &MemberId) -> Self {
        Self {
            key: self.key.map(|key| format!("{member}\n{key}")),
            ..self
        }
    }

    /// A request without a key.
    pub fn none() -> Self {
        Self {
            key: None,
            fingerprint: Sha256::of(b""),
        }
    }
}

impl Oubli {
    /// The claim of a request on its key, if it has one.
    pub(crate) async fn claim(
        &self,
        idempotency: &Idempotency,
        resource_id: impl Into<String>,
    ) -> Result<Option<IdempotencyClaim>, WorkflowError> {
        let Some(key) = &idempotency.key else {
            return Ok(None);
        };
        let secret = self.cloud.hash_key().await?;
        Ok(Some(IdempotencyClaim {
            key: secret.hash(HashPurpose::IdempotencyKey, key.as_bytes()),
            fingerprint: secret.hash(HashPurpose::Request, idempotency.fingerprint.as_bytes()),
            resource_id: resource_id.into(),
            now: self.now(),
        }))
    }

    /// What an earlier request with the same key created, before anything is judged anew: since
    /// then the state of things may have changed.
    pub(crate) async fn earlier(
        &self,
        tenant: &TenantId,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<Option<String>, WorkflowError> {
        let Some(claim) = claim else { return Ok(None) };
        let replay = self.cloud.find_replay(tenant, claim).await?;
        replay.map(|replay| replayed(claim, replay)).transpose()
    }
}

/// What an earlier request created, if it was the same request.
pub(crate) fn replayed(claim: &IdempotencyClaim, replay: Replay) -> Result<String, WorkflowError> {
    if replay.fingerprint == claim.fingerprint {
        Ok(replay.resource_id)
    } else {
        Err(WorkflowError::IdempotencyMismatch)
    }
}

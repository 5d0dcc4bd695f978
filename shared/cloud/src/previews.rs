//! Previews that members were shown, kept for a while so that one can be accepted without another reading.

use jiff::Timestamp;
use oubli_domain::{KeyedHash, Sha256, TenantId};

use crate::connect::Cloud;
use crate::error::CloudError;
use crate::expression::{Update, number};
use crate::keys;

impl Cloud {
    /// Keeps that a preview of `request` (keyed hash of kind and selection) had this plan hash, until
    /// `expires_at`. Nothing of what was selected is kept.
    ///
    /// # Errors
    /// [`CloudError`] when DynamoDB fails.
    pub async fn keep_preview(
        &self,
        tenant: &TenantId,
        plan: &Sha256,
        request: &KeyedHash,
        expires_at: Timestamp,
    ) -> Result<(), CloudError> {
        let update = Update::of(keys::preview(tenant, plan, request))
            .set("expires_at_ms", number(expires_at.as_millisecond()))
            .set("ttl", number(expires_at.as_second()));
        self.requests.update(update).await.map(|_| ())
    }

    /// Whether a preview of `request` with this plan hash is kept at `now`, strongly consistent.
    ///
    /// # Errors
    /// [`CloudError`] when DynamoDB fails.
    pub async fn is_preview_kept(
        &self,
        tenant: &TenantId,
        plan: &Sha256,
        request: &KeyedHash,
        now: Timestamp,
    ) -> Result<bool, CloudError> {
        let found = self.requests.get(&keys::preview(tenant, plan, request)).await?;
        // DynamoDB deletes expired items late: the clock decides.
        let expires_at = found
            .as_ref()
            .and_then(|found| found.get("expires_at_ms")?.as_n().ok());
        let expires_at: Option<i64> = expires_at.and_then(|number| number.parse().ok());
        Ok(expires_at.is_some_and(|expires_at| now.as_millisecond() < expires_at))
    }
}

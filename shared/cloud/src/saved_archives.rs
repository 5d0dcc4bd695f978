//! Saved archives that members upload: announced, whole, used.

use jiff::{SignedDuration, Timestamp};
use oubli_domain::{ContactId, Sha256, TenantId, UploadId};
use serde::{Deserialize, Serialize};

use crate::connect::Cloud;
use crate::contacts::CreateOutcome;
use crate::error::CloudError;
use crate::expression::{Condition, Update, number};
use crate::idempotency::IdempotencyClaim;
use crate::items;
use crate::keys;

/// How long an announced upload may be used.
pub const UPLOAD_RECORD_LIFE: SignedDuration = SignedDuration::from_hours(72);

/// A saved archive that a member announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedUpload {
    /// Whose.
    pub tenant_id: TenantId,
    /// Which.
    #[serde(rename = "upload_id")]
    pub id: UploadId,
    /// How many bytes were announced.
    pub size_bytes: u64,
    /// SHA-256 that was announced; S3 verifies it where the bytes are sent in one request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256>,
    /// When it was announced.
    pub created_at: Timestamp,
    /// Until when it may be used.
    pub expires_at: Timestamp,
    /// Where its parts are gathered, if it is sent in parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts_id: Option<String>,
    /// What was restored from it; its bytes are gone then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<RestoredFrom>,
}

/// What was restored from an uploaded archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoredFrom {
    /// Which contact.
    pub contact_id: ContactId,
    /// SHA-256 of the archive's manifest.
    pub manifest_sha256: Sha256,
}

impl Cloud {
    /// Records an announced upload.
    ///
    /// # Errors
    /// [`CloudError`] when DynamoDB fails; as all methods here.
    pub async fn create_saved_upload(
        &self,
        saved: &SavedUpload,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<CreateOutcome, CloudError> {
        let key = keys::upload(&saved.tenant_id, &saved.id);
        let mut attributes = items::with_key(items::write("upload", saved)?, &key);
        attributes.insert("ttl".into(), number(saved.expires_at.as_second()));
        let absent = Some(Condition::Absent("pk"));
        let mut writes = vec![self.requests.put_write(attributes, absent)?];
        if let Some(claim) = claim {
            writes.push(self.claim_write(&saved.tenant_id, claim)?);
        }
        let outcome = self.requests.transact(writes).await?;
        CreateOutcome::of(&outcome, 0, None, 1)
    }

    /// Reads an announced upload, strongly consistent. DynamoDB deletes what has expired late, so the
    /// clock decides whether it is there.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn saved_upload(
        &self,
        tenant: &TenantId,
        upload: &UploadId,
        now: Timestamp,
    ) -> Result<Option<SavedUpload>, CloudError> {
        let found = self.requests.get(&keys::upload(tenant, upload)).await?;
        let saved: Option<SavedUpload> = found.map(|found| items::read("upload", found)).transpose()?;
        Ok(saved.filter(|saved| now < saved.expires_at))
    }

    /// The write that records what was restored from an upload, for a transaction.
    pub(crate) fn used_write(
        &self,
        tenant: &TenantId,
        upload: &UploadId,
        restored: &RestoredFrom,
    ) -> Result<aws_sdk_dynamodb::types::TransactWriteItem, CloudError> {
        let used = Update::of(keys::upload(tenant, upload))
            .set("restored", items::write_value("upload", restored)?)
            .remove("parts_id")
            .when(Condition::Present("pk"));
        self.requests.update_write(used)
    }
}

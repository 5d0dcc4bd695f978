//! The approval of a preview: what a member saw is what runs, or it does not run.

use jiff::SignedDuration;
use oubli_domain::action::{ActionKind, Selection};
use oubli_domain::{HashPurpose, KeyedHash, Sha256, TenantId};

use crate::Oubli;
use crate::error::WorkflowError;
use crate::preview::Preview;

/// How long a preview can be accepted.
const PREVIEW_LIFE: SignedDuration = SignedDuration::from_mins(15);

impl Oubli {
    /// Says what an action would do: how many persons, documents and bytes, and who is left out. It can be
    /// accepted, by its plan hash, for 15 minutes.
    ///
    /// # Errors
    /// [`WorkflowError::Busy`], [`WorkflowError::Internal`].
    pub async fn preview(
        &self,
        tenant: &TenantId,
        kind: ActionKind,
        selection: &Selection,
        overwrite: bool,
    ) -> Result<Preview, WorkflowError> {
        let request = self.request_hash(kind, selection, overwrite).await?;
        let preview = self.compute_preview(tenant, kind, selection, overwrite).await?;
        self.keep(tenant, &preview, &request).await?;
        Ok(preview)
    }

    /// Checks that a member was shown a preview with this plan hash for this selection. What changed since is
    /// caught by each item's own rules; but an anonymisation destroys, so that its selection is compared with
    /// what it is now, and a contact that came into a filter since is seen.
    ///
    /// # Errors
    /// [`WorkflowError::PlanChanged`] with the present preview, which can be accepted in its turn.
    pub(crate) async fn check_approval(
        &self,
        tenant: &TenantId,
        kind: ActionKind,
        selection: &Selection,
        overwrite: bool,
        plan_hash: &Sha256,
    ) -> Result<(), WorkflowError> {
        let request = self.request_hash(kind, selection, overwrite).await?;
        let is_kept = self
            .cloud
            .is_preview_kept(tenant, plan_hash, &request, self.now())
            .await?;
        if is_kept && kind != ActionKind::Anonymise {
            return Ok(());
        }
        let present = self.compute_preview(tenant, kind, selection, overwrite).await?;
        if is_kept && present.plan_hash == *plan_hash {
            return Ok(());
        }
        self.keep(tenant, &present, &request).await?;
        Err(WorkflowError::PlanChanged(Box::new(present)))
    }

    async fn keep(
        &self,
        tenant: &TenantId,
        preview: &Preview,
        request: &KeyedHash,
    ) -> Result<(), WorkflowError> {
        let now = self.now();
        let expires_at = now.saturating_add(PREVIEW_LIFE).unwrap_or(now);
        self.cloud
            .keep_preview(tenant, &preview.plan_hash, request, expires_at)
            .await?;
        Ok(())
    }

    /// What is asked, hashed under this deployment's secret: a filter may name a person.
    async fn request_hash(
        &self,
        kind: ActionKind,
        selection: &Selection,
        overwrite: bool,
    ) -> Result<KeyedHash, WorkflowError> {
        let mut selection = selection.clone();
        // The order in which ids were named is no part of the plan.
        match &mut selection {
            Selection::ContactIds(ids) => ids.sort(),
            Selection::ArchiveIds(ids) => ids.sort(),
            Selection::UploadIds(ids) => ids.sort(),
            Selection::Filter(_) => {}
        }
        let asked = serde_json::to_vec(&(kind, overwrite, &selection)).map_err(WorkflowError::internal)?;
        let secret = self.cloud.hash_key().await?;
        Ok(secret.hash(HashPurpose::Preview, &asked))
    }
}

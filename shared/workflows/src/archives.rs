//! Archives: links to them, and what their readers say of what they got.

use oubli_domain::archive::Archive;
use oubli_domain::audit::AuditEvent;
use oubli_domain::{ArchiveId, Sha256, TenantId};

use crate::error::{Conflict, WorkflowError};
use crate::{Caller, Oubli};

impl Oubli {
    /// A link to an archive: of 5 minutes, and never beyond the archive's life. It is audited before it is
    /// given. That it was given says nothing of whether anybody used it: see [`Oubli::note_downloaded`].
    ///
    /// # Errors
    /// [`WorkflowError::NotFound`], [`WorkflowError::ArchiveExpired`].
    pub async fn archive_link(&self, caller: &Caller, archive: &ArchiveId) -> Result<String, WorkflowError> {
        let tenant = &caller.tenant_id;
        let found = self.archive(tenant, archive).await?;
        let now = self.now();
        let life = found.link_life_at(now).ok_or(WorkflowError::ArchiveExpired)?;
        let links = self.cloud.links(now, life).await?;
        let link = self.cloud.archive_link(&found, &links).await?;
        let event = AuditEvent::ArchiveLinkMinted {
            member_id: caller.member_id.clone(),
            archive_id: found.id,
            contact_id: found.contact_id,
            link_expires_at: links.expires_at(),
        };
        let entry = self.audit_entry(tenant, event);
        self.cloud.add_audit_entry(&entry).await?;
        Ok(link)
    }

    /// Records that an archive was downloaded whole, as its reader proves by the SHA-256 of what arrived. The
    /// first time is kept. It holds after the ten days too: a download may end later than they do.
    ///
    /// # Errors
    /// [`WorkflowError::NotFound`], [`Conflict::ArchiveHashMismatch`].
    pub async fn note_downloaded(
        &self,
        tenant: &TenantId,
        archive: &ArchiveId,
        sha256: Sha256,
    ) -> Result<(), WorkflowError> {
        let found = self.archive(tenant, archive).await?;
        if found.sha256 != sha256 {
            return Err(Conflict::ArchiveHashMismatch.into());
        }
        Ok(self.cloud.note_downloaded(&found, self.now()).await?)
    }

    async fn archive(&self, tenant: &TenantId, archive: &ArchiveId) -> Result<Archive, WorkflowError> {
        let found = self.cloud.archive(tenant, archive).await?;
        found.ok_or(WorkflowError::NotFound)
    }
}

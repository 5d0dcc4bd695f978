//! Whence a contact comes back: its own archive, a chosen one, or one that was sent.

use oubli_archive::zip64::MAX_ARCHIVE_BYTES;
use oubli_cloud::{SavedSource, SavedUpload};
use oubli_domain::action::Subject;
use oubli_domain::archive::{Archive, ArchiveState};
use oubli_domain::contact::ContactState;
use oubli_domain::{ArchiveId, ContactId, Reason, TenantId, UploadId};

use super::{RestoreError, Work, failed, skipped};
use crate::Oubli;

/// Whence a contact comes back.
#[derive(Debug)]
pub(super) enum Origin {
    Archive(Archive),
    Upload(SavedUpload),
}

impl Oubli {
    /// Where the item's archive is; for what is known of its contact before it is read, see `contact`.
    pub(super) async fn origin(
        &self,
        work: Work<'_>,
        contact: &mut Option<ContactId>,
    ) -> Result<(Origin, SavedSource), RestoreError> {
        let tenant = &work.action.tenant_id;
        let item = &work.taken.item.id;
        match work.action.subject {
            Subject::Contact => {
                let id = ContactId::from(item.clone());
                *contact = Some(id.clone());
                if self.cloud.is_erased(tenant, &id).await? {
                    return Err(failed(Reason::ErasedByRequest));
                }
                let found = self.cloud.contact(tenant, &id).await?;
                let found = found.ok_or_else(|| failed(Reason::ContactAbsent))?;
                match found.may_restore(self.now()) {
                    Ok(archive) => self.stored_origin(tenant, archive, contact).await,
                    Err(reason @ Reason::NotAnonymised) => Err(skipped(reason)),
                    Err(reason) => Err(failed(reason)),
                }
            }
            Subject::Archive => {
                let archive = ArchiveId::from(item.clone());
                self.stored_origin(tenant, &archive, contact).await
            }
            Subject::Upload => {
                let upload = UploadId::from(item.clone());
                self.uploaded_origin(tenant, &upload, contact).await
            }
        }
    }

    async fn stored_origin(
        &self,
        tenant: &TenantId,
        archive: &ArchiveId,
        contact: &mut Option<ContactId>,
    ) -> Result<(Origin, SavedSource), RestoreError> {
        let archive = self.cloud.archive(tenant, archive).await?;
        let archive = archive.ok_or_else(|| failed(Reason::ArchiveAbsent))?;
        *contact = Some(archive.contact_id.clone());
        if archive.state_at(self.now()) != ArchiveState::Ready {
            return Err(failed(Reason::ArchiveExpired));
        }
        let source = self.cloud.stored_source(&archive).await?;
        let source = source.ok_or_else(|| failed(Reason::ArchiveExpired))?;
        Ok((Origin::Archive(archive), source))
    }

    async fn uploaded_origin(
        &self,
        tenant: &TenantId,
        upload: &UploadId,
        contact: &mut Option<ContactId>,
    ) -> Result<(Origin, SavedSource), RestoreError> {
        let missing = || failed(Reason::UploadMissing);
        let saved = self.cloud.saved_upload(tenant, upload, self.now()).await?;
        let saved = saved.ok_or_else(missing)?;
        if let Some(used) = &saved.restored {
            *contact = Some(used.contact_id.clone());
            // Its bytes are gone; but what they held may be there, just as it was.
            let present = self.cloud.contact(tenant, &used.contact_id).await?;
            let is_there = present.is_some_and(|present| {
                present.state == ContactState::Active
                    && present.restored.is_some_and(|restored| {
                        restored.manifest_sha256 == used.manifest_sha256
                            && restored.contact_version == present.version
                    })
            });
            return Err(if is_there {
                skipped(Reason::NotAnonymised)
            } else {
                missing()
            });
        }
        if saved.size_bytes > MAX_ARCHIVE_BYTES {
            return Err(failed(Reason::ArchiveTooLarge));
        }
        let source = self.cloud.uploaded_source(&saved).await?;
        let source = source.ok_or_else(missing)?;
        Ok((Origin::Upload(saved), source))
    }
}

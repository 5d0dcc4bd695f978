//! The audit: written where links are given and archives are seen gone, read by administrators.

use oubli_domain::audit::{AuditEntry, AuditEvent};
use oubli_domain::paging::Page;
use oubli_domain::{AuditEntryId, TenantId};

use crate::Oubli;
use crate::error::WorkflowError;
use crate::paging::{PageRequest, page};

impl Oubli {
    /// An entry of now.
    pub(crate) fn audit_entry(&self, tenant: &TenantId, event: AuditEvent) -> AuditEntry {
        AuditEntry {
            tenant_id: tenant.clone(),
            id: AuditEntryId::from(self.ids.uuid()),
            at: self.now(),
            event,
        }
    }

    /// A page of the tenant's audit, newest first.
    ///
    /// # Errors
    /// [`WorkflowError::CursorInvalid`].
    pub async fn list_audit(
        &self,
        tenant: &TenantId,
        request: &PageRequest,
    ) -> Result<Page<AuditEntry>, WorkflowError> {
        let position = request.position()?;
        let at = position.as_ref().map(|position| position.text.as_str());
        let is_position = |at: &str| {
            at.split_once('#').is_some_and(|(time, id)| {
                time.len() <= 20
                    && time.bytes().all(|b| b.is_ascii_digit())
                    && AuditEntryId::parse(id).is_ok()
            })
        };
        if !at.is_none_or(is_position) {
            return Err(WorkflowError::CursorInvalid);
        }
        let (now, limit) = (self.now(), request.limit.get());
        let found = self.cloud.audit_entries(tenant, at, limit, now).await?;
        let count = match position {
            Some(position) => position.count,
            None if found.next.is_none() => found.items.len() as u64,
            None => self.cloud.count_audit_entries(tenant, now).await?,
        };
        Ok(page(found.items, found.next, count))
    }
}

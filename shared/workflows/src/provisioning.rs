//! Opening a tenant.

use oubli_domain::email::Email;
use oubli_domain::group::{Group, Right};
use oubli_domain::member::Member;
use oubli_domain::rights::TenantRights;
use oubli_domain::tenant::Tenant;
use oubli_domain::{GenerationId, GroupId, Language, MemberId, Personal, TenantId};

use crate::Oubli;
use crate::error::WorkflowError;

/// A tenant to be opened, with its first administrator.
#[derive(Clone, Debug)]
pub struct NewTenant {
    /// The tenant's id: its tokens carry it.
    pub tenant_id: TenantId,
    /// The company's name.
    pub tenant_name: String,
    /// The language of its mails and archives.
    pub language: Language,
    /// The administrator's id: the `sub` of its tokens.
    pub member_id: MemberId,
    /// The administrator's name.
    pub member_name: Personal<String>,
    /// The administrator's address.
    pub email: Personal<Email>,
}

impl Oubli {
    /// Opens a tenant, with a group of administrators that has every right. `false`: it was there. Then nobody's
    /// rights change, and a tenant of the earlier form of groups is brought over to the present one.
    ///
    /// # Errors
    /// [`WorkflowError::Busy`], [`WorkflowError::Internal`].
    pub async fn provision_tenant(&self, new: NewTenant) -> Result<bool, WorkflowError> {
        let created_at = self.now();
        let name = match new.language {
            Language::Fr => "Administrateurs",
            Language::En => "Administrators",
        };
        let group = Group {
            id: GroupId::from(self.ids.uuid()),
            name: name.to_owned(),
            rights: Right::ALL.into_iter().collect(),
            member_ids: [new.member_id.clone()].into(),
            version: 1,
        };
        let administrator = Member {
            id: new.member_id,
            name: new.member_name,
            email: new.email,
            created_at,
        };
        let tenant = Tenant {
            id: new.tenant_id,
            name: new.tenant_name,
            language: new.language,
            created_at,
            access_version: 1,
        };
        let mut rights = TenantRights::none();
        rights.put(&group, GenerationId::from(self.ids.uuid()));
        let entered = self.cloud.create_tenant(&tenant, &administrator, &group, &rights);
        let created = entered.await?;
        if !created {
            self.access(&tenant.id, None, None).await?;
        }
        Ok(created)
    }
}

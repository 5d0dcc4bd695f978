//! Who did what, by name: members are told by their names wherever their ids stand.

use std::collections::{BTreeMap, BTreeSet};

use oubli_domain::{MemberId, Personal, TenantId};

use crate::Oubli;
use crate::error::WorkflowError;

/// The names of some members.
#[derive(Clone, Debug, Default)]
pub struct MemberNames(BTreeMap<MemberId, Personal<String>>);

impl MemberNames {
    /// The name of a member; `None` for one who was removed.
    pub fn of(&self, member: &MemberId) -> Option<&str> {
        self.0.get(member).map(|name| name.expose().as_str())
    }
}

impl Oubli {
    /// The names of these members, each read once. Every member may see them; no right is needed.
    ///
    /// # Errors
    /// [`WorkflowError::Busy`], [`WorkflowError::Internal`].
    pub async fn member_names(
        &self,
        tenant: &TenantId,
        members: impl IntoIterator<Item = MemberId> + Send,
    ) -> Result<MemberNames, WorkflowError> {
        let members: BTreeSet<_> = members.into_iter().collect();
        Ok(MemberNames(self.cloud.member_names(tenant, &members).await?))
    }
}

//! The names of members, for where something says who did it.

use std::collections::{BTreeMap, BTreeSet};

use oubli_domain::member::Member;
use oubli_domain::{MemberId, Personal, TenantId};

use crate::connect::Cloud;
use crate::error::CloudError;
use crate::items;
use crate::keys;

impl Cloud {
    /// The names of these members; a hundred are one call. Who was removed has none.
    ///
    /// # Errors
    /// [`CloudError`] when DynamoDB fails.
    pub async fn member_names(
        &self,
        tenant: &TenantId,
        members: &BTreeSet<MemberId>,
    ) -> Result<BTreeMap<MemberId, Personal<String>>, CloudError> {
        let keys: Vec<_> = members.iter().map(|id| keys::member(tenant, id)).collect();
        let mut names = BTreeMap::new();
        for keys in keys.chunks(100) {
            for attributes in self.requests.get_many(keys).await?.into_values() {
                let member: Member = items::read("member", attributes)?;
                names.insert(member.id, member.name);
            }
        }
        Ok(names)
    }
}

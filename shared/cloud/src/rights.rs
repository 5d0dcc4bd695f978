//! What a member may do, read in one call of a bounded size.
//!
//! Transactional reads: the items are as they were at one instant. A batch would read one item before a change
//! of a group and another after it, and find somebody without the rights that both lists of members give.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::operation::transact_get_items::TransactGetItemsError;
use aws_sdk_dynamodb::types::{Get, TransactGetItem};
use oubli_domain::group::Group;
use oubli_domain::member::Member;
use oubli_domain::rights::{Membership, TenantRights};
use oubli_domain::tenant::Tenant;
use oubli_domain::{GroupId, MemberId, TenantId};

use crate::connect::Cloud;
use crate::error::{CloudError, failed};
use crate::expression::Attributes;
use crate::items;
use crate::keys::{self, Key};
use crate::memberships::MEMBERSHIPS;
use crate::pauses::Pauses;
use crate::table::{Query, Table, try_later};

/// A member with its memberships, of which not all need count.
#[derive(Clone, Debug)]
pub struct MemberEntry {
    /// The member.
    pub member: Member,
    /// The groups that it is in, by the lists that say so.
    pub memberships: BTreeSet<Membership>,
}

/// Who may do what, as it was at one instant.
#[derive(Clone, Debug)]
pub struct Access {
    /// The tenant.
    pub tenant: Option<Tenant>,
    /// What its groups give.
    pub rights: TenantRights,
    /// The group that was asked for.
    pub group: Option<Group>,
    /// The member that was asked for.
    pub member: Option<MemberEntry>,
}

impl Table {
    /// Reads items as they were at one instant; those that are absent are left out.
    async fn get_together(&self, keys: &[Key]) -> Result<HashMap<Key, Attributes>, CloudError> {
        let operation = "TransactGetItems";
        let read = |key: &Key| {
            let get = Get::builder()
                .table_name(&self.name)
                .set_key(Some(Self::key_attributes(key)));
            let get = get.build().map_err(|_| CloudError::Request { operation })?;
            Ok(TransactGetItem::builder().get(get).build())
        };
        let reads: Result<Vec<_>, CloudError> = keys.iter().map(read).collect();
        let request = self.client.transact_get_items().set_transact_items(Some(reads?));
        let mut pauses = Pauses::of(operation);
        loop {
            let error = match request.clone().send().await {
                Ok(answer) => {
                    let items = answer.responses.unwrap_or_default().into_iter();
                    let items = items.filter_map(|response| response.item);
                    return Ok(items
                        .filter_map(|item| Some((items::key_of(&item)?, item)))
                        .collect());
                }
                Err(error) => error,
            };
            // The SDK does not try again by itself what meets a write.
            match error.as_service_error() {
                Some(TransactGetItemsError::TransactionCanceledException(cancelled)) => {
                    try_later(operation, cancelled.cancellation_reasons())?;
                    pauses.next().await?;
                }
                _ => return Err(failed(operation)(error)),
            }
        }
    }
}

impl Cloud {
    /// A member, and what the groups of its tenant give: one read of two items.
    ///
    /// # Errors
    /// [`CloudError`] when DynamoDB fails; as all methods here.
    pub async fn member_and_rights(
        &self,
        tenant: &TenantId,
        member: &MemberId,
    ) -> Result<(Option<MemberEntry>, TenantRights), CloudError> {
        let (member, rights) = (keys::member(tenant, member), keys::rights(tenant));
        let mut found = self
            .requests
            .get_together(&[member.clone(), rights.clone()])
            .await?;
        let entry = found.remove(&member).map(entry).transpose()?;
        Ok((entry, rights_of(found.remove(&rights))?))
    }

    /// A tenant, what its groups give, and if asked for a group and a member: one read.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn access(
        &self,
        tenant: &TenantId,
        group: Option<&GroupId>,
        member: Option<&MemberId>,
    ) -> Result<Access, CloudError> {
        let (entry_key, rights_key) = (keys::tenant(tenant), keys::rights(tenant));
        let group_key = group.map(|group| keys::group(tenant, group));
        let member_key = member.map(|member| keys::member(tenant, member));
        let mut wanted = vec![entry_key.clone(), rights_key.clone()];
        wanted.extend(group_key.clone());
        wanted.extend(member_key.clone());
        let mut found = self.requests.get_together(&wanted).await?;
        let tenant = found.remove(&entry_key);
        let group = group_key.and_then(|key| found.remove(&key));
        let member = member_key.and_then(|key| found.remove(&key));
        Ok(Access {
            tenant: tenant.map(|tenant| items::read("tenant", tenant)).transpose()?,
            rights: rights_of(found.remove(&rights_key))?,
            group: group.map(|group| items::read("group", group)).transpose()?,
            member: member.map(entry).transpose()?,
        })
    }

    /// How many groups a tenant has.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn count_groups(&self, tenant: &TenantId) -> Result<u64, CloudError> {
        let rights = rights_of(self.requests.get(&keys::rights(tenant)).await?)?;
        if rights.is_complete {
            return Ok(rights.groups.len() as u64);
        }
        let groups = Query::beginning(keys::tenant_partition(tenant), keys::GROUP_PREFIX);
        self.requests.count(groups).await
    }
}

fn entry(attributes: Attributes) -> Result<MemberEntry, CloudError> {
    let corrupt = |_| CloudError::Corrupt { what: "membership" };
    let texts = attributes.get(MEMBERSHIPS).and_then(|value| value.as_ss().ok());
    let texts = texts.cloned().unwrap_or_default().into_iter();
    let memberships: Result<_, _> = texts.map(Membership::try_from).collect();
    Ok(MemberEntry {
        memberships: memberships.map_err(corrupt)?,
        member: items::read("member", attributes)?,
    })
}

/// A tenant of the earlier form has no such item: its rights are incomplete.
fn rights_of(found: Option<Attributes>) -> Result<TenantRights, CloudError> {
    let rights = found.map(|attributes| items::read("rights", attributes));
    Ok(rights.transpose()?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_dynamodb::types::CancellationReason;

    #[test]
    fn what_meets_a_write_is_read_again_and_nothing_else() {
        let reasons = |codes: &[&str]| {
            let reason = |code: &&str| CancellationReason::builder().code(*code).build();
            codes.iter().map(reason).collect::<Vec<_>>()
        };
        let later = |codes: &[&str]| try_later("TransactGetItems", &reasons(codes));
        assert!(later(&["None", "TransactionConflict"]).is_ok());
        assert!(later(&["ProvisionedThroughputExceeded", "ThrottlingError"]).is_ok());
        let refused = later(&["TransactionConflict", "ValidationError"]).unwrap_err();
        assert!(!refused.is_passing(), "{refused}");
    }

    #[test]
    fn a_member_of_the_earlier_form_has_no_memberships() {
        let mut attributes = Attributes::from([
            ("id".to_owned(), crate::expression::text("m")),
            ("name".to_owned(), crate::expression::text("M")),
            ("email".to_owned(), crate::expression::text("m@example.fr")),
            (
                "created_at".to_owned(),
                crate::expression::text("2026-01-01T00:00:00Z"),
            ),
        ]);
        assert!(entry(attributes.clone()).unwrap().memberships.is_empty());
        let set = aws_sdk_dynamodb::types::AttributeValue::Ss(vec!["g#1".to_owned()]);
        attributes.insert(MEMBERSHIPS.to_owned(), set);
        assert_eq!(entry(attributes.clone()).unwrap().memberships.len(), 1);
        let set = aws_sdk_dynamodb::types::AttributeValue::Ss(vec!["g".to_owned()]);
        attributes.insert(MEMBERSHIPS.to_owned(), set);
        assert!(entry(attributes).is_err());
        assert!(!rights_of(None).unwrap().is_complete);
    }
}

//! Tenants, members and groups.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use oubli_domain::email::Email;
use oubli_domain::group::Group;
use oubli_domain::member::Member;
use oubli_domain::rights::TenantRights;
use oubli_domain::tenant::Tenant;
use oubli_domain::{GroupId, MemberId, Personal, TenantId};

use crate::connect::Cloud;
use crate::contacts::CreateOutcome;
use crate::error::CloudError;
use crate::expression::{Condition, Update, text};
use crate::idempotency::IdempotencyClaim;
use crate::items;
use crate::keys;
use crate::memberships::MEMBERSHIPS;
use crate::table::{ListPage, Query, Transacted, Written};

impl Cloud {
    /// A tenant.
    ///
    /// # Errors
    /// [`CloudError`] when DynamoDB fails; as all methods here.
    pub async fn tenant(&self, tenant: &TenantId) -> Result<Option<Tenant>, CloudError> {
        let found = self.requests.get(&keys::tenant(tenant)).await?;
        found
            .map(|attributes| items::read("tenant", attributes))
            .transpose()
    }

    /// A member of a tenant.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn member(&self, tenant: &TenantId, member: &MemberId) -> Result<Option<Member>, CloudError> {
        let found = self.requests.get(&keys::member(tenant, member)).await?;
        found
            .map(|attributes| items::read("member", attributes))
            .transpose()
    }

    /// Those of some ids under which the tenant has no member, strongly consistent.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn absent_members(
        &self,
        tenant: &TenantId,
        members: &BTreeSet<MemberId>,
    ) -> Result<Vec<MemberId>, CloudError> {
        let members: Vec<_> = members.iter().collect();
        let mut absent = Vec::new();
        for members in members.chunks(100) {
            let keys: Vec<_> = members.iter().map(|id| keys::member(tenant, id)).collect();
            let found = self.requests.get_many(&keys).await?;
            let missing = members
                .iter()
                .zip(&keys)
                .filter(|(_, key)| !found.contains_key(key));
            absent.extend(missing.map(|(id, _)| (*id).clone()));
        }
        Ok(absent)
    }

    /// The members of a tenant in the order of their ids, after a given one.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn members(
        &self,
        tenant: &TenantId,
        after: Option<&MemberId>,
        limit: u32,
    ) -> Result<ListPage<Member>, CloudError> {
        let mut query = Query::beginning(keys::tenant_partition(tenant), keys::MEMBER_PREFIX);
        query.after = after.map(|member| crate::table::Table::key_attributes(&keys::member(tenant, member)));
        let (found, more) = self.requests.query_filled(query, limit).await?;
        let members: Result<Vec<Member>, _> = found
            .into_iter()
            .map(|attributes| items::read("member", attributes))
            .collect();
        let members = members?;
        let next = members
            .last()
            .filter(|_| more)
            .map(|member| member.id.to_string());
        Ok(ListPage { items: members, next })
    }

    /// How many members a tenant has; counted up to a little over 10,000.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn count_members(&self, tenant: &TenantId) -> Result<u64, CloudError> {
        self.requests
            .count(Query::beginning(
                keys::tenant_partition(tenant),
                keys::MEMBER_PREFIX,
            ))
            .await
    }

    /// A group of a tenant.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn group(&self, tenant: &TenantId, group: &GroupId) -> Result<Option<Group>, CloudError> {
        let found = self.requests.get(&keys::group(tenant, group)).await?;
        found
            .map(|attributes| items::read("group", attributes))
            .transpose()
    }

    /// Some groups of a tenant, strongly consistent; at most 100.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn some_groups(
        &self,
        tenant: &TenantId,
        groups: &BTreeSet<GroupId>,
    ) -> Result<Vec<Group>, CloudError> {
        if groups.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<_> = groups.iter().map(|id| keys::group(tenant, id)).collect();
        let found = self.requests.get_many(&keys).await?;
        found
            .into_values()
            .map(|attributes| items::read("group", attributes))
            .collect()
    }

    /// The groups of a tenant in the order of their ids, after a given one: at most `limit`, and no more than
    /// fit into `bytes`, written as JSON; one at least.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn groups_page(
        &self,
        tenant: &TenantId,
        after: Option<&GroupId>,
        limit: u32,
        bytes: usize,
    ) -> Result<ListPage<Group>, CloudError> {
        let mut query = Query::beginning(keys::tenant_partition(tenant), keys::GROUP_PREFIX);
        query.after = after.map(|group| crate::table::Table::key_attributes(&keys::group(tenant, group)));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let (mut groups, mut size): (Vec<Group>, usize) = (Vec::new(), 0);
        let is_more = 'read: loop {
            // What is read is a page of DynamoDB, 1 MB, at a time.
            let wanted = limit.saturating_add(1).saturating_sub(groups.len());
            let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
            let (found, next) = self.requests.query_page(query.clone(), Some(wanted)).await?;
            for attributes in found {
                let group: Group = items::read("group", attributes)?;
                size = size.saturating_add(group.json_bytes());
                if groups.len() == limit || (size > bytes && !groups.is_empty()) {
                    break 'read true;
                }
                groups.push(group);
            }
            match next {
                Some(next) => query.after = Some(next),
                None => break false,
            }
        };
        let next = groups
            .last()
            .filter(|_| is_more)
            .map(|group| group.id.to_string());
        Ok(ListPage { items: groups, next })
    }

    /// Every group of a tenant, in the order of their ids, strongly consistent: for tenants of the earlier
    /// form, and to bring them over.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn groups(&self, tenant: &TenantId) -> Result<Vec<Group>, CloudError> {
        let query = Query::beginning(keys::tenant_partition(tenant), keys::GROUP_PREFIX);
        let found = self.requests.query_all(query).await?;
        found
            .into_iter()
            .map(|attributes| items::read("group", attributes))
            .collect()
    }

    /// Enters a member.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn create_member(
        &self,
        tenant: &TenantId,
        member: &Member,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<CreateOutcome, CloudError> {
        let attributes = items::with_key(items::write("member", member)?, &keys::member(tenant, &member.id));
        let mut writes = vec![
            self.requests
                .put_write(attributes, Some(Condition::Absent("pk")))?,
            self.requests
                .check_write(&keys::tenant(tenant), Condition::Present("pk"))?,
        ];
        if let Some(claim) = claim {
            writes.push(self.claim_write(tenant, claim)?);
        }
        let outcome = self.requests.transact(writes).await?;
        CreateOutcome::of(&outcome, 0, Some(1), 2)
    }

    /// Changes a member's name and address; `None` when there is no such member.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn update_member(
        &self,
        tenant: &TenantId,
        member: &MemberId,
        name: &Personal<String>,
        email: &Personal<Email>,
    ) -> Result<Option<Member>, CloudError> {
        let update = Update::of(keys::member(tenant, member))
            .set("name", text(name.expose()))
            .set("email", text(email.expose().as_str()))
            .when(Condition::Present("pk"));
        match self.requests.update(update).await? {
            Written::Yes(attributes) => items::read("member", attributes).map(Some),
            Written::No(_) => Ok(None),
        }
    }

    /// Enters a tenant with its first administrator and group; `false` when it is there already.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn create_tenant(
        &self,
        tenant: &Tenant,
        administrator: &Member,
        group: &Group,
        rights: &TenantRights,
    ) -> Result<bool, CloudError> {
        let id = &tenant.id;
        let absent = || Some(Condition::Absent("pk"));
        let entry = items::with_key(items::write("tenant", tenant)?, &keys::tenant(id));
        let mut member = items::with_key(
            items::write("member", administrator)?,
            &keys::member(id, &administrator.id),
        );
        let memberships = rights.membership(&group.id).into_iter();
        member.insert(
            MEMBERSHIPS.to_owned(),
            AttributeValue::Ss(memberships.map(String::from).collect()),
        );
        let rights = items::with_key(items::write("rights", rights)?, &keys::rights(id));
        let group = items::with_key(items::write("group", group)?, &keys::group(id, &group.id));
        let writes = vec![
            self.requests.put_write(entry, absent())?,
            self.requests.put_write(member, None)?,
            self.requests.put_write(group, None)?,
            self.requests.put_write(rights, None)?,
        ];
        Ok(matches!(self.requests.transact(writes).await?, Transacted::Yes))
    }
}

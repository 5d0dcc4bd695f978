//! Tenants, members and groups.
//!
//! Every change of groups, and every removal of a member, goes through the tenant's
//! `access_version`: two changes at once cannot both see the last administrator still there.

use std::collections::BTreeSet;

use oubli_domain::email::Email;
use oubli_domain::group::Group;
use oubli_domain::member::Member;
use oubli_domain::tenant::Tenant;
use oubli_domain::{GroupId, MemberId, Personal, TenantId};

use crate::connect::Cloud;
use crate::contacts::CreateOutcome;
use crate::error::CloudError;
use crate::expression::{Condition, Update, number, text};
use crate::idempotency::{IdempotencyClaim, Replay, replay_of};
use crate::items;
use crate::keys;
use crate::table::{ListPage, Query, Transacted, Written};

/// A change of who may do what, decided on one `access_version`.
#[derive(Clone, Debug)]
pub struct AccessChange {
    /// Whose.
    pub tenant_id: TenantId,
    /// The version on which it was decided.
    pub access_version: u64,
    /// Groups to be written whole.
    pub put_groups: Vec<Group>,
    /// A group to be deleted.
    pub delete_group: Option<GroupId>,
    /// A member to be deleted.
    pub delete_member: Option<MemberId>,
    /// The claim on the request's idempotency key.
    pub claim: Option<IdempotencyClaim>,
}

/// What came of a change of access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessOutcome {
    /// It happened.
    Done,
    /// Something else changed first: decide again.
    Moved,
    /// The idempotency key was used before.
    Replayed(Replay),
}

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

    /// Every group of a tenant, in the order of their ids, strongly consistent.
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

    /// Makes a change of access, if nothing changed since it was decided.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn change_access(&self, change: &AccessChange) -> Result<AccessOutcome, CloudError> {
        let tenant = &change.tenant_id;
        let version = Update::of(keys::tenant(tenant))
            .set("access_version", number(change.access_version + 1))
            .when(Condition::Equal("access_version", number(change.access_version)));
        let mut writes = vec![self.requests.update_write(version)?];
        for group in &change.put_groups {
            let attributes = items::write("group", group)?;
            writes.push(
                self.requests
                    .put_write(items::with_key(attributes, &keys::group(tenant, &group.id)), None)?,
            );
        }
        if let Some(group) = &change.delete_group {
            writes.push(self.requests.delete_write(&keys::group(tenant, group), None)?);
        }
        if let Some(member) = &change.delete_member {
            writes.push(self.requests.delete_write(&keys::member(tenant, member), None)?);
        }
        let claim_index = writes.len();
        if let Some(claim) = &change.claim {
            writes.push(self.claim_write(tenant, claim)?);
        }
        let outcome = self.requests.transact(writes).await?;
        match (&outcome, outcome.refused(claim_index)) {
            (Transacted::Yes, _) => Ok(AccessOutcome::Done),
            (Transacted::No(_), Some(refused)) => Ok(AccessOutcome::Replayed(replay_of(refused)?)),
            (Transacted::No(_), None) => Ok(AccessOutcome::Moved),
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
    ) -> Result<bool, CloudError> {
        let id = &tenant.id;
        let absent = || Some(Condition::Absent("pk"));
        let entry = items::with_key(items::write("tenant", tenant)?, &keys::tenant(id));
        let member = items::with_key(
            items::write("member", administrator)?,
            &keys::member(id, &administrator.id),
        );
        let group = items::with_key(items::write("group", group)?, &keys::group(id, &group.id));
        let writes = vec![
            self.requests.put_write(entry, absent())?,
            self.requests.put_write(member, None)?,
            self.requests.put_write(group, None)?,
        ];
        Ok(matches!(self.requests.transact(writes).await?, Transacted::Yes))
    }
}

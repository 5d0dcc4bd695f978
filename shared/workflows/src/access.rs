//! Members, and what they may do.

use std::collections::BTreeSet;

use oubli_cloud::{AccessChange, AccessOutcome, CreateOutcome, MemberEntry, MembershipsOf};
use oubli_domain::group::{Right, rights_of};
use oubli_domain::member::{Member, MemberDraft};
use oubli_domain::paging::Page;
use oubli_domain::rights::TenantRights;
use oubli_domain::tenant::Tenant;
use oubli_domain::{MemberId, TenantId};

use crate::error::{Conflict, WorkflowError};
use crate::idempotency::{Idempotency, replayed};
use crate::memberships::{DECISIONS, change_on};
use crate::paging::{PageRequest, page};
use crate::{Caller, Oubli};

/// Most bytes of the groups in one change; a transaction of DynamoDB takes 4 MB.
const MAX_CHANGE_BYTES: usize = 3_000_000;

/// Who somebody is, and what they may do.
#[derive(Clone, Debug)]
pub struct Me {
    /// The member.
    pub member: Member,
    /// The tenant.
    pub tenant: Tenant,
    /// The member's rights.
    pub rights: BTreeSet<Right>,
}

/// What is to change about a member; `None` stays.
#[derive(Clone, Debug, Default)]
pub struct MemberChange {
    /// Display name.
    pub name: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
}

impl Oubli {
    /// Lets the caller pass if a group gives the right. Looked up at every call: a change counts
    /// from the next one on.
    ///
    /// # Errors
    /// [`WorkflowError::NotAMember`], [`WorkflowError::RightMissing`].
    pub async fn authorise(&self, caller: &Caller, right: Right) -> Result<(), WorkflowError> {
        let (tenant, member) = (&caller.tenant_id, &caller.member_id);
        let (entry, rights) = self.cloud.member_and_rights(tenant, member).await?;
        let entry = entry.ok_or(WorkflowError::NotAMember)?;
        if self.rights_of(tenant, &entry, &rights).await?.contains(&right) {
            Ok(())
        } else {
            Err(WorkflowError::RightMissing(right))
        }
    }

    /// Who the caller is.
    ///
    /// # Errors
    /// [`WorkflowError::NotAMember`].
    pub async fn me(&self, caller: &Caller) -> Result<Me, WorkflowError> {
        let (tenant, member) = (&caller.tenant_id, &caller.member_id);
        let access = self.cloud.access(tenant, None, Some(member)).await?;
        let (Some(entry), Some(found)) = (access.member, access.tenant) else {
            return Err(WorkflowError::NotAMember);
        };
        Ok(Me {
            rights: self.rights_of(tenant, &entry, &access.rights).await?,
            member: entry.member,
            tenant: found,
        })
    }

    /// What a member may do. A tenant of the earlier form is asked for all its groups.
    async fn rights_of(
        &self,
        tenant: &TenantId,
        entry: &MemberEntry,
        rights: &TenantRights,
    ) -> Result<BTreeSet<Right>, WorkflowError> {
        if rights.is_complete {
            return Ok(rights.of_member(&entry.memberships));
        }
        let groups = self.cloud.groups(tenant).await?;
        Ok(rights_of(&entry.member.id, &groups))
    }

    /// A page of the tenant's members, by id.
    ///
    /// # Errors
    /// [`WorkflowError::CursorInvalid`].
    pub async fn list_members(
        &self,
        tenant: &TenantId,
        request: &PageRequest,
    ) -> Result<Page<Member>, WorkflowError> {
        let position = request.position()?;
        let after = position
            .as_ref()
            .map(|position| MemberId::parse(position.text.as_str()));
        let after = after.transpose().map_err(|_| WorkflowError::CursorInvalid)?;
        let found = self
            .cloud
            .members(tenant, after.as_ref(), request.limit.get())
            .await?;
        let count = match position {
            Some(position) => position.count,
            None => self.cloud.count_members(tenant).await?,
        };
        Ok(page(found.items, found.next, count))
    }

    /// A member.
    ///
    /// # Errors
    /// [`WorkflowError::NotFound`].
    pub async fn get_member(&self, tenant: &TenantId, member: &MemberId) -> Result<Member, WorkflowError> {
        self.cloud
            .member(tenant, member)
            .await?
            .ok_or(WorkflowError::NotFound)
    }

    /// Enters a member, under the id that its tokens carry.
    ///
    /// # Errors
    /// [`WorkflowError::Invalid`], [`Conflict::AlreadyExists`], [`WorkflowError::IdempotencyMismatch`].
    pub async fn create_member(
        &self,
        tenant: &TenantId,
        id: MemberId,
        draft: MemberDraft,
        idempotency: &Idempotency,
    ) -> Result<Member, WorkflowError> {
        let (name, email) = draft.parse()?;
        let member = Member {
            id,
            name,
            email,
            created_at: self.now(),
        };
        let claim = self.claim(idempotency, member.id.as_str()).await?;
        match (
            self.cloud.create_member(tenant, &member, claim.as_ref()).await?,
            claim,
        ) {
            (CreateOutcome::Created, _) => Ok(member),
            (CreateOutcome::Replayed(replay), Some(claim)) => {
                replayed(&claim, replay)?;
                self.get_member(tenant, &member.id).await
            }
            (CreateOutcome::ParentAbsent, _) => Err(WorkflowError::NotFound),
            (CreateOutcome::Exists | CreateOutcome::Replayed(_), _) => Err(Conflict::AlreadyExists.into()),
        }
    }

    /// Changes a member.
    ///
    /// # Errors
    /// [`WorkflowError::NotFound`], [`WorkflowError::Invalid`].
    pub async fn update_member(
        &self,
        tenant: &TenantId,
        member: &MemberId,
        change: MemberChange,
    ) -> Result<Member, WorkflowError> {
        let found = self.get_member(tenant, member).await?;
        let draft = MemberDraft {
            name: change.name.unwrap_or_else(|| found.name.expose().clone()),
            email: change
                .email
                .unwrap_or_else(|| found.email.expose().as_str().to_owned()),
        };
        let (name, email) = draft.parse()?;
        self.cloud
            .update_member(tenant, member, &name, &email)
            .await?
            .ok_or(WorkflowError::NotFound)
    }

    /// Removes a member from the tenant and from all its groups: at once, unless the lists of those groups are
    /// too large for one transaction. Then it leaves them some at a time and is removed with the last.
    ///
    /// # Errors
    /// [`WorkflowError::NotFound`], [`Conflict::LastAdministrator`].
    pub async fn delete_member(&self, tenant: &TenantId, member: &MemberId) -> Result<(), WorkflowError> {
        let mut decisions = 0..DECISIONS;
        while decisions.next().is_some() {
            let access = self.access(tenant, None, Some(member)).await?;
            let entry = access.member.as_ref().ok_or(WorkflowError::NotFound)?;
            let counting = entry.memberships.iter();
            let counting = counting.filter(|membership| access.rights.counts(membership));
            let all: BTreeSet<_> = counting.map(|membership| membership.group_id.clone()).collect();
            if !access.rights.without_one_of(&all).has_administrator() {
                return Err(Conflict::LastAdministrator.into());
            }
            let mut groups = self.cloud.some_groups(tenant, &all).await?;
            let mut bytes = 0;
            let fitting = groups.iter().take_while(|group| {
                bytes += group.json_bytes();
                bytes <= MAX_CHANGE_BYTES
            });
            let fitting = fitting.count().max(1);
            let is_last = fitting >= groups.len();
            groups.truncate(fitting);
            let left: BTreeSet<_> = groups.iter().map(|group| group.id.clone()).collect();
            for group in &mut groups {
                group.member_ids.remove(member);
                group.version += 1;
            }
            let memberships: BTreeSet<_> = left
                .iter()
                .filter_map(|id| access.rights.membership(id))
                .collect();
            let change = AccessChange {
                rights: access.rights.without_one_of(&left),
                put_groups: groups,
                leave: if is_last {
                    MembershipsOf::new()
                } else {
                    [(member.clone(), memberships)].into()
                },
                delete_member: is_last.then(|| member.clone()),
                ..change_on(tenant, &access)
            };
            match (self.cloud.change_access(&change).await?, is_last) {
                (AccessOutcome::Done, true) => return Ok(()),
                (AccessOutcome::Done, false) => decisions = 0..DECISIONS,
                (AccessOutcome::Moved | AccessOutcome::Replayed(_), _) => {}
            }
        }
        Err(Conflict::Contended.into())
    }
}

//! Members, groups and rights.

use std::collections::BTreeSet;

use oubli_cloud::{AccessChange, AccessOutcome, CreateOutcome, IdempotencyClaim};
use oubli_domain::group::{Group, Right, has_administrator, rights_of};
use oubli_domain::member::{Member, MemberDraft};
use oubli_domain::paging::Page;
use oubli_domain::tenant::Tenant;
use oubli_domain::text::parse_line;
use oubli_domain::{FieldErrors, GroupId, MemberId, TenantId};

use crate::contacts::Expected;
use crate::error::{Conflict, WorkflowError};
use crate::idempotency::{Idempotency, replayed};
use crate::paging::{PageRequest, page};
use crate::{Caller, Oubli};

/// How often a change of access is decided anew when others change it at the same moment.
const DECISIONS: usize = 8;
/// Most members of a group; its item must stay well below DynamoDB's 400 KB.
const MAX_GROUP_MEMBERS: usize = 2_000;
/// Most groups of a tenant: one transaction takes a member out of all of them.
const MAX_GROUPS: usize = 90;

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

/// What a request says of a group, before it is judged.
#[derive(Clone, Debug)]
pub struct GroupDraft {
    /// Display name.
    pub name: String,
    /// Codes of rights.
    pub rights: Vec<String>,
    /// Ids of members.
    pub member_ids: Vec<String>,
}

struct GroupFields {
    name: String,
    rights: BTreeSet<Right>,
    member_ids: BTreeSet<MemberId>,
}

impl GroupDraft {
    fn parse(self) -> Result<GroupFields, FieldErrors> {
        let mut errors = FieldErrors::default();
        let name = errors.take("/name", parse_line(&self.name, 200));
        let mut rights = BTreeSet::new();
        for (index, code) in self.rights.iter().enumerate() {
            match Right::from_code(code) {
                Some(right) => _ = rights.insert(right),
                None => errors.push(format!("/rights/{index}"), "is no right"),
            }
        }
        if self.member_ids.len() > MAX_GROUP_MEMBERS {
            errors.push(
                "/member_ids",
                format!("must name at most {MAX_GROUP_MEMBERS} members"),
            );
        }
        let mut member_ids = BTreeSet::new();
        for (index, id) in self.member_ids.into_iter().enumerate() {
            if let Some(id) = errors.take(&format!("/member_ids/{index}"), MemberId::parse(id)) {
                member_ids.insert(id);
            }
        }
        match name {
            Some(name) if errors.as_slice().is_empty() => Ok(GroupFields {
                name,
                rights,
                member_ids,
            }),
            _ => Err(errors),
        }
    }
}

impl Oubli {
    /// Lets the caller pass if a group gives the right. Looked up at every call: a change counts
    /// from the next one on.
    ///
    /// # Errors
    /// [`WorkflowError::NotAMember`], [`WorkflowError::RightMissing`].
    pub async fn authorise(&self, caller: &Caller, right: Right) -> Result<(), WorkflowError> {
        let (tenant, member) = (&caller.tenant_id, &caller.member_id);
        let (found, groups) = tokio::try_join!(self.cloud.member(tenant, member), self.cloud.groups(tenant))?;
        if found.is_none() {
            return Err(WorkflowError::NotAMember);
        }
        if rights_of(member, &groups).contains(&right) {
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
        let (found, groups, tenant) = tokio::try_join!(
            self.cloud.member(tenant, member),
            self.cloud.groups(tenant),
            self.cloud.tenant(tenant)
        )?;
        let (Some(found), Some(tenant)) = (found, tenant) else {
            return Err(WorkflowError::NotAMember);
        };
        Ok(Me {
            rights: rights_of(member, &groups),
            member: found,
            tenant,
        })
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

    /// Removes a member from the tenant and from all its groups.
    ///
    /// # Errors
    /// [`WorkflowError::NotFound`], [`Conflict::LastAdministrator`].
    pub async fn delete_member(&self, tenant: &TenantId, member: &MemberId) -> Result<(), WorkflowError> {
        for _ in 0..DECISIONS {
            let (access_version, mut groups) = self.access(tenant).await?;
            self.get_member(tenant, member).await?;
            let mut changed = Vec::new();
            for group in &mut groups {
                if group.member_ids.remove(member) {
                    group.version += 1;
                    changed.push(group.clone());
                }
            }
            if !has_administrator(&groups) {
                return Err(Conflict::LastAdministrator.into());
            }
            let change = AccessChange {
                put_groups: changed,
                delete_member: Some(member.clone()),
                ..AccessChange::on(tenant, access_version)
            };
            if self.cloud.change_access(&change).await? == AccessOutcome::Done {
                return Ok(());
            }
        }
        Err(Conflict::Contended.into())
    }

    /// A page of the tenant's groups, by id.
    ///
    /// # Errors
    /// [`WorkflowError::CursorInvalid`].
    pub async fn list_groups(
        &self,
        tenant: &TenantId,
        request: &PageRequest,
    ) -> Result<Page<Group>, WorkflowError> {
        let position = request.position()?;
        let after = position.map(|position| GroupId::parse(position.text));
        let after = after.transpose().map_err(|_| WorkflowError::CursorInvalid)?;
        let groups = self.cloud.groups(tenant).await?;
        let count = groups.len() as u64;
        let limit = usize::try_from(request.limit.get()).unwrap_or(usize::MAX);
        let is_after = |group: &Group| after.as_ref().is_none_or(|at| group.id > *at);
        let mut rest: Vec<_> = groups.into_iter().filter(is_after).collect();
        let more = rest.len() > limit;
        rest.truncate(limit);
        let next = rest.last().filter(|_| more).map(|group| group.id.to_string());
        Ok(page(rest, next, count))
    }

    /// A group.
    ///
    /// # Errors
    /// [`WorkflowError::NotFound`].
    pub async fn get_group(&self, tenant: &TenantId, group: &GroupId) -> Result<Group, WorkflowError> {
        let groups = self.cloud.groups(tenant).await?;
        groups
            .into_iter()
            .find(|found| found.id == *group)
            .ok_or(WorkflowError::NotFound)
    }

    /// Enters a group.
    ///
    /// # Errors
    /// [`WorkflowError::Invalid`], [`WorkflowError::IdempotencyMismatch`].
    pub async fn create_group(
        &self,
        tenant: &TenantId,
        draft: GroupDraft,
        idempotency: &Idempotency,
    ) -> Result<Group, WorkflowError> {
        let fields = draft.parse()?;
        let id = GroupId::from(self.ids.uuid());
        let claim = self.claim(idempotency, id.as_str()).await?;
        if let Some(earlier) = self.earlier(tenant, claim.as_ref()).await? {
            return self.group_by_text(tenant, &earlier).await;
        }
        let GroupFields {
            name,
            rights,
            member_ids,
        } = fields;
        let group = Group {
            id,
            name,
            rights,
            member_ids,
            version: 1,
        };
        for _ in 0..DECISIONS {
            let (access_version, groups) = self.access(tenant).await?;
            self.check_members(tenant, &group.member_ids).await?;
            if groups.len() >= MAX_GROUPS {
                let detail = format!("a tenant has at most {MAX_GROUPS} groups");
                return Err(FieldErrors::one("", detail).into());
            }
            let change = AccessChange {
                put_groups: vec![group.clone()],
                claim: claim.clone(),
                ..AccessChange::on(tenant, access_version)
            };
            match (self.cloud.change_access(&change).await?, &claim) {
                (AccessOutcome::Done, _) => return Ok(group),
                (AccessOutcome::Replayed(replay), Some(claim)) => {
                    let earlier = replayed(claim, replay)?;
                    return self.group_by_text(tenant, &earlier).await;
                }
                (AccessOutcome::Moved | AccessOutcome::Replayed(_), _) => {}
            }
        }
        Err(Conflict::Contended.into())
    }

    /// Replaces a group.
    ///
    /// # Errors
    /// [`WorkflowError::NotFound`], [`WorkflowError::PreconditionFailed`],
    /// [`WorkflowError::Invalid`], [`Conflict::LastAdministrator`].
    pub async fn replace_group(
        &self,
        tenant: &TenantId,
        group: &GroupId,
        expected: Expected,
        draft: GroupDraft,
    ) -> Result<Group, WorkflowError> {
        let GroupFields {
            name,
            rights,
            member_ids,
        } = draft.parse()?;
        for _ in 0..DECISIONS {
            let (access_version, mut groups) = self.access(tenant).await?;
            let had_administrator = has_administrator(&groups);
            let found = groups
                .iter_mut()
                .find(|found| found.id == *group)
                .ok_or(WorkflowError::NotFound)?;
            if !expected.admits(found.version) {
                return Err(WorkflowError::PreconditionFailed);
            }
            self.check_members(tenant, &member_ids).await?;
            found.name.clone_from(&name);
            found.rights.clone_from(&rights);
            found.member_ids.clone_from(&member_ids);
            found.version += 1;
            let replaced = found.clone();
            if had_administrator && !has_administrator(&groups) {
                return Err(Conflict::LastAdministrator.into());
            }
            let change = AccessChange {
                put_groups: vec![replaced.clone()],
                ..AccessChange::on(tenant, access_version)
            };
            if self.cloud.change_access(&change).await? == AccessOutcome::Done {
                return Ok(replaced);
            }
        }
        Err(Conflict::Contended.into())
    }

    /// Deletes a group.
    ///
    /// # Errors
    /// [`WorkflowError::NotFound`], [`Conflict::LastAdministrator`].
    pub async fn delete_group(&self, tenant: &TenantId, group: &GroupId) -> Result<(), WorkflowError> {
        for _ in 0..DECISIONS {
            let (access_version, mut groups) = self.access(tenant).await?;
            let before = groups.len();
            groups.retain(|found| found.id != *group);
            if groups.len() == before {
                return Err(WorkflowError::NotFound);
            }
            if !has_administrator(&groups) {
                return Err(Conflict::LastAdministrator.into());
            }
            let change = AccessChange {
                delete_group: Some(group.clone()),
                ..AccessChange::on(tenant, access_version)
            };
            if self.cloud.change_access(&change).await? == AccessOutcome::Done {
                return Ok(());
            }
        }
        Err(Conflict::Contended.into())
    }

    /// The groups, and the version of access that they are at least as new as.
    async fn access(&self, tenant: &TenantId) -> Result<(u64, Vec<Group>), WorkflowError> {
        let found = self.cloud.tenant(tenant).await?.ok_or(WorkflowError::NotFound)?;
        Ok((found.access_version, self.cloud.groups(tenant).await?))
    }

    async fn group_by_text(&self, tenant: &TenantId, id: &str) -> Result<Group, WorkflowError> {
        let id = GroupId::parse(id).map_err(WorkflowError::internal)?;
        self.get_group(tenant, &id).await
    }

    /// Judges who is to be in a group. Called after the version of access was read: a member who is
    /// removed since then changes that version, so that nobody who is gone stays in a group.
    async fn check_members(
        &self,
        tenant: &TenantId,
        member_ids: &BTreeSet<MemberId>,
    ) -> Result<(), WorkflowError> {
        let mut errors = FieldErrors::default();
        for id in self.cloud.absent_members(tenant, member_ids).await? {
            errors.push("/member_ids", format!("`{id}` is no member of the tenant"));
        }
        Ok(errors.into_result()?)
    }
}

/// A change that nothing is in yet.
trait OnVersion {
    fn on(tenant: &TenantId, access_version: u64) -> Self;
}

impl OnVersion for AccessChange {
    fn on(tenant: &TenantId, access_version: u64) -> Self {
        Self {
            tenant_id: tenant.clone(),
            access_version,
            put_groups: Vec::new(),
            delete_group: None,
            delete_member: None,
            claim: None::<IdempotencyClaim>,
        }
    }
}

//! Security groups: who is in them, and what they give.

use std::collections::BTreeSet;

use oubli_cloud::{AccessChange, AccessOutcome};
use oubli_domain::group::{Group, MAX_GROUP_MEMBERS, MAX_GROUPS, Right};
use oubli_domain::paging::Page;
use oubli_domain::text::parse_line;
use oubli_domain::{FieldErrors, GroupId, MemberId, TenantId};

use crate::Oubli;
use crate::contacts::Expected;
use crate::error::{Conflict, WorkflowError};
use crate::idempotency::{Idempotency, replayed};
use crate::memberships::{DECISIONS, change_on};
use crate::paging::{PageRequest, page};

/// Most bytes of a page of groups; an answer of Lambda has at most 6 MB.
const MAX_PAGE_BYTES: usize = 4_000_000;

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
    /// A page of the tenant's groups, by id. It has fewer than were asked for where those would not fit into
    /// one answer.
    ///
    /// # Errors
    /// [`WorkflowError::CursorInvalid`].
    pub async fn list_groups(
        &self,
        tenant: &TenantId,
        request: &PageRequest,
    ) -> Result<Page<Group>, WorkflowError> {
        let position = request.position()?;
        let after = position
            .as_ref()
            .map(|position| GroupId::parse(position.text.as_str()));
        let after = after.transpose().map_err(|_| WorkflowError::CursorInvalid)?;
        let limit = request.limit.get();
        let found = self
            .cloud
            .groups_page(tenant, after.as_ref(), limit, MAX_PAGE_BYTES)
            .await?;
        let count = match position {
            Some(position) => position.count,
            None => self.cloud.count_groups(tenant).await?,
        };
        Ok(page(found.items, found.next, count))
    }

    /// A group.
    ///
    /// # Errors
    /// [`WorkflowError::NotFound`].
    pub async fn get_group(&self, tenant: &TenantId, group: &GroupId) -> Result<Group, WorkflowError> {
        let found = self.cloud.group(tenant, group).await?;
        found.ok_or(WorkflowError::NotFound)
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
            let access = self.access(tenant, None, None).await?;
            self.check_members(tenant, &group.member_ids).await?;
            if access.rights.groups.len() >= MAX_GROUPS {
                let detail = format!("a tenant has at most {MAX_GROUPS} groups");
                return Err(FieldErrors::one("", detail).into());
            }
            let change = AccessChange {
                claim: claim.clone(),
                ..change_on(tenant, &access)
            };
            match (self.put_group(change, None, &group).await?, &claim) {
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
            let access = self.access(tenant, Some(group), None).await?;
            let before = access.group.as_ref().ok_or(WorkflowError::NotFound)?;
            if !expected.admits(before.version) {
                return Err(WorkflowError::PreconditionFailed);
            }
            self.check_members(tenant, &(&member_ids - &before.member_ids))
                .await?;
            let after = Group {
                id: group.clone(),
                name: name.clone(),
                rights: rights.clone(),
                member_ids: member_ids.clone(),
                version: before.version + 1,
            };
            if access.rights.has_administrator() && !access.rights.with(&after).has_administrator() {
                return Err(Conflict::LastAdministrator.into());
            }
            let change = change_on(tenant, &access);
            if self.put_group(change, Some(before), &after).await? == AccessOutcome::Done {
                return Ok(after);
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
            let access = self.access(tenant, Some(group), None).await?;
            let before = access.group.as_ref().ok_or(WorkflowError::NotFound)?;
            let mut change = change_on(tenant, &access);
            change.rights.groups.remove(group);
            if !change.rights.has_administrator() {
                return Err(Conflict::LastAdministrator.into());
            }
            change.delete_group = Some(group.clone());
            if self.take_out_group(change, before, &access.rights).await? == AccessOutcome::Done {
                return Ok(());
            }
        }
        Err(Conflict::Contended.into())
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

//! How members come into groups and leave them: for all of a list in one write, however many they are.
//!
//! Few are written together with their group. Many would not fit into one transaction: the new list is written
//! beside the one that counts, under a generation of its own, and the write that changes the group makes it
//! count. What counted before is cleared after that; where a process ends in between, a later change does it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use oubli_cloud::{Access, AccessChange, AccessOutcome, MembershipsOf, UnusedMemberships};
use oubli_domain::group::Group;
use oubli_domain::rights::{Membership, TenantRights};
use oubli_domain::{GenerationId, GroupId, MemberId, TenantId};

use crate::Oubli;
use crate::error::{Conflict, WorkflowError};

/// How often a change of access is decided anew when others change it at the same moment.
pub(crate) const DECISIONS: usize = 8;
/// Most members that change with their group in one transaction, which has at most 100 writes.
const MAX_TOGETHER: usize = 90;
/// No process lives longer: what it prepared before, it will not bring into force. Lambda's limit.
const PROCESS_LIFE: SignedDuration = SignedDuration::from_mins(15);

/// A change of access that nothing is in yet.
pub(crate) fn change_on(tenant: &TenantId, access: &Access) -> AccessChange {
    AccessChange {
        tenant_id: tenant.clone(),
        access_version: version_of(access),
        rights: access.rights.clone(),
        put_groups: Vec::new(),
        delete_group: None,
        join: MembershipsOf::new(),
        leave: MembershipsOf::new(),
        delete_member: None,
        prepared: None,
        unused: None,
        claim: None,
    }
}

fn version_of(access: &Access) -> u64 {
    access.tenant.as_ref().map_or(0, |tenant| tenant.access_version)
}

/// One membership for each of these members.
fn each(members: impl IntoIterator<Item = MemberId>, membership: &Membership) -> MembershipsOf {
    let one = |member| (member, BTreeSet::from([membership.clone()]));
    members.into_iter().map(one).collect()
}

impl Oubli {
    /// Who may do what, in the present form: a tenant of the earlier form is brought over first.
    pub(crate) async fn access(
        &self,
        tenant: &TenantId,
        group: Option<&GroupId>,
        member: Option<&MemberId>,
    ) -> Result<Access, WorkflowError> {
        for _ in 0..DECISIONS {
            let access = self.cloud.access(tenant, group, member).await?;
            if access.tenant.is_none() {
                return Err(WorkflowError::NotFound);
            }
            if access.rights.is_complete {
                return Ok(access);
            }
            self.bring_over(tenant, access).await?;
        }
        Err(Conflict::Contended.into())
    }

    /// Writes a group with its members, in a change that was decided on what is `before`.
    pub(crate) async fn put_group(
        &self,
        mut change: AccessChange,
        before: Option<&Group>,
        after: &Group,
    ) -> Result<AccessOutcome, WorkflowError> {
        let tenant = change.tenant_id.clone();
        let none = BTreeSet::new();
        let members = before.map_or(&none, |group| &group.member_ids);
        let entering = &after.member_ids - members;
        let leaving = members - &after.member_ids;
        let counting = change.rights.membership(&after.id);
        let fresh = Membership {
            group_id: after.id.clone(),
            generation: GenerationId::from(self.ids.uuid()),
        };
        change.put_groups = vec![after.clone()];
        if entering.len() + leaving.len() <= MAX_TOGETHER {
            let membership = counting.unwrap_or(fresh);
            change.rights.put(after, membership.generation.clone());
            change.join = each(entering, &membership);
            change.leave = each(leaving, &membership);
            let outcome = self.cloud.change_access(&change).await?;
            self.clear_unused(&tenant, &outcome).await;
            return Ok(outcome);
        }
        let list = UnusedMemberships {
            membership: fresh,
            member_ids: after.member_ids.clone(),
            clear_from: self.now().saturating_add(PROCESS_LIFE).unwrap_or(self.now()),
        };
        let outcome = if self.cloud.prepare_memberships(&tenant, &list).await? {
            change.rights.put(after, list.membership.generation.clone());
            change.prepared = Some(list.membership.clone());
            change.unused = counting.map(|membership| UnusedMemberships {
                membership,
                member_ids: members.clone(),
                clear_from: self.now(),
            });
            self.cloud.change_access(&change).await?
        } else {
            // Somebody was removed meanwhile: to be judged anew.
            AccessOutcome::Moved
        };
        if outcome != AccessOutcome::Done {
            self.cloud.clear_memberships(&tenant, &list).await?;
        }
        self.clear_unused(&tenant, &outcome).await;
        Ok(outcome)
    }

    /// Deletes a group, in a change that was decided on these rights and that names it.
    pub(crate) async fn take_out_group(
        &self,
        mut change: AccessChange,
        group: &Group,
        rights: &TenantRights,
    ) -> Result<AccessOutcome, WorkflowError> {
        if let Some(membership) = rights.membership(&group.id) {
            if group.member_ids.len() <= MAX_TOGETHER {
                change.leave = each(group.member_ids.iter().cloned(), &membership);
            } else {
                change.unused = Some(UnusedMemberships {
                    membership,
                    member_ids: group.member_ids.clone(),
                    clear_from: self.now(),
                });
            }
        }
        let outcome = self.cloud.change_access(&change).await?;
        self.clear_unused(&change.tenant_id, &outcome).await;
        Ok(outcome)
    }

    /// After a change: clears the memberships that do not count any more, or never did. They do no harm, and
    /// the change is made: what fails here is left to the next change.
    async fn clear_unused(&self, tenant: &TenantId, outcome: &AccessOutcome) {
        if *outcome == AccessOutcome::Done
            && let Err(error) = self.clear_due(tenant).await
        {
            tracing::warn!(%error, "memberships that do not count are left to the next change");
        }
    }

    async fn clear_due(&self, tenant: &TenantId) -> Result<(), WorkflowError> {
        let now = self.now();
        for list in self.cloud.unused_memberships(tenant).await? {
            if list.clear_from <= now {
                self.cloud.clear_memberships(tenant, &list).await?;
            }
        }
        Ok(())
    }

    /// Brings a tenant over from the earlier form, in which groups alone named their members: group by group,
    /// so that who comes after a process that ended goes on from there. The generation of such a list is the
    /// group's version, so that none that was written for another version of it counts.
    async fn bring_over(&self, tenant: &TenantId, access: Access) -> Result<(), WorkflowError> {
        let groups = self.cloud.groups(tenant).await?;
        let mut version = version_of(&access);
        let mut lists = BTreeMap::new();
        for group in &groups {
            let generation = GenerationId::parse(format!("v{}", group.version));
            lists.insert(&group.id, generation.map_err(WorkflowError::internal)?);
        }
        let mut rights = access.rights.clone();
        rights
            .groups
            .retain(|id, found| lists.get(id) == Some(&found.generation));
        let mut left: Vec<_> = groups
            .iter()
            .filter(|group| !rights.groups.contains_key(&group.id))
            .collect();
        loop {
            let group = left.pop();
            if let Some((group, generation)) = group.and_then(|group| Some((group, lists.get(&group.id)?))) {
                let membership = Membership {
                    group_id: group.id.clone(),
                    generation: generation.clone(),
                };
                // Who is not there any more gets none.
                self.cloud.join(tenant, &membership, &group.member_ids).await?;
                rights.put(group, generation.clone());
            }
            rights.is_complete = left.is_empty();
            let change = AccessChange {
                access_version: version,
                rights: rights.clone(),
                ..change_on(tenant, &access)
            };
            if self.cloud.change_access(&change).await? != AccessOutcome::Done || rights.is_complete {
                return Ok(());
            }
            version += 1;
        }
    }
}

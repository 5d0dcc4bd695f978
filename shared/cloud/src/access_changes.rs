//! Changes of who may do what.
//!
//! Every change of groups, and every removal of a member, goes through the tenant's `access_version`: two
//! changes at once cannot both see the last administrator still there.

use std::collections::{BTreeMap, BTreeSet};

use oubli_domain::group::Group;
use oubli_domain::rights::{Membership, TenantRights};
use oubli_domain::{GroupId, MemberId, TenantId};

use crate::connect::Cloud;
use crate::error::CloudError;
use crate::expression::{Condition, Update, number};
use crate::idempotency::{IdempotencyClaim, Replay, replay_of};
use crate::items;
use crate::keys;
use crate::memberships::{UnusedMemberships, joining, leaving};
use crate::table::Transacted;

/// Memberships of some members.
pub type MembershipsOf = BTreeMap<MemberId, BTreeSet<Membership>>;

/// A change of who may do what, decided on one `access_version`. One transaction: at most 100 writes, 4 MB.
#[derive(Clone, Debug)]
pub struct AccessChange {
    /// Whose.
    pub tenant_id: TenantId,
    /// The version on which it was decided.
    pub access_version: u64,
    /// What the groups give afterwards.
    pub rights: TenantRights,
    /// Groups to be written whole.
    pub put_groups: Vec<Group>,
    /// A group to be deleted.
    pub delete_group: Option<GroupId>,
    /// Memberships that members get.
    pub join: MembershipsOf,
    /// Memberships that members lose.
    pub leave: MembershipsOf,
    /// A member to be deleted.
    pub delete_member: Option<MemberId>,
    /// A list of members, prepared before, that comes into force.
    pub prepared: Option<Membership>,
    /// A list of members that goes out of force.
    pub unused: Option<UnusedMemberships>,
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
    /// Makes a change of access, if nothing changed since it was decided.
    ///
    /// # Errors
    /// [`CloudError`] when DynamoDB fails.
    pub async fn change_access(&self, change: &AccessChange) -> Result<AccessOutcome, CloudError> {
        let tenant = &change.tenant_id;
        let version = Update::of(keys::tenant(tenant))
            .set("access_version", number(change.access_version + 1))
            .when(Condition::Equal("access_version", number(change.access_version)));
        let rights = items::with_key(items::write("rights", &change.rights)?, &keys::rights(tenant));
        let table = &self.requests;
        let mut writes = vec![table.update_write(version)?, table.put_write(rights, None)?];
        for group in &change.put_groups {
            let attributes = items::write("group", group)?;
            let attributes = items::with_key(attributes, &keys::group(tenant, &group.id));
            writes.push(table.put_write(attributes, None)?);
        }
        if let Some(group) = &change.delete_group {
            writes.push(table.delete_write(&keys::group(tenant, group), None)?);
        }
        for (member, memberships) in &change.join {
            writes.push(table.update_write(joining(tenant, member, memberships))?);
        }
        for (member, memberships) in &change.leave {
            writes.push(table.update_write(leaving(tenant, member, memberships))?);
        }
        if let Some(member) = &change.delete_member {
            writes.push(table.delete_write(&keys::member(tenant, member), None)?);
        }
        if let Some(prepared) = &change.prepared {
            let whole = Condition::All(vec![Condition::Present("pk"), Condition::Absent("is_given_up")]);
            writes.push(table.delete_write(&keys::unused_memberships(tenant, prepared), Some(whole))?);
        }
        if let Some(unused) = &change.unused {
            let attributes = items::write("list of memberships", unused)?;
            let key = keys::unused_memberships(tenant, &unused.membership);
            writes.push(table.put_write(items::with_key(attributes, &key), None)?);
        }
        let claim_index = writes.len();
        if let Some(claim) = &change.claim {
            writes.push(self.claim_write(tenant, claim)?);
        }
        let outcome = table.transact(writes).await?;
        match (&outcome, outcome.refused(claim_index)) {
            (Transacted::Yes, _) => Ok(AccessOutcome::Done),
            (Transacted::No(_), Some(refused)) => Ok(AccessOutcome::Replayed(replay_of(refused)?)),
            (Transacted::No(_), None) => Ok(AccessOutcome::Moved),
        }
    }
}

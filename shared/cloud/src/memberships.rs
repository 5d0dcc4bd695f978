//! The memberships at members' items, written beside those that count.
//!
//! Each has the generation of one list of a group's members. Which generation counts says the tenant's
//! record of rights, so that all of a list comes into force, or goes out of it, in one write. What does not
//! count is on record from before the first of it is written until the last is taken out.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use oubli_domain::rights::Membership;
use oubli_domain::{MemberId, TenantId};
use serde::{Deserialize, Serialize};

use crate::connect::Cloud;
use crate::error::CloudError;
use crate::expression::{Condition, Update, text};
use crate::items;
use crate::keys;
use crate::pauses::Pauses;
use crate::table::{Query, Written};

/// The attribute of a member's item: a set of texts.
pub(crate) const MEMBERSHIPS: &str = "memberships";
/// How many members are written to at once. They share a partition, which takes 1,000 writes a second.
const AT_ONCE: usize = 8;

/// A list of a group's members that does not count: not yet, or no longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnusedMemberships {
    /// What each of them has.
    pub membership: Membership,
    /// Who they are.
    pub member_ids: BTreeSet<MemberId>,
    /// From when on everybody may take it for left over.
    pub clear_from: Timestamp,
}

impl Cloud {
    /// Writes the memberships of a list that is to come into force. `false`: somebody on it is no member.
    ///
    /// # Errors
    /// [`CloudError`] when DynamoDB fails; as all methods here.
    pub async fn prepare_memberships(
        &self,
        tenant: &TenantId,
        list: &UnusedMemberships,
    ) -> Result<bool, CloudError> {
        let record = Update::of(keys::unused_memberships(tenant, &list.membership))
            .set("membership", text(&list.membership))
            .set("member_ids", items::write_value("members", &list.member_ids)?)
            .set("clear_from", items::write_value("instant", &list.clear_from)?);
        self.requests.update(record).await?;
        self.join(tenant, &list.membership, &list.member_ids).await
    }

    /// Writes a membership to these members. `false`: one of them is no member.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn join(
        &self,
        tenant: &TenantId,
        membership: &Membership,
        members: &BTreeSet<MemberId>,
    ) -> Result<bool, CloudError> {
        let to_all = members.iter().map(|member| joining(tenant, member, [membership]));
        self.write_to_members(to_all.collect()).await
    }

    /// Takes a list that does not count out of its members' items, and then off the record. One that came
    /// into force meanwhile is left alone, and can come into force no more when this has begun.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn clear_memberships(
        &self,
        tenant: &TenantId,
        list: &UnusedMemberships,
    ) -> Result<(), CloudError> {
        let key = keys::unused_memberships(tenant, &list.membership);
        let given_up = Update::of(key.clone())
            .set("is_given_up", aws_sdk_dynamodb::types::AttributeValue::Bool(true))
            .when(Condition::Present("pk"));
        if let Written::No(_) = self.requests.update(given_up).await? {
            return Ok(());
        }
        let members = list.member_ids.iter();
        let from_all = members.map(|member| leaving(tenant, member, [&list.membership]));
        self.write_to_members(from_all.collect()).await?;
        self.requests.delete(&key).await
    }

    /// The lists of a tenant that do not count.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn unused_memberships(&self, tenant: &TenantId) -> Result<Vec<UnusedMemberships>, CloudError> {
        let query = Query::beginning(keys::tenant_partition(tenant), keys::UNUSED_MEMBERSHIPS_PREFIX);
        let found = self.requests.query_all(query).await?.into_iter();
        found
            .map(|attributes| items::read("list of memberships", attributes))
            .collect()
    }

    /// Writes to members, some at once; whether all were there.
    async fn write_to_members(&self, updates: Vec<Update>) -> Result<bool, CloudError> {
        let writes = stream::iter(updates).map(|update| self.write_to_member(update));
        let written = writes.buffer_unordered(AT_ONCE);
        written.try_fold(true, async |all, one| Ok(all && one)).await
    }

    async fn write_to_member(&self, update: Update) -> Result<bool, CloudError> {
        let mut pauses = Pauses::of("UpdateItem");
        loop {
            match self.requests.update(update.clone()).await {
                Ok(written) => return Ok(matches!(written, Written::Yes(_))),
                Err(error) if error.is_throttling() => pauses.next().await?,
                Err(error) => return Err(error),
            }
        }
    }
}

/// Adds memberships to a member who is there.
pub(crate) fn joining<'a>(
    tenant: &TenantId,
    member: &MemberId,
    memberships: impl IntoIterator<Item = &'a Membership>,
) -> Update {
    let texts = memberships.into_iter().map(ToString::to_string).collect();
    Update::of(keys::member(tenant, member))
        .insert(MEMBERSHIPS, texts)
        .when(Condition::Present("pk"))
}

/// Takes memberships from a member who is there.
pub(crate) fn leaving<'a>(
    tenant: &TenantId,
    member: &MemberId,
    memberships: impl IntoIterator<Item = &'a Membership>,
) -> Update {
    let texts = memberships.into_iter().map(ToString::to_string).collect();
    Update::of(keys::member(tenant, member))
        .take_out(MEMBERSHIPS, texts)
        .when(Condition::Present("pk"))
}

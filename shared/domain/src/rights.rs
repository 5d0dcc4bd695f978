//! What the members of a tenant may do, as it is read at every call: from the member's memberships and one
//! record of what all groups give.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::group::{Group, Right};
use crate::ids::{GenerationId, GroupId, IdError};

/// That a member is in a group, by one list of the group's members. It counts while that list is in force.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Membership {
    /// The group.
    pub group_id: GroupId,
    /// The list.
    pub generation: GenerationId,
}

impl fmt::Display for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.group_id, self.generation)
    }
}

impl From<Membership> for String {
    fn from(membership: Membership) -> Self {
        membership.to_string()
    }
}

impl TryFrom<String> for Membership {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        // No id is empty: without a `#` the generation is refused.
        let (group, generation) = text.split_once('#').unwrap_or((&text, ""));
        Ok(Self {
            group_id: GroupId::parse(group)?,
            generation: GenerationId::parse(generation)?,
        })
    }
}

/// What one group gives, and to how many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRights {
    /// What its members may do.
    pub rights: BTreeSet<Right>,
    /// The list of members that is in force.
    pub generation: GenerationId,
    /// How many members that list has.
    pub members: u64,
}

/// What all groups of a tenant give. Its size does not depend on how many members there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantRights {
    /// Each group.
    pub groups: BTreeMap<GroupId, GroupRights>,
    /// Whether every group of the tenant is here, with memberships written to its members. It is not while a
    /// tenant is brought over from the earlier form, in which groups alone named their members.
    pub is_complete: bool,
}

impl TenantRights {
    /// Those of a tenant without groups.
    pub fn none() -> Self {
        Self {
            groups: BTreeMap::new(),
            is_complete: true,
        }
    }

    /// The membership that counts in a group, if there is the group.
    pub fn membership(&self, group: &GroupId) -> Option<Membership> {
        self.groups.get(group).map(|found| Membership {
            group_id: group.clone(),
            generation: found.generation.clone(),
        })
    }

    /// Whether a membership counts.
    pub fn counts(&self, membership: &Membership) -> bool {
        self.groups
            .get(&membership.group_id)
            .is_some_and(|found| found.generation == membership.generation)
    }

    /// What a member with these memberships may do: the rights of all its groups.
    pub fn of_member(&self, memberships: &BTreeSet<Membership>) -> BTreeSet<Right> {
        let counting = memberships.iter().filter(|membership| self.counts(membership));
        let groups = counting.filter_map(|membership| self.groups.get(&membership.group_id));
        groups.flat_map(|group| group.rights.iter().copied()).collect()
    }

    /// Whether somebody can administer the tenant.
    pub fn has_administrator(&self) -> bool {
        let mut groups = self.groups.values();
        groups.any(|group| group.rights.contains(&Right::Administration) && group.members > 0)
    }

    /// As they are when a group that is known has become this one, in the same list of members or another.
    #[must_use]
    pub fn with(&self, group: &Group) -> Self {
        let mut changed = self.clone();
        if let Some(found) = self.groups.get(&group.id) {
            changed.put(group, found.generation.clone());
        }
        changed
    }

    /// As they are when each of these groups has one member less.
    #[must_use]
    pub fn without_one_of(&self, groups: &BTreeSet<GroupId>) -> Self {
        let mut changed = self.clone();
        for id in groups {
            if let Some(found) = changed.groups.get_mut(id) {
                found.members = found.members.saturating_sub(1);
            }
        }
        changed
    }

    /// Enters or replaces what a group gives, with the list of its members that is in force.
    pub fn put(&mut self, group: &Group, generation: GenerationId) {
        let given = GroupRights {
            rights: group.rights.clone(),
            generation,
            members: group.member_ids.len() as u64,
        };
        self.groups.insert(group.id.clone(), given);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::MemberId;

    fn group(id: &str, rights: &[Right], members: &[&str]) -> Group {
        Group {
            id: GroupId::parse(id).unwrap(),
            name: "g".into(),
            rights: rights.iter().copied().collect(),
            member_ids: members.iter().map(|id| MemberId::parse(*id).unwrap()).collect(),
            version: 1,
        }
    }

    fn membership(text: &str) -> Membership {
        Membership::try_from(text.to_owned()).unwrap()
    }

    fn generation(text: &str) -> GenerationId {
        GenerationId::parse(text).unwrap()
    }

    #[test]
    fn rights_add_up_over_the_lists_in_force() {
        let mut rights = TenantRights::none();
        rights.put(&group("a", &[Right::Dossiers], &["m", "n"]), generation("1"));
        rights.put(&group("b", &[Right::Administration], &["m"]), generation("7"));
        let of = |texts: &[&str]| rights.of_member(&texts.iter().map(|text| membership(text)).collect());
        assert_eq!(
            of(&["a#1", "b#7"]),
            BTreeSet::from([Right::Administration, Right::Dossiers])
        );
        assert_eq!(of(&["a#1", "b#6", "b#8"]), BTreeSet::from([Right::Dossiers]));
        assert!(of(&["c#1", "a#7"]).is_empty());
    }

    #[test]
    fn an_empty_group_administers_nothing() {
        let mut rights = TenantRights::none();
        rights.put(&group("a", &[Right::Administration], &[]), generation("1"));
        rights.put(&group("b", &[Right::Dossiers], &["m"]), generation("1"));
        assert!(!rights.has_administrator());
        rights.put(&group("a", &[Right::Administration], &["m"]), generation("1"));
        assert!(rights.has_administrator());
    }

    #[test]
    fn a_membership_is_read_as_it_is_written() {
        assert_eq!(membership("a#1").to_string(), "a#1");
        for wrong in ["", "a", "a#", "#1", "a#1#2"] {
            assert!(Membership::try_from(wrong.to_owned()).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_most_groups_there_are_take_little_room() {
        let mut rights = TenantRights::none();
        for number in 0..90 {
            let id = format!("{number:032}");
            rights.put(&group(&id, &Right::ALL, &["m"]), generation(&id));
        }
        let bytes = serde_json::to_vec(&rights).unwrap().len();
        assert!(bytes < 24 * 1024, "{bytes}");
    }
}

//! Security groups and the rights that they give.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::ids::{GroupId, MemberId};

/// Most members of a group; its item must stay well below DynamoDB's 400 KB.
pub const MAX_GROUP_MEMBERS: usize = 2_000;

/// Most groups of a tenant: one transaction takes a member out of all of them.
pub const MAX_GROUPS: usize = 90;

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// Members and groups.
    Administration,
    /// Contacts, data actions and archives.
    ClientContactsPrivacy,
    /// The tenant's privacy settings.
    PrivacySettings,
    /// Dossiers.
    Dossiers,
    /// Privacy requests.
    PrivacyRequests,
}

impl Right {
    /// Every right there is.
    pub const ALL: [Self; 5] = [
        Self::Administration,
        Self::ClientContactsPrivacy,
        Self::PrivacySettings,
        Self::Dossiers,
        Self::PrivacyRequests,
    ];

    /// The right's stable code, as the API writes it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Administration => "administration",
            Self::ClientContactsPrivacy => "client_contacts_privacy",
            Self::PrivacySettings => "privacy_settings",
            Self::Dossiers => "dossiers",
            Self::PrivacyRequests => "privacy_requests",
        }
    }

    /// Reads a code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|right| right.code() == code)
    }
}

/// A group: rights, and the members who have them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Which.
    pub id: GroupId,
    /// Display name.
    pub name: String,
    /// What its members may do.
    pub rights: BTreeSet<Right>,
    /// Who they are.
    pub member_ids: BTreeSet<MemberId>,
    /// Grows by one with every change.
    pub version: u64,
}

impl Group {
    /// About as many bytes as it takes in JSON, and in the table. Ids need no escaping there.
    pub fn json_bytes(&self) -> usize {
        let ids = self.member_ids.iter().map(|id| id.as_str().len() + 4);
        ids.sum::<usize>() + 6 * self.name.len() + 400
    }
}

/// A member has the rights of all its groups. For tenants whose members have no memberships written to them
/// yet ([`crate::rights::TenantRights::is_complete`]).
pub fn rights_of(member: &MemberId, groups: &[Group]) -> BTreeSet<Right> {
    let own = groups.iter().filter(|group| group.member_ids.contains(member));
    own.flat_map(|group| group.rights.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(rights: &[Right], members: &[&str]) -> Group {
        Group {
            id: GroupId::parse("g").unwrap(),
            name: "g".into(),
            rights: rights.iter().copied().collect(),
            member_ids: members.iter().map(|id| MemberId::parse(*id).unwrap()).collect(),
            version: 1,
        }
    }

    #[test]
    fn rights_add_up() {
        let groups = [
            group(&[Right::Dossiers], &["a", "b"]),
            group(&[Right::Administration], &["a"]),
            group(&[Right::PrivacySettings], &["c"]),
        ];
        let a = rights_of(&MemberId::parse("a").unwrap(), &groups);
        assert_eq!(a, BTreeSet::from([Right::Administration, Right::Dossiers]));
        assert!(rights_of(&MemberId::parse("z").unwrap(), &groups).is_empty());
    }

    #[test]
    fn codes_are_what_serde_writes() {
        for right in Right::ALL {
            assert_eq!(serde_json::to_value(right).unwrap(), right.code());
            assert_eq!(Right::from_code(right.code()), Some(right));
        }
    }
}

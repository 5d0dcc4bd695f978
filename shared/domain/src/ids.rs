//! Typed identifiers: opaque strings that name nothing and nobody.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a text is not an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Empty, or longer than the kind allows.
    #[error("an id has 1 to {max} characters")]
    Length {
        /// The longest allowed, in bytes.
        max: usize,
    },
    /// A character that the kind does not allow.
    #[error("an id holds only letters, digits and `{allowed}`")]
    Character {
        /// What is allowed besides ASCII letters and digits.
        allowed: &'static str,
    },
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $max:literal, $allowed:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Reads an identifier from text.
            ///
            /// # Errors
            /// [`IdError`] when the text is empty, too long, or has another character.
            pub fn parse(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                if text.is_empty() || text.len() > $max {
                    return Err(IdError::Length { max: $max });
                }
                let fits = |c: char| c.is_ascii_alphanumeric() || $allowed.contains(c);
                if !text.chars().all(fits) {
                    return Err(IdError::Character { allowed: $allowed });
                }
                Ok(Self(text))
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
    ($(#[$doc:meta])* $name:ident, generated) => {
        id!($(#[$doc])* $name, 64, "-_");

        impl From<uuid::Uuid> for $name {
            fn from(id: uuid::Uuid) -> Self {
                Self(id.simple().to_string())
            }
        }
    };
}

id!(
    /// One company's closed environment. It is a key prefix: only a verified token may produce it.
    TenantId, 40, "-_"
);
id!(
    /// A person who works for the tenant: the `sub` of the staff token.
    MemberId, 128, "-_.:|"
);
id!(
    /// An entry of a tenant's audit.
    AuditEntryId, generated
);
id!(
    /// A security group of a tenant.
    GroupId, generated
);
id!(
    /// One list of a group's members. A list that is written beside the one in force has another.
    GenerationId, generated
);
id!(
    /// A contact of a tenant.
    ContactId, generated
);
id!(
    /// A document of a contact.
    DocumentId, generated
);
id!(
    /// A data action: one run of export, anonymise or restore.
    ActionId, generated
);
id!(
    /// An archive: the ZIP of one contact.
    ArchiveId, generated
);
id!(
    /// A saved archive that a member sends back.
    UploadId, generated
);
id!(
    /// What one item of an action is about: a contact, or for a restore an archive or an upload.
    ItemId, generated
);
id!(
    /// One try at a piece of work. Completion is conditional on it.
    AttemptId, generated
);
id!(
    /// One mail to be sent once.
    MailId, generated
);

macro_rules! item {
    ($($name:ident)*) => {$(
        impl From<$name> for ItemId {
            fn from(id: $name) -> Self {
                Self(id.0)
            }
        }

        impl From<ItemId> for $name {
            fn from(id: ItemId) -> Self {
                Self(id.0)
            }
        }
    )*};
}
item!(ContactId ArchiveId UploadId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_refuse_what_could_leave_their_place_in_a_key() {
        for wrong in ["", "a#b", "a/b", "é", "a b", "../x", &"x".repeat(65)] {
            assert!(ContactId::parse(wrong).is_err(), "{wrong:?}");
        }
        assert!(MemberId::parse("auth0|5f7c8ec7").is_ok());
        assert!(MemberId::parse("someone@example.com").is_err());
    }
}

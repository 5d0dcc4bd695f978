//! Members: the people who work for a tenant.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::email::Email;
use crate::field_error::FieldErrors;
use crate::ids::MemberId;
use crate::personal::Personal;
use crate::text::parse_line;

/// A person who works for the tenant and signs in to its front end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The `sub` of the member's token.
    pub id: MemberId,
    /// Display name.
    pub name: Personal<String>,
    /// Where mails go.
    pub email: Personal<Email>,
    /// When the member was entered.
    pub created_at: Timestamp,
}

/// What a request says of a member, before it is judged.
#[derive(Clone, Debug)]
pub struct MemberDraft {
    /// Display name.
    pub name: String,
    /// E-mail address.
    pub email: String,
}

impl MemberDraft {
    /// Judges the fields.
    ///
    /// # Errors
    /// All that is wrong, each with its pointer.
    pub fn parse(self) -> Result<(Personal<String>, Personal<Email>), FieldErrors> {
        let mut errors = FieldErrors::default();
        let name = errors.take("/name", parse_line(&self.name, 200));
        let email = errors.take("/email", Email::parse(&self.email));
        // Mails go through SES, which takes ASCII alone (a domain as Punycode, RFC 3492).
        if email.as_ref().is_some_and(|email| !email.as_str().is_ascii()) {
            errors.push(
                "/email",
                "must be in ASCII; a domain with other letters is written as Punycode",
            );
        }
        match (name, email) {
            (Some(name), Some(email)) if errors.as_slice().is_empty() => Ok((name.into(), email.into())),
            _ => Err(errors),
        }
    }
}

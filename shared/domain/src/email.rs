//! E-mail addresses, as far as a server should judge them.

use serde::{Deserialize, Serialize};

use crate::contact::MASK;

/// Why a text is not an e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an e-mail address, such as `name@example.com`")]
pub struct EmailError;

/// An e-mail address in the form `local@domain` (RFC 5321, section 4.1.2, without quoted local
/// parts and address literals), as it was given. At most 254 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Email(String);

impl std::fmt::Debug for Email {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Email(redacted)")
    }
}

impl Email {
    /// Reads an address.
    ///
    /// # Errors
    /// [`EmailError`] when it cannot be one.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@').ok_or(EmailError)?;
        let local_fits = !local.is_empty()
            && local.len() <= 64
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..")
            && local.chars().all(|c| {
                c.is_ascii_alphanumeric()
                    || "!#$%&'*+-/=?^_`{|}~.".contains(c)
                    || (!c.is_ascii() && c.is_alphanumeric())
            });
        let label_fits = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c == '-' || c.is_alphanumeric())
        };
        let domain_fits = domain.contains('.') && domain.split('.').all(label_fits);
        if text.len() <= 254 && local_fits && domain_fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(EmailError)
        }
    }

    /// What stands in the place of an address that is gone. It is none, and nobody can enter it.
    pub fn masked() -> Self {
        Self(MASK.to_owned())
    }

    /// Whether it stands in the place of an address that is gone.
    pub fn is_mask(&self) -> bool {
        self.0 == MASK
    }

    /// The address as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address by which two are the same mailbox for every practical purpose: lower case.
    pub fn normalised(&self) -> String {
        self.0.to_lowercase()
    }
}

/// What is stored was judged when it was entered, by the rules of that day, and is read as it is.
impl From<String> for Email {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("chloe.lefevre@example.fr")]
    #[case("o'brien+news@sub.example.co.uk")]
    #[case("élodie@exämple.fr")]
    fn accepts(#[case] text: &str) {
        assert_eq!(Email::parse(text).unwrap().as_str(), text);
    }

    #[rstest]
    #[case("")]
    #[case("nobody")]
    #[case("@example.com")]
    #[case("a@b")]
    #[case("a b@example.com")]
    #[case("a@exa mple.com")]
    #[case("a..b@example.com")]
    #[case("a@-example.com")]
    #[case("a@example..com")]
    #[case("a\r\nBcc: x@example.com")]
    #[case("XXXXX")]
    fn refuses(#[case] text: &str) {
        assert!(Email::parse(text).is_err());
    }

    #[test]
    fn what_was_entered_under_older_rules_can_still_be_read() {
        let stored: Email = serde_json::from_value("nobody".into()).unwrap();
        assert_eq!(stored.as_str(), "nobody");
    }
}

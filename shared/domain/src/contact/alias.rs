//! What stands in the place of a name that is gone.

use std::fmt;

use uuid::Uuid;

/// What a personal text becomes.
pub const MASK: &str = "XXXXX";

/// The number that tells anonymised contacts of a tenant apart. It is drawn at random and reserved, so it
/// is unique, and says nothing: not the record's id, not when or in which order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Alias(u64);

impl Alias {
    /// The first name of an anonymised contact.
    pub fn first_name(&self) -> String {
        format!("{MASK}_{self}")
    }
}

impl From<Uuid> for Alias {
    /// Takes the 32 lowest bits: those above them may count within a millisecond (RFC 9562, section 6.2).
    fn from(uuid: Uuid) -> Self {
        let (_, low) = uuid.as_u64_pair();
        Self(low & 0xFFFF_FFFF)
    }
}

/// The number in hexadecimal.
impl fmt::Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_in_an_id_does_not_show() {
        let id = Uuid::parse_str("0190163d-8694-739b-aea5-966c26f8ad90").unwrap();
        assert_eq!(Alias::from(id).first_name(), "XXXXX_26F8AD90");
    }
}

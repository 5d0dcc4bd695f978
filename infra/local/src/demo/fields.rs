//! Fields of a contact, as the demo data writes them down.

use std::collections::BTreeMap;

use oubli_domain::contact::{Address, Business};
use serde_json::Value;

/// A text that is there.
pub(super) fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// An address with all its parts.
pub(super) fn address(lines: &[&str], postal_code: &str, city: &str, country: &str) -> Option<Address> {
    Some(Address {
        lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        postal_code: some(postal_code),
        city: some(city),
        country: some(country),
    })
}

/// Fields of the tenant's own.
pub(super) fn custom<const N: usize>(fields: [(&str, Value); N]) -> Option<BTreeMap<String, Value>> {
    Some(
        fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}

/// Counts of business.
pub(super) fn business(opportunities: u32, proposals: u32, deals: u32) -> Business {
    Business {
        opportunities,
        proposals,
        deals,
    }
}

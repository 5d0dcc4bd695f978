//! People of whom every personal field bears a mark of its own.

use oubli_domain::contact::{FIELDS, Fate, Field};
use serde_json::{Value, json};

use crate::witnesses::{MARK, is_marked};

/// A mark that no other field of anybody has.
pub(super) fn mark(person: usize, field: &str) -> String {
    format!("{MARK}{person:02}x{field}")
}

/// One of them, as they are entered.
pub(super) fn person(number: usize) -> Value {
    let mark = |field: &str| mark(number, field);
    json!({
        "last_name": mark("last"),
        "first_name": mark("first"),
        "job_title": mark("job"),
        "email": format!("{}@{}.example", mark("mail"), mark("domain")),
        "phone": format!("+98 765 011 223 {number:02}"),
        "mobile": format!("+98.765.011.223.{number:02}"),
        "address": {
            "lines": [mark("line"), mark("other line")],
            "postal_code": mark("75"),
            "city": mark("city"),
            "country": mark("land")
        },
        "notes": format!("{}\n\t{}", mark("note"), mark("other note")),
        // The names of these are the tenant's own words, and stay.
        "custom_fields": { "Pointure": mark("custom"), "Carte": 9_876_501_122_300_u64 + number as u64 },
        "assigned_to": "agent",
        "business": { "opportunities": 3, "proposals": 2, "deals": 1 }
    })
}

#[test]
fn every_personal_field_is_marked() {
    let (one, other) = (person(0), person(1));
    for field in FIELDS.iter().filter(|field| field.fate != Fate::Kept) {
        // Documents, this one among them, are marked by their names and bytes.
        if field.field == Field::PhotoDocumentId {
            continue;
        }
        let value = one[field.name].to_string();
        assert!(is_marked(&value), "{}: {value}", field.name);
        assert_ne!(value, other[field.name].to_string(), "{}", field.name);
    }
}

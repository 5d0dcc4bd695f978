//! Contacts: what a tenant holds about a client.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::archive::ArchiveStamp;
use crate::email::Email;
use crate::field_error::FieldErrors;
use crate::ids::{ContactId, DocumentId, MemberId, TenantId};
use crate::personal::Personal;
use crate::phone::parse_phone;
use crate::reason::Reason;
use crate::search::{NAME_SEPARATOR, fold};
use crate::text::{parse_line, parse_lines};

/// Longest last name and first name, in characters.
pub const MAX_NAME_CHARACTERS: usize = 200;
/// Longest single line elsewhere (job title, address line, city), in characters.
pub const MAX_LINE_CHARACTERS: usize = 300;
/// Most lines of an address.
pub const MAX_ADDRESS_LINES: usize = 6;
/// Most custom fields of a contact.
pub const MAX_CUSTOM_FIELDS: usize = 200;
/// Longest notes, in characters; what fits here may still pass DynamoDB's limit for the whole.
pub const MAX_NOTES_CHARACTERS: usize = 500_000;
/// What a contact may take as stored, in bytes: DynamoDB's 400 KB for an item, less what the
/// keys and counters around it need.
pub const MAX_STORED_BYTES: usize = 400 * 1024 - 8 * 1024;

/// What a name may take in a sort key: DynamoDB takes 1,024 bytes, for both names and the id.
pub const MAX_KEY_PART_BYTES: usize = 440;

/// Whether the person can still be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContactState {
    /// As entered.
    Active,
    /// The personal values are gone.
    Anonymised,
}

/// A postal address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Street and what stands above it, 1 to 6 lines.
    pub lines: Vec<String>,
    /// Postal code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    /// City.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// Country, by name or code, as entered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
}

/// Counts of the business done with a contact. They name nobody and outlive anonymisation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Business {
    /// Opportunities.
    pub opportunities: u32,
    /// Proposals.
    pub proposals: u32,
    /// Deals.
    pub deals: u32,
}

/// The fields of a contact that a member enters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactFields {
    /// Last name; always there.
    pub last_name: Personal<String>,
    /// First name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_name: Option<Personal<String>>,
    /// Job title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_title: Option<Personal<String>>,
    /// E-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Personal<Email>>,
    /// Telephone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<Personal<String>>,
    /// Mobile telephone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mobile: Option<Personal<String>>,
    /// Postal address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Personal<Address>>,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<Personal<String>>,
    /// Fields of the tenant's own: name → text, number or boolean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_fields: Option<Personal<BTreeMap<String, Value>>>,
    /// The member in charge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_to: Option<MemberId>,
    /// Business counts.
    #[serde(default)]
    pub business: Business,
    /// Which of the contact's documents is the photo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub photo_document_id: Option<DocumentId>,
}

/// A contact as the tenant holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Whose.
    pub tenant_id: TenantId,
    /// Which.
    pub id: ContactId,
    /// Whether the person can still be named.
    pub state: ContactState,
    /// Grows by one with every change of the fields or of the stored documents.
    pub version: u64,
    /// What was entered.
    pub fields: ContactFields,
    /// How many documents are stored.
    pub document_count: u64,
    /// Their bytes.
    pub document_bytes: u64,
    /// The latest archive that was completed, of whichever version.
    pub last_archive: Option<ArchiveStamp>,
    /// When it was entered.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Contact {
    /// The sort key of the list by name: folded last name, then first name.
    pub fn name_key(&self) -> String {
        self.fields.name_key()
    }

    /// Whether an export may begin now.
    ///
    /// # Errors
    /// The reason why not.
    pub fn may_export(&self) -> Result<(), Reason> {
        match self.state {
            ContactState::Active => Ok(()),
            ContactState::Anonymised => Err(Reason::AlreadyAnonymised),
        }
    }
}

/// What a request says of a contact, before it is judged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContactDraft {
    /// Last name.
    pub last_name: String,
    /// First name.
    pub first_name: Option<String>,
    /// Job title.
    pub job_title: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Telephone.
    pub phone: Option<String>,
    /// Mobile telephone.
    pub mobile: Option<String>,
    /// Postal address.
    pub address: Option<Address>,
    /// Free text.
    pub notes: Option<String>,
    /// Fields of the tenant's own.
    pub custom_fields: Option<BTreeMap<String, Value>>,
    /// The member in charge.
    pub assigned_to: Option<String>,
    /// Business counts.
    pub business: Business,
    /// Which document is the photo.
    pub photo_document_id: Option<String>,
}

impl ContactDraft {
    /// Judges every field.
    ///
    /// # Errors
    /// All that is wrong, each with its pointer, in the order of the fields.
    pub fn parse(self) -> Result<ContactFields, FieldErrors> {
        let mut errors = FieldErrors::default();
        let last_name = errors.take("/last_name", parse_line(&self.last_name, MAX_NAME_CHARACTERS));
        let mut line = |pointer: &str, text: Option<String>, max: usize| {
            text.and_then(|text| errors.take(pointer, parse_line(&text, max)))
                .map(Personal::new)
        };
        let first_name = line("/first_name", self.first_name, MAX_NAME_CHARACTERS);
        let job_title = line("/job_title", self.job_title, MAX_LINE_CHARACTERS);
        let email = self
            .email
            .and_then(|text| errors.take("/email", Email::parse(&text)))
            .map(Personal::new);
        let mut phone = |pointer: &str, text: Option<String>| {
            text.and_then(|text| errors.take(pointer, parse_phone(&text)))
                .map(Personal::new)
        };
        let (telephone, mobile) = (phone("/phone", self.phone), phone("/mobile", self.mobile));
        let address = self
            .address
            .map(|address| Personal::new(parse_address(address, &mut errors)));
        let notes = self
            .notes
            .and_then(|text| errors.take("/notes", parse_lines(&text, MAX_NOTES_CHARACTERS)));
        let custom_fields = self.custom_fields.filter(|fields| !fields.is_empty());
        if let Some(fields) = &custom_fields {
            check_custom_fields(fields, &mut errors);
        }
        let assigned_to = self
            .assigned_to
            .and_then(|text| errors.take("/assigned_to", MemberId::parse(text)));
        let photo_document_id = self
            .photo_document_id
            .and_then(|text| errors.take("/photo_document_id", DocumentId::parse(text)));
        errors.into_result()?;
        let Some(last_name) = last_name else {
            return Err(FieldErrors::one("/last_name", "must not be empty"));
        };
        let fields = ContactFields {
            last_name: last_name.into(),
            first_name,
            job_title,
            email,
            phone: telephone,
            mobile,
            address,
            notes: notes.map(Personal::new),
            custom_fields: custom_fields.map(Personal::new),
            assigned_to,
            business: self.business,
            photo_document_id,
        };
        if fields.stored_bytes() > MAX_STORED_BYTES {
            return Err(FieldErrors::one(
                "",
                format!("a contact takes at most {MAX_STORED_BYTES} bytes"),
            ));
        }
        Ok(fields)
    }
}

impl ContactFields {
    /// The sort key of the list by name: folded last name, then first name, each at most
    /// [`MAX_KEY_PART_BYTES`].
    pub fn name_key(&self) -> String {
        let part = |name: &str| {
            let mut folded = fold(name);
            folded.truncate(folded.floor_char_boundary(MAX_KEY_PART_BYTES));
            folded
        };
        let first_name = self
            .first_name
            .as_ref()
            .map(|name| part(name.expose()))
            .unwrap_or_default();
        format!("{}{NAME_SEPARATOR}{first_name}", part(self.last_name.expose()))
    }

    /// An upper estimate of the bytes that the fields take as a DynamoDB item, index keys
    /// included: the size as JSON, which names every field as the item does.
    /// Source: "Item sizes and formats", Amazon DynamoDB Developer Guide.
    pub fn stored_bytes(&self) -> usize {
        serde_json::to_vec(self).map_or(usize::MAX, |json| json.len())
    }

    /// The fields as a draft again: what a partial change starts from.
    pub fn to_draft(&self) -> ContactDraft {
        let text = |value: &Option<Personal<String>>| value.as_ref().map(|value| value.expose().clone());
        ContactDraft {
            last_name: self.last_name.expose().clone(),
            first_name: text(&self.first_name),
            job_title: text(&self.job_title),
            email: self
                .email
                .as_ref()
                .map(|email| email.expose().as_str().to_owned()),
            phone: text(&self.phone),
            mobile: text(&self.mobile),
            address: self.address.as_ref().map(|address| address.expose().clone()),
            notes: text(&self.notes),
            custom_fields: self.custom_fields.as_ref().map(|fields| fields.expose().clone()),
            assigned_to: self.assigned_to.as_ref().map(|id| id.as_str().to_owned()),
            business: self.business,
            photo_document_id: self.photo_document_id.as_ref().map(|id| id.as_str().to_owned()),
        }
    }
}

fn parse_address(address: Address, errors: &mut FieldErrors) -> Address {
    if address.lines.is_empty() || address.lines.len() > MAX_ADDRESS_LINES {
        errors.push(
            "/address/lines",
            format!("must hold 1 to {MAX_ADDRESS_LINES} lines"),
        );
    }
    let mut line = |pointer: &str, text: &str| errors.take(pointer, parse_line(text, MAX_LINE_CHARACTERS));
    let lines = address.lines.iter().enumerate();
    let lines = lines
        .filter_map(|(index, text)| line(&format!("/address/lines/{index}"), text))
        .collect();
    let mut part = |pointer: &str, text: Option<String>| text.and_then(|text| line(pointer, &text));
    Address {
        lines,
        postal_code: part("/address/postal_code", address.postal_code),
        city: part("/address/city", address.city),
        country: part("/address/country", address.country),
    }
}

fn check_custom_fields(fields: &BTreeMap<String, Value>, errors: &mut FieldErrors) {
    if fields.len() > MAX_CUSTOM_FIELDS {
        errors.push(
            "/custom_fields",
            format!("must hold at most {MAX_CUSTOM_FIELDS} fields"),
        );
    }
    for (name, value) in fields {
        let pointer = format!("/custom_fields/{}", name.replace('~', "~0").replace('/', "~1"));
        if let Err(error) = parse_line(name, MAX_LINE_CHARACTERS) {
            errors.push(&pointer, format!("the name {error}"));
        }
        match value {
            Value::String(_) | Value::Bool(_) => {}
            Value::Number(number) => {
                // DynamoDB keeps 38 digits, which is more than any of JSON's here has, but magnitudes from
                // 1E-130 to 9.9E+125 only ("Data types", Amazon DynamoDB Developer Guide).
                let magnitude = number.as_f64().map_or(f64::INFINITY, f64::abs);
                if magnitude != 0.0 && !(1e-130..1e125).contains(&magnitude) {
                    errors.push(
                        &pointer,
                        "must be 0, or a number of a magnitude from 1E-130 to 1E+125",
                    );
                }
            }
            Value::Null | Value::Array(_) | Value::Object(_) => {
                errors.push(&pointer, "must be a text, a number or a boolean");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn draft() -> ContactDraft {
        ContactDraft {
            last_name: "Lefèvre".into(),
            first_name: Some("Chloé".into()),
            ..Default::default()
        }
    }

    #[test]
    fn a_name_is_enough() {
        let fields = ContactDraft {
            last_name: " Lefèvre ".into(),
            ..Default::default()
        }
        .parse()
        .unwrap();
        assert_eq!(fields.last_name.expose(), "Lefèvre");
        assert_eq!(fields.name_key(), "lefevre\t");
    }

    #[rstest]
    #[case("/last_name", ContactDraft { last_name: " ".into(), ..draft() })]
    #[case("/first_name", ContactDraft { first_name: Some("a\u{0}b".into()), ..draft() })]
    #[case("/email", ContactDraft { email: Some("nobody".into()), ..draft() })]
    #[case("/phone", ContactDraft { phone: Some("call me".into()), ..draft() })]
    #[case("/mobile", ContactDraft { mobile: Some("1".into()), ..draft() })]
    #[case("/address/lines", ContactDraft { address: Some(Address { lines: vec![], postal_code: None, city: None, country: None }), ..draft() })]
    #[case("/address/lines/1", ContactDraft { address: Some(Address { lines: vec!["1 rue A".into(), String::new()], postal_code: None, city: None, country: None }), ..draft() })]
    #[case("/custom_fields/a~1b", ContactDraft { custom_fields: Some(BTreeMap::from([("a/b".into(), Value::Null)])), ..draft() })]
    #[case("/custom_fields/a", ContactDraft { custom_fields: Some(BTreeMap::from([("a".into(), Value::from(1e126))])), ..draft() })]
    #[case("/custom_fields/a", ContactDraft { custom_fields: Some(BTreeMap::from([("a".into(), Value::from(-1e-131))])), ..draft() })]
    #[case("/assigned_to", ContactDraft { assigned_to: Some("a b".into()), ..draft() })]
    #[case("/photo_document_id", ContactDraft { photo_document_id: Some("../x".into()), ..draft() })]
    #[case("", ContactDraft { notes: Some("x".repeat(MAX_STORED_BYTES)), ..draft() })]
    fn what_cannot_be_is_refused_with_its_pointer(#[case] pointer: &str, #[case] draft: ContactDraft) {
        let errors = draft.parse().unwrap_err();
        assert_eq!(errors.as_slice().len(), 1, "{errors}");
        assert_eq!(errors.as_slice()[0].pointer, pointer);
    }

    #[test]
    fn the_longest_names_fit_a_sort_key() {
        // This one letter is eighteen when folded (NFKD).
        let name = "\u{fdfa}".repeat(MAX_NAME_CHARACTERS);
        let fields = ContactDraft {
            last_name: name.clone(),
            first_name: Some(name),
            ..Default::default()
        };
        let key = fields.parse().unwrap().name_key();
        assert!(key.len() > MAX_KEY_PART_BYTES && key.len() <= 2 * MAX_KEY_PART_BYTES + 1);
    }

    #[test]
    fn fields_survive_the_way_through_a_draft() {
        let fields = ContactDraft {
            email: Some("chloe@example.fr".into()),
            phone: Some("+33 1 23 45 67 89".into()),
            address: Some(Address {
                lines: vec!["1 rue A".into()],
                postal_code: Some("75001".into()),
                city: None,
                country: None,
            }),
            notes: Some("two\nlines".into()),
            custom_fields: Some(BTreeMap::from([("shoe size".into(), Value::from(42))])),
            assigned_to: Some("agent".into()),
            ..draft()
        }
        .parse()
        .unwrap();
        assert_eq!(fields.to_draft().parse().unwrap(), fields);
    }
}

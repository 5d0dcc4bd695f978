//! What a request says of a contact, judged field by field.

use std::collections::BTreeMap;

use serde_json::Value;

use super::fields::{Address, Business, ContactFields};
use super::{
    MAX_ADDRESS_LINES, MAX_CUSTOM_FIELDS, MAX_LINE_CHARACTERS, MAX_NAME_CHARACTERS, MAX_NOTES_CHARACTERS,
    MAX_STORED_BYTES,
};
use crate::email::Email;
use crate::field_error::FieldErrors;
use crate::ids::{DocumentId, MemberId};
use crate::personal::Personal;
use crate::phone::parse_phone;
use crate::text::{parse_line, parse_lines};

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
        fits(fields)
    }

    /// Judges what differs from the fields as they are; the rest stays, whatever was allowed when it was entered.
    ///
    /// # Errors
    /// As [`ContactDraft::parse`], of what was changed, and when the whole takes too much.
    pub fn parse_change(self, before: &ContactFields) -> Result<ContactFields, FieldErrors> {
        let old = before.to_draft();
        let mut changed = self.clone();
        let mut same: Vec<fn(&mut ContactFields, &ContactFields)> = Vec::new();
        macro_rules! leave_out {
            ($($field:ident: $nothing:expr),* $(,)?) => {
                $(if self.$field == old.$field {
                    changed.$field = $nothing;
                    same.push(|to: &mut ContactFields, from: &ContactFields| {
                        to.$field = from.$field.clone();
                    });
                })*
            };
        }
        leave_out!(
            // A name there must be; this one is replaced by the one that there is.
            last_name: "-".to_owned(), first_name: None, job_title: None, email: None, phone: None, mobile: None,
            address: None, notes: None, custom_fields: None, assigned_to: None, photo_document_id: None,
        );
        if let (Some(now), Some(old)) = (&mut changed.custom_fields, &old.custom_fields) {
            let count = now.len();
            now.retain(|name, value| old.get(name) != Some(value));
            if count > MAX_CUSTOM_FIELDS && count > old.len() {
                return Err(too_many_custom_fields());
            }
        }
        let mut fields = changed.parse()?;
        for keep in same {
            keep(&mut fields, before);
        }
        if self.custom_fields != old.custom_fields {
            let all = self.custom_fields.filter(|fields| !fields.is_empty());
            fields.custom_fields = all.map(Personal::new);
        }
        fits(fields)
    }
}

/// Fields that are not too much for one item of the table.
fn fits(fields: ContactFields) -> Result<ContactFields, FieldErrors> {
    if fields.stored_bytes() > MAX_STORED_BYTES {
        return Err(FieldErrors::one(
            "",
            format!("a contact takes at most {MAX_STORED_BYTES} bytes"),
        ));
    }
    Ok(fields)
}

fn too_many_custom_fields() -> FieldErrors {
    FieldErrors::one(
        "/custom_fields",
        format!("must hold at most {MAX_CUSTOM_FIELDS} fields"),
    )
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
    use super::super::MAX_KEY_PART_BYTES;
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

    /// What no rule of today takes.
    fn entered_long_ago() -> ContactFields {
        let mut fields = ContactDraft {
            custom_fields: Some(BTreeMap::from([("old".into(), Value::from(1))])),
            ..draft()
        }
        .parse()
        .unwrap();
        fields.last_name = Personal::new("x".repeat(MAX_NAME_CHARACTERS + 1));
        fields.email = Some(Personal::new(Email::from("nobody".to_owned())));
        fields.phone = Some(Personal::new("call me".to_owned()));
        fields.custom_fields = Some(Personal::new(BTreeMap::from([(
            "old".into(),
            Value::from(1e130),
        )])));
        fields
    }

    #[test]
    fn a_change_is_judged_by_itself() {
        let before = entered_long_ago();
        let mut draft = before.to_draft();
        draft.mobile = Some("+33 6 12 34 56 78".into());
        draft
            .custom_fields
            .as_mut()
            .unwrap()
            .insert("new".into(), Value::from(2));
        let after = draft.parse_change(&before).unwrap();
        assert_eq!(
            (&after.last_name, &after.email, &after.phone),
            (&before.last_name, &before.email, &before.phone)
        );
        assert_eq!(after.mobile.unwrap().expose(), "+33 6 12 34 56 78");
        assert_eq!(after.custom_fields.unwrap().expose().len(), 2);
    }

    #[rstest]
    #[case("/email", |draft: &mut ContactDraft| draft.email = Some("still nobody".into()))]
    #[case("/last_name", |draft: &mut ContactDraft| draft.last_name = String::new())]
    #[case("/custom_fields/new", |draft: &mut ContactDraft| {
        draft.custom_fields.as_mut().unwrap().insert("new".into(), Value::Null);
    })]
    #[case("/custom_fields", |draft: &mut ContactDraft| {
        let fields = (0..MAX_CUSTOM_FIELDS).map(|number| (format!("n{number}"), Value::from(1)));
        draft.custom_fields.as_mut().unwrap().extend(fields);
    })]
    #[case("", |draft: &mut ContactDraft| draft.notes = Some("x".repeat(MAX_STORED_BYTES)))]
    fn what_is_changed_must_be_as_it_must_be_now(
        #[case] pointer: &str,
        #[case] change: impl FnOnce(&mut ContactDraft),
    ) {
        let before = entered_long_ago();
        let mut draft = before.to_draft();
        change(&mut draft);
        let errors = draft.parse_change(&before).unwrap_err();
        assert_eq!(errors.as_slice()[0].pointer, pointer, "{errors}");
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

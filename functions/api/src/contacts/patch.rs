//! What a request changes of a contact: a JSON Merge Patch (RFC 7396).

use std::collections::BTreeMap;

use oubli_domain::contact::{Address, Business, ContactDraft};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use utoipa::ToSchema;

use crate::input::Object;
use crate::input::body::Input;

/// A member of a merge patch (RFC 7396): left out, `null`, or a value.
type Given<T> = Option<Option<T>>;

fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Given<T>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn merge<T>(target: &mut Option<T>, given: Given<T>) {
    if let Some(value) = given {
        *target = value;
    }
}

/// What changes of a contact: what is left out stays, `null` removes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ContactPatch)]
pub struct ContactPatchBody {
    /// Last name; it cannot be removed.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    last_name: Given<String>,
    /// First name.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    first_name: Given<String>,
    /// Job title.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    job_title: Given<String>,
    /// E-mail address.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    email: Given<String>,
    /// Telephone.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    phone: Given<String>,
    /// Mobile telephone.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    mobile: Given<String>,
    /// Postal address; its parts are merged one by one.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<AddressPatchBody>)]
    address: Given<Object<AddressPatchBody>>,
    /// Free text.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    notes: Given<String>,
    /// Fields of the tenant's own, merged one by one; `null` removes one.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<BTreeMap<String, Value>>)]
    custom_fields: Given<BTreeMap<String, Value>>,
    /// The id of the member in charge.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    assigned_to: Given<String>,
    /// Business counts, merged one by one; `null` is 0.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<BusinessPatchBody>)]
    business: Given<Object<BusinessPatchBody>>,
    /// Which of the contact's documents is the photo.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    photo_document_id: Given<String>,
}

impl Input for ContactPatchBody {
    const IS_MERGE_PATCH: bool = true;
}

/// What changes of a postal address.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AddressPatch)]
pub struct AddressPatchBody {
    /// Street and what stands above it, 1 to 6 lines.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>)]
    lines: Given<Vec<String>>,
    /// Postal code.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    postal_code: Given<String>,
    /// City.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    city: Given<String>,
    /// Country.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    country: Given<String>,
}

/// What changes of the business counts.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BusinessPatch)]
pub struct BusinessPatchBody {
    /// Opportunities.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    opportunities: Given<u32>,
    /// Proposals.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    proposals: Given<u32>,
    /// Deals.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    deals: Given<u32>,
}

impl ContactPatchBody {
    /// Merges the patch into a draft.
    pub fn apply(self, mut draft: ContactDraft) -> ContactDraft {
        if let Some(last_name) = self.last_name {
            // A name that is removed is empty, which no name may be.
            draft.last_name = last_name.unwrap_or_default();
        }
        merge(&mut draft.first_name, self.first_name);
        merge(&mut draft.job_title, self.job_title);
        merge(&mut draft.email, self.email);
        merge(&mut draft.phone, self.phone);
        merge(&mut draft.mobile, self.mobile);
        merge(&mut draft.notes, self.notes);
        merge(&mut draft.assigned_to, self.assigned_to);
        merge(&mut draft.photo_document_id, self.photo_document_id);
        draft.address = match self.address {
            None => draft.address,
            Some(None) => None,
            Some(Some(Object(patch))) => Some(patch.apply(draft.address)),
        };
        draft.custom_fields = match self.custom_fields {
            None => draft.custom_fields,
            Some(None) => None,
            Some(Some(patch)) => Some(merge_fields(draft.custom_fields.unwrap_or_default(), patch)),
        };
        match self.business {
            None => {}
            Some(None) => draft.business = Business::default(),
            Some(Some(Object(patch))) => patch.apply(&mut draft.business),
        }
        draft
    }
}

impl AddressPatchBody {
    fn apply(self, address: Option<Address>) -> Address {
        let none = || Address {
            lines: Vec::new(),
            postal_code: None,
            city: None,
            country: None,
        };
        let mut address = address.unwrap_or_else(none);
        if let Some(lines) = self.lines {
            // As with the last name: an address without lines is refused when it is judged.
            address.lines = lines.unwrap_or_default();
        }
        merge(&mut address.postal_code, self.postal_code);
        merge(&mut address.city, self.city);
        merge(&mut address.country, self.country);
        address
    }
}

impl BusinessPatchBody {
    fn apply(self, business: &mut Business) {
        let merge = |target: &mut u32, given: Given<u32>| {
            if let Some(count) = given {
                *target = count.unwrap_or_default();
            }
        };
        merge(&mut business.opportunities, self.opportunities);
        merge(&mut business.proposals, self.proposals);
        merge(&mut business.deals, self.deals);
    }
}

fn merge_fields(
    mut fields: BTreeMap<String, Value>,
    patch: BTreeMap<String, Value>,
) -> BTreeMap<String, Value> {
    for (name, value) in patch {
        if value.is_null() {
            fields.remove(&name);
        } else {
            fields.insert(name, value);
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contacts::body::NewContactBody;
    use crate::input::json;
    use rstest::rstest;
    use serde_json::json;

    fn draft() -> ContactDraft {
        let body = json!({
            "last_name": "Lefèvre", "first_name": "Chloé", "email": "chloe@example.fr",
            "address": {"lines": ["1 rue A"], "city": "Lyon"},
            "custom_fields": {"a": 1, "b": "two"}, "business": {"deals": 2},
        });
        json::read::<NewContactBody>(body.to_string().as_bytes())
            .map(NewContactBody::into_draft)
            .unwrap_or_default()
    }

    fn patched(patch: Value) -> ContactDraft {
        match json::read::<ContactPatchBody>(patch.to_string().as_bytes()) {
            Ok(patch) => patch.apply(draft()),
            Err(problem) => panic!("{problem:?}"),
        }
    }

    #[test]
    fn a_new_contact_is_read() {
        let draft = draft();
        assert_eq!(draft.last_name, "Lefèvre");
        assert_eq!(
            draft.business,
            Business {
                opportunities: 0,
                proposals: 0,
                deals: 2
            }
        );
        assert!(draft.parse().is_ok());
    }

    #[test]
    fn an_empty_patch_changes_nothing() {
        assert_eq!(patched(json!({})), draft());
        assert_eq!(
            patched(json!({"address": {}, "custom_fields": {}, "business": {}})),
            draft()
        );
    }

    #[test]
    fn values_replace_and_null_removes() {
        let patch = json!({
            "first_name": null, "email": "new@example.fr", "phone": "112",
            "address": {"city": null, "postal_code": "69001"},
            "custom_fields": {"a": null, "c": true}, "business": {"deals": null, "proposals": 4},
        });
        let expected = ContactDraft {
            first_name: None,
            email: Some("new@example.fr".into()),
            phone: Some("112".into()),
            address: Some(Address {
                lines: vec!["1 rue A".into()],
                postal_code: Some("69001".into()),
                city: None,
                country: None,
            }),
            custom_fields: Some(BTreeMap::from([
                ("b".into(), json!("two")),
                ("c".into(), json!(true)),
            ])),
            business: Business {
                opportunities: 0,
                proposals: 4,
                deals: 0,
            },
            ..draft()
        };
        assert_eq!(patched(patch), expected);
        let removed = patched(json!({"address": null, "custom_fields": null, "business": null}));
        assert_eq!(
            (removed.address, removed.custom_fields, removed.business),
            (None, None, Business::default())
        );
    }

    #[rstest]
    #[case(json!({"last_name": null}), "/last_name")]
    #[case(json!({"address": {"lines": null}}), "/address/lines")]
    #[case(json!({"custom_fields": {"a": {"b": 1}}}), "/custom_fields/a")]
    fn what_must_be_there_cannot_be_removed(#[case] patch: Value, #[case] pointer: &str) {
        let errors = patched(patch).parse().unwrap_err();
        assert_eq!(errors.as_slice()[0].pointer, pointer);
    }

    #[rstest]
    #[case(json!({"version": 3}), "/version")]
    #[case(json!({"state": "active"}), "/state")]
    #[case(json!({"address": {"street": "x"}}), "/address/street")]
    #[case(json!({"address": ["x"]}), "/address")]
    #[case(json!({"first_name": 5}), "/first_name")]
    #[case(json!({"custom_fields": []}), "/custom_fields")]
    fn what_does_not_fit_is_named(#[case] patch: Value, #[case] pointer: &str) {
        let problem = json::read::<ContactPatchBody>(patch.to_string().as_bytes())
            .err()
            .unwrap();
        assert_eq!(problem.code().status(), 400);
        assert_eq!(problem.field_errors()[0].pointer, pointer);
    }
}

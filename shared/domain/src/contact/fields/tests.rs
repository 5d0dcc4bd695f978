use super::*;
use crate::contact::ContactDraft;

fn full() -> ContactFields {
    let draft = ContactDraft {
        last_name: "Lefèvre".to_owned(),
        first_name: Some("Chloé".to_owned()),
        job_title: Some("Acheteuse".to_owned()),
        email: Some("chloe@example.fr".to_owned()),
        phone: Some("01 99 00 24 61".to_owned()),
        mobile: Some("06 39 98 17 42".to_owned()),
        address: Some(Address {
            lines: vec!["Bâtiment B".to_owned(), "12 rue des Lilas".to_owned()],
            postal_code: Some("75011".to_owned()),
            city: Some("Paris".to_owned()),
            country: None,
        }),
        notes: Some("Le matin".to_owned()),
        custom_fields: Some(BTreeMap::from([
            ("N°".to_owned(), Value::from(7)),
            ("VIP".to_owned(), Value::from(true)),
        ])),
        assigned_to: Some("agent".to_owned()),
        business: Business {
            opportunities: 1,
            proposals: 2,
            deals: 3,
        },
        photo_document_id: Some("p1".to_owned()),
    };
    draft.parse().unwrap()
}

fn alias() -> Alias {
    Alias::from(uuid::Uuid::from_u64_pair(0, 0xB2))
}

#[test]
fn an_anonymised_contact_shows_nothing_but_its_business() {
    let fields = serde_json::to_value(full().anonymised(&alias())).unwrap();
    let expected = serde_json::json!({
        "last_name": "XXXXX",
        "first_name": "XXXXX_B2",
        "job_title": "XXXXX",
        "email": "XXXXX",
        "phone": "XXXXX",
        "mobile": "XXXXX",
        "address": { "lines": ["XXXXX"], "postal_code": "XXXXX", "city": "XXXXX" },
        "notes": "XXXXX",
        "custom_fields": { "N°": "XXXXX", "VIP": "XXXXX" },
        "assigned_to": "agent",
        "business": { "opportunities": 1, "proposals": 2, "deals": 3 }
    });
    assert_eq!(fields, expected);
    // What is stored of it can be read again.
    let read: ContactFields = serde_json::from_value(fields).unwrap();
    assert_eq!(read, full().anonymised(&alias()));
}

#[test]
fn what_is_absent_stays_absent() {
    let draft = ContactDraft {
        last_name: "Lefèvre".to_owned(),
        ..Default::default()
    };
    let fields = serde_json::to_value(draft.parse().unwrap().anonymised(&alias())).unwrap();
    let business = serde_json::json!({ "opportunities": 0, "proposals": 0, "deals": 0 });
    assert_eq!(
        fields,
        serde_json::json!({ "last_name": "XXXXX", "business": business })
    );
}

#[test]
fn the_table_is_what_is_written() {
    let written = serde_json::to_value(full()).unwrap();
    let written: Vec<_> = written.as_object().unwrap().keys().cloned().collect();
    let mut names: Vec<_> = FIELDS.iter().map(|declared| declared.name.to_owned()).collect();
    names.sort();
    assert_eq!(written, names);
    let least = ContactDraft {
        last_name: "Lefèvre".to_owned(),
        ..Default::default()
    };
    let least = least.parse().unwrap();
    for declared in FIELDS {
        assert!(full().value(declared.field).is_some(), "{}", declared.name);
        let required = declared.presence == Presence::Required;
        assert_eq!(
            least.value(declared.field).is_some(),
            required,
            "{}",
            declared.name
        );
    }
}

//! How a contact is shown.

use std::collections::BTreeMap;

use jiff::Timestamp;
use oubli_domain::action::{ActionKind, ItemState};
use oubli_domain::contact::{Contact, ContactState};
use oubli_domain::email::Email;
use oubli_domain::{Personal, Reason};
use oubli_workflows::{ContactCard, MemberNames, PastAction};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::schema;

/// A contact.
#[derive(Serialize, ToSchema)]
#[schema(as = Contact)]
pub struct ContactView {
    /// Which.
    id: String,
    /// Whether the person can still be named.
    #[schema(schema_with = schema::contact_state)]
    state: ContactState,
    /// Until when an anonymised contact can be restored from the archive that Oubli has of it; absent once
    /// that is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    restorable_until: Option<Timestamp>,
    /// Of an anonymised contact: whether that is over, so that only a saved archive can bring it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed: Option<bool>,
    /// When the archive's file was seen gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    sealed_at: Option<Timestamp>,
    /// Grows with every change; the `ETag` says the same.
    version: u64,
    /// Last name.
    last_name: String,
    /// First name.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_name: Option<String>,
    /// Job title.
    #[serde(skip_serializing_if = "Option::is_none")]
    job_title: Option<String>,
    /// E-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    /// Telephone.
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    /// Mobile telephone.
    #[serde(skip_serializing_if = "Option::is_none")]
    mobile: Option<String>,
    /// Postal address; in the card alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<AddressView>,
    /// Free text; in the card alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    notes: Option<String>,
    /// Fields of the tenant's own; in the card alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_fields: Option<BTreeMap<String, Value>>,
    /// The id of the member in charge.
    #[serde(skip_serializing_if = "Option::is_none")]
    assigned_to: Option<String>,
    /// The name of that member; absent once the member was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    assigned_to_name: Option<String>,
    /// Business counts.
    business: BusinessView,
    /// Which of the contact's documents is the photo.
    #[serde(skip_serializing_if = "Option::is_none")]
    photo_document_id: Option<String>,
    /// The stored documents.
    documents: DocumentTotalsView,
    /// The latest archive that was completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_archive: Option<LastArchiveView>,
    /// When it was entered.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// What can be done with it now.
    actions: PossibleActionsView,
}

/// A postal address.
#[derive(Serialize, ToSchema)]
#[schema(as = Address)]
pub struct AddressView {
    /// Street and what stands above it.
    lines: Vec<String>,
    /// Postal code.
    #[serde(skip_serializing_if = "Option::is_none")]
    postal_code: Option<String>,
    /// City.
    #[serde(skip_serializing_if = "Option::is_none")]
    city: Option<String>,
    /// Country.
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<String>,
}

/// Business counts.
#[derive(Serialize, ToSchema)]
#[schema(as = Business)]
pub struct BusinessView {
    /// Opportunities.
    opportunities: u32,
    /// Proposals.
    proposals: u32,
    /// Deals.
    deals: u32,
}

/// How many documents are stored, and their size.
#[derive(Serialize, ToSchema)]
#[schema(as = DocumentTotals)]
pub struct DocumentTotalsView {
    /// How many.
    count: u64,
    /// Their bytes.
    bytes: u64,
}

/// The latest archive of a contact.
#[derive(Serialize, ToSchema)]
#[schema(as = LastArchive)]
pub struct LastArchiveView {
    /// Which archive.
    id: String,
    /// Of which version of the contact.
    contact_version: u64,
    /// When it ends.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// What can be done with a contact now.
#[derive(Serialize, ToSchema)]
#[schema(as = PossibleActions)]
pub struct PossibleActionsView {
    /// Export.
    export: PossibleView,
    /// Anonymise.
    anonymise: PossibleView,
    /// Restore.
    restore: PossibleView,
}

/// Whether something can be done now, and if not, why.
#[derive(Serialize, ToSchema)]
#[schema(as = Possible)]
pub struct PossibleView {
    /// Whether.
    possible: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::reason, required = false)]
    reason: Option<Reason>,
}

impl<T> From<Result<T, Reason>> for PossibleView {
    fn from(verdict: Result<T, Reason>) -> Self {
        Self {
            possible: verdict.is_ok(),
            reason: verdict.err(),
        }
    }
}

impl ContactView {
    /// Renders a contact as of an instant.
    pub fn new(contact: &Contact, names: &MemberNames, now: Timestamp) -> Self {
        let fields = &contact.fields;
        let assigned_to = fields.assigned_to.as_ref();
        let text = |value: &Option<Personal<String>>| value.as_ref().map(|value| value.expose().clone());
        let address = fields.address.as_ref().map(|address| {
            let address = address.expose();
            AddressView {
                lines: address.lines.clone(),
                postal_code: address.postal_code.clone(),
                city: address.city.clone(),
                country: address.country.clone(),
            }
        });
        let email = |email: &Personal<Email>| email.expose().as_str().to_owned();
        Self {
            id: contact.id.to_string(),
            state: contact.state,
            restorable_until: contact.restorable_until_at(now),
            sealed: contact.anonymised.is_some().then(|| contact.is_sealed_at(now)),
            sealed_at: contact.sealed_at,
            version: contact.version,
            last_name: fields.last_name.expose().clone(),
            first_name: text(&fields.first_name),
            job_title: text(&fields.job_title),
            email: fields.email.as_ref().map(email),
            phone: text(&fields.phone),
            mobile: text(&fields.mobile),
            address,
            notes: text(&fields.notes),
            custom_fields: fields
                .custom_fields
                .as_ref()
                .map(|fields| fields.expose().clone()),
            assigned_to: assigned_to.map(ToString::to_string),
            assigned_to_name: assigned_to.and_then(|member| names.of(member)).map(str::to_owned),
            business: BusinessView {
                opportunities: fields.business.opportunities,
                proposals: fields.business.proposals,
                deals: fields.business.deals,
            },
            photo_document_id: fields.photo_document_id.as_ref().map(ToString::to_string),
            documents: DocumentTotalsView {
                count: contact.document_count,
                bytes: contact.document_bytes,
            },
            last_archive: contact.last_archive.as_ref().map(|archive| LastArchiveView {
                id: archive.id.to_string(),
                contact_version: archive.contact_version,
                expires_at: archive.expires_at,
            }),
            created_at: contact.created_at,
            updated_at: contact.updated_at,
            actions: PossibleActionsView {
                export: contact.may_export().into(),
                anonymise: contact.may_anonymise(now).into(),
                restore: contact.may_restore(now).into(),
            },
        }
    }
}

/// A contact with what was done with it.
#[derive(Serialize, ToSchema)]
#[schema(as = ContactCard)]
pub struct ContactCardView {
    /// The contact.
    #[serde(flatten)]
    contact: ContactView,
    /// Its past data actions, newest first.
    data_actions: Vec<PastActionView>,
}

/// A data action that a contact was part of.
#[derive(Serialize, ToSchema)]
#[schema(as = PastAction)]
pub struct PastActionView {
    /// Which action.
    id: String,
    /// What was done.
    #[schema(schema_with = schema::action_kind)]
    kind: ActionKind,
    /// How it ended for this contact.
    #[schema(schema_with = schema::item_state)]
    state: ItemState,
    /// Why it was not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::reason, required = false)]
    reason: Option<Reason>,
    /// When it ended.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The archive that was made, that allowed to anonymise, or from which it was restored.
    #[serde(skip_serializing_if = "Option::is_none")]
    archive_id: Option<String>,
}

impl ContactCardView {
    /// Renders a contact's card as of an instant.
    pub fn new(card: ContactCard, names: &MemberNames, now: Timestamp) -> Self {
        let render = |action: PastAction| PastActionView {
            id: action.action_id.into(),
            kind: action.kind,
            state: action.state,
            reason: action.reason,
            at: action.at,
            archive_id: action.archive_id.map(String::from),
        };
        let data_actions = card.data_actions.into_iter().map(render).collect();
        Self {
            contact: ContactView::new(&card.contact, names, now),
            data_actions,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oubli_domain::contact::{Anonymised, ContactDraft};
    use oubli_domain::{ActionId, ArchiveId, AttemptId, ContactId, TenantId};
    use serde_json::json;

    const ANONYMISED_AT: &str = "2026-03-01T12:00:00Z";
    const RESTORABLE_UNTIL: &str = "2026-03-10T09:00:00Z";

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn contact() -> Contact {
        let draft = ContactDraft {
            last_name: "Lefèvre".into(),
            ..ContactDraft::default()
        };
        Contact {
            tenant_id: TenantId::parse("demo").unwrap(),
            id: ContactId::parse("c").unwrap(),
            state: ContactState::Active,
            version: 3,
            fields: draft.parse().unwrap(),
            generation: None,
            document_count: 0,
            document_bytes: 0,
            last_archive: None,
            hold: None,
            anonymised: None,
            sealed_at: None,
            restored: None,
            created_at: at("2026-01-01T00:00:00Z"),
            updated_at: at("2026-02-01T00:00:00Z"),
        }
    }

    fn anonymised() -> Contact {
        let how = Anonymised {
            action_id: ActionId::parse("a").unwrap(),
            attempt_id: AttemptId::parse("t").unwrap(),
            contact_version: 2,
            left: None,
            archive_id: ArchiveId::parse("r").unwrap(),
            at: at(ANONYMISED_AT),
            restorable_until: at(RESTORABLE_UNTIL),
        };
        Contact {
            state: ContactState::Anonymised,
            anonymised: Some(how),
            ..contact()
        }
    }

    fn shown(contact: &Contact, now: &str) -> Value {
        serde_json::to_value(ContactView::new(contact, &MemberNames::default(), at(now))).unwrap()
    }

    #[test]
    fn an_active_contact_says_nothing_of_being_restored() {
        let view = shown(&contact(), ANONYMISED_AT);
        for absent in ["restorable_until", "sealed", "sealed_at"] {
            assert!(view.get(absent).is_none(), "{view}");
        }
        let actions = json!({
            "export": {"possible": true},
            "anonymise": {"possible": false, "reason": "no_current_archive"},
            "restore": {"possible": false, "reason": "not_anonymised"},
        });
        assert_eq!(view["actions"], actions);
    }

    #[test]
    fn an_anonymised_contact_is_restorable_to_the_second_and_then_sealed() {
        let view = shown(&anonymised(), "2026-03-10T08:59:59Z");
        assert_eq!(
            (&view["restorable_until"], &view["sealed"]),
            (&json!(RESTORABLE_UNTIL), &json!(false))
        );
        let actions = json!({
            "export": {"possible": false, "reason": "already_anonymised"},
            "anonymise": {"possible": false, "reason": "already_anonymised"},
            "restore": {"possible": true},
        });
        assert_eq!(view["actions"], actions);
        let view = shown(&anonymised(), RESTORABLE_UNTIL);
        assert!(
            view.get("restorable_until").is_none() && view.get("sealed_at").is_none(),
            "{view}"
        );
        assert_eq!(view["sealed"], true);
        let refused = json!({"possible": false, "reason": "archive_expired"});
        assert_eq!(view["actions"]["restore"], refused);
    }

    #[test]
    fn an_archive_that_was_seen_gone_seals_before_its_time() {
        let sealed_at = "2026-03-05T00:00:00Z";
        let sealed = Contact {
            sealed_at: Some(at(sealed_at)),
            ..anonymised()
        };
        let view = shown(&sealed, "2026-03-05T00:00:01Z");
        assert_eq!(
            (&view["sealed"], &view["sealed_at"]),
            (&json!(true), &json!(sealed_at))
        );
        assert!(view.get("restorable_until").is_none(), "{view}");
    }
}

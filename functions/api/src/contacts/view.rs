//! How a contact is shown.

use std::collections::BTreeMap;

use jiff::Timestamp;
use oubli_domain::action::{ActionKind, ItemState};
use oubli_domain::contact::{Contact, ContactState};
use oubli_domain::email::Email;
use oubli_domain::{Personal, Reason};
use oubli_workflows::{ContactCard, PastAction};
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

impl From<Result<(), Reason>> for PossibleView {
    fn from(verdict: Result<(), Reason>) -> Self {
        Self {
            possible: verdict.is_ok(),
            reason: verdict.err(),
        }
    }
}

impl ContactView {
    /// Renders a contact.
    pub fn new(contact: &Contact) -> Self {
        let fields = &contact.fields;
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
            assigned_to: fields.assigned_to.as_ref().map(ToString::to_string),
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
                anonymise: Err(Reason::NotAvailable).into(),
                restore: Err(Reason::NotAvailable).into(),
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
    /// The archive that was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    archive_id: Option<String>,
}

impl ContactCardView {
    /// Renders a contact's card.
    pub fn new(card: ContactCard) -> Self {
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
            contact: ContactView::new(&card.contact),
            data_actions,
        }
    }
}

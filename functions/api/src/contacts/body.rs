//! What a request says of a new contact.

use std::collections::BTreeMap;

use oubli_domain::contact::{Address, Business, ContactDraft};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::input::Object;
use crate::input::body::Input;

/// A contact to be entered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewContact)]
pub struct NewContactBody {
    /// Last name.
    last_name: String,
    /// First name.
    first_name: Option<String>,
    /// Job title.
    job_title: Option<String>,
    /// E-mail address.
    email: Option<String>,
    /// Telephone.
    phone: Option<String>,
    /// Mobile telephone.
    mobile: Option<String>,
    /// Postal address.
    #[schema(value_type = Option<AddressBody>)]
    address: Option<Object<AddressBody>>,
    /// Free text.
    notes: Option<String>,
    /// Fields of the tenant's own: name → text, number or boolean.
    custom_fields: Option<BTreeMap<String, Value>>,
    /// The id of the member in charge.
    assigned_to: Option<String>,
    /// Business counts.
    #[schema(value_type = Option<BusinessBody>)]
    business: Option<Object<BusinessBody>>,
    /// Which of the contact's documents is the photo.
    photo_document_id: Option<String>,
}
impl Input for NewContactBody {}

/// A postal address.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAddress)]
pub struct AddressBody {
    /// Street and what stands above it, 1 to 6 lines.
    lines: Vec<String>,
    /// Postal code.
    postal_code: Option<String>,
    /// City.
    city: Option<String>,
    /// Country.
    country: Option<String>,
}

/// Business counts; what is left out is 0.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewBusiness)]
pub struct BusinessBody {
    /// Opportunities.
    #[serde(default)]
    opportunities: u32,
    /// Proposals.
    #[serde(default)]
    proposals: u32,
    /// Deals.
    #[serde(default)]
    deals: u32,
}

impl NewContactBody {
    /// The draft to be judged.
    pub fn into_draft(self) -> ContactDraft {
        let address = self.address.map(|Object(address)| Address {
            lines: address.lines,
            postal_code: address.postal_code,
            city: address.city,
            country: address.country,
        });
        let business = self.business.map(|Object(business)| Business {
            opportunities: business.opportunities,
            proposals: business.proposals,
            deals: business.deals,
        });
        ContactDraft {
            last_name: self.last_name,
            first_name: self.first_name,
            job_title: self.job_title,
            email: self.email,
            phone: self.phone,
            mobile: self.mobile,
            address,
            notes: self.notes,
            custom_fields: self.custom_fields,
            assigned_to: self.assigned_to,
            business: business.unwrap_or_default(),
            photo_document_id: self.photo_document_id,
        }
    }
}

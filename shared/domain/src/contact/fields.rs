//! The fields of a contact, each declared once: what it is, and what becomes of it.
//!
//! From [`contact_fields!`] come the struct, the list of attributes that a change writes, the JSON Schema
//! and the page of the archive, the masks of an anonymised contact, and, by the same `serde`, what a restore
//! reads. A field without a declaration does not compile; nor does a personal one that would be kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::alias::{Alias, MASK};
use crate::email::Email;
use crate::ids::{DocumentId, MemberId};
use crate::personal::Personal;

/// A postal address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
#[serde(deny_unknown_fields)]
pub struct Business {
    /// Opportunities.
    pub opportunities: u32,
    /// Proposals.
    pub proposals: u32,
    /// Deals.
    pub deals: u32,
}

/// What a field looks like, for those who describe or show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// One line of text.
    Line,
    /// Text of many lines.
    Text,
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// A postal address.
    Address,
    /// Fields of the tenant's own.
    CustomFields,
    /// The id of a member.
    MemberId,
    /// Business counts.
    Business,
    /// The id of a document.
    DocumentId,
}

/// What becomes of a field when its contact is anonymised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Every text in it becomes [`MASK`]; an absent value stays absent.
    Masked,
    /// As masked, with a number that is unique in the tenant.
    Alias,
    /// It names nobody, and stays.
    Kept,
    /// It goes with the documents.
    Removed,
}

/// Whether a contact always has a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Presence {
    /// Always there.
    Required,
    /// Left out when absent.
    Optional,
}

/// What is declared of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldDeclaration {
    /// Which.
    pub field: Field,
    /// Its name in the table, in the API and in `contact.json`.
    pub name: &'static str,
    /// What it looks like.
    pub shape: Shape,
    /// What becomes of it.
    pub fate: Fate,
    /// Whether it is always there.
    pub presence: Presence,
}

/// The value of a field, to be shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FieldValue<'a> {
    /// A text: a line, lines, an address of e-mail, a number.
    Text(&'a str),
    /// A postal address.
    Address(&'a Address),
    /// Fields of the tenant's own.
    CustomFields(&'a BTreeMap<String, Value>),
    /// The member in charge.
    Member(&'a MemberId),
    /// Business counts.
    Business(&'a Business),
    /// A document.
    Document(&'a DocumentId),
}

macro_rules! anonymised {
    (Masked, $value:expr, $alias:expr) => {
        Mask::masked($value)
    };
    (Alias, $value:expr, $alias:expr) => {
        Named::aliased($value, $alias)
    };
    (Kept, $value:expr, $alias:expr) => {
        Kept::kept($value)
    };
    (Removed, $value:expr, $alias:expr) => {
        None
    };
}

macro_rules! contact_fields {
    ($(
        $doc:literal
        $field:ident, $name:ident: $type:ty, $shape:ident, $fate:ident, $presence:ident $(, #[$serde:meta])?;
    )*) => {
        /// The fields of a contact that a member enters.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub struct ContactFields {
            $( #[doc = $doc] $(#[$serde])? pub $name: $type, )*
        }

        /// A field of a contact.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Field {
            $( #[doc = $doc] $field, )*
        }

        /// Every field of a contact, in the order in which they are written and shown.
        pub const FIELDS: &[FieldDeclaration] = &[$(
            FieldDeclaration {
                field: Field::$field,
                name: stringify!($name),
                shape: Shape::$shape,
                fate: Fate::$fate,
                presence: Presence::$presence,
            },
        )*];

        impl ContactFields {
            /// The value of a field; `None` when it is absent.
            pub fn value(&self, field: Field) -> Option<FieldValue<'_>> {
                match field { $( Field::$field => self.$name.shown(), )* }
            }

            /// What is left of the fields when nothing may name the person any more.
            #[must_use]
            pub fn anonymised(&self, alias: &Alias) -> Self {
                Self { $( $name: anonymised!($fate, &self.$name, alias), )* }
            }
        }
    };
}

contact_fields! {
    "Last name; always there."
    LastName, last_name: Personal<String>, Line, Masked, Required;
    "First name."
    FirstName, first_name: Option<Personal<String>>, Line, Alias, Optional,
        #[serde(default, skip_serializing_if = "Option::is_none")];
    "Job title."
    JobTitle, job_title: Option<Personal<String>>, Line, Masked, Optional,
        #[serde(default, skip_serializing_if = "Option::is_none")];
    "E-mail address."
    Email, email: Option<Personal<Email>>, Email, Masked, Optional,
        #[serde(default, skip_serializing_if = "Option::is_none")];
    "Telephone."
    Phone, phone: Option<Personal<String>>, Phone, Masked, Optional,
        #[serde(default, skip_serializing_if = "Option::is_none")];
    "Mobile telephone."
    Mobile, mobile: Option<Personal<String>>, Phone, Masked, Optional,
        #[serde(default, skip_serializing_if = "Option::is_none")];
    "Postal address."
    Address, address: Option<Personal<Address>>, Address, Masked, Optional,
        #[serde(default, skip_serializing_if = "Option::is_none")];
    "Free text."
    Notes, notes: Option<Personal<String>>, Text, Masked, Optional,
        #[serde(default, skip_serializing_if = "Option::is_none")];
    "Fields of the tenant's own: name → text, number or boolean."
    CustomFields, custom_fields: Option<Personal<BTreeMap<String, Value>>>, CustomFields, Masked, Optional,
        #[serde(default, skip_serializing_if = "Option::is_none")];
    "The member in charge."
    AssignedTo, assigned_to: Option<MemberId>, MemberId, Kept, Optional,
        #[serde(default, skip_serializing_if = "Option::is_none")];
    "Business counts."
    Business, business: Business, Business, Kept, Required, #[serde(default)];
    "Which of the contact's documents is the photo."
    PhotoDocumentId, photo_document_id: Option<DocumentId>, DocumentId, Removed, Optional,
        #[serde(default, skip_serializing_if = "Option::is_none")];
}

/// How a personal value is anonymised.
trait Mask: Sized {
    fn masked(&self) -> Self;
}

impl<T: Mask> Mask for Option<T> {
    fn masked(&self) -> Self {
        self.as_ref().map(T::masked)
    }
}

impl Mask for Personal<String> {
    fn masked(&self) -> Self {
        Self::new(MASK.to_owned())
    }
}

/// The name by which anonymised contacts are still told apart.
trait Named {
    fn aliased(&self, alias: &Alias) -> Self;
}

impl Named for Option<Personal<String>> {
    fn aliased(&self, alias: &Alias) -> Self {
        self.as_ref().map(|_| Personal::new(alias.first_name()))
    }
}

impl Mask for Personal<Email> {
    fn masked(&self) -> Self {
        Self::new(Email::masked())
    }
}

impl Mask for Personal<Address> {
    fn masked(&self) -> Self {
        let part = |part: &Option<String>| part.as_ref().map(|_| MASK.to_owned());
        let address = self.expose();
        // One line: how many there were says something too.
        Self::new(Address {
            lines: vec![MASK.to_owned()],
            postal_code: part(&address.postal_code),
            city: part(&address.city),
            country: part(&address.country),
        })
    }
}

impl Mask for Personal<BTreeMap<String, Value>> {
    fn masked(&self) -> Self {
        // The names are the tenant's own words for its fields; what stands in them is about the person.
        let masked = self.expose().keys().map(|name| (name.clone(), Value::from(MASK)));
        Self::new(masked.collect())
    }
}

/// What names nobody, and so may outlive anonymisation. `Personal` is none of it.
trait Kept: Clone {
    fn kept(&self) -> Self {
        self.clone()
    }
}

impl Kept for Option<MemberId> {}
impl Kept for Business {}

/// How a value is shown.
trait Shown {
    fn shown(&self) -> Option<FieldValue<'_>>;
}

impl<T: Shown> Shown for Option<T> {
    fn shown(&self) -> Option<FieldValue<'_>> {
        self.as_ref().and_then(T::shown)
    }
}

impl Shown for Personal<String> {
    fn shown(&self) -> Option<FieldValue<'_>> {
        Some(FieldValue::Text(self.expose()))
    }
}

impl Shown for Personal<Email> {
    fn shown(&self) -> Option<FieldValue<'_>> {
        Some(FieldValue::Text(self.expose().as_str()))
    }
}

impl Shown for Personal<Address> {
    fn shown(&self) -> Option<FieldValue<'_>> {
        Some(FieldValue::Address(self.expose()))
    }
}

impl Shown for Personal<BTreeMap<String, Value>> {
    fn shown(&self) -> Option<FieldValue<'_>> {
        Some(FieldValue::CustomFields(self.expose()))
    }
}

impl Shown for MemberId {
    fn shown(&self) -> Option<FieldValue<'_>> {
        Some(FieldValue::Member(self))
    }
}

impl Shown for Business {
    fn shown(&self) -> Option<FieldValue<'_>> {
        Some(FieldValue::Business(self))
    }
}

impl Shown for DocumentId {
    fn shown(&self) -> Option<FieldValue<'_>> {
        Some(FieldValue::Document(self))
    }
}

#[cfg(test)]
mod tests;

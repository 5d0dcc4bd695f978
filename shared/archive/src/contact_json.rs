//! `contact.json`: everything that is held about the contact, for a machine to read.
//!
//! It holds no hash of a document: hashes may be learned only while the archive is written, and the same
//! version of a contact gives the same bytes. They stand in the manifest, and so does the version: a contact
//! that is restored goes on from a later one, and its next export is to hold the same.

use jiff::Timestamp;
use oubli_domain::contact::{Contact, ContactFields};
use oubli_domain::document::DocumentKind;
use oubli_domain::{ContactId, DocumentId};
use serde::Serialize;

use crate::contents::PlannedDocument;
use crate::manifest::Each;

/// Name of the file in the archive.
pub const CONTACT_NAME: &str = "contact.json";
/// Name of its schema in the archive.
pub const SCHEMA_NAME: &str = "contact.schema.json";
/// The JSON Schema (draft 2020-12) of `contact.json`.
pub const SCHEMA: &str = include_str!("../schema/contact.schema.json");
/// What `format` says.
pub const CONTACT_FORMAT: &str = "oubli-contact";
/// The version that is written.
pub const CONTACT_VERSION: u32 = 2;
/// The longest `contact.json`: a restore holds what is in it while it reads the rest of the archive. It has
/// room for 99,000 documents with names of 300 bytes.
pub const MAX_CONTACT_BYTES: u64 = 64 * 1024 * 1024;

#[derive(Serialize)]
pub(crate) struct ContactFile<'a, D> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    format: &'static str,
    format_version: u32,
    contact: ContactRecord<'a>,
    documents: D,
}

#[derive(Serialize)]
struct ContactRecord<'a> {
    id: &'a ContactId,
    #[serde(flatten)]
    fields: &'a ContactFields,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Serialize)]
struct DocumentRecord<'a> {
    id: &'a DocumentId,
    kind: DocumentKind,
    name: &'a str,
    path: String,
    content_type: &'a str,
    size_bytes: u64,
    created_at: Timestamp,
}

/// The file about a contact and its documents, in their order.
pub(crate) fn contact_file<'a>(
    contact: &'a Contact,
    documents: &'a [PlannedDocument],
) -> ContactFile<'a, impl Serialize> {
    ContactFile {
        schema: SCHEMA_NAME,
        format: CONTACT_FORMAT,
        format_version: CONTACT_VERSION,
        contact: ContactRecord {
            id: &contact.id,
            fields: &contact.fields,
            created_at: contact.created_at,
            updated_at: contact.updated_at,
        },
        documents: Each(documents.iter().map(|document| DocumentRecord {
            id: &document.id,
            kind: document.kind,
            name: document.name.expose(),
            path: document.entry_name(),
            content_type: &document.content_type,
            size_bytes: document.size_bytes,
            created_at: document.created_at,
        })),
    }
}

#[cfg(test)]
mod schema;

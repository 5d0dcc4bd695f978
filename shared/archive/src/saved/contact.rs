//! `contact.json` of a saved archive, held against the manifest and against what a table takes.

use std::collections::HashSet;
use std::io::{BufReader, Read, Seek};
use std::sync::Arc;

use jiff::Timestamp;
use oubli_domain::contact::{ContactFields, FIELDS, MAX_STORED_BYTES, Presence};
use oubli_domain::document::{DocumentDraft, DocumentKind};
use oubli_domain::{ContactId, Crc32, DocumentId};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::listing::{FIRST_DOCUMENT, ListedDocument, Listing};
use super::refusal::{Damage, Refusal};
use super::{SavedContact, SavedDocument};
use crate::contact_json::{CONTACT_FORMAT, CONTACT_VERSION, MAX_CONTACT_BYTES, SCHEMA_NAME};
use crate::contents::shared;
use crate::json_list::read_json_list;
use crate::layout::PHOTO_FOLDER;
use crate::zip64::{Entries, EntryHeader};

/// The longest name of a document that is read, in bytes, whatever the rules of its day.
const MAX_SAVED_NAME_BYTES: usize = 4 * 1024;
/// The longest media type.
const MAX_SAVED_TYPE_BYTES: usize = 255;
/// What a result names when a document could not be announced today.
const DOCUMENTS: &str = "documents";

/// What a `contact.json` says beside its documents.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ContactHead {
    #[serde(rename = "$schema")]
    schema: String,
    format: String,
    format_version: u32,
    contact: Map<String, Value>,
}

/// The members of the contact that are no fields.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ContactRecord {
    id: ContactId,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DocumentRecord {
    id: DocumentId,
    kind: DocumentKind,
    name: String,
    path: String,
    content_type: String,
    size_bytes: u64,
    created_at: Timestamp,
}

/// Reads a `contact.json` of which the hash was found to be the manifest's.
pub(super) fn read_contact<R: Read + Seek>(
    entries: &mut Entries<R>,
    headers: &[EntryHeader],
    listing: Listing,
) -> Result<(SavedContact, Vec<SavedDocument>), Refusal> {
    let sha256 = listing.sha256s().next().copied();
    let Some(header) = headers.first().filter(|header| header.size <= MAX_CONTACT_BYTES) else {
        return Err(Damage::Contact.into());
    };
    let count = listing.documents.len();
    let mut reading = Reading {
        listed: listing.documents.into_iter(),
        headers: headers.iter().skip(FIRST_DOCUMENT),
        documents: Vec::with_capacity(count),
        content_types: HashSet::new(),
        outdated: false,
        consistent: true,
    };
    let mut content = entries
        .open(header)
        .map_err(|error| super::of_content(error, 1))?;
    let head = read_json_list(BufReader::new(&mut content), "documents", |document| {
        reading.take(document);
    });
    let hashes = content.finish().map_err(|error| super::of_content(error, 1))?;
    if Some(hashes.sha256) != sha256 {
        return Err(Damage::Content { number: 1 }.into());
    }
    let Ok(head) = head else {
        return Err(Damage::Contact.into());
    };
    let contact = contact_of(Value::Object(head), listing.contact_version)
        .filter(|contact| contact.id == listing.contact_id);
    let has_outdated = reading.outdated;
    let documents = reading.finish();
    let (mut contact, documents) = contact.zip(documents).ok_or(Damage::Contact)?;
    if has_outdated {
        contact.outdated.push(DOCUMENTS.to_owned());
    }
    Ok((contact, documents))
}

/// The contact, if it has the shape of the schema and every value is one that the table takes. What could not be
/// entered today was entered under the rules of its own day: it is kept as it was, and named.
fn contact_of(head: Value, version: u64) -> Option<SavedContact> {
    let head: ContactHead = serde_json::from_value(head).ok()?;
    if head.schema != SCHEMA_NAME || head.format != CONTACT_FORMAT || head.format_version != CONTACT_VERSION {
        return None;
    }
    let (fields, record): (Map<_, _>, Map<_, _>) = head
        .contact
        .into_iter()
        .partition(|(name, _)| FIELDS.iter().any(|field| field.name == name));
    let complete = FIELDS.iter().all(|field| match fields.get(field.name) {
        Some(value) => !value.is_null(),
        None => field.presence == Presence::Optional,
    });
    let record: ContactRecord = serde_json::from_value(Value::Object(record)).ok()?;
    let fields: ContactFields = serde_json::from_value(Value::Object(fields)).ok()?;
    let outdated = outdated(&fields)?;
    complete.then_some(SavedContact {
        id: record.id,
        version,
        fields,
        outdated,
        created_at: record.created_at,
        updated_at: record.updated_at,
    })
}

/// The names of the fields whose values nobody could enter today, in their order; `None`: values that no table
/// takes, or that stand for what was anonymised, and were never exported.
fn outdated(fields: &ContactFields) -> Option<Vec<String>> {
    if fields.stored_bytes() > MAX_STORED_BYTES
        || fields
            .email
            .as_ref()
            .is_some_and(|email| email.expose().is_mask())
    {
        return None;
    }
    let draft = fields.to_draft();
    let (names, parsed): (Vec<String>, _) = match draft.parse() {
        Ok(parsed) => (Vec::new(), Some(parsed)),
        Err(errors) => {
            let pointers = errors.as_slice().iter().map(|error| error.pointer.as_str());
            let names = pointers.filter_map(|pointer| pointer.split('/').nth(1));
            (names.map(str::to_owned).collect(), None)
        }
    };
    // Numbers and names of the tenant's own fields are as the table wants them, whatever the rules.
    if names.iter().any(|name| name == "custom_fields") {
        return None;
    }
    let values = |fields: &ContactFields| serde_json::to_value(fields).ok();
    let before = values(fields)?;
    let after = parsed.as_ref().and_then(values);
    let is_outdated = |name: &str| {
        names.iter().any(|found| found == name)
            || after
                .as_ref()
                .is_some_and(|after| after.get(name) != before.get(name))
    };
    let outdated = FIELDS
        .iter()
        .map(|field| field.name)
        .filter(|name| is_outdated(name));
    Some(outdated.map(str::to_owned).collect())
}

struct Reading<L, H> {
    listed: L,
    headers: H,
    documents: Vec<SavedDocument>,
    content_types: HashSet<Arc<str>>,
    /// Whether one of them could not be announced today.
    outdated: bool,
    consistent: bool,
}

/// Whether a name and a media type can be kept, whatever the rules of their day: a table takes the one, a header
/// of HTTP the other.
fn can_be_stored(name: &str, content_type: &str) -> bool {
    let is_printable = |c: char| c.is_ascii_graphic() || c == ' ';
    (1..=MAX_SAVED_NAME_BYTES).contains(&name.len())
        && (1..=MAX_SAVED_TYPE_BYTES).contains(&content_type.len())
        && content_type.chars().all(is_printable)
        && content_type.trim() == content_type
}

impl<'a, L, H> Reading<L, H>
where
    L: Iterator<Item = ListedDocument>,
    H: Iterator<Item = &'a EntryHeader>,
{
    fn take(&mut self, document: DocumentRecord) {
        // The first contradiction is enough: no more is kept than the manifest lists.
        self.consistent = self.consistent && self.keep(document).is_some();
    }

    fn keep(&mut self, document: DocumentRecord) -> Option<()> {
        let (listed, header) = (self.listed.next()?, self.headers.next()?);
        if document.id != listed.id || document.path != header.name || document.size_bytes != header.size {
            return None;
        }
        // A document that is the contact's photo stands there too.
        let is_in_photos = document
            .path
            .split_once('/')
            .is_some_and(|(folder, _)| folder == PHOTO_FOLDER);
        if document.kind == DocumentKind::Photo && !is_in_photos {
            return None;
        }
        let fields = DocumentDraft {
            name: document.name,
            content_type: document.content_type,
            size_bytes: document.size_bytes,
            sha256: None,
            crc32: None,
            kind: document.kind,
        };
        let (name, content_type) = (fields.name.clone(), fields.content_type.clone());
        if !can_be_stored(&name, &content_type) {
            return None;
        }
        // What nobody could announce today was announced under the rules of its own day.
        self.outdated |= fields.parse().is_err();
        self.documents.push(SavedDocument {
            id: listed.id,
            kind: document.kind,
            name: name.into(),
            content_type: shared(&mut self.content_types, content_type),
            size_bytes: document.size_bytes,
            sha256: listed.sha256,
            crc32: Crc32::new(header.crc32),
            created_at: document.created_at,
        });
        Some(())
    }

    /// The documents, if they were all there, each once.
    fn finish(mut self) -> Option<Vec<SavedDocument>> {
        let ids: HashSet<&DocumentId> = self.documents.iter().map(|document| &document.id).collect();
        let unique = ids.len() == self.documents.len();
        (self.consistent && unique && self.listed.next().is_none()).then_some(self.documents)
    }
}

//! What stands in the archive of a contact, and in which order.
//!
//! [`ArchivePlan`] says it before a byte is read; [`ArchiveBuild`] writes it while somebody else fetches the
//! documents. Neither makes a call.
//!
//! | entry | |
//! |---|---|
//! | `contact.json`, `contact.schema.json` | for machines |
//! | `index.html` | for people |
//! | `documents/…`, `photo/…` | under their own names, made safe |
//! | `manifest.json` | everyone's SHA-256 |
//! | `manifest.sig` | the signature over the manifest |
//!
//! No time, no action and no archive id of this very export stands inside: the same version of a contact
//! gives the same bytes, the signature aside.

mod build;

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use oubli_domain::contact::Contact;
use oubli_domain::document::{Document, DocumentKind, DocumentState};
use oubli_domain::{Crc32, DocumentId, Language, Personal, Sha256};

use crate::layout::{DOCUMENTS_FOLDER, PHOTO_FOLDER};
use crate::manifest::EntryContent;
use crate::names::EntryNames;
use crate::zip64::{DosTime, EntryPlan, MAX_ENTRIES};

pub use build::{ArchiveBuild, BuildError, DocumentHashes, DocumentStart};

/// `contact.json`, its schema, `index.html`, the manifest and its signature.
const OWN_ENTRIES: u64 = 5;

/// A document on its way into the archive.
#[derive(Clone, Debug)]
pub struct PlannedDocument {
    /// Which.
    pub id: DocumentId,
    /// What it was announced as.
    pub kind: DocumentKind,
    /// What it is in the archive: what the contact shows as its photo is one.
    pub content: EntryContent,
    /// Its name as it was given.
    pub name: Personal<String>,
    /// The name under which it stands in its folder, where that is another one.
    renamed: Option<Box<str>>,
    /// Media type. Thousands of documents share a few.
    pub content_type: Arc<str>,
    /// Size in bytes.
    pub size_bytes: u64,
    /// CRC-32, given at upload or learned.
    pub crc32: Option<Crc32>,
    /// SHA-256, given at upload or learned.
    pub sha256: Option<Sha256>,
    /// When it was attached.
    pub created_at: Timestamp,
}

impl PlannedDocument {
    /// Its path in the archive. Made anew each time: 100,000 of them would be 15 MB.
    pub fn entry_name(&self) -> String {
        let folder = match self.content {
            EntryContent::Photo => PHOTO_FOLDER,
            _ => DOCUMENTS_FOLDER,
        };
        let name = self.renamed.as_deref().unwrap_or_else(|| self.name.expose());
        format!("{folder}/{name}")
    }

    pub(crate) fn entry_plan<'a>(&self, entry_name: &'a str) -> EntryPlan<'a> {
        EntryPlan {
            name: entry_name,
            size_bytes: self.size_bytes,
            crc32: self.crc32,
            modified: DosTime::from_timestamp(self.created_at),
        }
    }
}

/// The text as it is known already, or as it is from now on.
pub(crate) fn shared(known: &mut HashSet<Arc<str>>, text: String) -> Arc<str> {
    if let Some(text) = known.get(text.as_str()) {
        return Arc::clone(text);
    }
    let text: Arc<str> = text.into();
    known.insert(Arc::clone(&text));
    text
}

/// More documents than an archive can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an archive holds at most {limit} documents, the contact has {documents}")]
pub struct TooManyDocuments {
    /// How many the contact has.
    pub documents: u64,
    /// How many there may be.
    pub limit: u64,
}

/// The contents of one archive.
#[derive(Clone, Debug)]
pub struct ArchivePlan {
    contact: Contact,
    language: Language,
    documents: Vec<PlannedDocument>,
}

impl ArchivePlan {
    /// Plans the archive of a contact with its documents; those that still await their upload have no bytes
    /// and are left out. `language` is that of `index.html`.
    ///
    /// # Errors
    /// [`TooManyDocuments`].
    pub fn new(
        contact: Contact,
        documents: Vec<Document>,
        language: Language,
    ) -> Result<Self, TooManyDocuments> {
        let mut stored: Vec<Document> = documents
            .into_iter()
            .filter(|document| document.state == DocumentState::Stored)
            .collect();
        let limit = MAX_ENTRIES - OWN_ENTRIES;
        if stored.len() as u64 > limit {
            return Err(TooManyDocuments {
                documents: stored.len() as u64,
                limit,
            });
        }
        // The order decides who gets ` (2)`: it must not be the order of a query.
        stored.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        let (mut in_documents, mut in_photo) = (EntryNames::new(), EntryNames::new());
        let mut content_types: HashSet<Arc<str>> = HashSet::new();
        let mut documents: Vec<PlannedDocument> = stored
            .into_iter()
            .map(
                |Document {
                     id,
                     fields,
                     created_at,
                     ..
                 }| {
                    let is_photo = fields.kind == DocumentKind::Photo
                        || contact.fields.photo_document_id.as_ref() == Some(&id);
                    let (content, names) = if is_photo {
                        (EntryContent::Photo, &mut in_photo)
                    } else {
                        (EntryContent::Document, &mut in_documents)
                    };
                    let taken = names.take(fields.name.expose());
                    PlannedDocument {
                        renamed: (taken != *fields.name.expose()).then(|| taken.into()),
                        id,
                        kind: fields.kind,
                        content,
                        name: fields.name,
                        content_type: shared(&mut content_types, fields.content_type),
                        size_bytes: fields.size_bytes,
                        crc32: fields.crc32,
                        sha256: fields.sha256,
                        created_at,
                    }
                },
            )
            .collect();
        // The list was made where the larger documents stood.
        documents.shrink_to_fit();
        Ok(Self {
            contact,
            language,
            documents,
        })
    }

    /// The documents, in the order of the archive.
    pub fn documents(&self) -> &[PlannedDocument] {
        &self.documents
    }

    /// Their bytes.
    pub fn document_bytes(&self) -> u64 {
        self.documents.iter().map(|document| document.size_bytes).sum()
    }
}

#[cfg(test)]
mod tests;

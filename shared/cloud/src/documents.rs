//! Documents of a contact: announced, verified and stored, deleted.

use jiff::{SignedDuration, Timestamp};
use oubli_domain::contact::{Contact, Shelf};
use oubli_domain::document::{Document, DocumentFields, DocumentKind, DocumentState};
use oubli_domain::{AttemptId, ContactId, Crc32, DocumentId, Sha256, TenantId};
use serde::{Deserialize, Serialize};

use crate::connect::Cloud;
use crate::contacts::{ANNOUNCED, CreateOutcome, on_generation, read_contact};
use crate::error::CloudError;
use crate::expression::{Attributes, Condition, Update, number, text};
use crate::idempotency::IdempotencyClaim;
use crate::items;
use crate::keys;
use crate::purges::{Purge, soon};
use crate::table::{ListPage, Query, Table, Transacted, Written};

/// How long an announced document may stay without its bytes.
const AWAITING_LIFE: SignedDuration = SignedDuration::from_hours(48);
/// How long the choice of the bytes of a document holds: longer than an answer may take.
const CHOICE_LIFE: SignedDuration = SignedDuration::from_mins(2);

#[derive(Serialize, Deserialize)]
struct DocumentRecord {
    tenant_id: TenantId,
    contact_id: ContactId,
    document_id: DocumentId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    generation: Option<AttemptId>,
    state: DocumentState,
    created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stored_at: Option<Timestamp>,
}

/// A contact and its documents, as one query found them.
#[derive(Clone, Debug)]
pub struct WholeContact {
    /// The contact.
    pub contact: Contact,
    /// Its documents in the order of their ids, stored or not.
    pub documents: Vec<Document>,
    /// How many documents were ever announced for it since it was entered, anonymised or restored.
    pub(crate) announced: u64,
}

/// Hashes of a document that were learned when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LearnedHashes {
    /// Of which document.
    pub document_id: DocumentId,
    /// Of its bytes.
    pub sha256: Sha256,
    /// Of its bytes.
    pub crc32: Crc32,
}

impl LearnedHashes {
    /// The write that keeps them with the document, if it is still stored.
    pub(crate) fn update(&self, shelf: &Shelf) -> Update {
        Update::of(keys::document(shelf, &self.document_id))
            .set("sha256", text(self.sha256))
            .set("crc32", text(self.crc32))
            .when(Condition::Equal("state", text("stored")))
    }
}

/// What came of changing a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DocumentOutcome {
    /// It happened.
    Done,
    /// The document is not in the state for it: gone, or done before.
    Moved,
    /// The contact is gone.
    ContactAbsent,
}

fn read_document(attributes: Attributes) -> Result<Document, CloudError> {
    let fields: DocumentFields = items::read("document", attributes.clone())?;
    let record: DocumentRecord = items::read("document", attributes)?;
    Ok(Document {
        tenant_id: record.tenant_id,
        contact_id: record.contact_id,
        id: record.document_id,
        generation: record.generation,
        state: record.state,
        fields,
        created_at: record.created_at,
        stored_at: record.stored_at,
    })
}

/// Writes a document as the item that it is, its key among the attributes.
pub(crate) fn write_document(document: &Document) -> Result<Attributes, CloudError> {
    let record = DocumentRecord {
        tenant_id: document.tenant_id.clone(),
        contact_id: document.contact_id.clone(),
        document_id: document.id.clone(),
        generation: document.generation.clone(),
        state: document.state,
        created_at: document.created_at,
        stored_at: document.stored_at,
    };
    let mut attributes = items::write("document", &document.fields)?;
    attributes.extend(items::write("document", &record)?);
    Ok(items::with_key(attributes, &key(document)))
}

fn key(document: &Document) -> keys::Key {
    keys::document(&document.shelf(), &document.id)
}

/// That an active contact still stands on the shelf that was read: what belongs to an earlier one must not
/// come to the contact.
fn on_shelf(shelf: &Shelf) -> Condition {
    let same = on_generation(shelf.generation.as_ref());
    Condition::All(vec![Condition::Equal("state", text("active")), same])
}

fn beginning(shelf: &Shelf) -> Query {
    Query::beginning(keys::shelf_partition(shelf), &keys::document_prefix(shelf))
}

impl Cloud {
    /// Announces a document of a contact that is there and active.
    ///
    /// # Errors
    /// [`CloudError`] when DynamoDB fails; as all methods here.
    pub async fn create_document(
        &self,
        document: &Document,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<CreateOutcome, CloudError> {
        let mut attributes = write_document(document)?;
        let ends = document
            .created_at
            .saturating_add(AWAITING_LIFE)
            .unwrap_or(document.created_at);
        // Later than the janitor, who also deletes what is in S3.
        let broom = ends.saturating_add(AWAITING_LIFE).unwrap_or(ends);
        attributes.insert("ttl".into(), number(broom.as_second()));
        let contact = keys::contact(&document.tenant_id, &document.contact_id);
        // Whatever of it is in S3 by then goes too, if its bytes were never verified.
        let note = Purge::of_awaiting(document.shelf(), &document.id);
        let mut writes = vec![
            self.contacts
                .put_write(attributes, Some(Condition::Absent("pk")))?,
            // Counted: whoever deletes all documents of the contact with it must know of this one.
            self.contacts.update_write(
                Update::of(contact)
                    .increment(ANNOUNCED)
                    .when(on_shelf(&document.shelf())),
            )?,
            self.purge_write(&note, ends)?,
        ];
        if let Some(claim) = claim {
            writes.push(self.claim_write(&document.tenant_id, claim)?);
        }
        let outcome = self.contacts.transact(writes).await?;
        CreateOutcome::of(&outcome, 0, Some(1), 3)
    }

    /// Reads a document, strongly consistent.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn document(
        &self,
        shelf: &Shelf,
        document: &DocumentId,
    ) -> Result<Option<Document>, CloudError> {
        let found = self.contacts.get(&keys::document(shelf, document)).await?;
        found.map(read_document).transpose()
    }

    /// A page of a contact's documents, in the order in which they were announced.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn documents(
        &self,
        shelf: &Shelf,
        after: Option<&DocumentId>,
        limit: u32,
    ) -> Result<ListPage<Document>, CloudError> {
        let mut query = beginning(shelf);
        query.after = after.map(|document| Table::key_attributes(&keys::document(shelf, document)));
        let (found, more) = self.contacts.query_filled(query, limit).await?;
        let documents: Result<Vec<_>, _> = found.into_iter().map(read_document).collect();
        let documents = documents?;
        let next = documents
            .last()
            .filter(|_| more)
            .map(|document| document.id.to_string());
        Ok(ListPage {
            items: documents,
            next,
        })
    }

    /// How many documents a contact has, in any state; counted up to a little over 10,000.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn count_documents(&self, shelf: &Shelf) -> Result<u64, CloudError> {
        self.contacts.count(beginning(shelf)).await
    }

    /// All stored documents of a contact, strongly consistent, in the order of their ids.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn stored_documents(&self, shelf: &Shelf) -> Result<Vec<Document>, CloudError> {
        let mut query = beginning(shelf);
        let mut stored = Vec::new();
        loop {
            // Page by page: as attributes, all that a contact may have would not fit into memory.
            let (found, next) = self.contacts.query_page(query.clone(), None).await?;
            for attributes in found {
                let document = read_document(attributes)?;
                if document.state == DocumentState::Stored {
                    stored.push(document);
                }
            }
            match next {
                Some(next) => query.after = Some(next),
                None => return Ok(stored),
            }
        }
    }

    /// A contact and its documents, strongly consistent: one query of their partition, a page at a time. They
    /// may be of two versions if somebody changed them meanwhile; [`Cloud::hold_contact`] tells.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn whole_contact(
        &self,
        tenant: &TenantId,
        contact: &ContactId,
    ) -> Result<Option<WholeContact>, CloudError> {
        let key = keys::contact(tenant, contact);
        let mut query = Query::partition(key.pk.clone());
        // The contact stands before its documents; its history stands before it.
        query.range = Some(Condition::GreaterOrEqual("sk", text(&key.sk)));
        let (mut whole, mut prefix): (Option<WholeContact>, String) = (None, String::new());
        loop {
            let (found, next) = self.contacts.query_page(query.clone(), None).await?;
            for attributes in found {
                let Some(found) = items::key_of(&attributes) else {
                    return Err(CloudError::Corrupt { what: "contact" });
                };
                match &mut whole {
                    None if found == key => {
                        let announced = attributes.get(ANNOUNCED).and_then(|count| count.as_n().ok());
                        let announced = announced.and_then(|count| count.parse().ok()).unwrap_or(0);
                        let contact = read_contact(attributes)?;
                        prefix = keys::document_prefix(&contact.shelf());
                        whole = Some(WholeContact {
                            contact,
                            documents: Vec::new(),
                            announced,
                        });
                    }
                    None => return Ok(None),
                    Some(whole) if found.sk.starts_with(&prefix) => {
                        whole.documents.push(read_document(attributes)?);
                    }
                    Some(_) => {}
                }
            }
            match next {
                Some(next) => query.after = Some(next),
                None => return Ok(whole),
            }
        }
    }

    /// Settles which bytes a document is completed with, before they are copied: two completions at
    /// once must not copy different ones. Answers whether these are they; the choice may be made
    /// anew once whoever made it cannot be at it any more.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn choose_upload(
        &self,
        document: &Document,
        etag: &str,
        now: Timestamp,
    ) -> Result<bool, CloudError> {
        let outdated = now.saturating_sub(CHOICE_LIFE).unwrap_or(now);
        let choose = Update::of(key(document))
            .set("chosen_etag", text(etag))
            .set("chosen_at_ms", number(now.as_millisecond()))
            .when(Condition::All(vec![
                Condition::Equal("state", text("awaiting_upload")),
                Condition::Any(vec![
                    Condition::Absent("chosen_etag"),
                    Condition::Equal("chosen_etag", text(etag)),
                    Condition::Less("chosen_at_ms", number(outdated.as_millisecond())),
                ]),
            ]));
        Ok(matches!(self.contacts.update(choose).await?, Written::Yes(_)))
    }

    /// Records that a document's bytes are stored and verified: it belongs to the contact now, so
    /// the contact has a new version.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn mark_stored(
        &self,
        document: &Document,
        now: Timestamp,
    ) -> Result<DocumentOutcome, CloudError> {
        let stored = Update::of(key(document))
            .set("state", text("stored"))
            .set("stored_at", text(now))
            .remove("ttl")
            .remove("chosen_etag")
            .remove("chosen_at_ms")
            .when(Condition::Equal("state", text("awaiting_upload")));
        let mut contact = Update::of(keys::contact(&document.tenant_id, &document.contact_id))
            .add("version", 1)
            .add("document_count", 1)
            .add(
                "document_bytes",
                i64::try_from(document.fields.size_bytes).unwrap_or(i64::MAX),
            )
            .set("updated_at", text(now))
            .when(on_shelf(&document.shelf()));
        if document.fields.kind == DocumentKind::Photo {
            contact = contact.set("photo_document_id", text(&document.id));
        }
        let note = Purge::of_awaiting(document.shelf(), &document.id);
        let writes = vec![
            self.contacts.update_write(stored)?,
            self.contacts.update_write(contact)?,
            self.requests.delete_write(&note.key(), None)?,
        ];
        let outcome = self.contacts.transact(writes).await?;
        Ok(match (&outcome, outcome.refused(0)) {
            (Transacted::Yes, _) => DocumentOutcome::Done,
            (Transacted::No(_), Some(_)) => DocumentOutcome::Moved,
            (Transacted::No(_), None) => DocumentOutcome::ContactAbsent,
        })
    }

    /// Keeps the hashes of a document that were learned when it was read. They change nothing for
    /// the contact, so its version stays.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn keep_hashes(&self, shelf: &Shelf, learned: &LearnedHashes) -> Result<(), CloudError> {
        match self.contacts.update(learned.update(shelf)).await? {
            // A document that was deleted meanwhile needs no hashes.
            Written::Yes(_) | Written::No(_) => Ok(()),
        }
    }

    /// Deletes a document and notes, in the same transaction, that its object must go. A stored
    /// one was part of the contact, which has a new version then.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn delete_document(
        &self,
        document: &Document,
        is_photo: bool,
        now: Timestamp,
    ) -> Result<(DocumentOutcome, Purge), CloudError> {
        let purge = Purge::of_document(document.shelf(), &document.id);
        let state = match document.state {
            DocumentState::AwaitingUpload => "awaiting_upload",
            DocumentState::Stored => "stored",
        };
        let unchanged = Condition::Equal("state", text(state));
        let mut writes = vec![
            self.contacts.delete_write(&key(document), Some(unchanged))?,
            self.purge_write(&purge, soon(now))?,
        ];
        if document.state == DocumentState::Stored {
            let contact_key = keys::contact(&document.tenant_id, &document.contact_id);
            let mut contact = Update::of(contact_key)
                .add("version", 1)
                .add("document_count", -1)
                .add(
                    "document_bytes",
                    i64::try_from(document.fields.size_bytes).map_or(i64::MIN, |size| -size),
                )
                .set("updated_at", text(now));
            let photo = text(&document.id);
            // Which document is the photo may have changed since it was read: then decide again.
            contact = if is_photo {
                contact.remove("photo_document_id").when(Condition::All(vec![
                    on_shelf(&document.shelf()),
                    Condition::Equal("photo_document_id", photo),
                ]))
            } else {
                contact.when(Condition::All(vec![
                    on_shelf(&document.shelf()),
                    Condition::Any(vec![
                        Condition::Absent("photo_document_id"),
                        Condition::NotEqual("photo_document_id", photo),
                    ]),
                ]))
            };
            writes.push(self.contacts.update_write(contact)?);
        }
        let outcome = match self.contacts.transact(writes).await? {
            Transacted::Yes => DocumentOutcome::Done,
            Transacted::No(_) => DocumentOutcome::Moved,
        };
        Ok((outcome, purge))
    }
}

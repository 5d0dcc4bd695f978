//! What must still be deleted from S3 after its record is gone: noted in the transaction that
//! removed the record, so that a killed process forgets nothing.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};
use oubli_domain::DocumentId;
use oubli_domain::contact::Shelf;
use oubli_domain::document::Document;
use serde::{Deserialize, Serialize};

use crate::connect::Cloud;
use crate::documents::WholeContact;
use crate::error::CloudError;
use crate::expression::{Attributes, Condition, Update, text};
use crate::items;
use crate::keys;
use crate::objects::MAX_COPY_BYTES;
use crate::open_work;
use crate::table::{Query, Transacted};

/// How long the process that deleted the record may take before the janitor looks.
const GRACE: SignedDuration = SignedDuration::from_mins(5);

/// How long after a document was stored a second copy of the same bytes may still be on its way: a request
/// takes 29 seconds at most, and storage ends what it has begun.
const COPY_TIME: SignedDuration = SignedDuration::from_hours(1);

/// When the janitor looks after what is being deleted now.
pub(crate) fn soon(now: Timestamp) -> Timestamp {
    now.saturating_add(GRACE).unwrap_or(now)
}

/// Objects to be deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purge {
    /// Where they stand.
    #[serde(flatten)]
    pub shelf: Shelf,
    /// One document, or, without it, all of the shelf with their records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_id: Option<DocumentId>,
    /// Only if the document still awaits its upload; its record goes too then.
    #[serde(default)]
    pub if_awaiting: bool,
    /// A restore is filling the shelf, and may still move the contact to it. That is over as soon as somebody
    /// begins to delete.
    #[serde(default)]
    pub restoring: bool,
    /// It was deleted once, and is looked at a second time.
    #[serde(default)]
    pub again: bool,
    /// Documents whose records are gone already.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recordless: Vec<DocumentId>,
    /// One of them may be about to be stored: it is looked at twice.
    #[serde(default)]
    pub recent: bool,
}

impl Purge {
    /// All documents of a shelf that its contact has left, or leaves in the same transaction.
    pub fn of_shelf(shelf: Shelf) -> Self {
        Self {
            shelf,
            document_id: None,
            if_awaiting: false,
            restoring: false,
            again: false,
            recordless: Vec::new(),
            recent: false,
        }
    }

    /// The documents of a contact whose records go in the transaction that notes this.
    pub(crate) fn of_whole(whole: &WholeContact, now: Timestamp) -> Self {
        let ids = whole.documents.iter().map(|document| document.id.clone());
        Self {
            recordless: ids.collect(),
            recent: whole
                .documents
                .iter()
                .any(|document| may_be_copied(document.stored_at, now)),
            ..Self::of_shelf(whole.contact.shelf())
        }
    }

    /// A shelf that a restore is filling: to be deleted, unless the contact has moved to it.
    pub fn of_restore(shelf: Shelf) -> Self {
        Self {
            restoring: true,
            ..Self::of_shelf(shelf)
        }
    }

    /// One document.
    pub fn of_document(shelf: Shelf, document: &DocumentId) -> Self {
        Self {
            document_id: Some(document.clone()),
            ..Self::of_shelf(shelf)
        }
    }

    /// A document that was announced and whose bytes were not verified in time.
    pub fn of_awaiting(shelf: Shelf, document: &DocumentId) -> Self {
        Self {
            if_awaiting: true,
            ..Self::of_document(shelf, document)
        }
    }

    pub(crate) fn key(&self) -> keys::Key {
        let contact = &self.shelf.contact_id;
        let generation = self.shelf.generation.as_ref();
        let generation = generation.map_or_else(String::new, |generation| format!("#{generation}"));
        let what = match &self.document_id {
            Some(document) => format!("DOC#{document}{generation}"),
            None => format!("SHELF{generation}"),
        };
        keys::purge(&self.shelf.tenant_id, contact, &what)
    }
}

/// How many records are deleted side by side.
const AT_ONCE: usize = 16;

impl Cloud {
    pub(crate) fn purge_write(&self, purge: &Purge, due: Timestamp) -> Result<TransactWriteItem, CloudError> {
        let key = purge.key();
        let mut attributes = items::with_key(items::write("purge", purge)?, &key);
        attributes.extend(open_work::attributes(&key, due));
        self.requests.put_write(attributes, None)
    }

    /// Notes, before anything is put on it, that a shelf which a restore fills must not be forgotten.
    ///
    /// # Errors
    /// [`CloudError`] when DynamoDB fails.
    pub async fn note_restoring(&self, purge: &Purge, due: Timestamp) -> Result<(), CloudError> {
        let writes = vec![self.purge_write(purge, due)?];
        self.requests.transact(writes).await.map(|_| ())
    }

    /// The write by which a restore takes its note away as it moves the contact; refused when somebody has
    /// begun to delete what was restored.
    pub(crate) fn restored_write(&self, purge: &Purge) -> Result<TransactWriteItem, CloudError> {
        let untouched = Condition::Equal("restoring", AttributeValue::Bool(true));
        self.requests.delete_write(&purge.key(), Some(untouched))
    }

    /// Deletes what the note says, then the note. Doing it twice does no harm, nor does doing it late: a
    /// contact that came back stands on another shelf. The note stays for a second look where a copy or a
    /// write that was under way may still arrive.
    ///
    /// # Errors
    /// [`CloudError`]; the note stays, and the janitor tries again.
    pub async fn purge(&self, purge: &Purge, now: Timestamp) -> Result<(), CloudError> {
        if purge.if_awaiting && !self.forget_awaiting(purge).await? {
            return self.requests.delete(&purge.key()).await;
        }
        match &purge.document_id {
            Some(document) => {
                self.objects.delete_document(&purge.shelf, document).await?;
                self.objects
                    .delete_upload(&purge.shelf.tenant_id, document)
                    .await?;
                if !purge.again {
                    return self.look_again(purge).await;
                }
            }
            None => {
                if purge.restoring {
                    self.claim(purge).await?;
                }
                let (tenant, contact) = (&purge.shelf.tenant_id, &purge.shelf.contact_id);
                let contact = self.contact(tenant, contact).await?;
                if contact.is_some_and(|contact| contact.shelf() == purge.shelf) {
                    // Whoever moved it here has taken the note away. One that stands there now is of a later
                    // leaving, and not ours to delete.
                    return Ok(());
                }
                let tenant = &purge.shelf.tenant_id;
                self.objects
                    .delete_uploads(tenant, purge.recordless.clone())
                    .await?;
                let was_busy = self.purge_records(&purge.shelf, now).await?;
                self.objects.delete_shelf(&purge.shelf).await?;
                if purge.restoring || was_busy {
                    return Ok(());
                }
                if purge.recent {
                    return self.looked_once(purge).await;
                }
            }
        }
        self.requests.delete(&purge.key()).await
    }

    /// Deletes the objects of documents whose records went with their contact's data. Every key is known, so
    /// nothing is listed, unless the bucket keeps versions, or documents were copied in parts. Answers whether
    /// the note is done with and still there, to be deleted with the next write.
    ///
    /// # Errors
    /// [`CloudError`]; the note stays, and the janitor tries again.
    pub async fn purge_documents(
        &self,
        whole: &WholeContact,
        purge: &Purge,
        now: Timestamp,
    ) -> Result<bool, CloudError> {
        let is_large = |document: &Document| document.fields.size_bytes > MAX_COPY_BYTES;
        if !whole.records_fit() || whole.documents.iter().any(is_large) {
            self.purge(purge, now).await?;
            return Ok(false);
        }
        let (tenant, ids) = (&purge.shelf.tenant_id, &purge.recordless);
        if self.objects.delete_documents(&purge.shelf, ids).await? {
            // The bucket keeps versions.
            self.purge(purge, now).await?;
            return Ok(false);
        }
        self.objects.delete_uploads(tenant, ids.clone()).await?;
        Ok(!purge.recent)
    }

    /// Keeps the note of documents for a second look.
    async fn looked_once(&self, purge: &Purge) -> Result<(), CloudError> {
        let looked = Update::of(purge.key())
            .set("recent", AttributeValue::Bool(false))
            .when(Condition::Present("pk"));
        self.requests.update(looked).await.map(|_| ())
    }

    /// Keeps the note of a document for a second look, when it is due.
    async fn look_again(&self, purge: &Purge) -> Result<(), CloudError> {
        let again = Update::of(purge.key())
            .set("again", AttributeValue::Bool(true))
            .when(Condition::Present("pk"));
        self.requests.update(again).await.map(|_| ())
    }

    /// From now on no restore can move the contact to the shelf: it needs the note as it was. Without a note
    /// one has moved it, which the contact tells, or all is deleted already, and what came late goes too.
    async fn claim(&self, purge: &Purge) -> Result<(), CloudError> {
        let claim = Update::of(purge.key())
            .set("restoring", AttributeValue::Bool(false))
            .when(Condition::Present("pk"));
        self.requests.update(claim).await.map(|_| ())
    }

    /// Deletes the records of a shelf, and what was uploaded for them; of a contact that is gone, its history
    /// as well. Answers whether one of the documents may be about to be stored at this moment.
    async fn purge_records(&self, shelf: &Shelf, now: Timestamp) -> Result<bool, CloudError> {
        let partition = keys::shelf_partition(shelf);
        let prefix = keys::document_prefix(shelf);
        let mut query = Query::beginning(partition.clone(), &prefix);
        let mut was_busy = false;
        loop {
            let (found, next) = self.contacts.query_page(query.clone(), None).await?;
            was_busy |= found
                .iter()
                .any(|document| may_be_copied(stored_at(document), now));
            let found: Vec<_> = found.iter().filter_map(items::key_of).collect();
            let documents = found.iter().filter_map(|key| key.sk.strip_prefix(&prefix));
            let documents = documents.filter_map(|id| DocumentId::parse(id).ok()).collect();
            self.objects.delete_uploads(&shelf.tenant_id, documents).await?;
            stream::iter(found)
                .map(|key| async move { self.contacts.delete(&key).await })
                .buffer_unordered(AT_ONCE)
                .try_collect::<()>()
                .await?;
            match next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        let history = Query::beginning(partition, keys::PAST_ACTION_PREFIX);
        let gone = Condition::Absent("pk");
        let contact = keys::contact(&shelf.tenant_id, &shelf.contact_id);
        if self.contacts.get(&contact).await?.is_some() {
            return Ok(was_busy);
        }
        for past in self.contacts.query_all(history).await? {
            let Some(key) = items::key_of(&past) else {
                continue;
            };
            let writes = vec![
                self.contacts.check_write(&contact, gone.clone())?,
                self.contacts.delete_write(&key, None)?,
            ];
            if matches!(self.contacts.transact(writes).await?, Transacted::No(_)) {
                // It was restored a moment ago, with its history.
                return Ok(was_busy);
            }
        }
        Ok(was_busy)
    }

    /// Deletes the record of a document whose bytes were never verified, so that nobody can
    /// complete it any more. `false`: it is stored, and stays.
    async fn forget_awaiting(&self, purge: &Purge) -> Result<bool, CloudError> {
        let Some(document) = &purge.document_id else {
            return Ok(true);
        };
        let key = keys::document(&purge.shelf, document);
        let awaiting = Condition::Any(vec![
            Condition::Absent("pk"),
            Condition::Equal("state", text("awaiting_upload")),
        ]);
        let writes = vec![self.contacts.delete_write(&key, Some(awaiting))?];
        Ok(matches!(self.contacts.transact(writes).await?, Transacted::Yes))
    }
}

/// When a document's bytes were stored, by its record.
fn stored_at(document: &Attributes) -> Option<Timestamp> {
    items::text_of(document, "stored_at").and_then(|at| at.parse().ok())
}

/// Whether the bytes of a document may be on their way to its place: it awaits them, or got them so lately
/// that a repetition of the request may still be at it.
fn may_be_copied(stored_at: Option<Timestamp>, now: Timestamp) -> bool {
    stored_at.is_none_or(|stored_at| now.duration_since(stored_at) < COPY_TIME)
}

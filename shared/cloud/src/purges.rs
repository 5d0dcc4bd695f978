//! What must still be deleted from S3 after its record is gone: noted in the transaction that
//! removed the record, so that a killed process forgets nothing.

use aws_sdk_dynamodb::types::TransactWriteItem;
use jiff::{SignedDuration, Timestamp};
use oubli_domain::{ContactId, DocumentId, TenantId};
use serde::{Deserialize, Serialize};

use crate::connect::Cloud;
use crate::error::CloudError;
use crate::expression::{Condition, text};
use crate::items;
use crate::keys;
use crate::open_work;
use crate::table::{Query, Transacted};

/// How long the process that deleted the record may take before the janitor looks.
const GRACE: SignedDuration = SignedDuration::from_mins(5);

/// When the janitor looks after what is being deleted now.
pub(crate) fn soon(now: Timestamp) -> Timestamp {
    now.saturating_add(GRACE).unwrap_or(now)
}

/// Objects to be deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purge {
    /// Whose.
    pub tenant_id: TenantId,
    /// Of which contact.
    pub contact_id: ContactId,
    /// One document, or, without it, all of them and everything beneath the contact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_id: Option<DocumentId>,
    /// Only if the document still awaits its upload; its record goes too then.
    #[serde(default)]
    pub if_awaiting: bool,
}

impl Purge {
    /// Everything of a contact.
    pub fn of_contact(tenant: &TenantId, contact: &ContactId) -> Self {
        Self {
            tenant_id: tenant.clone(),
            contact_id: contact.clone(),
            document_id: None,
            if_awaiting: false,
        }
    }

    /// One document.
    pub fn of_document(tenant: &TenantId, contact: &ContactId, document: &DocumentId) -> Self {
        Self {
            document_id: Some(document.clone()),
            ..Self::of_contact(tenant, contact)
        }
    }

    /// A document that was announced and whose bytes were not verified in time.
    pub fn of_awaiting(tenant: &TenantId, contact: &ContactId, document: &DocumentId) -> Self {
        Self {
            if_awaiting: true,
            ..Self::of_document(tenant, contact, document)
        }
    }

    pub(crate) fn key(&self) -> keys::Key {
        let what = match &self.document_id {
            Some(document) => format!("DOC#{}#{document}", self.contact_id),
            None => format!("CONTACT#{}", self.contact_id),
        };
        keys::purge(&self.tenant_id, &what)
    }
}

impl Cloud {
    pub(crate) fn purge_write(&self, purge: &Purge, due: Timestamp) -> Result<TransactWriteItem, CloudError> {
        let key = purge.key();
        let mut attributes = items::with_key(items::write("purge", purge)?, &key);
        attributes.extend(open_work::attributes(&key, due));
        self.requests.put_write(attributes, None)
    }

    /// Deletes what the note says, then the note. Doing it twice does no harm.
    ///
    /// # Errors
    /// [`CloudError`]; the note stays, and the janitor tries again.
    pub async fn purge(&self, purge: &Purge) -> Result<(), CloudError> {
        let (tenant, contact) = (&purge.tenant_id, &purge.contact_id);
        if purge.if_awaiting && !self.forget_awaiting(purge).await? {
            return self.requests.delete(&purge.key()).await;
        }
        match &purge.document_id {
            Some(document) => {
                self.objects.delete_document(tenant, contact, document).await?;
                self.objects.delete_upload(tenant, document).await?;
            }
            None => {
                let beneath = Query::partition(keys::contact_partition(tenant, contact));
                for attributes in self.contacts.query_all(beneath).await? {
                    let Some(key) = items::key_of(&attributes) else {
                        continue;
                    };
                    let document = key.sk.strip_prefix(keys::DOCUMENT_PREFIX);
                    if let Some(Ok(document)) = document.map(DocumentId::parse) {
                        self.objects.delete_upload(tenant, &document).await?;
                    }
                    self.contacts.delete(&key).await?;
                }
                self.objects.delete_documents(tenant, contact).await?;
            }
        }
        self.requests.delete(&purge.key()).await
    }

    /// Deletes the record of a document whose bytes were never verified, so that nobody can
    /// complete it any more. `false`: it is stored, and stays.
    async fn forget_awaiting(&self, purge: &Purge) -> Result<bool, CloudError> {
        let Some(document) = &purge.document_id else {
            return Ok(true);
        };
        let key = keys::document(&purge.tenant_id, &purge.contact_id, document);
        let awaiting = Condition::Any(vec![
            Condition::Absent("pk"),
            Condition::Equal("state", text("awaiting_upload")),
        ]);
        let writes = vec![self.contacts.delete_write(&key, Some(awaiting))?];
        Ok(matches!(self.contacts.transact(writes).await?, Transacted::Yes))
    }
}

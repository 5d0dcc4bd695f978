//! What must still be deleted from S3 after its record is gone: noted in the transaction that
//! removed the record, so that a killed process forgets nothing.

use aws_sdk_dynamodb::types::TransactWriteItem;
use jiff::{SignedDuration, Timestamp};
use oubli_domain::{ContactId, DocumentId, TenantId};
use serde::{Deserialize, Serialize};

use crate::connect::Cloud;
use crate::error::CloudError;
use crate::items;
use crate::keys;
use crate::open_work;
use crate::table::Query;

/// How long the process that deleted the record may take before the janitor looks.
const GRACE: SignedDuration = SignedDuration::from_mins(5);

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
}

impl Purge {
    /// Everything of a contact.
    pub fn of_contact(tenant: &TenantId, contact: &ContactId) -> Self {
        Self {
            tenant_id: tenant.clone(),
            contact_id: contact.clone(),
            document_id: None,
        }
    }

    /// One document.
    pub fn of_document(tenant: &TenantId, contact: &ContactId, document: &DocumentId) -> Self {
        Self {
            document_id: Some(document.clone()),
            ..Self::of_contact(tenant, contact)
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
    pub(crate) fn purge_write(&self, purge: &Purge, now: Timestamp) -> Result<TransactWriteItem, CloudError> {
        let key = purge.key();
        let mut attributes = items::with_key(items::write("purge", purge)?, &key);
        attributes.extend(open_work::attributes(
            &key,
            now.saturating_add(GRACE).unwrap_or(now),
        ));
        self.requests.put_write(attributes, None)
    }

    /// Deletes what the note says, then the note. Doing it twice does no harm.
    ///
    /// # Errors
    /// [`CloudError`]; the note stays, and the janitor tries again.
    pub async fn purge(&self, purge: &Purge) -> Result<(), CloudError> {
        let (tenant, contact) = (&purge.tenant_id, &purge.contact_id);
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
}

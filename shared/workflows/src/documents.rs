//! Documents: announced, uploaded straight to S3, verified, fetched, deleted.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use oubli_cloud::{CreateOutcome, DocumentOutcome, Purge, StoreOutcome, UploadedObject};
use oubli_domain::archive::MAX_LINK_LIFE;
use oubli_domain::audit::AuditEvent;
use oubli_domain::contact::ContactState;
use oubli_domain::document::{Document, DocumentDraft, DocumentState, MAX_DOCUMENTS};
use oubli_domain::paging::Page;
use oubli_domain::{ContactId, DocumentId, TenantId};

use crate::error::{Conflict, WorkflowError};
use crate::idempotency::{Idempotency, replayed};
use crate::paging::{PageRequest, page};
use crate::{Caller, Oubli};

/// How long a client has to begin its upload.
const UPLOAD_LIFE: SignedDuration = SignedDuration::from_hours(1);

/// How long an answer waits for objects to be deleted: with the longest wait for a transaction before it, less
/// than the function's time.
const PURGE_TIME: Duration = Duration::from_secs(5);

/// A request by which the client sends the bytes straight to S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// The HTTP method.
    pub method: String,
    /// Where to.
    pub url: String,
    /// Headers that must be sent exactly so.
    pub headers: BTreeMap<String, String>,
    /// Until when the upload may begin.
    pub expires_at: Timestamp,
}

/// A document that was announced, and how to send its bytes.
#[derive(Clone, Debug)]
pub struct NewDocument {
    /// The document.
    pub document: Document,
    /// How to send its bytes.
    pub upload: Upload,
}

impl Oubli {
    /// A page of a contact's documents, oldest first.
    ///
    /// # Errors
    /// [`WorkflowError::NotFound`], [`WorkflowError::CursorInvalid`].
    pub async fn list_documents(
        &self,
        tenant: &TenantId,
        contact: &ContactId,
        request: &PageRequest,
    ) -> Result<Page<Document>, WorkflowError> {
        let shelf = self.contact(tenant, contact).await?.shelf();
        let position = request.position()?;
        let after = position
            .as_ref()
            .map(|position| DocumentId::parse(position.text.as_str()));
        let after = after.transpose().map_err(|_| WorkflowError::CursorInvalid)?;
        let found = self
            .cloud
            .documents(&shelf, after.as_ref(), request.limit.get())
            .await?;
        let count = match position {
            Some(position) => position.count,
            None if found.next.is_none() => found.items.len() as u64,
            None => self.cloud.count_documents(&shelf).await?,
        };
        Ok(page(found.items, found.next, count))
    }

    /// Announces a document and signs its upload. The bytes go to a place of their own first, so
    /// that a link which is still valid can never change or bring back a stored document.
    ///
    /// # Errors
    /// [`WorkflowError::NotFound`], [`WorkflowError::Invalid`], [`Conflict::ContactAnonymised`],
    /// [`Conflict::TooManyDocuments`], [`WorkflowError::IdempotencyMismatch`].
    pub async fn create_document(
        &self,
        tenant: &TenantId,
        contact: &ContactId,
        draft: DocumentDraft,
        idempotency: &Idempotency,
    ) -> Result<NewDocument, WorkflowError> {
        let found = self.contact(tenant, contact).await?;
        let mut fields = draft.parse()?;
        let id = DocumentId::from(self.ids.uuid());
        let claim = self.claim(idempotency, id.as_str()).await?;
        if let Some(earlier) = self.earlier(tenant, claim.as_ref()).await? {
            return self.announced(tenant, contact, earlier).await;
        }
        if found.state == ContactState::Anonymised {
            return Err(Conflict::ContactAnonymised.into());
        }
        if found.document_count >= MAX_DOCUMENTS {
            return Err(Conflict::TooManyDocuments.into());
        }
        // S3 verifies one checksum; the other is learned when the document is first read.
        if fields.sha256.is_some() {
            fields.crc32 = None;
        }
        let document = Document {
            tenant_id: tenant.clone(),
            contact_id: contact.clone(),
            id,
            generation: found.generation,
            state: DocumentState::AwaitingUpload,
            fields,
            created_at: self.now(),
            stored_at: None,
        };
        match (
            self.cloud.create_document(&document, claim.as_ref()).await?,
            claim,
        ) {
            (CreateOutcome::Created, _) => self.with_upload(document).await,
            (CreateOutcome::Replayed(replay), Some(claim)) => {
                let earlier = replayed(&claim, replay)?;
                self.announced(tenant, contact, earlier).await
            }
            (CreateOutcome::ParentAbsent, _) => Err(WorkflowError::NotFound),
            (CreateOutcome::Exists | CreateOutcome::Replayed(_), _) => Err(Conflict::AlreadyExists.into()),
        }
    }

    async fn announced(
        &self,
        tenant: &TenantId,
        contact: &ContactId,
        id: String,
    ) -> Result<NewDocument, WorkflowError> {
        let id = DocumentId::parse(id).map_err(WorkflowError::internal)?;
        let document = self.document(tenant, contact, &id).await?;
        self.with_upload(document).await
    }

    async fn with_upload(&self, document: Document) -> Result<NewDocument, WorkflowError> {
        let links = self.cloud.links(self.now(), UPLOAD_LIFE).await?;
        let signed = self.cloud.sign_upload(&document, &links).await?;
        let upload = Upload {
            method: signed.method,
            url: signed.url,
            headers: signed.headers,
            expires_at: links.expires_at(),
        };
        Ok(NewDocument { document, upload })
    }

    /// Verifies what was uploaded and stores it. Asking again is fine.
    ///
    /// # Errors
    /// [`WorkflowError::NotFound`], [`Conflict::UploadMissing`], [`Conflict::UploadSizeMismatch`],
    /// [`Conflict::UploadHashMismatch`], [`Conflict::UploadChanged`]; the document awaits its
    /// upload then, as before.
    pub async fn complete_document(
        &self,
        tenant: &TenantId,
        contact: &ContactId,
        document: &DocumentId,
    ) -> Result<Document, WorkflowError> {
        let found = self.document(tenant, contact, document).await?;
        if found.state == DocumentState::Stored {
            return Ok(found);
        }
        let Some(uploaded) = self.cloud.uploaded_object(&found).await? else {
            return self.completed_by_another(&found, Conflict::UploadMissing).await;
        };
        check_upload(&found, &uploaded)?;
        // A declared hash already says which bytes; without one, others may arrive meanwhile.
        let chosen = found.fields.sha256.is_some()
            || self
                .cloud
                .choose_upload(&found, &uploaded.etag, self.now())
                .await?;
        if !chosen {
            return self.completed_by_another(&found, Conflict::UploadChanged).await;
        }
        if self.cloud.store_upload(&found, &uploaded).await? == StoreOutcome::Moved {
            // Other bytes, or none any more: the document may be stored, or gone with its contact.
            return self.completed_by_another(&found, Conflict::UploadChanged).await;
        }
        let now = self.now();
        match self.cloud.mark_stored(&found, now).await? {
            DocumentOutcome::Done => {}
            DocumentOutcome::Moved => {
                return self.completed_by_another(&found, Conflict::UploadChanged).await;
            }
            DocumentOutcome::ContactAbsent => {
                self.purge_now(&Purge::of_document(found.shelf(), document)).await;
                return Err(WorkflowError::NotFound);
            }
        }
        if let Err(error) = self.cloud.delete_upload(&found).await {
            // It goes by the bucket's rule within a day.
            tracing::warn!(%error, document_id = %document, "an upload was not deleted after it was stored");
        }
        Ok(Document {
            state: DocumentState::Stored,
            stored_at: Some(now),
            ..found
        })
    }

    /// What came of a document that somebody else completed, or deleted, a moment ago: by itself or
    /// with its contact, whose documents may still be going. `otherwise` if nobody did.
    async fn completed_by_another(
        &self,
        announced: &Document,
        otherwise: Conflict,
    ) -> Result<Document, WorkflowError> {
        let (tenant, contact) = (&announced.tenant_id, &announced.contact_id);
        match self.document(tenant, contact, &announced.id).await {
            Ok(document) if document.state == DocumentState::Stored => Ok(document),
            Ok(_) => Err(otherwise.into()),
            Err(WorkflowError::NotFound) => {
                let gone = Purge::of_document(announced.shelf(), &announced.id);
                self.purge_now(&gone).await;
                Err(WorkflowError::NotFound)
            }
            Err(error) => Err(error),
        }
    }

    /// A link of 5 minutes at most to a stored document. It is audited before it is given.
    ///
    /// # Errors
    /// [`WorkflowError::NotFound`], [`Conflict::DocumentNotStored`].
    pub async fn document_link(
        &self,
        caller: &Caller,
        contact: &ContactId,
        document: &DocumentId,
    ) -> Result<String, WorkflowError> {
        let tenant = &caller.tenant_id;
        let found = self.document(tenant, contact, document).await?;
        if found.state != DocumentState::Stored {
            return Err(Conflict::DocumentNotStored.into());
        }
        let links = self.cloud.links(self.now(), MAX_LINK_LIFE).await?;
        let link = self.cloud.document_link(&found, &links).await?;
        let event = AuditEvent::DocumentLinkMinted {
            member_id: caller.member_id.clone(),
            document_id: found.id,
            contact_id: found.contact_id,
            link_expires_at: links.expires_at(),
        };
        let entry = self.audit_entry(tenant, event);
        self.cloud.add_audit_entry(&entry).await?;
        Ok(link)
    }

    /// Deletes a document.
    ///
    /// # Errors
    /// [`WorkflowError::NotFound`], [`Conflict::Contended`].
    pub async fn delete_document(
        &self,
        tenant: &TenantId,
        contact: &ContactId,
        document: &DocumentId,
    ) -> Result<(), WorkflowError> {
        for _ in 0..3 {
            let holder = self.contact(tenant, contact).await?;
            let found = self.cloud.document(&holder.shelf(), document).await?;
            let found = found.ok_or(WorkflowError::NotFound)?;
            let is_photo = holder.fields.photo_document_id.as_ref() == Some(document);
            let (outcome, purge) = self.cloud.delete_document(&found, is_photo, self.now()).await?;
            if outcome == DocumentOutcome::Done {
                self.purge_now(&purge).await;
                return Ok(());
            }
        }
        Err(Conflict::Contended.into())
    }

    /// A document of a contact as it is: what an anonymised or replaced one left behind is nobody's.
    async fn document(
        &self,
        tenant: &TenantId,
        contact: &ContactId,
        document: &DocumentId,
    ) -> Result<Document, WorkflowError> {
        let shelf = self.contact(tenant, contact).await?.shelf();
        let found = self.cloud.document(&shelf, document).await?;
        found.ok_or(WorkflowError::NotFound)
    }

    /// Deletes objects whose record is gone. If that fails, the note of it stays for the janitor.
    pub(crate) async fn purge_now(&self, purge: &Purge) {
        // What takes longer than an answer may is the janitor's as well.
        let purging = self.cloud.purge(purge, self.now());
        let left = match tokio::time::timeout(PURGE_TIME, purging).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "out of time".to_owned(),
        };
        tracing::warn!(error = left, contact_id = %purge.shelf.contact_id, "objects are left for the janitor to delete");
    }
}

fn check_upload(document: &Document, uploaded: &UploadedObject) -> Result<(), Conflict> {
    let fields = &document.fields;
    if uploaded.size_bytes != fields.size_bytes {
        return Err(Conflict::UploadSizeMismatch);
    }
    let same_sha256 = fields.sha256.is_none_or(|given| uploaded.sha256 == Some(given));
    let same_crc32 = fields.crc32.is_none_or(|given| uploaded.crc32 == Some(given));
    if same_sha256 && same_crc32 {
        Ok(())
    } else {
        Err(Conflict::UploadHashMismatch)
    }
}

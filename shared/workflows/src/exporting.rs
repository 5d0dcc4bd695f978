//! The builder: one contact's data and documents into one archive.
//!
//! Bytes flow from S3 through the archive writer to S3, and are nowhere at rest: documents are
//! read ahead in pieces bounded by bytes, parts of the archive are sent a few at a time.

mod parts;
mod reading;

use futures::stream::{self, StreamExt};
use jiff::Timestamp;
use oubli_archive::contents::{ArchiveBuild, ArchivePlan, BuildError, DocumentHashes, DocumentStart};
use oubli_archive::hashes::{ContentHasher, ContentHashes};
use oubli_archive::zip64::{ArchiveSummary, DEFAULT_PART_BYTES, MAX_ARCHIVE_BYTES};
use oubli_cloud::{CompletedExport, ItemOutcome, TakeOutcome, TakenItem};
use oubli_domain::action::{Action, ItemState, MAX_ITEM_ATTEMPTS};
use oubli_domain::archive::{Archive, ArchiveState, archive_expiry};
use oubli_domain::contact::Contact;
use oubli_domain::document::Document;
use oubli_domain::message::BuildArchiveMessage;
use oubli_domain::{ArchiveId, AttemptId, ContactId, Language, Reason, TenantId};

use crate::Oubli;
use crate::error::WorkflowError;
use parts::PartSender;
use reading::{DocumentReader, WantedDocument};

/// How often a contact is read again that changes while it is read.
const READS: usize = 5;
/// How many documents are told at once what was learned of them.
const KEPT_AT_ONCE: usize = 16;

/// Why an archive was not built.
#[derive(Debug)]
enum ExportError {
    /// It cannot be: the item says why.
    Impossible(Reason),
    /// Not now.
    Workflow(WorkflowError),
}

impl<E: Into<WorkflowError>> From<E> for ExportError {
    fn from(error: E) -> Self {
        Self::Workflow(error.into())
    }
}

fn of_build(error: BuildError) -> ExportError {
    match error.reason() {
        Some(reason) => ExportError::Impossible(reason),
        None => ExportError::Workflow(WorkflowError::internal(error)),
    }
}

impl Oubli {
    /// Builds the archive of one contact of an action, if that is still to be done.
    ///
    /// # Errors
    /// [`WorkflowError::Busy`], [`WorkflowError::Internal`]: the message is to come again.
    pub async fn build_archive(&self, message: &BuildArchiveMessage) -> Result<(), WorkflowError> {
        let (tenant, id, chunk) = (&message.tenant_id, &message.action_id, message.chunk);
        let action = self.cloud.action(tenant, id).await?;
        let Some(action) = action.filter(|action| chunk < action.chunks_planned) else {
            tracing::warn!("a build message for an item that is not there");
            return Ok(());
        };
        if action.stop_requested && !self.has_begun(&action, chunk, &message.contact_id).await? {
            // The planner counts what a stop left; this message has nothing to do.
            return self.settle_chunk(tenant, id, chunk).await;
        }
        let attempt = AttemptId::from(self.ids.uuid());
        let archive = ArchiveId::from(self.ids.uuid());
        let contact = &message.contact_id;
        match self
            .cloud
            .take_item(&action, chunk, contact, &attempt, &archive, self.now())
            .await?
        {
            // Its holder ends it, or its lease does and the janitor hands it out again.
            TakeOutcome::Busy => Ok(()),
            TakeOutcome::Ended(_) => self.settle_chunk(tenant, id, chunk).await,
            TakeOutcome::Taken(taken) => {
                self.export_taken(&action, chunk, &taken).await?;
                self.settle_chunk(tenant, id, chunk).await
            }
        }
    }

    async fn has_begun(
        &self,
        action: &Action,
        chunk: u32,
        contact: &ContactId,
    ) -> Result<bool, WorkflowError> {
        let item = self
            .cloud
            .item(&action.tenant_id, &action.id, chunk, contact)
            .await?;
        Ok(item.is_some_and(|item| item.state == ItemState::Running))
    }

    async fn export_taken(
        &self,
        action: &Action,
        chunk: u32,
        taken: &TakenItem,
    ) -> Result<(), WorkflowError> {
        let tenant = &action.tenant_id;
        if taken.item.attempts > 1 {
            // Earlier attempts lost their lease: what they left is nobody's.
            self.cloud.clear_attempts(tenant, &taken.archive_id, None).await?;
        }
        let outcome = if taken.item.attempts > MAX_ITEM_ATTEMPTS {
            Err(ExportError::Impossible(Reason::TooManyAttempts))
        } else {
            self.export(action, chunk, taken).await
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(ExportError::Impossible(reason)) => {
                tracing::info!(reason = reason.code(), "the contact cannot be exported");
                self.cloud
                    .end_item(action, chunk, taken, ItemOutcome::Failed(reason), self.now())
                    .await?;
                Ok(())
            }
            Err(ExportError::Workflow(error)) => Err(error),
        }
    }

    /// Exports a contact as it is; as it is by then, if a member changes it and a document that was
    /// to be read is gone.
    async fn export(&self, action: &Action, chunk: u32, taken: &TakenItem) -> Result<(), ExportError> {
        let (tenant, id) = (&action.tenant_id, &taken.item.contact_id);
        let mut whole = self.read_whole(tenant, id).await?;
        for _ in 1..READS {
            let version = whole.0.version;
            match self.export_version(action, chunk, taken, whole).await {
                Err(ExportError::Impossible(Reason::DocumentUnreadable)) => {
                    whole = self.read_whole(tenant, id).await?;
                    if whole.0.version == version {
                        return Err(ExportError::Impossible(Reason::DocumentUnreadable));
                    }
                }
                ended => return ended,
            }
        }
        self.export_version(action, chunk, taken, whole).await
    }

    async fn export_version(
        &self,
        action: &Action,
        chunk: u32,
        taken: &TakenItem,
        (contact, documents): (Contact, Vec<Document>),
    ) -> Result<(), ExportError> {
        let tenant = &action.tenant_id;
        contact.may_export().map_err(ExportError::Impossible)?;
        let language = self
            .cloud
            .tenant(tenant)
            .await?
            .map_or(Language::En, |tenant| tenant.language);
        let contact_version = contact.version;
        let plan = ArchivePlan::new(contact, documents, language);
        let plan = plan.map_err(|_| ExportError::Impossible(Reason::ArchiveTooLarge))?;
        if plan.document_bytes() > MAX_ARCHIVE_BYTES {
            return Err(ExportError::Impossible(Reason::ArchiveTooLarge));
        }
        let mut sender = PartSender::new(&self.cloud, tenant, &taken.archive_id, &taken.attempt_id);
        let written = self.write_archive(tenant, plan, taken, &mut sender).await;
        let (summary, learned) = match written {
            Ok(written) => written,
            Err(error) => {
                sender.abort().await;
                return Err(error);
            }
        };
        let object_key = match sender.complete().await {
            Ok(object_key) => object_key,
            Err(error) => {
                sender.abort().await;
                return Err(error.into());
            }
        };
        let created_at = self.now();
        let archive = record(action, taken, contact_version, object_key, &summary, created_at);
        self.keep_hashes(tenant, &taken.item.contact_id, learned).await;
        match self.cloud.complete_export(action, chunk, taken, &archive).await? {
            CompletedExport::Recorded => Ok(()),
            CompletedExport::ContactAbsent => {
                self.cloud.delete_archive_object(&archive.object_key).await?;
                Err(ExportError::Impossible(Reason::ContactAbsent))
            }
            CompletedExport::Lost => {
                tracing::warn!("another attempt has taken over; this one's archive is deleted");
                Ok(self.cloud.delete_archive_object(&archive.object_key).await?)
            }
        }
    }

    /// Reads a contact and its documents as they are in one version.
    async fn read_whole(
        &self,
        tenant: &TenantId,
        id: &ContactId,
    ) -> Result<(Contact, Vec<Document>), ExportError> {
        let absent = || ExportError::Impossible(Reason::ContactAbsent);
        let mut contact = self.cloud.contact(tenant, id).await?.ok_or_else(absent)?;
        for _ in 0..READS {
            let documents = self.cloud.stored_documents(tenant, id).await?;
            let again = self.cloud.contact(tenant, id).await?.ok_or_else(absent)?;
            if again.version == contact.version {
                return Ok((contact, documents));
            }
            contact = again;
        }
        Err(ExportError::Impossible(Reason::ContactChanged))
    }

    async fn write_archive(
        &self,
        tenant: &TenantId,
        plan: ArchivePlan,
        taken: &TakenItem,
        sender: &mut PartSender<'_>,
    ) -> Result<(ArchiveSummary, Vec<DocumentHashes>), ExportError> {
        let mut build = ArchiveBuild::new(plan, DEFAULT_PART_BYTES).map_err(of_build)?;
        let documents: Vec<_> = build.documents().iter().map(WantedDocument::of).collect();
        let reader = |wanted| DocumentReader::start(&self.cloud, tenant, &taken.item.contact_id, wanted);
        let mut pieces = reader(documents.clone());
        let mut learned = Vec::new();
        for document in documents {
            let head = pieces.next().await?;
            let mut left = document.size_bytes.saturating_sub(head.len() as u64);
            if build.start_document(&head).map_err(of_build)? == DocumentStart::CrcNeeded {
                let hashes = hashes_of(reader(vec![document.clone()]), document.size_bytes).await?;
                build.learn(&hashes).map_err(of_build)?;
                if build.start_document(&head).map_err(of_build)? == DocumentStart::CrcNeeded {
                    return Err(ExportError::Workflow(WorkflowError::internal(
                        "a learned CRC-32 was not taken",
                    )));
                }
            }
            drop(head);
            sender.send_ready(&mut build).await?;
            while left > 0 {
                let piece = pieces.next().await?;
                left = left.saturating_sub(piece.len() as u64);
                build.write(&piece).map_err(of_build)?;
                drop(piece);
                sender.send_ready(&mut build).await?;
            }
            let hashes = build.finish_document().map_err(of_build)?;
            if hashes.learned {
                learned.push(hashes);
            }
        }
        let manifest = build.finish_manifest().map_err(of_build)?;
        sender.send_ready(&mut build).await?;
        let signature = self.cloud.sign_manifest(&manifest).await?;
        let summary = build.finish(&signature).map_err(of_build)?;
        sender.send_ready(&mut build).await?;
        Ok((summary, learned))
    }

    /// Keeps with the documents what was learned, so that the next archive need not read twice. The
    /// archive is whole without it: a failure here costs the next one time, and this one nothing.
    async fn keep_hashes(&self, tenant: &TenantId, contact: &ContactId, learned: Vec<DocumentHashes>) {
        stream::iter(learned)
            .for_each_concurrent(KEPT_AT_ONCE, |known| async move {
                let (id, hashes) = (known.document_id, known.hashes);
                let kept = self
                    .cloud
                    .keep_hashes(tenant, contact, &id, &hashes.sha256, hashes.crc32)
                    .await;
                if let Err(error) = kept {
                    tracing::warn!(%error, document_id = %id, "what was learned of a document is not kept");
                }
            })
            .await;
    }
}

/// Reads a document once only to know its hashes.
async fn hashes_of(mut pieces: DocumentReader, size_bytes: u64) -> Result<ContentHashes, ExportError> {
    let mut hasher = ContentHasher::default();
    let mut left = size_bytes;
    while left > 0 {
        let piece = pieces.next().await?;
        left = left.saturating_sub(piece.len() as u64);
        hasher.update(&piece);
    }
    Ok(hasher.finish())
}

fn record(
    action: &Action,
    taken: &TakenItem,
    contact_version: u64,
    object_key: String,
    summary: &ArchiveSummary,
    created_at: Timestamp,
) -> Archive {
    Archive {
        tenant_id: action.tenant_id.clone(),
        id: taken.archive_id.clone(),
        contact_id: taken.item.contact_id.clone(),
        contact_version,
        action_id: action.id.clone(),
        state: ArchiveState::Ready,
        object_key,
        size_bytes: summary.size_bytes,
        sha256: summary.sha256,
        created_at,
        expires_at: archive_expiry(created_at),
        downloaded_at: None,
        deleted_at: None,
    }
}

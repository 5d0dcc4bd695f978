//! The builder: one contact's data and documents into one archive.
//!
//! Bytes flow from S3 through the archive writer to S3, and are nowhere at rest: documents are
//! read ahead in pieces bounded by bytes, parts of the archive are sent a few at a time.

mod parts;
mod reading;

use futures::stream::{self, StreamExt};
use jiff::Timestamp;
use oubli_archive::contents::{ArchiveBuild, ArchivePlan, BuildError, DocumentStart};
use oubli_archive::hashes::{ContentHasher, ContentHashes};
use oubli_archive::signature::PublicKey;
use oubli_archive::zip64::{ArchiveSummary, DEFAULT_PART_BYTES, MAX_ARCHIVE_BYTES};
use oubli_cloud::{CompletedExport, LearnedHashes, MAX_LEARNED};
use oubli_domain::action::{ActionKind, ItemState, MAX_ITEM_ATTEMPTS, Verdict};
use oubli_domain::archive::{Archive, ArchiveState, archive_expiry};
use oubli_domain::contact::{Contact, HOLD_LIFE, Hold, Shelf};
use oubli_domain::document::{Document, DocumentState};
use oubli_domain::message::ItemMessage;
use oubli_domain::{ArchiveId, ContactId, Reason, Sha256};

use crate::Oubli;
use crate::error::WorkflowError;
use crate::working::{ItemBatch, Task};
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

/// The export of one contact, as this attempt has taken it.
struct Export<'a> {
    batch: &'a ItemBatch,
    task: &'a Task,
    contact: ContactId,
    archive: ArchiveId,
}

/// How an attempt at an export ended.
enum Ending {
    /// The item has ended so.
    Ended(ItemState),
    /// Another attempt has the item.
    Lost,
    /// The batch has read enough: the item was given back, and is handed out again.
    Postponed,
}

impl Oubli {
    /// Builds the archive of one contact of an action, if that is still to be done.
    ///
    /// # Errors
    /// [`WorkflowError::Busy`], [`WorkflowError::Internal`]: the message is to come again.
    pub async fn build_archive(
        &self,
        batch: &ItemBatch,
        message: &ItemMessage,
        receive_count: u32,
    ) -> Result<(), WorkflowError> {
        let begun = self
            .begin_item(batch, ActionKind::Export, message, receive_count)
            .await?;
        let Some(task) = begun else {
            return Ok(());
        };
        let archive = task.taken.item.archive_id.clone();
        let export = Export {
            batch,
            contact: ContactId::from(task.taken.item.id.clone()),
            archive: archive.ok_or_else(|| WorkflowError::internal("an item has no archive"))?,
            task: &task,
        };
        match self.export_taken(&export).await {
            Ok(Ending::Ended(state)) => self.item_ended(batch, message, state).await,
            Ok(Ending::Lost) => self.item_lost(batch, message).await,
            Ok(Ending::Postponed) => {
                let item = vec![message.item_id.clone()];
                self.send_items(&task.action, task.chunk, item, message.recount)
                    .await?;
            }
            Err(error) => {
                self.give_back(&task, &error).await;
                return Err(error);
            }
        }
        Ok(())
    }

    async fn export_taken(&self, export: &Export<'_>) -> Result<Ending, WorkflowError> {
        let Task { action, chunk, taken } = export.task;
        let outcome = if taken.item.attempts > MAX_ITEM_ATTEMPTS {
            Err(ExportError::Impossible(Reason::TooManyAttempts))
        } else {
            self.export(export).await
        };
        if !matches!(outcome, Ok(Ending::Ended(_))) {
            self.release(export).await;
        }
        match outcome {
            Ok(ending) => Ok(ending),
            Err(ExportError::Impossible(reason)) => {
                tracing::info!(reason = reason.code(), "the contact cannot be exported");
                let (verdict, contact) = (Verdict::Failed(reason), Some(&export.contact));
                let ended = self
                    .cloud
                    .end_item(action, *chunk, taken, verdict, contact, self.now())
                    .await?;
                Ok(if ended {
                    Ending::Ended(ItemState::Failed)
                } else {
                    Ending::Lost
                })
            }
            Err(ExportError::Workflow(error)) => Err(error),
        }
    }

    async fn release(&self, export: &Export<'_>) {
        let (tenant, attempt) = (&export.task.action.tenant_id, &export.task.taken.attempt_id);
        if let Err(error) = self.cloud.release_contact(tenant, &export.contact, attempt).await {
            // It ends by itself.
            tracing::warn!(%error, "an export that failed is still noted on its contact");
        }
    }

    /// Exports a contact as it is; as it is by then, if a member changes it and a document that was
    /// to be read is gone.
    async fn export(&self, export: &Export<'_>) -> Result<Ending, ExportError> {
        let taken = &export.task.taken;
        let mut whole = self.read_and_hold(export).await?;
        if !export.batch.admits(whole.0.document_bytes).await {
            let Task { action, chunk, taken } = export.task;
            self.cloud.give_item_back(action, *chunk, taken, false).await?;
            return Ok(Ending::Postponed);
        }
        if taken.item.takes.max(taken.item.attempts) > 1 {
            // Earlier attempts failed, or lost their lease: what they left is nobody's.
            let tenant = &export.task.action.tenant_id;
            self.cloud
                .clear_attempts(tenant, &export.archive, &taken.attempt_id)
                .await?;
        }
        for _ in 1..READS {
            let version = whole.0.version;
            match self.export_version(export, whole).await {
                Err(ExportError::Impossible(Reason::DocumentUnreadable)) => {
                    whole = self.read_and_hold(export).await?;
                    if whole.0.version == version {
                        return Err(ExportError::Impossible(Reason::DocumentUnreadable));
                    }
                }
                ended => return ended,
            }
        }
        self.export_version(export, whole).await
    }

    async fn export_version(
        &self,
        export: &Export<'_>,
        (contact, documents): (Contact, Vec<Document>),
    ) -> Result<Ending, ExportError> {
        let Task { action, chunk, taken } = export.task;
        let tenant = &action.tenant_id;
        let language = self.language_in(export.batch, tenant).await?;
        let (shelf, contact_version) = (contact.shelf(), contact.version);
        // S3 counts the age of an object that is sent in parts from when that was begun: from here, it deletes
        // nothing before its time.
        let created_at = self.now();
        let plan = ArchivePlan::new(contact, documents, language);
        let plan = plan.map_err(|_| ExportError::Impossible(Reason::ArchiveTooLarge))?;
        if plan.document_bytes() > MAX_ARCHIVE_BYTES {
            return Err(ExportError::Impossible(Reason::ArchiveTooLarge));
        }
        let (document_count, document_bytes) = (plan.documents().len() as u64, plan.document_bytes());
        let mut sender = PartSender::new(&self.cloud, tenant, &export.archive, &taken.attempt_id);
        let written = Box::pin(self.write_archive(&shelf, plan, &mut sender)).await;
        let (summary, manifest_sha256, mut learned) = match written {
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
        let archive = Archive {
            tenant_id: tenant.clone(),
            id: export.archive.clone(),
            contact_id: export.contact.clone(),
            contact_version,
            action_id: action.id.clone(),
            state: ArchiveState::Ready,
            object_key,
            document_count,
            document_bytes,
            manifest_sha256: Some(manifest_sha256),
            size_bytes: summary.size_bytes,
            sha256: summary.sha256,
            created_at,
            expires_at: archive_expiry(created_at),
            downloaded_at: None,
            deleted_at: None,
        };
        // Beyond what fits into one transaction they are kept before.
        let many = learned.split_off(learned.len().min(MAX_LEARNED));
        self.keep_hashes(&shelf, many).await;
        let work = (&**action, *chunk, taken);
        let completed = self
            .cloud
            .complete_export(work, (&archive, &shelf), &learned, self.now())
            .await?;
        match completed {
            CompletedExport::Recorded => Ok(Ending::Ended(ItemState::Done)),
            CompletedExport::ContactGone => {
                self.cloud.delete_archive_object(&archive.object_key).await?;
                let gone = match self.cloud.contact(tenant, &export.contact).await? {
                    None => Reason::ContactAbsent,
                    Some(contact) => contact.may_export().err().unwrap_or(Reason::ContactChanged),
                };
                Err(ExportError::Impossible(gone))
            }
            CompletedExport::Lost => {
                tracing::warn!("another attempt has taken over; this one's archive is deleted");
                self.cloud.delete_archive_object(&archive.object_key).await?;
                Ok(Ending::Lost)
            }
        }
    }

    /// Reads a contact and its stored documents as they are in one version, and has anonymisations wait for
    /// this export, as long as its lease lasts at most.
    async fn read_and_hold(&self, export: &Export<'_>) -> Result<(Contact, Vec<Document>), ExportError> {
        let (tenant, id) = (&export.task.action.tenant_id, &export.contact);
        for _ in 0..READS {
            let Some(whole) = self.cloud.whole_contact(tenant, id).await? else {
                return Err(ExportError::Impossible(Reason::ContactAbsent));
            };
            let (contact, mut documents) = (whole.contact, whole.documents);
            contact.may_export().map_err(ExportError::Impossible)?;
            let until = self.now().saturating_add(HOLD_LIFE).unwrap_or(Timestamp::MAX);
            let hold = Hold {
                action_id: export.task.action.id.clone(),
                attempt_id: export.task.taken.attempt_id.clone(),
                until_ms: until.as_millisecond(),
            };
            // The version has not changed after the documents were read: they are those of this version.
            if self.cloud.hold_contact(&contact, &hold).await? {
                documents.retain(|document| document.state == DocumentState::Stored);
                return Ok((contact, documents));
            }
        }
        Err(ExportError::Impossible(Reason::ContactChanged))
    }

    async fn write_archive(
        &self,
        shelf: &Shelf,
        plan: ArchivePlan,
        sender: &mut PartSender<'_>,
    ) -> Result<(ArchiveSummary, Sha256, Vec<LearnedHashes>), ExportError> {
        // Before anything is read: without its key no archive can be finished.
        let key = PublicKey::from_der(&self.cloud.signing_key().await?.public_key_der)
            .map_err(WorkflowError::internal)?;
        let mut build = ArchiveBuild::new(plan, DEFAULT_PART_BYTES).map_err(of_build)?;
        let documents: Vec<_> = build.documents().iter().map(WantedDocument::of).collect();
        let reader = |wanted| DocumentReader::start(&self.cloud, shelf, wanted);
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
                learned.push(LearnedHashes {
                    document_id: hashes.document_id,
                    sha256: hashes.hashes.sha256,
                    crc32: hashes.hashes.crc32,
                });
            }
        }
        let manifest = build.finish_manifest(&key).map_err(of_build)?;
        sender.send_ready(&mut build).await?;
        let signature = self.cloud.sign_manifest(&manifest).await?;
        let summary = build.finish(&signature).map_err(of_build)?;
        sender.send_ready(&mut build).await?;
        Ok((summary, manifest, learned))
    }

    /// Keeps with the documents what was learned, so that the next archive need not read twice. The
    /// archive is whole without it: a failure here costs the next one time, and this one nothing.
    async fn keep_hashes(&self, shelf: &Shelf, learned: Vec<LearnedHashes>) {
        stream::iter(learned)
            .for_each_concurrent(KEPT_AT_ONCE, |hashes| async move {
                if let Err(error) = self.cloud.keep_hashes(shelf, &hashes).await {
                    let id = hashes.document_id;
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

//! Saved archives that members send back: announced, then sent straight to S3.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};
use oubli_cloud::{CreateOutcome, SavedUpload, UPLOAD_RECORD_LIFE};
use oubli_domain::{Sha256, TenantId, UploadId};

use crate::Oubli;
use crate::documents::Upload;
use crate::error::{Conflict, WorkflowError};
use crate::idempotency::{Idempotency, replayed};

/// How long a client has to begin its upload, or each part of it: time for 20 GiB over a slow line. Links end
/// with the credentials that sign them, which may be sooner.
const LINK_LIFE: SignedDuration = SignedDuration::from_hours(12);
/// The most that S3 takes in one request, in bytes.
const MAX_SINGLE_BYTES: u64 = 5 * 1024 * 1024 * 1024;
/// The parts of what is larger, in bytes: 320 for 20 GiB, so that an answer can hold their links.
const PART_BYTES: u64 = 64 * 1024 * 1024;
/// What an archive has at most, in bytes. More may be announced; its item fails then, and nothing is sent
/// in parts for it.
const MAX_ARCHIVE_BYTES: u64 = oubli_archive::zip64::MAX_ARCHIVE_BYTES;
const SIGNED_AT_ONCE: usize = 16;

/// How to send the bytes of a saved archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArchiveUploadLinks {
    /// In one request.
    Single(Upload),
    /// In parts.
    Parts {
        /// The size of every part but the last, in bytes.
        part_size_bytes: u64,
        /// One request for each part, in order.
        parts: Vec<UploadPart>,
        /// Until when each part may begin.
        expires_at: Timestamp,
    },
}

/// The request that sends one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadPart {
    /// Which part, from 1.
    pub number: u32,
    /// The HTTP method.
    pub method: String,
    /// Where to.
    pub url: String,
    /// Headers that must be sent exactly so.
    pub headers: BTreeMap<String, String>,
}

/// A saved archive that was announced, and how to send its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewArchiveUpload {
    /// What a restore names it by.
    pub id: UploadId,
    /// How to send its bytes.
    pub upload: ArchiveUploadLinks,
}

impl Oubli {
    /// Announces a saved archive and signs its upload. What arrives is judged when it is restored.
    ///
    /// # Errors
    /// [`WorkflowError::IdempotencyMismatch`], [`WorkflowError::Busy`], [`WorkflowError::Internal`].
    pub async fn announce_archive_upload(
        &self,
        tenant: &TenantId,
        size_bytes: u64,
        sha256: Option<Sha256>,
        idempotency: &Idempotency,
    ) -> Result<NewArchiveUpload, WorkflowError> {
        let id = UploadId::from(self.ids.uuid());
        let claim = self.claim(idempotency, id.as_str()).await?;
        if let Some(earlier) = self.earlier(tenant, claim.as_ref()).await? {
            return self.announced_archive(tenant, &earlier).await;
        }
        let now = self.now();
        let mut saved = SavedUpload {
            tenant_id: tenant.clone(),
            id,
            size_bytes,
            sha256,
            created_at: now,
            expires_at: now.saturating_add(UPLOAD_RECORD_LIFE).unwrap_or(now),
            parts_id: None,
            restored: None,
        };
        if is_sent_in_parts(size_bytes) {
            saved.parts_id = Some(self.cloud.begin_saved_parts(&saved).await?);
        }
        let outcome = self.cloud.create_saved_upload(&saved, claim.as_ref()).await?;
        match (outcome, claim) {
            (CreateOutcome::Created, _) => self.with_links(saved).await,
            (CreateOutcome::Replayed(replay), Some(claim)) => {
                let earlier = replayed(&claim, replay);
                // Its own, if the answer to the first asking was lost.
                if !earlier
                    .as_ref()
                    .is_ok_and(|earlier| *earlier == saved.id.as_str())
                {
                    self.give_up_parts(&saved).await;
                }
                self.announced_archive(tenant, &earlier?).await
            }
            (CreateOutcome::Exists | CreateOutcome::ParentAbsent | CreateOutcome::Replayed(_), _) => {
                self.give_up_parts(&saved).await;
                Err(Conflict::AlreadyExists.into())
            }
        }
    }

    /// Gives up what was begun for an upload that was not recorded; else the bucket's rule does.
    async fn give_up_parts(&self, saved: &SavedUpload) {
        if let Some(parts_id) = &saved.parts_id
            && let Err(error) = self.cloud.abort_saved_parts(saved, parts_id).await
        {
            tracing::warn!(%error, "the parts of an upload were not given up");
        }
    }

    async fn announced_archive(
        &self,
        tenant: &TenantId,
        id: &str,
    ) -> Result<NewArchiveUpload, WorkflowError> {
        let id = UploadId::parse(id).map_err(WorkflowError::internal)?;
        let saved = self.cloud.saved_upload(tenant, &id, self.now()).await?;
        self.with_links(saved.ok_or(WorkflowError::NotFound)?).await
    }

    async fn with_links(&self, saved: SavedUpload) -> Result<NewArchiveUpload, WorkflowError> {
        let links = self.cloud.links(self.now(), LINK_LIFE).await?;
        let expires_at = links.expires_at();
        let upload = if saved.parts_id.is_some() {
            let count = u32::try_from(saved.size_bytes.div_ceil(PART_BYTES)).unwrap_or(u32::MAX);
            let (saved, links) = (&saved, &links);
            let parts = stream::iter(1..=count)
                .map(|number| async move {
                    let size_bytes = part_bytes(saved.size_bytes, number);
                    let signed = self.cloud.sign_saved_part(saved, number, size_bytes, links);
                    Ok::<_, WorkflowError>((number, signed.await?))
                })
                .buffered(SIGNED_AT_ONCE)
                .map_ok(|(number, signed)| UploadPart {
                    number,
                    method: signed.method,
                    url: signed.url,
                    headers: signed.headers,
                })
                .try_collect()
                .await?;
            ArchiveUploadLinks::Parts {
                part_size_bytes: PART_BYTES,
                parts,
                expires_at,
            }
        } else {
            let signed = self.cloud.sign_saved_upload(&saved, &links).await?;
            ArchiveUploadLinks::Single(Upload {
                method: signed.method,
                url: signed.url,
                headers: signed.headers,
                expires_at,
            })
        };
        Ok(NewArchiveUpload { id: saved.id, upload })
    }
}

/// Whether an archive of this size is sent in parts: it has no room in one request, and is not too large
/// to be one.
fn is_sent_in_parts(size_bytes: u64) -> bool {
    (MAX_SINGLE_BYTES + 1..=MAX_ARCHIVE_BYTES).contains(&size_bytes)
}

/// The size of a part, numbered from 1, of an archive of this size: the last has what the others leave.
fn part_bytes(size_bytes: u64, number: u32) -> u64 {
    let before = u64::from(number.saturating_sub(1)) * PART_BYTES;
    size_bytes.saturating_sub(before).min(PART_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_fit_what_s3_and_an_answer_take() {
        assert!(!is_sent_in_parts(MAX_SINGLE_BYTES));
        assert!(is_sent_in_parts(MAX_SINGLE_BYTES + 1));
        assert!(is_sent_in_parts(MAX_ARCHIVE_BYTES));
        assert!(!is_sent_in_parts(MAX_ARCHIVE_BYTES + 1));
        assert_eq!(MAX_ARCHIVE_BYTES.div_ceil(PART_BYTES), 320);
    }

    #[test]
    fn the_sizes_of_all_parts_are_the_size_of_the_whole() {
        for size in [MAX_SINGLE_BYTES + 1, 80 * PART_BYTES, MAX_ARCHIVE_BYTES - 1] {
            let count = u32::try_from(size.div_ceil(PART_BYTES)).unwrap();
            let parts: Vec<_> = (1..=count).map(|number| part_bytes(size, number)).collect();
            assert_eq!(parts.iter().sum::<u64>(), size);
            assert!(parts.iter().rev().skip(1).all(|part| *part == PART_BYTES));
            assert!(parts.iter().all(|part| *part > 0));
        }
    }
}

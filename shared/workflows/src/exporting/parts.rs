//! The parts of an archive on their way to S3: a few at a time, completed once or not at all.

use bytes::Bytes;
use oubli_archive::contents::ArchiveBuild;
use oubli_cloud::{ArchiveUpload, Cloud, CloudError, PartReceipt};
use oubli_domain::{ArchiveId, AttemptId, TenantId};
use tokio::task::JoinSet;

use super::{ExportError, of_build};
use crate::WorkflowError;

/// How many parts are under way at most. Measured at 75 MB/s and 60 ms to the commit: more adds
/// nothing.
const IN_FLIGHT: usize = 3;

type Sent = Result<(u32, PartReceipt), CloudError>;

/// Sends an archive. Until its first full part the archive is small, and goes in one request.
pub(super) struct PartSender<'a> {
    cloud: &'a Cloud,
    tenant: &'a TenantId,
    archive: &'a ArchiveId,
    attempt: &'a AttemptId,
    upload: Option<ArchiveUpload>,
    under_way: JoinSet<Sent>,
    begun: u32,
    receipts: Vec<(u32, PartReceipt)>,
    held: Option<Bytes>,
}

impl<'a> PartSender<'a> {
    pub(super) fn new(
        cloud: &'a Cloud,
        tenant: &'a TenantId,
        archive: &'a ArchiveId,
        attempt: &'a AttemptId,
    ) -> Self {
        let (under_way, receipts) = (JoinSet::new(), Vec::new());
        Self {
            cloud,
            tenant,
            archive,
            attempt,
            upload: None,
            under_way,
            begun: 0,
            receipts,
            held: None,
        }
    }

    /// Sends what the build has ready. The latest part is held back: it may be the only one.
    pub(super) async fn send_ready(&mut self, build: &mut ArchiveBuild) -> Result<(), ExportError> {
        while let Some(part) = build.take_part().map_err(of_build)? {
            if let Some(before) = self.held.replace(part) {
                self.send(before).await?;
            }
        }
        Ok(())
    }

    async fn send(&mut self, part: Bytes) -> Result<(), WorkflowError> {
        let upload = match &self.upload {
            Some(upload) => upload.clone(),
            None => {
                let begun = self
                    .cloud
                    .begin_archive(self.tenant, self.archive, self.attempt)
                    .await?;
                self.upload.insert(begun).clone()
            }
        };
        while self.under_way.len() >= IN_FLIGHT {
            self.collect().await?;
        }
        self.begun += 1;
        let (cloud, number) = (self.cloud.clone(), self.begun);
        self.under_way.spawn(async move {
            let receipt = cloud.put_archive_part(&upload, number, part).await?;
            Ok((number, receipt))
        });
        Ok(())
    }

    async fn collect(&mut self) -> Result<(), WorkflowError> {
        if let Some(sent) = self.under_way.join_next().await {
            let receipt = sent.map_err(WorkflowError::internal)??;
            self.receipts.push(receipt);
        }
        Ok(())
    }

    /// Makes the archive appear, whole; answers where.
    pub(super) async fn complete(&mut self) -> Result<String, WorkflowError> {
        let last = self.held.take().unwrap_or_default();
        if self.upload.is_none() {
            return Ok(self
                .cloud
                .put_archive(self.tenant, self.archive, self.attempt, last)
                .await?);
        }
        self.send(last).await?;
        while !self.under_way.is_empty() {
            self.collect().await?;
        }
        let Some(upload) = &self.upload else {
            return Err(WorkflowError::internal("an upload is missing"));
        };
        self.receipts.sort_by_key(|(number, _)| *number);
        let receipts = self.receipts.drain(..).map(|(_, receipt)| receipt).collect();
        self.cloud.complete_archive(upload, receipts).await?;
        Ok(upload.object_key().to_owned())
    }

    /// Gives the archive up: nothing of it appears.
    pub(super) async fn abort(&mut self) {
        self.under_way.shutdown().await;
        if let Some(upload) = self.upload.take()
            && let Err(error) = self.cloud.abort_archive(&upload).await
        {
            // Its parts go with the next attempt, or by the bucket's rule for incomplete uploads.
            tracing::warn!(%error, "an upload was not aborted");
        }
    }
}

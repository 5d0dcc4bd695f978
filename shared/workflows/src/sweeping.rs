//! The janitor: sends again what is stuck, marks what has expired, deletes what is due.

use futures::stream::{self, StreamExt};
use jiff::SignedDuration;
use oubli_cloud::{OpenWork, SHARDS};
use oubli_domain::action::{Action, ItemState, PlannerStep};
use oubli_domain::archive::{Archive, ArchiveState};
use oubli_domain::audit::AuditEvent;
use oubli_domain::message::{NotifyMessage, PlanMessage};
use oubli_domain::{ActionId, ArchiveId, ItemId, TenantId};

use crate::Oubli;
use crate::error::WorkflowError;

/// How much of one shard is looked at in one sweep; the rest is still due at the next.
const LIMIT: u32 = 500;
/// How many things are looked at side by side.
const AT_ONCE: usize = 16;
/// How long after an archive's end S3's own rule, which is late by up to two days, is waited for.
const BROOM_GRACE: SignedDuration = SignedDuration::from_hours(72);

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Actions that were driven on.
    pub actions: u64,
    /// Items that were handed out again.
    pub items: u64,
    /// Mails that were handed out again.
    pub mails: u64,
    /// Archives marked expired.
    pub expired: u64,
    /// Archives whose object was seen gone.
    pub deleted: u64,
    /// Notes of objects to be deleted that were done.
    pub purged: u64,
    /// What could not be done; it stays due.
    pub failures: u64,
}

impl Swept {
    fn plus(self, other: Self) -> Self {
        Self {
            actions: self.actions + other.actions,
            items: self.items + other.items,
            mails: self.mails + other.mails,
            expired: self.expired + other.expired,
            deleted: self.deleted + other.deleted,
            purged: self.purged + other.purged,
            failures: self.failures + other.failures,
        }
    }
}

impl Oubli {
    /// Looks at all that is due. One thing that fails does not keep the others.
    ///
    /// # Errors
    /// [`WorkflowError`] when what is due cannot even be read.
    pub async fn sweep(&self) -> Result<Swept, WorkflowError> {
        let mut swept = Swept::default();
        for shard in 0..SHARDS {
            let due = self.cloud.open_work(shard, self.now(), LIMIT).await?;
            swept.failures += due.unread;
            let driven = due.work.into_iter().map(|work| self.driven(work));
            let driven: Vec<Swept> = stream::iter(driven).buffer_unordered(AT_ONCE).collect().await;
            swept = driven.into_iter().fold(swept, Swept::plus);
        }
        Ok(swept)
    }

    /// What came of one thing that is due; a failure is counted, and keeps no other.
    async fn driven(&self, work: OpenWork) -> Swept {
        let mut swept = Swept::default();
        if let Err(error) = self.drive(&work, &mut swept).await {
            swept.failures += 1;
            let (error, work) = (chain(&error), kind_of(&work));
            tracing::warn!(error, work, "what was due could not be done");
        }
        swept
    }

    async fn drive(&self, work: &OpenWork, swept: &mut Swept) -> Result<(), WorkflowError> {
        // A chunk has pauses of its own, which grow.
        if !matches!(work, OpenWork::Chunk(..)) {
            self.cloud.put_off(work, self.now()).await?;
        }
        match work {
            OpenWork::Action(tenant, action) => self.drive_action(tenant, action, swept).await,
            OpenWork::Chunk(tenant, action, chunk) => self.drive_chunk(tenant, action, *chunk, swept).await,
            OpenWork::Mail(tenant_id, action_id, mail_id) => {
                let (tenant_id, action_id) = (tenant_id.clone(), action_id.clone());
                let message = NotifyMessage {
                    tenant_id,
                    action_id,
                    mail_id: mail_id.clone(),
                };
                self.cloud.send_notify(&message).await?;
                swept.mails += 1;
                Ok(())
            }
            OpenWork::Archive(tenant, archive) => self.drive_archive(tenant, archive, swept).await,
            OpenWork::Purge(purge) => {
                self.cloud.purge(purge, self.now()).await?;
                swept.purged += 1;
                Ok(())
            }
        }
    }

    async fn drive_action(
        &self,
        tenant: &TenantId,
        action: &ActionId,
        swept: &mut Swept,
    ) -> Result<(), WorkflowError> {
        let Some(found) = self.cloud.action(tenant, action).await? else {
            return Ok(());
        };
        if found.state.has_ended() {
            return Ok(self.cloud.close_action(&found).await?);
        }
        if found.next_step() == PlannerStep::Nothing {
            return self.settle_action(tenant, action).await;
        }
        let message = PlanMessage {
            tenant_id: tenant.clone(),
            action_id: action.clone(),
        };
        self.cloud.send_plan(&message).await?;
        swept.actions += 1;
        Ok(())
    }

    /// Hands out again what is nobody's: never begun, or held by one whose lease is over.
    async fn drive_chunk(
        &self,
        tenant: &TenantId,
        action: &ActionId,
        chunk: u32,
        swept: &mut Swept,
    ) -> Result<(), WorkflowError> {
        let Some(found) = self.cloud.action(tenant, action).await? else {
            return Ok(());
        };
        self.cloud
            .look_at_chunk_later(tenant, action, chunk, self.now())
            .await?;
        let lost = self.lost_items(&found, chunk).await?;
        swept.items += lost.len() as u64;
        self.send_items(&found, chunk, lost, true).await?;
        self.settle_chunk(tenant, action, chunk).await
    }

    async fn lost_items(&self, action: &Action, chunk: u32) -> Result<Vec<ItemId>, WorkflowError> {
        let now = self.now();
        let planned = self
            .cloud
            .chunk_item_ids(&action.tenant_id, &action.id, chunk)
            .await?;
        let items = self
            .cloud
            .chunk_items(&action.tenant_id, &action.id, chunk)
            .await?;
        let is_lost = |id: &ItemId| match items.get(id) {
            None => true,
            Some(item) => match item.state {
                ItemState::Queued => true,
                ItemState::Running => item.lease_until.is_none_or(|until| until <= now),
                ItemState::Done | ItemState::Failed | ItemState::Skipped | ItemState::Stopped => false,
            },
        };
        Ok(planned.into_iter().filter(is_lost).collect())
    }

    async fn drive_archive(
        &self,
        tenant: &TenantId,
        archive: &ArchiveId,
        swept: &mut Swept,
    ) -> Result<(), WorkflowError> {
        let Some(found) = self.cloud.archive(tenant, archive).await? else {
            return Ok(());
        };
        let now = self.now();
        if found.state_at(now) == ArchiveState::Ready {
            return Ok(());
        }
        let broom_is_late = now.duration_since(found.expires_at) > BROOM_GRACE;
        if broom_is_late {
            self.cloud.delete_archive_object(&found.object_key).await?;
        }
        if self.cloud.archive_object_size(&found.object_key).await?.is_some() {
            if found.state == ArchiveState::Ready {
                swept.expired += 1;
            }
            Ok(self.cloud.note_expired(&found, now).await?)
        } else {
            swept.deleted += 1;
            self.note_gone(&found).await
        }
    }

    /// S3 says that it has deleted an object: if it was an archive's, its record and its contact say so too.
    /// S3 is asked whether that is true; an event may be late, or nobody's.
    ///
    /// # Errors
    /// [`WorkflowError::Busy`], [`WorkflowError::Internal`].
    pub async fn note_object_deleted(&self, object_key: &str) -> Result<bool, WorkflowError> {
        let Some((tenant, archive)) = oubli_cloud::archive_of_object(object_key) else {
            return Ok(false);
        };
        let found = self.cloud.archive(&tenant, &archive).await?;
        // Attempts that were given up have objects too, which are nobody's archive.
        let Some(found) = found.filter(|found| found.object_key == object_key) else {
            return Ok(false);
        };
        if self.cloud.archive_object_size(&found.object_key).await?.is_some() {
            return Ok(false);
        }
        self.note_gone(&found).await?;
        Ok(true)
    }

    /// The archive is gone for good: what could be restored from it alone is sealed.
    async fn note_gone(&self, archive: &Archive) -> Result<(), WorkflowError> {
        let event = AuditEvent::ArchiveGone {
            archive_id: archive.id.clone(),
            contact_id: archive.contact_id.clone(),
        };
        let entry = self.audit_entry(&archive.tenant_id, event);
        Ok(self.cloud.note_deleted(archive, &entry).await?)
    }
}

fn kind_of(work: &OpenWork) -> &'static str {
    match work {
        OpenWork::Action(..) => "action",
        OpenWork::Chunk(..) => "chunk",
        OpenWork::Mail(..) => "mail",
        OpenWork::Archive(..) => "archive",
        OpenWork::Purge(_) => "purge",
    }
}

fn chain(error: &WorkflowError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

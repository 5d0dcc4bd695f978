//! Data actions: started, looked at, stopped, retried.

use oubli_cloud::CreateOutcome;
use oubli_domain::action::{
    Action, ActionKind, ActionMail, ActionState, Counts, Item, MailState, Phase, Selection, Subject,
};
use oubli_domain::archive::Archive;
use oubli_domain::message::{NotifyMessage, PlanMessage};
use oubli_domain::paging::Page;
use oubli_domain::{ActionId, FieldErrors, MailId, Sha256, TenantId, UploadId};

use crate::error::{Conflict, WorkflowError};
use crate::idempotency::{Idempotency, replayed};
use crate::paging::{PageRequest, page};
use crate::preview::query_of;
use crate::{Caller, Oubli};

/// A data action to be started.
#[derive(Clone, Debug)]
pub struct NewAction {
    /// What is to be done.
    pub kind: ActionKind,
    /// To what.
    pub selection: Selection,
    /// For a restore: whether it may replace what was changed since.
    pub overwrite: bool,
    /// The hash of the preview that was approved.
    pub plan_hash: Option<Sha256>,
}

/// One item of an action, with its archive.
#[derive(Clone, Debug)]
pub struct ItemDetail {
    /// The item.
    pub item: Item,
    /// The archive that was built for it, or from which it is restored.
    pub archive: Option<Archive>,
    /// The upload from which it is restored.
    pub upload_id: Option<UploadId>,
}

impl Oubli {
    /// Starts an action: the record and the intent first, then the message.
    ///
    /// # Errors
    /// [`WorkflowError::Invalid`] for a filter that matches nobody, [`WorkflowError::PlanChanged`],
    /// [`WorkflowError::IdempotencyMismatch`].
    pub async fn start_action(
        &self,
        caller: &Caller,
        NewAction {
            kind,
            selection,
            overwrite,
            plan_hash,
        }: NewAction,
        idempotency: &Idempotency,
    ) -> Result<Action, WorkflowError> {
        let tenant = &caller.tenant_id;
        let id = ActionId::from(self.ids.uuid());
        let claim = self.claim(idempotency, id.as_str()).await?;
        if let Some(earlier) = self.earlier(tenant, claim.as_ref()).await? {
            return self.action_by_text(tenant, &earlier).await;
        }
        // Before the contacts are looked at: what happens to them from here on was not in view.
        let decided_at = self.now();
        let total = self.selected(tenant, &selection).await?;
        if let Some(plan_hash) = plan_hash {
            self.check_approval(tenant, kind, &selection, overwrite, &plan_hash)
                .await?;
        }
        let action = Action {
            tenant_id: tenant.clone(),
            id,
            kind,
            subject: selection.subject(),
            overwrite,
            state: ActionState::Queued,
            requested_by: caller.member_id.clone(),
            created_at: decided_at,
            completed_at: None,
            run: 1,
            retried_at: None,
            phase: Phase::Planning,
            stop_requested: false,
            total,
            planned: 0,
            chunks_planned: 0,
            chunks_dispatched: 0,
            chunks_folded: 0,
            sweep_chunk: 0,
            selection_exhausted: false,
            plan_cursor: None,
            counts: Counts::default(),
        };
        match (
            self.cloud
                .create_action(&action, &selection, claim.as_ref())
                .await?,
            claim,
        ) {
            (CreateOutcome::Created, _) => {
                self.send_plan(&action).await;
                Ok(action)
            }
            (CreateOutcome::Replayed(replay), Some(claim)) => {
                let earlier = replayed(&claim, replay)?;
                self.action_by_text(tenant, &earlier).await
            }
            (CreateOutcome::Exists | CreateOutcome::ParentAbsent | CreateOutcome::Replayed(_), _) => {
                Err(Conflict::AlreadyExists.into())
            }
        }
    }

    /// How many contacts are known to be selected; a filter is only checked to match somebody.
    async fn selected(&self, tenant: &TenantId, selection: &Selection) -> Result<u64, WorkflowError> {
        match selection {
            Selection::ContactIds(ids) => Ok(ids.len() as u64),
            Selection::ArchiveIds(ids) => Ok(ids.len() as u64),
            Selection::UploadIds(ids) => Ok(ids.len() as u64),
            Selection::Filter(filter) => {
                let query = query_of(filter)?;
                let mut position: Option<String> = None;
                loop {
                    let before = filter.created_before;
                    let page = self
                        .cloud
                        .scan_contacts(tenant, &query, before, position.as_deref(), 1)
                        .await?;
                    position = page.next;
                    match (page.contacts.is_empty(), &position) {
                        (false, _) => return Ok(0),
                        (true, Some(_)) => {}
                        (true, None) => {
                            return Err(FieldErrors::one("/selection/filter", "matches no contact").into());
                        }
                    }
                }
            }
        }
    }

    /// A page of the tenant's actions, newest first.
    ///
    /// # Errors
    /// [`WorkflowError::CursorInvalid`].
    pub async fn list_actions(
        &self,
        tenant: &TenantId,
        request: &PageRequest,
    ) -> Result<Page<Action>, WorkflowError> {
        let position = request.position()?;
        let at = position.as_ref().map(|position| position.text.as_str());
        let is_position = |at: &str| {
            at.split_once('#').is_some_and(|(time, id)| {
                time.len() <= 20 && time.bytes().all(|b| b.is_ascii_digit()) && ActionId::parse(id).is_ok()
            })
        };
        if !at.is_none_or(is_position) {
            return Err(WorkflowError::CursorInvalid);
        }
        let found = self.cloud.actions(tenant, at, request.limit.get()).await?;
        let count = match position {
            Some(position) => position.count,
            None if found.next.is_none() => found.items.len() as u64,
            None => self.cloud.count_actions(tenant).await?,
        };
        let mut actions = Vec::with_capacity(found.items.len());
        for action in found.items {
            actions.push(self.with_live_counts(action).await?);
        }
        Ok(page(actions, found.next, count))
    }

    /// An action, with its counts as they are now.
    ///
    /// # Errors
    /// [`WorkflowError::NotFound`].
    pub async fn get_action(&self, tenant: &TenantId, action: &ActionId) -> Result<Action, WorkflowError> {
        let action = self.action(tenant, action).await?;
        self.with_live_counts(action).await
    }

    /// Adds what unfinished chunks count.
    async fn with_live_counts(&self, mut action: Action) -> Result<Action, WorkflowError> {
        if !action.state.has_ended() && action.chunks_planned > 0 {
            let chunks = self.cloud.chunks(&action.tenant_id, &action.id).await?;
            action.counts = chunks
                .iter()
                .fold(Counts::default(), |sum, chunk| sum.plus(chunk.counts));
        }
        Ok(action)
    }

    /// A page of an action's items, in the order of its selection.
    ///
    /// # Errors
    /// [`WorkflowError::NotFound`], [`WorkflowError::CursorInvalid`].
    pub async fn list_items(
        &self,
        tenant: &TenantId,
        action: &ActionId,
        request: &PageRequest,
    ) -> Result<Page<ItemDetail>, WorkflowError> {
        let action = self.action(tenant, action).await?;
        let (mut chunk, mut offset) = match request.position()? {
            None => (0_u32, 0_usize),
            Some(position) => {
                let parts = position
                    .text
                    .split_once('.')
                    .ok_or(WorkflowError::CursorInvalid)?;
                let parse = |text: &str| text.parse().map_err(|_| WorkflowError::CursorInvalid);
                let offset = parts.1.parse().map_err(|_| WorkflowError::CursorInvalid)?;
                (parse(parts.0)?, offset)
            }
        };
        let limit = usize::try_from(request.limit.get()).unwrap_or(usize::MAX);
        let mut items = Vec::new();
        while chunk < action.chunks_planned && items.len() < limit {
            let planned = self.cloud.chunk_item_ids(tenant, &action.id, chunk).await?;
            let begun = self.cloud.chunk_items(tenant, &action.id, chunk).await?;
            let wanted: Vec<_> = planned
                .iter()
                .skip(offset)
                .take(limit - items.len())
                .cloned()
                .collect();
            offset += wanted.len();
            items.extend(wanted.into_iter().map(|id| {
                begun
                    .get(&id)
                    .cloned()
                    .unwrap_or_else(|| Item::queued(action.subject, id))
            }));
            if offset >= planned.len() {
                chunk += 1;
                offset = 0;
            }
        }
        let next = (chunk < action.chunks_planned).then(|| format!("{chunk}.{offset}"));
        let details = self.details(&action, items).await?;
        Ok(page(details, next, action.planned))
    }

    async fn details(&self, action: &Action, items: Vec<Item>) -> Result<Vec<ItemDetail>, WorkflowError> {
        let ids: Vec<_> = items.iter().filter_map(|item| item.archive_id.clone()).collect();
        let mut archives = self.cloud.archives(&action.tenant_id, &ids).await?.into_iter();
        let detail = |mut item: Item| {
            let archive = item.archive_id.as_ref().and_then(|_| archives.next()).flatten();
            if let (None, Some(archive)) = (&item.contact_id, &archive) {
                item.contact_id = Some(archive.contact_id.clone());
            }
            ItemDetail {
                upload_id: (action.subject == Subject::Upload).then(|| item.id.clone().into()),
                item,
                archive,
            }
        };
        Ok(items.into_iter().map(detail).collect())
    }

    /// Stops what has not begun.
    ///
    /// # Errors
    /// [`WorkflowError::NotFound`], [`Conflict::ActionEnded`].
    pub async fn stop_action(
        &self,
        tenant: &TenantId,
        action: &ActionId,
        idempotency: &Idempotency,
    ) -> Result<Action, WorkflowError> {
        let found = self.action(tenant, action).await?;
        let claim = self.claim(idempotency, action.as_str()).await?;
        if self.earlier(tenant, claim.as_ref()).await?.is_some() {
            return self.get_action(tenant, action).await;
        }
        let outcome = self
            .cloud
            .request_stop(&found, self.now(), claim.as_ref())
            .await?;
        self.requested(outcome, claim.as_ref(), Conflict::ActionEnded)?;
        self.send_plan(&found).await;
        self.get_action(tenant, action).await
    }

    /// Does again what failed.
    ///
    /// # Errors
    /// [`WorkflowError::NotFound`], [`Conflict::ActionNotEnded`], [`Conflict::NothingToRetry`].
    pub async fn retry_action(
        &self,
        tenant: &TenantId,
        action: &ActionId,
        idempotency: &Idempotency,
    ) -> Result<Action, WorkflowError> {
        let found = self.action(tenant, action).await?;
        let claim = self.claim(idempotency, action.as_str()).await?;
        if self.earlier(tenant, claim.as_ref()).await?.is_some() {
            return self.get_action(tenant, action).await;
        }
        if !found.state.has_ended() {
            return Err(Conflict::ActionNotEnded.into());
        }
        if found.counts.failed == 0 {
            return Err(Conflict::NothingToRetry.into());
        }
        let outcome = self
            .cloud
            .request_retry(&found, self.now(), claim.as_ref())
            .await?;
        self.requested(outcome, claim.as_ref(), Conflict::ActionNotEnded)?;
        self.send_plan(&found).await;
        self.get_action(tenant, action).await
    }

    /// Sends the mail about an ended action once more.
    ///
    /// # Errors
    /// [`WorkflowError::NotFound`], [`Conflict::ActionNotEnded`].
    pub async fn resend_mail(
        &self,
        tenant: &TenantId,
        action: &ActionId,
        idempotency: &Idempotency,
    ) -> Result<Action, WorkflowError> {
        let found = self.action(tenant, action).await?;
        let claim = self.claim(idempotency, action.as_str()).await?;
        if self.earlier(tenant, claim.as_ref()).await?.is_some() {
            return self.get_action(tenant, action).await;
        }
        if !found.state.has_ended() {
            return Err(Conflict::ActionNotEnded.into());
        }
        let mail = self.new_mail(&found);
        let outcome = self.cloud.request_mail(&found, &mail, claim.as_ref()).await?;
        self.requested(outcome, claim.as_ref(), Conflict::ActionNotEnded)?;
        self.send_notify(&found, &mail.id).await;
        self.get_action(tenant, action).await
    }

    fn requested(
        &self,
        outcome: CreateOutcome,
        claim: Option<&oubli_cloud::IdempotencyClaim>,
        conflict: Conflict,
    ) -> Result<(), WorkflowError> {
        match (outcome, claim) {
            (CreateOutcome::Created, _) => Ok(()),
            (CreateOutcome::Replayed(replay), Some(claim)) => replayed(claim, replay).map(|_| ()),
            (CreateOutcome::Exists | CreateOutcome::ParentAbsent | CreateOutcome::Replayed(_), _) => {
                Err(conflict.into())
            }
        }
    }

    pub(crate) async fn action(&self, tenant: &TenantId, action: &ActionId) -> Result<Action, WorkflowError> {
        self.cloud
            .action(tenant, action)
            .await?
            .ok_or(WorkflowError::NotFound)
    }

    async fn action_by_text(&self, tenant: &TenantId, id: &str) -> Result<Action, WorkflowError> {
        let id = ActionId::parse(id).map_err(WorkflowError::internal)?;
        self.get_action(tenant, &id).await
    }

    /// A mail to the member who started an action.
    pub(crate) fn new_mail(&self, action: &Action) -> ActionMail {
        ActionMail {
            id: MailId::from(self.ids.uuid()),
            member_id: action.requested_by.clone(),
            state: MailState::Pending,
            attempt_id: None,
            lease_until: None,
            attempts: 0,
            created_at: self.now(),
            sent_at: None,
        }
    }

    /// Tells the planner. The intent is written already: a message that is lost is sent again by
    /// the janitor, so its failure is logged and no more.
    pub(crate) async fn send_plan(&self, action: &Action) {
        let message = PlanMessage {
            tenant_id: action.tenant_id.clone(),
            action_id: action.id.clone(),
        };
        if let Err(error) = self.cloud.send_plan(&message).await {
            tracing::warn!(%error, action_id = %action.id, "a plan message is left for the janitor to send");
        }
    }

    /// Tells the notifier; as for the planner.
    pub(crate) async fn send_notify(&self, action: &Action, mail: &MailId) {
        let message = NotifyMessage {
            tenant_id: action.tenant_id.clone(),
            action_id: action.id.clone(),
            mail_id: mail.clone(),
        };
        if let Err(error) = self.cloud.send_notify(&message).await {
            tracing::warn!(%error, action_id = %action.id, "a notify message is left for the janitor to send");
        }
    }
}

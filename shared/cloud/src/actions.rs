//! Data actions: their record, their selection, and each step of their life.

use jiff::{SignedDuration, Timestamp};
use oubli_domain::action::{Action, ActionMail, ActionState, Chunk, Counts, Phase, Selection};
use oubli_domain::{ActionId, ItemId, TenantId};

use crate::connect::Cloud;
use crate::contacts::CreateOutcome;
use crate::error::CloudError;
use crate::expression::{Attributes, Condition, Update, number, text};
use crate::idempotency::IdempotencyClaim;
use crate::items;
use crate::keys;
use crate::open_work;
use crate::table::{ListPage, Query, Transacted, Written, optional_text};

/// How long a step of an action may take before the janitor looks.
const STEP_GRACE: SignedDuration = SignedDuration::from_mins(2);
/// How long a chunk may take before the janitor looks for lost messages.
const CHUNK_GRACE: SignedDuration = SignedDuration::from_mins(18);

/// What came of starting an action.
pub type CreateActionOutcome = CreateOutcome;

/// A page of a selection, ready to be written as a chunk.
#[derive(Clone, Debug)]
pub struct PlannedChunk {
    /// Its items; none at the end of a selection, or when a step found nobody in all that it read.
    pub item_ids: Vec<ItemId>,
    /// Where the selection goes on; `None` at its end.
    pub next: Option<String>,
}

fn later(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.saturating_add(by).unwrap_or(now)
}

fn state_code(state: ActionState) -> &'static str {
    match state {
        ActionState::Queued => "queued",
        ActionState::Running => "running",
        ActionState::Completed => "completed",
        ActionState::CompletedWithFailures => "completed_with_failures",
        ActionState::Failed => "failed",
        ActionState::Stopped => "stopped",
    }
}

fn phase_code(phase: Phase) -> &'static str {
    match phase {
        Phase::Planning => "planning",
        Phase::Retrying => "retrying",
        Phase::Stopping => "stopping",
        Phase::Waiting => "waiting",
    }
}

/// That nobody has led an action on since it was read.
pub(crate) fn in_phase(action: &Action) -> Condition {
    Condition::All(vec![
        Condition::Equal("phase", text(phase_code(action.phase))),
        Condition::Equal("run", number(action.run)),
    ])
}

impl Cloud {
    /// Starts an action: its record, its selection and the intent to plan it, in one transaction.
    ///
    /// # Errors
    /// [`CloudError`] when DynamoDB fails; as all methods here.
    pub async fn create_action(
        &self,
        action: &Action,
        selection: &Selection,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<CreateActionOutcome, CloudError> {
        let (tenant, id) = (&action.tenant_id, &action.id);
        let key = keys::action(tenant, id);
        let mut attributes = items::with_key(items::write("action", action)?, &key);
        attributes.extend(open_work::attributes(&key, later(action.created_at, STEP_GRACE)));
        attributes.insert("by_time_pk".into(), text(keys::actions_by_time(tenant)));
        let time = format!("{}#{id}", keys::sortable(action.created_at));
        attributes.insert("by_time_sk".into(), text(time));
        let chosen = Attributes::from([(
            "selection".to_owned(),
            items::write_value("selection", selection)?,
        )]);
        let mut writes = vec![
            self.requests
                .put_write(attributes, Some(Condition::Absent("pk")))?,
            self.requests
                .put_write(items::with_key(chosen, &keys::selection(tenant, id)), None)?,
        ];
        if let Some(claim) = claim {
            writes.push(self.claim_write(tenant, claim)?);
        }
        let outcome = self.requests.transact(writes).await?;
        CreateOutcome::of(&outcome, 0, None, 2)
    }

    /// Reads an action, strongly consistent.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn action(&self, tenant: &TenantId, action: &ActionId) -> Result<Option<Action>, CloudError> {
        let found = self.requests.get(&keys::action(tenant, action)).await?;
        found
            .map(|attributes| items::read("action", attributes))
            .transpose()
    }

    /// The selection of an action whose planning has not ended.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn selection(
        &self,
        tenant: &TenantId,
        action: &ActionId,
    ) -> Result<Option<Selection>, CloudError> {
        #[derive(serde::Deserialize)]
        struct Record {
            selection: Selection,
        }
        let found = self.requests.get(&keys::selection(tenant, action)).await?;
        let record: Option<Record> = found
            .map(|attributes| items::read("selection", attributes))
            .transpose()?;
        Ok(record.map(|record| record.selection))
    }

    /// A page of a tenant's actions, newest first.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn actions(
        &self,
        tenant: &TenantId,
        position: Option<&str>,
        limit: u32,
    ) -> Result<ListPage<Action>, CloudError> {
        let mut query = actions_query(tenant);
        query.after = position.map(|position| {
            let id = position.rsplit_once('#').map_or("", |(_, id)| id);
            let key = ActionId::parse(id).map(|id| keys::action(tenant, &id));
            let key = key.unwrap_or_else(|_| keys::tenant(tenant));
            let mut start = crate::table::Table::key_attributes(&key);
            start.insert("by_time_pk".into(), text(keys::actions_by_time(tenant)));
            start.insert("by_time_sk".into(), text(position));
            start
        });
        let (found, more) = self.requests.query_filled(query, limit).await?;
        let last = found
            .last()
            .and_then(|attributes| items::text_of(attributes, "by_time_sk"));
        let next = last.filter(|_| more).map(str::to_owned);
        let actions: Result<Vec<Action>, _> = found
            .into_iter()
            .map(|attributes| items::read("action", attributes))
            .collect();
        Ok(ListPage {
            items: actions?,
            next,
        })
    }

    /// How many actions a tenant has had; counted up to a little over 10,000.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn count_actions(&self, tenant: &TenantId) -> Result<u64, CloudError> {
        self.requests.count(actions_query(tenant)).await
    }

    /// Writes the next chunk of an action's plan. `false`: another planner was here first.
    /// At the end of the selection, which may name a person, the selection is deleted.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn write_chunk(
        &self,
        action: &Action,
        planned: &PlannedChunk,
        now: Timestamp,
    ) -> Result<bool, CloudError> {
        let (tenant, id, chunk_number) = (&action.tenant_id, &action.id, action.chunks_planned);
        let size = planned.item_ids.len() as u64;
        let added = if size > 0 { 1 } else { 0 };
        let known_total = action.total.max(action.planned + size);
        let plan = Update::of(keys::action(tenant, id))
            .set("state", text(state_code(ActionState::Running)))
            .set("chunks_planned", number(chunk_number + added))
            .set("planned", number(action.planned + size))
            .set(
                "total",
                number(if planned.next.is_none() {
                    action.planned + size
                } else {
                    known_total
                }),
            )
            .set_or_remove("plan_cursor", optional_text(planned.next.as_deref()))
            .set(
                "selection_exhausted",
                aws_sdk_dynamodb::types::AttributeValue::Bool(planned.next.is_none()),
            )
            .look_again(later(now, STEP_GRACE))
            .when(Condition::All(vec![
                in_phase(action),
                Condition::Equal("chunks_planned", number(chunk_number)),
                Condition::Equal("chunks_dispatched", number(action.chunks_dispatched)),
                match &action.plan_cursor {
                    Some(cursor) => Condition::Equal("plan_cursor", text(cursor)),
                    None => Condition::Absent("plan_cursor"),
                },
                Condition::Equal(
                    "selection_exhausted",
                    aws_sdk_dynamodb::types::AttributeValue::Bool(false),
                ),
            ]));
        let mut writes = vec![self.requests.update_write(plan)?];
        if size > 0 {
            let chunk = Chunk {
                number: chunk_number,
                total: size,
                counts: Counts::default(),
                folded: false,
                requeued: 0,
            };
            let key = keys::chunk(tenant, id, chunk_number);
            let mut attributes = items::with_key(items::write("chunk", &chunk)?, &key);
            attributes.extend(open_work::attributes(&key, later(now, CHUNK_GRACE)));
            writes.push(
                self.requests
                    .put_write(attributes, Some(Condition::Absent("pk")))?,
            );
            let ids = items::write_value("chunk", &planned.item_ids)?;
            let ids = Attributes::from([("item_ids".to_owned(), ids)]);
            let ids = items::with_key(ids, &keys::chunk_ids(tenant, id, chunk_number));
            writes.push(self.requests.put_write(ids, None)?);
        }
        if planned.next.is_none() {
            writes.push(self.requests.delete_write(&keys::selection(tenant, id), None)?);
        }
        Ok(matches!(self.requests.transact(writes).await?, Transacted::Yes))
    }

    /// Notes that all messages of the next chunk were sent. `false`: it was noted before.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn note_dispatched(&self, action: &Action, now: Timestamp) -> Result<bool, CloudError> {
        let update = Update::of(keys::action(&action.tenant_id, &action.id))
            .set("chunks_dispatched", number(action.chunks_dispatched + 1))
            .look_again(later(now, STEP_GRACE))
            // A late planner must not put an action that was stopped, and has ended, back to the open work.
            .when(Condition::All(vec![
                in_phase(action),
                Condition::Equal("chunks_dispatched", number(action.chunks_dispatched)),
            ]));
        Ok(matches!(self.requests.update(update).await?, Written::Yes(_)))
    }

    /// Notes that a retry or stop sweep is done with its next chunk. `false`: noted before.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn note_swept(&self, action: &Action, now: Timestamp) -> Result<bool, CloudError> {
        let swept = Condition::Equal("sweep_chunk", number(action.sweep_chunk));
        let update = Update::of(keys::action(&action.tenant_id, &action.id))
            .set("sweep_chunk", number(action.sweep_chunk + 1))
            .look_again(later(now, STEP_GRACE))
            .when(Condition::All(vec![in_phase(action), swept]));
        Ok(matches!(self.requests.update(update).await?, Written::Yes(_)))
    }

    /// Leaves an action to its workers: planning, retrying or stopping is over. A selection that a
    /// stop cut short is deleted.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn note_waiting(&self, action: &Action, now: Timestamp) -> Result<bool, CloudError> {
        let (tenant, id) = (&action.tenant_id, &action.id);
        let update = Update::of(keys::action(tenant, id))
            .set("phase", text(phase_code(Phase::Waiting)))
            .set(
                "selection_exhausted",
                aws_sdk_dynamodb::types::AttributeValue::Bool(true),
            )
            .set("total", number(action.planned))
            .look_again(later(now, STEP_GRACE))
            .when(Condition::All(vec![
                in_phase(action),
                Condition::Equal("chunks_planned", number(action.chunks_planned)),
                Condition::Equal("sweep_chunk", number(action.sweep_chunk)),
            ]));
        let mut writes = vec![self.requests.update_write(update)?];
        if !action.selection_exhausted {
            writes.push(self.requests.delete_write(&keys::selection(tenant, id), None)?);
        }
        Ok(matches!(self.requests.transact(writes).await?, Transacted::Yes))
    }

    /// Asks a running action to stop what has not begun. `None`: it has ended, or is stopping.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn request_stop(
        &self,
        action: &Action,
        now: Timestamp,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<CreateOutcome, CloudError> {
        let update = Update::of(keys::action(&action.tenant_id, &action.id))
            .set("phase", text(phase_code(Phase::Stopping)))
            .set(
                "stop_requested",
                aws_sdk_dynamodb::types::AttributeValue::Bool(true),
            )
            .set("sweep_chunk", number(0))
            .look_again(later(now, STEP_GRACE))
            .when(Condition::All(vec![
                Condition::Any(vec![
                    Condition::Equal("state", text("queued")),
                    Condition::Equal("state", text("running")),
                ]),
                Condition::Equal(
                    "stop_requested",
                    aws_sdk_dynamodb::types::AttributeValue::Bool(false),
                ),
            ]));
        self.change_action(action, update, None, claim).await
    }

    /// Begins another run over the failed items of an action that has ended.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn request_retry(
        &self,
        action: &Action,
        now: Timestamp,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<CreateOutcome, CloudError> {
        let update = Update::of(keys::action(&action.tenant_id, &action.id))
            .set("state", text(state_code(ActionState::Running)))
            .set("phase", text(phase_code(Phase::Retrying)))
            .set(
                "stop_requested",
                aws_sdk_dynamodb::types::AttributeValue::Bool(false),
            )
            .set("run", number(action.run + 1))
            .set("retried_at", text(now))
            .set("sweep_chunk", number(0))
            .remove("completed_at")
            .look_again(later(now, STEP_GRACE))
            .when(Condition::All(vec![
                Condition::Equal("state", text(state_code(action.state))),
                Condition::Equal("run", number(action.run)),
            ]));
        self.change_action(action, update, None, claim).await
    }

    /// Asks for one more mail about an action that has ended.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn request_mail(
        &self,
        action: &Action,
        mail: &ActionMail,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<CreateOutcome, CloudError> {
        let unchanged = Condition::Equal("state", text(state_code(action.state)));
        let check = self
            .requests
            .check_write(&keys::action(&action.tenant_id, &action.id), unchanged)?;
        let mut writes = vec![check, self.mail_write(action, mail)?];
        if let Some(claim) = claim {
            writes.push(self.claim_write(&action.tenant_id, claim)?);
        }
        let outcome = self.requests.transact(writes).await?;
        CreateOutcome::of(&outcome, 0, None, 2)
    }

    async fn change_action(
        &self,
        action: &Action,
        update: Update,
        mail: Option<&ActionMail>,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<CreateOutcome, CloudError> {
        let mut writes = vec![self.requests.update_write(update)?];
        if let Some(mail) = mail {
            writes.push(self.mail_write(action, mail)?);
        }
        let claim_index = writes.len();
        if let Some(claim) = claim {
            writes.push(self.claim_write(&action.tenant_id, claim)?);
        }
        let outcome = self.requests.transact(writes).await?;
        CreateOutcome::of(&outcome, 0, None, claim_index)
    }

    /// Ends the run of a settled action and notes the mail to be sent, in one transaction.
    /// `false`: it was ended before, or goes on.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn end_action(
        &self,
        action: &Action,
        mail: &ActionMail,
        now: Timestamp,
    ) -> Result<bool, CloudError> {
        let state = action.counts.end_state(action.stop_requested);
        let update = Update::of(keys::action(&action.tenant_id, &action.id))
            .set("state", text(state_code(state)))
            .set("completed_at", text(now))
            .close()
            .when(Condition::All(vec![
                in_phase(action),
                Condition::Equal("state", text(state_code(action.state))),
                Condition::Equal("chunks_folded", number(action.chunks_planned)),
                Condition::Equal("chunks_planned", number(action.chunks_planned)),
            ]));
        let outcome = self.change_action(action, update, Some(mail), None).await?;
        Ok(outcome == CreateOutcome::Created)
    }

    /// Takes an action that has ended out of the open work, should it stand there still.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn close_action(&self, action: &Action) -> Result<(), CloudError> {
        let update = Update::of(keys::action(&action.tenant_id, &action.id))
            .close()
            .when(Condition::All(vec![
                in_phase(action),
                Condition::Equal("state", text(state_code(action.state))),
            ]));
        // Refused: another run has begun.
        self.requests.update(update).await.map(|_| ())
    }
}

fn actions_query(tenant: &TenantId) -> Query {
    Query {
        index: Some("by_time"),
        partition: ("by_time_pk", keys::actions_by_time(tenant)),
        backwards: true,
        ..Query::partition(String::new())
    }
}

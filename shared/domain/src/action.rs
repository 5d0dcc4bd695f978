//! Data actions: one run of export, anonymise or restore over one or many contacts.
//!
//! An action is planned in chunks of up to [`MAX_CHUNK_ITEMS`] contacts. Each contact has its own
//! item with its own result; counts are kept per chunk and folded into the action when a chunk
//! has ended, so that no record is hot. [`Action::next_step`] and [`Counts::end_state`] are the
//! whole life of an action; the rest is writing it down.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::contact::ContactState;
use crate::field_error::FieldErrors;
use crate::ids::{ActionId, ArchiveId, AttemptId, ContactId, MailId, MemberId, TenantId};
use crate::personal::Personal;
use crate::reason::Reason;

/// Most contacts that a selection may name one by one.
pub const MAX_SELECTED_IDS: usize = 1_000;
/// Most items of a chunk.
pub const MAX_CHUNK_ITEMS: usize = 500;
/// How often an item is taken before it is given up.
pub const MAX_ITEM_ATTEMPTS: u32 = 5;
/// How long a worker may hold an item: a little more than a function may run (15 minutes).
pub const ITEM_LEASE: SignedDuration = SignedDuration::from_mins(16);

/// What is done to the contacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// Data and documents into an archive.
    Export,
}

/// How far an action has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionState {
    /// Accepted, nothing planned yet.
    Queued,
    /// Planned in part or in full; items are worked on.
    Running,
    /// Every item ended well.
    Completed,
    /// Some items failed.
    CompletedWithFailures,
    /// Every item failed.
    Failed,
    /// Stopped by a member before every item had its turn.
    Stopped,
}

impl ActionState {
    /// Whether nothing more will happen by itself.
    pub fn has_ended(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// How far one contact of an action has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemState {
    /// Its turn has not come.
    Queued,
    /// Taken by a worker.
    Running,
    /// Done.
    Done,
    /// Impossible, or given up; the item says why.
    Failed,
    /// Nothing to do.
    Skipped,
    /// Stopped before its turn.
    Stopped,
}

impl ItemState {
    /// Whether nothing more will happen by itself.
    pub fn has_ended(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// How many items ended, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Ended well.
    pub done: u64,
    /// Failed.
    pub failed: u64,
    /// Had nothing to do.
    pub skipped: u64,
    /// Were stopped before their turn.
    pub stopped: u64,
}

impl Counts {
    /// All that ended.
    pub fn ended(self) -> u64 {
        self.done
            .saturating_add(self.failed)
            .saturating_add(self.skipped)
            .saturating_add(self.stopped)
    }

    /// These and those.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            done: self.done.saturating_add(other.done),
            failed: self.failed.saturating_add(other.failed),
            skipped: self.skipped.saturating_add(other.skipped),
            stopped: self.stopped.saturating_add(other.stopped),
        }
    }

    /// In which state an action ends with these counts.
    pub fn end_state(self, stop_requested: bool) -> ActionState {
        if stop_requested || self.stopped > 0 {
            ActionState::Stopped
        } else if self.failed == 0 {
            ActionState::Completed
        } else if self.done == 0 && self.skipped == 0 {
            ActionState::Failed
        } else {
            ActionState::CompletedWithFailures
        }
    }
}

/// What the planner has to do with an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Cut the selection into chunks and hand out their items.
    Planning,
    /// Put failed items back, chunk by chunk.
    Retrying,
    /// Mark items that have not begun as stopped, chunk by chunk.
    Stopping,
    /// Nothing: the workers are at it, or it has ended.
    Waiting,
}

/// A data action as recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// Whose.
    pub tenant_id: TenantId,
    /// Which.
    pub id: ActionId,
    /// What is done.
    pub kind: ActionKind,
    /// How far it has come.
    pub state: ActionState,
    /// Who started it.
    pub requested_by: MemberId,
    /// When it was started.
    pub created_at: Timestamp,
    /// When the last run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// 1, and one more for each retry.
    pub run: u32,
    /// What the planner has to do.
    pub phase: Phase,
    /// Whether a member asked to stop this run.
    pub stop_requested: bool,
    /// How many contacts: known at once for a list of ids, growing while a filter is planned.
    pub total: u64,
    /// How many of them stand in chunks.
    pub planned: u64,
    /// Chunks written.
    pub chunks_planned: u32,
    /// Chunks whose messages were all sent.
    pub chunks_dispatched: u32,
    /// Chunks that have ended and are counted in `counts`.
    pub chunks_folded: u32,
    /// The next chunk of a retry or stop sweep.
    pub sweep_chunk: u32,
    /// Whether the selection has been read to its end.
    pub selection_exhausted: bool,
    /// Where the planner goes on in the selection: an opaque position that names nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_cursor: Option<String>,
    /// Counts of the folded chunks.
    pub counts: Counts,
}

/// What the planner does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlannerStep {
    /// Write the chunk with this number.
    PlanChunk(u32),
    /// Send the messages of the chunk with this number.
    DispatchChunk(u32),
    /// Put the failed items of this chunk back.
    RetryChunk(u32),
    /// Stop what has not begun in this chunk.
    StopChunk(u32),
    /// Everything is handed out: leave it to the workers.
    Settle,
    /// Nothing left to do.
    Nothing,
}

impl Action {
    /// What the planner does next. Every step is written down before the one after it, so a step
    /// that is repeated does what it did before.
    pub fn next_step(&self) -> PlannerStep {
        match self.phase {
            Phase::Planning if self.chunks_dispatched < self.chunks_planned => {
                PlannerStep::DispatchChunk(self.chunks_dispatched)
            }
            Phase::Planning if !self.selection_exhausted => PlannerStep::PlanChunk(self.chunks_planned),
            Phase::Retrying if self.sweep_chunk < self.chunks_planned => {
                PlannerStep::RetryChunk(self.sweep_chunk)
            }
            // Who was named is told of one by one, even if the stop came before the planner. What a
            // filter would have found since is not looked for: nobody knows who that is.
            Phase::Stopping if !self.selection_exhausted && self.planned < self.total => {
                PlannerStep::PlanChunk(self.chunks_planned)
            }
            Phase::Stopping if self.sweep_chunk < self.chunks_planned => {
                PlannerStep::StopChunk(self.sweep_chunk)
            }
            Phase::Planning | Phase::Retrying | Phase::Stopping => PlannerStep::Settle,
            Phase::Waiting => PlannerStep::Nothing,
        }
    }

    /// Whether all is planned, handed out and counted, so that the run can be closed.
    pub fn is_settled(&self) -> bool {
        !self.state.has_ended() && self.phase == Phase::Waiting && self.chunks_folded == self.chunks_planned
    }
}

/// The counters of one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Its number, from 0.
    pub number: u32,
    /// Its items.
    pub total: u64,
    /// How many of them ended, and how.
    pub counts: Counts,
    /// Whether it is counted in its action.
    pub folded: bool,
}

/// One contact of an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Which contact.
    pub contact_id: ContactId,
    /// How far it has come.
    pub state: ItemState,
    /// Why it is not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The archive that is, or was, built for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive_id: Option<ArchiveId>,
    /// The run that it last belonged to.
    pub run: u32,
    /// How often it was taken in that run.
    pub attempts: u32,
    /// Who holds it, or held it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_id: Option<AttemptId>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Timestamp>,
}

impl Item {
    /// An item whose turn has not come.
    pub fn queued(contact_id: ContactId) -> Self {
        Self {
            contact_id,
            state: ItemState::Queued,
            reason: None,
            archive_id: None,
            run: 1,
            attempts: 0,
            attempt_id: None,
            lease_until: None,
        }
    }
}

/// Which contacts a member chose by their properties.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactFilter {
    /// The beginning of the last name, or a whole e-mail address, as typed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<Personal<String>>,
    /// The member in charge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_to: Option<MemberId>,
    /// Their state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<ContactState>,
    /// Entered before this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_before: Option<Timestamp>,
}

/// Which contacts an action is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// These; 1 to 1,000, each once.
    ContactIds(Vec<ContactId>),
    /// All that match.
    Filter(ContactFilter),
}

impl Selection {
    /// A selection of contacts one by one; one named twice counts once.
    ///
    /// # Errors
    /// When there are none, or more than [`MAX_SELECTED_IDS`], or one is no id.
    pub fn of_ids(ids: &[String]) -> Result<Self, FieldErrors> {
        const POINTER: &str = "/selection/contact_ids";
        if ids.is_empty() {
            return Err(FieldErrors::one(POINTER, "must name at least one contact"));
        }
        if ids.len() > MAX_SELECTED_IDS {
            return Err(FieldErrors::one(
                POINTER,
                format!("must name at most {MAX_SELECTED_IDS} contacts"),
            ));
        }
        let mut errors = FieldErrors::default();
        let mut seen = BTreeSet::new();
        let mut chosen = Vec::with_capacity(ids.len());
        for (index, id) in ids.iter().enumerate() {
            if let Some(id) = errors.take(&format!("{POINTER}/{index}"), ContactId::parse(id.as_str()))
                && seen.insert(id.clone())
            {
                chosen.push(id);
            }
        }
        errors.into_result()?;
        Ok(Self::ContactIds(chosen))
    }
}

/// How far a mail has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailState {
    /// To be sent.
    Pending,
    /// Taken by a notifier.
    Sending,
    /// Accepted by the mail service.
    Sent,
    /// Refused for good: the member is gone, or the address is refused.
    Undeliverable,
}

/// A mail about an action: the outbox record. It holds no address: that is looked up when it is
/// sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionMail {
    /// Which mail.
    pub id: MailId,
    /// To whom.
    pub member_id: MemberId,
    /// How far it has come.
    pub state: MailState,
    /// Who holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_id: Option<AttemptId>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Timestamp>,
    /// How often it was taken.
    pub attempts: u32,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When the mail service took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn action() -> Action {
        Action {
            tenant_id: TenantId::parse("demo").unwrap(),
            id: ActionId::parse("a").unwrap(),
            kind: ActionKind::Export,
            state: ActionState::Queued,
            requested_by: MemberId::parse("agent").unwrap(),
            created_at: Timestamp::UNIX_EPOCH,
            completed_at: None,
            run: 1,
            phase: Phase::Planning,
            stop_requested: false,
            total: 0,
            planned: 0,
            chunks_planned: 0,
            chunks_dispatched: 0,
            chunks_folded: 0,
            sweep_chunk: 0,
            selection_exhausted: false,
            plan_cursor: None,
            counts: Counts::default(),
        }
    }

    #[test]
    fn a_chunk_is_handed_out_before_the_next_is_cut() {
        let mut action = action();
        assert_eq!(action.next_step(), PlannerStep::PlanChunk(0));
        action.chunks_planned = 1;
        assert_eq!(action.next_step(), PlannerStep::DispatchChunk(0));
        action.chunks_dispatched = 1;
        assert_eq!(action.next_step(), PlannerStep::PlanChunk(1));
        action.selection_exhausted = true;
        assert_eq!(action.next_step(), PlannerStep::Settle);
        action.phase = Phase::Waiting;
        assert_eq!(action.next_step(), PlannerStep::Nothing);
        assert!(!action.is_settled());
        action.chunks_folded = 1;
        assert!(action.is_settled());
    }

    #[test]
    fn a_stop_plans_who_was_named_and_no_others() {
        let mut named = action();
        (named.phase, named.total) = (Phase::Stopping, 2);
        assert_eq!(named.next_step(), PlannerStep::PlanChunk(0));
        (named.planned, named.chunks_planned, named.selection_exhausted) = (2, 1, true);
        assert_eq!(named.next_step(), PlannerStep::StopChunk(0));
        named.sweep_chunk = 1;
        assert_eq!(named.next_step(), PlannerStep::Settle);
        let mut filter = action();
        filter.phase = Phase::Stopping;
        assert_eq!(filter.next_step(), PlannerStep::Settle);
    }

    #[test]
    fn selections_have_bounds() {
        assert!(Selection::of_ids(&[]).is_err());
        assert!(Selection::of_ids(&vec!["x".to_owned(); 1_001]).is_err());
        let twice = Selection::of_ids(&["b".to_owned(), "a".to_owned(), "b".to_owned()]).unwrap();
        let ids = ["b", "a"].map(|id| ContactId::parse(id).unwrap()).to_vec();
        assert_eq!(twice, Selection::ContactIds(ids));
        let wrong = Selection::of_ids(&["a".to_owned(), "b#".to_owned()]).unwrap_err();
        assert_eq!(wrong.as_slice()[0].pointer, "/selection/contact_ids/1");
    }

    proptest! {
        #[test]
        fn failures_are_never_hidden(done in 0u64..5, failed in 0u64..5, skipped in 0u64..5) {
            let state = Counts { done, failed, skipped, stopped: 0 }.end_state(false);
            prop_assert_eq!(state == ActionState::Completed, failed == 0);
            prop_assert!(state.has_ended());
        }
    }
}

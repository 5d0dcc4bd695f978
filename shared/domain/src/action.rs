//! Data actions: one run of export, anonymise or restore over one or many contacts.
//!
//! An action is planned in chunks of up to [`MAX_CHUNK_ITEMS`] contacts. Each contact has its own
//! item with its own result; how many have ended is counted from the items when a chunk has ended, and
//! folded into the action, so that no record is written for every item. [`Action::next_step`] and [`Counts::end_state`] are the
//! whole life of an action; the rest is writing it down.

mod mail;
mod selection;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ids::{ActionId, ArchiveId, AttemptId, ContactId, ItemId, MemberId, TenantId};
use crate::reason::Reason;

pub use mail::{ActionMail, MailState};
pub use selection::{ContactFilter, Selection};

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
    /// Personal data and documents gone, after they were archived.
    Anonymise,
    /// Data and documents back from an archive.
    Restore,
}

impl ActionKind {
    /// Every kind there is.
    pub const ALL: [Self; 3] = [Self::Export, Self::Anonymise, Self::Restore];

    /// The code, as the API writes it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Export => "export",
            Self::Anonymise => "anonymise",
            Self::Restore => "restore",
        }
    }
}

/// What the items of an action are about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// Contacts.
    #[default]
    Contact,
    /// Archives that Oubli has.
    Archive,
    /// Saved archives that were uploaded.
    Upload,
}

/// How an item ends that is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Impossible, or given up.
    Failed(Reason),
    /// Nothing to do.
    Skipped(Reason),
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

    /// Counts so many more items that ended in a state; those that have not ended are not counted.
    pub fn count(&mut self, state: ItemState, items: u64) {
        let counter = match state {
            ItemState::Done => &mut self.done,
            ItemState::Failed => &mut self.failed,
            ItemState::Skipped => &mut self.skipped,
            ItemState::Stopped => &mut self.stopped,
            ItemState::Queued | ItemState::Running => return,
        };
        *counter = counter.saturating_add(items);
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
    /// To what.
    #[serde(default)]
    pub subject: Subject,
    /// For a restore: whether it may replace what was changed since.
    #[serde(default)]
    pub overwrite: bool,
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
    /// When the last retry was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retried_at: Option<Timestamp>,
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
    /// When a member decided, of each contact, that this is to be done: at the start, or at the last retry. A
    /// restore is decided once: its retry is of all that failed, and must not undo what others decided since.
    pub fn decided_at(&self) -> Timestamp {
        match self.kind {
            ActionKind::Restore => self.created_at,
            ActionKind::Export | ActionKind::Anonymise => self.retried_at.unwrap_or(self.created_at),
        }
    }

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
    /// How many of them ended, and how: as the workers have told until it is folded, then counted from the items.
    pub counts: Counts,
    /// Whether it is counted in its action.
    pub folded: bool,
    /// How often failed items were put back.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub requeued: u32,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// One item of an action: a contact, or the archive or upload from which one is restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Which item.
    pub id: ItemId,
    /// Which contact, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_id: Option<ContactId>,
    /// How far it has come.
    pub state: ItemState,
    /// Why it is not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The names of restored fields whose values nobody could enter today.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outdated_fields: Vec<String>,
    /// The archive that is, or was, built for it, or from which it is restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive_id: Option<ArchiveId>,
    /// The run that it last belonged to.
    pub run: u32,
    /// How many attempts in that run count: those that failed at something else than AWS.
    pub attempts: u32,
    /// How often it was taken in that run.
    #[serde(default)]
    pub takes: u32,
    /// Who holds it, or held it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_id: Option<AttemptId>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Timestamp>,
}

impl Item {
    /// An item whose turn has not come.
    pub fn queued(subject: Subject, id: ItemId) -> Self {
        Self {
            contact_id: (subject == Subject::Contact).then(|| id.clone().into()),
            archive_id: (subject == Subject::Archive).then(|| id.clone().into()),
            id,
            state: ItemState::Queued,
            reason: None,
            outdated_fields: Vec::new(),
            run: 1,
            attempts: 0,
            takes: 0,
            attempt_id: None,
            lease_until: None,
        }
    }
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
            subject: Subject::Contact,
            overwrite: false,
            state: ActionState::Queued,
            requested_by: MemberId::parse("agent").unwrap(),
            created_at: Timestamp::UNIX_EPOCH,
            completed_at: None,
            run: 1,
            retried_at: None,
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
    fn a_retry_decides_anew_except_of_a_restore() {
        let mut action = action();
        let retried = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1);
        assert_eq!(action.decided_at(), action.created_at);
        action.retried_at = Some(retried);
        for (kind, decided) in [
            (ActionKind::Export, retried),
            (ActionKind::Anonymise, retried),
            (ActionKind::Restore, action.created_at),
        ] {
            action.kind = kind;
            assert_eq!(action.decided_at(), decided, "{kind:?}");
        }
    }

    proptest! {
        #[test]
        fn failures_are_never_hidden(done in 0u64..5, failed in 0u64..5, skipped in 0u64..5) {
            let state = Counts { done, failed, skipped, stopped: 0 }.end_state(false);
            prop_assert_eq!((state == ActionState::Completed, state.has_ended()), (failed == 0, true));
        }
    }
}

//! One sequence, on Oubli and on the model side by side.

mod begin;
mod change;
mod deliver;
mod end;
mod janitor;
mod race;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use oubli_domain::action::{ITEM_LEASE, ItemState};
use oubli_domain::message::ItemMessage;
use oubli_domain::{ActionId, MemberId, TenantId};
use oubli_local::faults::Gate;
use oubli_workflows::{Caller, WorkflowError};

use crate::member::{Pending, Planned};
use crate::operation::{Change, Operation};
use crate::plain::{Facts, Plain, Verdict, Work};
use crate::schedule::Held;
use crate::world::World;

/// What was done, how it ended, and how often.
pub(crate) type Tally = BTreeMap<(String, String), u64>;

/// How many contacts there are at most.
const CONTACTS: usize = 3;

/// An item that has not ended, or may be done again.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    work: Work,
    facts: Facts,
    message: ItemMessage,
    /// Where in the past its worker began.
    since: usize,
}

/// A worker that is held.
struct Sleeper {
    held: Held,
    open: Open,
    /// A dead one does not wake; it is let go in the end.
    wakes: bool,
}

/// A sequence that runs.
pub(crate) struct Run<'a> {
    world: &'a World,
    tenant: TenantId,
    caller: Caller,
    plain: Plain,
    /// Every state that was, with its time.
    past: Vec<(Timestamp, Plain)>,
    open: Vec<Open>,
    asleep: Vec<Sleeper>,
    /// Where workers died.
    graves: Vec<Gate>,
    pending: Vec<Pending>,
    failed: Vec<Open>,
    /// Actions and how often each was run.
    actions: BTreeMap<ActionId, usize>,
    tally: &'a mut Tally,
    marks: u64,
}

pub(crate) fn unforeseen(error: WorkflowError) -> String {
    format!("an unforeseen failure: {error:?}")
}

/// Runs a sequence to its end. `Err` says where Oubli and the model part.
pub(crate) async fn run(
    world: &World,
    tenant: &str,
    operations: &[Operation],
    tally: &mut Tally,
) -> Result<(), String> {
    let tenant = TenantId::parse(tenant).unwrap();
    let mut run = Run {
        world,
        caller: Caller {
            tenant_id: tenant.clone(),
            member_id: MemberId::parse("agent").unwrap(),
        },
        tenant,
        plain: Plain::default(),
        past: Vec::new(),
        open: Vec::new(),
        asleep: Vec::new(),
        graves: Vec::new(),
        pending: Vec::new(),
        failed: Vec::new(),
        actions: BTreeMap::new(),
        tally,
        marks: 0,
    };
    let ran = run.all(operations).await;
    run.bury();
    run.graves.iter().for_each(Gate::open);
    ran
}

impl Run<'_> {
    async fn all(&mut self, operations: &[Operation]) -> Result<(), String> {
        self.enter().await?;
        self.change(Change::AddDocument {
            contact: 0,
            photo: true,
        })
        .await?;
        self.enter().await?;
        for (number, operation) in operations.iter().enumerate() {
            self.world.pass(SignedDuration::from_secs(1));
            let stepped = self.step(*operation).await;
            stepped.map_err(|divergence| format!("operation {number}, {operation:?}: {divergence}"))?;
            self.past.push((self.world.now(), self.plain.clone()));
        }
        let ended = self.end().await;
        ended.map_err(|divergence| format!("in the end: {divergence}"))
    }

    async fn step(&mut self, operation: Operation) -> Result<(), String> {
        match operation {
            Operation::Enter if self.plain.contacts.len() < CONTACTS => self.enter().await,
            Operation::Enter => Ok(()),
            Operation::Change(change) => self.change(change).await,
            Operation::Announce(contact) => {
                let contact = self.number(contact);
                let pending = self.announce(contact, false).await?;
                self.pending.extend(pending);
                Ok(())
            }
            Operation::Complete(_) if self.pending.is_empty() => Ok(()),
            Operation::Complete(number) => {
                let number = number % self.pending.len();
                let mut pending = self.pending.remove(number);
                self.send(&mut pending).await?;
                self.make(&Planned::Complete(pending)).await
            }
            Operation::Act {
                act,
                prepared,
                delivery,
            } => {
                if prepared {
                    self.prepare(act).await?;
                }
                match self.begin(act).await? {
                    Some(open) => self.deliver(open, delivery).await,
                    None => Ok(()),
                }
            }
            Operation::Race {
                act,
                prepared,
                rival,
                schedule,
            } => {
                if prepared {
                    self.prepare(act).await?;
                }
                self.race(act, rival, schedule).await
            }
            Operation::Stop(act) => match self.begin(act).await? {
                Some(open) => self.stop(open).await,
                None => Ok(()),
            },
            Operation::Retry { number, delivery } => self.retry(number, delivery).await,
            Operation::Recover => {
                self.world.pass(ITEM_LEASE);
                self.recover().await
            }
            Operation::Wake => self.wake().await,
            Operation::Download(number) => self.download(number).await,
            Operation::Hours(hours) => {
                // Nobody lives as long as that.
                self.asleep.iter_mut().for_each(|sleeper| sleeper.wakes = false);
                self.world.pass(SignedDuration::from_hours(hours));
                self.compare_all().await
            }
            Operation::Sweep { engines } => self.sweep(engines).await,
        }
    }

    /// Whoever sleeps now never wakes.
    fn bury(&mut self) {
        let dead = self.asleep.drain(..).map(|sleeper| sleeper.held.give_up());
        self.graves.extend(dead);
    }

    fn count(&mut self, what: &str, outcome: impl Into<String>) {
        *self.tally.entry((what.to_owned(), outcome.into())).or_default() += 1;
    }

    fn number(&self, contact: usize) -> usize {
        contact % self.plain.contacts.len()
    }

    /// An archive, counted from the latest back.
    fn latest(&self, archive: usize) -> Option<usize> {
        let count = self.plain.archives.len();
        count.checked_sub(1 + archive % count.max(1))
    }

    /// Text that was never there before.
    fn mark(&mut self, marker: &str) -> String {
        self.marks += 1;
        format!("{marker}{}", self.marks)
    }

    async fn compare(&mut self, contact: usize) -> Result<(), String> {
        let seen = self
            .world
            .see(&self.tenant, &self.plain.contacts[contact].id)
            .await?;
        self.plain.compare(contact, seen.as_ref(), self.world.now())
    }

    async fn compare_all(&mut self) -> Result<(), String> {
        for contact in 0..self.plain.contacts.len() {
            self.compare(contact).await?;
        }
        Ok(())
    }
}

fn outcome_of(verdict: Option<Verdict>) -> String {
    match verdict {
        None => "not ended".to_owned(),
        Some((ItemState::Done, _)) => "done".to_owned(),
        Some((state, reason)) => {
            let state = format!("{state:?}").to_lowercase();
            format!("{state}: {}", reason.map_or("no reason", |reason| reason.code()))
        }
    }
}

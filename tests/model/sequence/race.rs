//! Two at the same contact at the same moment: what comes of it is what would come of one after the other.

use jiff::Timestamp;
use oubli_domain::Reason;
use oubli_domain::action::ItemState;
use oubli_workflows::WorkflowError;

use super::deliver::Found;
use super::{Open, Run, outcome_of, unforeseen};
use crate::member::{Planned, Said, said};
use crate::operation::{Act, Rival};
use crate::plain::{DONE, Plain, Work};
use crate::schedule::{Job, Random, interleave};
use crate::world::{Seen, WORKERS};

/// One of the two.
enum Side {
    Worker(Open),
    Member(Planned),
}

/// What came of one of the two.
enum Came {
    Item(Box<Found>),
    Said(Said),
}

impl Came {
    fn has_changed(&self) -> bool {
        match self {
            Self::Item(found) => found.verdict == Some(DONE),
            Self::Said(said) => *said == Said::Done,
        }
    }
}

impl Side {
    fn name(&self) -> &'static str {
        match self {
            Self::Worker(open) => open.work.name(),
            Self::Member(planned) => planned.name(),
        }
    }

    fn contact(&self, plain: &Plain) -> usize {
        match self {
            Self::Worker(open) => plain.contact_of(&open.work),
            Self::Member(planned) => planned.contact(),
        }
    }

    /// Applies what came of it to the model, as if it had happened at once.
    fn apply(
        &self,
        plain: &mut Plain,
        came: &Came,
        rival: (&Self, &Came),
        now: Timestamp,
    ) -> Result<(), String> {
        match (self, came) {
            (Self::Worker(open), Came::Item(found)) => {
                let was_held = found.verdict == Some((ItemState::Failed, Some(Reason::ActionInProgress)));
                let waits = matches!((&open.work, rival.0),
                    (Work::Anonymise(one), Self::Worker(Open { work: Work::Export(other), .. })) if one == other);
                let same = rival.0.contact(plain) == plain.contact_of(&open.work);
                let gives_way = same
                    && rival.1.has_changed()
                    && found
                        .verdict
                        .is_some_and(|verdict| Plain::may_give_way(&open.work, verdict));
                if was_held && waits || gives_way {
                    return Ok(());
                }
                plain.accept(open, found, now)
            }
            (Self::Member(planned), Came::Said(said)) => {
                plain.changed(planned, said, rival.1.has_changed(), now)
            }
            _ => Err("an item says what members are told".to_owned()),
        }
    }
}

impl Run<'_> {
    pub(super) async fn race(&mut self, act: Act, rival: Rival, seed: u64) -> Result<(), String> {
        let Some(left) = self.begin(act).await?.map(Side::Worker) else {
            return Ok(());
        };
        let right = match rival {
            Rival::Worker(act) => self.begin(act).await?.map(Side::Worker),
            Rival::Member(change) => self.plan(change).await?.map(Side::Member),
        };
        let Some(right) = right else {
            let Side::Worker(open) = left else {
                return Ok(());
            };
            return self.deliver(open, crate::operation::Delivery::Once).await;
        };
        self.world.pass(jiff::SignedDuration::from_secs(1));
        let jobs = [self.job(0, &left), self.job(1, &right)];
        let [one, other] = jobs;
        let mut random = Random(seed);
        let faults = self.world.faults();
        let ended = interleave(faults, (WORKERS[0], one), (WORKERS[1], other), &mut random).await;
        let [one, other] = ended;
        let left_came = self.came(&left, one).await?;
        let right_came = self.came(&right, other).await?;
        self.count("race", format!("{} / {}", left.name(), right.name()));
        let both = [(&left, &left_came), (&right, &right_came)];
        for (side, _) in both {
            if let Side::Worker(open) = side {
                self.plain.may_be_held(&open.work, self.world.now());
            }
        }
        self.accept_in_any_order(both).await?;
        for (side, came) in both {
            match (side, came) {
                (Side::Worker(open), Came::Item(found)) => match found.verdict {
                    Some(verdict) => self.ended(open, verdict),
                    None => self.open.push(open.clone()),
                },
                (Side::Member(planned), Came::Said(said)) => self.count(planned.name(), format!("{said:?}")),
                _ => {}
            }
        }
        Ok(())
    }

    fn job(&self, worker: usize, side: &Side) -> Job {
        match side {
            Side::Worker(open) => self.world.work(worker, open.work.kind(), &open.message),
            Side::Member(planned) => planned.job(&self.world.workers[worker], &self.tenant, &self.plain),
        }
    }

    async fn came(&self, side: &Side, ended: Result<(), WorkflowError>) -> Result<Came, String> {
        match side {
            Side::Member(_) => Ok(Came::Said(said(&ended))),
            Side::Worker(open) => {
                match ended {
                    // Its message comes again.
                    Ok(()) | Err(WorkflowError::Busy) => {}
                    Err(error) => return Err(unforeseen(error)),
                }
                Ok(Came::Item(Box::new(self.found(open).await?)))
            }
        }
    }

    async fn accept_in_any_order(&mut self, [left, right]: [(&Side, &Came); 2]) -> Result<(), String> {
        let now = self.world.now();
        let mut seen = Vec::new();
        for contact in &self.plain.contacts {
            seen.push(self.world.see(&self.tenant, &contact.id).await?);
        }
        let mut differences = Vec::new();
        for [first, then] in [[left, right], [right, left]] {
            let mut plain = self.plain.clone();
            match in_order(&mut plain, first, then, &seen, now) {
                Ok(()) => {
                    self.plain = plain;
                    return Ok(());
                }
                Err(difference) => differences.push(format!("{} first: {difference}", first.0.name())),
            }
        }
        let told = [left, right].map(|(side, came)| match came {
            Came::Item(found) => format!("{}: {}", side.name(), outcome_of(found.verdict)),
            Came::Said(said) => format!("{}: {said:?}", side.name()),
        });
        Err(format!("{told:?} in no order: {differences:#?}"))
    }
}

fn in_order(
    plain: &mut Plain,
    first: (&Side, &Came),
    then: (&Side, &Came),
    seen: &[Option<Seen>],
    now: Timestamp,
) -> Result<(), String> {
    first.0.apply(plain, first.1, then, now)?;
    then.0.apply(plain, then.1, first, now)?;
    for (number, seen) in seen.iter().enumerate() {
        plain.compare(number, seen.as_ref(), now)?;
    }
    Ok(())
}

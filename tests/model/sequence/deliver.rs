//! Messages of items: delivered once, twice, to two workers, to one that dies or sleeps.

use std::collections::BTreeSet;

use oubli_domain::Reason;
use oubli_domain::action::ItemState;
use oubli_domain::contact::ContactState;
use oubli_workflows::{Conflict, Idempotency, WorkflowError};

use super::{Open, Run, Sleeper, outcome_of, unforeseen};
use crate::operation::Delivery;
use crate::plain::{DONE, Life, Plain, PlainArchive, Verdict, Work};
use crate::schedule::{Progress, Random, interleave, run_to};
use crate::world::WORKERS;

/// How an item ended, and the archive that was made of it.
#[derive(Clone)]
pub(super) struct Found {
    /// `None`: it has not ended.
    pub(super) verdict: Option<Verdict>,
    pub(super) made: Option<PlainArchive>,
}

impl Plain {
    /// Takes how an item ended, and changes with it.
    pub(super) fn accept(&mut self, open: &Open, found: &Found, now: jiff::Timestamp) -> Result<(), String> {
        let Some(verdict) = found.verdict else {
            return Ok(());
        };
        let expected = self.judge(&open.work, &open.facts, now);
        if verdict != expected {
            let (found, expected) = (outcome_of(Some(verdict)), outcome_of(Some(expected)));
            return Err(format!("{:?}: {found}, expected {expected}", open.work));
        }
        if verdict == DONE {
            match &found.made {
                Some(made) => self.exported(made.clone())?,
                None => self.done(&open.work, &open.facts, now),
            }
        }
        Ok(())
    }
}

impl Run<'_> {
    pub(super) async fn deliver(&mut self, open: Open, delivery: Delivery) -> Result<(), String> {
        let world = self.world;
        let job = |worker| world.work(worker, open.work.kind(), &open.message);
        match delivery {
            Delivery::Once => {
                job(0).await.map_err(unforeseen)?;
                self.settle(&open).await
            }
            Delivery::Twice => {
                job(0).await.map_err(unforeseen)?;
                self.settle(&open).await?;
                // What a worker left who died before is of no second delivery.
                let before = world.keys_of("archives", &self.tenant).await;
                job(1).await.map_err(unforeseen)?;
                self.expect_no_more(&open, &before).await
            }
            Delivery::Racing(seed) => {
                let mut random = Random(seed);
                let jobs = [(WORKERS[0], job(0)), (WORKERS[1], job(1))];
                let [left, right] = jobs;
                let ended = interleave(world.faults(), left, right, &mut random).await;
                for ended in ended {
                    ended.map_err(unforeseen)?;
                }
                self.count("two workers", "one item");
                self.settle(&open).await
            }
            Delivery::Dying { call, after } => self.hold(open, call, after, false).await,
            Delivery::Stalling { call, after } => self.hold(open, call, after, true).await,
        }
    }

    /// Lets a worker come to one of its calls, and no farther.
    async fn hold(&mut self, open: Open, call: u64, after: bool, wakes: bool) -> Result<(), String> {
        let job = self.world.work(0, open.work.kind(), &open.message);
        match run_to(self.world.faults(), WORKERS[0], job, call, after).await {
            Progress::Ended(ended) => {
                ended.map_err(unforeseen)?;
                self.settle(&open).await
            }
            Progress::Held(held) => {
                self.count(if wakes { "asleep" } else { "dead" }, open.work.name());
                self.plain.may_be_held(&open.work, self.world.now());
                let sleeper = Sleeper {
                    held,
                    open: open.clone(),
                    wakes,
                };
                self.asleep.push(sleeper);
                if self.found(&open).await?.verdict.is_some() {
                    return self.settle(&open).await;
                }
                self.learn_effect(&open).await?;
                self.open.push(open.clone());
                self.compare(self.plain.contact_of(&open.work)).await
            }
        }
    }

    /// An anonymisation has two steps: the contact may be anonymised while its item is not done.
    pub(super) async fn learn_effect(&mut self, open: &Open) -> Result<(), String> {
        let Work::Anonymise(contact) = open.work else {
            return Ok(());
        };
        let seen = self
            .world
            .see(&self.tenant, &self.plain.contacts[contact].id)
            .await?;
        let is_anonymised = seen.is_some_and(|seen| seen.contact.state == ContactState::Anonymised);
        let was_active = matches!(self.plain.contacts[contact].life, Life::Active { .. });
        if is_anonymised && was_active {
            let found = Found {
                verdict: Some(DONE),
                made: None,
            };
            self.plain.accept(open, &found, self.world.now())?;
        }
        Ok(())
    }

    /// How an item ended, and what was made.
    pub(super) async fn found(&self, open: &Open) -> Result<Found, String> {
        let item = self.world.item(&open.message).await;
        let Some(item) = item.filter(|item| item.state.has_ended()) else {
            return Ok(Found {
                verdict: None,
                made: None,
            });
        };
        let number = self.plain.contact_of(&open.work);
        if item
            .contact_id
            .as_ref()
            .is_some_and(|id| *id != self.plain.contacts[number].id)
        {
            return Err(format!(
                "{:?}: the item is about {:?}",
                open.work, item.contact_id
            ));
        }
        let is_export = matches!(open.work, Work::Export(_));
        let made = match (is_export, item.state, &item.archive_id) {
            (true, ItemState::Done, Some(id)) => {
                let opened = self.world.open(&self.tenant, id).await?;
                let life = opened.record.expires_at.duration_since(opened.record.created_at);
                if opened.record.contact_id != self.plain.contacts[number].id || life.as_hours() != 240 {
                    return Err(format!("{id} is recorded as {:?}", opened.record));
                }
                Some(PlainArchive {
                    id: id.clone(),
                    contact: number,
                    version: opened.record.contact_version,
                    content: opened.content,
                    bytes: opened.bytes,
                    expires_at: opened.record.expires_at,
                    is_gone: false,
                })
            }
            (true, ItemState::Done, None) => return Err("an export without an archive".to_owned()),
            (true, _, Some(id)) => return Err(format!("{id} came of an export that is not done")),
            _ => None,
        };
        Ok(Found {
            verdict: Some((item.state, item.reason)),
            made,
        })
    }

    /// Takes the end of an item of which nothing else could be aware.
    pub(super) async fn settle(&mut self, open: &Open) -> Result<(), String> {
        let found = self.found(open).await?;
        let Some(verdict) = found.verdict else {
            return Err(format!("{:?} has not ended", open.work));
        };
        self.plain.accept(open, &found, self.world.now())?;
        self.ended(open, verdict);
        self.compare(self.plain.contact_of(&open.work)).await
    }

    pub(super) fn ended(&mut self, open: &Open, verdict: Verdict) {
        self.count(open.work.name(), outcome_of(Some(verdict)));
        self.open.retain(|other| other.facts.id != open.facts.id);
        if verdict.0 == ItemState::Failed {
            self.failed.push(open.clone());
        }
    }

    /// An item that has ended ends no second time, and nothing else comes of it.
    async fn expect_no_more(&mut self, open: &Open, before: &BTreeSet<String>) -> Result<(), String> {
        let archives = self.world.keys_of("archives", &self.tenant).await;
        if let Some(stray) = archives.difference(before).next() {
            return Err(format!("`{stray}` came of a second delivery"));
        }
        self.compare(self.plain.contact_of(&open.work)).await
    }

    /// Takes the end of an item whose worker may have looked at what was, not at what is.
    fn accept_late(&mut self, open: &Open, found: &Found) -> Result<(), String> {
        let now = self.world.now();
        let mut present = self.plain.clone();
        let refused = match present.accept(open, found, now) {
            Ok(()) => {
                self.plain = present;
                return Ok(());
            }
            Err(refused) => refused,
        };
        let past = || self.past[open.since..].iter();
        match (found.verdict, &found.made) {
            (Some(DONE), Some(made)) => {
                let epoch = |plain: &Plain| plain.contacts[made.contact].epoch;
                let when_so = past().filter(|(_, plain)| plain.clone().exported(made.clone()).is_ok());
                let epochs: Vec<_> = when_so.map(|(_, plain)| epoch(plain)).collect();
                let is_active = matches!(self.plain.contacts[made.contact].life, Life::Active { .. });
                if epochs.is_empty() || !is_active {
                    return Err(refused);
                }
                let is_same_life = epochs.contains(&epoch(&self.plain));
                self.plain.exported_late(made.clone(), is_same_life);
                Ok(())
            }
            // It was, before it slept; what became of the contact since is another's doing.
            (Some(DONE), None)
                if past().any(|(_, plain)| plain.is_anonymised_by(&open.work, &open.facts)) =>
            {
                Ok(())
            }
            (Some(DONE), None) => {
                // By the clock as it was when it began.
                let began = self.past[open.since].0;
                let mut present = self.plain.clone();
                present.accept(open, found, began).map_err(|_| refused)?;
                self.plain = present;
                Ok(())
            }
            (Some(verdict), _) => {
                let judged = |(at, plain): &(_, Plain)| plain.judge(&open.work, &open.facts, *at) == verdict;
                let contact = self.plain.contact_of(&open.work);
                let before = &self.past[open.since].1.contacts[contact];
                let after = &self.plain.contacts[contact];
                let has_changed = (before.version, before.epoch) != (after.version, after.epoch);
                if past().any(judged) || has_changed && Plain::may_give_way(&open.work, verdict) {
                    Ok(())
                } else {
                    Err(refused)
                }
            }
            (None, _) => Ok(()),
        }
    }

    /// Workers that slept go on: those whose item is another's by now change nothing.
    pub(super) async fn wake(&mut self) -> Result<(), String> {
        let asleep = std::mem::take(&mut self.asleep).into_iter();
        let (waking, dead): (Vec<_>, Vec<_>) = asleep.partition(|sleeper| sleeper.wakes);
        self.asleep = dead;
        for Sleeper { held, open, .. } in waking {
            self.plain.may_be_held(&open.work, self.world.now());
            let is_open = self.open.iter().any(|other| other.facts.id == open.facts.id);
            match held.go_on().await {
                Ok(()) | Err(WorkflowError::Busy) => {}
                Err(error) => return Err(unforeseen(error)),
            }
            if is_open {
                let found = self.found(&open).await?;
                self.count("woken in time", open.work.name());
                if let Some(verdict) = found.verdict {
                    self.accept_late(&open, &found)?;
                    self.ended(&open, verdict);
                }
            } else {
                self.count("woken too late", open.work.name());
            }
            let compared = self.compare(self.plain.contact_of(&open.work)).await;
            compared.map_err(|divergence| format!("after {:?} woke: {divergence}", open.work))?;
        }
        Ok(())
    }

    /// What nobody does any more is delivered again.
    pub(super) async fn recover(&mut self) -> Result<(), String> {
        for open in self.open.clone() {
            let job = self.world.work(1, open.work.kind(), &open.message);
            job.await.map_err(unforeseen)?;
            self.count("recovered", open.work.name());
            let settled = self.settle(&open).await;
            settled.map_err(|divergence| format!("recovering {:?}: {divergence}", open.work))?;
        }
        Ok(())
    }

    /// Stops an action before its item has its turn.
    pub(super) async fn stop(&mut self, open: Open) -> Result<(), String> {
        let (oubli, id) = (&self.world.oubli, &open.facts.id);
        let stopped = oubli.stop_action(&self.tenant, id, &Idempotency::none()).await;
        stopped.map_err(unforeseen)?;
        let job = self.world.work(0, open.work.kind(), &open.message);
        job.await.map_err(unforeseen)?;
        self.drive(id).await?;
        let found = self.found(&open).await?;
        let expected = Some((ItemState::Stopped, Some(Reason::ActionStopped)));
        if found.verdict != expected {
            let found = outcome_of(found.verdict);
            return Err(format!("{:?} was stopped: {found}", open.work));
        }
        self.count("stop", outcome_of(expected));
        self.compare(self.plain.contact_of(&open.work)).await
    }

    /// Does again what failed.
    pub(super) async fn retry(&mut self, number: usize, delivery: Delivery) -> Result<(), String> {
        let count = self.failed.len();
        let Some(number) = count.checked_sub(1 + number % count.max(1)) else {
            return Ok(());
        };
        let mut open = self.failed.remove(number);
        let (oubli, id) = (&self.world.oubli, &open.facts.id);
        match oubli.retry_action(&self.tenant, id, &Idempotency::none()).await {
            Ok(_) => {}
            // Who ended the item died before the action was counted.
            Err(WorkflowError::Conflict(Conflict::ActionNotEnded)) => {
                self.count("retry", "not ended");
                return Ok(());
            }
            Err(error) => return Err(unforeseen(error)),
        }
        self.drive(id).await?;
        *self.actions.get_mut(id).unwrap() += 1;
        self.past.push((self.world.now(), self.plain.clone()));
        open.since = self.past.len() - 1;
        // A restore is decided once.
        if !open.work.is_restore() {
            open.facts.decided_at = self.world.now();
        }
        self.count("retry", open.work.name());
        self.deliver(open, delivery).await
    }
}

//! The end of a sequence: everything has ended, everything is counted, and nothing is left behind.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use oubli_domain::action::{ActionState, ITEM_LEASE, ItemState};
use oubli_domain::paging::PageLimit;
use oubli_workflows::PageRequest;

use super::{Run, unforeseen};
use crate::member::{Planned, said};
use crate::plain::Life;

/// Longer than archives, uploads and notes of whatever kind live, brooms included.
const AFTER_ALL: SignedDuration = SignedDuration::from_hours(24 * 14);
/// How often the janitor may look until nothing is left to do.
const SWEEPS: usize = 6;

impl Run<'_> {
    pub(super) async fn end(&mut self) -> Result<(), String> {
        self.wake().await?;
        self.world.pass(ITEM_LEASE);
        self.recover().await?;
        self.bury();
        // What the dead wrote, and did not count, is found by the janitor.
        self.world.pass(SignedDuration::from_mins(20));
        self.sweep(false).await?;
        if !self.all_have_ended().await? {
            self.world.pass(SignedDuration::from_hours(6));
            self.sweep(false).await?;
        }
        self.expect_actions_ended().await?;
        self.expect_documents().await?;
        self.world.pass(AFTER_ALL);
        self.world.send_mails(&self.tenant).await?;
        self.sweep(true).await?;
        self.world.pass(SignedDuration::from_hours(12));
        self.sweep(true).await?;
        self.expect_nothing_in("archives").await?;
        self.expect_nothing_in("uploads").await?;
        self.expect_documents().await?;
        for contact in 0..self.plain.contacts.len() {
            let planned = Planned::Delete(contact);
            let said = said(&planned.job(&self.world.oubli, &self.tenant, &self.plain).await);
            self.plain.changed(&planned, &said, false, self.world.now())?;
        }
        self.expect_nothing_in("documents").await?;
        self.compare_all().await?;
        self.expect_rest().await
    }

    async fn all_have_ended(&self) -> Result<bool, String> {
        for id in self.actions.keys() {
            let action = self.world.oubli.get_action(&self.tenant, id).await;
            if !action.map_err(unforeseen)?.state.has_ended() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Every action has ended, and counts what its item says.
    async fn expect_actions_ended(&mut self) -> Result<(), String> {
        for id in self.actions.keys() {
            let oubli = &self.world.oubli;
            let action = oubli.get_action(&self.tenant, id).await.map_err(unforeseen)?;
            let request = PageRequest {
                limit: PageLimit::parse(None).unwrap(),
                cursor: None,
            };
            let items = oubli
                .list_items(&self.tenant, id, &request)
                .await
                .map_err(unforeseen)?;
            let of = |state| items.items.iter().filter(|item| item.item.state == state).count() as u64;
            let counts = action.counts;
            let counted = [counts.done, counts.failed, counts.skipped, counts.stopped];
            let are = [
                ItemState::Done,
                ItemState::Failed,
                ItemState::Skipped,
                ItemState::Stopped,
            ]
            .map(of);
            if !action.state.has_ended() || counted != are || are.iter().sum::<u64>() != action.total {
                return Err(format!("{action:?} has items {are:?}"));
            }
            let state = match are {
                [_, _, _, 1] => ActionState::Stopped,
                [_, 1, _, _] => ActionState::Failed,
                _ => ActionState::Completed,
            };
            if action.state != state {
                return Err(format!("{action:?}, expected {state:?}"));
            }
        }
        Ok(())
    }

    /// The bucket of documents holds what active contacts have, and nothing else.
    async fn expect_documents(&self) -> Result<(), String> {
        let mut expected = BTreeSet::new();
        for contact in &self.plain.contacts {
            if let Life::Active { content, .. } = &contact.life {
                expected.extend(
                    content
                        .documents
                        .keys()
                        .map(|id| (contact.id.to_string(), id.to_string())),
                );
            }
        }
        let stored = self.world.stored("documents", &self.tenant).await;
        let mut found = BTreeSet::new();
        for item in &stored {
            let parts: Vec<_> = item.key.split('/').collect();
            let place = (parts[2].to_owned(), parts[parts.len() - 1].to_owned());
            if !expected.contains(&place) || !found.insert(place) {
                return Err(format!("`{}` is nobody's", item.key));
            }
        }
        if found == expected {
            Ok(())
        } else {
            Err(format!("documents {found:?}, expected {expected:?}"))
        }
    }

    async fn expect_nothing_in(&self, bucket: &str) -> Result<(), String> {
        let left = self.world.keys_of(bucket, &self.tenant).await;
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("left in {bucket}: {left:?}"))
        }
    }

    /// The janitor has nothing left to do.
    async fn expect_rest(&self) -> Result<(), String> {
        let mut swept = None;
        for _ in 0..SWEEPS {
            self.world.pass(SignedDuration::from_hours(7));
            let done = self.world.oubli.sweep().await.map_err(unforeseen)?;
            if done == oubli_workflows::Swept::default() {
                return Ok(());
            }
            swept = Some(done);
        }
        Err(format!("the janitor never rests: {swept:?}"))
    }
}

//! Who works on an item: taken with a lease, given back, or taken by the write that ends it.

use jiff::Timestamp;
use oubli_domain::action::{Action, ITEM_LEASE, Item};
use oubli_domain::{ArchiveId, AttemptId, ItemId};

use super::read_item;
use crate::connect::Cloud;
use crate::error::CloudError;
use crate::expression::{Condition, Update, number, text};
use crate::keys;
use crate::table::Written;

/// An item that this attempt works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenItem {
    /// The item as it is now.
    pub item: Item,
    /// Who works on it.
    pub attempt_id: AttemptId,
    /// Whether its lease is written. If not, the next write takes the item, provided that nobody else has.
    pub is_leased: bool,
}

impl TakenItem {
    /// An item that no attempt has held yet, as far as is known: the first write of this attempt takes it.
    pub fn unleased(action: &Action, item: ItemId, attempt: AttemptId) -> Self {
        Self {
            item: Item {
                run: action.run,
                ..Item::queued(action.subject, item)
            },
            attempt_id: attempt,
            is_leased: false,
        }
    }
}

/// What came of reaching for an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakeOutcome {
    /// It is this attempt's.
    Taken(TakenItem),
    /// Another attempt holds it.
    Busy,
    /// It has ended.
    Ended(Item),
}

/// That an attempt still holds its item.
pub(crate) fn held_by(attempt: &AttemptId) -> Condition {
    Condition::All(vec![
        Condition::Equal("state", text("running")),
        Condition::Equal("attempt_id", text(attempt)),
    ])
}

/// That an item may be taken: it has not begun, or its holder's lease is over.
pub(super) fn free_at(now: Timestamp) -> Condition {
    Condition::Any(vec![
        Condition::Absent("pk"),
        Condition::Equal("state", text("queued")),
        Condition::All(vec![
            Condition::Equal("state", text("running")),
            Condition::LessOrEqual("lease_until_ms", number(now.as_millisecond())),
        ]),
    ])
}

impl Cloud {
    /// Takes an item with a lease: one that is queued, or whose holder's lease is over.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn take_item(
        &self,
        action: &Action,
        chunk: u32,
        item: &ItemId,
        attempt: &AttemptId,
        archive: Option<&ArchiveId>,
        now: Timestamp,
    ) -> Result<TakeOutcome, CloudError> {
        let queued = Item::queued(action.subject, item.clone());
        let key = keys::item(&action.tenant_id, &action.id, chunk, item);
        let mut take = leased(Update::of(key), action, &queued, attempt, now);
        // The archive to be built is the same at every attempt of a run.
        if let Some(archive) = archive.or(queued.archive_id.as_ref()) {
            take = take.set_once("archive_id", text(archive));
        }
        let take = take.when(free_at(now));
        let attributes = match self.requests.update(take).await? {
            Written::Yes(attributes) => attributes,
            Written::No(found) => found.ok_or(CloudError::Corrupt { what: "item" })?,
        };
        let item = read_item(attributes)?;
        if item.state.has_ended() {
            return Ok(TakeOutcome::Ended(item));
        }
        // A lost answer makes the SDK ask again, and the second asking meets the first's write:
        // the attempt id tells that it is ours.
        if item.attempt_id.as_ref() != Some(attempt) {
            return Ok(TakeOutcome::Busy);
        }
        Ok(TakeOutcome::Taken(TakenItem {
            item,
            attempt_id: attempt.clone(),
            is_leased: true,
        }))
    }

    /// Gives an item back that this attempt could not end, so that another may take it at once. `counts`: the
    /// attempt is one of those after which the item is given up.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn give_item_back(
        &self,
        action: &Action,
        chunk: u32,
        taken: &TakenItem,
        counts: bool,
    ) -> Result<(), CloudError> {
        let key = keys::item(&action.tenant_id, &action.id, chunk, &taken.item.id);
        let give = Update::of(key)
            .set("state", text("queued"))
            .remove("attempt_id")
            .remove("lease_until")
            .remove("lease_until_ms");
        let give = if counts { give } else { give.add("attempts", -1) };
        // Refused: its lease was over, and another has it; or it was never written.
        self.requests
            .update(give.when(held_by(&taken.attempt_id)))
            .await
            .map(|_| ())
    }
}

/// The attributes of a lease.
pub(super) fn leased(
    update: Update,
    action: &Action,
    item: &Item,
    attempt: &AttemptId,
    now: Timestamp,
) -> Update {
    let until = now.saturating_add(ITEM_LEASE).unwrap_or(now);
    let update = update
        .set("state", text("running"))
        .set("lease_until", text(until))
        .set("lease_until_ms", number(until.as_millisecond()));
    begun(update, action, item, attempt)
}

/// The attributes of an item that an attempt has begun.
pub(super) fn begun(update: Update, action: &Action, item: &Item, attempt: &AttemptId) -> Update {
    let update = update
        .set("id", text(&item.id))
        .set("attempt_id", text(attempt))
        .set_once("run", number(action.run))
        .increment("attempts")
        .increment("takes");
    match &item.contact_id {
        Some(contact) => update.set("contact_id", text(contact)),
        None => update,
    }
}

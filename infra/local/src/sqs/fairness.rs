//! Fairness between the groups of a standard queue.
//!
//! The service keeps the messages of quiet groups from waiting behind those of a noisy one: a group of which
//! many messages are in flight stands back ("Amazon SQS fair queues", Amazon SQS Developer Guide). How it
//! weighs them it does not say. Here the next message is one of the group with the fewest in flight, and
//! among equals the oldest. Messages without a group are one group together.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};

use super::queue::Message;

/// A message's place: from when on it may be received, then its number.
type Place = (i64, u64);

/// The messages of a queue by their groups.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: HashMap<Option<String>, Group>,
}

#[derive(Debug, Default)]
struct Group {
    all: BTreeSet<Place>,
    /// Those that have been received: in flight until they may be received again.
    received: BTreeSet<Place>,
}

impl Group {
    fn in_flight(&self, now: i64) -> usize {
        self.received.range((now + 1, 0)..).count()
    }

    /// The first message behind a place that may be received now.
    fn next(&self, behind: Option<Place>, now: i64) -> Option<Place> {
        let from = behind.map_or((i64::MIN, 0), |(visible_at, seq)| (visible_at, seq + 1));
        let first = self.all.range(from..).next().copied();
        first.filter(|(visible_at, _)| *visible_at <= now)
    }
}

impl Groups {
    pub(super) fn insert(&mut self, message: &Message) {
        let place = (message.visible_at, message.seq);
        let group = self.groups.entry(message.group.clone()).or_default();
        group.all.insert(place);
        if message.receive_count > 0 {
            group.received.insert(place);
        }
    }

    pub(super) fn remove(&mut self, message: &Message) {
        let place = (message.visible_at, message.seq);
        let Some(group) = self.groups.get_mut(&message.group) else {
            return;
        };
        group.all.remove(&place);
        group.received.remove(&place);
        if group.all.is_empty() {
            self.groups.remove(&message.group);
        }
    }

    /// The messages that may be received now, in the order in which they should be: each that is taken counts
    /// as in flight for those that follow.
    pub(super) fn visible(&self, now: i64) -> impl Iterator<Item = u64> {
        let heads = self.groups.values().enumerate();
        let mut heads: BinaryHeap<_> = heads
            .filter_map(|(number, group)| {
                let head = group.next(None, now)?;
                Some(Reverse((group.in_flight(now), head, number)))
            })
            .collect();
        let groups: Vec<&Group> = self.groups.values().collect();
        std::iter::from_fn(move || {
            let Reverse((in_flight, head, number)) = heads.pop()?;
            let group = groups.get(number)?;
            if let Some(next) = group.next(Some(head), now) {
                heads.push(Reverse((in_flight + 1, next, number)));
            }
            Some(head.1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(seq: u64, group: Option<&str>) -> Message {
        serde_json::from_value(serde_json::json!({
            "seq": seq, "id": "", "body": "", "sent_at": 0, "visible_at": 0, "receive_count": 0, "group": group,
        }))
        .unwrap()
    }

    fn order(groups: &Groups, now: i64) -> Vec<u64> {
        groups.visible(now).collect()
    }

    #[test]
    fn one_group_is_taken_in_order_and_several_in_turn() {
        let mut groups = Groups::default();
        for (seq, group) in [
            (1, Some("a")),
            (2, Some("a")),
            (3, None),
            (4, Some("a")),
            (5, None),
        ] {
            groups.insert(&message(seq, group));
        }
        assert_eq!(order(&groups, 0), [1, 3, 2, 5, 4]);
        for seq in [3, 5] {
            groups.remove(&message(seq, None));
        }
        assert_eq!(order(&groups, 0), [1, 2, 4]);
        assert_eq!(groups.groups.len(), 1, "an empty group is forgotten");
    }

    #[test]
    fn a_group_stands_back_for_as_long_as_its_messages_are_in_flight() {
        let mut groups = Groups::default();
        for seq in 1..=3 {
            groups.insert(&message(seq, Some("noisy")));
        }
        for seq in [1, 2] {
            groups.remove(&message(seq, Some("noisy")));
            groups.insert(&Message {
                visible_at: 30,
                receive_count: 1,
                ..message(seq, Some("noisy"))
            });
        }
        for seq in [4, 5, 6] {
            groups.insert(&message(seq, Some("quiet")));
        }
        assert_eq!(order(&groups, 29), [4, 5, 3, 6]);
        // They are nobody's now: both groups are as quiet.
        assert_eq!(order(&groups, 30), [3, 4, 5, 1, 6, 2]);
    }

    #[test]
    fn what_is_delayed_is_not_visible() {
        let mut groups = Groups::default();
        groups.insert(&Message {
            visible_at: 10,
            ..message(1, Some("a"))
        });
        groups.insert(&message(2, Some("a")));
        assert_eq!(order(&groups, 9), [2]);
        assert_eq!(order(&groups, 10), [2, 1]);
    }
}

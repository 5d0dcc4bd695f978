//! One queue: its messages, in the orders in which they are asked for, and which of them may be received now.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::attributes::QueueAttributes;
use super::checksums::hex;
use super::fairness::Groups;
use super::wire::MessageAttribute;
use super::{QueueDepth, ReceiveFault};
use crate::faults::split_mix;

/// How long a deduplication id is remembered.
pub(super) const DEDUPLICATION_MS: i64 = 5 * 60 * 1000;

/// How many messages of one queue can be in flight.
pub(super) const MOST_IN_FLIGHT: usize = 120_000;

/// How many messages one receive looks at: the ten that it may give, and those that go to the dead-letter
/// queue before them.
const CANDIDATES: usize = 256;

/// A message as it is kept.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Message {
    /// Position among all messages of all queues; names the message to the journal and to receipts.
    pub(super) seq: u64,
    pub(super) id: String,
    pub(super) body: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) attributes: BTreeMap<String, MessageAttribute>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trace_header: Option<String>,
    /// Milliseconds since the epoch, as all times here.
    pub(super) sent_at: i64,
    /// From when on it may be received.
    pub(super) visible_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) first_received_at: Option<i64>,
    /// When it was last received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) received_at: Option<i64>,
    pub(super) receive_count: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) group: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deduplication_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sequence_number: Option<String>,
    /// The queue that it failed in, for a message in a dead-letter queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) dead_letter_source: Option<String>,
    /// A second delivery that the fault plan asked for; it is not doubled again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_twin: bool,
}

impl Message {
    fn is_in_flight(&self, now: i64) -> bool {
        self.receive_count > 0 && self.visible_at > now
    }

    /// The handle of the message's latest receive; each receive has its own.
    pub(super) fn receipt(&self, queue: &str) -> Receipt {
        Receipt {
            queue: queue.to_owned(),
            seq: self.seq,
            receive_count: self.receive_count,
        }
    }
}

/// What a receipt handle says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Receipt {
    pub(super) queue: String,
    pub(super) seq: u64,
    pub(super) receive_count: u32,
}

impl Receipt {
    /// The handle as clients carry it.
    pub(super) fn encode(&self) -> String {
        hex(format!("{}:{}:{}", self.queue, self.seq, self.receive_count).as_bytes())
    }

    /// `None` for what never was a handle of ours.
    pub(super) fn decode(handle: &str) -> Option<Self> {
        if !handle.is_ascii() {
            return None;
        }
        let bytes: Option<Vec<u8>> = handle
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect();
        let text = String::from_utf8(bytes?).ok()?;
        let mut parts = text.split(':');
        let (queue, seq, count) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self {
            queue: queue.to_owned(),
            seq: seq.parse().ok()?,
            receive_count: count.parse().ok()?,
        })
    }
}

/// A message that was sent with this deduplication id.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Sent {
    pub(super) expires_at: i64,
    pub(super) message_id: String,
    pub(super) sequence_number: String,
}

/// A queue and what is in it.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) created_at: i64,
    pub(super) modified_at: i64,
    pub(super) attributes: QueueAttributes,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) deduplication: HashMap<String, Sent>,
    messages: BTreeMap<u64, Message>,
    /// By the time from which they may be received, then by age.
    by_visibility: BTreeSet<(i64, u64)>,
    by_sending: BTreeSet<(i64, u64)>,
    groups: Groups,
}

impl Queue {
    pub(super) fn new(
        created_at: i64,
        modified_at: i64,
        attributes: QueueAttributes,
        tags: BTreeMap<String, String>,
    ) -> Self {
        Self {
            created_at,
            modified_at,
            attributes,
            tags,
            deduplication: HashMap::new(),
            messages: BTreeMap::new(),
            by_visibility: BTreeSet::new(),
            by_sending: BTreeSet::new(),
            groups: Groups::default(),
        }
    }

    pub(super) fn is_fifo(&self) -> bool {
        self.attributes.is_true("FifoQueue")
    }

    pub(super) fn message(&self, seq: u64) -> Option<&Message> {
        self.messages.get(&seq)
    }

    /// Oldest first.
    pub(super) fn messages(&self) -> impl Iterator<Item = &Message> {
        self.messages.values()
    }

    pub(super) fn insert(&mut self, message: Message) {
        self.remove(message.seq);
        self.by_visibility.insert((message.visible_at, message.seq));
        self.by_sending.insert((message.sent_at, message.seq));
        self.groups.insert(&message);
        self.messages.insert(message.seq, message);
    }

    pub(super) fn remove(&mut self, seq: u64) -> Option<Message> {
        let message = self.messages.remove(&seq)?;
        self.by_visibility.remove(&(message.visible_at, seq));
        self.by_sending.remove(&(message.sent_at, seq));
        self.groups.remove(&message);
        Some(message)
    }

    pub(super) fn clear(&mut self) {
        self.messages.clear();
        self.by_visibility.clear();
        self.by_sending.clear();
        self.groups = Groups::default();
    }

    /// Changes when, and how often received, a message is.
    pub(super) fn hold(&mut self, seq: u64, change: impl FnOnce(&mut Message)) {
        if let Some(mut message) = self.remove(seq) {
            change(&mut message);
            self.insert(message);
        }
    }

    /// How many messages more can be in flight.
    pub(super) fn room_in_flight(&self, now: i64) -> usize {
        // Where fewer are kept, no more can be in flight: the usual case is not counted.
        if self.messages.len() < MOST_IN_FLIGHT {
            return MOST_IN_FLIGHT;
        }
        MOST_IN_FLIGHT.saturating_sub(self.in_flight(now))
    }

    fn in_flight(&self, now: i64) -> usize {
        let later = self.by_visibility.range((now + 1, 0)..);
        let received = later.filter(|(_, seq)| {
            self.messages
                .get(seq)
                .is_some_and(|message| message.receive_count > 0)
        });
        received.count()
    }

    /// The messages that are older than the retention period.
    pub(super) fn expired(&self, now: i64) -> Vec<u64> {
        let retention = self.attributes.number("MessageRetentionPeriod") * 1000;
        self.by_sending
            .iter()
            .take_while(|(sent_at, _)| *sent_at + retention <= now)
            .map(|(_, seq)| *seq)
            .collect()
    }

    /// The next messages to receive, in the order to try them. Callers skip those that have to go to the
    /// dead-letter queue, so there may be more than they asked for.
    pub(super) fn candidates(&self, now: i64, fault: ReceiveFault) -> Vec<u64> {
        if self.is_fifo() {
            return self.fifo_candidates(now);
        }
        if let ReceiveFault::Reorder { seed } = fault {
            let visible = self.by_visibility.range(..=(now, u64::MAX)).map(|(_, seq)| *seq);
            let mut visible: Vec<u64> = visible.collect();
            visible.sort_by_key(|seq| split_mix(&mut seed.wrapping_add(*seq)));
            return visible;
        }
        self.groups.visible(now).take(CANDIDATES).collect()
    }

    /// In order; a group stands still while one of its messages is in flight or delayed.
    fn fifo_candidates(&self, now: i64) -> Vec<u64> {
        let mut blocked: HashSet<&str> = self
            .messages
            .values()
            .filter(|message| message.is_in_flight(now))
            .filter_map(|message| message.group.as_deref())
            .collect();
        let mut visible = Vec::new();
        for message in self.messages.values() {
            let group = message.group.as_deref().unwrap_or_default();
            if blocked.contains(group) {
                continue;
            }
            if message.visible_at > now {
                blocked.insert(group);
            } else {
                visible.push(message.seq);
            }
        }
        visible
    }

    /// How long until the next message becomes visible by itself.
    pub(super) fn next_visible_in(&self, now: i64) -> Option<i64> {
        self.by_visibility
            .range((now + 1, 0)..)
            .next()
            .map(|(visible_at, _)| visible_at - now)
    }

    pub(super) fn depth(&self, now: i64) -> QueueDepth {
        let visible = self.by_visibility.range(..=(now, u64::MAX)).count();
        let in_flight = self.in_flight(now);
        QueueDepth {
            visible,
            in_flight,
            delayed: self.messages.len() - visible - in_flight,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_760_000_000_000;

    fn message(seq: u64, receive_count: u32, visible_at: i64) -> Message {
        Message {
            seq,
            id: String::new(),
            body: String::new(),
            attributes: BTreeMap::new(),
            trace_header: None,
            sent_at: NOW,
            visible_at,
            first_received_at: None,
            received_at: None,
            receive_count,
            group: None,
            deduplication_id: None,
            sequence_number: None,
            dead_letter_source: None,
            is_twin: false,
        }
    }

    #[test]
    fn a_hundred_and_twenty_thousand_are_in_flight_at_most() {
        let attributes = QueueAttributes::check(BTreeMap::new()).unwrap();
        let mut queue = Queue::new(NOW, NOW, attributes, BTreeMap::new());
        for seq in 0..119_999 {
            queue.insert(message(seq, 1, NOW + 1_000));
        }
        // Neither what waits nor what is delayed is in flight.
        queue.insert(message(119_999, 0, NOW));
        queue.insert(message(120_000, 0, NOW + 1_000));
        assert_eq!(queue.room_in_flight(NOW), 1);
        queue.insert(message(120_001, 1, NOW + 1_000));
        assert_eq!(queue.room_in_flight(NOW), 0);
        assert_eq!(queue.room_in_flight(NOW + 1_000), MOST_IN_FLIGHT);
    }
}

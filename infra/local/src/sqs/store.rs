//! All queues. Every change is a list of events, written to the journal and then applied, so that what a
//! restart reads is what happened.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;

use super::SqsError;
use super::attributes::QueueAttributes;
use super::checksums::md5_hex;
use super::error::ApiError;
use super::journal::{Event, Journal};
use super::queue::Queue;

/// All queues, and where they are kept.
pub(super) struct Store {
    queues: BTreeMap<String, Queue>,
    next_seq: u64,
    journal: Option<Journal>,
    closed: bool,
    /// Makes message ids differ from run to run.
    run: String,
}

impl Store {
    /// Queues that nothing keeps.
    pub(super) fn in_memory(opened_at: Timestamp) -> Self {
        let run = opened_at.as_nanosecond().to_string();
        Self {
            queues: BTreeMap::new(),
            next_seq: 1,
            journal: None,
            closed: false,
            run,
        }
    }

    /// Reads the journal at `path`, rewrites it without what is past, and goes on in it.
    pub(super) fn open(path: &Path, opened_at: Timestamp) -> Result<Self, SqsError> {
        let mut store = Self::in_memory(opened_at);
        for (index, event) in Journal::read(path)?.into_iter().enumerate() {
            store.apply(event).map_err(|error| SqsError::Damaged {
                path: path.to_owned(),
                line: index + 2,
                reason: error.message,
            })?;
        }
        store.journal = Some(Journal::rewrite(
            path,
            &store.as_events(opened_at.as_millisecond()),
        )?);
        Ok(store)
    }

    /// The queue of this name.
    pub(super) fn queue(&self, name: &str) -> Result<&Queue, ApiError> {
        self.queues.get(name).ok_or_else(ApiError::no_such_queue)
    }

    /// The names that begin with `prefix`, sorted.
    pub(super) fn names(&self, prefix: Option<&str>) -> Vec<String> {
        let prefix = prefix.unwrap_or_default();
        self.queues
            .keys()
            .filter(|name| name.starts_with(prefix))
            .cloned()
            .collect()
    }

    /// The number of the next message, never given before.
    pub(super) fn take_seq(&mut self) -> u64 {
        let seq = self.next_seq;
        self.next_seq += 1;
        seq
    }

    /// The id of the message with this number, in the form of a UUID.
    pub(super) fn message_id(&self, seq: u64) -> String {
        let digest = md5_hex(format!("{}:{seq}", self.run).as_bytes());
        let mut id = String::with_capacity(36);
        for (index, digit) in digest.chars().enumerate() {
            if matches!(index, 8 | 12 | 16 | 20) {
                id.push('-');
            }
            id.push(digit);
        }
        id
    }

    /// Refuses every change from now on.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// Writes the events, then applies them.
    pub(super) fn commit(&mut self, events: Vec<Event>) -> Result<(), ApiError> {
        if events.is_empty() {
            return Ok(());
        }
        if self.closed {
            return Err(ApiError::internal("the engine is stopped"));
        }
        let written = self
            .journal
            .as_mut()
            .map_or(Ok(()), |journal| journal.append(&events));
        if let Err(error) = written {
            tracing::error!(%error, "the queues' journal could not be written");
            // Perhaps half a line is there. Nothing may be written behind it: as the last line it is
            // dropped by the next start.
            self.closed = true;
            return Err(ApiError::internal("the queues' journal could not be written"));
        }
        events.into_iter().try_for_each(|event| self.apply(event))
    }

    /// Removes what is older than the queue's retention period.
    pub(super) fn expire(&mut self, name: &str, now: i64) -> Result<(), ApiError> {
        let expired = self.queue(name)?.expired(now);
        self.commit(
            expired
                .into_iter()
                .map(|seq| Event::Removed {
                    queue: name.to_owned(),
                    seq,
                })
                .collect(),
        )
    }

    fn apply(&mut self, event: Event) -> Result<(), ApiError> {
        match event {
            Event::Queue {
                queue,
                created_at,
                modified_at,
                attributes,
                tags,
            } => {
                let attributes = QueueAttributes::check(attributes)?;
                match self.queues.get_mut(&queue) {
                    Some(existing) => {
                        existing.modified_at = modified_at;
                        existing.attributes = attributes;
                        existing.tags = tags;
                    }
                    None => {
                        self.queues
                            .insert(queue, Queue::new(created_at, modified_at, attributes, tags));
                    }
                }
            }
            Event::Gone { queue } => {
                self.queues.remove(&queue);
            }
            Event::Purged { queue } => self.queue_mut(&queue)?.clear(),
            Event::Message { queue, message } => {
                self.next_seq = self.next_seq.max(message.seq + 1);
                self.queue_mut(&queue)?.insert(*message);
            }
            Event::Held {
                queue,
                seq,
                visible_at,
                receive_count,
                first_received_at,
                received_at,
            } => {
                self.queue_mut(&queue)?.hold(seq, |message| {
                    message.visible_at = visible_at;
                    message.receive_count = receive_count;
                    message.first_received_at = first_received_at;
                    message.received_at = received_at;
                });
            }
            Event::Removed { queue, seq } => {
                self.queue_mut(&queue)?.remove(seq);
            }
            Event::Deduplicated { queue, id, sent } => {
                let queue = self.queue_mut(&queue)?;
                let now = sent.expires_at - super::queue::DEDUPLICATION_MS;
                queue.deduplication.retain(|_, sent| sent.expires_at > now);
                queue.deduplication.insert(id, sent);
            }
            Event::Next { seq } => self.next_seq = self.next_seq.max(seq),
        }
        Ok(())
    }

    fn queue_mut(&mut self, name: &str) -> Result<&mut Queue, ApiError> {
        self.queues.get_mut(name).ok_or_else(ApiError::no_such_queue)
    }

    /// The least list of events that makes these queues.
    fn as_events(&self, now: i64) -> Vec<Event> {
        let mut events = vec![Event::Next { seq: self.next_seq }];
        for (name, queue) in &self.queues {
            events.push(Event::Queue {
                queue: name.clone(),
                created_at: queue.created_at,
                modified_at: queue.modified_at,
                attributes: queue.attributes.as_set().clone(),
                tags: queue.tags.clone(),
            });
            events.extend(queue.messages().map(|message| Event::Message {
                queue: name.clone(),
                message: Box::new(message.clone()),
            }));
            let remembered = queue
                .deduplication
                .iter()
                .filter(|(_, sent)| sent.expires_at > now);
            events.extend(remembered.map(|(id, sent)| Event::Deduplicated {
                queue: name.clone(),
                id: id.clone(),
                sent: sent.clone(),
            }));
        }
        events
    }
}

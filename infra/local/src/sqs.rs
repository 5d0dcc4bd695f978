//! SQS, for the calls that Oubli and its tools make, as exact as the service: visibility, delays, long
//! polls, redrive by receive count, batches with an answer for each entry, size limits, retention, fairness
//! between the groups of a standard queue, FIFO groups and deduplication. All times are the [`EngineClock`]'s.
//!
//! `queue` holds the rules of one queue, `store` all queues and their journal, `wire` the shapes of the
//! AWS JSON protocol, `operations` what each call does.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::clock::EngineClock;
use crate::endpoint::{Answer, text_answer};

mod attributes;
mod checksums;
mod error;
mod fairness;
mod journal;
mod operations;
mod queue;
mod store;
mod wire;

use error::ApiError;
use store::Store;

/// Long polls look again at least this long apart, however near the next message is by the clock.
const SHORTEST_NAP: Duration = Duration::from_millis(5);

/// Why the queues could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum SqsError {
    /// The journal cannot be read or written.
    #[error("the queues in `{path}` cannot be kept: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The journal holds something that we never wrote.
    #[error("the queues in `{path}` are damaged at line {line}: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The journal was written by a newer program.
    #[error("the queues in `{path}` have format {found}, this program knows {known}")]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The format of the file.
        found: u32,
        /// The newest format that can be read.
        known: u32,
    },
}

/// What the fault plan wants of a receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReceiveFault {
    None,
    /// Each message received leaves a twin behind.
    Duplicate,
    /// Visible messages are taken in an order drawn from the seed.
    Reorder {
        seed: u64,
    },
}

/// What an operation needs to know of the request that brought it.
#[derive(Clone, Debug)]
pub(crate) struct RequestContext {
    /// The authority in queue URLs.
    pub(crate) host: String,
    /// The region in queue ARNs.
    pub(crate) region: String,
    pub(crate) fault: ReceiveFault,
}

/// How many messages a queue holds, by the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueDepth {
    /// Ready to be received.
    pub visible: usize,
    /// Received and not yet deleted or visible again.
    pub in_flight: usize,
    /// Sent with a delay that has not passed.
    pub delayed: usize,
}

/// The queues. Cheap to clone.
#[derive(Clone)]
pub struct SqsEngine {
    shared: Arc<Shared>,
}

struct Shared {
    store: Mutex<Store>,
    clock: EngineClock,
    /// Told whenever a message may have become visible.
    arrivals: Notify,
}

impl SqsEngine {
    pub(crate) fn in_memory(clock: EngineClock) -> Self {
        let opened_at = clock.now();
        Self::over(Store::in_memory(opened_at), clock)
    }

    /// Opens the queues kept in the journal `path`, which is made if it is absent.
    pub(crate) fn open(path: &Path, clock: EngineClock) -> Result<Self, SqsError> {
        let opened_at = clock.now();
        Ok(Self::over(Store::open(path, opened_at)?, clock))
    }

    fn over(store: Store, clock: EngineClock) -> Self {
        Self {
            shared: Arc::new(Shared {
                store: Mutex::new(store),
                clock,
                arrivals: Notify::new(),
            }),
        }
    }

    /// The depth of the queue of this name; `None` if there is no such queue.
    pub fn depth(&self, queue: &str) -> Option<QueueDepth> {
        let now = self.now();
        let mut store = self.store();
        store.expire(queue, now).ok()?;
        store.queue(queue).ok().map(|queue| queue.depth(now))
    }

    /// Whether the queue of this URL has no message that is ready to be received; `false` if there is no such
    /// queue.
    pub fn is_empty(&self, queue_url: &str) -> bool {
        let name = queue_url.rsplit('/').next().unwrap_or_default();
        self.depth(name).is_some_and(|depth| depth.visible == 0)
    }

    /// The bodies of all messages of a queue, oldest first, whatever their state: what a test looks
    /// through for what should not be there. Empty if there is no such queue.
    pub fn bodies(&self, queue: &str) -> Vec<String> {
        let store = self.store();
        let queue = store.queue(queue).ok();
        queue
            .into_iter()
            .flat_map(|queue| queue.messages().map(|message| message.body.clone()))
            .collect()
    }

    /// The names of all queues.
    pub fn names(&self) -> Vec<String> {
        self.store().names(None)
    }

    /// Refuses every change from now on.
    pub(crate) fn close(&self) {
        self.store().close();
    }

    /// Answers one call of the AWS JSON protocol.
    pub(crate) async fn answer(&self, operation: &str, body: &[u8], context: &RequestContext) -> Answer {
        let result = match operation {
            "ReceiveMessage" => self.receive(body, context).await,
            _ => self.perform(operation, body, context),
        };
        match result {
            Ok(answer) => text_answer(200, wire::CONTENT_TYPE, answer.to_string()),
            Err(error) => error.into_answer(),
        }
    }

    fn perform(&self, operation: &str, body: &[u8], context: &RequestContext) -> Result<Value, ApiError> {
        let now = self.now();
        let answer = operations::perform(&mut self.store(), operation, body, context, now);
        // Whatever was done may have made a message visible; a needless look costs little.
        self.shared.arrivals.notify_waiters();
        answer
    }

    /// Receives at once what is visible, else waits for it: for a message, for the clock, or in vain.
    async fn receive(&self, body: &[u8], context: &RequestContext) -> Result<Value, ApiError> {
        let request = wire::read(body)?;
        let mut clock_moves = self.shared.clock.moved();
        let mut deadline = None;
        loop {
            let arrival = self.shared.arrivals.notified();
            tokio::pin!(arrival);
            // From here on no arrival is missed.
            arrival.as_mut().enable();
            let now = self.now();
            let (received, moved_to_dead_letters) =
                operations::receive(&mut self.store(), &request, context, now)?;
            if moved_to_dead_letters {
                self.shared.arrivals.notify_waiters();
            }
            if !received.messages.is_empty() {
                return Ok(received.into_json());
            }
            // How long a client waits is the client's time, not the clock's: the system's.
            let deadline = *deadline.get_or_insert_with(|| {
                Instant::now() + Duration::from_secs(u64::from(received.wait_seconds))
            });
            if deadline <= Instant::now() {
                return Ok(received.into_json());
            }
            let nap = received.next_visible_in_ms.map_or(Duration::MAX, |milliseconds| {
                Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0)).max(SHORTEST_NAP)
            });
            let wake = Instant::now()
                .checked_add(nap)
                .map_or(deadline, |wake| wake.min(deadline));
            tokio::select! {
                () = &mut arrival => {}
                _ = clock_moves.changed() => {}
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    fn now(&self) -> i64 {
        self.shared.clock.now().as_millisecond()
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.shared.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The clock that every embedded engine follows, and that a test or `POST /dev/clock` can move.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

/// System time plus an offset, or a time that stands still until it is moved.
///
/// Cheap to clone; all clones move together.
#[derive(Clone, Debug)]
pub struct EngineClock {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// `Some`: the clock stands still there (plus the offset). `None`: it runs with the system.
    frozen_at: Option<Timestamp>,
    offset_milliseconds: AtomicI64,
    moves: watch::Sender<u64>,
}

impl EngineClock {
    /// A clock that runs with the system, `offset_seconds` ahead of it.
    pub fn system(offset_seconds: i64) -> Self {
        Self::new(None, offset_seconds)
    }

    /// A clock that stands at `instant` until it is advanced: for tests that state exact times.
    pub fn frozen(instant: Timestamp) -> Self {
        Self::new(Some(instant), 0)
    }

    fn new(frozen_at: Option<Timestamp>, offset_seconds: i64) -> Self {
        let offset_milliseconds = AtomicI64::new(offset_seconds.saturating_mul(1000));
        let (moves, _) = watch::channel(0);
        Self {
            shared: Arc::new(Shared {
                frozen_at,
                offset_milliseconds,
                moves,
            }),
        }
    }

    /// The present, as this clock sees it.
    pub fn now(&self) -> Timestamp {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place where the engines' time comes from"
        )]
        let base = self.shared.frozen_at.unwrap_or_else(Timestamp::now);
        let offset = SignedDuration::from_millis(self.shared.offset_milliseconds.load(Ordering::SeqCst));
        base.saturating_add(offset).unwrap_or(base)
    }

    /// How far the clock has been moved, in whole seconds.
    pub fn offset_seconds(&self) -> i64 {
        self.shared.offset_milliseconds.load(Ordering::SeqCst) / 1000
    }

    /// Moves the clock forward, and wakes those who wait for it in [`EngineClock::moved`].
    pub fn advance(&self, by: SignedDuration) {
        let milliseconds = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.shared
            .offset_milliseconds
            .fetch_add(milliseconds, Ordering::SeqCst);
        self.shared
            .moves
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// A receiver that changes whenever the clock is moved by hand.
    pub fn moved(&self) -> watch::Receiver<u64> {
        self.shared.moves.subscribe()
    }
}

//! The present and new ids: passed in, so that tests can state both.

use jiff::Timestamp;
use uuid::Uuid;

/// Where the present comes from.
pub trait Clock: Send + Sync {
    /// The present, to the millisecond.
    fn now(&self) -> Timestamp;
}

/// Where new ids come from.
pub trait Ids: Send + Sync {
    /// An id that nobody had before. Later ids sort after earlier ones, roughly.
    fn uuid(&self) -> Uuid;
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the functions' time comes from"
    )]
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }
}

/// Time-ordered random ids (RFC 9562, version 7).
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemIds;

impl Ids for SystemIds {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the functions' ids come from"
    )]
    fn uuid(&self) -> Uuid {
        Uuid::now_v7()
    }
}

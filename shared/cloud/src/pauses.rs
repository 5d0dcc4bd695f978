//! What is refused for the moment is tried again, after pauses.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use jiff::SignedDuration;

use crate::error::CloudError;

/// Ten seconds on average, twenty at most.
const TRIES: u32 = 24;

/// The pauses between the tries of one write.
pub(crate) struct Pauses {
    operation: &'static str,
    tries: u32,
    /// How long may still be waited.
    left: SignedDuration,
}

impl Pauses {
    pub(crate) fn of(operation: &'static str) -> Self {
        Self::within(operation, SignedDuration::MAX)
    }

    /// Those that take no longer than `left`, all together.
    pub(crate) fn within(operation: &'static str, left: SignedDuration) -> Self {
        Self {
            operation,
            tries: 0,
            left,
        }
    }

    /// Waits a little longer with each try, and gives up after some.
    pub(crate) async fn next(&mut self) -> Result<(), CloudError> {
        let Some(pause) = self.drawn() else {
            return Err(CloudError::Throttled {
                operation: self.operation,
                code: "too many conflicts".into(),
            });
        };
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// The next pause, if there is one. It is drawn, so that those who met once do not meet again.
    fn drawn(&mut self) -> Option<Duration> {
        self.tries += 1;
        let longest = 5_u64.saturating_mul(1 << self.tries.min(8));
        // The keys of every `RandomState` are others.
        let pause = Duration::from_millis(RandomState::new().hash_one(self.tries) % longest + 1);
        self.left = self.left.checked_sub(SignedDuration::try_from(pause).ok()?)?;
        (self.tries < TRIES && self.left.is_positive()).then_some(pause)
    }
}

/// How often what must not be done anew is tried: with the SDK's first backoff of a second, for four minutes.
const LONG_TRIES: u32 = 9;
/// The longest of these pauses, as many times as the first.
const LONGEST: u32 = 60;

/// The pauses between the tries of a call that AWS itself fails at, each with the SDK's own tries.
pub(crate) struct LongPauses {
    operation: &'static str,
    pause: Duration,
    longest: Duration,
    tries: u32,
}

impl LongPauses {
    pub(crate) fn of(operation: &'static str, first: Duration) -> Self {
        Self {
            operation,
            pause: first,
            longest: first * LONGEST,
            tries: 0,
        }
    }

    /// Waits twice as long with each try; after the last, fails with what the call failed with.
    pub(crate) async fn next(&mut self, error: CloudError) -> Result<(), CloudError> {
        self.tries += 1;
        if self.tries >= LONG_TRIES {
            return Err(error);
        }
        tracing::warn!(%error, operation = self.operation, "tried again after a pause");
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(self.longest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut pauses: Pauses) -> Vec<Duration> {
        std::iter::from_fn(|| pauses.drawn()).collect()
    }

    #[test]
    fn pauses_end() {
        let drawn = all(Pauses::of("UpdateItem"));
        assert_eq!(drawn.len(), TRIES as usize - 1);
        let sum: Duration = drawn.iter().sum();
        assert!(sum <= Duration::from_secs(22), "{sum:?}");
        assert!(
            drawn.iter().collect::<std::collections::BTreeSet<_>>().len() > 5,
            "{drawn:?}"
        );
    }

    #[test]
    fn no_pause_goes_beyond_what_is_left() {
        for milliseconds in [0, 1, 50, 1_000] {
            let left = Duration::from_millis(milliseconds);
            let drawn = all(Pauses::within(
                "TransactWriteItems",
                SignedDuration::try_from(left).unwrap(),
            ));
            assert!(drawn.iter().sum::<Duration>() <= left, "{left:?}: {drawn:?}");
        }
    }
}

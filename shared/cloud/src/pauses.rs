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

    /// Waits a little longer with each try, and gives up after some. How long is drawn, so that those who met
    /// once do not meet again.
    pub(crate) async fn next(&mut self) -> Result<(), CloudError> {
        self.tries += 1;
        let longest = 5_u64.saturating_mul(1 << self.tries.min(8));
        // The keys of every `RandomState` are others.
        let milliseconds = RandomState::new().hash_one(self.tries) % longest + 1;
        let pause = Duration::from_millis(milliseconds);
        self.left = SignedDuration::try_from(pause)
            .map_or(SignedDuration::ZERO, |pause| self.left.saturating_sub(pause));
        if self.tries >= TRIES || !self.left.is_positive() {
            return Err(CloudError::Throttled {
                operation: self.operation,
                code: "too many conflicts".into(),
            });
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

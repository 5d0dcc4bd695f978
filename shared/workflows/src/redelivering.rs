//! When a message comes again whose work has failed: soon, then less and less often.

use oubli_cloud::WorkQueue;

use crate::Oubli;

/// The pause after the first failure, in seconds; it doubles with each.
const FIRST_PAUSE: u32 = 5;
/// The longest pause, in seconds.
const LONGEST_PAUSE: u32 = 300;

/// After how many seconds a message is delivered again that was delivered so often.
pub fn redelivery_pause(receive_count: u32) -> u32 {
    let doublings = receive_count.saturating_sub(1).min(16);
    FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE)
}

impl Oubli {
    /// Has messages delivered again after pauses that grow, instead of after the queue's visibility timeout,
    /// which is as long as their work may take. `failed`: receipt handles, and how often each was delivered.
    pub async fn deliver_again(&self, queue: WorkQueue, failed: impl IntoIterator<Item = (String, u32)>) {
        let failed = failed.into_iter().filter(|(handle, _)| !handle.is_empty());
        let failed: Vec<_> = failed
            .map(|(handle, receive_count)| (handle, redelivery_pause(receive_count)))
            .collect();
        if failed.is_empty() {
            return;
        }
        if let Err(error) = self.cloud.hide_messages(queue, &failed).await {
            tracing::warn!(%error, "failed messages come again when their visibility timeout is over");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_five_minutes() {
        let pauses: Vec<_> = (1..=8).map(redelivery_pause).collect();
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(redelivery_pause(0), 5);
        assert_eq!(redelivery_pause(u32::MAX), 300);
    }

    #[test]
    fn the_deliveries_of_a_queue_outlast_an_outage() {
        let all: u32 = (1..20).map(redelivery_pause).sum();
        assert!(all > 60 * 60, "{all} s");
    }
}

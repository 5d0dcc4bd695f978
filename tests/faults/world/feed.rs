//! How messages are delivered: how often, in which order, by how many workers, and where these die.

use std::collections::BTreeSet;

use futures::future::select_all;
use oubli_local::faults::Gate;

/// A SplitMix64 sequence (Steele, Lea, Flood 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = usize::try_from(self.below(last as u64 + 1)).unwrap();
            items.swap(last, other);
        }
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }
}

/// How messages are delivered.
pub(crate) struct Feed {
    pub(crate) random: Random,
    /// How often each message is delivered.
    pub(crate) copies: usize,
    /// How many workers deal with messages at once.
    pub(crate) workers: usize,
    /// Where workers die: all that are at work when a call comes to one of these gates.
    pub(crate) kills: Vec<Gate>,
    /// Functions whose next message gets lost.
    pub(crate) lose: BTreeSet<String>,
    /// Functions whose workers do not die with the others.
    pub(crate) sheltered: Vec<&'static str>,
    /// How often a worker died.
    pub(crate) killed: usize,
}

impl Feed {
    /// One worker, each message once, in order.
    pub(crate) fn plain() -> Self {
        Self {
            random: Random(1),
            copies: 1,
            workers: 1,
            kills: Vec::new(),
            lose: BTreeSet::new(),
            sheltered: Vec::new(),
            killed: 0,
        }
    }

    /// Two workers, each message twice, in an order drawn from the seed.
    pub(crate) fn twice(seed: u64) -> Self {
        Self {
            random: Random(seed),
            copies: 2,
            workers: 2,
            ..Self::plain()
        }
    }

    pub(crate) fn dying_at(mut self, gates: impl IntoIterator<Item = Gate>) -> Self {
        self.kills.extend(gates);
        self
    }

    pub(crate) fn losing(mut self, functions: &[&str]) -> Self {
        self.lose = functions.iter().map(ToString::to_string).collect();
        self
    }

    /// Does the work, unless it dies: then `None`.
    pub(super) async fn survive<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        if self.kills.is_empty() {
            return Some(work.await);
        }
        let deaths = self.kills.clone();
        let death = select_all(deaths.iter().map(|gate| Box::pin(gate.reached())));
        tokio::select! {
            biased;
            ((), index, _) = death => {
                self.kills.remove(index);
                self.killed += 1;
                None
            }
            done = work => Some(done),
        }
    }
}

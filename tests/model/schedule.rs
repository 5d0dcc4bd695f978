//! Who makes the next call: workers are held at every call, and a seed says who may go on.

use std::pin::Pin;

use oubli_local::faults::{Fault, FaultPlan, Gate, Outcome};
use oubli_workflows::WorkflowError;

/// What a worker, or a member, is at.
pub(crate) type Job = Pin<Box<dyn Future<Output = Result<(), WorkflowError>>>>;

/// A job that is held at one of its calls.
pub(crate) struct Held {
    job: Job,
    gate: Gate,
}

impl Held {
    /// Lets it go on, to its end.
    pub(crate) async fn go_on(self) -> Result<(), WorkflowError> {
        self.gate.open();
        self.job.await
    }

    /// Gives it up: its call is never made. Answers the gate, to be opened when nothing depends on that any
    /// more, since a thread may wait there.
    pub(crate) fn give_up(self) -> Gate {
        drop(self.job);
        self.gate
    }
}

/// How far a job came.
pub(crate) enum Progress {
    Ended(Result<(), WorkflowError>),
    Held(Held),
}

fn hold(faults: &FaultPlan, caller: &str, nth: u64, after: bool) -> Gate {
    let gate = Gate::default();
    let outcome = if after {
        Outcome::HoldAfter(gate.clone())
    } else {
        Outcome::HoldBefore(gate.clone())
    };
    faults.inject(Fault::on("*", outcome).from_caller(caller).nth(nth));
    gate
}

/// Runs a job up to its `call`th call, before that is done or after.
pub(crate) async fn run_to(
    faults: &FaultPlan,
    caller: &str,
    mut job: Job,
    call: u64,
    after: bool,
) -> Progress {
    let gate = hold(faults, caller, call, after);
    let ended = tokio::select! {
        biased;
        ended = &mut job => Some(ended),
        () = gate.reached() => None,
    };
    faults.clear();
    match ended {
        Some(ended) => Progress::Ended(ended),
        None => Progress::Held(Held { job, gate }),
    }
}

/// One of those who take turns.
struct Player {
    caller: &'static str,
    job: Job,
    gate: Gate,
    ended: Option<Result<(), WorkflowError>>,
}

impl Player {
    async fn seat(faults: &FaultPlan, (caller, job): (&'static str, Job)) -> Self {
        let gate = hold(faults, caller, 1, false);
        let mut player = Self {
            caller,
            job,
            gate,
            ended: None,
        };
        player.run().await;
        player
    }

    /// Makes the call at which it is held, and comes to the next.
    async fn turn(&mut self, faults: &FaultPlan) {
        let next = hold(faults, self.caller, 1, false);
        std::mem::replace(&mut self.gate, next).open();
        self.run().await;
    }

    async fn run(&mut self) {
        let ended = tokio::select! {
            biased;
            ended = &mut self.job => Some(ended),
            () = self.gate.reached() => None,
        };
        self.ended = ended;
    }
}

/// Runs two jobs call by call. The one that waits is not even polled.
pub(crate) async fn interleave(
    faults: &FaultPlan,
    left: (&'static str, Job),
    right: (&'static str, Job),
    random: &mut Random,
) -> [Result<(), WorkflowError>; 2] {
    let mut left = Player::seat(faults, left).await;
    let mut right = Player::seat(faults, right).await;
    // Runs of turns, of a length that is drawn as well: often one is far ahead of the other.
    let stay = 1 + random.below(8);
    let mut is_left = random.below(2) == 0;
    while left.ended.is_none() || right.ended.is_none() {
        if random.below(stay) == 0 {
            is_left = !is_left;
        }
        let has_left = left.ended.is_none() && (is_left || right.ended.is_some());
        let player = if has_left { &mut left } else { &mut right };
        player.turn(faults).await;
    }
    faults.clear();
    [left, right].map(|player| player.ended.unwrap())
}

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
}

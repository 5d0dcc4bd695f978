//! The matrix of calls and faults: which cells there are, and how they are dealt with side by side.

use std::fmt::Debug;
use std::sync::Mutex;

use futures::future::join_all;
use oubli_local::faults::{Call, Fault, Gate, Injected, Outcome};

use crate::world::World;

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    KilledBefore,
    KilledAfter,
    Error,
    Throttled,
    ReplyLost,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [
        Self::KilledBefore,
        Self::KilledAfter,
        Self::Error,
        Self::Throttled,
        Self::ReplyLost,
    ];

    pub(crate) fn kills(self) -> bool {
        matches!(self, Self::KilledBefore | Self::KilledAfter)
    }
}

/// One call, and what happens to it.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    /// Which of the function's calls, from 1.
    pub(crate) nth: u64,
    /// What it was in the run without faults.
    pub(crate) operation: String,
    pub(crate) kind: Kind,
}

/// A fault that waits for its call.
pub(crate) struct Armed {
    struck: Injected,
    pub(crate) gate: Option<Gate>,
}

impl Cell {
    pub(crate) fn arm(&self, world: &World, caller: &str) -> Armed {
        let gate = self.kind.kills().then(|| world.gate());
        let outcome = match (self.kind, gate.clone()) {
            (Kind::KilledBefore, Some(gate)) => Outcome::HoldBefore(gate),
            (Kind::KilledAfter, Some(gate)) => Outcome::HoldAfter(gate),
            (Kind::Error, _) => Outcome::Error,
            (Kind::Throttled, _) => Outcome::Throttle,
            _ => Outcome::LostReply,
        };
        let fault = Fault::on("*", outcome).from_caller(caller).nth(self.nth);
        let struck = world.engines().faults().inject(fault);
        Armed { struck, gate }
    }
}

impl Armed {
    /// That the fault met its call: else the cell says nothing.
    pub(crate) fn disarm(self, world: &World) {
        world.engines().faults().clear();
        // What still reads for the dead may go on; whatever of theirs was on its way is not any more.
        self.gate.iter().for_each(Gate::open);
        assert_eq!(self.struck.count(), 1, "the call was never made");
    }
}

/// The calls of a caller since recording began.
pub(crate) fn calls_of(world: &World, caller: &str) -> Vec<Call> {
    let calls = world.engines().faults().calls();
    let own = |call: &Call| call.caller.as_deref() == Some(caller);
    calls.into_iter().filter(own).collect()
}

/// Whether cells that are as good as others are tried as well: `OUBLI_FAULTS_WHOLE=1`.
fn is_whole() -> bool {
    std::env::var_os("OUBLI_FAULTS_WHOLE").is_some()
}

/// Leaves out cells for which others stand, unless all are asked for.
pub(crate) fn thin(cells: &mut Vec<Cell>, is_wanted: impl Fn(&Cell) -> bool) {
    if !is_whole() {
        cells.retain(is_wanted);
    }
}

/// The cells of these calls and kinds. Of many equal calls in a row the first and the last stand for all,
/// unless all are asked for.
pub(crate) fn cells(calls: &[Call], kinds: &[Kind]) -> Vec<Cell> {
    let same = |index: Option<usize>, call: &Call| {
        let other = index.and_then(|index| calls.get(index));
        other.is_some_and(|other| other.operation == call.operation)
    };
    let numbered = (1..).zip(calls.iter().enumerate());
    numbered
        .filter(|(_, (index, call))| {
            is_whole() || !(same(index.checked_sub(1), call) && same(Some(index + 1), call))
        })
        .flat_map(|(nth, (_, call))| {
            kinds.iter().map(move |kind| Cell {
                nth,
                operation: call.operation.clone(),
                kind: *kind,
            })
        })
        .collect()
}

/// Deals with the cells, several worlds side by side, each cell alone in its world.
pub(crate) async fn run<S, C: Debug>(
    cells: Vec<C>,
    worlds: usize,
    set_up: impl AsyncFn(&World) -> S,
    test: impl AsyncFn(&World, &S, &C),
    close: impl AsyncFn(&World, &S),
) {
    assert!(!cells.is_empty());
    let count = cells.len();
    let left = Mutex::new(cells);
    let next = || left.lock().unwrap().pop();
    let (set_up, test, close, next) = (&set_up, &test, &close, &next);
    join_all((0..worlds).map(async |_| {
        let world = World::start().await.unwrap();
        // On the heap: what a test compares, twice over, is more than a thread's stack takes.
        let scenario = Box::pin(set_up(&world)).await;
        while let Some(cell) = next() {
            let on_panic = Named(&cell);
            Box::pin(test(&world, &scenario, &cell)).await;
            drop(on_panic);
        }
        Box::pin(close(&world, &scenario)).await;
    }))
    .await;
    println!("{count} cells");
}

/// Names the cell in which a test panics.
struct Named<'a, C: Debug>(&'a C);

impl<C: Debug> Drop for Named<'_, C> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in the cell {:?}", self.0);
        }
    }
}

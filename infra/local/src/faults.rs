//! Faults on demand: what a test can make the endpoint do wrong, and what it saw being called.
//!
//! A [`FaultPlan`] without rules and without recording costs one atomic read a call. Rules match an
//! operation (`DynamoDB.TransactWriteItems`, `S3.*`, `*`), optionally one caller (the SDK's app name) and
//! a filter of the test's own, and say for which of the matching calls they hold.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// The services of the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// Amazon DynamoDB.
    DynamoDb,
    /// Amazon S3.
    S3,
    /// Amazon SQS.
    Sqs,
    /// Amazon SES v2.
    Ses,
    /// AWS KMS.
    Kms,
}

impl Service {
    /// The first half of an operation's name: `DynamoDB`, `S3`, `SQS`, `SES`, `KMS`.
    pub fn name(self) -> &'static str {
        match self {
            Self::DynamoDb => "DynamoDB",
            Self::S3 => "S3",
            Self::Sqs => "SQS",
            Self::Ses => "SES",
            Self::Kms => "KMS",
        }
    }
}

/// One call that the endpoint was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Position among the calls seen since the plan was first used, from 1.
    pub number: u64,
    /// The service that is called.
    pub service: Service,
    /// Service and operation, such as `S3.UploadPart`.
    pub operation: String,
    /// The application name that the SDK sent (`app/NAME` in its user agent).
    pub caller: Option<String>,
    /// What the call is about, without personal data: the table, `bucket/key`, the queue, the key's id.
    pub label: String,
    /// Of what a transaction is made: kinds of writes (`Put`, `Update`, `Delete`, `ConditionCheck`), each with
    /// its table.
    pub writes: Vec<(String, String)>,
}

/// What happens to a call that a rule picks.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The service's own internal error, status 500; nothing is done.
    Error,
    /// The service's own throttling error; nothing is done.
    Throttle,
    /// The call is done, then the connection is cut without an answer.
    LostReply,
    /// The call waits this long before it is done.
    Delay(Duration),
    /// The call waits at the gate before it is done.
    HoldBefore(Gate),
    /// The call is done, and its answer waits at the gate.
    HoldAfter(Gate),
    /// `SQS.ReceiveMessage` only: each message received leaves a twin that is visible at once and is
    /// delivered a second time whatever happens to the first.
    DuplicateDelivery,
    /// `SQS.ReceiveMessage` only: visible messages are taken in an order drawn from this seed.
    Reorder {
        /// Where the order comes from.
        seed: u64,
    },
}

/// Before or after the engine has done the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Nothing has been done yet.
    Before,
    /// All is done; the caller does not know it.
    After,
}

type Filter = Arc<dyn Fn(&Call) -> bool + Send + Sync>;

/// A rule: which calls, and what happens to them.
#[derive(Clone)]
pub struct Fault {
    operation: String,
    caller: Option<String>,
    occurrence: Occurrence,
    filter: Option<Filter>,
    outcome: Outcome,
}

#[derive(Clone, Copy)]
enum Occurrence {
    Always,
    Nth(u64),
    First(u64),
    Chance { of_one: f64, state: u64 },
}

impl Fault {
    /// Every call of `operation`: a full name, `Service.*`, or `*`.
    pub fn on(operation: impl Into<String>, outcome: Outcome) -> Self {
        Self {
            operation: operation.into(),
            caller: None,
            occurrence: Occurrence::Always,
            filter: None,
            outcome,
        }
    }

    /// Only calls of the application of this name.
    #[must_use]
    pub fn from_caller(mut self, caller: impl Into<String>) -> Self {
        self.caller = Some(caller.into());
        self
    }

    /// Only the `nth` matching call, from 1.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        self.occurrence = Occurrence::Nth(nth);
        self
    }

    /// Only the first `count` matching calls.
    #[must_use]
    pub fn first(mut self, count: u64) -> Self {
        self.occurrence = Occurrence::First(count);
        self
    }

    /// Each matching call with this probability (0 to 1), drawn from `seed`.
    #[must_use]
    pub fn with_probability(mut self, of_one: f64, seed: u64) -> Self {
        self.occurrence = Occurrence::Chance { of_one, state: seed };
        self
    }

    /// Only calls that `filter` accepts.
    #[must_use]
    pub fn only_if(mut self, filter: impl Fn(&Call) -> bool + Send + Sync + 'static) -> Self {
        self.filter = Some(Arc::new(filter));
        self
    }

    fn matches(&self, call: &Call) -> bool {
        let operation = self.operation == "*"
            || self.operation == call.operation
            || self
                .operation
                .strip_suffix(".*")
                .is_some_and(|service| service == call.service.name());
        operation
            && self
                .caller
                .as_ref()
                .is_none_or(|caller| call.caller.as_ref() == Some(caller))
            && self.filter.as_ref().is_none_or(|filter| filter(call))
    }
}

/// A rule that is in force; tells how often it struck.
#[derive(Clone, Debug)]
pub struct Injected {
    struck: Arc<AtomicU64>,
}

impl Injected {
    /// How many calls the rule has changed so far.
    pub fn count(&self) -> u64 {
        self.struck.load(Ordering::SeqCst)
    }
}

struct Rule {
    fault: Fault,
    matched: u64,
    struck: Arc<AtomicU64>,
}

impl Rule {
    fn strikes(&mut self, call: &Call) -> bool {
        if !self.fault.matches(call) {
            return false;
        }
        self.matched += 1;
        let strikes = match &mut self.fault.occurrence {
            Occurrence::Always => true,
            Occurrence::Nth(nth) => self.matched == *nth,
            Occurrence::First(count) => self.matched <= *count,
            Occurrence::Chance { of_one, state } => draw(state) < *of_one,
        };
        if strikes {
            self.struck.fetch_add(1, Ordering::SeqCst);
        }
        strikes
    }
}

/// The next number of a SplitMix64 sequence (Steele, Lea, Flood 2014).
pub(crate) fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// A number from 0 to 1, 1 not included.
fn draw(state: &mut u64) -> f64 {
    let bits = u32::try_from(split_mix(state) >> 32).unwrap_or(u32::MAX);
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}

#[derive(Default)]
struct Plan {
    seen: u64,
    recorded: Option<Vec<Call>>,
    rules: Vec<Rule>,
}

/// The faults of one set of engines, and the record of the calls that they saw.
#[derive(Clone, Default)]
pub struct FaultPlan {
    plan: Arc<Mutex<Plan>>,
    armed: Arc<AtomicBool>,
}

impl FaultPlan {
    /// Adds a rule. The first rule that strikes decides; every matching rule counts the call.
    pub fn inject(&self, fault: Fault) -> Injected {
        let struck = Arc::new(AtomicU64::new(0));
        self.lock().rules.push(Rule {
            fault,
            matched: 0,
            struck: Arc::clone(&struck),
        });
        self.armed.store(true, Ordering::SeqCst);
        Injected { struck }
    }

    /// Stops the `nth` call from now on (of one caller, or of all) before or after it is done, until the
    /// gate is opened. To kill a worker there: wait for [`Gate::reached`], then drop the worker.
    pub fn on_call(&self, nth: u64, when: When, caller: Option<&str>) -> Gate {
        let gate = Gate::default();
        let outcome = match when {
            When::Before => Outcome::HoldBefore(gate.clone()),
            When::After => Outcome::HoldAfter(gate.clone()),
        };
        let fault = Fault::on("*", outcome).nth(nth);
        self.inject(match caller {
            Some(caller) => fault.from_caller(caller),
            None => fault,
        });
        gate
    }

    /// Removes every rule; recording goes on.
    pub fn clear(&self) {
        let mut plan = self.lock();
        plan.rules.clear();
        self.armed.store(plan.recorded.is_some(), Ordering::SeqCst);
    }

    /// Begins (or begins anew) to record calls, from an empty list.
    pub fn record(&self) {
        self.lock().recorded = Some(Vec::new());
        self.armed.store(true, Ordering::SeqCst);
    }

    /// The calls since [`FaultPlan::record`], in the order in which they arrived.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().recorded.clone().unwrap_or_default()
    }

    /// Whether calls have to be shown to [`FaultPlan::observe`] at all.
    pub(crate) fn is_armed(&self) -> bool {
        self.armed.load(Ordering::SeqCst)
    }

    /// Notes a call and says what happens to it.
    pub(crate) fn observe(
        &self,
        service: Service,
        operation: &str,
        caller: Option<String>,
        label: String,
        writes: Vec<(String, String)>,
    ) -> Option<Outcome> {
        let mut plan = self.lock();
        plan.seen += 1;
        let call = Call {
            number: plan.seen,
            service,
            operation: format!("{}.{operation}", service.name()),
            caller,
            label,
            writes,
        };
        let mut outcome = None;
        for rule in &mut plan.rules {
            if rule_applies(rule, &call) && rule.strikes(&call) && outcome.is_none() {
                outcome = Some(rule.fault.outcome.clone());
            }
        }
        if let Some(recorded) = &mut plan.recorded {
            recorded.push(call);
        }
        outcome
    }

    fn lock(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Outcomes that exist for one operation alone leave the others out of their count.
fn rule_applies(rule: &Rule, call: &Call) -> bool {
    match rule.fault.outcome {
        Outcome::DuplicateDelivery | Outcome::Reorder { .. } => call.operation == "SQS.ReceiveMessage",
        _ => true,
    }
}

/// A place where calls wait until the test lets them pass.
#[derive(Clone, Debug)]
pub struct Gate {
    held: Arc<watch::Sender<u64>>,
    open: Arc<watch::Sender<bool>>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            held: Arc::new(watch::Sender::new(0)),
            open: Arc::new(watch::Sender::new(false)),
        }
    }
}

impl Gate {
    /// Waits until at least one call has come to the gate.
    pub async fn reached(&self) {
        let mut held = self.held.subscribe();
        // The sender lives in `self`: waiting cannot fail.
        let _ = held.wait_for(|count| *count > 0).await;
    }

    /// How many calls have come to the gate.
    pub fn count(&self) -> u64 {
        *self.held.borrow()
    }

    /// Lets the waiting calls, and all later ones, pass.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Comes to the gate and waits for it to open.
    pub(crate) async fn pass(&self) {
        let mut open = self.open.subscribe();
        self.held.send_modify(|count| *count += 1);
        // The sender lives in `self`: waiting cannot fail.
        let _ = open.wait_for(|open| *open).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observe(plan: &FaultPlan, operation: &str, caller: &str) -> bool {
        plan.observe(
            Service::S3,
            operation,
            Some(caller.to_owned()),
            String::new(),
            Vec::new(),
        )
        .is_some()
    }

    #[test]
    fn a_rule_strikes_only_the_call_it_names() {
        let plan = FaultPlan::default();
        let rule = plan.inject(
            Fault::on("S3.GetObject", Outcome::Error)
                .from_caller("builder")
                .nth(2),
        );
        let struck: Vec<bool> = [
            ("GetObject", "builder"),
            ("PutObject", "builder"),
            ("GetObject", "api"),
        ]
        .into_iter()
        .chain([("GetObject", "builder"), ("GetObject", "builder")])
        .map(|(operation, caller)| observe(&plan, operation, caller))
        .collect();
        assert_eq!(struck, [false, false, false, true, false]);
        assert_eq!(rule.count(), 1);
    }

    #[test]
    fn the_same_seed_strikes_the_same_calls() {
        let strikes = |seed| {
            let plan = FaultPlan::default();
            plan.inject(Fault::on("*", Outcome::Throttle).with_probability(0.3, seed));
            (0..200)
                .map(|_| observe(&plan, "GetObject", "x"))
                .collect::<Vec<_>>()
        };
        assert_eq!(strikes(7), strikes(7));
        assert_ne!(strikes(7), strikes(8));
        let hits = strikes(7).into_iter().filter(|hit| *hit).count();
        assert!((30..90).contains(&hits), "{hits} of 200 at 0.3");
    }

    #[test]
    fn recording_keeps_order_and_caller() {
        let plan = FaultPlan::default();
        observe(&plan, "Before", "x");
        plan.record();
        observe(&plan, "PutObject", "a");
        observe(&plan, "GetObject", "b");
        let seen: Vec<_> = plan
            .calls()
            .into_iter()
            .map(|call| (call.number, call.operation, call.caller))
            .collect();
        let expected = [
            (2, "S3.PutObject".to_owned(), Some("a".to_owned())),
            (3, "S3.GetObject".to_owned(), Some("b".to_owned())),
        ];
        assert_eq!(seen, expected);
    }
}

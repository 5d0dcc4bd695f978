//! A stack whose functions are fed message by message: in any order, more than once, by workers
//! that die, with messages that get lost.

mod feed;
mod members;
mod outcome;
mod people;
mod snapshot;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_config::{AppName, BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};
use futures::future::{join, join_all};
use jiff::SignedDuration;
use oubli_local::engines::Engines;
use oubli_local::faults::{Fault, Gate, Outcome};
use oubli_tests::Stack;
use reqwest::{Method, StatusCode};

pub(crate) use feed::{Feed, Random};
pub(crate) use outcome::Want;
pub(crate) use people::{Person, signed_bytes};
pub(crate) use snapshot::Life;

pub(crate) const PLANNER: &str = "oubli-bulk-planner";
pub(crate) const BUILDER: &str = "oubli-archive-builder";
pub(crate) const ANONYMISER: &str = "oubli-anonymiser";
pub(crate) const RESTORER: &str = "oubli-restorer";
pub(crate) const NOTIFIER: &str = "oubli-notifier";
pub(crate) const JANITOR: &str = "oubli-janitor";
pub(crate) const API: &str = "oubli-api";

/// How often the clock is moved on before a test says that nothing converges.
const ROUNDS: usize = 120;
/// How long a round takes where the clock cannot be moved.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// How often queues are looked at in one round.
const LOOKS: usize = 400;
/// Longer than a lease of an item, of a mail, and than the janitor's first patience.
const STEP: SignedDuration = SignedDuration::from_mins(20);
/// Longer than any queue hides a message.
const VISIBILITY: SignedDuration = SignedDuration::from_mins(91);

/// A message on its way to its function.
#[derive(Clone)]
pub(crate) struct Delivery {
    pub(crate) function: String,
    queue_url: String,
    pub(crate) record: SqsMessage,
}

impl Delivery {
    pub(crate) fn says(&self, text: &str) -> bool {
        self.record.body.as_ref().is_some_and(|body| body.contains(text))
    }
}

/// Does the work; when it comes to the gate, something else is done before it may go on.
pub(crate) async fn meanwhile<T>(
    work: impl Future<Output = T>,
    gate: &Gate,
    something: impl Future<Output = ()>,
) -> T {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        biased;
        () = gate.reached() => {}
        _ = &mut work => panic!("the call was never made"),
    }
    let change = async {
        something.await;
        gate.open();
    };
    join(work, change).await.0
}

/// A stack and the clients to play with it.
pub(crate) struct World {
    pub(crate) stack: Stack,
    sqs: aws_sdk_sqs::Client,
    pub(crate) tables: aws_sdk_dynamodb::Client,
    pub(crate) objects: aws_sdk_s3::Client,
    /// Archives that were found good: the same bytes need no second look.
    verified: Mutex<BTreeSet<String>>,
    /// How often each message was delivered, by function and body.
    deliveries: Mutex<BTreeMap<(String, String), usize>>,
    /// Where calls wait, or would.
    gates: Mutex<Vec<Gate>>,
}

/// Threads that read for a worker outlive it: none may wait for ever.
impl Drop for World {
    fn drop(&mut self) {
        let gates = self.gates.get_mut().unwrap_or_else(PoisonError::into_inner);
        gates.iter().for_each(Gate::open);
    }
}

impl World {
    /// A world of one's own; `None` when another endpoint is tested, which cannot be made to fail.
    pub(crate) async fn start() -> Option<Self> {
        let world = Box::pin(Self::anywhere()).await;
        world.stack.engines().is_some().then_some(world)
    }

    /// A world of one's own, for what neither injects a fault, nor holds a call, nor moves the clock.
    pub(crate) async fn anywhere() -> Self {
        let stack = Stack::start().await;
        let config = aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(stack.runner.aws_url())
            .region(Region::from_static("eu-west-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .app_name(AppName::new("event-source").unwrap())
            .load()
            .await;
        let by_path = aws_sdk_s3::config::Builder::from(&config).force_path_style(true);
        // The first request with a key has the secret of hashes derived, once in a process's life: not a call
        // that each request makes.
        let key = [("idempotency-key", "first")];
        let body = serde_json::json!({ "kind": "export", "selection": { "filter": { "q": "nobody" } } });
        let body = Some(body.to_string().into_bytes());
        let agent = stack.agent();
        let first = agent.call(Method::POST, "/v1/data-actions", &key, body).await;
        let refused = first.problem(StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(refused, "input_refused");
        Self {
            objects: aws_sdk_s3::Client::from_conf(by_path.build()),
            verified: Mutex::default(),
            deliveries: Mutex::default(),
            gates: Mutex::default(),
            sqs: aws_sdk_sqs::Client::new(&config),
            tables: aws_sdk_dynamodb::Client::new(&config),
            stack,
        }
    }

    pub(crate) fn engines(&self) -> &Engines {
        self.stack.engines().unwrap()
    }

    /// Holds the `nth` call of this operation and caller at a gate.
    pub(crate) fn hold(&self, caller: &str, operation: &str, nth: u64, after: bool) -> Gate {
        let gate = self.gate();
        let outcome = if after {
            Outcome::HoldAfter(gate.clone())
        } else {
            Outcome::HoldBefore(gate.clone())
        };
        let fault = Fault::on(operation, outcome).from_caller(caller).nth(nth);
        self.engines().faults().inject(fault);
        gate
    }

    /// A gate that is open at the end of the world at the latest.
    pub(crate) fn gate(&self) -> Gate {
        let gate = Gate::default();
        self.gates.lock().unwrap().push(gate.clone());
        gate
    }

    /// Receives all that is visible in all queues.
    pub(crate) async fn visible(&self) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        let queues = self.stack.runner.engines().map(Engines::queues);
        for source in &self.stack.runner.provisioned().queues {
            // Another endpoint says so by an empty answer.
            while queues.is_none_or(|queues| !queues.is_empty(&source.queue_url)) {
                let received = self
                    .sqs
                    .receive_message()
                    .queue_url(&source.queue_url)
                    .max_number_of_messages(10)
                    .wait_time_seconds(0)
                    .message_system_attribute_names(MessageSystemAttributeName::All)
                    .send()
                    .await
                    .unwrap();
                let messages = received.messages.unwrap_or_default();
                if messages.is_empty() {
                    break;
                }
                deliveries.extend(messages.into_iter().map(|message| {
                    let mut record = SqsMessage::default();
                    record.message_id = message.message_id;
                    record.receipt_handle = message.receipt_handle;
                    record.body = message.body;
                    record.attributes = message
                        .attributes
                        .into_iter()
                        .flatten()
                        .map(|(name, value)| (name.as_str().to_owned(), value))
                        .collect();
                    record.event_source = Some("aws:sqs".to_owned());
                    Delivery {
                        function: source.function.clone(),
                        queue_url: source.queue_url.clone(),
                        record,
                    }
                }));
            }
        }
        deliveries
    }

    /// The name that the stack gave to a table, a bucket or a queue.
    pub(crate) fn setting(&self, name: &str) -> &str {
        &self.stack.runner.provisioned().environment["api"][name]
    }

    /// Sends any text to the queue of a function.
    pub(crate) async fn send(&self, function: &str, body: &str) {
        let sources = &self.stack.runner.provisioned().queues;
        let source = sources.iter().find(|source| source.function == function);
        let request = self.sqs.send_message().queue_url(&source.unwrap().queue_url);
        request.message_body(body).send().await.unwrap();
    }

    /// Gives a message to its function; answers whether it is done with.
    pub(crate) async fn deliver(&self, delivery: &Delivery) -> bool {
        let mut event = SqsEvent::default();
        event.records = vec![delivery.record.clone()];
        let body = delivery.record.body.clone().unwrap_or_default();
        let message = (delivery.function.clone(), body);
        *self.deliveries.lock().unwrap().entry(message).or_default() += 1;
        let functions = self.stack.runner.functions();
        let response = functions.handle(&delivery.function, event).await;
        response.batch_item_failures.is_empty()
    }

    /// How often each message was delivered since this was last asked, by function and body.
    pub(crate) fn take_deliveries(&self) -> BTreeMap<(String, String), usize> {
        std::mem::take(&mut *self.deliveries.lock().unwrap())
    }

    pub(crate) async fn delete(&self, delivery: &Delivery) {
        let request = self.sqs.delete_message().queue_url(&delivery.queue_url);
        let handle = delivery.record.receipt_handle.clone().unwrap();
        let deleted = request.receipt_handle(handle).send().await;
        // MiniStack refuses the handle of a message that is gone; SQS does not.
        if let Err(error) = deleted.map_err(|error| error.into_service_error()) {
            assert!(
                oubli_tests::is_elsewhere() && error.is_receipt_handle_is_invalid(),
                "{error}"
            );
        }
    }

    /// Delivers what is visible to one function until there is no more of it; the messages of others
    /// are left for later.
    pub(crate) async fn feed_only(&self, function: &str) {
        for _ in 0..LOOKS {
            let visible = self.visible().await;
            let (ours, others): (Vec<_>, Vec<_>) = visible
                .into_iter()
                .partition(|delivery| delivery.function == function);
            for other in &others {
                self.show_again(other).await;
            }
            if ours.is_empty() {
                return;
            }
            for delivery in &ours {
                assert!(self.deliver(delivery).await, "{function} failed");
                self.delete(delivery).await;
            }
        }
        panic!("{function} never comes to an end");
    }

    pub(crate) async fn show_again(&self, delivery: &Delivery) {
        let request = self.sqs.change_message_visibility();
        let request = request.queue_url(&delivery.queue_url).visibility_timeout(0);
        let handle = delivery.record.receipt_handle.clone().unwrap();
        request.receipt_handle(handle).send().await.unwrap();
    }

    /// Delivers messages as the feed says, and deletes those that one delivery was done with.
    async fn deliver_all(&self, visible: Vec<Delivery>, feed: &mut Feed) {
        let mut rest = Vec::new();
        let mut sheltered = Vec::new();
        for delivery in visible {
            if feed.lose.remove(&delivery.function) {
                self.delete(&delivery).await;
            } else if feed.sheltered.contains(&delivery.function.as_str()) {
                sheltered.extend(std::iter::repeat_n(delivery, feed.copies));
            } else {
                rest.extend(std::iter::repeat_n(delivery, feed.copies));
            }
        }
        if feed.copies > 1 {
            feed.random.shuffle(&mut rest);
        }
        let mut queue = VecDeque::from(rest);
        while !queue.is_empty() {
            let share = if feed.copies > 1 { 6 } else { 1 };
            let mut shares = vec![Vec::new(); feed.workers];
            for number in 0..share * feed.workers {
                shares[number % feed.workers].extend(queue.pop_front());
            }
            let work = join_all(shares.into_iter().map(async |share| {
                for delivery in share {
                    if self.deliver(&delivery).await {
                        self.delete(&delivery).await;
                    }
                }
            }));
            feed.survive(work).await;
        }
        for delivery in sheltered {
            if self.deliver(&delivery).await {
                self.delete(&delivery).await;
            }
        }
    }

    /// Delivers what is visible now, and what that leads to, once.
    pub(crate) async fn feed_some(&self, feed: &mut Feed) {
        for _ in 0..2 {
            let visible = self.visible().await;
            self.deliver_all(visible, feed).await;
        }
    }

    /// Feeds all functions until nothing is visible.
    pub(crate) async fn feed(&self, feed: &mut Feed) {
        for _ in 0..LOOKS {
            let visible = self.visible().await;
            if visible.is_empty() {
                return;
            }
            self.deliver_all(visible, feed).await;
        }
        panic!("the queues never come to an end");
    }

    /// Runs the janitor, unless it dies or a fault keeps it.
    pub(crate) async fn sweep(&self, feed: &mut Feed) {
        let swept = feed
            .survive(self.stack.runner.functions().sweep(self.stack.now()))
            .await;
        if let Some(Err(error)) = swept {
            // The next run begins where this one got to.
            eprintln!("a sweep failed: {error}");
        }
    }

    /// Feeds, moves the clock past visibility and leases, and sweeps, until these actions have ended,
    /// nothing of them is open and every queue is empty. Fails when that takes too long.
    pub(crate) async fn settle(&self, feed: &mut Feed, actions: &[&str]) {
        for _ in 0..ROUNDS {
            self.feed(feed).await;
            let ended = feed.lose.is_empty() && self.all_ended(actions).await;
            if ended && Box::pin(self.queues_are_empty()).await {
                return;
            }
            if self.stack.runner.engines().is_none() {
                // Its clock goes by itself.
                tokio::time::sleep(LOOK_AGAIN).await;
                continue;
            }
            self.stack.advance(if ended { VISIBILITY } else { STEP });
            self.sweep(feed).await;
        }
        let mut states = Vec::new();
        for action in actions {
            states.push(self.stack.action(action).await.to_string());
            states.push(format!("{:?}", self.open(action).await));
            states.push(format!("{:?}", self.stack.items(action).await));
        }
        panic!("no end after {ROUNDS} rounds: {states:#?}");
    }

    async fn queues_are_empty(&self) -> bool {
        let Some(engines) = self.stack.runner.engines() else {
            for source in &self.stack.runner.provisioned().queues {
                if self.messages_in(&source.queue_url).await > 0 {
                    return false;
                }
            }
            return true;
        };
        let queues = engines.queues();
        queues.names().into_iter().all(|name| {
            let depth = queues.depth(&name).unwrap();
            name.contains("dead-letter") || depth.visible + depth.in_flight + depth.delayed == 0
        })
    }

    /// How many messages a queue has, visible or not.
    async fn messages_in(&self, queue_url: &str) -> u64 {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let request = self.sqs.get_queue_attributes().queue_url(queue_url);
        let found = request
            .set_attribute_names(Some(names.to_vec()))
            .send()
            .await
            .unwrap();
        let found = found.attributes.unwrap_or_default();
        names.iter().map(|name| found[name].parse::<u64>().unwrap()).sum()
    }

    async fn all_ended(&self, actions: &[&str]) -> bool {
        for action in actions {
            if !self.open(action).await.is_empty() {
                return false;
            }
            let state = self.stack.action(action).await["state"].clone();
            assert!(state != "queued" && state != "running", "not open, and not ended");
        }
        true
    }

    /// Has the janitor finish what is left to be deleted. Only announced documents are waited for in vain.
    pub(crate) async fn clear_up(&self, feed: &mut Feed) {
        for _ in 0..ROUNDS {
            let notes = self.purge_notes().await;
            if notes.values().all(|note| note["if_awaiting"] == true) {
                return;
            }
            self.stack.advance(STEP);
            self.sweep(feed).await;
        }
        panic!("something is never deleted: {:#?}", self.purge_notes().await);
    }
}

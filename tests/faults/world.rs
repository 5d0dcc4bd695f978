//! A stack whose functions are fed message by message: in any order, more than once, by workers
//! that die, with messages that get lost.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::Cursor;

use aws_config::{AppName, BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::types::MessageSystemAttributeName;
use bytes::Bytes;
use futures::future::{join, join_all, select_all};
use jiff::SignedDuration;
use oubli_domain::Sha256;
use oubli_local::engines::Engines;
use oubli_local::faults::{Fault, Gate, Outcome};
use oubli_local::s3::{StoredItem, StoredKind};
use oubli_tests::Stack;
use serde_json::{Value, json};

pub(crate) const PLANNER: &str = "oubli-bulk-planner";
pub(crate) const BUILDER: &str = "oubli-archive-builder";
pub(crate) const NOTIFIER: &str = "oubli-notifier";
pub(crate) const JANITOR: &str = "oubli-janitor";
pub(crate) const API: &str = "oubli-api";

/// How often the clock is moved on before a test says that nothing converges.
const ROUNDS: usize = 120;
/// How often queues are looked at in one round.
const LOOKS: usize = 400;
/// Longer than a lease of an item, of a mail, and than the janitor's first patience.
const STEP: SignedDuration = SignedDuration::from_mins(20);

/// The next number of a SplitMix64 sequence (Steele, Lea, Flood 2014).
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

/// A message on its way to its function.
#[derive(Clone)]
pub(crate) struct Delivery {
    pub(crate) function: String,
    queue_url: String,
    record: SqsMessage,
}

impl Delivery {
    pub(crate) fn says(&self, text: &str) -> bool {
        self.record.body.as_ref().is_some_and(|body| body.contains(text))
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
    async fn survive<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
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

/// Does the work; when it comes to the gate, something else is done before it may go on.
pub(crate) async fn meanwhile<T>(work: impl Future<Output = T>, gate: &Gate, something: impl Future<Output = ()>) -> T {
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
}

impl World {
    /// A world of one's own; `None` when another endpoint is tested, which cannot be made to fail.
    pub(crate) async fn start() -> Option<Self> {
        let stack = Stack::start().await;
        stack.engines()?;
        let config = aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(stack.runner.aws_url())
            .region(Region::from_static("eu-west-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .app_name(AppName::new("event-source").unwrap())
            .load()
            .await;
        let by_path = aws_sdk_s3::config::Builder::from(&config).force_path_style(true);
        Some(Self {
            objects: aws_sdk_s3::Client::from_conf(by_path.build()),
            sqs: aws_sdk_sqs::Client::new(&config),
            tables: aws_sdk_dynamodb::Client::new(&config),
            stack,
        })
    }

    pub(crate) fn engines(&self) -> &Engines {
        self.stack.engines().unwrap()
    }

    /// Holds the `nth` call of this operation and caller at a gate.
    pub(crate) fn hold(&self, caller: &str, operation: &str, nth: u64, after: bool) -> Gate {
        let gate = Gate::default();
        let outcome = if after {
            Outcome::HoldAfter(gate.clone())
        } else {
            Outcome::HoldBefore(gate.clone())
        };
        let fault = Fault::on(operation, outcome).from_caller(caller).nth(nth);
        self.engines().faults().inject(fault);
        gate
    }

    /// Receives all that is visible in all queues.
    pub(crate) async fn visible(&self) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        for source in &self.stack.runner.provisioned().queues {
            loop {
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
        let functions = self.stack.runner.functions();
        let response = functions.handle(&delivery.function, event).await;
        response.batch_item_failures.is_empty()
    }

    pub(crate) async fn delete(&self, delivery: &Delivery) {
        let request = self.sqs.delete_message().queue_url(&delivery.queue_url);
        let handle = delivery.record.receipt_handle.clone().unwrap();
        request.receipt_handle(handle).send().await.unwrap();
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
        for delivery in visible {
            if feed.lose.remove(&delivery.function) {
                self.delete(&delivery).await;
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
            if feed.lose.is_empty() && self.is_settled(actions).await {
                return;
            }
            self.stack.advance(STEP);
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

    async fn is_settled(&self, actions: &[&str]) -> bool {
        let queues = self.engines().queues();
        let busy = queues.names().into_iter().any(|name| {
            let depth = queues.depth(&name).unwrap();
            !name.contains("dead-letter") && depth.visible + depth.in_flight + depth.delayed > 0
        });
        if busy {
            return false;
        }
        for action in actions {
            if !self.open(action).await.is_empty() {
                return false;
            }
            let state = self.stack.action(action).await["state"].clone();
            assert!(state != "queued" && state != "running", "not open, and not ended");
        }
        true
    }

    /// The sort keys of what the janitor still has to look at for an action.
    pub(crate) async fn open(&self, action: &str) -> Vec<String> {
        let found = self
            .tables
            .query()
            .table_name(self.setting("OUBLI_REQUESTS_TABLE"))
            .key_condition_expression("pk = :pk")
            .filter_expression("attribute_exists(open_work_pk)")
            .expression_attribute_values(":pk", AttributeValue::S(format!("T#demo#A#{action}")))
            .consistent_read(true)
            .send()
            .await
            .unwrap();
        let sort_key = |item: BTreeMap<String, AttributeValue>| item["sk"].as_s().unwrap().clone();
        found
            .items
            .unwrap_or_default()
            .into_iter()
            .map(|item| sort_key(item.into_iter().collect()))
            .collect()
    }

    /// How many mails there are about an action.
    pub(crate) fn mails_about(&self, action: &str) -> usize {
        let about = |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains(action));
        let mails = self.engines().mails().outbox();
        mails.iter().filter(|mail| about(&mail.text)).count()
    }

    /// What is in a bucket (`archives`, `documents`, `uploads`).
    pub(crate) async fn stored(&self, bucket: &str) -> Vec<StoredItem> {
        let all = self.engines().s3().inventory().await.unwrap();
        let here = |item: &StoredItem| item.bucket.contains(bucket);
        all.into_iter().filter(here).collect()
    }

    /// That an action has ended so, with these counts, and that all its archives are whole, the only
    /// ones of their items, and can be downloaded. Answers the archives' bytes by contact.
    pub(crate) async fn expect(&self, action: &str, want: &Want) -> BTreeMap<String, Bytes> {
        let ended = self.stack.action(action).await;
        assert_eq!(ended["state"], want.state, "{ended}");
        let counts = [&ended["total"], &ended["done"], &ended["failed"]].map(|count| count.as_u64().unwrap());
        assert_eq!(counts, [want.total, want.done, want.failed], "{ended}");
        let items = self.stack.items(action).await;
        assert_eq!(items.len() as u64, want.total);
        let in_state = |state: &str| items.iter().filter(|item| item["state"] == state).count() as u64;
        assert_eq!([in_state("done"), in_state("failed")], [want.done, want.failed]);
        let mut archives = BTreeMap::new();
        let stored = self.stored("archives").await;
        for item in &items {
            if item["state"] != "done" {
                assert!(item.get("archive").is_none(), "{item}");
                continue;
            }
            let archive = &item["archive"];
            assert_eq!(archive["state"], "ready", "{item}");
            let id = archive["id"].as_str().unwrap();
            let places: Vec<_> = stored.iter().filter(|item| item.key.contains(id)).collect();
            assert_eq!(places.len(), 1, "{places:?}");
            assert!(matches!(places[0].kind, StoredKind::Version { .. }), "{places:?}");
            let bytes = self.stack.archive(id).await;
            assert_eq!(archive["size_bytes"], bytes.len());
            assert_eq!(archive["sha256"], Sha256::of(&bytes).to_string());
            let mut faulty = Vec::new();
            let verified = oubli_archive::verify::verify(Cursor::new(bytes.clone()), |verdict| {
                if verdict.fault.is_some() {
                    faulty.push(verdict.name.to_owned());
                }
            });
            assert!(verified.unwrap().faults == 0 && faulty.is_empty(), "{faulty:?}");
            let contact = item["contact_id"].as_str().unwrap().to_owned();
            assert!(archives.insert(contact, bytes).is_none(), "a contact twice");
        }
        let mails = self.mails_about(action);
        assert!(want.mails.contains(&mails), "{mails} mails about {action}");
        archives
    }

    /// That the bucket of archives holds those of these actions, whole, and nothing else.
    pub(crate) async fn expect_no_orphans(&self, actions: &[&str]) {
        let mut expected = BTreeSet::new();
        for action in actions {
            for item in self.stack.items(action).await {
                if let Some(id) = item["archive"]["id"].as_str() {
                    expected.insert(id.to_owned());
                }
            }
        }
        let mut found = BTreeSet::new();
        for item in self.stored("archives").await {
            let id = item.key.split('/').nth(2).unwrap().to_owned();
            assert!(expected.contains(&id), "{item:?} belongs to nobody");
            assert!(found.insert(id), "{item:?} is one too many");
        }
        assert_eq!(found, expected);
    }

    /// Starts an export and lets nothing of it happen.
    pub(crate) async fn start_export(&self, contacts: &[String]) -> String {
        let ids: Vec<&str> = contacts.iter().map(String::as_str).collect();
        self.stack.export(&ids).await
    }

    /// A contact with documents of these contents.
    pub(crate) async fn contact_with(&self, name: &str, documents: &[&[u8]]) -> String {
        let body = json!({ "last_name": name, "email": format!("{name}@example.fr").to_lowercase() });
        let contact = self.stack.contact(body).await;
        for (number, bytes) in documents.iter().enumerate() {
            self.stack
                .document(&contact, &format!("document {number}.bin"), bytes)
                .await;
        }
        contact
    }

    /// Asks for something about an action as `agent`.
    pub(crate) async fn ask(&self, action: &str, what: &str) -> oubli_tests::Answer {
        let path = format!("/v1/data-actions/{action}/{what}");
        self.stack.agent().post(&path, Value::Null).await
    }
}

/// How an action is to end.
pub(crate) struct Want {
    pub(crate) state: &'static str,
    pub(crate) total: u64,
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) mails: std::ops::RangeInclusive<usize>,
}

impl Want {
    /// Everything done, one mail.
    pub(crate) fn completed(total: u64) -> Self {
        Self {
            state: "completed",
            total,
            done: total,
            failed: 0,
            mails: 1..=1,
        }
    }

    /// Everything failed, so many mails.
    pub(crate) fn failed(total: u64, mails: usize) -> Self {
        Self {
            state: "failed",
            total,
            done: 0,
            failed: total,
            mails: mails..=mails,
        }
    }
}

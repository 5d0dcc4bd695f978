//! Items and partitions that take time, when a test asks for it.
//!
//! The engine does a write in a moment; DynamoDB takes milliseconds, in which nobody else writes the item, and
//! a partition takes no more than so many writes a second. Rules and words of DynamoDB:
//!
//! - A transaction is cancelled with `TransactionConflict` when another write has one of its items; a single
//!   write is refused with `TransactionConflictException` when a transaction has its item; a transactional read
//!   is cancelled when any write has one of its items ("Amazon DynamoDB Transactions: How it works", Transaction
//!   conflict handling). Single writes of one item wait for each other.
//! - A partition takes 1,000 write units a second ("Best practices for designing and using partition keys"). A
//!   unit is a KB of an item; a write in a transaction costs two. Beyond, a table on demand answers
//!   `ThrottlingException`, a transaction is cancelled with `ThrottlingError`.
//!
//! Other reads never wait here: the tables are read consistently, and DynamoDB serves such reads beside a write.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

/// The attributes of the key of every table of ours.
const KEY: [&str; 2] = ["pk", "sk"];
/// A write unit is so many bytes of an item.
const UNIT_BYTES: usize = 1_024;

/// How long writes take, and how many a partition takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contention {
    /// How long a transaction has its items.
    pub transaction: Duration,
    /// How long a single write has its item.
    pub write: Duration,
    /// The write units that a partition takes in a second.
    pub partition_units: u32,
}

/// A key of a table: its name, partition and sort key.
type ItemKey = (String, String, String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    Transaction,
    Write,
}

#[derive(Debug, Default)]
struct State {
    contention: Option<Contention>,
    held: BTreeMap<ItemKey, Holder>,
    /// By table and partition key: when it was last written, and how many units were left then.
    partitions: BTreeMap<(String, String), (Instant, f64)>,
}

/// Who has which item.
#[derive(Debug, Default)]
pub(super) struct Holders {
    state: Mutex<State>,
    released: Notify,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Transaction,
    Write,
    /// Transactional: it meets writes, and no write meets it.
    Read,
}

/// What a write, or a transactional read, asks for.
pub(super) struct Wanted {
    kind: Kind,
    /// In the order of the transaction, each with its write units.
    items: Vec<(ItemKey, u32)>,
}

impl Wanted {
    /// How long it has its items.
    pub(super) fn time(&self, contention: Contention) -> Duration {
        match self.kind {
            Kind::Transaction => contention.transaction,
            Kind::Write => contention.write,
            Kind::Read => Duration::ZERO,
        }
    }
}

/// The items that a write has, until it is dropped.
pub(super) struct Held {
    holders: Arc<Holders>,
    items: Vec<ItemKey>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.holders.state();
        for item in &self.items {
            state.held.remove(item);
        }
        drop(state);
        self.holders.released.notify_waiters();
    }
}

/// How a write is refused.
#[derive(Debug, PartialEq)]
pub(super) struct Refusal {
    code: &'static str,
    body: Value,
}

impl Refusal {
    fn single(code: &'static str, message: &str) -> Self {
        let body = json!({
            "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"),
            "message": message,
        });
        Self { code, body }
    }

    fn cancelled(reason: &'static str, message: &str, items: usize, refused: &BTreeSet<usize>) -> Self {
        let reasons = (0..items).map(|index| {
            if refused.contains(&index) {
                json!({ "Code": reason, "Message": message })
            } else {
                json!({ "Code": "None" })
            }
        });
        let reasons: Vec<_> = reasons.collect();
        let codes: Vec<_> = reasons
            .iter()
            .filter_map(|reason| reason["Code"].as_str())
            .collect();
        let message = format!(
            "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
            codes.join(", ")
        );
        let body = json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": message,
            "CancellationReasons": reasons,
        });
        Self { code: reason, body }
    }

    pub(super) fn body(&self) -> String {
        self.body.to_string()
    }
}

impl Holders {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has writes take time from now on; `None`: no longer.
    pub(super) fn set(&self, contention: Option<Contention>) {
        self.state().contention = contention;
    }

    pub(super) fn contention(&self) -> Option<Contention> {
        self.state().contention
    }

    /// Takes the items of a write, once nobody has them, or refuses it.
    pub(super) async fn take(self: &Arc<Self>, wanted: &Wanted) -> Result<Held, Refusal> {
        loop {
            let released = self.released.notified();
            if let Some(taken) = self.try_take(wanted, Instant::now()) {
                return taken;
            }
            // A write that has the item ends by itself.
            released.await;
        }
    }

    /// `None`: a single write waits for another one.
    fn try_take(self: &Arc<Self>, wanted: &Wanted, now: Instant) -> Option<Result<Held, Refusal>> {
        const ONGOING: &str = "Transaction is ongoing for the item";
        let mut state = self.state();
        let holders: Vec<_> = wanted
            .items
            .iter()
            .map(|(item, _)| state.held.get(item).copied())
            .collect();
        if wanted.kind != Kind::Write {
            let met = holders.iter().enumerate().filter(|(_, holder)| holder.is_some());
            let met: BTreeSet<_> = met.map(|(index, _)| index).collect();
            if !met.is_empty() {
                let items = wanted.items.len();
                return Some(Err(Refusal::cancelled(
                    "TransactionConflict",
                    ONGOING,
                    items,
                    &met,
                )));
            }
        } else if holders.contains(&Some(Holder::Transaction)) {
            return Some(Err(Refusal::single("TransactionConflictException", ONGOING)));
        } else if holders.contains(&Some(Holder::Write)) {
            return None;
        }
        if let Err(refusal) = state.pay(wanted, now) {
            return Some(Err(refusal));
        }
        let holder = match wanted.kind {
            Kind::Transaction => Holder::Transaction,
            Kind::Write => Holder::Write,
            Kind::Read => {
                return Some(Ok(Held {
                    holders: self.clone(),
                    items: Vec::new(),
                }));
            }
        };
        let items: Vec<_> = wanted.items.iter().map(|(item, _)| item.clone()).collect();
        state.held.extend(items.iter().map(|item| (item.clone(), holder)));
        Some(Ok(Held {
            holders: self.clone(),
            items,
        }))
    }
}

impl State {
    /// Takes the write units from the partitions, if all of them have enough.
    fn pay(&mut self, wanted: &Wanted, now: Instant) -> Result<(), Refusal> {
        const EXCEEDED: &str = "Throughput exceeds the current capacity of your table or index. DynamoDB is automatically scaling your table or index so please try again shortly.";
        let Some(contention) = self.contention else {
            return Ok(());
        };
        let most = f64::from(contention.partition_units);
        let mut after = BTreeMap::new();
        let mut refused = BTreeSet::new();
        for (index, ((table, partition, _), units)) in wanted.items.iter().enumerate() {
            let key = (table.clone(), partition.clone());
            let left = after.get(&key).copied().unwrap_or_else(|| {
                self.partitions.get(&key).map_or(most, |(at, left)| {
                    (left + now.duration_since(*at).as_secs_f64() * most).min(most)
                })
            });
            if left < f64::from(*units) {
                refused.insert(index);
            }
            after.insert(key, left - f64::from(*units));
        }
        if !refused.is_empty() {
            return Err(if wanted.kind == Kind::Transaction {
                Refusal::cancelled("ThrottlingError", EXCEEDED, wanted.items.len(), &refused)
            } else {
                Refusal::single("ThrottlingException", EXCEEDED)
            });
        }
        let paid = after.into_iter().map(|(key, left)| (key, (now, left)));
        self.partitions.extend(paid);
        Ok(())
    }
}

/// What an operation writes, or reads in a transaction; `None`: nothing that could be held.
pub(super) fn wanted(operation: &str, body: &str) -> Option<Wanted> {
    let request: Value = serde_json::from_str(body).ok()?;
    match operation {
        "PutItem" | "UpdateItem" | "DeleteItem" => Some(Wanted {
            kind: Kind::Write,
            items: vec![item_of(&request, 1)?],
        }),
        "TransactWriteItems" => in_transaction(&request, Kind::Transaction, 2),
        "TransactGetItems" => in_transaction(&request, Kind::Read, 0),
        _ => None,
    }
}

fn in_transaction(request: &Value, kind: Kind, times: u32) -> Option<Wanted> {
    let actions = request.get("TransactItems")?.as_array()?.iter();
    let items = actions.map(|action| item_of(action.as_object()?.values().next()?, times));
    Some(Wanted {
        kind,
        items: items.collect::<Option<_>>()?,
    })
}

fn item_of(write: &Value, times: u32) -> Option<(ItemKey, u32)> {
    let table = write.get("TableName")?.as_str()?.to_owned();
    let attributes = write.get("Key").or_else(|| write.get("Item"))?;
    let [partition, sort] = KEY.map(|name| attributes.pointer(&format!("/{name}/S")).and_then(Value::as_str));
    let units = u32::try_from(write.to_string().len().div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
    Some((
        (table, partition?.to_owned(), sort?.to_owned()),
        units.saturating_mul(times),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contention(partition_units: u32) -> Contention {
        Contention {
            transaction: Duration::ZERO,
            write: Duration::ZERO,
            partition_units,
        }
    }

    fn write(sk: &str) -> Wanted {
        let body = json!({ "TableName": "t", "Key": { "pk": { "S": "p" }, "sk": { "S": sk } } });
        wanted("UpdateItem", &body.to_string()).unwrap()
    }

    fn transaction(sks: &[&str]) -> Wanted {
        let write = |sk: &&str| json!({ "Put": { "TableName": "t", "Item": { "pk": { "S": "p" }, "sk": { "S": sk } } } });
        let writes: Vec<_> = sks.iter().map(write).collect();
        wanted(
            "TransactWriteItems",
            &json!({ "TransactItems": writes }).to_string(),
        )
        .unwrap()
    }

    fn read(sks: &[&str]) -> Wanted {
        let get = |sk: &&str| json!({ "Get": { "TableName": "t", "Key": { "pk": { "S": "p" }, "sk": { "S": sk } } } });
        let gets: Vec<_> = sks.iter().map(get).collect();
        wanted("TransactGetItems", &json!({ "TransactItems": gets }).to_string()).unwrap()
    }

    #[tokio::test]
    async fn a_transaction_gives_way_to_whoever_has_one_of_its_items() {
        let holders = Arc::new(Holders::default());
        holders.set(Some(contention(1_000)));
        let first = holders
            .take(&transaction(&["a", "b"]))
            .await
            .unwrap_or_else(|_| panic!());
        let refusal = holders.take(&transaction(&["c", "b"])).await.err().unwrap();
        let codes = refusal.body["CancellationReasons"].as_array().unwrap().iter();
        let codes: Vec<_> = codes.map(|reason| reason["Code"].clone()).collect();
        assert_eq!(codes, ["None", "TransactionConflict"]);
        let refusal = holders.take(&write("a")).await.err().unwrap();
        assert_eq!(refusal.code, "TransactionConflictException");
        let refusal = holders.take(&read(&["c", "b"])).await.err().unwrap();
        assert_eq!(
            refusal.body["CancellationReasons"][1]["Code"],
            "TransactionConflict"
        );
        drop(first);
        // A read keeps nobody from writing.
        let _read = holders
            .take(&read(&["c", "b"]))
            .await
            .unwrap_or_else(|_| panic!());
        let written = holders.take(&write("b")).await.unwrap_or_else(|_| panic!());
        assert!(holders.take(&read(&["b"])).await.is_err());
        drop(written);
        assert!(holders.take(&transaction(&["c", "b"])).await.is_ok());
    }

    #[test]
    fn single_writes_of_an_item_wait_for_each_other() {
        let (holders, now) = (Arc::new(Holders::default()), Instant::now());
        holders.set(Some(contention(1_000)));
        let first = holders.try_take(&write("a"), now);
        assert!(holders.try_take(&write("a"), now).is_none());
        assert!(holders.try_take(&write("b"), now).unwrap().is_ok());
        drop(first);
        assert!(holders.try_take(&write("a"), now).unwrap().is_ok());
    }

    #[test]
    fn a_partition_takes_so_many_units_a_second() {
        let (holders, now) = (Arc::new(Holders::default()), Instant::now());
        holders.set(Some(contention(3)));
        let take = |wanted: &Wanted, now| holders.try_take(wanted, now).unwrap().map(|_| ());
        assert!(take(&transaction(&["a"]), now).is_ok());
        let refusal = take(&transaction(&["b"]), now).unwrap_err();
        assert_eq!(refusal.body["CancellationReasons"][0]["Code"], "ThrottlingError");
        assert!(take(&write("b"), now).is_ok());
        assert_eq!(take(&write("c"), now).unwrap_err().code, "ThrottlingException");
        assert!(take(&transaction(&["b"]), now + Duration::from_secs(1)).is_ok());
    }
}

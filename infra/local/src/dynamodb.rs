//! DynamoDB: the `dynoxide` engine, called in-process with the JSON of the wire.
//!
//! Four things are added to it. Writes can be made to take time (see `contention`). Tokens of transactions are kept here (see `tokens`). Continuous backups (`UpdateContinuousBackups`) are stored and reported, as
//! the template asks for them. And the TTL sweep is our own, because the engine's follows the system's
//! clock when its tables are in a file, and ours has to follow [`EngineClock`].

mod backups;
mod contention;
mod tokens;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use dynoxide::actions::transact_write_items::TransactWriteItemsRequest;
use dynoxide::storage_backend::Clock;
use dynoxide::types::item_size;
use dynoxide::{Database, DynoxideError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::EngineClock;
use crate::endpoint::Answer;
use backups::ContinuousBackups;
use contention::{Held, Holders};
use tokens::Tokens;

pub use contention::Contention;

/// DynamoDB deletes nothing whose time lies more than five years back: such a number is rarely a time.
const TTL_HORIZON_SECONDS: i64 = 5 * 365 * 24 * 3600;
/// The longest token that a transaction may have.
const MAX_TOKEN_BYTES: usize = 36;
/// How many bytes the items of one transaction can have together.
const MAX_TRANSACTION_BYTES: usize = 4 * 1024 * 1024;

/// Why the tables could not be opened, or not be swept.
#[derive(Debug, thiserror::Error)]
pub enum DynamoDbError {
    /// The file is no database, is damaged, or cannot be opened.
    #[error("the tables in `{path}` cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the engine says.
        reason: String,
    },
    /// The engine refused a call of the sweep.
    #[error("the tables cannot be swept: {0}")]
    Sweep(String),
    /// The settings beside the tables could not be read or written.
    #[error("the table settings in `{path}` cannot be kept: {error}")]
    Settings {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
}

/// The tables. Cheap to clone.
#[derive(Clone)]
pub struct DynamoDbEngine {
    database: Database,
    clock: EngineClock,
    backups: Arc<ContinuousBackups>,
    tokens: Arc<Tokens>,
    holders: Arc<Holders>,
}

impl DynamoDbEngine {
    /// Tables in memory.
    ///
    /// # Errors
    /// When the engine cannot start.
    pub(crate) fn in_memory(clock: EngineClock) -> Result<Self, DynamoDbError> {
        let database = Database::memory_with_clock(Arc::new(TableClock(clock.clone()))).map_err(|error| {
            DynamoDbError::Unreadable {
                path: PathBuf::from(":memory:"),
                reason: error.to_string(),
            }
        })?;
        Ok(Self {
            database,
            clock,
            backups: Arc::new(ContinuousBackups::default()),
            tokens: Arc::default(),
            holders: Arc::default(),
        })
    }

    /// Tables in the folder `root`, which exists.
    ///
    /// # Errors
    /// When what is there is damaged.
    pub(crate) fn open(root: &Path, clock: EngineClock) -> Result<Self, DynamoDbError> {
        let path = root.join("dynamodb.sqlite");
        let unreadable = |error: DynoxideError| DynamoDbError::Unreadable {
            path: path.clone(),
            reason: error.to_string(),
        };
        let database = Database::new(&path.to_string_lossy()).map_err(unreadable)?;
        // `synchronous = NORMAL`: with the write-ahead log a killed process loses nothing, and no write waits
        // for the disk. (What else the call sets is the default.)
        database.disable_bulk_loading().map_err(unreadable)?;
        database.table_count().map_err(unreadable)?;
        let backups = ContinuousBackups::open(root.join("dynamodb-backups.json"))?;
        Ok(Self {
            database,
            clock,
            backups: Arc::new(backups),
            tokens: Arc::default(),
            holders: Arc::default(),
        })
    }

    /// Has writes take time, and partitions no more than so many, from now on; `None`: no longer.
    pub fn contend(&self, contention: Option<Contention>) {
        self.holders.set(contention);
    }

    /// Takes the items of a write for as long as it lasts, when writes take time. `Err`: it is refused so.
    async fn hold(&self, operation: &str, body: &[u8]) -> Result<Option<Held>, Answer> {
        let Some(contention) = self.holders.contention() else {
            return Ok(None);
        };
        let body = std::str::from_utf8(body).unwrap_or_default();
        let Some(wanted) = contention::wanted(operation, body) else {
            return Ok(None);
        };
        let held = self.holders.take(&wanted).await;
        let held = held.map_err(|refusal| respond(400, refusal.body()))?;
        tokio::time::sleep(wanted.time(contention)).await;
        Ok(Some(held))
    }

    /// Answers one call of the wire protocol (AWS JSON 1.0).
    pub(crate) async fn answer(&self, operation: &str, body: Bytes) -> Answer {
        let _held = match self.hold(operation, &body).await {
            Ok(held) => held,
            Err(refused) => return refused,
        };
        let engine = self.clone();
        let operation = operation.to_owned();
        let result = tokio::task::spawn_blocking(move || {
            let body = std::str::from_utf8(&body)
                .map_err(|_| DynoxideError::SerializationException(String::new()))?;
            engine.dispatch(&operation, body)
        })
        .await
        .unwrap_or_else(|error| Err(DynoxideError::InternalServerError(error.to_string())));
        match result {
            Ok(json) => respond(200, json),
            Err(DynoxideError::UnsupportedCapability(operation)) => respond(
                400,
                json!({
                    "__type": "com.amazon.coral.service#UnknownOperationException",
                    "message": format!("`{operation}` is not served here"),
                })
                .to_string(),
            ),
            Err(error) => respond(error.status_code(), error.to_json()),
        }
    }

    /// Deletes the items whose time to live has passed by the clock; answers how many.
    ///
    /// # Errors
    /// When the engine refuses a call.
    pub async fn sweep_ttl(&self) -> Result<usize, DynamoDbError> {
        let engine = self.clone();
        tokio::task::spawn_blocking(move || engine.sweep_blocking())
            .await
            .map_err(|error| DynamoDbError::Sweep(error.to_string()))?
            .map_err(|error| DynamoDbError::Sweep(error.to_string()))
    }

    fn dispatch(&self, operation: &str, body: &str) -> dynoxide::Result<String> {
        let db = &self.database;
        match operation {
            "CreateTable" => run(body, |request| db.create_table(request)),
            "DeleteTable" => run(body, |request| db.delete_table(request)),
            "DescribeTable" => run(body, |request| db.describe_table(request)),
            "ListTables" => run(body, |request| db.list_tables(request)),
            "UpdateTable" => run(body, |request| db.update_table(request)),
            "PutItem" => run(body, |request| db.put_item(request)),
            "GetItem" => run(body, |request| db.get_item(request)),
            "DeleteItem" => run(body, |request| db.delete_item(request)),
            "UpdateItem" => run(body, |request| db.update_item(request)),
            "Query" => run(body, |request| db.query(request)),
            "Scan" => run(body, |request| db.scan(request)),
            "BatchGetItem" => run(body, |request| db.batch_get_item(request)),
            "BatchWriteItem" => run(body, |request| db.batch_write_item(request)),
            "TransactWriteItems" => self.transact(body),
            "TransactGetItems" => self.read_together(body),
            "UpdateTimeToLive" => run(body, |request| db.update_time_to_live(request)),
            "DescribeTimeToLive" => run(body, |request| db.describe_time_to_live(request)),
            "TagResource" => run(body, |request| db.tag_resource(request)),
            "UntagResource" => run(body, |request| db.untag_resource(request)),
            "ListTagsOfResource" => run(body, |request| db.list_tags_of_resource(request)),
            "UpdateContinuousBackups" => self.update_continuous_backups(body),
            "DescribeContinuousBackups" => self.describe_continuous_backups(body),
            other => Err(DynoxideError::UnsupportedCapability(other.to_owned())),
        }
    }

    /// The library reads any amount of items; DynamoDB 4 MB.
    fn read_together(&self, body: &str) -> dynoxide::Result<String> {
        let answer = self.database.transact_get_items(read(body)?)?;
        let items = answer
            .responses
            .iter()
            .filter_map(|response| response.item.as_ref());
        if items.map(item_size).sum::<usize>() > MAX_TRANSACTION_BYTES {
            return Err(DynoxideError::ValidationException(
                "The aggregate size of the items in the transaction exceeds the limit of 4 MB".to_owned(),
            ));
        }
        write(&answer)
    }

    fn transact(&self, body: &str) -> dynoxide::Result<String> {
        let mut request: TransactWriteItemsRequest = read(body)?;
        match &request.client_request_token {
            // One that is too long is refused beneath.
            Some(token) if token.len() <= MAX_TOKEN_BYTES => {
                let token = request.client_request_token.take().unwrap_or_default();
                let run = || write(&self.database.transact_write_items(request)?);
                self.tokens.once(&token, body, run)
            }
            _ => write(&self.database.transact_write_items(request)?),
        }
    }

    fn update_continuous_backups(&self, body: &str) -> dynoxide::Result<String> {
        let request: UpdateContinuousBackups = read(body)?;
        self.need_table(&request.table_name)?;
        let enabled = request
            .point_in_time_recovery_specification
            .point_in_time_recovery_enabled;
        self.backups
            .set(&request.table_name, enabled)
            .map_err(|error| DynoxideError::InternalServerError(error.to_string()))?;
        write(&self.describe_backups(&request.table_name))
    }

    fn describe_continuous_backups(&self, body: &str) -> dynoxide::Result<String> {
        let request: DescribeContinuousBackups = read(body)?;
        self.need_table(&request.table_name)?;
        write(&self.describe_backups(&request.table_name))
    }

    fn describe_backups(&self, table: &str) -> Value {
        let status = if self.backups.is_enabled(table) {
            "ENABLED"
        } else {
            "DISABLED"
        };
        json!({"ContinuousBackupsDescription": {
            "ContinuousBackupsStatus": "ENABLED",
            "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": status},
        }})
    }

    fn need_table(&self, table: &str) -> dynoxide::Result<()> {
        self.dispatch("DescribeTable", &json!({"TableName": table}).to_string())
            .map(|_| ())
    }

    fn call(&self, operation: &str, request: &Value) -> dynoxide::Result<Value> {
        read(&self.dispatch(operation, &request.to_string())?)
    }

    fn sweep_blocking(&self) -> dynoxide::Result<usize> {
        let mut deleted = 0;
        let mut request = json!({});
        loop {
            let page = self.call("ListTables", &request)?;
            for table in page
                .get("TableNames")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                let table = table.as_str().unwrap_or_default();
                let described = self.call("DescribeTimeToLive", &json!({"TableName": table}))?;
                let status = described
                    .pointer("/TimeToLiveDescription/TimeToLiveStatus")
                    .and_then(Value::as_str);
                let attribute = described
                    .pointer("/TimeToLiveDescription/AttributeName")
                    .and_then(Value::as_str);
                if let (Some("ENABLED"), Some(attribute)) = (status, attribute) {
                    deleted += self.sweep_table(table, attribute)?;
                }
            }
            match page.get("LastEvaluatedTableName") {
                Some(last) => request = json!({"ExclusiveStartTableName": last}),
                None => return Ok(deleted),
            }
        }
    }

    fn sweep_table(&self, table: &str, attribute: &str) -> dynoxide::Result<usize> {
        let now = self.clock.now().as_second();
        let described = self.call("DescribeTable", &json!({"TableName": table}))?;
        let keys: Vec<String> = described
            .pointer("/Table/KeySchema")
            .and_then(Value::as_array)
            .map(|schema| {
                schema
                    .iter()
                    .filter_map(|key| Some(key.get("AttributeName")?.as_str()?.to_owned()))
                    .collect()
            })
            .unwrap_or_default();
        let expired = "#ttl < :now AND #ttl > :horizon";
        let values = json!({
            ":now": {"N": now.to_string()},
            ":horizon": {"N": (now - TTL_HORIZON_SECONDS).to_string()},
        });
        let mut deleted = 0;
        let mut start = None;
        loop {
            let mut scan = json!({
                "TableName": table,
                "FilterExpression": expired,
                "ExpressionAttributeNames": {"#ttl": attribute},
                "ExpressionAttributeValues": values.clone(),
            });
            if let (Some(start), Some(scan)) = (start.take(), scan.as_object_mut()) {
                scan.insert("ExclusiveStartKey".to_owned(), start);
            }
            let mut page = self.call("Scan", &scan)?;
            for item in page.get("Items").and_then(Value::as_array).into_iter().flatten() {
                let key: serde_json::Map<String, Value> = keys
                    .iter()
                    .filter_map(|name| Some((name.clone(), item.get(name)?.clone())))
                    .collect();
                // Conditional: an item that was given more time since the scan stays.
                let delete = json!({
                    "TableName": table,
                    "Key": key,
                    "ConditionExpression": expired,
                    "ExpressionAttributeNames": {"#ttl": attribute},
                    "ExpressionAttributeValues": values.clone(),
                });
                match self.call("DeleteItem", &delete) {
                    Ok(_) => deleted += 1,
                    Err(DynoxideError::ConditionalCheckFailedException(..)) => {}
                    Err(error) => return Err(error),
                }
            }
            start = page
                .as_object_mut()
                .and_then(|page| page.remove("LastEvaluatedKey"));
            if start.is_none() {
                return Ok(deleted);
            }
        }
    }
}

fn respond(status: u16, json: String) -> Answer {
    let checksum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, json.as_bytes());
    let mut answer = crate::endpoint::text_answer(status, "application/x-amz-json-1.0", json);
    if let Ok(value) = checksum.to_string().parse() {
        answer.headers_mut().insert("x-amz-crc32", value);
    }
    answer
}

fn run<Request: DeserializeOwned, Response: Serialize>(
    body: &str,
    operation: impl FnOnce(Request) -> dynoxide::Result<Response>,
) -> dynoxide::Result<String> {
    write(&operation(read(body)?)?)
}

fn write(response: &impl Serialize) -> dynoxide::Result<String> {
    serde_json::to_string(response).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// Reads a request. The engine's own decoders say in a prefix of serde's message which DynamoDB error a
/// value deserves; what serde itself misses or cannot convert is sorted as DynamoDB does.
fn read<T: DeserializeOwned>(body: &str) -> dynoxide::Result<T> {
    serde_json::from_str(body).map_err(|error| {
        let text = error.to_string();
        let text = text.split(" at line ").next().unwrap_or_default();
        for prefix in ["VALIDATION_REQUEST:", "VALIDATION_AS_READ:", "VALIDATION:"] {
            if let Some(message) = text.strip_prefix(prefix) {
                return DynoxideError::ValidationException(message.to_owned());
            }
        }
        for prefix in ["SERIALIZATION_AS_READ:", "SERIALIZATION:"] {
            if let Some(message) = text.strip_prefix(prefix) {
                return DynoxideError::SerializationException(message.to_owned());
            }
        }
        let refused = [
            "missing field",
            "unknown variant",
            "invalid type: null",
            "Supplied AttributeValue",
        ];
        if refused.iter().any(|reason| text.contains(reason)) {
            DynoxideError::ValidationException(text.to_owned())
        } else {
            DynoxideError::SerializationException(text.to_owned())
        }
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateContinuousBackups {
    table_name: String,
    point_in_time_recovery_specification: PointInTimeRecovery,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PointInTimeRecovery {
    point_in_time_recovery_enabled: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeContinuousBackups {
    table_name: String,
}

/// The engine's clock, as `dynoxide` asks for it.
struct TableClock(EngineClock);

impl Clock for TableClock {
    fn now_unix_secs(&self) -> u64 {
        u64::try_from(self.0.now().as_second()).unwrap_or(0)
    }

    fn now_unix_secs_f64(&self) -> f64 {
        self.0.now().as_duration().as_secs_f64()
    }
}

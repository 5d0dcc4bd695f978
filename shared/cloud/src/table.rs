//! One DynamoDB table: reads, conditional writes, pages and transactions.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, ConditionCheck, Delete, KeysAndAttributes, Put, ReturnValue,
    ReturnValuesOnConditionCheckFailure, Select, TransactWriteItem, Update as UpdateWrite,
};
use jiff::SignedDuration;
use oubli_domain::paging::MAX_EXACT_TOTAL;

use crate::error::{CloudError, code_of, failed, refused};
use crate::expression::{Attributes, Condition, Placeholders, Update, text};
use crate::items::{key_of, with_key};
use crate::keys::Key;
use crate::pauses::Pauses;

/// A page of what a list query found.
#[derive(Clone, Debug)]
pub struct ListPage<T> {
    /// The items.
    pub items: Vec<T>,
    /// The position after them; `None` at the end.
    pub next: Option<String>,
}

/// One table.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) client: Client,
    pub(crate) name: String,
}

/// What came of a conditional write.
#[derive(Debug)]
pub(crate) enum Written<T = ()> {
    /// It happened.
    Yes(T),
    /// The condition did not hold; the item as it is, if it is there.
    No(Option<Attributes>),
}

/// What came of a transaction.
#[derive(Debug)]
pub(crate) enum Transacted {
    /// All of it happened.
    Yes,
    /// None of it happened: for each write whether its condition failed, and the item as it is.
    No(Vec<Option<Refused>>),
}

/// A write whose condition failed.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) item: Option<Attributes>,
}

impl Transacted {
    /// The refusal of the write with this index.
    pub(crate) fn refused(&self, index: usize) -> Option<&Refused> {
        match self {
            Self::Yes => None,
            Self::No(refusals) => refusals.get(index).and_then(Option::as_ref),
        }
    }
}

/// A query of one partition of the table or of an index.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) index: Option<&'static str>,
    pub(crate) partition: (&'static str, String),
    pub(crate) range: Option<Condition>,
    pub(crate) filter: Option<Condition>,
    /// Which attributes to read, separated by commas; `None`: all.
    pub(crate) projection: Option<&'static str>,
    pub(crate) backwards: bool,
    pub(crate) after: Option<Attributes>,
}

impl Query {
    /// All of a partition of the table.
    pub(crate) fn partition(pk: String) -> Self {
        Self {
            index: None,
            partition: ("pk", pk),
            range: None,
            filter: None,
            projection: None,
            backwards: false,
            after: None,
        }
    }

    /// Those of a partition whose sort key begins so.
    pub(crate) fn beginning(pk: String, prefix: &str) -> Self {
        Self {
            range: Some(Condition::BeginsWith("sk", text(prefix))),
            ..Self::partition(pk)
        }
    }
}

impl Table {
    pub(crate) fn key_attributes(key: &Key) -> Attributes {
        with_key(HashMap::new(), key)
    }

    /// Reads one item, strongly consistent.
    pub(crate) async fn get(&self, key: &Key) -> Result<Option<Attributes>, CloudError> {
        let request = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(Self::key_attributes(key)));
        let answer = request
            .consistent_read(true)
            .send()
            .await
            .map_err(failed("GetItem"))?;
        Ok(answer.item)
    }

    /// Reads up to 100 items, strongly consistent; those that are absent are left out.
    pub(crate) async fn get_many(&self, keys: &[Key]) -> Result<HashMap<Key, Attributes>, CloudError> {
        let operation = "BatchGetItem";
        let mut found = HashMap::new();
        let mut wanted: Vec<_> = keys.iter().map(Self::key_attributes).collect();
        let mut pauses = Pauses::of(operation);
        while !wanted.is_empty() {
            let keys = KeysAndAttributes::builder()
                .set_keys(Some(wanted))
                .consistent_read(true)
                .build();
            let keys = keys.map_err(|_| CloudError::Request { operation })?;
            let request = self.client.batch_get_item().request_items(&self.name, keys);
            let answer = request.send().await.map_err(failed(operation))?;
            for item in answer.responses.unwrap_or_default().into_values().flatten() {
                if let Some(key) = key_of(&item) {
                    found.insert(key, item);
                }
            }
            let left = answer.unprocessed_keys.unwrap_or_default().into_values().next();
            wanted = left.map(|left| left.keys).unwrap_or_default();
            if !wanted.is_empty() {
                pauses.next().await?;
            }
        }
        Ok(found)
    }

    /// Changes an item if the condition holds; answers the item as it is afterwards.
    pub(crate) async fn update(&self, update: Update) -> Result<Written<Attributes>, CloudError> {
        let key = Self::key_attributes(&update.key);
        let (expression, condition, placeholders) = update.write();
        let (names, values) = placeholders.into_parts();
        let request = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key))
            .update_expression(expression)
            .set_condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let mut pauses = Pauses::of("UpdateItem");
        loop {
            let error = match request.clone().send().await {
                Ok(answer) => return Ok(Written::Yes(answer.attributes.unwrap_or_default())),
                Err(error) => error,
            };
            match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                    return Ok(Written::No(refused.item.clone()));
                }
                // A transaction has the item at this moment; the SDK does not try again by itself.
                Some(UpdateItemError::TransactionConflictException(_)) => {
                    pauses.next().await?;
                }
                _ => return Err(failed("UpdateItem")(error)),
            }
        }
    }

    /// Deletes an item; one that is absent is fine.
    pub(crate) async fn delete(&self, key: &Key) -> Result<(), CloudError> {
        let request = self
            .client
            .delete_item()
            .table_name(&self.name)
            .set_key(Some(Self::key_attributes(key)));
        let mut pauses = Pauses::of("DeleteItem");
        loop {
            match request.clone().send().await {
                Ok(_) => return Ok(()),
                Err(error) if code_of(&error) == Some("TransactionConflictException") => {
                    pauses.next().await?;
                }
                Err(error) => return Err(failed("DeleteItem")(error)),
            }
        }
    }

    /// One page of a query: at most `limit` items read, and where to go on.
    pub(crate) async fn query_page(
        &self,
        query: Query,
        limit: Option<u32>,
    ) -> Result<(Vec<Attributes>, Option<Attributes>), CloudError> {
        let request = self.query_request(query);
        let limit = limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX));
        let answer = request.set_limit(limit).send().await.map_err(failed("Query"))?;
        Ok((
            answer.items.unwrap_or_default(),
            answer.last_evaluated_key.filter(|key| !key.is_empty()),
        ))
    }

    /// All that a query finds. Only for what is bounded.
    pub(crate) async fn query_all(&self, mut query: Query) -> Result<Vec<Attributes>, CloudError> {
        let mut found = Vec::new();
        loop {
            let (items, next) = self.query_page(query.clone(), None).await?;
            found.extend(items);
            match next {
                Some(next) => query.after = Some(next),
                None => return Ok(found),
            }
        }
    }

    /// Exactly `limit` items that pass the query's filter, unless the end comes first; and the key
    /// after which the next page begins.
    pub(crate) async fn query_filled(
        &self,
        mut query: Query,
        limit: u32,
    ) -> Result<(Vec<Attributes>, bool), CloudError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut found = Vec::new();
        loop {
            // DynamoDB counts what it looks at, not what passes a filter: then whole pages are read.
            let left = limit.saturating_add(1).saturating_sub(found.len());
            let read = query
                .filter
                .is_none()
                .then(|| u32::try_from(left).unwrap_or(u32::MAX));
            let (items, next) = self.query_page(query.clone(), read).await?;
            found.extend(items);
            if found.len() > limit {
                found.truncate(limit);
                return Ok((found, true));
            }
            match next {
                Some(next) => query.after = Some(next),
                None => return Ok((found, false)),
            }
        }
    }

    /// How many items a query finds; stops counting once past [`MAX_EXACT_TOTAL`].
    pub(crate) async fn count(&self, mut query: Query) -> Result<u64, CloudError> {
        query.after = None;
        let mut count = 0;
        loop {
            let request = self.query_request(query.clone());
            let answer = request
                .select(Select::Count)
                .send()
                .await
                .map_err(failed("Query"))?;
            count += u64::try_from(answer.count).unwrap_or(0);
            query.after = answer.last_evaluated_key.filter(|key| !key.is_empty());
            if query.after.is_none() || count > MAX_EXACT_TOTAL {
                return Ok(count);
            }
        }
    }

    fn query_request(
        &self,
        query: Query,
    ) -> aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder {
        let mut placeholders = Placeholders::default();
        let (name, value) = query.partition;
        let mut key_condition = placeholders.condition(Condition::Equal(name, text(value)));
        if let Some(range) = query.range {
            key_condition = format!("{key_condition} AND {}", placeholders.condition(range));
        }
        let filter = query.filter.map(|filter| placeholders.condition(filter));
        let projection = query.projection.map(|names| placeholders.names(names));
        let (names, values) = placeholders.into_parts();
        self.client
            .query()
            .table_name(&self.name)
            .set_index_name(query.index.map(str::to_owned))
            .key_condition_expression(key_condition)
            .set_filter_expression(filter)
            .set_projection_expression(projection)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .scan_index_forward(!query.backwards)
            // Indexes cannot be read consistently; the table always is.
            .set_consistent_read(query.index.is_none().then_some(true))
            .set_exclusive_start_key(query.after)
    }

    pub(crate) fn put_write(
        &self,
        attributes: Attributes,
        condition: Option<Condition>,
    ) -> Result<TransactWriteItem, CloudError> {
        let mut placeholders = Placeholders::default();
        let condition = condition.map(|condition| placeholders.condition(condition));
        let (names, values) = placeholders.into_parts();
        let put = Put::builder()
            .table_name(&self.name)
            .set_item(Some(attributes))
            .set_condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build();
        let put = put.map_err(|_| CloudError::Request { operation: TRANSACT })?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    pub(crate) fn update_write(&self, update: Update) -> Result<TransactWriteItem, CloudError> {
        let key = Self::key_attributes(&update.key);
        let (expression, condition, placeholders) = update.write();
        let (names, values) = placeholders.into_parts();
        let update = UpdateWrite::builder()
            .table_name(&self.name)
            .set_key(Some(key))
            .update_expression(expression)
            .set_condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build();
        let update = update.map_err(|_| CloudError::Request { operation: TRANSACT })?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    pub(crate) fn delete_write(
        &self,
        key: &Key,
        condition: Option<Condition>,
    ) -> Result<TransactWriteItem, CloudError> {
        let mut placeholders = Placeholders::default();
        let condition = condition.map(|condition| placeholders.condition(condition));
        let (names, values) = placeholders.into_parts();
        let delete = Delete::builder()
            .table_name(&self.name)
            .set_key(Some(Self::key_attributes(key)))
            .set_condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build();
        let delete = delete.map_err(|_| CloudError::Request { operation: TRANSACT })?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    pub(crate) fn check_write(
        &self,
        key: &Key,
        condition: Condition,
    ) -> Result<TransactWriteItem, CloudError> {
        let mut placeholders = Placeholders::default();
        let condition = placeholders.condition(condition);
        let (names, values) = placeholders.into_parts();
        let check = ConditionCheck::builder()
            .table_name(&self.name)
            .set_key(Some(Self::key_attributes(key)))
            .condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build();
        let check = check.map_err(|_| CloudError::Request { operation: TRANSACT })?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    /// Writes all or nothing. Conflicts with other transactions and throttled capacity are tried
    /// again here; a failed condition is an answer.
    pub(crate) async fn transact(&self, writes: Vec<TransactWriteItem>) -> Result<Transacted, CloudError> {
        self.transact_within(writes, SignedDuration::MAX).await
    }

    /// The same, when conditions compare an instant: gives up rather than wait for longer than `left`.
    pub(crate) async fn transact_within(
        &self,
        writes: Vec<TransactWriteItem>,
        left: SignedDuration,
    ) -> Result<Transacted, CloudError> {
        let mut pauses = Pauses::within(TRANSACT, left);
        loop {
            let request = self
                .client
                .transact_write_items()
                .set_transact_items(Some(writes.clone()));
            let error = match request.send().await {
                Ok(_) => return Ok(Transacted::Yes),
                Err(error) => error,
            };
            let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) =
                error.as_service_error()
            else {
                if error
                    .as_service_error()
                    .is_some_and(|error| error.is_transaction_in_progress_exception())
                {
                    pauses.next().await?;
                    continue;
                }
                return Err(failed(TRANSACT)(error));
            };
            let reasons = cancelled.cancellation_reasons();
            let failed_condition =
                |reason: &CancellationReason| reason.code() == Some("ConditionalCheckFailed");
            if reasons.iter().any(failed_condition) {
                let refusals = reasons.iter().map(|reason| {
                    failed_condition(reason).then(|| Refused {
                        item: reason.item.clone().filter(|i| !i.is_empty()),
                    })
                });
                return Ok(Transacted::No(refusals.collect()));
            }
            try_later(TRANSACT, reasons)?;
            pauses.next().await?;
        }
    }
}

/// Whether a cancelled transaction may succeed later: all that was in its way passes.
pub(crate) fn try_later(operation: &'static str, reasons: &[CancellationReason]) -> Result<(), CloudError> {
    const PASSING: [&str; 4] = [
        "None",
        "TransactionConflict",
        "ThrottlingError",
        "ProvisionedThroughputExceeded",
    ];
    let mut codes = reasons.iter().filter_map(CancellationReason::code);
    match codes.find(|code| !PASSING.contains(code)) {
        Some(code) => Err(refused(operation, code)),
        None => Ok(()),
    }
}

const TRANSACT: &str = "TransactWriteItems";

/// The attribute value of an optional text.
pub(crate) fn optional_text(value: Option<impl ToString>) -> Option<AttributeValue> {
    value.map(text)
}

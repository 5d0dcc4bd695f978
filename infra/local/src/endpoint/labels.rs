//! What a call is about, in a word without personal data, for the fault plan's record and filters.

use std::collections::BTreeSet;

use http::{HeaderMap, Uri, header};
use serde_json::Value;

use crate::faults::Service;

/// The application name that an AWS SDK puts into its user agent as `app/NAME`.
pub(super) fn caller(headers: &HeaderMap) -> Option<String> {
    ["x-amz-user-agent", header::USER_AGENT.as_str()]
        .into_iter()
        .filter_map(|name| headers.get(name)?.to_str().ok())
        .find_map(|agent| agent.split(' ').find_map(|token| token.strip_prefix("app/")))
        .map(str::to_owned)
}

/// `bucket/key` of an S3 request, as it stands in the path.
pub(super) fn of_path(uri: &Uri) -> String {
    uri.path().trim_start_matches('/').to_owned()
}

/// The tables, the queue, or the key, of a JSON request, and of what writes a transaction is made. Mails have
/// no label: all they name is a person.
pub(super) fn of_body(service: Service, body: &[u8]) -> (String, Vec<(String, String)>) {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let label = match service {
        Service::Sqs => {
            let url = text(request.get("QueueUrl")).or_else(|| text(request.get("QueueName")));
            url.and_then(|url| url.rsplit('/').next().map(str::to_owned))
        }
        Service::DynamoDb => return tables(&request),
        // Never what is signed.
        Service::Kms => text(request.get("KeyId")).or_else(|| text(request.get("AliasName"))),
        Service::S3 | Service::Ses => None,
    };
    (label.unwrap_or_default(), Vec::new())
}

fn tables(request: &Value) -> (String, Vec<(String, String)>) {
    if let Some(table) = request.get("TableName").and_then(Value::as_str) {
        return (table.to_owned(), Vec::new());
    }
    let of_batch = request
        .get("RequestItems")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|items| items.keys());
    let items = request.get("TransactItems").and_then(Value::as_array);
    let writes = items.into_iter().flatten().filter_map(|item| {
        let (kind, write) = item.as_object()?.iter().next()?;
        Some((kind.clone(), write.get("TableName")?.as_str()?.to_owned()))
    });
    let writes: Vec<_> = writes.collect();
    let of_transaction = writes.iter().map(|(_, table)| table);
    let tables: BTreeSet<_> = of_batch.chain(of_transaction).cloned().collect();
    (Vec::from_iter(tables).join(","), writes)
}

//! What an export and an anonymisation call, for each contact and each document: the tables of `docs/cost.md`,
//! and the most that they may be. And what requests call, whose first is always the one for the rights.

use std::collections::BTreeMap;

use oubli_local::faults::Call;
use oubli_tests::Stack;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const COSTS: &str = include_str!("../../docs/cost.md");

/// Calls by operation; those of the SDK for its own purposes are none.
type Calls = BTreeMap<String, i64>;

/// A stack with so many contacts, each with so many documents.
async fn stack_of(contacts: usize, documents: usize) -> (Stack, Vec<String>) {
    let stack = Stack::start().await;
    let mut ids = Vec::new();
    for number in 0..contacts {
        let contact = stack
            .contact(json!({ "last_name": format!("Contact {number}"), "first_name": "Zoé" }))
            .await;
        for document in 0..documents {
            stack
                .document(&contact, &format!("{document}.txt"), b"small")
                .await;
        }
        ids.push(contact);
    }
    (stack, ids)
}

/// The calls of one action over these contacts. `None`: another endpoint is tested, which records nothing.
async fn calls_of(stack: &Stack, kind: &str, ids: &[String]) -> Option<Calls> {
    let engines = stack.engines()?;
    let body = json!({ "kind": kind, "selection": { "contact_ids": ids }, "acknowledged": true });
    engines.faults().record();
    let action = stack.agent().post("/v1/data-actions", body).await;
    let action = action.expect(StatusCode::ACCEPTED)["id"].clone();
    stack.drain().await;
    let recorded = engines.faults().calls();
    engines.faults().clear();
    let ended = stack.action(action.as_str().unwrap()).await;
    assert_eq!(ended["state"], "completed", "{ended}");
    let mut calls = Calls::new();
    // Draining the queues is not how Lambda polls them.
    let by_functions = |call: &Call| call.caller.as_deref() != Some("event-source");
    for call in recorded.into_iter().filter(by_functions) {
        *calls.entry(call.operation).or_default() += 1;
    }
    Some(calls)
}

/// The calls of one first export of so many contacts with so many documents each.
async fn calls(contacts: usize, documents: usize) -> Option<Calls> {
    let (stack, ids) = stack_of(contacts, documents).await;
    calls_of(&stack, "export", &ids).await
}

/// What one thing more adds, in tenths of a call, when `count` more are exported.
fn each(few: &Calls, many: &Calls, count: i64) -> Calls {
    let names = few.keys().chain(many.keys());
    let of = |calls: &Calls, name: &str| calls.get(name).copied().unwrap_or(0);
    let tenths = names.map(|name| (name.clone(), 10 * (of(many, name) - of(few, name)) / count));
    tenths.filter(|(_, tenths)| *tenths != 0).collect()
}

/// A column of the table: rows `| `Service.Operation` | calls a contact | calls a document | …`.
fn column(index: usize) -> Calls {
    let rows = COSTS.lines().filter_map(|line| line.strip_prefix("| `"));
    let mut calls = Calls::new();
    for row in rows.filter(|row| row.contains('.') && row.contains("` |")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let Some(figure) = cells.get(index).and_then(|cell| cell.parse::<f64>().ok()) else {
            continue;
        };
        let tenths = (figure * 10.0).round() as i64;
        if tenths != 0 {
            calls.insert(cells[0].trim_matches('`').to_owned(), tenths);
        }
    }
    assert!(!calls.is_empty(), "docs/cost.md has no column {index}");
    calls
}

#[tokio::test]
async fn an_export_calls_what_its_cost_is_computed_from() {
    let (Some(few), Some(many)) = (Box::pin(calls(10, 0)).await, Box::pin(calls(30, 0)).await) else {
        return;
    };
    let a_contact = each(&few, &many, 20);
    let Some(with_documents) = Box::pin(calls(10, 2)).await else {
        return;
    };
    let a_document = each(&few, &with_documents, 20);
    assert_eq!(
        (a_contact, a_document),
        (column(1), column(2)),
        "docs/cost.md is not what an export calls, in tenths of calls"
    );
}

/// The calls that each contact more takes, in tenths, for an export that is the first and the anonymisation after
/// it. Receiving and deleting ten messages are two calls.
async fn each_contact(documents: usize) -> Option<[i64; 2]> {
    let (few, many) = (stack_of(10, documents).await, stack_of(30, documents).await);
    let mut tenths = [0; 2];
    for (index, kind) in ["export", "anonymise"].into_iter().enumerate() {
        let few = calls_of(&few.0, kind, &few.1).await?;
        let many = calls_of(&many.0, kind, &many.1).await?;
        tenths[index] = 2 + each(&few, &many, 20).values().sum::<i64>();
    }
    Some(tenths)
}

#[tokio::test]
async fn a_contact_takes_no_more_calls_than_it_must() {
    for (documents, most) in [(0, [90, 50]), (2, [90, 90])] {
        let Some(taken) = Box::pin(each_contact(documents)).await else {
            return;
        };
        let over = taken.iter().zip(most).any(|(taken, most)| *taken > most);
        assert!(
            !over,
            "with {documents} documents, in tenths: {taken:?} of {most:?} calls"
        );
        println!("with {documents} documents, in tenths: {taken:?} of {most:?} calls");
    }
}

/// What one request calls.
async fn calls_of_request(
    stack: &Stack,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Option<Vec<String>> {
    let faults = stack.engines()?.faults();
    let headers = [("if-match", "*"), ("content-type", "application/json")];
    let body = body.map(|body| body.to_string().into_bytes());
    faults.record();
    let answer = stack.admin().call(method, path, &headers, body).await;
    let called = faults.calls().into_iter().map(|call| call.operation);
    faults.clear();
    assert!(answer.status.is_success(), "{path}: {}", answer.text());
    Some(called.collect())
}

#[tokio::test]
async fn the_rights_take_one_call_whatever_the_groups_hold() {
    let stack = Stack::start().await;
    let admin = stack.admin();
    let mut group = String::new();
    for number in 0..12 {
        let body =
            json!({ "name": format!("G{number}"), "rights": ["administration"], "member_ids": ["admin"] });
        let made = admin.post("/v1/groups", body).await.expect(StatusCode::CREATED);
        group = format!("/v1/groups/{}", made["id"].as_str().unwrap());
    }
    let member = json!({ "name": "Agnès" });
    let replaced = json!({ "name": "G", "rights": [], "member_ids": ["admin", "agent"] });
    // Each at most, the rights included. Before, they took two calls at least, and as many more as the groups
    // had megabytes.
    for (method, path, body, most) in [
        (Method::GET, "/v1/me", None, 1),
        (Method::GET, "/v1/members/agent", None, 2),
        (Method::PATCH, "/v1/members/agent", Some(member), 3),
        (Method::GET, group.as_str(), None, 2),
        (Method::GET, "/v1/groups", None, 3),
        // Rights, what is there, new members, the change, and what may be left over.
        (Method::PUT, group.as_str(), Some(replaced), 5),
        (Method::DELETE, group.as_str(), None, 4),
        // Rights, what is there, its groups, the change.
        (Method::DELETE, "/v1/members/agent", None, 4),
    ] {
        let Some(called) = calls_of_request(&stack, method.clone(), path, body).await else {
            return;
        };
        assert_eq!(called[0], "DynamoDB.TransactGetItems", "{method} {path}");
        assert!(called.len() <= most, "{method} {path}: {called:?}");
    }
}

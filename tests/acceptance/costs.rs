//! What an export calls, for each contact and each document: the table of `docs/cost.md`.

use std::collections::BTreeMap;

use oubli_local::faults::Call;
use oubli_tests::Stack;
use serde_json::json;

const COSTS: &str = include_str!("../../docs/cost.md");

/// Calls by operation; those of the SDK for its own purposes are none.
type Calls = BTreeMap<String, i64>;

/// The calls of one export of so many contacts with so many documents each. `None`: another
/// endpoint is tested, which records nothing.
async fn calls(contacts: usize, documents: usize) -> Option<Calls> {
    let stack = Stack::start().await;
    let engines = stack.engines()?;
    let mut ids = Vec::new();
    for number in 0..contacts {
        let contact = stack
            .contact(json!({ "last_name": format!("Contact {number}") }))
            .await;
        for document in 0..documents {
            stack
                .document(&contact, &format!("{document}.txt"), b"small")
                .await;
        }
        ids.push(contact);
    }
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    engines.faults().record();
    let action = stack.export(&ids).await;
    stack.drain().await;
    let recorded = engines.faults().calls();
    assert_eq!(stack.action(&action).await["state"], "completed");
    let mut calls = Calls::new();
    // Draining the queues is not how Lambda polls them.
    let by_functions = |call: &Call| call.caller.as_deref() != Some("event-source");
    for call in recorded.into_iter().filter(by_functions) {
        *calls.entry(call.operation).or_default() += 1;
    }
    Some(calls)
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

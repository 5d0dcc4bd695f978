//! Anonymising: what it needs, what is left, how long it can be undone.

mod approval;
mod gate;
mod mass;
mod sealing;
mod shelves;
mod traces;

use jiff::SignedDuration;
use oubli_tests::Stack;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::restore::run;

pub(crate) const TEN_DAYS: SignedDuration = SignedDuration::from_hours(240);
pub(crate) const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// What a member sends to anonymise these contacts.
fn body(contacts: &[&str]) -> Value {
    json!({ "kind": "anonymise", "selection": { "contact_ids": contacts }, "acknowledged": true })
}

/// Starts a data action as `agent`; answers its id.
async fn start(stack: &Stack, body: Value) -> String {
    let action = stack
        .agent()
        .post("/v1/data-actions", body)
        .await
        .expect(StatusCode::ACCEPTED);
    action["id"].as_str().unwrap().to_owned()
}

/// Tries to anonymise contacts; answers what came of each.
async fn attempt(stack: &Stack, contacts: &[&str]) -> Vec<Value> {
    run(stack, body(contacts)).await
}

/// Enters a contact of that name and exports it, without a look at the archive.
async fn exported(stack: &Stack, last_name: &str) -> String {
    let contact = stack.contact(json!({ "last_name": last_name })).await;
    export_again(stack, &contact).await;
    contact
}

async fn export_again(stack: &Stack, contact: &str) {
    let action = stack.export(&[contact]).await;
    stack.drain().await;
    assert_eq!(stack.action(&action).await["state"], "completed");
}

/// What a list shows of a contact.
async fn row(stack: &Stack, contact: &str) -> Value {
    let page = stack.agent().get("/v1/contacts?limit=200").await;
    let page = page.expect(StatusCode::OK);
    let mut rows = page["items"].as_array().unwrap().iter();
    let found = rows.find(|row| row["id"] == contact);
    found.unwrap_or_else(|| panic!("{contact} is not listed")).clone()
}

/// What the previews of an anonymisation say.
async fn preview(stack: &Stack, selection: Value) -> Value {
    let body = json!({ "kind": "anonymise", "selection": selection });
    let answer = stack.agent().post("/v1/data-actions/preview", body).await;
    answer.expect(StatusCode::OK)
}

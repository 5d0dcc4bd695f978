//! What members ask for: contacts, documents, actions.

use jiff::SignedDuration;
use oubli_tests::Answer;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Feed, World};

impl World {
    /// Starts an action and lets nothing of it happen.
    pub(crate) async fn start_action(&self, kind: &str, selection: Value) -> String {
        // What a member decides is about contacts as they were before.
        self.stack.advance(SignedDuration::from_secs(1));
        let body = json!({ "kind": kind, "selection": selection, "acknowledged": true });
        let started = self.stack.agent().post("/v1/data-actions", body).await;
        let action = started.expect(StatusCode::ACCEPTED);
        action["id"].as_str().unwrap().to_owned()
    }

    /// Starts an action over one contact and lets nothing of it happen.
    pub(crate) async fn start_for(&self, kind: &str, contact: &str) -> String {
        self.start_action(kind, json!({ "contact_ids": [contact] })).await
    }

    /// Does an action over one contact, undisturbed; answers its item.
    pub(crate) async fn run_for(&self, kind: &str, contact: &str) -> Value {
        let action = self.start_for(kind, contact).await;
        self.settle(&mut Feed::plain(), &[&action]).await;
        self.stack.items(&action).await.remove(0)
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
    pub(crate) async fn ask(&self, action: &str, what: &str) -> Answer {
        let path = format!("/v1/data-actions/{action}/{what}");
        self.stack.agent().post(&path, Value::Null).await
    }
}

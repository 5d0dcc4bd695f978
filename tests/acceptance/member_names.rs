//! Members are shown by name wherever their ids stand, to every member.

use oubli_local::faults::Call;
use oubli_tests::{Client, Stack};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// What a list page has of one field, entry by entry.
async fn column(client: &Client, path: &str, field: &str) -> Vec<Value> {
    let page = client.get(path).await.expect(StatusCode::OK);
    let items = page["items"].as_array().unwrap().iter();
    items.map(|item| item[field].clone()).collect()
}

#[tokio::test]
async fn who_started_an_action_and_who_is_in_charge_are_told_by_name() {
    let stack = Stack::start().await;
    // Without `administration`: members cannot be read one by one.
    let agent = stack.agent();
    let members = agent.get("/v1/members").await;
    assert_eq!(members.problem(StatusCode::FORBIDDEN), "right_missing");

    let body = json!({ "last_name": "Zola", "assigned_to": "guest" });
    let contact = agent.post("/v1/contacts", body).await.expect(StatusCode::CREATED);
    assert_eq!(contact["assigned_to_name"], "Gaspard Guest");
    let path = format!("/v1/contacts/{}", contact["id"].as_str().unwrap());
    let card = agent.get(&path).await.expect(StatusCode::OK);
    assert_eq!(card["assigned_to_name"], "Gaspard Guest");
    let change = json!({ "assigned_to": "admin" });
    let changed = agent.patch(&path, "*", change).await.expect(StatusCode::OK);
    assert_eq!(changed["assigned_to_name"], "Alix Admin");
    let nobody = stack.contact(json!({ "last_name": "Nobody's" })).await;
    let nobody = agent.get(&format!("/v1/contacts/{nobody}")).await;
    assert!(nobody.json().get("assigned_to_name").is_none());

    let id = contact["id"].as_str().unwrap();
    let body = json!({ "kind": "export", "selection": { "contact_ids": [id] } });
    let started = agent.post("/v1/data-actions", body).await;
    let started = started.expect(StatusCode::ACCEPTED);
    assert_eq!(started["requested_by_name"], "Agnès Agent");
    stack.drain().await;
    let action = format!("/v1/data-actions/{}", started["id"].as_str().unwrap());
    // By whoever asks, it is told who started it.
    for client in [stack.agent(), stack.admin()] {
        let found = client.get(&action).await.expect(StatusCode::OK);
        assert_eq!(found["requested_by_name"], "Agnès Agent");
    }
    let notify = format!("{action}/notify");
    let told = stack.admin().call(Method::POST, &notify, &[], None).await;
    assert_eq!(
        told.expect(StatusCode::ACCEPTED)["requested_by_name"],
        "Agnès Agent"
    );

    // Who was removed has an id, and no name any more.
    for member in ["agent", "guest"] {
        let removed = stack.admin().delete(&format!("/v1/members/{member}")).await;
        assert_eq!(removed.status, StatusCode::NO_CONTENT);
    }
    let admin = stack.admin();
    let found = admin.get(&action).await.expect(StatusCode::OK);
    assert_eq!(found["requested_by"], "agent");
    assert!(found.get("requested_by_name").is_none(), "{found}");
    let names = column(&admin, "/v1/data-actions", "requested_by_name").await;
    assert_eq!(names, [Value::Null]);
}

#[tokio::test]
async fn a_page_reads_each_name_once_and_all_at_once() {
    let stack = Stack::start().await;
    for number in 0..30 {
        let member = ["agent", "guest", "admin"][number % 3];
        let name = format!("Contact {number:02}");
        stack
            .contact(json!({ "last_name": name, "assigned_to": member }))
            .await;
    }
    let id = stack.contact(json!({ "last_name": "Zola" })).await;
    for _ in 0..4 {
        stack.export(&[&id]).await;
    }
    let Some(engines) = stack.engines() else {
        println!("left out: this endpoint records no calls");
        return;
    };
    let agent = stack.agent();
    for (path, field, names) in [
        (
            "/v1/contacts?q=contact",
            "assigned_to_name",
            vec!["Agnès Agent", "Gaspard Guest", "Alix Admin"],
        ),
        ("/v1/data-actions", "requested_by_name", vec!["Agnès Agent"]),
    ] {
        engines.faults().record();
        let found = column(&agent, path, field).await;
        let calls = engines.faults().calls();
        let expected: Vec<_> = names.iter().cycle().take(found.len()).collect();
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{path}");
        let batches = |call: &&Call| call.operation == "DynamoDB.BatchGetItem";
        assert_eq!(calls.iter().filter(batches).count(), 1, "{path}: {calls:?}");
        assert!(calls.len() <= 8, "{path}: {calls:?}");
    }
}

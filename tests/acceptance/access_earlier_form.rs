//! Tenants as they were stored when groups alone named their members: read as they are, brought over by the
//! first change.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use oubli_local::faults::{Fault, Gate, Outcome};
use oubli_tests::Stack;
use reqwest::StatusCode;
use serde_json::{Value, json};

const MEMBERS: [&str; 3] = ["admin", "agent", "guest"];

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

/// Puts the tenant `demo` into the earlier form: no record of rights, no memberships.
async fn put_back(stack: &Stack) -> (aws_sdk_dynamodb::Client, String) {
    let tables = aws_sdk_dynamodb::Client::new(&stack.aws().await);
    let settings = &stack.runner.provisioned().environment["api"];
    let table = settings["OUBLI_REQUESTS_TABLE"].clone();
    let rights = tables.delete_item().table_name(&table).key("pk", text("T#demo"));
    rights.key("sk", text("RIGHTS")).send().await.unwrap();
    for member in MEMBERS {
        let update = tables.update_item().table_name(&table).key("pk", text("T#demo"));
        let update = update.key("sk", text(&format!("MEMBER#{member}")));
        let update = update.update_expression("REMOVE memberships");
        update.send().await.unwrap();
    }
    (tables, table)
}

async fn is_complete(tables: &aws_sdk_dynamodb::Client, table: &str) -> bool {
    let get = tables.get_item().table_name(table).key("pk", text("T#demo"));
    let found = get.key("sk", text("RIGHTS")).send().await.unwrap().item;
    found.is_some_and(|rights| rights["is_complete"] == AttributeValue::Bool(true))
}

async fn rights(stack: &Stack) -> BTreeMap<&'static str, Value> {
    let mut rights = BTreeMap::new();
    for member in MEMBERS {
        let me = stack.member("demo", member).get("/v1/me").await;
        rights.insert(member, me.expect(StatusCode::OK)["rights"].clone());
    }
    rights
}

#[tokio::test]
async fn a_tenant_of_the_earlier_form_is_read_and_brought_over() {
    let stack = Stack::start().await;
    let (admin, before) = (stack.admin(), rights(&stack).await);
    let groups = admin.get("/v1/groups").await.expect(StatusCode::OK);
    let (tables, table) = put_back(&stack).await;
    assert_eq!(rights(&stack).await, before);
    assert_eq!(stack.agent().get("/v1/contacts").await.status, StatusCode::OK);
    let refused = stack.guest().get("/v1/contacts").await;
    assert_eq!(refused.problem(StatusCode::FORBIDDEN), "right_missing");
    assert_eq!(admin.get("/v1/groups").await.expect(StatusCode::OK), groups);
    assert!(!is_complete(&tables, &table).await, "reading changes nothing");

    let body = json!({ "name": "New", "rights": ["dossiers"], "member_ids": ["guest"] });
    admin.post("/v1/groups", body).await.expect(StatusCode::CREATED);
    assert!(is_complete(&tables, &table).await);
    let mut after = before.clone();
    after.insert("guest", json!(["dossiers"]));
    assert_eq!(rights(&stack).await, after);
    let listed = admin.get("/v1/groups").await.expect(StatusCode::OK);
    assert_eq!(listed["total"], 3);
    for group in groups["items"].as_array().unwrap() {
        assert!(listed["items"].as_array().unwrap().contains(group), "{group}");
    }
    // And from there on as everybody.
    assert_eq!(
        admin.delete("/v1/members/agent").await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        admin
            .delete("/v1/members/admin")
            .await
            .problem(StatusCode::CONFLICT),
        "last_administrator"
    );
}

#[tokio::test]
async fn who_dies_while_bringing_a_tenant_over_is_followed_by_another() {
    let stack = Stack::start().await;
    let Some(engines) = stack.engines() else { return };
    let (admin, before) = (stack.admin(), rights(&stack).await);
    let (tables, table) = put_back(&stack).await;
    for nth in 1..=2 {
        let gate = Gate::default();
        let outcome = Outcome::HoldAfter(gate.clone());
        let write = Fault::on("DynamoDB.TransactWriteItems", outcome).nth(nth);
        engines.faults().inject(write);
        tokio::select! {
            biased;
            () = gate.reached() => {}
            removed = admin.delete("/v1/members/guest") => panic!("{}", removed.text()),
        }
        engines.faults().clear();
        gate.open();
        assert_eq!(is_complete(&tables, &table).await, nth == 2);
        assert_eq!(rights(&stack).await, before);
        if nth == 1 {
            // A process of the release before may still change a group: its list is written anew.
            let group = admin.get("/v1/groups").await.expect(StatusCode::OK)["items"][1].clone();
            let update = tables.update_item().table_name(&table).key("pk", text("T#demo"));
            let update = update.key("sk", text(&format!("GROUP#{}", group["id"].as_str().unwrap())));
            let update = update.update_expression("SET #version = #version + :one");
            let update = update.expression_attribute_names("#version", "version");
            let update = update.expression_attribute_values(":one", AttributeValue::N("1".into()));
            update.send().await.unwrap();
        }
    }
    let removed = admin.delete("/v1/members/guest").await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn two_may_bring_a_tenant_over_at_once() {
    let stack = Stack::start().await;
    let (admin, before) = (stack.admin(), rights(&stack).await);
    let (tables, table) = put_back(&stack).await;
    let body = json!({ "name": "New", "rights": [], "member_ids": MEMBERS });
    let made = futures::join!(
        admin.post("/v1/groups", body.clone()),
        admin.post("/v1/groups", body.clone()),
        admin.post("/v1/groups", body),
    );
    for answer in [made.0, made.1, made.2] {
        answer.expect(StatusCode::CREATED);
    }
    assert!(is_complete(&tables, &table).await);
    assert_eq!(rights(&stack).await, before);
    assert_eq!(admin.get("/v1/groups").await.expect(StatusCode::OK)["total"], 5);
}

#[tokio::test]
async fn provisioning_again_brings_a_tenant_over() {
    let stack = Stack::start().await;
    let before = rights(&stack).await;
    let (tables, table) = put_back(&stack).await;
    let event = json!({
        "tenant": { "id": "demo", "name": "Another", "language": "en" },
        "administrator": { "member_id": "guest", "name": "Guest", "email": "guest@demo.example.com" }
    });
    let answer = stack.runner.functions().provision_tenant(event).await;
    assert!(!answer.unwrap().created);
    assert!(is_complete(&tables, &table).await);
    assert_eq!(rights(&stack).await, before);
    let me = stack.guest().get("/v1/me").await.expect(StatusCode::OK);
    assert_eq!(me["tenant"]["name"], "Démo SARL");
}

//! What is left of a contact, and where it is still found.

use std::collections::BTreeSet;

use oubli_tests::Stack;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{attempt, body, export_again, exported, row, start};
use crate::contacts::everything;
use crate::restore::{anonymise, assert_ended, card};

/// The texts of a value, however deep; a name of a custom field is the tenant's own word.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::Object(values) => values.values().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// The number in the first name of an anonymised contact.
#[track_caller]
fn alias(contact: &Value) -> String {
    let first_name = contact["first_name"].as_str().unwrap();
    let number = first_name.strip_prefix("XXXXX_").unwrap();
    let is_digit = |c: char| c.is_ascii_digit() || ('A'..='F').contains(&c);
    assert!(!number.is_empty() && number.chars().all(is_digit), "{first_name}");
    number.to_owned()
}

async fn list(stack: &Stack, query: &str) -> Value {
    let answer = stack.agent().get(&format!("/v1/contacts?{query}")).await;
    answer.expect(StatusCode::OK)
}

fn ids(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().unwrap();
    items.iter().map(|item| item["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_personal_value_is_masked_and_the_business_stays() {
    let stack = Stack::start().await;
    let id = stack.contact(everything()).await;
    let photo = json!({ "name": "Chloé.png", "content_type": "image/png", "size_bytes": 5, "kind": "photo" });
    let photo = stack.document_of(&id, photo, b"\x89PNG\n").await;
    stack.document(&id, "Contrat de Chloé.txt", b"signed").await;
    let path = format!("/v1/contacts/{id}");
    let patch = json!({ "photo_document_id": photo });
    stack
        .agent()
        .patch(&path, "*", patch)
        .await
        .expect(StatusCode::OK);
    export_again(&stack, &id).await;
    let before = card(&stack, &id).await;
    stack.advance(jiff::SignedDuration::from_secs(90));
    anonymise(&stack, &id).await;

    let after = card(&stack, &id).await;
    let fields = before["custom_fields"].as_object().unwrap();
    let masked_fields: serde_json::Map<_, _> =
        fields.keys().map(|name| (name.clone(), json!("XXXXX"))).collect();
    let expected = json!({
        "last_name": "XXXXX",
        "first_name": format!("XXXXX_{}", alias(&after)),
        "job_title": "XXXXX",
        "email": "XXXXX",
        "phone": "XXXXX",
        "mobile": "XXXXX",
        "address": { "lines": ["XXXXX"], "postal_code": "XXXXX", "city": "XXXXX", "country": "XXXXX" },
        "notes": "XXXXX",
        "custom_fields": masked_fields,
        "assigned_to": before["assigned_to"],
        "business": before["business"],
        "documents": { "count": 0, "bytes": 0 },
        "state": "anonymised",
        "sealed": false,
        "restorable_until": before["last_archive"]["expires_at"],
        "version": before["version"].as_u64().unwrap() + 1,
        "last_archive": before["last_archive"],
        "id": id,
        "assigned_to_name": "Agnès Agent",
        "created_at": before["created_at"],
        "actions": {
            "export": { "possible": false, "reason": "already_anonymised" },
            "anonymise": { "possible": false, "reason": "already_anonymised" },
            "restore": { "possible": true }
        }
    });
    let mut rest = after.clone();
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(
            rest.as_object_mut().unwrap().remove(name),
            Some(value.clone()),
            "{name}"
        );
    }
    let names: Vec<_> = rest.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["data_actions", "updated_at"],
        "no photo, and nothing else"
    );
    if stack.engines().is_some() {
        assert_eq!(after["updated_at"], stack.now().to_string());
    }
    let kinds = ["kind", "state", "archive_id"].map(|name| after["data_actions"][0][name].clone());
    assert_eq!(
        kinds,
        [
            json!("anonymise"),
            json!("done"),
            before["last_archive"]["id"].clone()
        ]
    );
    assert_eq!(after["data_actions"][1]["kind"], "export");

    let listed = row(&stack, &id).await;
    for (name, value) in listed.as_object().unwrap() {
        assert_eq!(value, &after[name], "{name}");
    }
    let mut personal = everything();
    personal.as_object_mut().unwrap().remove("assigned_to");
    let shown = format!("{after}{listed}");
    for text in texts(&personal) {
        assert!(!shown.contains(&text), "`{text}` is still there: {shown}");
    }
}

#[tokio::test]
async fn what_was_absent_stays_absent() {
    let stack = Stack::start().await;
    let lone = exported(&stack, "Zola").await;
    let partly = json!({ "last_name": "Hugo", "address": { "lines": ["a", "b", "c"], "city": "Paris" }, "custom_fields": {} });
    let partly = stack.contact(partly).await;
    export_again(&stack, &partly).await;
    let before = card(&stack, &partly).await;
    for contact in [&lone, &partly] {
        anonymise(&stack, contact).await;
        let after = card(&stack, contact).await;
        assert_eq!(after["last_name"], "XXXXX");
        for absent in [
            "first_name",
            "job_title",
            "email",
            "phone",
            "mobile",
            "notes",
            "assigned_to",
        ] {
            assert!(after.get(absent).is_none(), "{absent}: {after}");
        }
    }
    assert!(card(&stack, &lone).await.get("address").is_none());
    let after = card(&stack, &partly).await;
    assert_eq!(after["address"], json!({ "lines": ["XXXXX"], "city": "XXXXX" }));
    assert_eq!(after.get("custom_fields"), before.get("custom_fields"));
}

#[tokio::test]
async fn it_is_still_listed_and_found_by_nothing_that_named_the_person() {
    let stack = Stack::start().await;
    let mut entered = Vec::new();
    for last_name in ["Zola", "Lefèvre", "Hugo"] {
        let mut body = everything();
        body["last_name"] = json!(last_name);
        body["email"] = json!(format!(
            "{}@example.fr",
            last_name.to_lowercase().replace('è', "e")
        ));
        entered.push(stack.contact(body).await);
        stack.advance(jiff::SignedDuration::from_secs(1));
    }
    let [zola, lefevre, hugo] = [0, 1, 2].map(|index: usize| entered[index].as_str());
    export_again(&stack, lefevre).await;
    for found in ["lef", "Lef%C3%A8vre", "lefevre@example.fr", "LEFEVRE@EXAMPLE.FR"] {
        assert_eq!(
            ids(&list(&stack, &format!("q={found}")).await),
            [lefevre],
            "{found}"
        );
    }
    anonymise(&stack, lefevre).await;
    for gone in [
        "lef",
        "Lef%C3%A8vre",
        "chlo",
        "lefevre@example.fr",
        "LEFEVRE@EXAMPLE.FR",
    ] {
        let found = list(&stack, &format!("q={gone}")).await;
        assert_eq!(
            (&found["total"], &found["items"]),
            (&json!(0), &json!([])),
            "{gone}"
        );
    }
    for (query, expected) in [
        ("sort=created_at", vec![zola, lefevre, hugo]),
        ("sort=-created_at", vec![hugo, lefevre, zola]),
        ("sort=last_name", vec![hugo, lefevre, zola]),
        ("sort=-last_name", vec![zola, lefevre, hugo]),
        ("q=XXXXX", vec![lefevre]),
        ("q=xxxxx", vec![lefevre]),
        ("state=anonymised", vec![lefevre]),
        ("state=active", vec![hugo, zola]),
        ("assigned_to=agent", vec![hugo, lefevre, zola]),
        ("assigned_to=agent&state=anonymised", vec![lefevre]),
    ] {
        let page = list(&stack, query).await;
        assert_eq!(ids(&page), expected, "{query}");
        assert_eq!(page["total"], expected.len(), "{query}");
    }
    // Neither may a data action find it so.
    for q in ["lef", "lefevre@example.fr"] {
        let body = json!({ "kind": "restore", "selection": { "filter": { "q": q } } });
        let refused = stack.agent().post("/v1/data-actions", body).await;
        assert_eq!(refused.problem(StatusCode::UNPROCESSABLE_ENTITY), "input_refused");
    }
}

#[tokio::test]
async fn each_has_a_number_of_its_own_that_says_nothing() {
    let stack = Stack::start().await;
    let mut contacts = Vec::new();
    for n in 0..40 {
        contacts.push(
            stack
                .contact(json!({ "last_name": "Zola", "first_name": format!("Zoé {n}") }))
                .await,
        );
    }
    let contacts: Vec<_> = contacts.iter().map(String::as_str).collect();
    stack.export(&contacts).await;
    stack.drain().await;
    for item in attempt(&stack, &contacts).await {
        assert_eq!(item["state"], "done", "{item}");
    }
    let mut numbers = Vec::new();
    for contact in &contacts {
        let number = alias(&card(&stack, contact).await);
        assert!(
            !contact.to_uppercase().replace('-', "").contains(&number),
            "{contact}: {number}"
        );
        numbers.push(number);
    }
    assert_eq!(
        numbers.iter().collect::<BTreeSet<_>>().len(),
        numbers.len(),
        "{numbers:?}"
    );
    let value = |number: &String| u64::from_str_radix(number, 16).unwrap();
    assert!(
        !numbers.iter().map(value).is_sorted(),
        "nor do they count: {numbers:?}"
    );
}

#[tokio::test]
async fn nothing_can_be_added_to_it_or_made_of_it() {
    let stack = Stack::start().await;
    let contact = exported(&stack, "Zola").await;
    anonymise(&stack, &contact).await;
    let before = card(&stack, &contact).await;
    let (agent, path) = (stack.agent(), format!("/v1/contacts/{contact}"));
    let changes = [
        json!({ "first_name": "Émile" }),
        json!({ "notes": null }),
        json!({ "assigned_to": "admin" }),
        json!({}),
    ];
    for change in changes {
        let version = format!("\"{}\"", before["version"]);
        for if_match in ["*", version.as_str()] {
            let refused = agent.patch(&path, if_match, change.clone()).await;
            assert_eq!(
                refused.problem(StatusCode::CONFLICT),
                "contact_anonymised",
                "{change}"
            );
        }
        let stale = agent.patch(&path, "\"1\"", change.clone()).await;
        assert_eq!(
            stale.problem(StatusCode::PRECONDITION_FAILED),
            "precondition_failed"
        );
    }
    let document = json!({ "name": "a", "content_type": "image/png", "size_bytes": 1, "kind": "document" });
    for kind in ["document", "photo"] {
        let mut document = document.clone();
        document["kind"] = json!(kind);
        let refused = agent.post(&format!("{path}/documents"), document).await;
        assert_eq!(refused.problem(StatusCode::CONFLICT), "contact_anonymised");
    }
    let export = stack.export(&[&contact]).await;
    stack.drain().await;
    assert_ended(&stack.items(&export).await[0], "failed", "already_anonymised");
    let mut after = card(&stack, &contact).await;
    after["data_actions"] = before["data_actions"].clone();
    assert_eq!(after, before);

    // Deleted it can be, while it waits for its turn as well.
    let waiting = exported(&stack, "Hugo").await;
    let action = start(&stack, body(&[&waiting])).await;
    for contact in [&contact, &waiting] {
        let path = format!("/v1/contacts/{contact}");
        assert_eq!(agent.delete(&path).await.status, StatusCode::NO_CONTENT);
        assert_eq!(agent.get(&path).await.problem(StatusCode::NOT_FOUND), "not_found");
    }
    stack.drain().await;
    assert_ended(&stack.items(&action).await[0], "failed", "contact_absent");
    assert_eq!(list(&stack, "").await["total"], 0);
}

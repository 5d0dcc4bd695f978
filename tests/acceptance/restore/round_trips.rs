//! What was exported comes back as it was.

use jiff::SignedDuration;
use oubli_tests::Stack;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{
    anonymise, assert_done, assert_ended, card, export, files, from_archive, noise, persons, restore,
    restore_over, run, stored,
};
use crate::contacts::everything;

#[tokio::test]
async fn everything_comes_back_byte_for_byte() {
    let stack = Stack::start().await;
    let id = stack.contact(everything()).await;
    let text = "Une ligne comme une autre.\n".repeat(4_000);
    stack.document(&id, "Contrat signé.txt", text.as_bytes()).await;
    stack.document(&id, "contrat SIGNÉ.txt", b"another").await;
    stack.document(&id, "../../📄 vide", b"").await;
    // More than one part of 8 MiB, that goes back in parts.
    stack.document(&id, "film.bin", &noise(9 * 1024 * 1024)).await;
    let photo = json!({ "name": "Chloé.png", "content_type": "image/png", "size_bytes": 5, "kind": "photo" });
    let photo = stack.document_of(&id, photo, b"\x89PNG\n").await;
    stack.advance(SignedDuration::from_secs(60));
    let before = card(&stack, &id).await;
    let preview = async || {
        let body = json!({ "kind": "export", "selection": { "contact_ids": [id] } });
        let preview = stack.agent().post("/v1/data-actions/preview", body).await.json();
        (preview["documents"].clone(), preview["bytes"].clone())
    };
    let counted = preview().await;
    let documents_path = format!("/v1/contacts/{id}/documents");
    let listed = |stack: &Stack| {
        let agent = stack.agent();
        let path = documents_path.clone();
        async move { agent.get(&path).await.expect(StatusCode::OK)["items"].clone() }
    };
    let (archive, exported) = export(&stack, &id).await;
    // Exporting learns hashes; what is listed is compared after it.
    let documents = listed(&stack).await;
    stack.advance(SignedDuration::from_secs(60));
    anonymise(&stack, &id).await;
    assert_eq!(listed(&stack).await, json!([]));
    stack.advance(SignedDuration::from_secs(60));

    let item = restore(&stack, from_archive(&archive)).await;
    assert_done(&item);
    assert_eq!(item["contact_id"], id.as_str());

    let after = card(&stack, &id).await;
    for (name, value) in everything().as_object().unwrap() {
        assert_eq!(&after[name], value, "{name}");
    }
    assert_eq!(after["photo_document_id"], photo.as_str());
    for name in ["state", "created_at", "updated_at", "id"] {
        assert_eq!(after[name], before[name], "{name}");
    }
    assert!(after["version"].as_u64().unwrap() > before["version"].as_u64().unwrap());
    let (mut expected, mut found) = (documents, listed(&stack).await);
    for document in found.as_array_mut().unwrap() {
        let stored_at = document.as_object_mut().unwrap().remove("stored_at");
        // Another endpoint has the system's clock, which goes on.
        if stack.engines().is_some() {
            assert_eq!(stored_at, Some(json!(stack.now().to_string())));
        }
    }
    for document in expected.as_array_mut().unwrap() {
        document.as_object_mut().unwrap().remove("stored_at");
    }
    assert_eq!(found, expected);
    assert_eq!((preview().await, &counted.0), (counted.clone(), &json!(5)));
    // The download offers the document under its own name again.
    let answer = stack
        .agent()
        .get(&format!("{documents_path}/{photo}/content"))
        .await;
    let (status, bytes) = stack.fetch(answer.header("location").unwrap()).await;
    assert_eq!((status, &bytes[..]), (StatusCode::OK, &b"\x89PNG\n"[..]));
    if let Some(keys) = stored(&stack, &format!("documents/demo/{id}/")).await {
        assert_eq!(keys.len(), 5, "{keys:?}");
    }

    let (_, again) = export(&stack, &id).await;
    assert!(
        persons(&files(&exported)) == persons(&files(&again)),
        "what came back differs"
    );

    let item = restore(&stack, from_archive(&archive)).await;
    assert_ended(&item, "skipped", "not_anonymised");
}

#[tokio::test]
async fn a_contact_may_go_and_come_back_again_and_again() {
    let stack = Stack::start().await;
    let id = stack.contact(everything()).await;
    stack.document(&id, "a", b"first").await;
    let mut last = None;
    for round in 0..3 {
        stack.advance(SignedDuration::from_secs(60));
        let (archive, bytes) = export(&stack, &id).await;
        let now = persons(&files(&bytes));
        assert!(last.is_none_or(|last| last == now), "round {round}");
        last = Some(now);
        stack.advance(SignedDuration::from_secs(60));
        anonymise(&stack, &id).await;
        stack.advance(SignedDuration::from_secs(60));
        assert_done(&restore(&stack, from_archive(&archive)).await);
    }
    // The card tells of all of it.
    let past = card(&stack, &id).await["data_actions"].clone();
    assert_eq!(past.as_array().unwrap().len(), 9, "{past}");
    stack.advance(SignedDuration::from_hours(1));
    stack.sweep().await;
    if let Some(keys) = stored(&stack, &format!("documents/demo/{id}/")).await {
        assert_eq!(keys.len(), 1, "{keys:?}");
    }
}

#[tokio::test]
async fn what_was_edited_is_replaced_only_when_asked_for() {
    let stack = Stack::start().await;
    let id = stack.contact(everything()).await;
    stack.document(&id, "old", b"old").await;
    let (archive, exported) = export(&stack, &id).await;
    assert_ended(
        &restore(&stack, from_archive(&archive)).await,
        "skipped",
        "not_anonymised",
    );
    stack.advance(SignedDuration::from_secs(60));
    let path = format!("/v1/contacts/{id}");
    let edit = json!({ "first_name": "Zoé" });
    stack.agent().patch(&path, "*", edit).await.expect(StatusCode::OK);
    stack.document(&id, "new", b"new").await;
    let edited = card(&stack, &id).await;

    let item = restore(&stack, from_archive(&archive)).await;
    assert_ended(&item, "failed", "contact_changed");
    let mut unchanged = card(&stack, &id).await;
    unchanged["data_actions"] = edited["data_actions"].clone();
    assert_eq!(unchanged, edited, "nothing was written");

    assert_done(&restore_over(&stack, from_archive(&archive)).await);
    let after = card(&stack, &id).await;
    assert_eq!(after["first_name"], "Chloé");
    assert!(after["version"].as_u64().unwrap() > edited["version"].as_u64().unwrap());
    assert!(after.get("last_archive").is_none(), "{after}");
    if let Some(keys) = stored(&stack, &format!("documents/demo/{id}/")).await {
        assert_eq!(keys.len(), 1, "what was there before is gone: {keys:?}");
    }
    let (_, again) = export(&stack, &id).await;
    assert!(persons(&files(&exported)) == persons(&files(&again)));
}

#[tokio::test]
async fn an_older_archive_restores_only_when_asked_for() {
    let stack = Stack::start().await;
    let id = stack
        .contact(json!({ "last_name": "Zola", "first_name": "Émile" }))
        .await;
    let (older, _) = export(&stack, &id).await;
    stack.advance(SignedDuration::from_secs(60));
    let path = format!("/v1/contacts/{id}");
    let edit = json!({ "last_name": "Sand" });
    stack.agent().patch(&path, "*", edit).await.expect(StatusCode::OK);
    export(&stack, &id).await;
    anonymise(&stack, &id).await;
    let item = restore(&stack, from_archive(&older)).await;
    assert_ended(&item, "failed", "contact_changed");
    assert_eq!(card(&stack, &id).await["state"], "anonymised");
    assert_done(&restore_over(&stack, from_archive(&older)).await);
    assert_eq!(card(&stack, &id).await["last_name"], "Zola");
}

#[tokio::test]
async fn a_deleted_contact_comes_back_with_its_id() {
    let stack = Stack::start().await;
    let id = stack.contact(everything()).await;
    stack.document(&id, "a", &noise(70_000)).await;
    let (archive, exported) = export(&stack, &id).await;
    let path = format!("/v1/contacts/{id}");
    assert!(stack.agent().delete(&path).await.status.is_success());
    stack.advance(SignedDuration::from_secs(60));
    let item = restore(&stack, json!({ "contact_ids": [id] })).await;
    assert_ended(&item, "failed", "contact_absent");
    assert_done(&restore(&stack, from_archive(&archive)).await);
    // The janitor comes late, and finds nothing of what was deleted.
    if stack.engines().is_some() {
        stack.advance(SignedDuration::from_hours(24));
        stack.sweep().await;
    }
    let (_, again) = export(&stack, &id).await;
    assert!(persons(&files(&exported)) == persons(&files(&again)));
    let item = restore(&stack, from_archive(&archive)).await;
    assert_ended(&item, "skipped", "not_anonymised");
}

#[tokio::test]
async fn contacts_are_restored_by_name_and_by_filter() {
    let stack = Stack::start().await;
    let mut ids = Vec::new();
    for name in ["A", "B", "C", "D"] {
        ids.push(stack.contact(json!({ "last_name": name })).await);
        stack.advance(SignedDuration::from_millis(10));
    }
    let selection = json!({ "contact_ids": ids[..3] });
    run(&stack, json!({ "kind": "export", "selection": selection })).await;
    let anonymise = json!({ "kind": "anonymise", "selection": selection, "acknowledged": true });
    for item in run(&stack, anonymise).await {
        assert_done(&item);
    }
    assert_done(&restore(&stack, json!({ "contact_ids": [ids[0]] })).await);
    assert_eq!(card(&stack, &ids[0]).await["last_name"], "A");
    let item = restore(&stack, json!({ "contact_ids": [ids[3]] })).await;
    assert_ended(&item, "skipped", "not_anonymised");
    let filter = json!({ "filter": { "state": "anonymised" } });
    let items = run(&stack, json!({ "kind": "restore", "selection": filter })).await;
    assert_eq!(items.len(), 2, "{items:?}");
    items.iter().for_each(assert_done);
    assert_eq!(card(&stack, &ids[2]).await["last_name"], "C");
}

/// Texts as people enter them, and as they do not.
fn text() -> impl Strategy<Value = String> {
    let letters = "[A-Za-zÀ-ÿ’\\-]{1,12}( [A-Za-zÀ-ÿ]{1,12}){0,2}";
    let others = "[\u{1F300}-\u{1F6FF}مرحبا你好שלום]{1,6}";
    prop_oneof![4 => letters, 1 => others, 1 => "x(\u{301}|[\"<>&'\\\\/]){1,5}x"]
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e15_f64..1e15).prop_map(Value::from),
        (1e-100_f64..1e-10).prop_map(Value::from),
        Just(json!(0)),
        Just(json!(0.1)),
        Just(json!(1e100)),
    ]
}

fn custom_fields() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        text().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        number()
    ];
    prop::collection::btree_map(text(), value, 1..6).prop_map(|fields| json!(fields))
}

fn address() -> impl Strategy<Value = Value> {
    let part = || prop::option::of(text());
    let lines = prop::collection::vec(text(), 1..4);
    (lines, part(), part(), part()).prop_map(|(lines, postal_code, city, country)| {
        let mut address = json!({ "lines": lines });
        for (name, part) in [("postal_code", postal_code), ("city", city), ("country", country)] {
            if let Some(part) = part {
                address[name] = Value::from(part);
            }
        }
        address
    })
}

/// A contact, and its documents: name and bytes.
fn contact() -> impl Strategy<Value = (Value, Vec<(String, Vec<u8>)>)> {
    let optional = [
        ("first_name", text().prop_map(Value::from).boxed()),
        ("job_title", text().prop_map(Value::from).boxed()),
        (
            "email",
            "[a-zA-Z0-9]{1,12}(\\+x)?@[a-z]{1,8}\\.example"
                .prop_map(Value::from)
                .boxed(),
        ),
        ("phone", "\\+33 [1-9]( [0-9]{2}){4}".prop_map(Value::from).boxed()),
        ("mobile", "06(\\.[0-9]{2}){4}".prop_map(Value::from).boxed()),
        ("address", address().boxed()),
        ("notes", "x[ -~\\n\\té🦀]{0,200}x".prop_map(Value::from).boxed()),
        ("custom_fields", custom_fields().boxed()),
        ("assigned_to", Just(json!("agent")).boxed()),
    ];
    let optional: Vec<_> = optional
        .into_iter()
        .map(|(name, value)| prop::option::of(value).prop_map(move |value| value.map(|value| (name, value))))
        .collect();
    let business = (any::<u32>(), any::<u32>(), any::<u32>());
    let document = (
        "[ -~é📄\u{301}]{1,40}",
        prop::collection::vec(any::<u8>(), 0..3_000),
    );
    let documents = prop_oneof![
        3 => prop::collection::vec(document.clone(), 0..4),
        1 => prop::collection::vec(document, 12..20)
    ];
    (text(), optional, business, documents).prop_map(|(last_name, optional, business, documents)| {
        let (opportunities, proposals, deals) = business;
        let business = json!({ "opportunities": opportunities, "proposals": proposals, "deals": deals });
        let mut contact = json!({ "last_name": last_name, "business": business });
        for (name, value) in optional.into_iter().flatten() {
            contact[name] = value;
        }
        (contact, documents)
    })
}

#[tokio::test]
async fn whatever_was_entered_comes_back_byte_for_byte() {
    const CONTACTS: usize = 16;
    let stack = Stack::start().await;
    let (mut ids, mut runner) = (Vec::new(), TestRunner::deterministic());
    for _ in 0..CONTACTS {
        let (body, documents) = contact().new_tree(&mut runner).unwrap().current();
        let id = stack.contact(body).await;
        for (name, bytes) in documents {
            stack.advance(SignedDuration::from_millis(3));
            stack.document(&id, &name, &bytes).await;
        }
        ids.push(id);
    }
    let selection = json!({ "contact_ids": ids });
    let archives = async |stack: &Stack| {
        let items = run(stack, json!({ "kind": "export", "selection": selection })).await;
        let mut archives = Vec::new();
        for item in &items {
            assert_done(item);
            let archive = item["archive"]["id"].as_str().unwrap();
            archives.push(persons(&files(&stack.archive(archive).await)));
        }
        archives
    };
    let before = archives(&stack).await;
    stack.advance(SignedDuration::from_secs(60));
    let body = json!({ "kind": "anonymise", "selection": selection, "acknowledged": true });
    run(&stack, body).await.iter().for_each(assert_done);
    stack.advance(SignedDuration::from_secs(60));
    let body = json!({ "kind": "restore", "selection": selection });
    run(&stack, body).await.iter().for_each(assert_done);
    let after = archives(&stack).await;
    assert_eq!((before.len(), after.len()), (CONTACTS, CONTACTS));
    for (index, (before, after)) in before.iter().zip(&after).enumerate() {
        assert!(before.keys().eq(after.keys()), "contact {index}");
        for (name, bytes) in before {
            assert!(after[name] == *bytes, "contact {index}: {name} differs");
        }
    }
}

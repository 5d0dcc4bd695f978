//! Which contacts a data action is about: previews, plan hashes, selections by ids and by filter.

use jiff::SignedDuration;
use oubli_tests::{Answer, Stack};
use reqwest::StatusCode;
use serde_json::{Value, json};

fn export(selection: Value) -> Value {
    json!({ "kind": "export", "selection": selection })
}

async fn preview(stack: &Stack, selection: Value) -> Value {
    let answer = stack
        .agent()
        .post("/v1/data-actions/preview", export(selection))
        .await;
    answer.expect(StatusCode::OK)
}

#[tokio::test]
async fn a_preview_counts_persons_documents_and_bytes() {
    let stack = Stack::start().await;
    let one = stack
        .contact(json!({ "last_name": "Zola", "assigned_to": "agent" }))
        .await;
    let two = stack.contact(json!({ "last_name": "Zorro" })).await;
    let three = stack.contact(json!({ "last_name": "Hugo" })).await;
    stack.document(&one, "a", &[1; 1_000]).await;
    stack.document(&one, "b", &[2; 24]).await;
    stack.document(&three, "c", &[3; 7]).await;
    let awaiting =
        json!({ "name": "d", "content_type": "text/plain", "size_bytes": 5_000, "kind": "document" });
    let path = format!("/v1/contacts/{two}/documents");
    stack
        .agent()
        .post(&path, awaiting)
        .await
        .expect(StatusCode::CREATED);

    let plan = preview(&stack, json!({ "contact_ids": [one, two, "absent", one] })).await;
    assert_eq!(
        (&plan["contacts"], &plan["documents"], &plan["bytes"]),
        (&json!(2), &json!(2), &json!(1_024))
    );
    assert_eq!(
        plan["blocked"],
        json!([{ "contact_id": "absent", "reason": "contact_absent" }])
    );
    assert_eq!(plan["blocked_count"], 1);
    assert!(
        plan["notices"]
            .as_array()
            .unwrap()
            .contains(&json!("some_contacts_are_blocked"))
    );
    assert_eq!(plan["plan_hash"].as_str().unwrap().len(), 64);

    let other_order = preview(&stack, json!({ "contact_ids": ["absent", two, one] })).await;
    assert_eq!(
        other_order["plan_hash"], plan["plan_hash"],
        "the order of the ids is no part of the plan"
    );
    let fewer = preview(&stack, json!({ "contact_ids": [two, one] })).await;
    assert_ne!(fewer["plan_hash"], plan["plan_hash"]);

    let cases = [
        (json!({}), 3, 3, 1_031),
        (json!({ "q": "zo" }), 2, 2, 1_024),
        (
            json!({ "q": "zo", "assigned_to": "agent", "state": "active" }),
            1,
            2,
            1_024,
        ),
        (json!({ "state": "anonymised" }), 0, 0, 0),
        (json!({ "created_before": "2001-01-01T00:00:00Z" }), 0, 0, 0),
        (
            json!({ "created_before": "2999-01-01T00:00:00+01:00" }),
            3,
            3,
            1_031,
        ),
    ];
    for (filter, contacts, documents, bytes) in cases {
        let plan = preview(&stack, json!({ "filter": filter })).await;
        let numbers = [
            &plan["contacts"],
            &plan["documents"],
            &plan["bytes"],
            &plan["blocked_count"],
        ];
        assert_eq!(
            numbers,
            [&json!(contacts), &json!(documents), &json!(bytes), &json!(0)],
            "{filter}"
        );
    }
}

/// Starts an export with the hash of a preview.
async fn start(stack: &Stack, selection: &Value, plan: &Value) -> Answer {
    let mut body = export(selection.clone());
    body["plan_hash"] = plan["plan_hash"].clone();
    stack.agent().post("/v1/data-actions", body).await
}

#[tokio::test]
async fn a_preview_is_accepted_for_its_own_selection() {
    let stack = Stack::start().await;
    let one = stack.contact(json!({ "last_name": "Zola" })).await;
    let two = stack.contact(json!({ "last_name": "Zorro" })).await;
    let by_ids = json!({ "contact_ids": [one, two] });
    let by_filter = json!({ "filter": { "q": "zo" } });
    let plan = preview(&stack, by_ids.clone()).await;
    // The same contacts, but nobody has seen that they are the same.
    let refused = start(&stack, &by_filter, &plan).await;
    assert_eq!(refused.problem(StatusCode::CONFLICT), "plan_changed");
    let fresh = refused.json()["preview"].clone();
    assert_eq!(fresh["plan_hash"], plan["plan_hash"]);
    start(&stack, &by_filter, &fresh)
        .await
        .expect(StatusCode::ACCEPTED);
    start(&stack, &by_ids, &plan).await.expect(StatusCode::ACCEPTED);
    // Ids in another order are the same selection.
    let turned = json!({ "contact_ids": [two, one] });
    start(&stack, &turned, &plan).await.expect(StatusCode::ACCEPTED);

    let unknown = json!({ "plan_hash": "0".repeat(64) });
    let refused = start(&stack, &by_ids, &unknown).await;
    assert_eq!(refused.problem(StatusCode::CONFLICT), "plan_changed");
    let mut anonymise = export(by_ids.clone());
    anonymise["kind"] = json!("anonymise");
    anonymise["acknowledged"] = json!(true);
    anonymise["plan_hash"] = plan["plan_hash"].clone();
    let refused = stack.agent().post("/v1/data-actions", anonymise).await;
    assert_eq!(refused.problem(StatusCode::CONFLICT), "plan_changed");
}

#[tokio::test]
async fn a_preview_is_accepted_for_a_quarter_of_an_hour() {
    let stack = Stack::start().await;
    stack.contact(json!({ "last_name": "Zola" })).await;
    let selection = json!({ "filter": {} });
    let plan = preview(&stack, selection.clone()).await;
    if stack.engines().is_none() {
        return;
    }
    stack.advance(SignedDuration::from_secs(15 * 60 - 1));
    start(&stack, &selection, &plan)
        .await
        .expect(StatusCode::ACCEPTED);
    stack.advance(SignedDuration::from_secs(1));
    let late = start(&stack, &selection, &plan).await;
    assert_eq!(late.problem(StatusCode::CONFLICT), "plan_changed");
}

#[tokio::test]
async fn an_export_is_of_what_is_there_when_it_runs() {
    let stack = Stack::start().await;
    let one = stack.contact(json!({ "last_name": "Zola" })).await;
    let selection = json!({ "filter": { "q": "zo" } });
    let plan = preview(&stack, selection.clone()).await;
    stack.document(&one, "new.txt", b"new").await;
    let action = start(&stack, &selection, &plan)
        .await
        .expect(StatusCode::ACCEPTED);
    stack.drain().await;
    let ended = stack.action(action["id"].as_str().unwrap()).await;
    assert_eq!(
        (&ended["state"], &ended["done"]),
        (&json!("completed"), &json!(1))
    );
    let card = stack.agent().get(&format!("/v1/contacts/{one}")).await;
    let card = card.expect(StatusCode::OK);
    assert_eq!(card["actions"]["anonymise"]["possible"], true, "{card}");
}

#[tokio::test]
async fn selections_that_cannot_be_are_refused_at_once() {
    let stack = Stack::start().await;
    stack.contact(json!({ "last_name": "Zola" })).await;
    let too_many: Vec<String> = (0..1_001).map(|n| format!("c{n}")).collect();
    let cases = [
        (export(json!({ "contact_ids": [] })), "/selection/contact_ids"),
        (
            export(json!({ "contact_ids": too_many })),
            "/selection/contact_ids",
        ),
        (
            export(json!({ "contact_ids": ["fine", "not#fine"] })),
            "/selection/contact_ids/1",
        ),
        (export(json!({})), "/selection"),
        (
            export(json!({ "contact_ids": ["a"], "filter": {} })),
            "/selection",
        ),
        (
            export(json!({ "filter": { "state": "gone" } })),
            "/selection/filter/state",
        ),
        (
            export(json!({ "filter": { "assigned_to": "a b" } })),
            "/selection/filter/assigned_to",
        ),
        (
            export(json!({ "filter": { "created_before": "yesterday" } })),
            "/selection/filter/created_before",
        ),
        (
            export(json!({ "filter": { "q": "x".repeat(255) } })),
            "/selection/filter/q",
        ),
        // There is nothing to search for in it: it must not select everybody.
        (export(json!({ "filter": { "q": " - " } })), "/selection/filter/q"),
        (json!({ "kind": "erase", "selection": { "filter": {} } }), "/kind"),
        (export(json!({ "archive_ids": ["a"] })), "/selection/archive_ids"),
        (export(json!({ "upload_ids": ["a"] })), "/selection/upload_ids"),
    ];
    for route in ["/v1/data-actions", "/v1/data-actions/preview"] {
        for (body, pointer) in &cases {
            let answer = stack.agent().post(route, body.clone()).await;
            assert_eq!(
                answer.problem(StatusCode::UNPROCESSABLE_ENTITY),
                "input_refused",
                "{route} {pointer}"
            );
            assert_eq!(answer.pointers(), [*pointer], "{route}");
        }
    }
    let mut hashed = export(json!({ "filter": {} }));
    hashed["plan_hash"] = json!("abc");
    assert_eq!(
        stack.agent().post("/v1/data-actions", hashed).await.pointers(),
        ["/plan_hash"]
    );
    let nobody = export(json!({ "filter": { "q": "nobody" } }));
    let answer = stack.agent().post("/v1/data-actions", nobody).await;
    assert_eq!(answer.problem(StatusCode::UNPROCESSABLE_ENTITY), "input_refused");
    assert_eq!(answer.pointers(), ["/selection/filter"]);
    assert_eq!(
        stack.agent().get("/v1/data-actions").await.expect(StatusCode::OK)["total"],
        0
    );
}

#[tokio::test]
async fn a_thousand_ids_are_not_too_many() {
    let stack = Stack::start().await;
    let ids: Vec<String> = (0..1_000).map(|n| format!("c{n}")).collect();
    let action = stack
        .agent()
        .post("/v1/data-actions", export(json!({ "contact_ids": ids })))
        .await;
    assert_eq!(action.expect(StatusCode::ACCEPTED)["total"], 1_000);
}

#[tokio::test]
async fn absent_contacts_and_those_of_others_fail_alone() {
    let stack = Stack::start().await;
    let one = stack.contact(json!({ "last_name": "Zola" })).await;
    let two = stack.contact(json!({ "last_name": "Hugo" })).await;
    let created = stack
        .other_agent()
        .post("/v1/contacts", json!({ "last_name": "Secret" }))
        .await;
    let of_another = created.expect(StatusCode::CREATED)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let deleted = stack.contact(json!({ "last_name": "Gone" })).await;

    let action = stack
        .export(&[&one, "absent", &of_another, &deleted, &two, &one])
        .await;
    let path = format!("/v1/contacts/{deleted}");
    assert_eq!(stack.agent().delete(&path).await.status, StatusCode::NO_CONTENT);
    stack.drain().await;

    let ended = stack.action(&action).await;
    assert_eq!(ended["state"], "completed_with_failures", "{ended}");
    assert_eq!(
        (&ended["total"], &ended["done"], &ended["failed"]),
        (&json!(5), &json!(2), &json!(3))
    );
    let items = stack.items(&action).await;
    let ids: Vec<_> = items
        .iter()
        .map(|item| item["contact_id"].as_str().unwrap())
        .collect();
    assert_eq!(
        ids,
        [&one, "absent", &of_another, &deleted, &two],
        "in the order of the selection, once each"
    );
    for item in &items[1..4] {
        assert_eq!(
            (&item["state"], &item["reason"]),
            (&json!("failed"), &json!("contact_absent"))
        );
        assert!(item.get("archive").is_none());
    }
    for item in [&items[0], &items[4]] {
        assert_eq!(
            (&item["state"], &item["archive"]["state"]),
            (&json!("done"), &json!("ready"))
        );
    }
    let theirs = stack
        .other_agent()
        .get("/v1/data-actions")
        .await
        .expect(StatusCode::OK);
    assert_eq!(theirs["total"], 0);
}

#[tokio::test]
async fn an_action_in_which_everything_fails_has_failed() {
    let stack = Stack::start().await;
    let action = stack.export(&["absent", "absent-too"]).await;
    stack.drain().await;
    let ended = stack.action(&action).await;
    assert_eq!((&ended["state"], &ended["failed"]), (&json!("failed"), &json!(2)));
    assert!(ended["completed_at"].is_string());
}

#[tokio::test]
async fn a_filter_takes_those_who_match_when_it_is_started() {
    let stack = Stack::start().await;
    let mut expected = vec![
        stack
            .contact(json!({ "last_name": "Zola", "email": "z@example.fr" }))
            .await,
        stack
            .contact(json!({ "last_name": "Zorro", "email": "Z@example.fr" }))
            .await,
    ];
    stack.contact(json!({ "last_name": "Hugo" })).await;
    stack.advance(SignedDuration::from_secs(1));
    let mut actions = Vec::new();
    for q in ["zo", "z@example.fr"] {
        let body = export(json!({ "filter": { "q": q } }));
        let action = stack
            .agent()
            .post("/v1/data-actions", body)
            .await
            .expect(StatusCode::ACCEPTED);
        assert_eq!(
            (&action["state"], &action["requested_by"]),
            (&json!("queued"), &json!("agent"))
        );
        actions.push(action["id"].as_str().unwrap().to_owned());
    }
    stack.advance(SignedDuration::from_secs(1));
    stack
        .contact(json!({ "last_name": "Zoé", "email": "z@example.fr" }))
        .await;
    stack.drain().await;
    expected.sort();
    for action in actions {
        let ended = stack.action(&action).await;
        assert_eq!(
            (&ended["state"], &ended["total"], &ended["done"]),
            (&json!("completed"), &json!(2), &json!(2))
        );
        let items = stack.items(&action).await;
        let mut found: Vec<_> = items
            .iter()
            .map(|item| item["contact_id"].as_str().unwrap().to_owned())
            .collect();
        found.sort();
        assert_eq!(found, expected);
    }
}

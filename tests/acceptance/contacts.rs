//! One contact: entered, read, changed, deleted.

use oubli_tests::Stack;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::outside::Bucket;

/// A contact of whom everything is known.
pub(crate) fn everything() -> Value {
    json!({
        "last_name": "Lefèvre-d’Aubigné",
        "first_name": "Chloé",
        "job_title": "Directrice financière",
        "email": "Chloe.Lefevre@Example.fr",
        "phone": "+33 1 23 45 67 89",
        "mobile": "06.12.34.56.78",
        "address": {
            "lines": ["Bâtiment B", "12 rue des Écoles"],
            "postal_code": "75005",
            "city": "Paris",
            "country": "France"
        },
        "notes": "Préfère être appelée le matin.\n\tN’aime pas <les courriels> & co.",
        "custom_fields": {
            "client depuis": 2019,
            "VIP": true,
            "remise": 0.125,
            "plus grand": 9_007_199_254_740_993_i64,
            "a/b~c": "<b>\"&\"</b> 🦀"
        },
        "assigned_to": "agent",
        "business": { "opportunities": 3, "proposals": 2, "deals": 1 }
    })
}

#[tokio::test]
async fn every_field_comes_back_as_it_was_entered() {
    let stack = Stack::start().await;
    let body = everything();
    let answer = stack.agent().post("/v1/contacts", body.clone()).await;
    let created = answer.expect(StatusCode::CREATED);
    let path = format!("/v1/contacts/{}", created["id"].as_str().unwrap());
    assert_eq!(answer.header("location"), Some(path.as_str()));
    assert_eq!(answer.header("etag"), Some("\"1\""));
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(&created[name], value, "{name}");
    }
    assert_eq!(created["state"], "active");
    assert_eq!(created["version"], 1);
    assert_eq!(created["documents"], json!({ "count": 0, "bytes": 0 }));
    assert_eq!(created["created_at"], created["updated_at"]);
    assert_eq!(created["actions"]["export"], json!({ "possible": true }));
    for (later, reason) in [("anonymise", "no_current_archive"), ("restore", "not_anonymised")] {
        assert_eq!(
            created["actions"][later],
            json!({ "possible": false, "reason": reason })
        );
    }

    let read = stack.agent().get(&path).await;
    assert_eq!(read.header("etag"), Some("\"1\""));
    let mut card = read.expect(StatusCode::OK);
    assert_eq!(
        card.as_object_mut().unwrap().remove("data_actions"),
        Some(json!([]))
    );
    assert_eq!(card, created);

    // A list shows what fits into a row.
    let row = stack.agent().get("/v1/contacts").await.expect(StatusCode::OK)["items"][0].clone();
    for name in [
        "id",
        "state",
        "version",
        "last_name",
        "first_name",
        "job_title",
        "email",
        "phone",
        "mobile",
        "assigned_to",
        "business",
        "documents",
        "created_at",
        "updated_at",
        "actions",
    ] {
        assert_eq!(row[name], created[name], "{name}");
    }
}

#[tokio::test]
async fn what_is_not_held_is_left_out() {
    let stack = Stack::start().await;
    let id = stack.contact(json!({ "last_name": " Zola " })).await;
    let card = stack
        .agent()
        .get(&format!("/v1/contacts/{id}"))
        .await
        .expect(StatusCode::OK);
    let names: Vec<_> = card.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = [
        "id",
        "state",
        "version",
        "last_name",
        "business",
        "documents",
        "created_at",
        "updated_at",
        "actions",
        "data_actions",
    ];
    expected.sort_unstable();
    assert_eq!(names, expected);
    assert_eq!(card["last_name"], "Zola");
    assert_eq!(
        card["business"],
        json!({ "opportunities": 0, "proposals": 0, "deals": 0 })
    );
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_null_removes() {
    let stack = Stack::start().await;
    let created = stack
        .agent()
        .post("/v1/contacts", everything())
        .await
        .expect(StatusCode::CREATED);
    let path = format!("/v1/contacts/{}", created["id"].as_str().unwrap());
    stack.advance(jiff::SignedDuration::from_secs(1));
    let patch = json!({
        "first_name": null,
        "email": "chloe@example.com",
        "address": { "city": "Lyon", "postal_code": null },
        "custom_fields": { "VIP": null, "ville": "Lyon" },
        "business": { "deals": 4 },
        "notes": null
    });
    let answer = stack.agent().patch(&path, "\"1\"", patch).await;
    let changed = answer.expect(StatusCode::OK);
    assert_eq!(answer.header("etag"), Some("\"2\""));
    assert_eq!(changed["version"], 2);
    assert!(changed.get("first_name").is_none() && changed.get("notes").is_none());
    assert_eq!(changed["email"], "chloe@example.com");
    let address =
        json!({ "lines": ["Bâtiment B", "12 rue des Écoles"], "city": "Lyon", "country": "France" });
    assert_eq!(changed["address"], address);
    let fields = json!({
        "client depuis": 2019, "remise": 0.125, "plus grand": 9_007_199_254_740_993_i64,
        "a/b~c": "<b>\"&\"</b> 🦀", "ville": "Lyon"
    });
    assert_eq!(changed["custom_fields"], fields);
    assert_eq!(
        changed["business"],
        json!({ "opportunities": 3, "proposals": 2, "deals": 4 })
    );
    assert_eq!(changed["job_title"], "Directrice financière");
    assert_eq!(changed["created_at"], created["created_at"]);
    assert_ne!(changed["updated_at"], changed["created_at"]);

    let mut card = stack.agent().get(&path).await.expect(StatusCode::OK);
    card.as_object_mut().unwrap().remove("data_actions");
    assert_eq!(card, changed);

    let whole = json!({ "address": null, "custom_fields": null, "business": null, "assigned_to": null });
    let emptied = stack
        .agent()
        .patch(&path, "*", whole)
        .await
        .expect(StatusCode::OK);
    for name in ["address", "custom_fields", "assigned_to"] {
        assert!(emptied.get(name).is_none(), "{name}");
    }
    assert_eq!(
        emptied["business"],
        json!({ "opportunities": 0, "proposals": 0, "deals": 0 })
    );

    // The old address finds nobody any more, the new one does.
    for (address, total) in [("chloe.lefevre@example.fr", 0), ("CHLOE@example.com", 1)] {
        let found = stack.agent().get(&format!("/v1/contacts?q={address}")).await;
        assert_eq!(found.expect(StatusCode::OK)["total"], total, "{address}");
    }
}

#[tokio::test]
async fn merge_patch_has_its_own_media_type() {
    let stack = Stack::start().await;
    let path = format!(
        "/v1/contacts/{}",
        stack.contact(json!({ "last_name": "Zola" })).await
    );
    let headers = [
        ("content-type", "application/merge-patch+json"),
        ("if-match", "*"),
    ];
    let body = br#"{"first_name":"Emile"}"#.to_vec();
    let answer = stack
        .agent()
        .call(Method::PATCH, &path, &headers, Some(body))
        .await;
    assert_eq!(answer.expect(StatusCode::OK)["first_name"], "Emile");
}

#[tokio::test]
async fn a_change_says_from_which_version_it_starts() {
    let stack = Stack::start().await;
    let agent = stack.agent();
    let path = format!(
        "/v1/contacts/{}",
        stack.contact(json!({ "last_name": "Zola" })).await
    );
    let named = |name: &str| json!({ "first_name": name });
    let without = agent
        .call(
            Method::PATCH,
            &path,
            &[],
            Some(named("A").to_string().into_bytes()),
        )
        .await;
    assert_eq!(
        without.problem(StatusCode::PRECONDITION_REQUIRED),
        "if_match_missing"
    );
    for stale in ["\"2\"", "\"0\"", "1", "W/\"1\"", "\"1\", \"2\"", "\"x\""] {
        let answer = agent.patch(&path, stale, named("A")).await;
        assert_eq!(
            answer.problem(StatusCode::PRECONDITION_FAILED),
            "precondition_failed",
            "{stale}"
        );
    }
    assert_eq!(
        agent
            .patch(&path, "\"1\"", named("B"))
            .await
            .expect(StatusCode::OK)["version"],
        2
    );
    let again = agent.patch(&path, "\"1\"", named("C")).await;
    assert_eq!(
        again.problem(StatusCode::PRECONDITION_FAILED),
        "precondition_failed"
    );
    assert_eq!(
        agent.patch(&path, "*", named("D")).await.expect(StatusCode::OK)["version"],
        3
    );
    assert_eq!(agent.get(&path).await.json()["first_name"], "D");
}

#[tokio::test]
async fn of_two_changes_from_one_version_one_is_made() {
    let stack = Stack::start().await;
    let (agent, admin) = (stack.agent(), stack.agent());
    let path = format!(
        "/v1/contacts/{}",
        stack.contact(json!({ "last_name": "Zola" })).await
    );
    let (one, other) = tokio::join!(
        agent.patch(&path, "\"1\"", json!({ "first_name": "A" })),
        admin.patch(&path, "\"1\"", json!({ "first_name": "B" }))
    );
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
    assert_eq!(agent.get(&path).await.json()["version"], 2);
}

#[tokio::test]
async fn a_contact_has_a_largest_size() {
    let stack = Stack::start().await;
    let agent = stack.agent();
    let with_notes = |bytes: usize| json!({ "last_name": "Zola", "notes": "x".repeat(bytes) });
    let refused = agent.post("/v1/contacts", with_notes(420_000)).await;
    assert_eq!(refused.problem(StatusCode::UNPROCESSABLE_ENTITY), "input_refused");
    assert_eq!(refused.pointers(), [""]);

    // What the API lets pass, DynamoDB must take: with as many bytes outside ASCII, too.
    let largest = agent
        .post("/v1/contacts", with_notes(400_000))
        .await
        .expect(StatusCode::CREATED);
    let accented = json!({ "last_name": "Zola", "notes": "é".repeat(200_000) });
    agent
        .post("/v1/contacts", accented)
        .await
        .expect(StatusCode::CREATED);
    let path = format!("/v1/contacts/{}", largest["id"].as_str().unwrap());
    assert_eq!(
        agent.get(&path).await.expect(StatusCode::OK)["notes"]
            .as_str()
            .unwrap()
            .len(),
        400_000
    );
    let grown = agent
        .patch(
            &path,
            "*",
            json!({ "custom_fields": { "more": "y".repeat(2_000) } }),
        )
        .await;
    assert_eq!(grown.problem(StatusCode::UNPROCESSABLE_ENTITY), "input_refused");
    assert_eq!(agent.get(&path).await.json()["version"], 1);
}

#[tokio::test]
async fn the_longest_names_and_the_widest_numbers_are_taken_or_refused() {
    let stack = Stack::start().await;
    let agent = stack.agent();
    // Four bytes a character; and a character that opens into eighteen others.
    for character in ["𠀀", "ﷺ", "Œ"] {
        let name = character.repeat(200);
        let body = json!({ "last_name": name, "first_name": name });
        let created = agent.post("/v1/contacts", body).await.expect(StatusCode::CREATED);
        assert_eq!(created["last_name"], name.as_str());
        for q in [character.repeat(3), name.clone()] {
            let found = agent
                .get(&format!("/v1/contacts?q={q}"))
                .await
                .expect(StatusCode::OK);
            assert_eq!(found["total"], 1, "{q}");
        }
    }
    let list = agent.get("/v1/contacts?limit=1").await.expect(StatusCode::OK);
    let next = format!(
        "/v1/contacts?limit=1&cursor={}",
        list["next_cursor"].as_str().unwrap()
    );
    assert_eq!(agent.get(&next).await.expect(StatusCode::OK)["total"], 3);

    for number in [json!(1e300), json!(-1e126), json!(1e-200)] {
        let body = json!({ "last_name": "Zola", "custom_fields": { "n": number } });
        let answer = agent.post("/v1/contacts", body).await;
        assert_eq!(
            answer.problem(StatusCode::UNPROCESSABLE_ENTITY),
            "input_refused",
            "{number}"
        );
        assert_eq!(answer.pointers(), ["/custom_fields/n"]);
    }
    for number in [
        json!(u64::MAX),
        json!(i64::MIN),
        json!(0.1),
        json!(1e-7),
        json!(1.5e100),
        json!(0),
    ] {
        let body = json!({ "last_name": "Zola", "custom_fields": { "n": number } });
        let id = stack.contact(body).await;
        let card = agent
            .get(&format!("/v1/contacts/{id}"))
            .await
            .expect(StatusCode::OK);
        let kept = &card["custom_fields"]["n"];
        assert_eq!(kept.as_f64(), number.as_f64(), "{number}");
        assert_eq!(kept.as_u64(), number.as_u64(), "{number}");
    }
}

#[tokio::test]
async fn a_deleted_contact_takes_its_documents_with_it() {
    let stack = Stack::start().await;
    let agent = stack.agent();
    let id = stack
        .contact(json!({ "last_name": "Zola", "email": "emile@example.fr" }))
        .await;
    let other = stack.contact(json!({ "last_name": "Hugo" })).await;
    stack.document(&id, "one.txt", b"one").await;
    stack.document(&id, "two.txt", b"two").await;
    let kept = stack.document(&other, "three.txt", b"three").await;
    let bucket = Bucket::documents(&stack).await;
    assert_eq!(bucket.keys().await.len(), 3);

    let path = format!("/v1/contacts/{id}");
    assert_eq!(agent.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(bucket.keys().await, [bucket.key_of(&kept).await]);
    assert_eq!(agent.get(&path).await.problem(StatusCode::NOT_FOUND), "not_found");
    assert_eq!(
        agent
            .get(&format!("{path}/documents"))
            .await
            .problem(StatusCode::NOT_FOUND),
        "not_found"
    );
    assert_eq!(
        agent.delete(&path).await.problem(StatusCode::NOT_FOUND),
        "not_found"
    );
    let gone = agent.patch(&path, "*", json!({ "first_name": "A" })).await;
    assert_eq!(gone.problem(StatusCode::NOT_FOUND), "not_found");
    assert_eq!(agent.get("/v1/contacts").await.expect(StatusCode::OK)["total"], 1);
    assert_eq!(
        agent
            .get("/v1/contacts?q=emile@example.fr")
            .await
            .expect(StatusCode::OK)["total"],
        0
    );
}

#[tokio::test]
async fn an_archive_outlives_its_contact() {
    let stack = Stack::start().await;
    let id = stack.contact(json!({ "last_name": "Zola" })).await;
    let action = stack.export(&[&id]).await;
    stack.drain().await;
    assert_eq!(
        stack.agent().delete(&format!("/v1/contacts/{id}")).await.status,
        StatusCode::NO_CONTENT
    );
    let items = stack.items(&action).await;
    assert!(
        !stack
            .archive(items[0]["archive"]["id"].as_str().unwrap())
            .await
            .is_empty()
    );
}

//! Lists of contacts: order, search, filters, pages.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use oubli_tests::{Answer, Stack};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// Enters contacts by last and first name, one after another.
async fn enter(stack: &Stack, names: &[(&str, &str)]) -> Vec<String> {
    let mut ids = Vec::new();
    for (last_name, first_name) in names {
        stack.advance(SignedDuration::from_millis(5));
        ids.push(
            stack
                .contact(json!({ "last_name": last_name, "first_name": first_name }))
                .await,
        );
    }
    ids
}

fn names(page: &Value) -> Vec<String> {
    let name = |contact: &Value| contact["last_name"].as_str().unwrap().to_owned();
    page["items"].as_array().unwrap().iter().map(name).collect()
}

async fn list(stack: &Stack, query: &str) -> Value {
    stack
        .agent()
        .get(&format!("/v1/contacts?{query}"))
        .await
        .expect(StatusCode::OK)
}

/// All pages of a list, and the answers that they came in.
async fn pages(stack: &Stack, query: &str) -> Vec<Value> {
    let mut pages = vec![list(stack, query).await];
    while let Some(cursor) = pages.last().unwrap()["next_cursor"].as_str() {
        let next = list(stack, &format!("{query}&cursor={cursor}")).await;
        pages.push(next);
        assert!(pages.len() < 100, "a list without an end");
    }
    pages
}

const WRITERS: [(&str, &str); 9] = [
    ("Zola", "Émile"),
    ("Éluard", "Paul"),
    ("martin", "Zoé"),
    ("Martin-Dupont", "Anne"),
    ("MARTIN", "Alice"),
    ("d’Ormesson", "Jean"),
    ("Œuvrard", "Luc"),
    ("elan", "Éric"),
    ("Dupont", "Léa"),
];

#[tokio::test]
async fn names_are_ordered_as_people_look_for_them() {
    let stack = Stack::start().await;
    enter(&stack, &WRITERS).await;
    let mut expected = [
        "d’Ormesson",
        "Dupont",
        "elan",
        "Éluard",
        "MARTIN",
        "martin",
        "Martin-Dupont",
        "Œuvrard",
        "Zola",
    ];
    assert_eq!(names(&list(&stack, "").await), expected);
    assert_eq!(names(&list(&stack, "sort=last_name").await), expected);
    expected.reverse();
    assert_eq!(names(&list(&stack, "sort=-last_name").await), expected);

    let mut entered = WRITERS.map(|(last_name, _)| last_name);
    assert_eq!(names(&list(&stack, "sort=created_at").await), entered);
    entered.reverse();
    assert_eq!(names(&list(&stack, "sort=-created_at").await), entered);
}

#[tokio::test]
async fn contacts_are_found_by_the_beginning_of_the_last_name_or_a_whole_address() {
    let stack = Stack::start().await;
    enter(&stack, &WRITERS).await;
    for (first_name, email) in [
        ("Ana", "ana@example.fr"),
        ("Bob", "Ana@Example.FR"),
        ("Cy", "cy@example.fr"),
    ] {
        stack
            .contact(json!({ "last_name": "Kacem", "first_name": first_name, "email": email }))
            .await;
    }
    let cases: [(&str, &[&str]); 13] = [
        ("el", &["elan", "Éluard"]),
        ("ÉL", &["elan", "Éluard"]),
        ("mart", &["MARTIN", "martin", "Martin-Dupont"]),
        ("martin dup", &["Martin-Dupont"]),
        ("martin-d", &["Martin-Dupont"]),
        ("d'orm", &["d’Ormesson"]),
        ("oeuv", &["Œuvrard"]),
        ("artin", &[]),
        ("ana@example.fr", &["Kacem", "Kacem"]),
        ("ANA@EXAMPLE.FR", &["Kacem", "Kacem"]),
        ("ana@example", &[]),
        ("nobody@example.fr", &[]),
        ("Léa", &[]),
    ];
    for (q, expected) in cases {
        for sort in ["last_name", "-last_name", "created_at", "-created_at"] {
            let page = list(&stack, &format!("q={q}&sort={sort}")).await;
            let (mut found, mut expected) = (names(&page), expected.to_vec());
            assert_eq!(page["total"], expected.len(), "{q} {sort}");
            if sort != "last_name" {
                found.sort();
                expected.sort_unstable();
            }
            assert_eq!(found, expected, "{q} {sort}");
        }
    }
    assert_eq!(list(&stack, "q=").await["total"], 12);
    assert_eq!(list(&stack, "q=%20%20").await["total"], 12);
}

#[tokio::test]
async fn state_and_assignee_narrow_a_list() {
    let stack = Stack::start().await;
    for (index, name) in ["Abel", "Abeille", "Bac", "Cid", "Dax", "Eu"].iter().enumerate() {
        let mut body = json!({ "last_name": name, "email": "same@example.fr" });
        if index % 2 == 0 {
            body["assigned_to"] = json!("agent");
        }
        stack.contact(body).await;
    }
    let cases: [(&str, &[&str]); 7] = [
        ("assigned_to=agent", &["Abel", "Bac", "Dax"]),
        ("assigned_to=agent&q=ab", &["Abel"]),
        ("assigned_to=agent&q=same@example.fr", &["Abel", "Bac", "Dax"]),
        ("assigned_to=nobody", &[]),
        ("state=anonymised", &[]),
        (
            "state=active&assigned_to=agent&sort=last_name",
            &["Abel", "Bac", "Dax"],
        ),
        (
            "state=active&sort=-last_name",
            &["Eu", "Dax", "Cid", "Bac", "Abel", "Abeille"],
        ),
    ];
    for (query, expected) in cases {
        let page = list(&stack, query).await;
        assert_eq!(names(&page), expected, "{query}");
        assert_eq!(page["total"], expected.len(), "{query}");
        // The same in pages of one: a filter never makes a page come short, or the list end early.
        let singly = pages(&stack, &format!("{query}&limit=1")).await;
        let found: Vec<_> = singly.iter().flat_map(names).collect();
        assert_eq!(found, expected, "{query}");
        for page in &singly {
            assert_eq!(page["total"], expected.len(), "{query}");
        }
    }
}

#[tokio::test]
async fn pages_hold_every_contact_once_in_each_order() {
    let stack = Stack::start().await;
    let all: Vec<(String, String)> = (0..25)
        .map(|n| (format!("Name{}", n % 7), format!("{n}")))
        .collect();
    let all: Vec<_> = all.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let ids: BTreeSet<_> = enter(&stack, &all).await.into_iter().collect();
    for sort in ["last_name", "-last_name", "created_at", "-created_at"] {
        let pages = pages(&stack, &format!("sort={sort}&limit=10")).await;
        let sizes: Vec<_> = pages
            .iter()
            .map(|page| page["items"].as_array().unwrap().len())
            .collect();
        assert_eq!(sizes, [10, 10, 5], "{sort}");
        assert!(pages.iter().all(|page| page["total"] == 25), "{sort}");
        let found: Vec<_> = pages
            .iter()
            .flat_map(|page| page["items"].as_array().unwrap())
            .collect();
        let unique: BTreeSet<_> = found
            .iter()
            .map(|contact| contact["id"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(unique, ids, "{sort}");
        let whole = list(&stack, &format!("sort={sort}&limit=200")).await;
        assert!(whole["items"].as_array().unwrap().iter().eq(found), "{sort}");
        assert!(whole.get("next_cursor").is_none());
    }
    let exact = list(&stack, "limit=25").await;
    assert_eq!(exact["items"].as_array().unwrap().len(), 25);
    assert!(
        exact.get("next_cursor").is_none(),
        "a last page that is full is still the last"
    );
}

#[tokio::test]
async fn a_cursor_keeps_its_place_and_names_nobody() {
    let stack = Stack::start().await;
    enter(&stack, &[("Bac", "B"), ("Cid", "C"), ("Dax", "D"), ("Eu", "E")]).await;
    let first = list(&stack, "limit=2").await;
    assert_eq!(names(&first), ["Bac", "Cid"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let inside = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).unwrap())
        .unwrap()
        .to_lowercase();
    assert!(!inside.contains("cid") && !inside.contains("dax"), "{inside}");

    // What is entered before the place does not shift what comes after it.
    enter(&stack, &[("Abel", "A")]).await;
    let second = list(&stack, &format!("limit=2&cursor={cursor}")).await;
    assert_eq!(names(&second), ["Dax", "Eu"]);
    assert_eq!(second["total"], 4, "the total is counted once, on the first page");
}

#[tokio::test]
async fn a_cursor_whose_contact_moved_or_went_is_refused() {
    let stack = Stack::start().await;
    let ids = enter(&stack, &[("Bac", "B"), ("Cid", "C"), ("Dax", "D"), ("Eu", "E")]).await;
    let of = async |sort: &str| {
        let page = list(&stack, &format!("sort={sort}&limit=2")).await;
        format!(
            "/v1/contacts?sort={sort}&limit=2&cursor={}",
            page["next_cursor"].as_str().unwrap()
        )
    };
    let is_refused = |answer: Answer| assert_eq!(answer.problem(StatusCode::BAD_REQUEST), "cursor_invalid");
    let agent = stack.agent();
    let (by_name, by_time) = (of("last_name").await, of("created_at").await);
    let path = format!("/v1/contacts/{}", ids[1]);
    agent
        .patch(&path, "*", json!({ "job_title": "Chef" }))
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        names(&agent.get(&by_name).await.expect(StatusCode::OK)),
        ["Dax", "Eu"]
    );
    agent
        .patch(&path, "*", json!({ "last_name": "Zid" }))
        .await
        .expect(StatusCode::OK);
    is_refused(agent.get(&by_name).await);
    assert_eq!(
        names(&agent.get(&by_time).await.expect(StatusCode::OK)),
        ["Dax", "Eu"]
    );
    assert_eq!(agent.delete(&path).await.status, StatusCode::NO_CONTENT);
    is_refused(agent.get(&by_time).await);

    for wrong in ["x", "!!!", "YWJj", "MSBhYmMuZGVm", &"A".repeat(2_000)] {
        is_refused(agent.get(&format!("/v1/contacts?cursor={wrong}")).await);
    }
    // A cursor of another order is none of this one.
    let by_time = of("created_at").await;
    is_refused(
        agent
            .get(&by_time.replace("sort=created_at", "sort=last_name"))
            .await,
    );
}

#[tokio::test]
async fn a_tenant_sees_its_own_contacts_only() {
    let stack = Stack::start().await;
    stack
        .contact(json!({ "last_name": "Zola", "email": "emile@example.fr" }))
        .await;
    for query in ["", "?q=zo", "?q=emile@example.fr", "?sort=-created_at"] {
        let page = stack
            .other_agent()
            .get(&format!("/v1/contacts{query}"))
            .await
            .expect(StatusCode::OK);
        assert_eq!(page, json!({ "items": [], "total": 0 }), "{query}");
    }
}

//! Another tenant's things answer exactly as what is not there.

use oubli_tests::{Answer, Client, Stack};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::operations::{self, Need, Operation};

/// Ids of everything that the tenant `demo` has.
struct Things {
    contact: String,
    document: String,
    action: String,
    archive: String,
    group: String,
    member: String,
}

impl Things {
    async fn made(stack: &Stack) -> Self {
        let contact = stack
            .contact(json!({ "last_name": "Lefèvre", "email": "chloe@example.fr" }))
            .await;
        let document = stack.document(&contact, "paie.pdf", b"%PDF-1.4").await;
        stack.document(&contact, "contrat.pdf", b"%PDF-1.5").await;
        let second = stack.contact(json!({ "last_name": "Martin" })).await;
        stack.export(&[&second]).await;
        let action = stack.export(&[&contact, &second]).await;
        stack.drain().await;
        let items = stack.items(&action).await;
        let item = items.iter().find(|item| item["contact_id"] == *contact).unwrap();
        let groups = stack.admin().get("/v1/groups").await.json();
        let id = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            archive: id(&item["archive"]["id"]),
            group: id(&groups["items"][0]["id"]),
            member: "agent".to_owned(),
            contact,
            document,
            action,
        }
    }

    fn absent() -> Self {
        let absent = "0".repeat(32);
        Self {
            contact: absent.clone(),
            document: absent.clone(),
            action: absent.clone(),
            archive: absent.clone(),
            group: absent.clone(),
            member: "nobody".to_owned(),
        }
    }

    fn fill(&self, operation: &Operation) -> String {
        operation.path_with(|name| {
            let id = match name {
                "contact_id" => &self.contact,
                "document_id" => &self.document,
                "action_id" => &self.action,
                "archive_id" => &self.archive,
                "group_id" => &self.group,
                "member_id" => &self.member,
                _ => panic!("no id for `{name}`"),
            };
            id.clone()
        })
    }

    fn all(&self) -> [&str; 5] {
        // A member's id is chosen by people, so it may be the same in two tenants.
        [
            &self.contact,
            &self.document,
            &self.action,
            &self.archive,
            &self.group,
        ]
    }
}

/// An answer without what differs from one request to the next.
#[derive(Debug, PartialEq)]
struct Comparable {
    status: StatusCode,
    headers: Vec<(String, Vec<u8>)>,
    body: String,
}

fn comparable(answer: &Answer) -> Comparable {
    let request_id = answer.header("x-request-id").unwrap();
    let body = answer.text().replace(request_id, "<request id>");
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| !["x-request-id", "date"].contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
        .collect();
    headers.sort();
    Comparable {
        status: answer.status,
        headers,
        body,
    }
}

/// Everything of `demo`, as its administrator sees it.
async fn state_of_demo(stack: &Stack, things: &Things) -> Vec<Value> {
    let admin = stack.admin();
    let mut state = Vec::new();
    for operation in operations::all() {
        let shows = operation.is_a_list() || operation.path.ends_with("_id}");
        if operation.method == reqwest::Method::GET && shows {
            let answer = admin.get(&things.fill(&operation)).await;
            state.push(answer.expect(StatusCode::OK));
        }
    }
    state
}

/// A way to ask: its name, its headers, its body.
type Variant<'a> = (&'a str, &'a [(&'a str, &'a str)], Option<Vec<u8>>);

#[tokio::test]
async fn anothers_is_as_absent_as_what_is_not_there() {
    let stack = Stack::start().await;
    let (foreign, absent) = (Things::made(&stack).await, Things::absent());
    let other = stack.other_admin();
    let before = state_of_demo(&stack, &foreign).await;
    let mut compared = 0;
    for operation in operations::all() {
        if !operation.names_something() || operation.need == Need::Nothing {
            continue;
        }
        let good = operation.body.as_ref().map(|body| body.to_string().into_bytes());
        let variants: [Variant<'_>; 5] = [
            ("good", &[("if-match", "*")], good.clone()),
            ("with a version", &[("if-match", "\"1\"")], good.clone()),
            ("without a version", &[], good.clone()),
            ("with a key", &[("if-match", "*"), ("idempotency-key", "k")], good),
            ("with a wrong body", &[("if-match", "*")], Some(b"{".to_vec())),
        ];
        for (variant, headers, body) in variants {
            let call = async |things: &Things| {
                let path = things.fill(&operation);
                let method = operation.method.clone();
                other.call(method, &path, headers, body.clone()).await
            };
            let (of_foreign, of_absent) = (call(&foreign).await, call(&absent).await);
            let place = format!("{} {} {variant}", operation.method, operation.path);
            assert_eq!(
                comparable(&of_foreign),
                comparable(&of_absent),
                "{place}: {} and {}",
                of_foreign.text(),
                of_absent.text()
            );
            if variant == "good" {
                assert_eq!(of_foreign.problem(StatusCode::NOT_FOUND), "not_found", "{place}");
            }
            assert!(of_foreign.status.is_client_error(), "{place}");
            compared += 1;
        }
    }
    assert!(compared >= 90, "{compared}");
    assert_eq!(state_of_demo(&stack, &foreign).await, before);
}

/// One's own contact does not open the way to another's document, nor to one's own other contact's.
#[tokio::test]
async fn a_document_is_found_under_its_own_contact_only() {
    let stack = Stack::start().await;
    let foreign = Things::made(&stack).await;
    let own = |tenant_client: Client, name: &'static str| async move {
        let made = tenant_client
            .post("/v1/contacts", json!({ "last_name": name }))
            .await;
        made.expect(StatusCode::CREATED)["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let of_other = own(stack.other_agent(), "Smith").await;
    let sibling = own(stack.agent(), "Durand").await;
    for operation in operations::all() {
        if !operation.path.contains("{document_id}") {
            continue;
        }
        for (client, contact) in [(stack.other_agent(), &of_other), (stack.agent(), &sibling)] {
            let call = async |document: &str| {
                let path = operation.path_with(|name| match name {
                    "contact_id" => contact.clone(),
                    _ => document.to_owned(),
                });
                client.call(operation.method.clone(), &path, &[], None).await
            };
            let (found, absent) = (call(&foreign.document).await, call(&"0".repeat(32)).await);
            assert_eq!(found.problem(StatusCode::NOT_FOUND), "not_found");
            assert_eq!(comparable(&found), comparable(&absent), "{operation:?}");
        }
    }
    let path = format!(
        "/v1/contacts/{}/documents/{}/content",
        foreign.contact, foreign.document
    );
    assert_eq!(stack.agent().get(&path).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_photo_is_ones_own() {
    let stack = Stack::start().await;
    let foreign = Things::made(&stack).await;
    let agent = stack.other_agent();
    let made = agent.post("/v1/contacts", json!({ "last_name": "Smith" })).await;
    let own = made.expect(StatusCode::CREATED)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/v1/contacts/{own}");
    let with = async |photo: &str| {
        agent
            .patch(&path, "*", json!({ "photo_document_id": photo }))
            .await
    };
    let (of_foreign, of_absent) = (with(&foreign.document).await, with(&"0".repeat(32)).await);
    assert_eq!(of_foreign.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(comparable(&of_foreign), comparable(&of_absent));
}

#[tokio::test]
async fn a_selection_sees_anothers_contact_as_absent() {
    let stack = Stack::start().await;
    let foreign = Things::made(&stack).await;
    let other = stack.other_agent();
    let body = json!({ "kind": "export", "selection": { "contact_ids": [foreign.contact] } });

    let preview = async || other.post("/v1/data-actions/preview", body.clone()).await;
    let while_there = preview().await;
    let shown = while_there.expect(StatusCode::OK);
    assert_eq!(shown["documents"], 0, "{shown}");
    assert_eq!(shown["blocked"][0]["reason"], "contact_absent", "{shown}");
    let started = other.post("/v1/data-actions", body.clone()).await;
    let action = started.expect(StatusCode::ACCEPTED)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    stack.drain().await;
    let items = other.get(&format!("/v1/data-actions/{action}/items")).await;
    let items = items.expect(StatusCode::OK);
    assert_eq!(items["items"][0]["state"], "failed", "{items}");
    assert_eq!(items["items"][0]["reason"], "contact_absent", "{items}");
    assert!(items["items"][0].get("archive").is_none(), "{items}");

    // The very same id once it is nobody's: the very same bytes.
    let path = format!("/v1/contacts/{}", foreign.contact);
    let seen = other.get(&path).await;
    assert_eq!(stack.agent().delete(&path).await.status, StatusCode::NO_CONTENT);
    stack.drain().await;
    assert_eq!(comparable(&preview().await), comparable(&while_there));
    assert_eq!(comparable(&other.get(&path).await), comparable(&seen));

    // A filter that matches everybody matches one's own only.
    let all = json!({ "kind": "export", "selection": { "filter": {} } });
    let mine = other.post("/v1/contacts", json!({ "last_name": "Smith" })).await;
    mine.expect(StatusCode::CREATED);
    let shown = other.post("/v1/data-actions/preview", all).await;
    assert_eq!(shown.expect(StatusCode::OK)["contacts"], 1);
    let by_mail = json!({ "kind": "export", "selection": { "filter": { "q": "chloe@example.fr" } } });
    let shown = other.post("/v1/data-actions/preview", by_mail).await;
    assert_eq!(shown.expect(StatusCode::OK)["contacts"], 0);
}

#[tokio::test]
async fn lists_and_their_cursors_stay_in_the_tenant() {
    let stack = Stack::start().await;
    let foreign = Things::made(&stack).await;
    let (admin, other) = (stack.admin(), stack.other_admin());
    // Something of one's own beside, so that there are lists to look at.
    let id = |answer: Answer, status| answer.expect(status)["id"].as_str().unwrap().to_owned();
    let contact = id(
        other.post("/v1/contacts", json!({ "last_name": "Smith" })).await,
        StatusCode::CREATED,
    );
    let body = json!({ "kind": "export", "selection": { "contact_ids": [contact] } });
    let action = id(other.post("/v1/data-actions", body).await, StatusCode::ACCEPTED);
    stack.drain().await;
    let own = Things {
        contact,
        action,
        ..Things::absent()
    };
    // Two entries of the audit.
    for _ in 0..2 {
        let link = format!("/v1/archives/{}/content", foreign.archive);
        assert_eq!(admin.get(&link).await.status, StatusCode::SEE_OTHER);
    }
    let mut cursors = 0;
    for operation in operations::all().iter().filter(|operation| operation.is_a_list()) {
        let path = own.fill(operation);
        let listed = other.get(&format!("{path}?limit=200")).await;
        listed.expect(StatusCode::OK);
        let nothing_foreign = |answer: &Answer| {
            for id in foreign.all() {
                assert!(!answer.text().contains(id), "{path}: {}", answer.text());
            }
            assert!(!answer.text().contains("demo.example.com"), "{path}");
        };
        nothing_foreign(&listed);

        let first = admin.get(&format!("{}?limit=1", foreign.fill(operation))).await;
        let first = first.expect(StatusCode::OK);
        let cursor = first["next_cursor"]
            .as_str()
            .unwrap_or_else(|| panic!("{path}: one page only: {first}"));
        let answer = other.get(&format!("{path}?limit=1&cursor={cursor}")).await;
        assert!(
            [StatusCode::OK, StatusCode::BAD_REQUEST].contains(&answer.status),
            "{path}: {}",
            answer.text()
        );
        nothing_foreign(&answer);
        cursors += 1;
    }
    assert_eq!(cursors, 7);
}

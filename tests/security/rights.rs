//! Members without the right, and people who are no members: 403, before any body is looked at.

use oubli_tests::{Client, Stack};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::operations::{self, Need};

/// A member who administers and has no other right.
async fn clerk(stack: &Stack) -> Client {
    let admin = stack.admin();
    let member = json!({ "id": "clerk", "name": "Camille Clerk", "email": "clerk@demo.example.com" });
    admin
        .post("/v1/members", member)
        .await
        .expect(StatusCode::CREATED);
    let group = json!({ "name": "Clerks", "rights": ["administration"], "member_ids": ["clerk"] });
    admin.post("/v1/groups", group).await.expect(StatusCode::CREATED);
    stack.member("demo", "clerk")
}

#[tokio::test]
async fn every_operation_refuses_who_lacks_its_right() {
    let stack = Stack::start().await;
    let clerk = clerk(&stack).await;
    let everybody: [(&str, Client, &[Need], &str); 8] = [
        (
            "guest",
            stack.guest(),
            &[Need::Administration, Need::Contacts],
            "right_missing",
        ),
        ("agent", stack.agent(), &[Need::Administration], "right_missing"),
        ("clerk", clerk, &[Need::Contacts], "right_missing"),
        (
            "nobody's member",
            stack.member("demo", "ghost"),
            &ALL,
            "not_a_member",
        ),
        (
            "a member's id in other letters",
            stack.member("demo", "ADMIN"),
            &ALL,
            "not_a_member",
        ),
        (
            "a member of another tenant",
            stack.member("demo", "other-admin"),
            &ALL,
            "not_a_member",
        ),
        (
            "a member's id in another tenant",
            stack.member("other", "admin"),
            &ALL,
            "not_a_member",
        ),
        (
            "a tenant that is not there",
            stack.member("nowhere", "admin"),
            &ALL,
            "not_a_member",
        ),
    ];
    for (who, client, lacks, code) in everybody {
        for operation in operations::all() {
            if operation.need == Need::Nothing {
                continue;
            }
            let query = if operation.need == Need::Membership {
                ""
            } else {
                "?nonsense=1"
            };
            let path = format!("{}{query}", operation.path_with(|_| "%23".to_owned()));
            let wrong = [("content-type", "text/plain"), ("idempotency-key", "")];
            let answer = client
                .call(operation.method.clone(), &path, &wrong, Some(b"{".to_vec()))
                .await;
            let place = format!(
                "{who}: {} {}: {}",
                operation.method,
                operation.path,
                answer.text()
            );
            if lacks.contains(&operation.need) {
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{place}");
                assert_eq!(answer.problem(StatusCode::FORBIDDEN), code, "{place}");
            } else {
                assert_ne!(answer.status, StatusCode::FORBIDDEN, "{place}");
                assert_ne!(answer.status, StatusCode::UNAUTHORIZED, "{place}");
                assert!(!answer.status.is_server_error(), "{place}");
            }
        }
    }
}

const ALL: [Need; 3] = [Need::Membership, Need::Administration, Need::Contacts];

/// What would be done if it were allowed is not done either.
#[tokio::test]
async fn what_is_refused_has_no_effect() {
    let stack = Stack::start().await;
    let contact = stack.contact(json!({ "last_name": "Lefèvre" })).await;
    let before = stack.agent().get(&format!("/v1/contacts/{contact}")).await;
    let members = stack.admin().get("/v1/members").await.json();
    for client in [stack.guest(), stack.member("demo", "ghost"), stack.nobody()] {
        for operation in operations::all() {
            if operation.need == Need::Nothing || operation.method == Method::GET {
                continue;
            }
            let path = operation.path_with(|name| match name {
                "contact_id" => contact.clone(),
                "member_id" => "agent".to_owned(),
                _ => "0".repeat(32),
            });
            let body = operation.body.map(|body| body.to_string().into_bytes());
            let answer = client
                .call(operation.method, &path, &[("if-match", "*")], body)
                .await;
            assert!(
                [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&answer.status),
                "{}",
                answer.text()
            );
        }
    }
    let after = stack.agent().get(&format!("/v1/contacts/{contact}")).await;
    assert_eq!(after.json(), before.json());
    assert_eq!(stack.admin().get("/v1/members").await.json(), members);
    let actions = stack.agent().get("/v1/data-actions").await;
    assert_eq!(actions.json()["total"], 0);
    let contacts = stack.agent().get("/v1/contacts").await;
    assert_eq!(contacts.json()["total"], 1);
}

#[tokio::test]
async fn a_change_of_groups_counts_from_the_next_call_on() {
    let stack = Stack::start().await;
    // The same token throughout.
    let (admin, guest) = (stack.admin(), stack.guest());
    let refused = guest.get("/v1/contacts").await;
    assert_eq!(refused.problem(StatusCode::FORBIDDEN), "right_missing");

    let group = json!({ "name": "G", "rights": ["client_contacts_privacy"], "member_ids": ["guest"] });
    let made = admin.post("/v1/groups", group).await;
    let id = made.expect(StatusCode::CREATED)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    guest.get("/v1/contacts").await.expect(StatusCode::OK);

    let path = format!("/v1/groups/{id}");
    let without = json!({ "name": "G", "rights": [], "member_ids": ["guest"] });
    admin.put(&path, "*", without).await.expect(StatusCode::OK);
    let refused = guest.get("/v1/contacts").await;
    assert_eq!(refused.problem(StatusCode::FORBIDDEN), "right_missing");

    let with = json!({ "name": "G", "rights": ["client_contacts_privacy"], "member_ids": ["guest"] });
    admin.put(&path, "*", with).await.expect(StatusCode::OK);
    guest.get("/v1/contacts").await.expect(StatusCode::OK);
    assert_eq!(admin.delete(&path).await.status, StatusCode::NO_CONTENT);
    let refused = guest.get("/v1/contacts").await;
    assert_eq!(refused.problem(StatusCode::FORBIDDEN), "right_missing");

    let removed = admin.delete("/v1/members/guest").await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT, "{}", removed.text());
    let refused = guest.get("/v1/contacts").await;
    assert_eq!(refused.problem(StatusCode::FORBIDDEN), "not_a_member");
    let refused = guest.get("/v1/me").await;
    assert_eq!(refused.problem(StatusCode::FORBIDDEN), "not_a_member");
}

/// A key is its member's own: neither a colleague nor another tenant meets what it made.
#[tokio::test]
async fn an_idempotency_key_belongs_to_its_member() {
    let stack = Stack::start().await;
    let create = async |client: Client, name: &str| {
        let body = json!({ "last_name": name }).to_string().into_bytes();
        let key = [("idempotency-key", "the same")];
        let made = client.call(Method::POST, "/v1/contacts", &key, Some(body)).await;
        made.expect(StatusCode::CREATED)["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let of_agent = create(stack.agent(), "A").await;
    assert_eq!(create(stack.agent(), "A").await, of_agent);
    let of_admin = create(stack.admin(), "B").await;
    let of_other = create(stack.other_agent(), "C").await;
    assert!(of_agent != of_admin && of_agent != of_other && of_admin != of_other);
    // Who has lost the right gets no replay of what was done with it.
    let admin = stack.admin();
    let groups = admin.get("/v1/groups").await.json();
    let groups = groups["items"].as_array().unwrap().clone();
    for group in groups
        .iter()
        .filter(|group| group["member_ids"] == json!(["agent"]))
    {
        let path = format!("/v1/groups/{}", group["id"].as_str().unwrap());
        assert_eq!(admin.delete(&path).await.status, StatusCode::NO_CONTENT);
    }
    let body = json!({ "last_name": "A" }).to_string().into_bytes();
    let key = [("idempotency-key", "the same")];
    let again = stack
        .agent()
        .call(Method::POST, "/v1/contacts", &key, Some(body))
        .await;
    assert_eq!(again.problem(StatusCode::FORBIDDEN), "right_missing");
}

//! Members, groups and the rights that they give.

use oubli_tests::Stack;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// The group of a tenant `demo` that gives exactly these rights.
async fn group_with(stack: &Stack, right: &str) -> Value {
    let groups = stack.admin().get("/v1/groups").await.expect(StatusCode::OK);
    let fits = |group: &&Value| group["rights"].as_array().unwrap().contains(&json!(right));
    let mut fitting: Vec<_> = groups["items"].as_array().unwrap().iter().filter(fits).collect();
    fitting.sort_by_key(|group| group["rights"].as_array().unwrap().len());
    fitting[0].clone()
}

fn draft(group: &Value) -> Value {
    json!({ "name": group["name"], "rights": group["rights"], "member_ids": group["member_ids"] })
}

fn path_of(group: &Value) -> String {
    format!("/v1/groups/{}", group["id"].as_str().unwrap())
}

#[tokio::test]
async fn everybody_sees_who_they_are() {
    let stack = Stack::start().await;
    let me = stack.agent().get("/v1/me").await.expect(StatusCode::OK);
    assert_eq!(me["member"]["id"], "agent");
    assert_eq!(me["member"]["email"], "agent@demo.example.com");
    assert_eq!(
        me["tenant"],
        json!({ "id": "demo", "name": "Démo SARL", "language": "fr" })
    );
    assert_eq!(me["rights"], json!(["client_contacts_privacy"]));
    assert_eq!(
        stack.guest().get("/v1/me").await.expect(StatusCode::OK)["rights"],
        json!([])
    );
    let admin = stack.admin().get("/v1/me").await.expect(StatusCode::OK);
    assert!(
        admin["rights"]
            .as_array()
            .unwrap()
            .contains(&json!("administration"))
    );
    let stranger = stack.member("demo", "stranger").get("/v1/me").await;
    assert_eq!(stranger.problem(StatusCode::FORBIDDEN), "not_a_member");
}

#[tokio::test]
async fn members_are_entered_changed_listed_and_removed() {
    let stack = Stack::start().await;
    let admin = stack.admin();
    let body = json!({ "id": "auth0|new.one", "name": "Noé", "email": "noe@demo.example.com" });
    let answer = admin.post("/v1/members", body.clone()).await;
    let created = answer.expect(StatusCode::CREATED);
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(&created[name], value);
    }
    let path = answer.header("location").unwrap().to_owned();
    assert_eq!(path, "/v1/members/auth0%7Cnew.one");
    assert_eq!(admin.get(&path).await.expect(StatusCode::OK), created);
    assert_eq!(
        admin
            .post("/v1/members", body)
            .await
            .problem(StatusCode::CONFLICT),
        "already_exists"
    );

    let change = json!({ "name": "Noé Neuf" });
    let headers = [("content-type", "application/json")];
    let changed = admin
        .call(
            Method::PATCH,
            &path,
            &headers,
            Some(change.to_string().into_bytes()),
        )
        .await;
    let changed = changed.expect(StatusCode::OK);
    assert_eq!(
        (&changed["name"], &changed["email"]),
        (&json!("Noé Neuf"), &created["email"])
    );

    let listed = admin.get("/v1/members").await.expect(StatusCode::OK);
    assert_eq!(listed["total"], 4);
    let ids: Vec<_> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| member["id"].clone())
        .collect();
    assert_eq!(ids, ["admin", "agent", "auth0|new.one", "guest"]);
    let first = admin.get("/v1/members?limit=3").await.expect(StatusCode::OK);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = admin
        .get(&format!("/v1/members?limit=3&cursor={cursor}"))
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        (&second["items"][0]["id"], &second["total"]),
        (&json!("guest"), &json!(4))
    );
    assert!(second.get("next_cursor").is_none());

    let joined = stack.member("demo", "auth0|new.one");
    assert_eq!(joined.get("/v1/me").await.status, StatusCode::OK);
    assert_eq!(admin.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(
        admin.delete(&path).await.problem(StatusCode::NOT_FOUND),
        "not_found"
    );
    assert_eq!(admin.get(&path).await.problem(StatusCode::NOT_FOUND), "not_found");
    assert_eq!(
        joined.get("/v1/me").await.problem(StatusCode::FORBIDDEN),
        "not_a_member"
    );
}

#[tokio::test]
async fn a_change_of_group_counts_from_the_next_call_on() {
    let stack = Stack::start().await;
    let (admin, guest, agent) = (stack.admin(), stack.guest(), stack.agent());
    assert_eq!(
        guest.get("/v1/contacts").await.problem(StatusCode::FORBIDDEN),
        "right_missing"
    );
    assert_eq!(
        agent.get("/v1/groups").await.problem(StatusCode::FORBIDDEN),
        "right_missing"
    );

    let group = group_with(&stack, "client_contacts_privacy").await;
    let mut wider = draft(&group);
    wider["member_ids"] = json!(["agent", "guest"]);
    let answer = admin.put(&path_of(&group), "\"1\"", wider.clone()).await;
    assert_eq!(answer.expect(StatusCode::OK)["version"], 2);
    assert_eq!(answer.header("etag"), Some("\"2\""));
    assert_eq!(guest.get("/v1/contacts").await.status, StatusCode::OK);

    wider["rights"] = json!([]);
    admin
        .put(&path_of(&group), "\"2\"", wider)
        .await
        .expect(StatusCode::OK);
    for member in [&guest, &agent] {
        assert_eq!(
            member.get("/v1/contacts").await.problem(StatusCode::FORBIDDEN),
            "right_missing"
        );
    }

    // The rights of several groups add up, and go with the group.
    let body = json!({ "name": "Second", "rights": ["client_contacts_privacy"], "member_ids": ["guest"] });
    let second = admin.post("/v1/groups", body).await;
    assert_eq!(second.header("etag"), Some("\"1\""));
    let second = path_of(&second.expect(StatusCode::CREATED));
    assert_eq!(guest.get("/v1/contacts").await.status, StatusCode::OK);
    assert_eq!(admin.delete(&second).await.status, StatusCode::NO_CONTENT);
    assert_eq!(
        guest.get("/v1/contacts").await.problem(StatusCode::FORBIDDEN),
        "right_missing"
    );
    assert_eq!(
        admin.get(&second).await.problem(StatusCode::NOT_FOUND),
        "not_found"
    );
    assert_eq!(
        admin.delete(&second).await.problem(StatusCode::NOT_FOUND),
        "not_found"
    );
}

#[tokio::test]
async fn somebody_can_always_administer() {
    let stack = Stack::start().await;
    let admin = stack.admin();
    let group = group_with(&stack, "administration").await;
    let path = path_of(&group);
    let mut without_right = draft(&group);
    without_right["rights"] = json!(["client_contacts_privacy"]);
    let mut without_member = draft(&group);
    without_member["member_ids"] = json!([]);
    for refused in [
        admin.put(&path, "*", without_right.clone()).await,
        admin.put(&path, "*", without_member.clone()).await,
        admin.delete(&path).await,
        admin.delete("/v1/members/admin").await,
    ] {
        assert_eq!(refused.problem(StatusCode::CONFLICT), "last_administrator");
    }
    assert_eq!(admin.get(&path).await.expect(StatusCode::OK), group);

    let body = json!({ "name": "Autres", "rights": ["administration"], "member_ids": ["agent"] });
    admin.post("/v1/groups", body).await.expect(StatusCode::CREATED);
    assert_eq!(
        admin.delete("/v1/members/admin").await.status,
        StatusCode::NO_CONTENT
    );
    let emptied = stack.agent().get(&path).await.expect(StatusCode::OK);
    assert_eq!(
        emptied["member_ids"],
        json!([]),
        "who is removed leaves every group"
    );
    assert_eq!(stack.agent().delete(&path).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_group_changes_from_a_version() {
    let stack = Stack::start().await;
    let admin = stack.admin();
    let group = group_with(&stack, "client_contacts_privacy").await;
    let (path, body) = (path_of(&group), draft(&group));
    assert_eq!(admin.get(&path).await.header("etag"), Some("\"1\""));
    let bytes = Some(body.to_string().into_bytes());
    let without = admin.call(Method::PUT, &path, &[], bytes).await;
    assert_eq!(
        without.problem(StatusCode::PRECONDITION_REQUIRED),
        "if_match_missing"
    );
    let stale = admin.put(&path, "\"9\"", body.clone()).await;
    assert_eq!(
        stale.problem(StatusCode::PRECONDITION_FAILED),
        "precondition_failed"
    );
    assert_eq!(
        admin.put(&path, "*", body).await.expect(StatusCode::OK)["version"],
        2
    );
}

#[tokio::test]
async fn groups_hold_members_and_rights_that_there_are() {
    let stack = Stack::start().await;
    let admin = stack.admin();
    let cases = [
        (json!({ "name": "", "rights": [], "member_ids": [] }), "/name"),
        (
            json!({ "name": "G", "rights": ["administration", "everything"], "member_ids": [] }),
            "/rights/1",
        ),
        (
            json!({ "name": "G", "rights": [], "member_ids": ["agent", "a b"] }),
            "/member_ids/1",
        ),
        (
            json!({ "name": "G", "rights": [], "member_ids": ["stranger"] }),
            "/member_ids",
        ),
        (
            json!({ "name": "G", "rights": [], "member_ids": ["other-agent"] }),
            "/member_ids",
        ),
    ];
    for (body, pointer) in cases {
        let answer = admin.post("/v1/groups", body.clone()).await;
        assert_eq!(
            answer.problem(StatusCode::UNPROCESSABLE_ENTITY),
            "input_refused",
            "{body}"
        );
        assert_eq!(answer.pointers(), [pointer], "{body}");
    }
    let members = [
        (
            json!({ "id": "a b", "name": "N", "email": "n@example.fr" }),
            vec!["/id"],
        ),
        (
            json!({ "id": "n", "name": " ", "email": "nobody" }),
            vec!["/name", "/email"],
        ),
    ];
    for (body, pointers) in members {
        let answer = admin.post("/v1/members", body.clone()).await;
        assert_eq!(
            answer.problem(StatusCode::UNPROCESSABLE_ENTITY),
            "input_refused",
            "{body}"
        );
        assert_eq!(answer.pointers(), pointers, "{body}");
    }
    assert_eq!(admin.get("/v1/groups").await.expect(StatusCode::OK)["total"], 2);
    assert_eq!(admin.get("/v1/members").await.expect(StatusCode::OK)["total"], 3);
    let first = admin.get("/v1/groups?limit=1").await.expect(StatusCode::OK);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = admin
        .get(&format!("/v1/groups?limit=1&cursor={cursor}"))
        .await
        .expect(StatusCode::OK);
    assert_ne!(second["items"][0]["id"], first["items"][0]["id"]);
    assert!(second.get("next_cursor").is_none());
}

//! As many groups as there may be, with as many members as they may have, whose ids are as long as they may be.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use oubli_domain::group::{MAX_GROUP_MEMBERS, MAX_GROUPS};
use oubli_domain::paging::MAX_EXACT_TOTAL;
use oubli_tests::Stack;
use reqwest::StatusCode;
use serde_json::{Value, json};

/// As `docs/limits.md` has them.
const GROUPS: usize = MAX_GROUPS;
const MEMBERS: usize = MAX_GROUP_MEMBERS;

type Item = HashMap<String, AttributeValue>;

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn member(number: usize) -> String {
    format!("{number:0128}")
}

fn group(number: usize) -> String {
    format!("{number:032}")
}

fn list_of_all() -> AttributeValue {
    AttributeValue::L((0..MEMBERS).map(|number| text(member(number))).collect())
}

/// Writes items of the tenant `demo`, beneath the API.
async fn seed(stack: &Stack, items: Vec<(String, Item)>) {
    let tables = aws_sdk_dynamodb::Client::new(&stack.aws().await);
    let settings = &stack.runner.provisioned().environment["api"];
    let table = &settings["OUBLI_REQUESTS_TABLE"];
    let puts = items.into_iter().map(|(sk, mut item)| {
        item.insert("pk".to_owned(), text("T#demo"));
        item.insert("sk".to_owned(), text(sk));
        let put = PutRequest::builder().set_item(Some(item)).build().unwrap();
        WriteRequest::builder().put_request(put).build()
    });
    let puts: Vec<_> = puts.collect();
    let batches = puts.chunks(25).map(<[_]>::to_vec);
    let written =
        stream::iter(batches).map(|batch| tables.batch_write_item().request_items(table, batch).send());
    let written = written.buffer_unordered(4).try_collect::<Vec<_>>().await.unwrap();
    for answer in written {
        assert!(answer.unprocessed_items.unwrap_or_default().is_empty());
    }
}

fn member_item(number: usize, memberships: Vec<String>) -> (String, Item) {
    let id = member(number);
    let mut item = Item::from([
        ("id".to_owned(), text(&id)),
        ("name".to_owned(), text("N".repeat(200))),
        ("email".to_owned(), text(format!("{number}@demo.example.com"))),
        ("created_at".to_owned(), text("2026-01-01T00:00:00Z")),
    ]);
    if !memberships.is_empty() {
        item.insert("memberships".to_owned(), AttributeValue::Ss(memberships));
    }
    (format!("MEMBER#{id}"), item)
}

#[tokio::test]
async fn a_group_takes_as_many_members_as_it_may_have() {
    let stack = Stack::start().await;
    let admin = stack.admin();
    seed(
        &stack,
        (0..=MEMBERS)
            .map(|number| member_item(number, Vec::new()))
            .collect(),
    )
    .await;
    let body = |range: std::ops::Range<usize>| {
        let members: Vec<_> = range.map(member).collect();
        json!({ "name": "Largest", "rights": ["dossiers"], "member_ids": members })
    };
    let over = admin.post("/v1/groups", body(0..MEMBERS + 1)).await;
    assert_eq!(over.problem(StatusCode::UNPROCESSABLE_ENTITY), "input_refused");
    assert_eq!(over.pointers(), ["/member_ids"]);
    let made = admin
        .post("/v1/groups", body(0..MEMBERS))
        .await
        .expect(StatusCode::CREATED);
    let path = format!("/v1/groups/{}", made["id"].as_str().unwrap());
    let rights = async |number| {
        let me = stack.member("demo", &member(number)).get("/v1/me").await;
        me.expect(StatusCode::OK)["rights"].clone()
    };
    assert_eq!(rights(0).await, json!(["dossiers"]));
    assert_eq!(rights(MEMBERS - 1).await, json!(["dossiers"]));
    assert_eq!(rights(MEMBERS).await, json!([]));
    assert_eq!(admin.get(&path).await.expect(StatusCode::OK), made);
    // All but one leave at once, and another comes.
    let other =
        json!({ "name": "Largest", "rights": ["dossiers"], "member_ids": [member(0), member(MEMBERS)] });
    admin.put(&path, "\"1\"", other).await.expect(StatusCode::OK);
    assert_eq!(rights(0).await, json!(["dossiers"]));
    assert_eq!(rights(1).await, json!([]));
    assert_eq!(rights(MEMBERS).await, json!(["dossiers"]));
    assert_eq!(admin.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(rights(0).await, json!([]));
}

#[tokio::test]
async fn a_tenant_takes_as_many_groups_as_it_may_have_each_as_large_as_it_may_be() {
    let stack = Stack::start().await;
    let admin = stack.admin();
    let there = admin.get("/v1/groups").await.expect(StatusCode::OK)["total"]
        .as_u64()
        .unwrap();
    // The last is made by the API, the first are beneath it, for time's sake.
    let seeded = GROUPS - usize::try_from(there).unwrap() - 1;
    // One of the groups that are there, as its rights are stored.
    let body = json!({ "name": "Made", "rights": ["privacy_requests"], "member_ids": [] });
    admin
        .post("/v1/groups", body.clone())
        .await
        .expect(StatusCode::CREATED);
    let tables = aws_sdk_dynamodb::Client::new(&stack.aws().await);
    let settings = &stack.runner.provisioned().environment["api"];
    let get = tables.get_item().table_name(&settings["OUBLI_REQUESTS_TABLE"]);
    let get = get.key("pk", text("T#demo")).key("sk", text("RIGHTS"));
    let mut rights = get.send().await.unwrap().item.unwrap();
    let AttributeValue::M(groups) = rights.get_mut("groups").unwrap() else {
        panic!("no map of groups")
    };
    let mut items = Vec::new();
    let codes: Vec<_> = ["dossiers", "privacy_settings"].map(text).into();
    for number in 0..seeded {
        let id = group(number);
        let given = [
            ("rights".to_owned(), AttributeValue::L(codes.clone())),
            ("generation".to_owned(), text(group(7))),
            ("members".to_owned(), AttributeValue::N(MEMBERS.to_string())),
        ];
        groups.insert(id.clone(), AttributeValue::M(given.into()));
        let item = Item::from([
            ("id".to_owned(), text(&id)),
            ("name".to_owned(), text("é".repeat(200))),
            ("rights".to_owned(), AttributeValue::L(codes.clone())),
            ("member_ids".to_owned(), list_of_all()),
            ("version".to_owned(), AttributeValue::N("1".to_owned())),
        ]);
        items.push((format!("GROUP#{id}"), item));
    }
    items.push(("RIGHTS".to_owned(), rights));
    let all = (0..seeded).map(|number| format!("{}#{}", group(number), group(7)));
    let all = all.collect();
    // Of the members this one is asked for; the others are but in the lists.
    items.push(member_item(5, all));
    // Fewer at a time: a batch has at most 16 MB.
    for items in items.chunks(400) {
        seed(&stack, items.to_vec()).await;
    }

    let full = admin.post("/v1/groups", body).await;
    assert_eq!(full.problem(StatusCode::UNPROCESSABLE_ENTITY), "input_refused");
    let me = stack.member("demo", &member(5)).get("/v1/me").await;
    assert_eq!(
        me.expect(StatusCode::OK)["rights"],
        json!(["privacy_settings", "dossiers"])
    );

    // Every page fits into an answer of Lambda, and all come.
    let (mut listed, mut path) = (0, "/v1/groups?limit=200".to_owned());
    loop {
        let answer = admin.get(&path).await;
        assert!(answer.text().len() < 6_000_000, "{}", answer.text().len());
        let page: Value = answer.expect(StatusCode::OK);
        assert_eq!(page["total"], GROUPS);
        listed += page["items"].as_array().unwrap().len();
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/groups?limit=200&cursor={next}");
    }
    assert_eq!(listed, GROUPS);

    // Who is in all of them leaves all of them.
    let removed = admin.delete(&format!("/v1/members/{}", member(5))).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT, "{}", removed.text());
    for number in [0, seeded - 1] {
        let left = admin.get(&format!("/v1/groups/{}", group(number))).await;
        let left = left.expect(StatusCode::OK);
        assert_eq!(left["member_ids"].as_array().unwrap().len(), MEMBERS - 1);
        assert_eq!(left["version"], 2);
    }
}

#[tokio::test]
async fn members_are_counted_exactly_up_to_the_most_that_are() {
    let stack = Stack::start().await;
    let admin = stack.admin();
    let there = admin.get("/v1/members").await.expect(StatusCode::OK)["total"]
        .as_u64()
        .unwrap();
    let most = usize::try_from(MAX_EXACT_TOTAL - there).unwrap();
    let short = |number: usize| {
        let id = format!("n{number:05}");
        let (_, mut item) = member_item(number, Vec::new());
        item.insert("id".to_owned(), text(&id));
        item.insert("name".to_owned(), text("N"));
        (format!("MEMBER#{id}"), item)
    };
    seed(&stack, (0..most).map(short).collect()).await;
    let listed = admin.get("/v1/members?limit=1").await.expect(StatusCode::OK);
    assert_eq!(listed["total"], MAX_EXACT_TOTAL);
    seed(&stack, vec![short(most)]).await;
    let listed = admin.get("/v1/members?limit=1").await.expect(StatusCode::OK);
    assert_eq!(listed["total_at_least"], MAX_EXACT_TOTAL);
    assert!(listed.get("total").is_none());
    let me = stack.member("demo", "n00007").get("/v1/me").await;
    assert_eq!(me.expect(StatusCode::OK)["rights"], json!([]));
}

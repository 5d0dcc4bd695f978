//! Changes of large groups, looked at and killed in between: everybody has the rights of before or those of
//! after, and what a process leaves behind does no harm and goes with a later change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::SignedDuration;
use oubli_local::faults::{Fault, Gate, Outcome};
use oubli_tests::Answer;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::{API, Random, World, meanwhile};

/// Longer than a process lives.
const LIFE: SignedDuration = SignedDuration::from_mins(16);
const MEMBERS: usize = 200;
/// Two lists with more differences than one transaction takes: 100 and 150 members.
const LISTS: [std::ops::Range<usize>; 2] = [0..100, 50..200];

fn member(number: usize) -> String {
    format!("m{number:03}")
}

fn body(list: usize) -> Value {
    let members: Vec<_> = LISTS[list].clone().map(member).collect();
    json!({ "name": "Large", "rights": ["dossiers"], "member_ids": members })
}

/// A group of the first list; its path.
async fn large_group(world: &World) -> String {
    let admin = world.stack.admin();
    for number in 0..MEMBERS {
        let id = member(number);
        let body = json!({ "id": id, "name": id, "email": format!("{id}@demo.example.com") });
        admin.post("/v1/members", body).await.expect(StatusCode::CREATED);
    }
    let made = admin.post("/v1/groups", body(0)).await;
    let made = made.expect(StatusCode::CREATED);
    format!("/v1/groups/{}", made["id"].as_str().unwrap())
}

async fn put(world: &World, path: &str, list: usize) -> Answer {
    world.stack.admin().put(path, "*", body(list)).await
}

/// Which list everybody's rights are of. Every twentieth member is asked.
async fn list_in_force(world: &World) -> usize {
    let mut having = BTreeSet::new();
    let asked: Vec<_> = (5..MEMBERS).step_by(20).collect();
    for number in &asked {
        let me = world.stack.member("demo", &member(*number)).get("/v1/me").await;
        if me.expect(StatusCode::OK)["rights"] == json!(["dossiers"]) {
            having.insert(*number);
        }
    }
    let of = |list: &std::ops::Range<usize>| {
        asked
            .iter()
            .copied()
            .filter(|number| list.contains(number))
            .collect()
    };
    let found = LISTS.iter().position(|list| having == of(list));
    found.unwrap_or_else(|| panic!("rights of neither list: {having:?}"))
}

/// Where a change is held: this call of the operation and all after it.
#[derive(Clone, Copy, Debug)]
struct Place {
    operation: &'static str,
    nth: u64,
    is_after: bool,
    /// Whether the change is in force there.
    is_in_force: bool,
}

/// Every kind of call of a change to list `to`.
fn places(to: usize) -> Vec<Place> {
    let written = 1 + LISTS[to].len() as u64;
    let place = |operation, nth, is_after, is_in_force| Place {
        operation,
        nth,
        is_after,
        is_in_force,
    };
    vec![
        place("UpdateItem", 1, false, false),
        place("UpdateItem", 1, true, false),
        place("UpdateItem", 60, false, false),
        place("UpdateItem", written, false, false),
        place("TransactWriteItems", 1, false, false),
        place("TransactWriteItems", 1, true, true),
        place("Query", 1, false, true),
        place("UpdateItem", written + 1, false, true),
        place("UpdateItem", written + 40, false, true),
        place("DeleteItem", 1, false, true),
    ]
}

fn hold(world: &World, place: Place) -> Gate {
    let gate = world.gate();
    let outcome = if place.is_after {
        Outcome::HoldAfter(gate.clone())
    } else {
        Outcome::HoldBefore(gate.clone())
    };
    let seen = AtomicU64::new(0);
    let from = move |_: &_| seen.fetch_add(1, Ordering::SeqCst) + 1 >= place.nth;
    let fault = Fault::on(format!("DynamoDB.{}", place.operation), outcome);
    let fault = fault.from_caller(API).only_if(from);
    world.engines().faults().inject(fault);
    gate
}

/// The items of the tenant whose sort key begins so.
async fn stored(world: &World, beginning: &str) -> Vec<Value> {
    let table = world.setting("OUBLI_REQUESTS_TABLE");
    let request = world.tables.query().table_name(table);
    let request = request.key_condition_expression("pk = :pk AND begins_with(sk, :sk)");
    let request = request.expression_attribute_values(":pk", AttributeValue::S("T#demo".into()));
    let request = request.expression_attribute_values(":sk", AttributeValue::S(beginning.into()));
    let pages = request.into_paginator().items().send();
    let items: Result<Vec<_>, _> = pages.collect().await;
    let items = items.unwrap().into_iter();
    items
        .map(|item| {
            let set = item.get("memberships").and_then(|set| set.as_ss().ok());
            json!({ "sk": item["sk"].as_s().unwrap(), "memberships": set.cloned().unwrap_or_default() })
        })
        .collect()
}

/// Nothing is left: members have one membership in the group, or none.
async fn nothing_is_left(world: &World, list: usize) {
    assert_eq!(stored(world, "UNUSED#").await, Vec::<Value>::new());
    let mut all = BTreeSet::new();
    for item in stored(world, "MEMBER#m").await {
        let number = item["sk"].as_str().unwrap().strip_prefix("MEMBER#m").unwrap();
        let number: usize = number.parse().unwrap();
        let memberships = item["memberships"].as_array().unwrap();
        let expected = usize::from(LISTS[list].contains(&number));
        assert_eq!(memberships.len(), expected, "{item}");
        all.extend(memberships.iter().map(ToString::to_string));
    }
    assert_eq!(all.len(), 1);
}

#[tokio::test]
async fn who_looks_in_between_sees_the_rights_of_before_or_of_after() {
    let Some(world) = World::start().await else { return };
    let path = large_group(&world).await;
    assert_eq!(list_in_force(&world).await, 0);
    for round in 0..places(0).len() {
        let to = (round + 1) % 2;
        let place = places(to)[round];
        let gate = hold(&world, place);
        let looked = async {
            let expected = if place.is_in_force { to } else { 1 - to };
            assert_eq!(list_in_force(&world).await, expected, "{place:?}");
        };
        let answer = meanwhile(put(&world, &path, to), &gate, looked).await;
        world.engines().faults().clear();
        assert_eq!(answer.expect(StatusCode::OK)["version"], round + 2, "{place:?}");
        assert_eq!(list_in_force(&world).await, to, "{place:?}");
        nothing_is_left(&world, to).await;
    }
}

#[tokio::test]
async fn what_a_killed_change_leaves_does_no_harm_and_is_cleared() {
    let Some(world) = World::start().await else { return };
    let path = large_group(&world).await;
    let mut now = 0;
    for round in 0..places(0).len() {
        let to = 1 - now;
        let place = places(to)[round];
        let gate = hold(&world, place);
        tokio::select! {
            biased;
            () = gate.reached() => {}
            answer = put(&world, &path, to) => panic!("{place:?} was never reached: {}", answer.text()),
        }
        // What it had sent stays at the gate.
        world.engines().faults().clear();
        let in_force = if place.is_in_force { to } else { now };
        assert_eq!(list_in_force(&world).await, in_force, "{place:?}");
        // The next change, to what is there already or to the other list.
        world.stack.advance(LIFE);
        now = round % 2;
        put(&world, &path, now).await.expect(StatusCode::OK);
        assert_eq!(list_in_force(&world).await, now, "{place:?}");
        nothing_is_left(&world, now).await;
    }
}

#[tokio::test]
async fn of_two_changes_of_one_version_one_is_made() {
    let Some(world) = World::start().await else { return };
    let path = large_group(&world).await;
    let admin = world.stack.admin();
    // While one is held before its switch, the other is made.
    let gate = hold(&world, places(1)[4]);
    let mut other = body(0);
    other["rights"] = json!(["privacy_requests"]);
    let first = admin.put(&path, "\"1\"", body(1));
    let first = meanwhile(first, &gate, async {
        world.engines().faults().clear();
        admin.put(&path, "\"1\"", other).await.expect(StatusCode::OK);
    });
    assert_eq!(
        first.await.problem(StatusCode::PRECONDITION_FAILED),
        "precondition_failed"
    );
    let found = admin.get(&path).await.expect(StatusCode::OK);
    assert_eq!(
        (&found["version"], &found["rights"]),
        (&json!(2), &json!(["privacy_requests"]))
    );
    assert_eq!(found["member_ids"], body(0)["member_ids"]);
    nothing_is_left(&world, 0).await;

    let body_of = |list| {
        let admin = &admin;
        let path = &path;
        async move { admin.put(path, "\"2\"", body(list)).await }
    };
    let (a, b) = futures::join!(body_of(1), body_of(1));
    let mut statuses = [a.status, b.status];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::OK, StatusCode::PRECONDITION_FAILED]);
    assert_eq!(list_in_force(&world).await, 1);
    nothing_is_left(&world, 1).await;
}

#[tokio::test]
async fn a_change_meets_a_removed_member_and_a_removed_group() {
    let Some(world) = World::start().await else { return };
    let path = large_group(&world).await;
    let admin = world.stack.admin();
    let switch = places(1)[4];
    let gate = hold(&world, switch);
    let answer = meanwhile(put(&world, &path, 1), &gate, async {
        world.engines().faults().clear();
        let removed = admin.delete("/v1/members/m180").await;
        assert_eq!(removed.status, StatusCode::NO_CONTENT);
    });
    let answer = answer.await;
    assert_eq!(answer.problem(StatusCode::UNPROCESSABLE_ENTITY), "input_refused");
    assert_eq!(answer.pointers(), ["/member_ids"]);
    let back = json!({ "id": "m180", "name": "Back", "email": "m180@demo.example.com" });
    admin.post("/v1/members", back).await.expect(StatusCode::CREATED);
    assert_eq!(list_in_force(&world).await, 0);
    nothing_is_left(&world, 0).await;

    // Who is removed and entered again in between has no less than the others.
    let gate = hold(&world, switch);
    let answer = meanwhile(put(&world, &path, 1), &gate, async {
        world.engines().faults().clear();
        let removed = admin.delete("/v1/members/m185").await;
        assert_eq!(removed.status, StatusCode::NO_CONTENT);
        let back = json!({ "id": "m185", "name": "Back", "email": "m185@demo.example.com" });
        admin.post("/v1/members", back).await.expect(StatusCode::CREATED);
    });
    answer.await.expect(StatusCode::OK);
    assert_eq!(list_in_force(&world).await, 1);
    nothing_is_left(&world, 1).await;

    let gate = hold(&world, switch);
    let answer = meanwhile(put(&world, &path, 0), &gate, async {
        world.engines().faults().clear();
        assert_eq!(admin.delete(&path).await.status, StatusCode::NO_CONTENT);
    });
    assert_eq!(answer.await.problem(StatusCode::NOT_FOUND), "not_found");
    assert_eq!(stored(&world, "UNUSED#").await, Vec::<Value>::new());
    for item in stored(&world, "MEMBER#m").await {
        assert_eq!(item["memberships"], json!([]), "{item}");
    }
}

#[tokio::test]
async fn two_who_remove_each_other_leave_an_administrator() {
    let Some(world) = World::start().await else { return };
    let admin = world.stack.admin();
    let body = json!({ "name": "Second", "rights": ["administration"], "member_ids": ["agent"] });
    let second = admin.post("/v1/groups", body).await.expect(StatusCode::CREATED);
    let second = format!("/v1/groups/{}", second["id"].as_str().unwrap());
    let groups = admin.get("/v1/groups").await.expect(StatusCode::OK);
    let is_first = |group: &&Value| {
        group["rights"]
            .as_array()
            .unwrap()
            .contains(&json!("administration"))
            && group["name"] != "Second"
    };
    let first = groups["items"].as_array().unwrap().iter().find(is_first).unwrap();
    let first = format!("/v1/groups/{}", first["id"].as_str().unwrap());
    let gate = hold(&world, places(1)[4]);
    let refused = meanwhile(admin.delete(&first), &gate, async {
        world.engines().faults().clear();
        assert_eq!(
            world.stack.agent().delete(&second).await.status,
            StatusCode::NO_CONTENT
        );
    });
    assert_eq!(refused.await.problem(StatusCode::CONFLICT), "last_administrator");
    assert_eq!(admin.get("/v1/groups").await.expect(StatusCode::OK)["total"], 2);
}

#[tokio::test]
async fn what_cannot_be_cleared_is_left_to_the_next_change() {
    let Some(world) = World::start().await else { return };
    let path = large_group(&world).await;
    let faults = world.engines().faults();
    let failing = Fault::on("DynamoDB.DeleteItem", Outcome::Error).from_caller(API);
    let failing = faults.inject(failing);
    put(&world, &path, 1).await.expect(StatusCode::OK);
    assert!(failing.count() > 0);
    faults.clear();
    assert_eq!(stored(&world, "UNUSED#").await.len(), 1);
    assert_eq!(list_in_force(&world).await, 1);
    put(&world, &path, 1).await.expect(StatusCode::OK);
    nothing_is_left(&world, 1).await;

    // The switch is made, and its answer lost.
    let lost = Fault::on("DynamoDB.TransactWriteItems", Outcome::LostReply).from_caller(API);
    let lost = faults.inject(lost.first(1));
    put(&world, &path, 0).await.expect(StatusCode::OK);
    assert_eq!(lost.count(), 1);
    faults.clear();
    assert_eq!(list_in_force(&world).await, 0);
    nothing_is_left(&world, 0).await;
}

/// Every member has a membership for each group whose list names it, and no other.
async fn lists_and_memberships_agree(world: &World, step: &str) {
    let groups = world.stack.admin().get("/v1/groups").await.expect(StatusCode::OK);
    let mut listed = BTreeMap::<_, BTreeSet<_>>::new();
    for group in groups["items"].as_array().unwrap() {
        for member in group["member_ids"].as_array().unwrap() {
            let groups = listed.entry(member.as_str().unwrap().to_owned()).or_default();
            groups.insert(group["id"].as_str().unwrap().to_owned());
        }
    }
    for item in stored(world, "MEMBER#").await {
        let member = item["sk"].as_str().unwrap().strip_prefix("MEMBER#").unwrap();
        let memberships = item["memberships"].as_array().unwrap().iter();
        let groups =
            memberships.map(|membership| membership.as_str().unwrap().split('#').next().unwrap().to_owned());
        let groups: Vec<_> = groups.collect();
        let expected = listed.remove(member).unwrap_or_default();
        assert_eq!(groups.len(), expected.len(), "{member} after {step}: {groups:?}");
        assert_eq!(BTreeSet::from_iter(groups), expected, "{member} after {step}");
    }
    assert!(listed.is_empty(), "no members after {step}: {listed:?}");
    assert!(stored(world, "UNUSED#").await.is_empty(), "{step}");
}

#[tokio::test]
async fn lists_and_memberships_agree_after_whatever_was_changed() {
    let Some(world) = World::start().await else { return };
    let mut paths = vec![large_group(&world).await];
    let admin = world.stack.admin();
    let mut random = Random(11);
    let mut below = |most: usize| usize::try_from(random.below(most as u64)).unwrap();
    for step in 0..40 {
        let (from, length) = (below(MEMBERS), below(MEMBERS));
        let members: Vec<_> = (from..MEMBERS.min(from + length)).map(member).collect();
        let body = json!({ "name": "G", "rights": ["dossiers"], "member_ids": members });
        let index = below(paths.len().max(1));
        let what = match below(6) {
            0 => {
                let made = admin.post("/v1/groups", body).await.expect(StatusCode::CREATED);
                paths.push(format!("/v1/groups/{}", made["id"].as_str().unwrap()));
                "a new group"
            }
            1 if paths.len() > 1 => {
                let removed = admin.delete(&paths.remove(index)).await;
                assert_eq!(removed.status, StatusCode::NO_CONTENT);
                "a group removed"
            }
            2 => {
                let id = member(from);
                let removed = admin.delete(&format!("/v1/members/{id}")).await;
                assert_eq!(removed.status, StatusCode::NO_CONTENT);
                let body = json!({ "id": id, "name": id, "email": format!("{id}@demo.example.com") });
                admin.post("/v1/members", body).await.expect(StatusCode::CREATED);
                "a member removed and entered again"
            }
            _ => {
                admin.put(&paths[index], "*", body).await.expect(StatusCode::OK);
                "a group replaced"
            }
        };
        lists_and_memberships_agree(&world, &format!("step {step}, {what}")).await;
    }
}

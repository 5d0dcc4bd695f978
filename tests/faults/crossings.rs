//! Actions that cross each other on one contact: an export under way and an anonymisation, two
//! anonymisations, restores and what comes after them, late completions and late deletions.

use jiff::SignedDuration;
use oubli_local::faults::Call;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::matrix;
use crate::world::{
    ANONYMISER, API, BUILDER, Delivery, Feed, JANITOR, Person, RESTORER, Random, Want, World, meanwhile,
};

/// Two days and a little: after it, what was announced and never came is forgotten.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(49);

/// A contact that was exported: its id, what is held about it, and the archive.
async fn exported(world: &World) -> (String, Person, String) {
    let contact = world
        .enter_person("Petit", &[b"first".to_vec(), Random(7).bytes(900)])
        .await;
    let item = world.run_for("export", &contact).await;
    let archive = item["archive"]["id"].as_str().unwrap().to_owned();
    let person = world.person(&contact).await.unwrap();
    (contact, person, archive)
}

/// A contact that was exported and anonymised.
async fn anonymised(world: &World) -> (String, Person, String) {
    let (contact, person, archive) = exported(world).await;
    assert_eq!(world.run_for("anonymise", &contact).await["state"], "done");
    (contact, person, archive)
}

/// The one message that waits, for this function.
async fn one_delivery(world: &World, function: &str) -> Delivery {
    let mut visible = world.visible().await;
    assert_eq!(visible.len(), 1);
    let delivery = visible.remove(0);
    assert_eq!(delivery.function, function);
    delivery
}

fn outcome(item: &Value) -> (&str, Option<&str>) {
    (item["state"].as_str().unwrap(), item["reason"].as_str())
}

/// That a contact is all there, and nothing besides it is kept.
async fn expect_whole(world: &World, contact: &str, person: &Person) {
    assert_eq!(world.record(contact).await.unwrap()["state"], "active");
    assert_eq!(world.person(contact).await.as_ref(), Some(person));
    assert_eq!(world.shelved(contact).await.len(), person.documents.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_under_way_keeps_its_contact_from_being_anonymised() {
    let Some(world) = World::start().await else { return };
    for (operation, after) in [
        ("S3.GetObject", false),
        ("S3.PutObject", false),
        ("S3.PutObject", true),
    ] {
        let (contact, person, _) = exported(&world).await;
        let again = world.start_for("export", &contact).await;
        world.feed_only("bulk-planner").await;
        let build = one_delivery(&world, "archive-builder").await;
        let gate = world.hold(BUILDER, operation, 1, after);
        let mut action = String::new();
        let anonymise = async {
            action = world.start_for("anonymise", &contact).await;
            world.feed(&mut Feed::plain()).await;
        };
        assert!(meanwhile(world.deliver(&build), &gate, anonymise).await);
        world.delete(&build).await;
        world.engines().faults().clear();
        world.settle(&mut Feed::plain(), &[&again, &action]).await;
        let items = world.expect_ended(&action, &Want::failed(1, 1)).await;
        assert_eq!(outcome(&items[0]), ("failed", Some("action_in_progress")));
        expect_whole(&world, &contact, &person).await;
        // The export has ended: now it may be.
        world.ask(&action, "retry").await.expect(StatusCode::ACCEPTED);
        world.settle(&mut Feed::plain(), &[&action]).await;
        let want = Want {
            mails: 2..=2,
            ..Want::completed(1)
        };
        world.expect_ended(&action, &want).await;
        assert_eq!(world.person_archived(&contact).await, person);
    }
}

/// A dead export's note ends with its lease; nobody has to clear it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_that_died_keeps_nobody_for_ever() {
    let Some(world) = World::start().await else { return };
    let (contact, person, _) = exported(&world).await;
    world.start_for("export", &contact).await;
    world.feed_only("bulk-planner").await;
    let build = one_delivery(&world, "archive-builder").await;
    let gate = world.hold(BUILDER, "S3.PutObject", 1, false);
    tokio::select! {
        biased;
        () = gate.reached() => {}
        done = world.deliver(&build) => panic!("the builder should have died: {done}"),
    }
    world.engines().faults().clear();
    // Long enough for the lease; nobody builds it again before.
    world.stack.advance(SignedDuration::from_mins(17));
    let action = world.start_for("anonymise", &contact).await;
    let mut feed = Feed::plain();
    world.feed(&mut feed).await;
    let items = world.expect_ended(&action, &Want::completed(1)).await;
    assert_eq!(items[0]["contact_id"], contact.as_str());
    assert_eq!(world.person_archived(&contact).await, person);
}

/// The calls of a caller while this is done.
async fn calls_of(world: &World, caller: &str, work: impl Future<Output = ()>) -> Vec<Call> {
    world.engines().faults().record();
    work.await;
    matrix::calls_of(world, caller)
}

/// Before each call, and after the last: what is after one is before the next.
fn places(calls: &[Call]) -> Vec<(u64, bool)> {
    let last = calls.len() as u64;
    let before = (1..=last).map(|nth| (nth, false));
    before.chain([(last, true)]).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_anonymisations_of_one_contact_are_one() {
    let Some(world) = World::start().await else { return };
    let (contact, ..) = exported(&world).await;
    let calls = calls_of(&world, ANONYMISER, async {
        world.run_for("anonymise", &contact).await;
    })
    .await;
    matrix::run(
        places(&calls),
        2,
        async |_| (),
        async |world, (), (nth, after)| {
            let aliases = world.aliases().await;
            let (contact, person, _) = exported(world).await;
            let version = world.record(&contact).await.unwrap()["version"].as_u64().unwrap();
            let first = world.start_for("anonymise", &contact).await;
            world.feed_only("bulk-planner").await;
            let slow = one_delivery(world, "anonymiser").await;
            let gate = world.hold(ANONYMISER, "*", *nth, *after);
            let mut second = String::new();
            let overtake = async {
                second = world.start_for("anonymise", &contact).await;
                world.feed(&mut Feed::plain()).await;
            };
            if meanwhile(world.deliver(&slow), &gate, overtake).await {
                world.delete(&slow).await;
            }
            world.engines().faults().clear();
            world.settle(&mut Feed::plain(), &[&first, &second]).await;
            world.clear_up(&mut Feed::plain()).await;
            let items = [
                world.stack.items(&first).await.remove(0),
                world.stack.items(&second).await.remove(0),
            ];
            let mut ends = items.each_ref().map(outcome);
            ends.sort_unstable();
            assert_eq!(ends, [("done", None), ("skipped", Some("already_anonymised"))]);
            let record = world.record(&contact).await.unwrap();
            assert_eq!(
                (&record["state"], &record["version"]),
                (&json!("anonymised"), &json!(version + 1))
            );
            assert_eq!(world.aliases().await, aliases + 1);
            assert!(world.shelved(&contact).await.is_empty());
            assert_eq!(world.person_archived(&contact).await, person);
        },
        async |_, ()| (),
    )
    .await;
}

/// A restorer stands still at each call while another restores the contact, and it is exported and
/// anonymised again: the late one must not bring back what was, and nothing is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_is_overtaken_by_a_whole_life() {
    let Some(world) = World::start().await else { return };
    let mut calls = Vec::new();
    // Of the second: later ones know the key that verifies.
    for _ in 0..2 {
        let (_, _, archive) = anonymised(&world).await;
        calls = calls_of(&world, RESTORER, async {
            let selection = json!({ "archive_ids": [archive] });
            let restored = world.start_action("restore", selection).await;
            world.settle(&mut Feed::plain(), &[&restored]).await;
        })
        .await;
    }
    matrix::run(
        places(&calls),
        2,
        async |world| {
            let (contact, ..) = anonymised(world).await;
            assert_eq!(outcome(&world.run_for("restore", &contact).await), ("done", None));
        },
        async |world, (), (nth, after)| {
            let (contact, person, archive) = anonymised(world).await;
            let slow = world
                .start_action("restore", json!({ "archive_ids": [archive] }))
                .await;
            world.feed_only("bulk-planner").await;
            let delivery = one_delivery(world, "restorer").await;
            let gate = world.hold(RESTORER, "*", *nth, *after);
            let mut archived = Vec::new();
            let mut latest = person.clone();
            let live = async {
                // Refused, if the slow one has restored already.
                let restored = world.start_for("restore", &contact).await;
                world.feed(&mut Feed::plain()).await;
                assert_ne!(world.stack.action(&restored).await["state"], "failed");
                assert_eq!(world.rename(&contact, "Grand").await, StatusCode::OK);
                latest = world.person(&contact).await.unwrap();
                for kind in ["export", "anonymise"] {
                    let action = world.start_for(kind, &contact).await;
                    world.feed(&mut Feed::plain()).await;
                    archived = world.stack.items(&action).await;
                    assert_eq!(outcome(&archived[0]), ("done", None), "{kind}");
                }
            };
            if meanwhile(world.deliver(&delivery), &gate, live).await {
                world.delete(&delivery).await;
            }
            world.engines().faults().clear();
            let mut feed = Feed::plain();
            world.settle(&mut feed, &[&slow]).await;
            world.clear_up(&mut feed).await;
            assert_eq!(latest.fields["last_name"], "Grand");
            let item = world.stack.items(&slow).await.remove(0);
            let ended = outcome(&item);
            assert!(
                ended == ("done", None) || ended == ("failed", Some("contact_changed")),
                "{item}"
            );
            // Whichever came first: it ends anonymised, with its latest data in the archive, and comes back.
            assert_eq!(world.record(&contact).await.unwrap()["state"], "anonymised");
            assert!(world.shelved(&contact).await.is_empty());
            assert_eq!(world.person_archived(&contact).await, latest);
            assert_eq!(outcome(&world.run_for("restore", &contact).await), ("done", None));
            expect_whole(world, &contact, &latest).await;
        },
        async |_, ()| (),
    )
    .await;
}

/// The completion of an upload stands still at each call while the contact is anonymised and restored: it
/// neither brings its document to the contact nor takes any from it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_completion_of_an_upload_changes_nothing() {
    let Some(world) = World::start().await else { return };
    let (contact, ..) = exported(&world).await;
    let path = announce(&world, &contact).await;
    let complete = async |world: &World, path: &str| world.stack.agent().post(path, Value::Null).await;
    let calls = calls_of(&world, API, async {
        complete(&world, &path).await.expect(StatusCode::OK);
    })
    .await;
    // Once it is recorded, the contact has changed, and is not anonymised.
    let recorded = calls
        .iter()
        .position(|call| call.operation == "DynamoDB.TransactWriteItems");
    let recorded = recorded.unwrap() as u64 + 1;
    let mut places = places(&calls);
    places.retain(|(nth, after)| (*nth, *after) < (recorded, true));
    matrix::run(
        places,
        2,
        async |_| (),
        async |world, (), (nth, after)| {
            let (contact, person, _) = exported(world).await;
            let path = announce(world, &contact).await;
            let gate = world.hold(API, "*", *nth, *after);
            let live = async {
                for kind in ["anonymise", "restore"] {
                    let action = world.start_for(kind, &contact).await;
                    world.feed(&mut Feed::plain()).await;
                    let items = world.stack.items(&action).await;
                    assert_eq!(outcome(&items[0]), ("done", None), "{kind}");
                }
            };
            let late = meanwhile(complete(world, &path), &gate, live).await;
            world.engines().faults().clear();
            // The document is gone, and so is its upload: that is nobody's fault who completes it.
            assert_eq!(late.status, StatusCode::NOT_FOUND, "{}", late.text());
            let mut feed = Feed::plain();
            world.clear_up(&mut feed).await;
            world.stack.advance(FORGOTTEN);
            world.sweep(&mut feed).await;
            expect_whole(world, &contact, &person).await;
            assert!(world.stored("uploads").await.is_empty());
        },
        async |_, ()| (),
    )
    .await;
}

/// Announces a document and uploads it; answers where it is completed.
async fn announce(world: &World, contact: &str) -> String {
    let documents = format!("/v1/contacts/{contact}/documents");
    let body = json!({ "name": "late", "content_type": "text/plain", "size_bytes": 5, "kind": "document" });
    let new = world.stack.agent().post(&documents, body).await;
    let new = new.expect(StatusCode::CREATED);
    let put = world.stack.put_upload(&new["upload"], b"bytes".to_vec()).await;
    assert_eq!(put, StatusCode::OK);
    let document = new["document"]["id"].as_str().unwrap();
    format!("{documents}/{document}/complete")
}

/// The anonymiser dies before it deletes; the janitor, who finishes that, stands still at each call while
/// the contact comes back: nothing restored is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_deletion_takes_nothing_from_what_was_restored() {
    let Some(world) = World::start().await else { return };
    let die = async |world: &World| {
        let (contact, person, archive) = exported(world).await;
        let action = world.start_for("anonymise", &contact).await;
        let gate = world.hold(ANONYMISER, "S3.DeleteObjects", 1, false);
        let mut feed = Feed::plain().dying_at([gate.clone()]);
        world.feed(&mut feed).await;
        assert_eq!(feed.killed, 1);
        world.engines().faults().clear();
        // The note is due, the item not yet.
        world.stack.advance(SignedDuration::from_mins(6));
        (contact, person, archive, action)
    };
    Box::pin(die(&world)).await;
    let calls = calls_of(&world, JANITOR, async { world.sweep(&mut Feed::plain()).await }).await;
    assert!(calls.iter().any(|call| call.operation == "S3.DeleteObjects"));
    matrix::run(
        places(&calls),
        2,
        async |_| (),
        async |world, (), (nth, after)| {
            let (contact, person, archive, action) = Box::pin(die(world)).await;
            let gate = world.hold(JANITOR, "*", *nth, *after);
            let live = async {
                let selection = json!({ "archive_ids": [archive] });
                let restored = world.start_action("restore", selection).await;
                world.feed(&mut Feed::plain()).await;
                world.expect_ended(&restored, &Want::completed(1)).await;
            };
            Box::pin(meanwhile(world.sweep(&mut Feed::plain()), &gate, live)).await;
            world.engines().faults().clear();
            world.settle(&mut Feed::plain(), &[&action]).await;
            world.clear_up(&mut Feed::plain()).await;
            expect_whole(world, &contact, &person).await;
        },
        async |_, ()| (),
    )
    .await;
}

/// A member deletes a contact; the deletion of what stood beneath it stands still at each call while the
/// contact comes back, under the same id.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_clearing_of_the_deleted_takes_nothing_from_what_was_restored() {
    let Some(world) = World::start().await else { return };
    let delete = async |world: &World, contact: &str| {
        let path = format!("/v1/contacts/{contact}");
        world.stack.agent().delete(&path).await.status
    };
    let (contact, ..) = exported(&world).await;
    let calls = calls_of(&world, API, async {
        assert_eq!(delete(&world, &contact).await, StatusCode::NO_CONTENT);
    })
    .await;
    let gone = calls
        .iter()
        .position(|call| call.operation == "DynamoDB.TransactWriteItems");
    let gone = gone.unwrap() as u64 + 1;
    let mut places = places(&calls);
    places.retain(|(nth, after)| (*nth, *after) >= (gone, true));
    matrix::run(
        places,
        2,
        async |_| (),
        async |world, (), (nth, after)| {
            let (contact, person, archive) = exported(world).await;
            let gate = world.hold(API, "*", *nth, *after);
            let live = async {
                let selection = json!({ "archive_ids": [archive] });
                let restored = world.start_action("restore", selection).await;
                world.feed(&mut Feed::plain()).await;
                world.expect_ended(&restored, &Want::completed(1)).await;
            };
            let deleted = meanwhile(delete(world, &contact), &gate, live).await;
            assert_eq!(deleted, StatusCode::NO_CONTENT);
            world.engines().faults().clear();
            world.clear_up(&mut Feed::plain()).await;
            expect_whole(world, &contact, &person).await;
        },
        async |_, ()| (),
    )
    .await;
}

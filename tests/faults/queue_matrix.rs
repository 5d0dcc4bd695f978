//! The functions behind queues and schedule, killed before and after every one of their AWS calls,
//! refused, throttled and left without an answer at each: everything ends as it does without.

use std::cell::RefCell;
use std::ops::RangeInclusive;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::SignedDuration;
use oubli_domain::Sha256;
use oubli_local::faults::Call;
use reqwest::StatusCode;
use serde_json::json;

use crate::matrix::{self, Cell, Kind};
use crate::world::{API, BUILDER, Feed, JANITOR, NOTIFIER, PLANNER, Random, Want, World, signed_bytes};

/// A contact that is exported again and again.
struct Exports {
    contact: String,
    documents: Vec<String>,
    /// Of its archive, which is the same every time, its signature aside.
    sha256: Sha256,
    actions: RefCell<Vec<String>>,
    /// Functions whose first message gets lost, each time.
    lose: &'static [&'static str],
}

impl Exports {
    async fn set_up(world: &World, documents: &[Vec<u8>], lose: &'static [&'static str]) -> Self {
        let slices: Vec<&[u8]> = documents.iter().map(Vec::as_slice).collect();
        let contact = world.contact_with("Lefèvre", &slices).await;
        let path = format!("/v1/contacts/{contact}/documents");
        let listed = world.stack.agent().get(&path).await.expect(StatusCode::OK);
        let ids = listed["items"].as_array().unwrap().iter();
        let documents = ids.map(|item| item["id"].as_str().unwrap().to_owned()).collect();
        let mut exports = Self {
            contact,
            documents,
            sha256: Sha256::of(b""),
            actions: RefCell::default(),
            lose,
        };
        let (action, _) = exports.begin(world).await;
        world.settle(&mut Feed::plain(), &[&action]).await;
        let archives = world.expect(&action, &Want::completed(1)).await;
        exports.sha256 = Sha256::of(&signed_bytes(&archives[&exports.contact]));
        exports
    }

    /// Starts an export of a contact whose documents nobody has read before.
    async fn begin(&self, world: &World) -> (String, Feed) {
        for document in &self.documents {
            let pk = AttributeValue::S(format!("T#demo#C#{}", self.contact));
            let request = world.tables.update_item();
            let request = request.table_name(world.setting("OUBLI_CONTACTS_TABLE"));
            let request = request.key("pk", pk);
            let request = request.key("sk", AttributeValue::S(format!("DOC#{document}")));
            let request = request.condition_expression("attribute_exists(pk)");
            request.update_expression("REMOVE crc32").send().await.unwrap();
        }
        let action = world.start_export(std::slice::from_ref(&self.contact)).await;
        self.actions.borrow_mut().push(action.clone());
        (action, Feed::plain().losing(self.lose))
    }

    /// The calls that a function makes for one export.
    async fn calls(&self, world: &World, caller: &str) -> Vec<Call> {
        let (action, mut feed) = self.begin(world).await;
        world.engines().faults().record();
        world.settle(&mut feed, &[&action]).await;
        let calls = matrix::calls_of(world, caller);
        self.check(world, &action, 1..=1).await;
        calls
    }

    async fn test(&self, world: &World, caller: &str, cell: &Cell, mails: RangeInclusive<usize>) {
        let (action, feed) = self.begin(world).await;
        let armed = cell.arm(world, caller);
        let mut feed = feed.dying_at(armed.gate.clone());
        world.take_deliveries();
        world.settle(&mut feed, &[&action]).await;
        world.expect_few_deliveries();
        assert_eq!(feed.killed, usize::from(cell.kind.kills()));
        armed.disarm(world);
        self.check(world, &action, mails).await;
    }

    async fn check(&self, world: &World, action: &str, mails: RangeInclusive<usize>) {
        let want = Want {
            mails,
            ..Want::completed(1)
        };
        let archives = world.expect(action, &want).await;
        // The same version of a contact gives the same signed bytes, whatever happened on the way.
        assert_eq!(Sha256::of(&signed_bytes(&archives[&self.contact])), self.sha256);
    }

    async fn close(&self, world: &World) {
        let actions = self.actions.borrow().clone();
        let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
        world.expect_no_orphans(&actions).await;
        for document in &self.documents {
            let kept = world.stored("documents").await;
            assert!(kept.iter().any(|item| item.key.ends_with(document)));
        }
    }
}

fn small() -> Vec<Vec<u8>> {
    let text = "Bulletin de paie, net à payer 1 234,56 €\n".repeat(50);
    vec![text.into_bytes(), Random(3).bytes(3_000)]
}

/// More than two parts of an archive, and more than two ranges; incompressible.
fn large() -> Vec<Vec<u8>> {
    vec![
        b"small beside it".to_vec(),
        Random(5).bytes(17 * 1024 * 1024 + 11),
    ]
}

async fn calls(documents: &[Vec<u8>], lose: &'static [&'static str], caller: &str) -> Option<Vec<Call>> {
    let world = World::start().await?;
    let exports = Exports::set_up(&world, documents, lose).await;
    let calls = exports.calls(&world, caller).await;
    assert!(!calls.is_empty());
    Some(calls)
}

/// Runs all cells of a function in small exports.
async fn small_exports(caller: &str, documents: Vec<Vec<u8>>, lose: &'static [&'static str]) {
    let Some(calls) = calls(&documents, lose, caller).await else {
        return;
    };
    let sends = calls.iter().position(|call| call.operation == "SES.SendEmail");
    let sends = sends.map(|index| index as u64 + 1);
    // Between the mail service's yes and the record of it a second copy is possible, nowhere else.
    let mails = |cell: &Cell| match cell.kind {
        Kind::KilledAfter | Kind::ReplyLost if Some(cell.nth) == sends => 1..=2,
        Kind::KilledBefore if sends.is_some_and(|sends| cell.nth == sends + 1) => 1..=2,
        _ => 1..=1,
    };
    matrix::run(
        matrix::cells(&calls, &Kind::ALL),
        4,
        async |world| Exports::set_up(world, &documents, lose).await,
        async |world, exports, cell| exports.test(world, caller, cell, mails(cell)).await,
        async |world, exports| exports.close(world).await,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_builder_of_a_small_archive() {
    small_exports(BUILDER, small(), &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_builder_of_an_archive_in_parts() {
    let documents = large();
    let Some(calls) = calls(&documents, &[], BUILDER).await else {
        return;
    };
    for operation in [
        "S3.CreateMultipartUpload",
        "S3.UploadPart",
        "S3.CompleteMultipartUpload",
    ] {
        assert!(
            calls.iter().any(|call| call.operation == operation),
            "{operation}"
        );
    }
    let mut cells = matrix::cells(&calls, &Kind::ALL);
    // What DynamoDB refuses is as with a small archive.
    cells.retain(|cell| cell.kind.kills() || cell.operation.starts_with("S3."));
    matrix::run(
        cells,
        3,
        async |world| Exports::set_up(world, &documents, &[]).await,
        async |world, exports, cell| exports.test(world, BUILDER, cell, 1..=1).await,
        async |world, exports| exports.close(world).await,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_planner_of_one_chunk() {
    small_exports(PLANNER, Vec::new(), &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_notifier() {
    small_exports(NOTIFIER, Vec::new(), &[]).await;
}

/// Every message gets lost once, so that the janitor has each kind of work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_janitor_that_sends_again() {
    small_exports(
        JANITOR,
        Vec::new(),
        &["bulk-planner", "archive-builder", "notifier"],
    )
    .await;
}

/// An archive whose time is over, and a deleted contact whose documents are still there.
struct Remains {
    action: String,
    contact: String,
}

impl Remains {
    async fn leave(world: &World) -> Self {
        let contact = world.contact_with("Martin", &[b"a document", b"another"]).await;
        let action = world.start_export(std::slice::from_ref(&contact)).await;
        world.settle(&mut Feed::plain(), &[&action]).await;
        let gate = world.hold(API, "S3.*", 1, false);
        let agent = world.stack.agent();
        let path = format!("/v1/contacts/{contact}");
        tokio::select! {
            biased;
            () = gate.reached() => {}
            answer = agent.delete(&path) => panic!("the API should have died: {}", answer.text()),
        }
        world.engines().faults().clear();
        assert_eq!(world.stored("documents").await.len(), 2);
        Self { action, contact }
    }

    /// Ten days and a day later, with S3's own rule at work.
    async fn sweep(&self, world: &World, feed: &mut Feed) {
        world.stack.advance(SignedDuration::from_hours(241));
        world.sweep(feed).await;
        world.stack.advance(SignedDuration::from_hours(47));
        world.engines().sweep().await.unwrap();
        for _ in 0..4 {
            world.stack.advance(SignedDuration::from_hours(7));
            world.sweep(feed).await;
        }
    }

    async fn check(&self, world: &World) {
        let items = world.stack.items(&self.action).await;
        assert_eq!(items[0]["archive"]["state"], "deleted", "{items:?}");
        assert!(world.stored("archives").await.is_empty());
        assert!(world.stored("documents").await.is_empty(), "{}", self.contact);
        let open = world.tables.scan();
        let open = open
            .table_name(world.setting("OUBLI_REQUESTS_TABLE"))
            .index_name("open_work");
        assert_eq!(open.send().await.unwrap().count, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_janitor_that_clears_away() {
    let Some(world) = World::start().await else { return };
    let remains = Remains::leave(&world).await;
    world.engines().faults().record();
    remains.sweep(&world, &mut Feed::plain()).await;
    let calls = matrix::calls_of(&world, JANITOR);
    remains.check(&world).await;
    let mut cells = matrix::cells(&calls, &Kind::ALL);
    // What is refused or throttled the SDK tries again, as in the other matrix of the janitor.
    matrix::thin(&mut cells, |cell| {
        !matches!(cell.kind, Kind::Error | Kind::Throttled)
    });
    matrix::run(
        cells,
        4,
        async |_| (),
        async |world, (), cell| {
            let remains = Remains::leave(world).await;
            let armed = cell.arm(world, JANITOR);
            let mut feed = Feed::plain().dying_at(armed.gate.clone());
            remains.sweep(world, &mut feed).await;
            armed.disarm(world);
            remains.check(world).await;
        },
        async |_, ()| (),
    )
    .await;
}

fn absent(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("absent-{number:04}")).collect()
}

/// The planner's first invocation is killed at its first call, the second at its second, and so on:
/// whatever a planner does, it does in the end.
fn kill_progressively(world: &World, invocations: u64, after: bool) -> Feed {
    let nth = (1..=invocations).map(|number| number * (number + 1) / 2);
    let gates: Vec<_> = nth.map(|nth| world.hold(PLANNER, "*", nth, after)).collect();
    Feed::plain().dying_at(gates)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_planner_of_several_chunks_dies_at_each_call() {
    for after in [false, true] {
        let Some(world) = World::start().await else { return };
        let contacts = absent(510);
        let action = world.start_export(&contacts).await;
        let mut feed = kill_progressively(&world, 12, after);
        world.settle(&mut feed, &[&action]).await;
        assert!(feed.killed > 5, "{}", feed.killed);
        world.engines().faults().clear();
        world.expect(&action, &Want::failed(510, 1)).await;
    }
}

/// Every call whose number is a square gets a fault, of one kind after another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_planner_of_several_chunks_is_refused_now_and_then() {
    for kind in [Kind::Error, Kind::Throttled, Kind::ReplyLost] {
        let Some(world) = World::start().await else { return };
        let action = world.start_export(&absent(510)).await;
        let armed: Vec<_> = (1..=4)
            .map(|root| Cell {
                nth: root * root,
                operation: "*".to_owned(),
                kind,
            })
            .map(|cell| cell.arm(&world, PLANNER))
            .collect();
        world.settle(&mut Feed::plain(), &[&action]).await;
        for one in armed {
            one.disarm(&world);
        }
        world.expect(&action, &Want::failed(510, 1)).await;
    }
}

/// The calls that a planner makes when a few items are tried again, or stopped: each with each fault.
async fn replanned(ask: &'static str) {
    let Some(world) = World::start().await else { return };
    let begin = async |world: &World| {
        let action = world.start_export(&absent(3)).await;
        if ask == "retry" {
            world.settle(&mut Feed::plain(), &[&action]).await;
        } else {
            world.feed_only("bulk-planner").await;
        }
        world.ask(&action, ask).await.expect(StatusCode::ACCEPTED);
        action
    };
    let check = async |world: &World, action: &str| {
        if ask == "retry" {
            world.expect(action, &Want::failed(3, 2)).await;
            return;
        }
        let ended = world.stack.action(action).await;
        assert_eq!((&ended["state"], &ended["total"]), (&json!("stopped"), &json!(3)));
        let items = world.stack.items(action).await;
        // A builder may have come before the stop; nobody comes after it.
        let ends =
            |item: &&serde_json::Value| ["stopped", "failed"].contains(&item["state"].as_str().unwrap());
        assert_eq!(items.iter().filter(ends).count(), 3, "{items:?}");
        assert_eq!(world.mails_about(action), 1);
    };
    let action = begin(&world).await;
    world.engines().faults().record();
    world.settle(&mut Feed::plain(), &[&action]).await;
    let calls = matrix::calls_of(&world, PLANNER);
    check(&world, &action).await;
    matrix::run(
        matrix::cells(&calls, &Kind::ALL),
        2,
        async |_| (),
        async |world, (), cell| {
            let action = begin(world).await;
            world.take_deliveries();
            let armed = cell.arm(world, PLANNER);
            let mut feed = Feed::plain().dying_at(armed.gate.clone());
            world.settle(&mut feed, &[&action]).await;
            assert_eq!(feed.killed, usize::from(cell.kind.kills()));
            armed.disarm(world);
            world.expect_few_deliveries();
            check(world, &action).await;
        },
        async |_, ()| (),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_planner_of_a_retry() {
    replanned("retry").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_planner_of_a_stop() {
    replanned("stop").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_planner_of_a_retry_dies_at_each_call() {
    let Some(world) = World::start().await else { return };
    // One more than a transaction moves.
    let contacts = absent(91);
    let action = world.start_export(&contacts).await;
    world.settle(&mut Feed::plain(), &[&action]).await;
    for (run, after) in [(2, false), (3, true)] {
        world.ask(&action, "retry").await.expect(StatusCode::ACCEPTED);
        let mut feed = kill_progressively(&world, 25, after);
        world.settle(&mut feed, &[&action]).await;
        assert!(feed.killed > 5, "{}", feed.killed);
        world.engines().faults().clear();
        world.expect(&action, &Want::failed(91, run)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_planner_of_a_stop_dies_at_each_call() {
    let Some(world) = World::start().await else { return };
    for after in [false, true] {
        let action = world.start_export(&absent(95)).await;
        world.feed_only("bulk-planner").await;
        world.ask(&action, "stop").await.expect(StatusCode::ACCEPTED);
        // The planner comes first: nothing has begun.
        let mut feed = kill_progressively(&world, 8, after);
        let waiting = world.visible().await;
        let (plans, builds): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|delivery| delivery.function == "bulk-planner");
        assert_eq!((plans.len(), builds.len()), (1, 95));
        for plan in &plans {
            world.show_again(plan).await;
        }
        world.settle(&mut feed, &[&action]).await;
        assert!(feed.killed > 4, "{}", feed.killed);
        world.engines().faults().clear();
        let ended = world.stack.action(&action).await;
        assert_eq!(ended["state"], "stopped", "{ended}");
        let items = world.stack.items(&action).await;
        assert!(items.iter().all(|item| item["state"] == "stopped"), "{items:?}");
        assert_eq!((items.len(), world.mails_about(&action)), (95, 1));
        assert_eq!(ended["total"], json!(95));
    }
}

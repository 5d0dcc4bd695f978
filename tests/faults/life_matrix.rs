//! Anonymising and restoring, killed before and after every AWS call, refused, throttled and left without
//! an answer at each: tables, buckets, counts and mails end as they do without.

use std::collections::BTreeMap;

use oubli_local::faults::Call;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::matrix::{self, Cell, Kind};
use crate::world::{ANONYMISER, Feed, Life, PLANNER, Person, RESTORER, Random, Want, World};

/// What is done, over and over, to one contact after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    /// It was exported, and is anonymised.
    Anonymise,
    /// It was anonymised, and comes back from its archive.
    Restore,
    /// It was anonymised, and comes back from a saved archive.
    RestoreSaved,
    /// It was deleted, and comes back from its archive.
    RestoreDeleted,
    /// It was edited, and what it was is put in the place of what it is.
    RestoreOver,
}

/// A deed that nobody has begun.
struct Begun {
    life: Life,
    /// The contact as it was exported.
    person: Person,
    /// The version that it had right before.
    version: u64,
    action: String,
}

impl Deed {
    async fn begin(self, world: &World, documents: &[Vec<u8>]) -> Begun {
        let contact = world.enter_person("Lefèvre", documents).await;
        let person = world.person(&contact).await.unwrap();
        let exported = world.start_for("export", &contact).await;
        world.settle(&mut Feed::plain(), &[&exported]).await;
        let items = world.stack.items(&exported).await;
        let archive = items[0]["archive"]["id"].as_str().unwrap().to_owned();
        let mut life = Life {
            contact: contact.clone(),
            documents: person.documents.keys().cloned().collect(),
            actions: vec![exported],
            archives: vec![archive.clone()],
            uploads: Vec::new(),
        };
        match self {
            Self::Anonymise => {}
            Self::Restore | Self::RestoreSaved => {
                let anonymised = world.start_for("anonymise", &contact).await;
                world.settle(&mut Feed::plain(), &[&anonymised]).await;
                life.actions.push(anonymised);
            }
            Self::RestoreDeleted => {
                let path = format!("/v1/contacts/{contact}");
                let deleted = world.stack.agent().delete(&path).await;
                assert_eq!(deleted.status, StatusCode::NO_CONTENT);
            }
            Self::RestoreOver => {
                assert_eq!(world.rename(&contact, "Roux").await, StatusCode::OK);
                let added = world.attach(&contact, "later.bin", false, b"later").await;
                life.documents.push(added);
            }
        }
        let version = match world.record(&contact).await {
            Some(record) => record["version"].as_u64().unwrap(),
            None => 0,
        };
        let action = match self {
            Self::Anonymise => world.start_for("anonymise", &contact).await,
            Self::Restore | Self::RestoreDeleted => {
                world
                    .start_action("restore", json!({ "archive_ids": [archive] }))
                    .await
            }
            Self::RestoreSaved => {
                let bytes = world.stack.archive(&archive).await;
                let upload = send_back(world, &bytes).await;
                life.uploads.push(upload.clone());
                world
                    .start_action("restore", json!({ "upload_ids": [upload] }))
                    .await
            }
            Self::RestoreOver => {
                let selection = json!({ "archive_ids": [archive] });
                let body = json!({ "kind": "restore", "selection": selection, "overwrite": true });
                let started = world.stack.agent().post("/v1/data-actions", body).await;
                let action = started.expect(StatusCode::ACCEPTED);
                action["id"].as_str().unwrap().to_owned()
            }
        };
        life.actions.push(action.clone());
        Begun {
            life,
            person,
            version,
            action,
        }
    }

    /// That the contact is what it is to be, and that nothing is left over.
    async fn check(self, world: &World, begun: &Begun) -> Vec<String> {
        let contact = &begun.life.contact;
        let items = world.expect_ended(&begun.action, &Want::completed(1)).await;
        assert_eq!(items[0]["contact_id"], contact.as_str());
        let record = world.record(contact).await.unwrap();
        let version = record["version"].as_u64().unwrap();
        let is_deleted = self == Self::RestoreDeleted;
        assert!(is_deleted || version == begun.version + 1, "{record}");
        if self == Self::Anonymise {
            expect_nameless(world, begun, &record).await;
        } else {
            assert_eq!(record["state"], "active");
            let person = world.person(contact).await.unwrap();
            assert_eq!(person, begun.person);
            assert_eq!(world.shelved(contact).await.len(), person.documents.len());
        }
        world.snapshot(&begun.life).await
    }
}

async fn expect_nameless(world: &World, begun: &Begun, record: &Value) {
    let contact = &begun.life.contact;
    assert_eq!(record["state"], "anonymised");
    assert!(world.shelved(contact).await.is_empty());
    let pk = format!("T#demo#C#{contact}");
    let held = world.partition("OUBLI_CONTACTS_TABLE", &pk).await;
    let held = Value::from_iter(held).to_string().to_lowercase();
    for text in begun.person.texts() {
        assert!(!held.contains(&text.to_lowercase()), "`{text}` is still there");
    }
    let alias = record["first_name"].as_str().unwrap().strip_prefix("XXXXX_");
    let taken = format!("T#demo#X#{}", alias.unwrap());
    assert_eq!(world.partition("OUBLI_CONTACTS_TABLE", &taken).await.len(), 1);
    assert_eq!(world.person_archived(contact).await, begun.person);
}

/// Uploads a saved archive; answers the upload's id.
async fn send_back(world: &World, bytes: &[u8]) -> String {
    let body = json!({ "size_bytes": bytes.len() });
    let announced = world.stack.agent().post("/v1/archive-uploads", body).await;
    let new = announced.expect(StatusCode::CREATED);
    let put = world.stack.put_upload(&new["upload"], bytes.to_vec()).await;
    assert_eq!(put, StatusCode::OK);
    new["upload_id"].as_str().unwrap().to_owned()
}

/// What a deed is without faults.
struct Recorded {
    /// The calls of the first in a world: the function has nothing in memory yet.
    first: Vec<Call>,
    /// The calls of a later one.
    later: Vec<Call>,
    /// What is there in the end.
    wanted: Vec<String>,
}

async fn recorded(deed: Deed, caller: &str, documents: &[Vec<u8>]) -> Option<Recorded> {
    let world = World::start().await?;
    let (first, wanted) = record(&world, deed, caller, documents).await;
    let (later, again) = record(&world, deed, caller, documents).await;
    assert_eq!(again, wanted);
    Some(Recorded { first, later, wanted })
}

async fn record(world: &World, deed: Deed, caller: &str, documents: &[Vec<u8>]) -> (Vec<Call>, Vec<String>) {
    let begun = deed.begin(world, documents).await;
    world.engines().faults().record();
    world.settle(&mut Feed::plain(), &[&begun.action]).await;
    let calls = matrix::calls_of(world, caller);
    assert!(!calls.is_empty());
    world.clear_up(&mut Feed::plain()).await;
    (calls, deed.check(world, &begun).await)
}

/// Runs the cells of a caller that are wanted; all must end as the run without faults.
async fn run(deed: Deed, caller: &str, documents: Vec<Vec<u8>>, is_wanted: fn(&Cell) -> bool) {
    let Some(recorded) = recorded(deed, caller, &documents).await else {
        return;
    };
    let Recorded { first, later, wanted } = recorded;
    let mut operations = BTreeMap::new();
    for call in &later {
        *operations.entry(call.operation.as_str()).or_insert(0_usize) += 1;
    }
    println!("{deed:?}, {caller}: {} calls, {operations:?}", later.len());
    let anonymised = usize::from(!matches!(deed, Deed::RestoreDeleted | Deed::RestoreOver));
    let test = async |world: &World, (): &(), cell: &Cell| {
        let before = world.aliases().await;
        let begun = deed.begin(world, &documents).await;
        world.take_deliveries();
        let armed = cell.arm(world, caller);
        let mut feed = Feed::plain().dying_at(armed.gate.clone());
        world.settle(&mut feed, &[&begun.action]).await;
        assert_eq!(feed.killed, usize::from(cell.kind.kills()));
        armed.disarm(world);
        world.expect_few_deliveries();
        world.clear_up(&mut feed).await;
        let found = deed.check(world, &begun).await;
        assert_eq!(found, wanted, "{} and {}", found.join("\n"), wanted.join("\n"));
        assert_eq!(world.aliases().await, before + anonymised);
    };
    let mut cells = matrix::cells(&later, &Kind::ALL);
    cells.retain(is_wanted);
    matrix::run(
        cells,
        3,
        async |world| {
            record(world, deed, caller, &documents).await;
        },
        test,
        async |_, ()| (),
    )
    .await;
    // What only the first asks for, such as the key that verifies.
    let is_later = |cell: &Cell| later.iter().any(|call| call.operation == cell.operation);
    let mut cells = matrix::cells(&first, &Kind::ALL);
    cells.retain(|cell| is_wanted(cell) && !is_later(cell));
    for cell in cells {
        matrix::run(vec![cell], 1, async |_| (), test, async |_, ()| ()).await;
    }
}

fn small() -> Vec<Vec<u8>> {
    let text = "Bulletin de paie, net à payer 1 234,56 €\n".repeat(50);
    vec![text.into_bytes(), Random(3).bytes(3_000)]
}

/// One document that goes back in parts; incompressible.
fn large() -> Vec<Vec<u8>> {
    vec![b"small beside it".to_vec(), Random(5).bytes(9 * 1024 * 1024 + 11)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_anonymiser() {
    run(Deed::Anonymise, ANONYMISER, small(), |_| true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_planner_of_an_anonymisation() {
    run(Deed::Anonymise, PLANNER, Vec::new(), |_| true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_restorer() {
    run(Deed::Restore, RESTORER, small(), |_| true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_restorer_of_a_saved_archive() {
    run(Deed::RestoreSaved, RESTORER, small(), |_| true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_restorer_of_a_deleted_contact() {
    // Its calls are those of the other restorers, which meet every kind; before one is after the one before.
    run(Deed::RestoreDeleted, RESTORER, small(), |cell| {
        cell.kind == Kind::KilledAfter
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_restorer_that_replaces_what_was_edited() {
    run(Deed::RestoreOver, RESTORER, small(), |cell| {
        matches!(cell.kind, Kind::KilledAfter | Kind::ReplyLost)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_restorer_of_a_document_in_parts() {
    let documents = large();
    let Some(recorded) = recorded(Deed::Restore, RESTORER, &documents).await else {
        return;
    };
    let calls = recorded.later;
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
    // What DynamoDB does is as with small documents.
    run(Deed::Restore, RESTORER, documents, |cell| {
        cell.operation.starts_with("S3.")
    })
    .await;
}

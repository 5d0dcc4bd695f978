//! Anonymising and restoring, killed before and after every AWS call, refused, throttled and left without
//! an answer at each: tables, buckets, counts and mails end as they do without.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::primitives::ByteStream;
use oubli_local::faults::Call;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::matrix::{self, Cell, Kind};
use crate::world::{ANONYMISER, Feed, Life, PLANNER, Person, RESTORER, Random, Want, World, meanwhile};

/// S3 takes no smaller part, but for the last.
const SMALLEST_PART_BYTES: usize = 5 * 1024 * 1024;

/// What is done, over and over, to one contact after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    /// It was exported, and is anonymised.
    Anonymise,
    /// It was anonymised, and comes back from its archive.
    Restore,
    /// It was anonymised, and comes back from a saved archive.
    RestoreSaved,
    /// As before, of an archive that was sent in parts, which nobody has joined yet.
    RestoreParts,
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
            Self::Restore | Self::RestoreSaved | Self::RestoreParts => {
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
            // All others of this name are anonymised already.
            Self::Anonymise => {
                let filter = json!({ "filter": { "q": "lefevre", "state": "active" } });
                world.start_action("anonymise", filter).await
            }
            Self::Restore | Self::RestoreDeleted => {
                world
                    .start_action("restore", json!({ "archive_ids": [archive] }))
                    .await
            }
            Self::RestoreSaved | Self::RestoreParts => {
                let bytes = world.stack.archive(&archive).await;
                let upload = match self {
                    Self::RestoreParts => send_back_in_parts(world, &bytes).await,
                    _ => send_back(world, &bytes).await,
                };
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

/// As [`send_back`], but in two parts, as archives above 5 GiB are announced; they are all there, apart.
async fn send_back_in_parts(world: &World, bytes: &[u8]) -> String {
    let body = json!({ "size_bytes": bytes.len() });
    let announced = world.stack.agent().post("/v1/archive-uploads", body).await;
    let new = announced.expect(StatusCode::CREATED);
    let upload = new["upload_id"].as_str().unwrap();
    let (bucket, key) = (
        world.setting("OUBLI_UPLOADS_BUCKET"),
        format!("uploads/demo/archives/{upload}"),
    );
    let begun = world.objects.create_multipart_upload().bucket(bucket).key(&key);
    let parts = begun.send().await.unwrap().upload_id.unwrap();
    for (number, part) in (1..).zip(bytes.chunks(SMALLEST_PART_BYTES)) {
        let part = ByteStream::from(part.to_vec());
        let sent = world.objects.upload_part().bucket(bucket).key(&key);
        let sent = sent.upload_id(&parts).part_number(number).body(part);
        sent.send().await.unwrap();
    }
    let record = world.tables.update_item();
    let record = record.table_name(world.setting("OUBLI_REQUESTS_TABLE"));
    let record = record.key("pk", AttributeValue::S(format!("T#demo#U#{upload}")));
    let record = record.key("sk", AttributeValue::S("UPLOAD".to_owned()));
    let record = record.condition_expression("attribute_exists(pk)");
    let record = record.update_expression("SET parts_id = :parts");
    let record = record.expression_attribute_values(":parts", AttributeValue::S(parts));
    record.send().await.unwrap();
    upload.to_owned()
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
    matrix::thin(&mut cells, is_wanted);
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
    cells.retain(|cell| !is_later(cell));
    matrix::thin(&mut cells, is_wanted);
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

/// Else what [`World::clear_up`] waits for, and what snapshots compare, would be nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_to_be_deleted_is_noted_until_it_is() {
    let Some(world) = World::start().await else { return };
    let begun = Deed::Anonymise.begin(&world, &small()).await;
    let gate = world.hold(ANONYMISER, "S3.DeleteObjects", 1, false);
    let work = async { world.settle(&mut Feed::plain(), &[&begun.action]).await };
    let look = async {
        assert_eq!(
            world.record(&begun.life.contact).await.unwrap()["state"],
            "anonymised"
        );
        assert_eq!(world.shelved(&begun.life.contact).await.len(), small().len());
        assert_eq!(world.purge_notes().await.len(), 1);
        let snapshot = world.snapshot(&begun.life).await.join("\n");
        assert!(snapshot.contains("#PURGE#<contact>"), "{snapshot}");
    };
    meanwhile(work, &gate, look).await;
    assert!(world.shelved(&begun.life.contact).await.is_empty());
    // These documents were stored a moment ago: a late copy of one may still come, and is looked for.
    assert_eq!(world.purge_notes().await.len(), 1);
    world.clear_up(&mut Feed::plain()).await;
    assert!(world.purge_notes().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_anonymiser() {
    run(Deed::Anonymise, ANONYMISER, small(), |_| true).await;
}

/// By a filter, which selects nobody any more once it is done.
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

/// The calls by which parts are joined; all others are as with an archive that was sent whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_restorer_of_a_saved_archive_in_parts() {
    let documents = vec![Random(7).bytes(SMALLEST_PART_BYTES + 100)];
    let Some(recorded) = recorded(Deed::RestoreParts, RESTORER, &documents).await else {
        return;
    };
    let joins = ["S3.ListParts", "S3.CompleteMultipartUpload", "S3.HeadObject"];
    for operation in joins {
        let calls = recorded.later.iter();
        let made = calls.filter(|call| call.operation == operation).count();
        assert_eq!(made, 1, "{operation}");
    }
    run(Deed::RestoreParts, RESTORER, documents, |cell| {
        ["S3.ListParts", "S3.CompleteMultipartUpload", "S3.HeadObject"].contains(&cell.operation.as_str())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_planner_of_a_restore() {
    run(Deed::Restore, PLANNER, Vec::new(), |_| true).await;
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

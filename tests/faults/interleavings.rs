//! Edits between export and anonymisation, at every call of either: nothing is anonymised whose latest data
//! is not in an archive, and whatever was accepted is there.

use jiff::SignedDuration;
use oubli_local::faults::{Call, Gate};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::matrix;
use crate::world::{ANONYMISER, API, Feed, Person, Random, World, meanwhile};

/// What somebody does to a contact that is about to be anonymised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edit {
    Rename,
    AddDocument,
    DeleteDocument,
    ChangePhoto,
    DeleteContact,
    ExportAgain,
    Restore,
}

impl Edit {
    /// Does it; answers whether it was accepted. What can be asked of the queues is done to its end.
    async fn make(self, world: &World, contact: &str) -> bool {
        match self {
            Self::Rename => world.rename(contact, "After").await == StatusCode::OK,
            Self::AddDocument => add(world, contact, "document").await,
            Self::ChangePhoto => add(world, contact, "photo").await,
            Self::DeleteDocument => {
                let agent = world.stack.agent();
                let path = format!("/v1/contacts/{contact}/documents");
                let listed = agent.get(&path).await.json();
                let Some(document) = listed["items"][0]["id"].as_str() else {
                    return false;
                };
                let deleted = agent.delete(&format!("{path}/{document}")).await;
                deleted.status == StatusCode::NO_CONTENT
            }
            Self::DeleteContact => {
                let path = format!("/v1/contacts/{contact}");
                world.stack.agent().delete(&path).await.status == StatusCode::NO_CONTENT
            }
            Self::ExportAgain | Self::Restore => {
                let kind = if self == Self::Restore {
                    "restore"
                } else {
                    "export"
                };
                world.start_for(kind, contact).await;
                world.feed(&mut Feed::plain()).await;
                true
            }
        }
    }

    /// Whether a contact is as this edit leaves it.
    fn is_in(self, before: &Person, after: &Person) -> bool {
        let same_fields = after.fields == before.fields;
        let same_documents = after.documents == before.documents;
        let has_all = before
            .documents
            .iter()
            .all(|(id, kept)| after.documents.get(id) == Some(kept));
        let is_longer = after.documents.len() == before.documents.len() + 1 && has_all;
        let photo = "photo_document_id";
        match self {
            Self::Rename => after.fields["last_name"] == "After" && same_documents,
            Self::AddDocument => is_longer && after.fields[photo] == before.fields[photo],
            Self::ChangePhoto => is_longer && after.fields[photo] != before.fields[photo],
            Self::DeleteDocument => after.documents.len() + 1 == before.documents.len(),
            Self::DeleteContact => false,
            Self::ExportAgain | Self::Restore => same_fields && same_documents,
        }
    }
}

async fn add(world: &World, contact: &str, kind: &str) -> bool {
    let agent = world.stack.agent();
    let path = format!("/v1/contacts/{contact}/documents");
    let body = json!({
        "name": "later.bin", "content_type": "image/png", "size_bytes": 5, "kind": kind
    });
    let new = agent.post(&path, body).await;
    if new.status != StatusCode::CREATED {
        return false;
    }
    let new = new.json();
    let put = world.stack.put_upload(&new["upload"], b"later".to_vec()).await;
    assert_eq!(put, StatusCode::OK);
    let document = new["document"]["id"].as_str().unwrap();
    let completed = agent
        .post(&format!("{path}/{document}/complete"), Value::Null)
        .await;
    completed.status == StatusCode::OK
}

/// A contact that was exported.
async fn exported(world: &World) -> (String, Person) {
    let contact = world
        .enter_person("Before", &[b"first".to_vec(), Random(7).bytes(900)])
        .await;
    let item = world.run_for("export", &contact).await;
    assert_eq!(item["state"], "done", "{item}");
    let person = world.person(&contact).await.unwrap();
    (contact, person)
}

/// That nothing is lost of a contact that was edited while it was anonymised, and nothing left over.
async fn check(world: &World, contact: &str, before: &Person, edit: Edit, was_accepted: bool, action: &str) {
    let item = world.stack.items(action).await.remove(0);
    let ended = (item["state"].as_str().unwrap(), item["reason"].as_str());
    assert_eq!(world.mails_about(action), 1);
    let shelved = world.shelved(contact).await.len();
    let Some(record) = world.record(contact).await else {
        assert!(edit == Edit::DeleteContact && was_accepted);
        assert!(["done", "failed"].contains(&ended.0), "{item}");
        assert_eq!(shelved, 0);
        return;
    };
    assert!(edit != Edit::DeleteContact || !was_accepted, "deleted, and there");
    let is_latest = |person: &Person| {
        if was_accepted {
            edit.is_in(before, person)
        } else {
            person == before
        }
    };
    if record["state"] == "anonymised" {
        let archived = world.person_archived(contact).await;
        assert!(
            is_latest(&archived),
            "anonymised without its latest data: {archived:?}"
        );
        assert_eq!(ended, ("done", None));
        assert_eq!(shelved, 0);
        for text in before.texts() {
            assert!(!record.to_string().contains(&text), "`{text}` is still there");
        }
    } else {
        let person = world.person(contact).await.unwrap();
        assert!(is_latest(&person), "what was accepted is not there: {person:?}");
        assert_eq!(shelved, person.documents.len());
        let is_restored = record.get("restored").is_some();
        assert_eq!(is_restored, ended.0 == "done", "{item}");
        assert!(is_restored || ended.0 == "failed", "{item}");
    }
}

/// Where somebody is held.
#[derive(Debug)]
struct Place {
    nth: u64,
    after: bool,
    edit: Edit,
}

impl Place {
    fn hold(&self, world: &World, caller: &str) -> Gate {
        world.hold(caller, "*", self.nth, self.after)
    }
}

/// The places of these calls: before each, and after the last. What is after one call is before the next,
/// since whoever is held does nothing between them; calls that were made at once have places of their own.
fn places(calls: &[Call], edit: Edit) -> Vec<Place> {
    let before = (1..=calls.len() as u64).map(|nth| Place {
        nth,
        after: false,
        edit,
    });
    let last = Place {
        nth: calls.len() as u64,
        after: true,
        edit,
    };
    before.chain([last]).collect()
}

/// Holds the anonymiser at each of its calls while this edit is made.
async fn edited_while_it_is_anonymised(edit: Edit) {
    let Some(world) = World::start().await else { return };
    let (contact, _) = exported(&world).await;
    let action = world.start_for("anonymise", &contact).await;
    world.engines().faults().record();
    world.settle(&mut Feed::plain(), &[&action]).await;
    let calls = matrix::calls_of(&world, ANONYMISER);
    assert!(calls.iter().any(|call| call.operation == "S3.DeleteObjects"));
    matrix::run(
        places(&calls, edit),
        2,
        async |_| (),
        async |world, (), place| {
            let (contact, before) = exported(world).await;
            let action = world.start_for("anonymise", &contact).await;
            world.feed_only("bulk-planner").await;
            let delivery = world.visible().await.remove(0);
            let gate = place.hold(world, ANONYMISER);
            let mut accepted = false;
            let work = world.deliver(&delivery);
            let change = async { accepted = place.edit.make(world, &contact).await };
            if meanwhile(work, &gate, change).await {
                world.delete(&delivery).await;
            }
            world.engines().faults().clear();
            let mut feed = Feed::plain();
            world.settle(&mut feed, &[&action]).await;
            world.clear_up(&mut feed).await;
            check(world, &contact, &before, place.edit, accepted, &action).await;
        },
        async |_, ()| (),
    )
    .await;
}

/// Holds the API at each call of this edit while the contact is anonymised.
async fn anonymised_while_it_is_edited(edit: Edit) {
    let Some(world) = World::start().await else { return };
    let (contact, _) = exported(&world).await;
    world.engines().faults().record();
    assert!(edit.make(&world, &contact).await);
    let calls = matrix::calls_of(&world, API);
    matrix::run(
        places(&calls, edit),
        2,
        async |_| (),
        async |world, (), place| {
            let (contact, before) = exported(world).await;
            let gate = place.hold(world, API);
            let mut action = String::new();
            let anonymise = async {
                action = world.start_for("anonymise", &contact).await;
                world.feed(&mut Feed::plain()).await;
            };
            let accepted = meanwhile(place.edit.make(world, &contact), &gate, anonymise).await;
            world.engines().faults().clear();
            let mut feed = Feed::plain();
            world.settle(&mut feed, &[&action]).await;
            world.clear_up(&mut feed).await;
            // What was announced and never came goes after two days.
            world.stack.advance(SignedDuration::from_hours(49));
            world.sweep(&mut feed).await;
            check(world, &contact, &before, place.edit, accepted, &action).await;
        },
        async |_, ()| (),
    )
    .await;
}

macro_rules! each_edit {
    ($($name:ident, $inverse:ident: $edit:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            edited_while_it_is_anonymised(Edit::$edit).await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $inverse() {
            anonymised_while_it_is_edited(Edit::$edit).await;
        }
    )*};
}

each_edit! {
    renamed_while_anonymised, anonymised_while_renamed: Rename,
    given_a_document_while_anonymised, anonymised_while_given_a_document: AddDocument,
    losing_a_document_while_anonymised, anonymised_while_losing_a_document: DeleteDocument,
    given_a_photo_while_anonymised, anonymised_while_given_a_photo: ChangePhoto,
    deleted_while_anonymised, anonymised_while_deleted: DeleteContact,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exported_again_while_anonymised() {
    edited_while_it_is_anonymised(Edit::ExportAgain).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restored_while_anonymised() {
    edited_while_it_is_anonymised(Edit::Restore).await;
}

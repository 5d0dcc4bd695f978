//! Fifty people of whom everything is marked are exported and anonymised: until their archives end, no mark
//! is found but in those; after it, none at all.

mod broken_copies;
mod people;

use std::collections::BTreeSet;

use jiff::SignedDuration;
use oubli_domain::Sha256;
use oubli_local::clock::EngineClock;
use oubli_local::runner::RunnerOptions;
use oubli_tests::{START, Stack};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use people::{mark, person};

use super::{ALONE, Watched, lines_are_clean};
use crate::endpoint;
use crate::witnesses::{Guesses, MARK, Memory, Messages, is_marked};

const PEOPLE: usize = 50;
/// How many of them are named one by one; the others are found by their name.
const NAMED: usize = 20;
/// The most that a deployment logs when it is set to `debug`, with who calls whom.
const FILTER: &str = "warn,oubli=debug,oubli_local=off";
const TEN_DAYS: SignedDuration = SignedDuration::from_hours(240);

/// One of the fifty.
struct Person {
    number: usize,
    contact: String,
    documents: Vec<String>,
    /// The link by which bytes were sent for a document that was never completed.
    pending: Option<(String, Value)>,
}

struct Crowd {
    watched: Watched,
    people: Vec<Person>,
}

impl Crowd {
    async fn document(&mut self, person: &Person, what: &str, sent: bool, complete: bool) -> (String, Value) {
        let bytes = format!("{} in the bytes", mark(person.number, what));
        let body = json!({
            "name": format!("{}.pdf", mark(person.number, what)),
            "content_type": if what == "photo" { "image/png" } else { "application/pdf" },
            "size_bytes": bytes.len(),
            "sha256": Sha256::of(bytes.as_bytes()).to_string(),
            "kind": if what == "photo" { "photo" } else { "document" }
        });
        let path = format!("/v1/contacts/{}/documents", person.contact);
        let new = self.watched.post(&path, body).await.expect(StatusCode::CREATED);
        let id = new["document"]["id"].as_str().unwrap().to_owned();
        if sent {
            let put = self
                .watched
                .stack
                .put_upload(&new["upload"], bytes.into_bytes())
                .await;
            assert_eq!(put, StatusCode::OK);
        }
        if complete {
            let path = format!("{path}/{id}/complete");
            let done = self.watched.post(&path, Value::Null).await;
            done.expect(StatusCode::OK);
        }
        (id, new["upload"].clone())
    }

    /// Enters everybody, with documents in every stage that there is.
    async fn enter(&mut self) {
        for number in 0..PEOPLE {
            let key = mark(number, "key");
            let key = [("idempotency-key", key.as_str())];
            let new = self
                .watched
                .with(Method::POST, "/v1/contacts", &key, person(number))
                .await;
            let contact = new.expect(StatusCode::CREATED)["id"].clone();
            let mut person = Person {
                number,
                contact: contact.as_str().unwrap().to_owned(),
                documents: Vec::new(),
                pending: None,
            };
            let (contract, _) = self.document(&person, "contract", true, true).await;
            let (photo, _) = self.document(&person, "photo", true, true).await;
            let path = format!("/v1/contacts/{}", person.contact);
            let photo_of = json!({ "photo_document_id": photo });
            let changed = self.watched.call(Method::PATCH, &path, photo_of).await;
            changed.expect(StatusCode::OK);
            if number % 5 == 0 {
                person.pending = Some(self.document(&person, "pending", true, false).await);
            }
            if number % 7 == 0 {
                self.document(&person, "announced", false, false).await;
            }
            if number % 10 == 0 {
                self.copy_is_broken_off(&person).await;
            }
            person.documents = vec![contract, photo];
            self.people.push(person);
        }
    }

    /// Runs an action to its end; its items, of which each must be done.
    async fn done(&mut self, body: Value) -> Vec<Value> {
        let items = self.act(body).await;
        for item in &items {
            assert_eq!(item["state"], "done", "{item}");
        }
        items
    }

    async fn act(&mut self, body: Value) -> Vec<Value> {
        let key: String = body.to_string().chars().take(200).collect();
        let key = [("idempotency-key", key.as_str())];
        let started = self
            .watched
            .with(Method::POST, "/v1/data-actions", &key, body)
            .await;
        let action = started.expect(StatusCode::ACCEPTED)["id"].clone();
        let path = format!("/v1/data-actions/{}", action.as_str().unwrap());
        self.watched.stack.drain().await;
        let ended = self.watched.get(&path).await.expect(StatusCode::OK);
        assert!(ended["completed_at"].is_string(), "{ended}");
        let items = self.watched.get(&format!("{path}/items?limit=200")).await;
        items.expect(StatusCode::OK)["items"].as_array().unwrap().clone()
    }

    fn contacts(&self, people: std::ops::Range<usize>) -> Value {
        let ids: Vec<_> = self.people[people]
            .iter()
            .map(|person| person.contact.clone())
            .collect();
        json!({ "contact_ids": ids })
    }

    /// The marked rows of both tables and all indexes: in which partitions they stand.
    async fn marked(&self) -> BTreeSet<String> {
        let mut marked = BTreeSet::new();
        for (table, indexes) in [
            (
                "OUBLI_CONTACTS_TABLE",
                ["by_name", "by_created", "by_email"].as_slice(),
            ),
            ("OUBLI_REQUESTS_TABLE", &["by_time", "open_work"]),
        ] {
            let indexes = indexes.iter().copied().map(Some);
            for index in std::iter::once(None).chain(indexes) {
                for (partition, row) in endpoint::rows(&self.watched.stack, table, index).await {
                    self.watched.confirms_nothing(&row);
                    if is_marked(&row) || is_marked(&partition) {
                        marked.insert(partition);
                    }
                }
            }
        }
        marked
    }

    /// What is stored in S3, archives aside: every version and every part, of which none may be marked.
    async fn nothing_is_marked_but_archives(&self) -> Vec<String> {
        let archives = endpoint::setting(&self.watched.stack, "OUBLI_ARCHIVES_BUCKET");
        let mut keys = Vec::new();
        let stored = self.watched.stack.engines().unwrap().s3().inventory().await;
        for item in stored.unwrap() {
            assert!(!is_marked(&item.key), "{}", item.key);
            if item.bucket == archives {
                continue;
            }
            for path in &item.paths {
                let bytes = std::fs::read(path).unwrap();
                assert!(!is_marked(&String::from_utf8_lossy(&bytes)), "{item:?}");
            }
            keys.push(item.key);
        }
        keys
    }

    /// Nobody is found any more by what they were called, nor shown.
    async fn nobody_is_shown(&mut self) {
        for query in [
            format!("q={MARK}"),
            format!("q={}", mark(7, "last")),
            format!("q={}%40{}.example", mark(7, "mail"), mark(7, "domain")),
        ] {
            let found = self.watched.get(&format!("/v1/contacts?{query}")).await;
            assert_eq!(found.expect(StatusCode::OK)["total"], 0, "{query}");
        }
        let listed = self.watched.get("/v1/contacts?limit=200").await;
        let shown = listed.expect(StatusCode::OK);
        assert_eq!(shown["total"], PEOPLE, "they are still listed");
        assert!(!is_marked(&listed.text()));
        for person in 0..PEOPLE {
            let path = format!("/v1/contacts/{}", self.people[person].contact);
            let answer = self.watched.get(&path).await;
            let card = answer.expect(StatusCode::OK);
            assert_eq!(card["state"], "anonymised", "{card}");
            assert_eq!(card["business"]["opportunities"], 3, "{card}");
            assert!(!is_marked(&answer.text()), "{card}");
            let documents = self.watched.get(&format!("{path}/documents")).await;
            assert_eq!(documents.expect(StatusCode::OK)["total"], 0);
            for document in self.people[person].documents.clone() {
                let content = format!("{path}/documents/{document}/content");
                let gone = self.watched.get(&content).await;
                assert_eq!(gone.problem(StatusCode::NOT_FOUND), "not_found");
            }
        }
    }

    /// Bytes that are sent by a link of before bring no document back.
    async fn late_uploads_bring_nothing_back(&mut self) {
        let mut late = 0;
        for number in 0..PEOPLE {
            let Some((document, upload)) = self.people[number].pending.clone() else {
                continue;
            };
            let bytes = format!("{} in the bytes", mark(number, "pending"));
            let put = self.watched.stack.put_upload(&upload, bytes.into_bytes()).await;
            assert_eq!(put, StatusCode::OK, "the link still lives");
            let contact = self.people[number].contact.clone();
            let path = format!("/v1/contacts/{contact}/documents/{document}/complete");
            let absent = self.watched.post(&path, Value::Null).await;
            assert_eq!(absent.problem(StatusCode::NOT_FOUND), "not_found");
            late += 1;
        }
        assert_eq!(late, PEOPLE / 5);
    }

    /// Saved archives that are sent back: one that nobody takes up, some that are none and name a person all
    /// over, and one from which a contact comes back.
    async fn saved_archives_come_back(&mut self, archives: &[String]) {
        let saved = self.watched.stack.archive(&archives[0]).await;
        let files = zip_texts(&saved);
        assert!(is_marked(&files), "the search itself works, in archives too");
        self.send(&saved).await;
        let mut hostile = vec![
            mark(1, "no archive").into_bytes(),
            saved[..saved.len() / 2].to_vec(),
        ];
        for name in [mark(1, "file"), format!("documents/../{}", mark(1, "file"))] {
            let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
            let options = zip::write::SimpleFileOptions::default();
            zip.start_file(name, options).unwrap();
            std::io::Write::write_all(&mut zip, mark(1, "content").as_bytes()).unwrap();
            hostile.push(zip.finish().unwrap().into_inner());
        }
        let mut uploads = Vec::new();
        for bytes in &hostile {
            uploads.push(self.send(bytes).await);
        }
        let selection = json!({ "upload_ids": uploads });
        let refused = self
            .act(json!({ "kind": "restore", "selection": selection }))
            .await;
        assert_eq!(refused.len(), hostile.len());
        assert!(
            refused.iter().all(|item| item["state"] == "failed"),
            "{refused:?}"
        );

        let upload = self.send(&saved).await;
        let by_upload = json!({ "upload_ids": [upload] });
        let by_archive = json!({ "archive_ids": [archives[1]] });
        for selection in [by_upload, by_archive] {
            self.done(json!({ "kind": "restore", "selection": selection }))
                .await;
        }
        let back: BTreeSet<_> = self.people[..2]
            .iter()
            .map(|person| format!("T#demo#C#{}", person.contact))
            .collect();
        assert_eq!(self.marked().await, back, "these two are back, and nobody else");
        self.watched.stack.advance(SignedDuration::from_secs(1));
        let both = self.contacts(0..2);
        self.done(json!({ "kind": "export", "selection": both })).await;
        self.done(json!({ "kind": "anonymise", "selection": both, "acknowledged": true }))
            .await;
    }

    async fn send(&mut self, bytes: &[u8]) -> String {
        let body = json!({ "size_bytes": bytes.len() });
        let new = self.watched.post("/v1/archive-uploads", body).await;
        let new = new.expect(StatusCode::CREATED);
        let put = self
            .watched
            .stack
            .put_upload(&new["upload"], bytes.to_vec())
            .await;
        assert_eq!(put, StatusCode::OK);
        new["upload_id"].as_str().unwrap().to_owned()
    }

    /// The clock goes on; the brooms of S3 and DynamoDB, what S3 tells of it, and the janitor do their part.
    async fn time_goes_by(&self, hours: i64) {
        let stack = &self.watched.stack;
        stack.advance(SignedDuration::from_hours(hours));
        stack.sweep_storage().await;
        stack.sweep().await;
        stack.drain().await;
    }
}

async fn s3(stack: &Stack) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::config::Builder::from(&stack.aws().await);
    aws_sdk_s3::Client::from_conf(config.force_path_style(true).build())
}

/// Names and contents of an archive, as text.
fn zip_texts(archive: &[u8]) -> String {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(archive)).unwrap();
    let mut bytes = Vec::new();
    for index in 0..zip.len() {
        let mut file = zip.by_index(index).unwrap();
        bytes.extend(file.name().unwrap().as_bytes());
        std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn fifty_people_are_forgotten() {
    let _alone = ALONE.lock().await;
    let (logs, metrics) = (Memory::default(), Memory::default());
    // The restorer reads archives on threads of their own.
    logs.logs_of_all_threads(FILTER);
    let options = RunnerOptions {
        metrics: metrics.metrics(),
        ..RunnerOptions::ephemeral(EngineClock::frozen(START.parse().unwrap()))
    };
    let watched = Watched {
        stack: Stack::start_with(options).await,
        answers: Vec::new(),
        guesses: Guesses::default(),
    };
    let messages = Messages::watch(&watched.stack);
    let mut crowd = Crowd {
        watched,
        people: Vec::new(),
    };
    crowd.enter().await;
    let everybody: BTreeSet<_> = crowd
        .people
        .iter()
        .map(|person| format!("T#demo#C#{}", person.contact))
        .collect();
    let by_name = json!({ "filter": { "q": MARK } });

    // Exported; once found by what names them, and stopped at once.
    let stopped = json!({ "kind": "export", "selection": by_name });
    let stopped = crowd.watched.post("/v1/data-actions", stopped).await;
    let stopped = stopped.expect(StatusCode::ACCEPTED)["id"].clone();
    let stop = format!("/v1/data-actions/{}/stop", stopped.as_str().unwrap());
    let stop = crowd.watched.post(&stop, Value::Null).await;
    stop.expect(StatusCode::ACCEPTED);
    let exported = crowd
        .done(json!({ "kind": "export", "selection": by_name }))
        .await;
    assert_eq!(exported.len(), PEOPLE);
    let archives: Vec<_> = crowd
        .people
        .iter()
        .map(|person| {
            let of_person = |item: &&Value| item["contact_id"] == *person.contact;
            let item = exported.iter().find(of_person).unwrap();
            item["archive"]["id"].as_str().unwrap().to_owned()
        })
        .collect();
    let marked = crowd.marked().await;
    let of_people = |partition: &String| everybody.contains(partition);
    let in_lists = |partition: &String| partition.starts_with("T#demo#E#");
    assert!(
        marked
            .iter()
            .all(|partition| of_people(partition) || in_lists(partition)),
        "{marked:?}"
    );
    assert!(everybody.iter().all(|person| marked.contains(person)));

    // Anonymised: some by their ids, the others found by their names.
    for selection in [crowd.contacts(0..NAMED), by_name] {
        let preview = json!({ "kind": "anonymise", "selection": selection });
        let preview = crowd.watched.post("/v1/data-actions/preview", preview).await;
        let hash = preview.expect(StatusCode::OK)["plan_hash"].clone();
        let body = json!({
            "kind": "anonymise", "selection": selection, "acknowledged": true, "plan_hash": hash
        });
        crowd.done(body).await;
    }
    assert_eq!(crowd.marked().await, BTreeSet::new());
    assert_eq!(crowd.nothing_is_marked_but_archives().await, Vec::<String>::new());
    crowd.nobody_is_shown().await;
    crowd.saved_archives_come_back(&archives).await;
    assert_eq!(crowd.marked().await, BTreeSet::new());
    crowd.late_uploads_bring_nothing_back().await;

    // What is in the wrong place is gone within two days; what was exported, until the archives end, is not.
    crowd.time_goes_by(49).await;
    let left = crowd.nothing_is_marked_but_archives().await;
    assert!(
        left.iter().all(|key| key.starts_with("uploads/demo/archives/")),
        "{left:?}"
    );
    crowd.watched.stack.archive(&archives[5]).await;
    crowd
        .watched
        .stack
        .advance(TEN_DAYS - SignedDuration::from_hours(49));
    let path = format!("/v1/archives/{}/content", archives[5]);
    let over = crowd.watched.get(&path).await;
    assert_eq!(over.problem(StatusCode::GONE), "archive_expired");
    // S3 removes what has expired at the midnight after, and two days later at most.
    crowd.time_goes_by(0).await;
    crowd.time_goes_by(49).await;
    crowd.nobody_is_shown().await;
    assert_eq!(crowd.marked().await, BTreeSet::new());
    let engines = crowd.watched.stack.engines().unwrap();
    assert_eq!(
        engines.s3().inventory().await.unwrap(),
        [],
        "nothing at all is stored"
    );
    let path = format!("/v1/contacts/{}", crowd.people[5].contact);
    let card = crowd.watched.get(&path).await.expect(StatusCode::OK);
    assert_eq!(
        card["actions"]["restore"],
        json!({ "possible": false, "reason": "archive_expired" })
    );
    assert!(card.get("restorable_until").is_none(), "sealed: {card}");

    crowd.watched.answers_are_clean();
    let seen = messages.seen();
    assert!(seen.values().map(BTreeSet::len).sum::<usize>() > PEOPLE);
    for (queue, bodies) in seen {
        assert!(bodies.iter().all(|body| !is_marked(body)), "{queue}: {bodies:?}");
    }
    let sent = crowd.watched.stack.engines().unwrap().mails().outbox();
    assert!(sent.len() >= 5);
    for mail in sent {
        assert!(!is_marked(&std::fs::read_to_string(mail.path).unwrap()));
    }
    lines_are_clean(
        &logs.text(),
        // All of them: 848 when this was written.
        500,
        &["request_id", "message_id", "action_id", "item_id", "refusal"],
    );
    lines_are_clean(&metrics.text(), 10, &["_aws"]);
}

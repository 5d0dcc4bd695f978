//! A contact of whom every field is marked lives its whole life: no mark is found where it does not
//! belong. (Rule 7 of the architecture: ids only in messages, logs, metrics and URLs.)

mod crowd;
mod failures;
mod refusals;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use oubli_domain::Sha256;
use oubli_local::clock::EngineClock;
use oubli_local::runner::RunnerOptions;
use oubli_tests::{Answer, START, Stack};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use failures::{POISON, fails_and_is_retried, poison};
use refusals::refusals;

use crate::endpoint;
use crate::witnesses::{Guesses, MARK, Memory, Messages, is_marked};

/// The most that a deployment can be set to log; the engines are none of it.
const FILTER: &str = "debug,oubli_local=off,s3s=off,dynoxide=off";

/// A stack under watch.
struct Watched {
    stack: Stack,
    answers: Vec<(String, Answer)>,
    /// What could be guessed of what was asked for.
    guesses: Guesses,
}

/// What may be said in answers beyond a contact's own routes.
fn shows_contacts(path: &str) -> bool {
    path.starts_with("/v1/contacts")
}

impl Watched {
    async fn call(&mut self, method: Method, path: &str, body: Value) -> Answer {
        self.with(method, path, &[("if-match", "*")], body).await
    }

    async fn with(&mut self, method: Method, path: &str, headers: &[(&str, &str)], body: Value) -> Answer {
        let body = (!body.is_null()).then(|| body.to_string().into_bytes());
        let key = headers.iter().find(|(name, _)| *name == "idempotency-key");
        let line = format!("{method} {path}");
        let said = body.as_deref().unwrap_or_default();
        self.guesses.add_request(&line, key.map(|(_, key)| *key), said);
        let answer = self.stack.agent().call(method, path, headers, body).await;
        self.answers.push((path.to_owned(), answer.clone()));
        answer
    }

    async fn get(&mut self, path: &str) -> Answer {
        self.call(Method::GET, path, Value::Null).await
    }

    async fn post(&mut self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, body).await
    }

    async fn document(&mut self, contact: &str, kind: &str, complete: bool) -> (String, Value) {
        let bytes = format!("{MARK} bytes of a {kind} that nobody else should read");
        let body = json!({
            "name": format!("{MARK} bulletin.pdf"),
            "content_type": if kind == "photo" { "image/png" } else { "application/pdf" },
            "size_bytes": bytes.len(),
            "sha256": Sha256::of(bytes.as_bytes()).to_string(),
            "kind": kind
        });
        let path = format!("/v1/contacts/{contact}/documents");
        let new = self.post(&path, body).await.expect(StatusCode::CREATED);
        assert!(!is_marked(new["upload"]["url"].as_str().unwrap()), "{new}");
        let id = new["document"]["id"].as_str().unwrap().to_owned();
        let missing = self.post(&format!("{path}/{id}/complete"), Value::Null).await;
        assert_eq!(missing.problem(StatusCode::CONFLICT), "upload_missing");
        let put = self.stack.put_upload(&new["upload"], bytes.into_bytes()).await;
        assert_eq!(put, StatusCode::OK);
        if complete {
            let done = self.post(&format!("{path}/{id}/complete"), Value::Null).await;
            done.expect(StatusCode::OK);
        }
        (id, new["upload"].clone())
    }

    /// Where each contact stands in the lists, as a guess: what sorts by name there is a name.
    async fn guess_positions(&mut self) {
        let client = aws_sdk_dynamodb::Client::new(&self.stack.aws().await);
        let scan = client
            .scan()
            .table_name(endpoint::setting(&self.stack, "OUBLI_CONTACTS_TABLE"));
        let found = scan.index_name("by_name").send().await.unwrap();
        assert_eq!(found.count(), 3);
        for item in found.items() {
            let position = item["by_name_sk"].as_s().unwrap();
            assert!(position.starts_with("zqxcanar"), "{position}");
            self.guesses.add(position.as_bytes());
        }
    }

    /// No hash that confirms a guess.
    #[track_caller]
    fn confirms_nothing(&self, text: &str) {
        assert_eq!(self.guesses.confirmed_by(text), None, "{text}");
    }

    /// No mark in what the API said, its own contact's body aside.
    fn answers_are_clean(&self) {
        assert!(self.answers.len() > 40);
        for (path, answer) in &self.answers {
            for (name, value) in &answer.headers {
                let value = String::from_utf8_lossy(value.as_bytes());
                assert!(!is_marked(&value), "{path}: {name}: {value}");
            }
            if shows_contacts(path) && answer.status.is_success() {
                let json = answer.json();
                let cursor = json["next_cursor"].as_str().unwrap_or_default();
                assert!(!is_marked(cursor), "{path}: {cursor}");
                let position = URL_SAFE_NO_PAD.decode(cursor).unwrap();
                self.confirms_nothing(&String::from_utf8(position).unwrap());
            } else {
                assert!(!is_marked(&answer.text()), "{path}: {}", answer.text());
            }
        }
    }

    /// No mark in the table of what runs, and in that of contacts only under the contact.
    async fn tables_are_clean(&self, contact: Option<&str>) {
        let requests = endpoint::rows(&self.stack, "OUBLI_REQUESTS_TABLE", None).await;
        assert!(!requests.is_empty());
        for (partition, row) in requests {
            assert!(!is_marked(&row), "{partition}: {row}");
            self.confirms_nothing(&row);
        }
        for index in [None, Some("by_name"), Some("by_created"), Some("by_email")] {
            let rows = endpoint::rows(&self.stack, "OUBLI_CONTACTS_TABLE", index).await;
            let mut marked = 0;
            rows.iter().for_each(|(_, row)| self.confirms_nothing(row));
            for (partition, row) in rows.iter().filter(|(_, row)| is_marked(row)) {
                let own = contact.map(|contact| format!("T#demo#C#{contact}"));
                assert_eq!(Some(partition), own.as_ref(), "{index:?}: {row}");
                marked += 1;
            }
            assert_eq!(
                marked > 0,
                contact.is_some(),
                "{index:?}: the search itself works"
            );
        }
    }
}

fn marked_contact() -> Value {
    json!({
        "last_name": format!("{MARK}last"),
        "first_name": format!("{MARK}first"),
        "job_title": format!("{MARK}job"),
        "email": format!("{MARK}@example.com"),
        "phone": "+33 9 87 65 01 11",
        "mobile": "+98 765 011 223",
        "address": {
            "lines": [format!("{MARK} line"), format!("{MARK} other line")],
            "postal_code": format!("{MARK}75"),
            "city": format!("{MARK}city"),
            "country": format!("{MARK}land")
        },
        "notes": format!("{MARK} notes\nof two lines"),
        "custom_fields": { format!("{MARK}field"): format!("{MARK}value") },
        "assigned_to": "agent"
    })
}

/// One test at a time: the other one listens to no log.
static ALONE: Mutex<()> = Mutex::const_new(());

#[tokio::test]
async fn a_person_is_named_nowhere_but_in_their_own_record() {
    let _alone = ALONE.lock().await;
    let (logs, metrics) = (Memory::default(), Memory::default());
    let _guard = logs.logs(FILTER);
    let options = RunnerOptions {
        metrics: metrics.metrics(),
        ..RunnerOptions::ephemeral(EngineClock::frozen(START.parse().unwrap()))
    };
    let mut watched = Watched {
        stack: Stack::start_with(options).await,
        answers: Vec::new(),
        guesses: Guesses::default(),
    };
    let messages = Messages::watch(&watched.stack);

    // Entered, changed, looked for.
    let key = format!("{MARK}@example.com");
    let key = [("idempotency-key", key.as_str())];
    let entered = watched
        .with(Method::POST, "/v1/contacts", &key, marked_contact())
        .await;
    let contact = entered.expect(StatusCode::CREATED)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let again = watched
        .with(Method::POST, "/v1/contacts", &key, marked_contact())
        .await;
    assert_eq!(again.expect(StatusCode::CREATED)["id"], contact);
    let reused = watched
        .with(Method::POST, "/v1/contacts", &key, json!({ "last_name": "x" }))
        .await;
    assert_eq!(
        reused.problem(StatusCode::UNPROCESSABLE_ENTITY),
        "idempotency_key_reused"
    );
    let path = format!("/v1/contacts/{contact}");
    let change = json!({ "notes": format!("{MARK} other notes"), "first_name": format!("{MARK}autre") });
    watched
        .call(Method::PATCH, &path, change)
        .await
        .expect(StatusCode::OK);
    for neighbour in ["zqxcanarx", "zqxcanarz"] {
        watched
            .post("/v1/contacts", json!({ "last_name": neighbour }))
            .await
            .expect(StatusCode::CREATED);
    }
    watched.guess_positions().await;
    for query in [
        "limit=2".to_owned(),
        "limit=1&sort=-last_name&q=zqx".to_owned(),
        format!("q={MARK}"),
        format!("q={MARK}%40example.com"),
        "sort=created_at&limit=1".to_owned(),
    ] {
        let found = watched.get(&format!("/v1/contacts?{query}")).await;
        let found = found.expect(StatusCode::OK);
        if let Some(cursor) = found["next_cursor"].as_str() {
            watched
                .get(&format!("/v1/contacts?{query}&cursor={cursor}"))
                .await
                .expect(StatusCode::OK);
        }
    }
    refusals(&mut watched, &contact).await;

    // Documents, one of them the photo, one never completed.
    let (document, _) = watched.document(&contact, "document", true).await;
    let (photo, _) = watched.document(&contact, "photo", true).await;
    watched
        .call(Method::PATCH, &path, json!({ "photo_document_id": photo }))
        .await
        .expect(StatusCode::OK);
    let (_, pending) = watched.document(&contact, "document", false).await;
    watched
        .get(&format!("{path}/documents?limit=1"))
        .await
        .expect(StatusCode::OK);
    let content = watched.get(&format!("{path}/documents/{document}/content")).await;
    assert_eq!(content.status, StatusCode::SEE_OTHER);
    watched.tables_are_clean(Some(&contact)).await;

    // Exported: by id and by what names the person; stopped; failed, retried, told of.
    let by_mail =
        json!({ "kind": "export", "selection": { "filter": { "q": format!("{MARK}@example.com") } } });
    let by_name = json!({ "kind": "export", "selection": { "filter": { "q": MARK } } });
    for body in [&by_mail, &by_name] {
        watched
            .post("/v1/data-actions/preview", body.clone())
            .await
            .expect(StatusCode::OK);
        let started = watched
            .with(Method::POST, "/v1/data-actions", &[], body.clone())
            .await;
        let started = started.expect(StatusCode::ACCEPTED);
        watched.stack.drain().await;
        let action = format!("/v1/data-actions/{}", started["id"].as_str().unwrap());
        let ended = watched.get(&action).await.expect(StatusCode::OK);
        assert_eq!(ended["state"], "completed", "{ended}");
        let items = watched
            .get(&format!("{action}/items?limit=1"))
            .await
            .expect(StatusCode::OK);
        let archive = items["items"][0]["archive"]["id"].as_str().unwrap();
        let link = watched.get(&format!("/v1/archives/{archive}/content")).await;
        assert_eq!(link.status, StatusCode::SEE_OTHER);
    }
    watched.tables_are_clean(Some(&contact)).await;
    let stopped = watched
        .post("/v1/data-actions", by_name)
        .await
        .expect(StatusCode::ACCEPTED);
    let stop = format!("/v1/data-actions/{}/stop", stopped["id"].as_str().unwrap());
    watched
        .post(&stop, Value::Null)
        .await
        .expect(StatusCode::ACCEPTED);
    watched.stack.drain().await;
    watched.tables_are_clean(Some(&contact)).await;
    fails_and_is_retried(&mut watched, &contact, &document).await;
    poison(&watched).await;
    watched.get("/v1/data-actions").await.expect(StatusCode::OK);
    watched.get(&path).await.expect(StatusCode::OK);
    watched.tables_are_clean(Some(&contact)).await;

    // Deleted.
    assert_eq!(
        watched.call(Method::DELETE, &path, Value::Null).await.status,
        StatusCode::NO_CONTENT
    );
    let gone = watched.get(&path).await;
    assert_eq!(gone.problem(StatusCode::NOT_FOUND), "not_found");
    watched.stack.drain().await;
    watched.tables_are_clean(None).await;
    nothing_is_stored(&watched, &pending).await;

    watched.answers_are_clean();
    for (queue, bodies) in messages.seen() {
        assert!(!bodies.is_empty() || queue.contains("dead-letter"), "{queue}");
        assert!(bodies.iter().all(|body| !is_marked(body)), "{queue}: {bodies:?}");
    }
    let sent = watched.stack.engines().unwrap().mails().outbox();
    assert!(sent.len() >= 3);
    for mail in sent {
        let text = [
            mail.subject,
            mail.text.unwrap(),
            mail.html.unwrap(),
            mail.to.join(" "),
        ]
        .concat();
        assert!(!is_marked(&text), "{text}");
        assert!(!is_marked(&std::fs::read_to_string(mail.path).unwrap()));
    }
    lines_are_clean(
        &logs.text(),
        // All of them: 17,743 when this was written.
        10_000,
        &["request_id", "message_id", "action_id", "item_id"],
    );
    lines_are_clean(&metrics.text(), 10, &["_aws"]);
}

/// Only archives are left, and nothing that a link which is still valid brings in stays.
async fn nothing_is_stored(watched: &Watched, pending: &Value) {
    let engines = watched.stack.engines().unwrap();
    let archives =
        watched.stack.runner.provisioned().environment["archive-builder"]["OUBLI_ARCHIVES_BUCKET"].clone();
    let beyond_archives = async || {
        let stored = engines.s3().inventory().await.unwrap().into_iter();
        let beyond = stored.filter(|stored| stored.bucket != archives);
        beyond
            .map(|stored| format!("{}/{}", stored.bucket, stored.key))
            .collect::<Vec<_>>()
    };
    let stored = engines.s3().inventory().await.unwrap();
    assert!(stored.iter().any(|stored| stored.bucket == archives));
    assert!(stored.iter().all(|stored| !is_marked(&stored.key)));
    assert_eq!(beyond_archives().await, Vec::<String>::new());
    // The link is of the past by now; a fresh one would leave an object for a day at most.
    let put = watched.stack.put_upload(pending, MARK.into()).await;
    assert!(put.is_client_error(), "{put}");
}

fn lines_are_clean(text: &str, at_least: usize, fields: &[&str]) {
    let lines: Vec<_> = text.lines().collect();
    assert!(lines.len() >= at_least, "{} lines", lines.len());
    // Else there was nothing to look through.
    for field in fields {
        assert!(text.contains(&format!("\"{field}\"")), "{field}");
    }
    for line in lines {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(!is_marked(line), "{line}");
        assert!(!line.contains(POISON), "{line}");
    }
}

/// An upload that was under way when its contact was deleted does not outlive the day.
#[tokio::test]
async fn a_late_upload_is_swept() {
    let _alone = ALONE.lock().await;
    let mut watched = Watched {
        // The sweep is the embedded engines' own.
        stack: Stack::start_with(RunnerOptions::ephemeral(EngineClock::frozen(
            START.parse().unwrap(),
        )))
        .await,
        answers: Vec::new(),
        guesses: Guesses::default(),
    };
    let contact = watched.stack.contact(marked_contact()).await;
    let (_, pending) = watched.document(&contact, "document", false).await;
    let path = format!("/v1/contacts/{contact}");
    assert_eq!(
        watched.call(Method::DELETE, &path, Value::Null).await.status,
        StatusCode::NO_CONTENT
    );
    let engines = watched.stack.engines().unwrap();
    assert_eq!(engines.s3().inventory().await.unwrap(), []);
    let bytes = format!("{MARK} bytes of a document that nobody else should read");
    assert_eq!(
        watched.stack.put_upload(&pending, bytes.into_bytes()).await,
        StatusCode::OK
    );
    let late = engines.s3().inventory().await.unwrap();
    assert_eq!(late.len(), 1);
    assert!(!is_marked(&late[0].key));
    watched.stack.advance(SignedDuration::from_hours(49));
    engines.sweep().await.unwrap();
    assert_eq!(engines.s3().inventory().await.unwrap(), []);
}

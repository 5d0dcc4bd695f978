//! Saved archives that somebody tampered with, over the whole way: announced, uploaded, named in a restore.
//! Each is refused with its reason, and nothing is written. (`V13` of the product.)

mod bombs;
mod claims;
mod records;

use std::collections::BTreeMap;

use oubli_domain::Sha256;
use oubli_tests::forging::{self, Entry, Key, entries_of, zip_of};
use oubli_tests::{Client, Stack};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::endpoint::{rows, setting};

/// A file, and the reasons for which it may be refused.
struct Case {
    what: String,
    bytes: Vec<u8>,
    reasons: Vec<&'static str>,
}

impl Case {
    fn new(what: impl Into<String>, bytes: Vec<u8>, reason: &'static str) -> Self {
        Self::of_any(what, bytes, &[reason])
    }

    fn of_any(what: impl Into<String>, bytes: Vec<u8>, reasons: &[&'static str]) -> Self {
        Self {
            what: what.into(),
            bytes,
            reasons: reasons.to_vec(),
        }
    }
}

/// A contact of `client`'s that was exported and anonymised: its id, its archive's, the archive.
struct Gone {
    contact: String,
    archive: String,
    bytes: Vec<u8>,
}

impl Gone {
    async fn made(stack: &Stack, client: &Client) -> Self {
        let person = json!({
            "last_name": "Lefèvre", "first_name": "Chloé", "email": "chloe@example.fr", "notes": "matin"
        });
        let new = client.post("/v1/contacts", person).await;
        let contact = id_of(&new.expect(StatusCode::CREATED));
        for (name, content) in [
            ("Contrat.txt", b"signed by hand".to_vec()),
            ("Relevé.csv", b"a;b\n".repeat(2_000)),
            (
                "scan.bin",
                (0_u32..9_000).flat_map(|n| (n * n).to_le_bytes()).collect(),
            ),
        ] {
            document(stack, client, &contact, name, content).await;
        }
        let selection = json!({ "contact_ids": [contact] });
        let exported = act(stack, client, json!({ "kind": "export", "selection": selection })).await;
        let archive = exported[0]["archive"]["id"].as_str().unwrap().to_owned();
        let link = client.get(&format!("/v1/archives/{archive}/content")).await;
        let (_, bytes) = stack.fetch(link.header("location").unwrap()).await;
        let body = json!({ "kind": "anonymise", "selection": selection, "acknowledged": true });
        let anonymised = act(stack, client, body).await;
        assert_eq!(anonymised[0]["state"], "done", "{anonymised:?}");
        Self {
            contact,
            archive,
            bytes: bytes.to_vec(),
        }
    }
}

fn id_of(answer: &Value) -> String {
    answer["id"].as_str().unwrap().to_owned()
}

async fn document(stack: &Stack, client: &Client, contact: &str, name: &str, content: Vec<u8>) {
    let path = format!("/v1/contacts/{contact}/documents");
    let body = json!({
        "name": name, "content_type": "text/plain", "size_bytes": content.len(), "kind": "document"
    });
    let new = client.post(&path, body).await.expect(StatusCode::CREATED);
    assert_eq!(stack.put_upload(&new["upload"], content).await, StatusCode::OK);
    let complete = format!("{path}/{}/complete", id_of(&new["document"]));
    client.post(&complete, Value::Null).await.expect(StatusCode::OK);
}

/// Runs an action; its items.
async fn act(stack: &Stack, client: &Client, body: Value) -> Vec<Value> {
    let started = client.post("/v1/data-actions", body).await;
    let path = format!(
        "/v1/data-actions/{}",
        id_of(&started.expect(StatusCode::ACCEPTED))
    );
    let drained = stack.drain().await;
    assert!(drained.failed.values().all(|failed| *failed == 0), "{drained:?}");
    let ended = client.get(&path).await.expect(StatusCode::OK);
    assert!(ended["completed_at"].is_string(), "{ended}");
    let (mut items, mut query) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("{path}/items?limit=200{query}")).await;
        let page = page.expect(StatusCode::OK);
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(cursor) => query = format!("&cursor={cursor}"),
            None => return items,
        }
    }
}

/// Announces a file of this size and sends bytes: by its link, which takes that size alone, or else past it.
async fn send(stack: &Stack, size_bytes: u64, bytes: &[u8]) -> String {
    let body = json!({ "size_bytes": size_bytes });
    let new = stack.agent().post("/v1/archive-uploads", body).await;
    let new = new.expect(StatusCode::CREATED);
    let id = new["upload_id"].as_str().unwrap().to_owned();
    let one = if new["upload"].get("parts").is_some() {
        &new["upload"]["parts"][0]
    } else {
        &new["upload"]
    };
    let put = stack.put_upload(one, bytes.to_vec()).await;
    if size_bytes == bytes.len() as u64 {
        assert_eq!(put, StatusCode::OK);
        return id;
    }
    assert_eq!(put, StatusCode::FORBIDDEN, "{size_bytes} bytes");
    let config = aws_sdk_s3::config::Builder::from(&stack.aws().await).force_path_style(true);
    let put = aws_sdk_s3::Client::from_conf(config.build())
        .put_object()
        .bucket(setting(stack, "OUBLI_UPLOADS_BUCKET"))
        .key(format!("uploads/demo/archives/{id}"));
    put.body(bytes.to_vec().into()).send().await.unwrap();
    id
}

async fn sent(stack: &Stack, bytes: &[u8]) -> String {
    send(stack, bytes.len() as u64, bytes).await
}

/// All that tables and buckets hold, the uploads themselves and the records of actions and uploads aside.
async fn state(stack: &Stack) -> BTreeMap<String, String> {
    let mut state = BTreeMap::new();
    for table in ["OUBLI_CONTACTS_TABLE", "OUBLI_REQUESTS_TABLE"] {
        for (partition, row) in rows(stack, table, None).await {
            let kind = partition.split('#').nth(2).unwrap_or_default();
            if table == "OUBLI_CONTACTS_TABLE" || !["A", "U"].contains(&kind) {
                state.insert(format!("{table} {partition} {row}"), String::new());
            }
        }
    }
    let Some(engines) = stack.engines() else {
        return state;
    };
    for item in engines.s3().inventory().await.unwrap() {
        if item.key.starts_with("uploads/demo/archives/") {
            continue;
        }
        let content = item.paths.iter().map(|path| std::fs::read(path).unwrap());
        let content = Sha256::of(&content.collect::<Vec<_>>().concat()).to_string();
        state.insert(format!("{} {} {:?}", item.bucket, item.key, item.kind), content);
    }
    state
}

/// How many of the files are tried a second time: one of these.
const ONE_OF: usize = 7;

/// Sends every file, names all of them in one restore, some in a second, and looks at what became of them.
async fn all_are_refused(stack: &Stack, cases: Vec<Case>) {
    let before = state(stack).await;
    let mut uploads = BTreeMap::new();
    for case in &cases {
        uploads.insert(sent(stack, &case.bytes).await, case);
    }
    let all: Vec<_> = uploads.keys().collect();
    let some: Vec<_> = all.iter().copied().step_by(ONE_OF).collect();
    if let Some(engines) = stack.engines() {
        engines.faults().record();
    }
    let mut seen = BTreeMap::new();
    for ids in [all, some] {
        let mut wrong = Vec::new();
        let body = json!({ "kind": "restore", "selection": { "upload_ids": ids }, "overwrite": true });
        let items = act(stack, &stack.agent(), body).await;
        assert_eq!(items.len(), ids.len());
        for item in items {
            let upload = item["upload_id"].as_str().unwrap();
            let (case, reason) = (uploads[upload], item["reason"].as_str().unwrap_or("none"));
            if item["state"] != "failed" || !case.reasons.contains(&reason) {
                wrong.push(format!("{}: {item}, not {:?}", case.what, case.reasons));
            }
            let first = seen.entry(upload.to_owned()).or_insert_with(|| reason.to_owned());
            assert_eq!(first, reason, "the same file has the same reason: {}", case.what);
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
    assert_eq!(state(stack).await, before);
    let Some(engines) = stack.engines() else {
        return;
    };
    // Not even for a moment.
    let calls = engines.faults().calls();
    let restorers = calls
        .iter()
        .filter(|call| call.caller.as_deref() == Some("oubli-restorer"));
    let stored: Vec<_> = restorers
        .filter(|call| call.operation.starts_with("S3."))
        .filter(|call| !["S3.GetObject", "S3.HeadObject"].contains(&call.operation.as_str()))
        .collect();
    assert!(stored.is_empty(), "{stored:?}");
    engines.faults().clear();
}

/// A deployment with a contact to be brought back, its archive taken apart, and its key.
struct Scene {
    stack: Stack,
    gone: Gone,
    base: Vec<Entry>,
    key: Key,
}

impl Scene {
    async fn set() -> Self {
        let stack = Stack::start().await;
        let gone = Gone::made(&stack, &stack.agent()).await;
        Self {
            base: entries_of(&gone.bytes),
            key: Key::of(&stack).await,
            gone,
            stack,
        }
    }

    /// Without this, a restorer that refused everything would pass: what is forged without a lie is taken.
    async fn takes_what_is_genuine(&self, bytes: &[u8]) {
        let upload = sent(&self.stack, bytes).await;
        let body = json!({ "kind": "restore", "selection": { "upload_ids": [upload] } });
        let items = act(&self.stack, &self.stack.agent(), body).await;
        assert_eq!(items[0]["state"], "done", "{items:?}");
        let path = format!("/v1/contacts/{}", self.gone.contact);
        let card = self.stack.agent().get(&path).await.expect(StatusCode::OK);
        assert_eq!(
            (&card["last_name"], &card["state"]),
            (&json!("Lefèvre"), &json!("active"))
        );
    }
}

#[tokio::test]
async fn a_file_that_is_cut_off_anywhere_or_no_archive_is_refused() {
    let scene = Scene::set().await;
    let saved = &scene.gone.bytes;
    let mut cases = records::files(saved);
    cases.extend(records::truncated(saved));
    cases.extend(records::flipped(saved));
    assert!(cases.len() > 200);
    all_are_refused(&scene.stack, cases).await;
    scene.takes_what_is_genuine(saved).await;
}

#[tokio::test]
async fn records_that_lie_are_refused() {
    let scene = Scene::set().await;
    let mut cases = records::of_an_entry(&scene.base);
    cases.extend(records::of_the_whole(&scene.base));
    assert!(cases.len() > 120);
    all_are_refused(&scene.stack, cases).await;
    scene.takes_what_is_genuine(&zip_of(&scene.base)).await;
}

#[tokio::test]
async fn bombs_are_refused() {
    let scene = Scene::set().await;
    all_are_refused(&scene.stack, bombs::bombs(&scene.base)).await;
    let at = forging::document(&scene.base);
    let mut deflated = scene.base.clone();
    deflated[at] = Entry::deflated(&deflated[at].text(), &deflated[at].data);
    scene.takes_what_is_genuine(&zip_of(&deflated)).await;
}

#[tokio::test]
async fn unsafe_names_are_refused_whoever_signed_them() {
    let scene = Scene::set().await;
    let cases = claims::names(&scene.base, &scene.key).await;
    assert!(cases.len() > 50);
    all_are_refused(&scene.stack, cases).await;
    let mut renamed = scene.base.clone();
    forging::rename(
        &mut renamed,
        forging::document(&scene.base),
        "documents/Été 🦀.txt",
    );
    scene
        .takes_what_is_genuine(&scene.key.archive(renamed).await)
        .await;
}

#[tokio::test]
async fn what_was_changed_after_it_was_signed_is_refused() {
    let scene = Scene::set().await;
    let other = Gone::made(&scene.stack, &scene.stack.agent()).await;
    let other = entries_of(&other.bytes);
    let mut cases = claims::unsigned(&scene.base, &other);
    cases.extend(claims::exchanged(&scene.base, &other));
    cases.extend(claims::signed(&scene.base, &scene.key).await);
    all_are_refused(&scene.stack, cases).await;
    scene
        .takes_what_is_genuine(&scene.key.archive(scene.base.clone()).await)
        .await;
}

#[tokio::test]
async fn archives_of_other_tenants_and_deployments_are_refused() {
    let scene = Scene::set().await;
    let foreign = Gone::made(&scene.stack, &scene.stack.other_agent()).await;
    let mut cases = vec![
        Case::new("another tenant's", foreign.bytes.clone(), "archive_foreign"),
        Case::new(
            "another tenant's, written anew",
            zip_of(&entries_of(&foreign.bytes)),
            "archive_foreign",
        ),
    ];
    // Whoever has another deployment can sign whatever they like with its key, for our tenant and contact too.
    if scene.stack.engines().is_some() {
        let there = Stack::start().await;
        let theirs = Gone::made(&there, &there.agent()).await;
        cases.push(Case::new(
            "another deployment's",
            theirs.bytes,
            "archive_not_authentic",
        ));
        let key = Key::of(&there).await;
        let not_ours = key.archive(scene.base.clone()).await;
        cases.push(Case::new(
            "ours, signed by another",
            not_ours,
            "archive_not_authentic",
        ));
    }
    all_are_refused(&scene.stack, cases).await;
    scene.takes_what_is_genuine(&scene.gone.bytes).await;
}

/// Sizes that are announced and not sent, and that no archive has.
#[tokio::test]
async fn announced_sizes_are_held_to() {
    const GIB: u64 = 1 << 30;
    let scene = Scene::set().await;
    let stack = &scene.stack;
    let before = state(stack).await;
    let length = scene.gone.bytes.len() as u64;
    let mut expected = BTreeMap::new();
    for (size, reason) in [
        (1, "upload_missing"),
        (length - 1, "upload_missing"),
        (length + 1, "upload_missing"),
        (5 * GIB, "upload_missing"),
        (20 * GIB + 1, "archive_too_large"),
        (u64::MAX, "archive_too_large"),
    ] {
        expected.insert(send(stack, size, &scene.gone.bytes).await, (size, reason));
    }
    let body = json!({ "size_bytes": 10 });
    let new = stack.agent().post("/v1/archive-uploads", body).await;
    let new = new.expect(StatusCode::CREATED);
    let nothing = new["upload_id"].as_str().unwrap().to_owned();
    expected.insert(nothing, (10, "upload_missing"));
    let ids: Vec<_> = expected.keys().collect();
    let body = json!({ "kind": "restore", "selection": { "upload_ids": ids } });
    for item in act(stack, &stack.agent(), body).await {
        let (size, reason) = expected[item["upload_id"].as_str().unwrap()];
        assert_eq!(
            (&item["state"], &item["reason"]),
            (&json!("failed"), &json!(reason)),
            "{size}: {item}"
        );
    }
    assert_eq!(state(stack).await, before);
    scene.takes_what_is_genuine(&scene.gone.bytes).await;
}

/// Whoever can write to the bucket of archives still has no key.
#[tokio::test]
async fn a_stored_archive_is_verified_as_well() {
    let scene = Scene::set().await;
    let stack = &scene.stack;
    let other = Gone::made(stack, &stack.agent()).await;
    let config = aws_sdk_s3::config::Builder::from(&stack.aws().await)
        .force_path_style(true)
        .build();
    let client = aws_sdk_s3::Client::from_conf(config);
    let environment = &stack.runner.provisioned().environment["archive-builder"];
    let bucket = &environment["OUBLI_ARCHIVES_BUCKET"];
    let listed = client.list_objects_v2().bucket(bucket);
    let prefix = format!("archives/demo/{}/", scene.gone.archive);
    let listed = listed.prefix(prefix).send().await.unwrap();
    let key = listed.contents()[0].key().unwrap().to_owned();
    let put = async |bytes: &[u8]| {
        let put = client.put_object().bucket(bucket).key(&key);
        put.body(bytes.to_vec().into()).send().await.unwrap();
    };
    let restore = async || {
        let selection = json!({ "archive_ids": [scene.gone.archive] });
        let body = json!({ "kind": "restore", "selection": selection, "overwrite": true });
        act(stack, &stack.agent(), body).await.remove(0)
    };
    let at = forging::document(&scene.base);
    let mut changed = scene.base.clone();
    changed[at] = Entry::of(&changed[at].text(), b"signed by whom?");
    let mut unsigned = scene.base.clone();
    unsigned.pop();
    for (what, bytes, reason) in [
        ("a changed document", zip_of(&changed), "archive_damaged"),
        ("no signature", zip_of(&unsigned), "archive_not_authentic"),
        (
            "another contact's archive",
            other.bytes.clone(),
            "archive_damaged",
        ),
        (
            "half of it",
            scene.gone.bytes[..scene.gone.bytes.len() / 2].to_vec(),
            "archive_unreadable",
        ),
    ] {
        put(&bytes).await;
        let before = state_of_contacts(stack).await;
        let item = restore().await;
        assert_eq!(
            (&item["state"], &item["reason"]),
            (&json!("failed"), &json!(reason)),
            "{what}: {item}"
        );
        assert_eq!(state_of_contacts(stack).await, before, "{what}");
    }
    put(&scene.gone.bytes).await;
    assert_eq!(restore().await["state"], "done");
}

/// What is held of contacts, but for that something was tried.
async fn state_of_contacts(stack: &Stack) -> Vec<(String, String)> {
    assert!(!setting(stack, "OUBLI_CONTACTS_TABLE").is_empty());
    let rows = rows(stack, "OUBLI_CONTACTS_TABLE", None).await;
    let tried = |row: &str| row.contains("ACTION#");
    rows.into_iter().filter(|(_, row)| !tried(row)).collect()
}

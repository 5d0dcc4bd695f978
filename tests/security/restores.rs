//! Another tenant's archives and uploads, named in a restore, are as absent as what is not there.

use std::collections::BTreeSet;

use oubli_tests::{Answer, Client, Stack};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// What `demo` has: an anonymised contact, its archive, and the archive sent back.
struct Things {
    contact: String,
    archive: String,
    upload: String,
}

async fn act(stack: &Stack, client: &Client, body: &Value) -> (Answer, Value) {
    let started = client.post("/v1/data-actions", body.clone()).await;
    let action = started.expect(StatusCode::ACCEPTED)["id"].clone();
    let action = action.as_str().unwrap();
    stack.drain().await;
    let ended = client.get(&format!("/v1/data-actions/{action}")).await;
    let ended = ended.expect(StatusCode::OK);
    assert!(ended["completed_at"].is_string(), "{ended}");
    let items = client.get(&format!("/v1/data-actions/{action}/items")).await;
    items.expect(StatusCode::OK);
    (items, ended)
}

async fn announced(stack: &Stack, client: &Client, bytes: &[u8]) -> String {
    let body = json!({ "size_bytes": bytes.len() });
    let new = client.post("/v1/archive-uploads", body).await;
    let new = new.expect(StatusCode::CREATED);
    let put = stack.put_upload(&new["upload"], bytes.to_vec()).await;
    assert_eq!(put, StatusCode::OK);
    new["upload_id"].as_str().unwrap().to_owned()
}

impl Things {
    async fn made(stack: &Stack) -> Self {
        let agent = stack.agent();
        let contact = stack.contact(json!({ "last_name": "Lefèvre" })).await;
        stack.document(&contact, "paie.pdf", b"%PDF-1.4").await;
        let selection = json!({ "contact_ids": [contact] });
        let (items, _) = act(
            stack,
            &agent,
            &json!({ "kind": "export", "selection": selection }),
        )
        .await;
        let archive = items.json()["items"][0]["archive"]["id"].clone();
        let archive = archive.as_str().unwrap().to_owned();
        let bytes = stack.archive(&archive).await;
        let upload = announced(stack, &agent, &bytes).await;
        let body = json!({ "kind": "anonymise", "selection": selection, "acknowledged": true });
        let (items, _) = act(stack, &agent, &body).await;
        assert_eq!(items.json()["items"][0]["state"], "done", "{}", items.text());
        Self {
            contact,
            archive,
            upload,
        }
    }

    /// Selections that name what is `demo`'s, each with the same of what is nobody's, and the reason.
    fn selections(&self) -> [(Value, Value, &'static str); 3] {
        let of = |ids: &str, id: &str| json!({ ids: [id] });
        [
            ("contact_ids", &self.contact, "contact_absent"),
            ("archive_ids", &self.archive, "archive_absent"),
            ("upload_ids", &self.upload, "upload_missing"),
        ]
        // As long as the other, and nobody's: the service gives out no `z`.
        .map(|(ids, id, reason)| (of(ids, id), of(ids, &format!("z{}", id.split_at(1).1)), reason))
    }
}

/// The only id in a selection.
fn id_in(selection: &Value) -> String {
    let ids = selection.as_object().unwrap().values().next().unwrap();
    ids[0].as_str().unwrap().to_owned()
}

/// An answer without what differs from one request to the next: its id, and those that were asked with.
fn comparable(answer: &Answer, names: &[&str]) -> (StatusCode, BTreeSet<String>, String) {
    let mut body = answer
        .text()
        .replace(answer.header("x-request-id").unwrap(), "<request>");
    for name in names {
        body = body.replace(name, "<id>");
    }
    let headers = answer
        .headers
        .iter()
        .filter(|(name, _)| !["x-request-id", "date", "location"].contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())));
    (answer.status, headers.collect(), body)
}

#[tokio::test]
async fn a_restore_sees_what_is_anothers_as_absent() {
    let stack = Stack::start().await;
    let things = Things::made(&stack).await;
    let other = stack.other_agent();
    let card = async || {
        let path = format!("/v1/contacts/{}", things.contact);
        stack.agent().get(&path).await.expect(StatusCode::OK)
    };
    let before = card().await;
    for (foreign, absent, reason) in things.selections() {
        for overwrite in [json!(false), json!(true)] {
            let with = |selection: &Value| json!({ "kind": "restore", "selection": selection, "overwrite": overwrite });
            let mut seen = Vec::new();
            for selection in [&foreign, &absent] {
                let id = id_in(selection);
                let body = with(selection);
                // The hash of the plan is of the ids too.
                let preview = other.post("/v1/data-actions/preview", body.clone()).await;
                let hash = preview.expect(StatusCode::OK)["plan_hash"].clone();
                let hash = hash.as_str().unwrap();
                let (items, ended) = act(&stack, &other, &body).await;
                let item = items.json()["items"][0].clone();
                assert_eq!(
                    (&item["state"], &item["reason"]),
                    (&json!("failed"), &json!(reason)),
                    "{selection}: {item}"
                );
                assert_eq!(ended["state"], "failed", "{ended}");
                seen.push((comparable(&preview, &[&id, hash]), comparable(&items, &[&id])));
            }
            assert_eq!(seen[0], seen[1], "{foreign}");
        }
    }
    assert_eq!(card().await, before);
    let archives = other
        .get(&format!("/v1/archives/{}/content", things.archive))
        .await;
    assert_eq!(archives.problem(StatusCode::NOT_FOUND), "not_found");
    // What is one's own is restored all the same: by the very ids.
    let [_, _, (upload, _, _)] = things.selections();
    let body = json!({ "kind": "restore", "selection": upload });
    let (items, _) = act(&stack, &stack.agent(), &body).await;
    assert_eq!(items.json()["items"][0]["state"], "done", "{}", items.text());
    assert_eq!(card().await["last_name"], "Lefèvre");
}

/// The ids of another tenant's contacts and archives do no harm in a mass action beside one's own.
#[tokio::test]
async fn what_is_anothers_spoils_nothing_beside_it() {
    let stack = Stack::start().await;
    let things = Things::made(&stack).await;
    let other = stack.other_agent();
    let new = other.post("/v1/contacts", json!({ "last_name": "Smith" })).await;
    let own = new.expect(StatusCode::CREATED)["id"].clone();
    let both = json!({ "contact_ids": [things.contact, own] });
    for (kind, own_ends) in [("export", "done"), ("anonymise", "done"), ("restore", "done")] {
        let mut body = json!({ "kind": kind, "selection": both });
        if kind == "anonymise" {
            body["acknowledged"] = json!(true);
        }
        let (items, ended) = act(&stack, &other, &body).await;
        let items = items.json()["items"].as_array().unwrap().clone();
        let state_of = |id: &Value| {
            let item = items.iter().find(|item| item["contact_id"] == *id).unwrap();
            (item["state"].clone(), item["reason"].clone())
        };
        assert_eq!(state_of(&own).0, own_ends, "{kind}: {items:?}");
        let foreign = (json!("failed"), json!("contact_absent"));
        assert_eq!(state_of(&json!(things.contact)), foreign, "{kind}");
        assert_eq!(ended["state"], "completed_with_failures", "{kind}: {ended}");
    }
}

/// Whoever holds a key of one deployment learns the same as everybody: the public half, and no account.
#[tokio::test]
async fn the_published_keys_tell_nothing_else() {
    let stack = Stack::start().await;
    let open = stack.nobody().get("/v1/archive-keys").await;
    let keys = open.expect(StatusCode::OK);
    for client in [stack.agent(), stack.other_admin(), stack.guest()] {
        assert_eq!(client.get("/v1/archive-keys").await.bytes, open.bytes);
    }
    let names: Vec<_> = keys["items"][0].as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "algorithm",
            "curve",
            "id",
            "public_key_der",
            "public_key_pem",
            "sha256",
            "state"
        ]
    );
    assert_eq!(keys.as_object().unwrap().len(), 1);
    let text = open.text();
    assert!(!text.contains("arn:") && !text.contains("PRIVATE"), "{text}");
    assert!(!text.contains("000000000000"), "no account: {text}");
}

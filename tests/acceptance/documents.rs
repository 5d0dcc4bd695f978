//! Documents of a contact: announced, uploaded, completed, fetched, deleted.

mod limits;

use jiff::SignedDuration;
use oubli_domain::Sha256;
use oubli_tests::{Answer, Stack};
use reqwest::StatusCode;
use rstest::rstest;
use serde_json::{Value, json};

use crate::outside::Bucket;

/// CRC-32 of `right`.
const CRC32_OF_RIGHT: &str = "b4ca7514";

struct Announced {
    path: String,
    id: String,
    upload: Value,
}

async fn contact(stack: &Stack) -> String {
    stack.contact(json!({ "last_name": "Zola" })).await
}

async fn announce(stack: &Stack, contact: &str, body: Value) -> Announced {
    let documents = format!("/v1/contacts/{contact}/documents");
    let new = stack
        .agent()
        .post(&documents, body)
        .await
        .expect(StatusCode::CREATED);
    assert_eq!(new["document"]["state"], "awaiting_upload");
    let id = new["document"]["id"].as_str().unwrap().to_owned();
    Announced {
        path: format!("{documents}/{id}"),
        id,
        upload: new["upload"].clone(),
    }
}

fn plain(size_bytes: usize) -> Value {
    json!({ "name": "a.txt", "content_type": "text/plain", "size_bytes": size_bytes, "kind": "document" })
}

async fn complete(stack: &Stack, document: &Announced) -> Answer {
    stack
        .agent()
        .post(&format!("{}/complete", document.path), Value::Null)
        .await
}

/// What the list of documents says of it.
async fn listed(stack: &Stack, document: &Announced) -> Value {
    let list = document.path.rsplit_once('/').unwrap().0.to_owned();
    let page = stack.agent().get(&list).await.expect(StatusCode::OK);
    let mut items = page["items"].as_array().unwrap().iter();
    items
        .find(|item| item["id"] == document.id.as_str())
        .unwrap()
        .clone()
}

async fn link(stack: &Stack, document: &Announced) -> String {
    let answer = stack.agent().get(&format!("{}/content", document.path)).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    answer.header("location").unwrap().to_owned()
}

#[tokio::test]
async fn a_document_is_announced_uploaded_completed_and_fetched() {
    let stack = Stack::start().await;
    let contact = contact(&stack).await;
    let sha256 = Sha256::of(b"right").to_string();
    let mut body = plain(5);
    body["name"] = json!("Bulletin – mars.txt");
    body["sha256"] = json!(sha256);
    let announced = announce(&stack, &contact, body.clone()).await;
    assert_eq!(announced.upload["method"], "PUT");
    let expires: jiff::Timestamp = announced.upload["expires_at"].as_str().unwrap().parse().unwrap();
    assert!(expires > stack.now());
    assert!(
        !announced.upload["url"].as_str().unwrap().contains("Bulletin"),
        "a link names nobody"
    );

    let early = stack.agent().get(&format!("{}/content", announced.path)).await;
    assert_eq!(early.problem(StatusCode::CONFLICT), "document_not_stored");
    let card = format!("/v1/contacts/{contact}");
    assert_eq!(
        stack.agent().get(&card).await.json()["documents"],
        json!({ "count": 0, "bytes": 0 })
    );

    assert_eq!(
        stack.put_upload(&announced.upload, b"right".to_vec()).await,
        StatusCode::OK
    );
    let stored = complete(&stack, &announced).await.expect(StatusCode::OK);
    for name in ["name", "content_type", "size_bytes", "sha256", "kind"] {
        assert_eq!(stored[name], body[name], "{name}");
    }
    assert_eq!(stored["state"], "stored");
    assert!(stored["stored_at"].is_string());
    assert_eq!(listed(&stack, &announced).await, stored);
    let (status, bytes) = stack.fetch(&link(&stack, &announced).await).await;
    assert_eq!((status, &bytes[..]), (StatusCode::OK, &b"right"[..]));

    let changed = stack.agent().get(&card).await.json();
    assert_eq!(changed["documents"], json!({ "count": 1, "bytes": 5 }));
    assert_eq!(
        changed["version"], 2,
        "a stored document makes another version of the contact"
    );

    assert_eq!(complete(&stack, &announced).await.expect(StatusCode::OK), stored);
    assert_eq!(
        stack.agent().get(&card).await.json()["version"],
        2,
        "completing again changes nothing"
    );
    assert!(Bucket::uploads(&stack).await.keys().await.is_empty());
}

#[rstest]
#[case::sha256("sha256", Sha256::of(b"right").to_string())]
#[case::crc32("crc32", CRC32_OF_RIGHT.to_owned())]
#[tokio::test]
async fn a_given_hash_keeps_other_bytes_out(#[case] name: &str, #[case] hash: String) {
    let stack = Stack::start().await;
    let contact = contact(&stack).await;
    let mut body = plain(5);
    body[name] = json!(hash);
    let announced = announce(&stack, &contact, body).await;
    assert_eq!(
        stack.put_upload(&announced.upload, b"wrong".to_vec()).await,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        complete(&stack, &announced).await.problem(StatusCode::CONFLICT),
        "upload_missing"
    );

    // Without the header that carries the hash the signature does not fit.
    let mut bare = announced.upload.clone();
    bare["headers"]
        .as_object_mut()
        .unwrap()
        .retain(|name, _| !name.starts_with("x-amz-"));
    assert_eq!(
        stack.put_upload(&bare, b"wrong".to_vec()).await,
        StatusCode::FORBIDDEN
    );

    assert_eq!(
        stack.put_upload(&announced.upload, b"right".to_vec()).await,
        StatusCode::OK
    );
    let stored = complete(&stack, &announced).await.expect(StatusCode::OK);
    assert_eq!(stored[name], hash);
}

#[tokio::test]
async fn what_is_missing_of_another_size_or_hash_is_not_stored() {
    let stack = Stack::start().await;
    let contact = contact(&stack).await;
    let refused = async |announced: &Announced, code: &str| {
        assert_eq!(
            complete(&stack, announced).await.problem(StatusCode::CONFLICT),
            code
        );
        assert_eq!(
            listed(&stack, announced).await["state"],
            "awaiting_upload",
            "{code}"
        );
    };
    let announced = announce(&stack, &contact, plain(5)).await;
    refused(&announced, "upload_missing").await;
    // Past the link, as below.
    let object = format!("uploads/demo/{}", announced.id);
    for bytes in [&b"four"[..], b"longer"] {
        Bucket::uploads(&stack).await.put(&object, bytes).await;
        refused(&announced, "upload_size_mismatch").await;
    }
    assert_eq!(
        stack.put_upload(&announced.upload, b"right".to_vec()).await,
        StatusCode::OK
    );
    complete(&stack, &announced).await.expect(StatusCode::OK);

    // Past the link: whoever can write into the bucket cannot make the API believe them.
    for (name, hash) in [
        ("sha256", Sha256::of(b"right").to_string()),
        ("crc32", CRC32_OF_RIGHT.to_owned()),
    ] {
        let mut body = plain(5);
        body[name] = json!(hash);
        let announced = announce(&stack, &contact, body).await;
        let uploads = Bucket::uploads(&stack).await;
        uploads
            .put(&format!("uploads/demo/{}", announced.id), b"wrong")
            .await;
        refused(&announced, "upload_hash_mismatch").await;
    }
    let card = stack.agent().get(&format!("/v1/contacts/{contact}")).await.json();
    assert_eq!(card["documents"], json!({ "count": 1, "bytes": 5 }));
}

#[tokio::test]
async fn a_link_that_is_still_valid_cannot_change_a_stored_document() {
    let stack = Stack::start().await;
    let contact = contact(&stack).await;
    let announced = announce(&stack, &contact, plain(5)).await;
    assert_eq!(
        stack.put_upload(&announced.upload, b"right".to_vec()).await,
        StatusCode::OK
    );
    complete(&stack, &announced).await.expect(StatusCode::OK);

    stack.put_upload(&announced.upload, b"wrong".to_vec()).await;
    complete(&stack, &announced).await.expect(StatusCode::OK);
    assert_eq!(
        &stack.fetch(&link(&stack, &announced).await).await.1[..],
        b"right"
    );

    // Nor bring it back.
    assert_eq!(
        stack.agent().delete(&announced.path).await.status,
        StatusCode::NO_CONTENT
    );
    stack.put_upload(&announced.upload, b"wrong".to_vec()).await;
    assert_eq!(
        complete(&stack, &announced).await.problem(StatusCode::NOT_FOUND),
        "not_found"
    );
    assert!(Bucket::documents(&stack).await.keys().await.is_empty());
}

#[tokio::test]
async fn a_download_link_ends_after_five_minutes() {
    let stack = Stack::start().await;
    let contact = contact(&stack).await;
    let announced = announce(&stack, &contact, plain(5)).await;
    stack.put_upload(&announced.upload, b"right".to_vec()).await;
    complete(&stack, &announced).await.expect(StatusCode::OK);
    let link = link(&stack, &announced).await;
    assert!(link.contains("X-Amz-Expires=300"), "{link}");
    assert_eq!(stack.fetch(&link).await.0, StatusCode::OK);
    if stack.engines().is_none() {
        return;
    }
    stack.advance(SignedDuration::from_mins(5));
    assert_eq!(stack.fetch(&link).await.0, StatusCode::OK);
    stack.advance(SignedDuration::from_secs(1));
    assert_eq!(stack.fetch(&link).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn an_upload_link_ends_when_it_says() {
    let stack = Stack::start().await;
    let contact = contact(&stack).await;
    let announced = announce(&stack, &contact, plain(5)).await;
    if stack.engines().is_none() {
        return;
    }
    let expires: jiff::Timestamp = announced.upload["expires_at"].as_str().unwrap().parse().unwrap();
    stack.advance(expires.duration_since(stack.now()) + SignedDuration::from_secs(1));
    assert_eq!(
        stack.put_upload(&announced.upload, b"right".to_vec()).await,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn documents_may_be_empty() {
    let stack = Stack::start().await;
    let contact = contact(&stack).await;
    let with_hash = stack.document(&contact, "empty", b"").await;
    let announced = announce(&stack, &contact, plain(0)).await;
    assert_eq!(
        complete(&stack, &announced).await.problem(StatusCode::CONFLICT),
        "upload_missing"
    );
    assert_eq!(
        stack.put_upload(&announced.upload, Vec::new()).await,
        StatusCode::OK
    );
    complete(&stack, &announced).await.expect(StatusCode::OK);
    let (status, bytes) = stack.fetch(&link(&stack, &announced).await).await;
    assert_eq!((status, bytes.len()), (StatusCode::OK, 0));
    assert_ne!(with_hash, announced.id);
}

#[tokio::test]
async fn names_are_kept_as_they_are_given() {
    let stack = Stack::start().await;
    let contact = contact(&stack).await;
    let long = "é".repeat(512);
    for name in [
        "../../etc/passwd",
        "C:\\x\\con.txt",
        "a\0b",
        "\u{202e}fdp.exe",
        "📄 \"x\"; filename=y\r\n",
        " ",
        &long,
    ] {
        let mut body = plain(5);
        body["name"] = json!(name);
        let announced = announce(&stack, &contact, body).await;
        assert_eq!(
            stack.put_upload(&announced.upload, b"right".to_vec()).await,
            StatusCode::OK
        );
        let stored = complete(&stack, &announced).await.expect(StatusCode::OK);
        assert_eq!(stored["name"], name);
        assert_eq!(listed(&stack, &announced).await["name"], name);
        assert_eq!(
            &stack.fetch(&link(&stack, &announced).await).await.1[..],
            b"right",
            "{name:?}"
        );
    }
}

#[tokio::test]
async fn a_stored_photo_can_be_the_photo_of_its_contact() {
    let stack = Stack::start().await;
    let agent = stack.agent();
    let id = contact(&stack).await;
    let other = stack.contact(json!({ "last_name": "Hugo" })).await;
    let photo = json!({ "name": "p.png", "content_type": "image/png", "size_bytes": 5, "kind": "photo" });
    let path = format!("/v1/contacts/{id}");
    let set = async |document: &str| {
        agent
            .patch(&path, "*", json!({ "photo_document_id": document }))
            .await
    };
    let refused = async |document: &str| {
        let answer = set(document).await;
        assert_eq!(answer.problem(StatusCode::UNPROCESSABLE_ENTITY), "input_refused");
        assert_eq!(answer.pointers(), ["/photo_document_id"]);
    };
    let announced = announce(&stack, &id, photo.clone()).await;
    refused(&announced.id).await;
    refused(&stack.document(&id, "a.txt", b"right").await).await;
    refused(&stack.document_of(&other, photo, b"right").await).await;
    refused("absent").await;

    stack.put_upload(&announced.upload, b"right".to_vec()).await;
    complete(&stack, &announced).await.expect(StatusCode::OK);
    let shown = set(&announced.id).await.expect(StatusCode::OK);
    assert_eq!(shown["photo_document_id"], announced.id.as_str());
    let row = agent.get("/v1/contacts?q=zola").await.expect(StatusCode::OK)["items"][0].clone();
    assert_eq!(row["photo_document_id"], announced.id.as_str());

    assert_eq!(agent.delete(&announced.path).await.status, StatusCode::NO_CONTENT);
    assert!(agent.get(&path).await.json().get("photo_document_id").is_none());
    let before = agent
        .post(
            "/v1/contacts",
            json!({ "last_name": "A", "photo_document_id": announced.id }),
        )
        .await;
    assert_eq!(before.pointers(), ["/photo_document_id"]);
}

#[tokio::test]
async fn a_deleted_document_is_gone() {
    let stack = Stack::start().await;
    let contact = contact(&stack).await;
    let kept = stack.document(&contact, "kept.txt", b"kept!").await;
    let announced = announce(&stack, &contact, plain(5)).await;
    stack.put_upload(&announced.upload, b"right".to_vec()).await;
    complete(&stack, &announced).await.expect(StatusCode::OK);
    let link = link(&stack, &announced).await;
    let awaiting = announce(&stack, &contact, plain(7)).await;

    let agent = stack.agent();
    for document in [&announced, &awaiting] {
        assert_eq!(agent.delete(&document.path).await.status, StatusCode::NO_CONTENT);
        assert_eq!(
            agent.delete(&document.path).await.problem(StatusCode::NOT_FOUND),
            "not_found"
        );
        let content = agent.get(&format!("{}/content", document.path)).await;
        assert_eq!(content.problem(StatusCode::NOT_FOUND), "not_found");
    }
    assert_eq!(stack.fetch(&link).await.0, StatusCode::NOT_FOUND);
    let bucket = Bucket::documents(&stack).await;
    assert_eq!(bucket.keys().await, [bucket.key_of(&kept).await]);
    let card = agent.get(&format!("/v1/contacts/{contact}")).await.json();
    assert_eq!(card["documents"], json!({ "count": 1, "bytes": 5 }));
}

#[tokio::test]
async fn documents_are_listed_in_pages() {
    let stack = Stack::start().await;
    let contact = contact(&stack).await;
    let mut expected = Vec::new();
    for _ in 0..5 {
        expected.push(announce(&stack, &contact, plain(1)).await.id);
    }
    expected.sort();
    let mut found = Vec::new();
    let mut path = format!("/v1/contacts/{contact}/documents?limit=2");
    loop {
        let page = stack.agent().get(&path).await.expect(StatusCode::OK);
        assert_eq!(page["total"], 5);
        let items = page["items"].as_array().unwrap();
        found.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/contacts/{contact}/documents?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(found.len(), 5);
    found.sort();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_contact_that_is_not_there_has_no_documents() {
    let stack = Stack::start().await;
    let other = stack.contact(json!({ "last_name": "Zola" })).await;
    let announced = announce(&stack, &other, plain(5)).await;
    let agent = stack.agent();
    assert_eq!(
        agent
            .post("/v1/contacts/absent/documents", plain(5))
            .await
            .problem(StatusCode::NOT_FOUND),
        "not_found"
    );
    assert_eq!(
        agent
            .get("/v1/contacts/absent/documents")
            .await
            .problem(StatusCode::NOT_FOUND),
        "not_found"
    );
    // A document is found beneath its own contact alone.
    let elsewhere = stack.contact(json!({ "last_name": "Hugo" })).await;
    let path = format!("/v1/contacts/{elsewhere}/documents/{}", announced.id);
    assert_eq!(
        agent.delete(&path).await.problem(StatusCode::NOT_FOUND),
        "not_found"
    );
    assert_eq!(
        agent
            .get(&format!("{path}/content"))
            .await
            .problem(StatusCode::NOT_FOUND),
        "not_found"
    );
    assert_eq!(
        agent
            .post(&format!("{path}/complete"), Value::Null)
            .await
            .problem(StatusCode::NOT_FOUND),
        "not_found"
    );
}

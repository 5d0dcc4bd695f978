//! What is inside an archive, as its reader finds it.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};

use bytes::Bytes;
use jiff::SignedDuration;
use oubli_archive::contact_json::SCHEMA;
use oubli_archive::verify::verify;
use oubli_domain::Sha256;
use oubli_tests::Stack;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::contacts::everything;

/// Exports a contact as `agent` and downloads its archive, which must verify.
async fn archive_of(stack: &Stack, contact: &str) -> Bytes {
    let action = stack.export(&[contact]).await;
    stack.drain().await;
    let items = stack.items(&action).await;
    assert_eq!(items[0]["state"], "done", "{items:?}");
    let archive = &items[0]["archive"];
    let bytes = stack.archive(archive["id"].as_str().unwrap()).await;
    assert_eq!(archive["sha256"], Sha256::of(&bytes).to_string());
    assert_eq!(archive["size_bytes"], bytes.len());
    let verdict = verify(Cursor::new(&bytes), &[], |entry| {
        assert_eq!(entry.fault, None, "{}", entry.name)
    })
    .unwrap();
    assert_eq!(verdict.faults, 0);
    assert_eq!(
        (
            verdict.manifest.tenant_id.as_str(),
            verdict.manifest.contact_id.as_str()
        ),
        ("demo", contact)
    );
    assert!(verdict.manifest.missing.is_empty());
    bytes
}

/// The entries of an archive, by an independent reader.
fn entries(archive: &Bytes) -> BTreeMap<String, Vec<u8>> {
    let mut zip = zip::ZipArchive::new(Cursor::new(archive.clone())).unwrap();
    let mut entries = BTreeMap::new();
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        assert!(
            entries
                .insert(entry.name().unwrap().into_owned(), bytes)
                .is_none()
        );
    }
    entries
}

fn json_of(entries: &BTreeMap<String, Vec<u8>>, name: &str) -> Value {
    serde_json::from_slice(&entries[name]).unwrap()
}

/// `contact.json`, after a check against the schema that lies beside it.
fn contact_of(entries: &BTreeMap<String, Vec<u8>>) -> Value {
    let schema = json_of(entries, "contact.schema.json");
    assert_eq!(schema, serde_json::from_str::<Value>(SCHEMA).unwrap());
    let contact = json_of(entries, "contact.json");
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = validator
        .iter_errors(&contact)
        .map(|error| error.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
    contact
}

#[tokio::test]
async fn everything_that_is_held_is_in_the_archive() {
    let stack = Stack::start().await;
    let id = stack.contact(everything()).await;
    let text = "Une ligne comme une autre.\n".repeat(4_000);
    stack.document(&id, "Contrat signé.txt", text.as_bytes()).await;
    stack.document(&id, "vide", b"").await;
    let photo = json!({ "name": "Chloé.png", "content_type": "image/png", "size_bytes": 5, "kind": "photo" });
    let photo = stack.document_of(&id, photo, b"\x89PNG\n").await;
    let path = format!("/v1/contacts/{id}");
    let patch = json!({ "photo_document_id": photo });
    let shown = stack
        .agent()
        .patch(&path, "*", patch)
        .await
        .expect(StatusCode::OK);
    let awaiting =
        json!({ "name": "later", "content_type": "text/plain", "size_bytes": 1, "kind": "document" });
    stack
        .agent()
        .post(&format!("{path}/documents"), awaiting)
        .await
        .expect(StatusCode::CREATED);

    let archive = archive_of(&stack, &id).await;
    let entries = entries(&archive);
    let names: Vec<_> = entries.keys().map(String::as_str).collect();
    let expected = [
        "contact.json",
        "contact.schema.json",
        "documents/Contrat signé.txt",
        "documents/vide",
        "index.html",
        "manifest.json",
        "manifest.sig",
        "photo/Chloé.png",
    ];
    assert_eq!(names, expected);
    assert_eq!(entries["documents/Contrat signé.txt"], text.as_bytes());
    assert_eq!(entries["photo/Chloé.png"], b"\x89PNG\n");
    assert!(archive.len() < text.len() / 2, "what compresses is compressed");

    let contact = contact_of(&entries);
    for (name, value) in everything().as_object().unwrap() {
        assert_eq!(&contact["contact"][name], value, "{name}");
    }
    for name in ["id", "photo_document_id", "created_at", "updated_at"] {
        assert_eq!(contact["contact"][name], shown[name], "{name}");
    }
    let documents = contact["documents"].as_array().unwrap();
    assert_eq!(documents.len(), 3);
    for document in documents {
        let bytes = &entries[document["path"].as_str().unwrap()];
        assert_eq!(document["size_bytes"], bytes.len());
    }

    let manifest = json_of(&entries, "manifest.json");
    assert_eq!(
        (&manifest["contact_version"], &manifest["missing"]),
        (&shown["version"], &json!([]))
    );
    for entry in manifest["entries"].as_array().unwrap() {
        let bytes = &entries[entry["name"].as_str().unwrap()];
        assert_eq!(
            (&entry["size_bytes"], &entry["sha256"]),
            (&json!(bytes.len()), &json!(Sha256::of(bytes).to_string()))
        );
    }

    let page = String::from_utf8(entries["index.html"].clone()).unwrap();
    assert!(page.contains("<html lang=\"fr\">"), "{page}");
    assert!(
        page.contains("Lefèvre-d’Aubigné") && page.contains("&lt;les courriels&gt; &amp; co."),
        "{page}"
    );
    assert!(
        !page.contains("<les courriels>") && !page.contains("<b>\""),
        "{page}"
    );
    assert!(!page.to_lowercase().contains("<script"));
}

#[tokio::test]
async fn the_page_speaks_the_language_of_the_tenant() {
    let stack = Stack::start().await;
    let agent = stack.other_agent();
    let contact = agent
        .post("/v1/contacts", json!({ "last_name": "Brontë" }))
        .await
        .expect(StatusCode::CREATED);
    let body = json!({ "kind": "export", "selection": { "contact_ids": [contact["id"]] } });
    let action = agent
        .post("/v1/data-actions", body)
        .await
        .expect(StatusCode::ACCEPTED);
    stack.drain().await;
    let items = agent
        .get(&format!(
            "/v1/data-actions/{}/items",
            action["id"].as_str().unwrap()
        ))
        .await
        .json();
    let archive = items["items"][0]["archive"]["id"].as_str().unwrap();
    let answer = agent.get(&format!("/v1/archives/{archive}/content")).await;
    let (_, bytes) = stack.fetch(answer.header("location").unwrap()).await;
    let entries = entries(&bytes);
    contact_of(&entries);
    assert!(String::from_utf8_lossy(&entries["index.html"]).contains("<html lang=\"en\">"));
    let ours = stack
        .agent()
        .get(&format!("/v1/archives/{archive}/content"))
        .await;
    assert_eq!(ours.problem(StatusCode::NOT_FOUND), "not_found");
}

#[tokio::test]
async fn hostile_names_are_safe_in_the_archive() {
    let stack = Stack::start().await;
    let id = stack.contact(json!({ "last_name": "Zola" })).await;
    let long = format!("{}.pdf", "é".repeat(150));
    let long_in_zip = format!("documents/{}.pdf", "é".repeat(58));
    let names = [
        ("../../etc/passwd", "documents/_.._.._etc_passwd"),
        ("/etc/passwd", "documents/_etc_passwd"),
        ("C:\\Users\\x.doc", "documents/C__Users_x.doc"),
        ("a\0b.txt", "documents/ab.txt"),
        ("\u{202e}fdp.exe", "documents/fdp.exe"),
        ("con.txt", "documents/_con.txt"),
        ("..", "documents/document"),
        (".env", "documents/_.env"),
        ("📄 contrat.pdf", "documents/📄 contrat.pdf"),
        ("manifest.json", "documents/manifest.json"),
        (&long, &long_in_zip),
        ("Contrat.pdf", "documents/Contrat.pdf"),
        ("contrat.PDF", "documents/contrat (2).PDF"),
        ("Contrat.pdf", "documents/Contrat (3).pdf"),
    ];
    for (index, (given, _)) in names.iter().enumerate() {
        // The order of entry decides who keeps the name.
        stack.advance(SignedDuration::from_millis(5));
        stack.document(&id, given, format!("{index}").as_bytes()).await;
    }
    let entries = entries(&archive_of(&stack, &id).await);
    let contact = contact_of(&entries);
    for (index, (given, safe)) in names.iter().enumerate() {
        assert_eq!(entries[*safe], format!("{index}").as_bytes(), "{given:?}");
        let told = &contact["documents"][index];
        assert_eq!((&told["name"], &told["path"]), (&json!(given), &json!(safe)));
    }
    assert_eq!(entries.len(), names.len() + 5);
}

#[tokio::test]
async fn the_same_version_gives_the_same_bytes() {
    let stack = Stack::start().await;
    let id = stack.contact(everything()).await;
    let noise: Vec<u8> = (0..200_000_u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes())
        .collect();
    let text = "aaaaaaaaaaaaaaaaaaaaaaaa\n".repeat(5_000);
    // With hashes that were given, and with those that the first archive learns.
    stack.document(&id, "given", &noise).await;
    for (name, bytes) in [("noise", &noise[..]), ("text", text.as_bytes()), ("nothing", b"")] {
        let body = json!({ "name": name, "content_type": "text/plain", "size_bytes": bytes.len(), "kind": "document" });
        stack.document_of(&id, body, bytes).await;
    }
    let first = archive_of(&stack, &id).await;
    stack.advance(SignedDuration::from_hours(30));
    let second = archive_of(&stack, &id).await;
    // The signature, the last entry, is another each time: ECDSA draws a number for each.
    let signed = |archive: &Bytes| {
        let mut zip = zip::ZipArchive::new(Cursor::new(archive.clone())).unwrap();
        let signature = zip.by_name("manifest.sig").unwrap();
        archive.slice(..usize::try_from(signature.header_start()).unwrap())
    };
    assert!(
        signed(&first) == signed(&second),
        "two archives of one version differ"
    );

    let listed = stack
        .agent()
        .get(&format!("/v1/contacts/{id}/documents"))
        .await
        .expect(StatusCode::OK);
    for document in listed["items"].as_array().unwrap() {
        let bytes = &entries(&first)[&format!("documents/{}", document["name"].as_str().unwrap())];
        assert_eq!(
            document["sha256"],
            Sha256::of(bytes).to_string(),
            "an archive learns what was not given"
        );
        assert!(document["crc32"].is_string());
    }

    let path = format!("/v1/contacts/{id}");
    stack
        .agent()
        .patch(&path, "*", json!({ "first_name": "Zoé" }))
        .await
        .expect(StatusCode::OK);
    assert!(archive_of(&stack, &id).await != first);
}

//! Documents and archives that are too large for one request: they go to storage in parts.

use std::io::{Cursor, Read as _};

use oubli_tests::Stack;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::outside::Bucket;
use crate::restore::noise;

const MIB: usize = 1024 * 1024;

/// S3 completes an upload with checksums only if it was begun with their algorithm.
#[tokio::test]
async fn an_archive_of_several_parts_is_exported() {
    let stack = Stack::start().await;
    let contact = stack.contact(json!({ "last_name": "Zola" })).await;
    let film = noise(9 * MIB);
    stack.document(&contact, "film.bin", &film).await;

    let action = stack.export(&[&contact]).await;
    stack.drain().await;

    let items = stack.items(&action).await;
    assert_eq!(items[0]["state"], "done", "{}", items[0]);
    let id = items[0]["archive"]["id"].as_str().unwrap();
    let bytes = stack.archive(id).await;
    let mut zip = zip::ZipArchive::new(Cursor::new(&bytes)).unwrap();
    let mut document = Vec::new();
    let mut entry = zip.by_name("documents/film.bin").unwrap();
    entry.read_to_end(&mut document).unwrap();
    assert!(document == film, "other bytes are in the archive");
    if stack.engines().is_some() {
        let archives = Bucket::archives(&stack).await;
        let [key] = &archives.keys().await[..] else {
            panic!("one archive");
        };
        archives.put("in-one-piece", &bytes).await;
        let (expected, _) = archives.crc32("in-one-piece").await;
        assert!(expected.is_some());
        assert_eq!(archives.crc32(key).await, (expected, true));
    }
}

#[tokio::test]
async fn a_document_that_is_copied_in_parts_is_stored() {
    let stack = Stack::start().await;
    let contact = stack.contact(json!({ "last_name": "Zola" })).await;
    let (piece, copies) = (noise(8 * MIB), 33);
    let path = format!("/v1/contacts/{contact}/documents");
    let body = json!({
        "name": "film.bin",
        "content_type": "application/octet-stream",
        "size_bytes": copies * piece.len(),
        "kind": "document"
    });
    let new = stack.agent().post(&path, body).await.expect(StatusCode::CREATED);
    let id = new["document"]["id"].as_str().unwrap();
    let uploads = Bucket::uploads(&stack).await;
    let key = format!("uploads/demo/{id}");
    uploads.put_copies(&key, &piece, copies as i32).await;

    let complete = format!("{path}/{id}/complete");
    let completed = stack.agent().post(&complete, Value::Null).await;
    assert_eq!(completed.expect(StatusCode::OK)["state"], "stored");
    let documents = Bucket::documents(&stack).await;
    let (crc32, in_parts) = documents.crc32(&documents.key_of(id).await).await;
    assert!(in_parts);
    if stack.engines().is_some() {
        assert!(crc32.is_some(), "no checksum over all bytes is kept");
    }
    let link = stack.agent().get(&format!("{path}/{id}/content")).await;
    let (status, bytes) = stack.fetch(link.header("location").unwrap()).await;
    assert_eq!((status, bytes.len()), (StatusCode::OK, copies * piece.len()));
    assert!(
        bytes.chunks(piece.len()).all(|chunk| chunk == piece),
        "other bytes are stored"
    );
}

//! What S3 takes of a document: the announced length alone, and a name that fits its headers.

use std::io::{Cursor, Read as _};

use oubli_tests::Stack;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{announce, complete, contact, link, listed, plain};

/// The length is signed: S3 itself refuses another, whatever the bytes.
#[tokio::test]
async fn an_upload_link_takes_the_announced_length_alone() {
    let stack = Stack::start().await;
    if stack.engines().is_none() {
        println!("left out: what signs a link is verified by the embedded engine alone");
        return;
    }
    let contact = contact(&stack).await;
    let announced = announce(&stack, &contact, plain(5)).await;
    let headers = announced.upload["headers"].as_object().unwrap();
    assert!(
        !headers.contains_key("content-length"),
        "browsers refuse to set it"
    );
    for bytes in [&b""[..], b"four", b"longer"] {
        let put = stack.put_upload(&announced.upload, bytes.to_vec()).await;
        assert_eq!(put, StatusCode::FORBIDDEN, "{bytes:?}");
        let missing = complete(&stack, &announced).await;
        assert_eq!(missing.problem(StatusCode::CONFLICT), "upload_missing");
    }
    let put = stack.put_upload(&announced.upload, b"right".to_vec()).await;
    assert_eq!(put, StatusCode::OK);
    complete(&stack, &announced).await.expect(StatusCode::OK);
}

/// The longest name there may be, of characters that take three times their bytes in a header.
#[tokio::test]
async fn the_longest_name_is_kept_whole_and_offered_as_far_as_headers_go() {
    let stack = Stack::start().await;
    let contact = contact(&stack).await;
    let name = format!("{}.pdf", "📄".repeat(255));
    assert_eq!(name.len(), 1024);
    let mut body = plain(5);
    body["name"] = json!(name);
    let announced = announce(&stack, &contact, body).await;
    let put = stack.put_upload(&announced.upload, b"right".to_vec()).await;
    assert_eq!(put, StatusCode::OK);
    complete(&stack, &announced).await.expect(StatusCode::OK);
    assert_eq!(listed(&stack, &announced).await["name"], name);

    let offered = reqwest::get(link(&stack, &announced).await).await.unwrap();
    assert_eq!(offered.status(), StatusCode::OK);
    let offered = offered.headers()["content-disposition"]
        .to_str()
        .unwrap()
        .to_owned();
    // S3 takes 2 KB of all such headers together.
    assert!(offered.len() < 1024, "{} bytes", offered.len());
    let encoded = offered.strip_prefix("attachment; filename*=UTF-8''").unwrap();
    let encoded = encoded.strip_suffix(".pdf").unwrap();
    assert_eq!(
        encoded.replace("%F0%9F%93%84", ""),
        "",
        "whole characters, and a part of them"
    );

    let action = stack.export(&[&contact]).await;
    stack.drain().await;
    let archive = stack.items(&action).await[0]["archive"]["id"].clone();
    let archive = stack.archive(archive.as_str().unwrap()).await;
    let mut zip = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
    let mut text = String::new();
    zip.by_name("contact.json")
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["documents"][0]["name"], name);
}

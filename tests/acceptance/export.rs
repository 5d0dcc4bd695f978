//! An export from request to archive and mail.

use std::io::{Cursor, Read as _};

use oubli_domain::Sha256;
use oubli_tests::Stack;
use serde_json::json;

#[tokio::test]
async fn a_contact_is_exported_and_the_member_is_told() {
    let stack = Stack::start().await;
    let contact = stack
        .contact(json!({ "last_name": "Lefèvre", "first_name": "Chloé", "email": "chloe@example.fr" }))
        .await;
    stack
        .document(&contact, "Bulletin de paie – mars.pdf", b"%PDF-1.4 not really")
        .await;

    let action = stack.export(&[&contact]).await;
    stack.drain().await;

    let ended = stack.action(&action).await;
    assert_eq!(ended["state"], "completed", "{ended}");
    assert_eq!(
        (&ended["total"], &ended["done"], &ended["failed"]),
        (&json!(1), &json!(1), &json!(0))
    );
    let items = stack.items(&action).await;
    assert_eq!(items.len(), 1);
    assert_eq!(items[0]["state"], "done");
    let archive = &items[0]["archive"];
    assert_eq!(archive["state"], "ready");

    let bytes = stack.archive(archive["id"].as_str().unwrap()).await;
    assert_eq!(archive["size_bytes"], bytes.len());
    assert_eq!(archive["sha256"], Sha256::of(&bytes).to_string());
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut document = Vec::new();
    zip.by_name("documents/Bulletin de paie – mars.pdf")
        .unwrap()
        .read_to_end(&mut document)
        .unwrap();
    assert_eq!(document, b"%PDF-1.4 not really");

    if let Some(engines) = stack.engines() {
        let mails = engines.mails().outbox();
        assert_eq!(mails.len(), 1);
        assert_eq!(mails[0].to, ["agent@demo.example.com"]);
        assert!(!mails[0].text.as_deref().unwrap().contains("Lefèvre"));
    }
}

//! Documents brought in as front ends do: announced, uploaded, completed.

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream;
use oubli_domain::Sha256;
use oubli_tests::Stack;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::bare_copy;
use crate::content::{Content, Kind};

/// Larger than this a document is sent in parts, and without a hash.
const ONE_REQUEST_BYTES: u64 = 256 * 1024 * 1024;
const PART_BYTES: usize = 64 * 1024 * 1024;
const AT_ONCE: usize = 8;
/// With as many documents as this, all but the first are clones of it.
const CLONED_FROM: usize = 10_000;

/// A document to be brought in.
pub(crate) struct PlannedDocument {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) seed: u64,
    pub(crate) size_bytes: u64,
}

impl PlannedDocument {
    fn content(&self) -> Content {
        Content::new(self.kind, self.seed, self.size_bytes)
    }
}

/// Brings documents in, several at once.
pub(crate) async fn all(stack: &Stack, contact: &str, documents: &[PlannedDocument]) {
    let (documents, cloned) = match documents {
        [first, others @ ..] if others.len() >= CLONED_FROM => (std::slice::from_ref(first), others),
        few => (few, &[][..]),
    };
    through_the_api(stack, contact, documents).await;
    if !cloned.is_empty() {
        clones(stack, contact, cloned).await;
    }
}

async fn through_the_api(stack: &Stack, contact: &str, documents: &[PlannedDocument]) {
    stream::iter(documents)
        .for_each_concurrent(AT_ONCE, |document| async move {
            if document.size_bytes > ONE_REQUEST_BYTES {
                in_parts(stack, contact, document).await;
                return;
            }
            let bytes: Vec<u8> = document.content().flatten().collect();
            let body = json!({
                "name": document.name,
                "content_type": "application/octet-stream",
                "size_bytes": bytes.len(),
                "sha256": Sha256::of(&bytes).to_string(),
                "kind": "document"
            });
            stack.document_of(contact, body, &bytes).await;
        })
        .await;
}

/// Ten thousands of documents would take longer to bring in than to export: items and objects are made
/// straight away, after the contact's one document.
async fn clones(stack: &Stack, contact: &str, documents: &[PlannedDocument]) {
    let names = &stack.runner.provisioned().environment["api"];
    let (table, bucket) = (&names["OUBLI_CONTACTS_TABLE"], &names["OUBLI_DOCUMENTS_BUCKET"]);
    let objects = bare_copy::client(stack.runner.aws_url()).await;
    let tables = aws_sdk_dynamodb::Client::new(&bare_copy::config(stack.runner.aws_url()).await);
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let found = tables
        .query()
        .table_name(table)
        .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
        .expression_attribute_values(":pk", text(&format!("T#demo#C#{contact}")))
        .expression_attribute_values(":sk", text("DOC#"))
        .send()
        .await
        .unwrap();
    let first = &found.items()[0];
    let (tables, objects, text) = (&tables, &objects, &text);
    stream::iter(documents.chunks(25))
        .for_each_concurrent(AT_ONCE, |documents| async move {
            let mut writes = Vec::new();
            for document in documents {
                let bytes: Vec<u8> = document.content().flatten().collect();
                let id = format!("01930d2e-8a00-7c3b-9b1e-{:012x}", document.seed);
                let mut item = first.clone();
                item.insert("sk".to_owned(), text(&format!("DOC#{id}")));
                item.insert("document_id".to_owned(), text(&id));
                item.insert("name".to_owned(), text(&document.name));
                item.insert("sha256".to_owned(), text(&Sha256::of(&bytes).to_string()));
                let put = PutRequest::builder().set_item(Some(item)).build().unwrap();
                writes.push(WriteRequest::builder().put_request(put).build());
                let key = format!("documents/demo/{contact}/{id}");
                let sent = objects.put_object().bucket(bucket).key(key);
                sent.body(Bytes::from(bytes).into()).send().await.unwrap();
            }
            let written = tables.batch_write_item().request_items(table, writes).send();
            let left = written.await.unwrap().unprocessed_items;
            assert!(left.is_none_or(|left| left.is_empty()));
        })
        .await;
}

/// As a front end sends what one request should not carry.
async fn in_parts(stack: &Stack, contact: &str, document: &PlannedDocument) {
    let path = format!("/v1/contacts/{contact}/documents");
    let body = json!({
        "name": document.name,
        "content_type": "application/octet-stream",
        "size_bytes": document.size_bytes,
        "kind": "document"
    });
    let agent = stack.agent();
    let new = agent.post(&path, body).await.expect(StatusCode::CREATED);
    let id = new["document"]["id"].as_str().unwrap();
    let client = bare_copy::client(stack.runner.aws_url()).await;
    let bucket = &stack.runner.provisioned().environment["api"]["OUBLI_UPLOADS_BUCKET"];
    let key = format!("uploads/demo/{id}");
    let begun = client
        .create_multipart_upload()
        .bucket(bucket)
        .key(&key)
        .checksum_algorithm(ChecksumAlgorithm::Crc32)
        .checksum_type(ChecksumType::FullObject)
        .send()
        .await
        .unwrap();
    let upload = begun.upload_id().unwrap();
    let mut content = document.content().peekable();
    let mut parts = Vec::new();
    while content.peek().is_some() {
        let mut part = BytesMut::with_capacity(PART_BYTES);
        for block in content.by_ref().take(PART_BYTES / (64 * 1024)) {
            part.extend_from_slice(&block);
        }
        let number = i32::try_from(parts.len() + 1).unwrap();
        let sent = client
            .upload_part()
            .bucket(bucket)
            .key(&key)
            .upload_id(upload)
            .part_number(number)
            .body(Bytes::from(part).into())
            .send()
            .await
            .unwrap();
        let part = CompletedPart::builder()
            .part_number(number)
            .set_e_tag(sent.e_tag)
            .set_checksum_crc32(sent.checksum_crc32);
        parts.push(part.build());
    }
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    client
        .complete_multipart_upload()
        .bucket(bucket)
        .key(&key)
        .upload_id(upload)
        .multipart_upload(parts)
        .send()
        .await
        .unwrap();
    agent
        .post(&format!("{path}/{id}/complete"), Value::Null)
        .await
        .expect(StatusCode::OK);
}

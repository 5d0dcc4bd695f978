//! Documents brought in as front ends do: announced, uploaded, completed.

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
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

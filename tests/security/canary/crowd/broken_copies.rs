//! Copies that were begun and never completed.

use aws_sdk_s3::primitives::ByteStream;
use reqwest::StatusCode;
use serde_json::json;

use super::{Crowd, Person, mark, s3};
use crate::endpoint;

impl Crowd {
    /// What a process leaves behind that dies while it copies a large document, or builds a large archive.
    pub(super) async fn copy_is_broken_off(&mut self, person: &Person) {
        // Only such a large one is copied in parts.
        let large = json!({
            "name": format!("{}.mp4", mark(person.number, "large")),
            "content_type": "video/mp4",
            "size_bytes": 300 * 1024 * 1024,
            "kind": "document"
        });
        let path = format!("/v1/contacts/{}/documents", person.contact);
        let new = self.watched.post(&path, large).await.expect(StatusCode::CREATED);
        let document = new["document"]["id"].as_str().unwrap();
        let stack = &self.watched.stack;
        let documents = endpoint::setting(stack, "OUBLI_DOCUMENTS_BUCKET");
        let archives = endpoint::setting(stack, "OUBLI_ARCHIVES_BUCKET");
        let copy = format!("documents/demo/{}/{document}", person.contact);
        let attempt = format!("archives/demo/{}/attempt.zip", person.contact);
        for (bucket, key) in [(&documents, &copy), (&archives, &attempt)] {
            let client = s3(stack).await;
            let begun = client.create_multipart_upload().bucket(bucket).key(key);
            let upload = begun.send().await.unwrap().upload_id.unwrap();
            let part = client.upload_part().bucket(bucket).key(key).upload_id(upload);
            let bytes = ByteStream::from(mark(person.number, "part").into_bytes());
            part.part_number(1).body(bytes).send().await.unwrap();
        }
    }
}

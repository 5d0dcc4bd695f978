//! What stands behind the API, as an operator or the cloud itself reaches it.

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketVersioningStatus, ChecksumMode, ChecksumType, CompletedMultipartUpload, CompletedPart,
    VersioningConfiguration,
};
use oubli_tests::Stack;
use serde_json::{Value, json};

/// One of the buckets.
pub(crate) struct Bucket {
    client: Client,
    name: String,
}

impl Bucket {
    /// The bucket that the API knows by this setting.
    pub(crate) async fn of(stack: &Stack, setting: &str) -> Self {
        let config = aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(stack.runner.aws_url())
            .region(Region::from_static("eu-west-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "operator"))
            .load()
            .await;
        let config = aws_sdk_s3::config::Builder::from(&config).force_path_style(true);
        Self {
            client: Client::from_conf(config.build()),
            name: stack.runner.provisioned().environment["api"][setting].clone(),
        }
    }

    pub(crate) async fn documents(stack: &Stack) -> Self {
        Self::of(stack, "OUBLI_DOCUMENTS_BUCKET").await
    }

    pub(crate) async fn uploads(stack: &Stack) -> Self {
        Self::of(stack, "OUBLI_UPLOADS_BUCKET").await
    }

    pub(crate) async fn archives(stack: &Stack) -> Self {
        Self::of(stack, "OUBLI_ARCHIVES_BUCKET").await
    }

    /// The keys of its objects.
    pub(crate) async fn keys(&self) -> Vec<String> {
        let listed = self.client.list_objects_v2().bucket(&self.name).send().await;
        let listed = listed.unwrap();
        assert_ne!(
            listed.is_truncated(),
            Some(true),
            "more than a test should have made"
        );
        listed
            .contents()
            .iter()
            .filter_map(|object| object.key().map(str::to_owned))
            .collect()
    }

    /// The one key that ends so.
    pub(crate) async fn key_of(&self, id: &str) -> String {
        let keys = self.keys().await;
        let mut fitting = keys.iter().filter(|key| key.ends_with(id));
        let key = fitting
            .next()
            .unwrap_or_else(|| panic!("no key of {id} among {keys:?}"));
        assert_eq!(fitting.next(), None);
        key.clone()
    }

    pub(crate) async fn put(&self, key: &str, bytes: &[u8]) {
        let body = ByteStream::from(bytes.to_vec());
        self.client
            .put_object()
            .bucket(&self.name)
            .key(key)
            .body(body)
            .send()
            .await
            .unwrap();
    }

    /// Makes an object of `copies` times these bytes, joined on the other side.
    pub(crate) async fn put_copies(&self, key: &str, bytes: &[u8], copies: i32) {
        self.put(key, bytes).await;
        let begun = self.client.create_multipart_upload().bucket(&self.name).key(key);
        let upload = begun.send().await.unwrap().upload_id.unwrap();
        let mut parts = Vec::new();
        for number in 1..=copies {
            let copied = self.client.upload_part_copy().bucket(&self.name).key(key);
            let copied = copied.copy_source(format!("{}/{key}", self.name));
            let copied = copied.upload_id(&upload).part_number(number).send().await;
            let e_tag = copied.unwrap().copy_part_result.unwrap().e_tag;
            let part = CompletedPart::builder().part_number(number).set_e_tag(e_tag);
            parts.push(part.build());
        }
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let completed = self.client.complete_multipart_upload().bucket(&self.name);
        let completed = completed.key(key).upload_id(upload).multipart_upload(parts);
        completed.send().await.unwrap();
    }

    /// The CRC-32, in Base64, that S3 keeps of all bytes of an object; whether it came in parts.
    pub(crate) async fn crc32(&self, key: &str) -> (Option<String>, bool) {
        let head = self.client.head_object().bucket(&self.name).key(key);
        let head = head.checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
        let is_of_all = head.checksum_type() == Some(&ChecksumType::FullObject);
        let in_parts = head.e_tag().unwrap().contains('-');
        (head.checksum_crc32.filter(|_| is_of_all), in_parts)
    }

    pub(crate) async fn delete(&self, key: &str) {
        self.client
            .delete_object()
            .bucket(&self.name)
            .key(key)
            .send()
            .await
            .unwrap();
    }

    /// From now on nothing that is overwritten or deleted is gone.
    pub(crate) async fn keep_versions(&self) {
        let enabled = VersioningConfiguration::builder()
            .status(BucketVersioningStatus::Enabled)
            .build();
        self.client
            .put_bucket_versioning()
            .bucket(&self.name)
            .versioning_configuration(enabled)
            .send()
            .await
            .unwrap();
    }

    /// The keys of all versions of its objects, and of the marks that they were deleted.
    pub(crate) async fn versions(&self) -> Vec<String> {
        let listed = self.client.list_object_versions().bucket(&self.name).send().await;
        let listed = listed.unwrap();
        assert_ne!(
            listed.is_truncated(),
            Some(true),
            "more than a test should have made"
        );
        let versions = listed.versions().iter().filter_map(|version| version.key());
        let marks = listed.delete_markers().iter().filter_map(|mark| mark.key());
        versions.chain(marks).map(str::to_owned).collect()
    }

    /// Begins to send an object in parts, and goes no further.
    pub(crate) async fn begin_parts(&self, key: &str) {
        let begun = self.client.create_multipart_upload().bucket(&self.name).key(key);
        let begun = begun.send().await.unwrap();
        self.client
            .upload_part()
            .bucket(&self.name)
            .key(key)
            .set_upload_id(begun.upload_id().map(str::to_owned))
            .part_number(1)
            .body(ByteStream::from_static(b"begun"))
            .send()
            .await
            .unwrap();
    }

    /// The keys of what was begun to be sent in parts.
    pub(crate) async fn begun(&self) -> Vec<String> {
        let listed = self
            .client
            .list_multipart_uploads()
            .bucket(&self.name)
            .send()
            .await;
        let listed = listed.unwrap();
        let keys = listed.uploads().iter().filter_map(|upload| upload.key());
        keys.map(str::to_owned).collect()
    }
}

/// Gives a function one message, besides those that stand in its queue.
async fn deliver(stack: &Stack, function: &str, message: Value) {
    let mut record = SqsMessage::default();
    record.message_id = Some("one-more".to_owned());
    record.body = Some(message.to_string());
    let mut event = SqsEvent::default();
    event.records = vec![record];
    let answer = stack.runner.functions().handle(function, event).await;
    assert!(answer.batch_item_failures.is_empty(), "{message}");
}

/// Lets the planner take its next step with an action of tenant `demo`, and nobody else anything.
pub(crate) async fn plan(stack: &Stack, action: &str) {
    deliver(
        stack,
        "bulk-planner",
        json!({ "tenant_id": "demo", "action_id": action }),
    )
    .await;
}

/// Lets a worker do one contact of the first chunk of an action of tenant `demo`.
pub(crate) async fn work(stack: &Stack, function: &str, action: &str, contact: &str) {
    let message = json!({ "tenant_id": "demo", "action_id": action, "chunk": 0, "item_id": contact });
    deliver(stack, function, message).await;
}

/// Lets the builder build one contact of the first chunk of an action of tenant `demo`.
pub(crate) async fn build(stack: &Stack, action: &str, contact: &str) {
    work(stack, "archive-builder", action, contact).await;
}

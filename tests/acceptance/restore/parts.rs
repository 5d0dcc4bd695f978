//! A large saved archive, as its sender and then the restorer treat its parts.

use jiff::SignedDuration;
use oubli_cloud::{Cloud, CloudSettings, ConnectOptions, SavedUpload, SignedUpload};
use oubli_domain::{TenantId, UploadId};
use oubli_tests::Stack;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::noise;

/// The smallest part that S3 takes, but for the last.
const PART_BYTES: usize = 5 * 1024 * 1024;
const LIFE: SignedDuration = SignedDuration::from_hours(1);

/// What the restorer has of AWS.
async fn cloud(stack: &Stack) -> Cloud {
    let environment = &stack.runner.provisioned().environment["restorer"];
    let needed = [CloudSettings::UPLOADS_BUCKET];
    let settings = CloudSettings::read(&needed, |name| environment.get(name).cloned()).unwrap();
    let options = ConnectOptions {
        endpoint_url: Some(stack.runner.aws_url().to_owned()),
        ..ConnectOptions::default()
    };
    Cloud::connect(&settings, &options).await
}

fn body(link: SignedUpload) -> Value {
    json!({ "method": link.method, "url": link.url, "headers": link.headers })
}

#[tokio::test]
async fn parts_are_joined_once_all_are_there_and_read_as_they_were_then() {
    let stack = Stack::start().await;
    let (cloud, now) = (cloud(&stack).await, stack.now());
    let links = cloud.links(now, LIFE).await.unwrap();
    let bytes = noise(PART_BYTES + 10);
    let mut saved = SavedUpload {
        tenant_id: TenantId::parse("demo").unwrap(),
        id: UploadId::parse("large").unwrap(),
        size_bytes: bytes.len() as u64,
        sha256: None,
        created_at: now,
        expires_at: now + LIFE,
        parts_id: None,
        restored: None,
    };
    saved.parts_id = Some(cloud.begin_saved_parts(&saved).await.unwrap());
    assert_eq!(cloud.uploaded_source(&saved).await.unwrap(), None);
    // In any order, as browsers send them.
    for (number, part) in [(2, &bytes[PART_BYTES..]), (1, &bytes[..PART_BYTES])] {
        assert_eq!(
            cloud.uploaded_source(&saved).await.unwrap(),
            None,
            "too early for part {number}"
        );
        let size = part.len() as u64;
        let link = cloud.sign_saved_part(&saved, number, size, &links).await.unwrap();
        if stack.engines().is_some() {
            // S3 itself refuses another length than the part's.
            for other in [part.len() - 1, part.len() + 1] {
                let put = stack.put_upload(&body(link.clone()), vec![0; other]).await;
                assert_eq!(put, StatusCode::FORBIDDEN, "part {number}");
            }
        }
        assert_eq!(stack.put_upload(&body(link), part.to_vec()).await, StatusCode::OK);
    }
    let source = cloud.uploaded_source(&saved).await.unwrap().unwrap();
    assert_eq!(source.size_bytes, saved.size_bytes);
    // Another attempt finds them joined.
    assert_eq!(cloud.uploaded_source(&saved).await.unwrap(), Some(source.clone()));
    let (from, to) = (PART_BYTES - 5, PART_BYTES + 5);
    let read = cloud.read_saved(&source, from as u64, to as u64).await.unwrap();
    assert_eq!(&read.unwrap()[..], &bytes[from..to]);

    let link = cloud.sign_saved_upload(&saved, &links).await.unwrap();
    let others = vec![0; bytes.len()];
    assert_eq!(stack.put_upload(&body(link), others).await, StatusCode::OK);
    assert_eq!(cloud.read_saved(&source, 0, 10).await.unwrap(), None);
    cloud.delete_saved_upload(&saved).await.unwrap();
    assert_eq!(cloud.read_saved(&source, 0, 10).await.unwrap(), None);
    assert_eq!(cloud.uploaded_source(&saved).await.unwrap(), None);
}

//! Buckets, their documents and listings.

use aws_sdk_s3::types::{
    BucketLocationConstraint, CreateBucketConfiguration, Event, NotificationConfiguration, ObjectOwnership,
    OwnershipControls, OwnershipControlsRule, PublicAccessBlockConfiguration, QueueConfiguration, Tag,
    Tagging,
};

use super::support::{TestS3, code};

#[tokio::test]
async fn buckets_are_made_once_and_deleted_when_empty() {
    let s3 = TestS3::with_bucket().await;
    let paris = BucketLocationConstraint::EuWest3;
    let configuration = CreateBucketConfiguration::builder()
        .location_constraint(paris.clone())
        .build();
    let create = s3
        .client
        .create_bucket()
        .bucket("b-2")
        .create_bucket_configuration(configuration);
    create.clone().send().await.unwrap();
    assert_eq!(code(create.send().await), "BucketAlreadyOwnedByYou");
    let location = s3
        .client
        .get_bucket_location()
        .bucket("b-2")
        .send()
        .await
        .unwrap();
    assert_eq!(location.location_constraint(), Some(&paris));
    let head = s3.client.head_bucket().bucket("b-2").send().await.unwrap();
    assert_eq!(head.bucket_region(), Some("eu-west-3"));
    let listed = s3.client.list_buckets().send().await.unwrap();
    let names: Vec<_> = listed
        .buckets()
        .iter()
        .filter_map(|bucket| bucket.name())
        .collect();
    assert_eq!(names, ["b-1", "b-2"]);

    s3.put("k", "x").await;
    assert_eq!(
        code(s3.client.delete_bucket().bucket("b-1").send().await),
        "BucketNotEmpty"
    );
    s3.client
        .delete_object()
        .bucket("b-1")
        .key("k")
        .send()
        .await
        .unwrap();
    s3.client.delete_bucket().bucket("b-1").send().await.unwrap();
    assert_eq!(
        code(s3.client.delete_bucket().bucket("b-1").send().await),
        "NoSuchBucket"
    );
    assert_eq!(
        code(s3.client.list_objects_v2().bucket("b-1").send().await),
        "NoSuchBucket"
    );
    assert_eq!(
        code(s3.client.create_bucket().bucket("No_Bucket").send().await),
        "InvalidBucketName"
    );
}

#[tokio::test]
async fn documents_of_a_bucket_come_back_as_given() {
    let s3 = TestS3::with_bucket().await;
    let client = &s3.client;
    assert_eq!(
        code(client.get_bucket_policy().bucket("b-1").send().await),
        "NoSuchBucketPolicy"
    );
    assert_eq!(
        code(client.get_bucket_tagging().bucket("b-1").send().await),
        "NoSuchTagSet"
    );
    let absent = client
        .get_bucket_lifecycle_configuration()
        .bucket("b-1")
        .send()
        .await;
    assert_eq!(code(absent), "NoSuchLifecycleConfiguration");
    let absent = client.get_public_access_block().bucket("b-1").send().await;
    assert_eq!(code(absent), "NoSuchPublicAccessBlockConfiguration");
    let encryption = client.get_bucket_encryption().bucket("b-1").send().await.unwrap();
    assert_eq!(
        encryption
            .server_side_encryption_configuration()
            .unwrap()
            .rules()
            .len(),
        1
    );

    let policy = r#"{"Version":"2012-10-17","Statement":[]}"#;
    client
        .put_bucket_policy()
        .bucket("b-1")
        .policy(policy)
        .send()
        .await
        .unwrap();
    assert_eq!(
        client
            .get_bucket_policy()
            .bucket("b-1")
            .send()
            .await
            .unwrap()
            .policy(),
        Some(policy)
    );
    assert_eq!(
        code(client.put_bucket_policy().bucket("b-1").policy("{").send().await),
        "MalformedPolicy"
    );

    let block = PublicAccessBlockConfiguration::builder()
        .block_public_acls(true)
        .ignore_public_acls(true);
    let block = block
        .block_public_policy(true)
        .restrict_public_buckets(false)
        .build();
    let put = client.put_public_access_block().bucket("b-1");
    put.public_access_block_configuration(block.clone())
        .send()
        .await
        .unwrap();
    let stored = client
        .get_public_access_block()
        .bucket("b-1")
        .send()
        .await
        .unwrap();
    assert_eq!(stored.public_access_block_configuration(), Some(&block));

    let tag = Tag::builder().key("a").value("é").build().unwrap();
    let tagging = Tagging::builder().tag_set(tag.clone()).build().unwrap();
    client
        .put_bucket_tagging()
        .bucket("b-1")
        .tagging(tagging)
        .send()
        .await
        .unwrap();
    assert_eq!(
        client
            .get_bucket_tagging()
            .bucket("b-1")
            .send()
            .await
            .unwrap()
            .tag_set(),
        [tag]
    );
    client.delete_bucket_tagging().bucket("b-1").send().await.unwrap();
    assert_eq!(
        code(client.get_bucket_tagging().bucket("b-1").send().await),
        "NoSuchTagSet"
    );

    let owner = OwnershipControlsRule::builder().object_ownership(ObjectOwnership::BucketOwnerEnforced);
    let controls = OwnershipControls::builder()
        .rules(owner.build().unwrap())
        .build()
        .unwrap();
    client
        .put_bucket_ownership_controls()
        .bucket("b-1")
        .ownership_controls(controls.clone())
        .send()
        .await
        .unwrap();
    let stored = client
        .get_bucket_ownership_controls()
        .bucket("b-1")
        .send()
        .await
        .unwrap();
    assert_eq!(stored.ownership_controls(), Some(&controls));

    let queue = QueueConfiguration::builder()
        .queue_arn("arn:aws:sqs:eu-west-3:0:q")
        .id("n");
    let queue = queue.events(Event::S3LifecycleExpiration).build().unwrap();
    let notification = NotificationConfiguration::builder()
        .queue_configurations(queue.clone())
        .build();
    let put = client.put_bucket_notification_configuration().bucket("b-1");
    put.notification_configuration(notification).send().await.unwrap();
    let stored = client
        .get_bucket_notification_configuration()
        .bucket("b-1")
        .send()
        .await
        .unwrap();
    assert_eq!(stored.queue_configurations(), [queue]);
}

#[tokio::test]
async fn listings_in_pages_see_every_key_once_and_in_order() {
    let s3 = TestS3::with_bucket().await;
    let mut expected: Vec<_> = (0..23).map(|n| format!("p/{}/{n}", n % 4)).collect();
    for key in &expected {
        s3.put(key, "x").await;
    }
    s3.put("q", "x").await;
    expected.sort();
    let pages = s3
        .client
        .list_objects_v2()
        .bucket("b-1")
        .prefix("p/")
        .max_keys(5)
        .into_paginator()
        .send();
    let mut pages = pages;
    let (mut seen, mut count) = (Vec::new(), 0);
    while let Some(page) = pages.next().await {
        seen.extend(
            page.unwrap()
                .contents()
                .iter()
                .map(|object| object.key().unwrap().to_owned()),
        );
        count += 1;
    }
    assert_eq!((seen, count), (expected.clone(), 5));

    let mut marker = None;
    let mut prefixes = Vec::new();
    loop {
        let list = s3
            .client
            .list_objects()
            .bucket("b-1")
            .delimiter("/")
            .prefix("p/")
            .max_keys(3);
        let page = list.set_marker(marker).send().await.unwrap();
        prefixes.extend(
            page.common_prefixes()
                .iter()
                .map(|prefix| prefix.prefix().unwrap().to_owned()),
        );
        marker = page.next_marker().map(str::to_owned);
        if page.is_truncated() != Some(true) {
            break;
        }
    }
    assert_eq!(prefixes, ["p/0/", "p/1/", "p/2/", "p/3/"]);

    let after = s3
        .client
        .list_objects_v2()
        .bucket("b-1")
        .start_after("p/3/3")
        .send()
        .await
        .unwrap();
    let after: Vec<_> = after
        .contents()
        .iter()
        .filter_map(|object| object.key())
        .collect();
    assert_eq!(after, ["p/3/7", "q"]);
    let wrong = s3
        .client
        .list_objects_v2()
        .bucket("b-1")
        .continuation_token("!")
        .send()
        .await;
    assert_eq!(code(wrong), "InvalidArgument");
}

//! Objects: reading, writing, copying, versions.

use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{
    BucketVersioningStatus, Delete, MetadataDirective, ObjectIdentifier, ServerSideEncryption,
    TaggingDirective, VersioningConfiguration,
};

use super::support::{TestS3, code, pattern};

fn body(text: &'static str) -> ByteStream {
    ByteStream::from_static(text.as_bytes())
}

#[tokio::test]
async fn what_is_said_of_an_object_comes_back_with_it() {
    let s3 = TestS3::with_bucket().await;
    let put = s3
        .client
        .put_object()
        .bucket("b-1")
        .key("k")
        .body(body("hello world"))
        .content_type("text/plain");
    let put = put
        .content_language("fr")
        .cache_control("no-store")
        .content_disposition("inline")
        .metadata("who", "me");
    let put = put
        .expires(DateTime::from_secs(4_000_000_000))
        .tagging("a=1&b=x%20y")
        .send()
        .await
        .unwrap();
    assert_eq!(put.e_tag(), Some("\"5eb63bbbe01eeed093cb22bb8f5acdc3\""));
    assert_eq!(put.server_side_encryption(), Some(&ServerSideEncryption::Aes256));
    let get = s3
        .client
        .get_object()
        .bucket("b-1")
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(get.content_length(), Some(11));
    assert_eq!(get.content_type(), Some("text/plain"));
    assert_eq!(get.content_language(), Some("fr"));
    assert_eq!(get.cache_control(), Some("no-store"));
    assert_eq!(get.content_disposition(), Some("inline"));
    assert_eq!(get.content_encoding(), None);
    assert_eq!(get.expires_string(), Some("Tue, 02 Oct 2096 07:06:40 GMT"));
    assert_eq!(get.metadata().unwrap()["who"], "me");
    assert_eq!(get.tag_count(), Some(2));
    assert_eq!(get.server_side_encryption(), Some(&ServerSideEncryption::Aes256));
    let tags = s3
        .client
        .get_object_tagging()
        .bucket("b-1")
        .key("k")
        .send()
        .await
        .unwrap();
    let tags: Vec<_> = tags
        .tag_set()
        .iter()
        .map(|tag| (tag.key(), tag.value()))
        .collect();
    assert_eq!(tags, [("a", "1"), ("b", "x y")]);
}

#[tokio::test]
async fn ranges_and_conditions() {
    let s3 = TestS3::with_bucket().await;
    let bytes = pattern(1_000_000, 7);
    s3.put("k", bytes.clone()).await;
    let ranges = [
        ("bytes=0-0", 0..1),
        ("bytes=999999-", 999_999..1_000_000),
        ("bytes=-5", 999_995..1_000_000),
    ];
    for (range, expected) in ranges
        .into_iter()
        .chain([("bytes=262000-600000", 262_000..600_001)])
    {
        let get = s3
            .client
            .get_object()
            .bucket("b-1")
            .key("k")
            .range(range)
            .send()
            .await
            .unwrap();
        let shown = format!("bytes {}-{}/1000000", expected.start, expected.end - 1);
        assert_eq!(get.content_range(), Some(shown.as_str()));
        assert_eq!(get.body.collect().await.unwrap().to_vec(), bytes[expected]);
    }
    let outside = s3
        .client
        .get_object()
        .bucket("b-1")
        .key("k")
        .range("bytes=1000000-")
        .send()
        .await;
    assert_eq!(code(outside), "InvalidRange");

    let get = || s3.client.get_object().bucket("b-1").key("k");
    let etag = get().send().await.unwrap().e_tag().unwrap().to_owned();
    get().if_match(&etag).send().await.unwrap();
    assert_eq!(
        code(get().if_match("\"other\"").send().await),
        "PreconditionFailed"
    );
    let unchanged = get().if_none_match(&etag).send().await.unwrap_err();
    assert_eq!(unchanged.raw_response().unwrap().status().as_u16(), 304);
    let future = DateTime::from_secs(4_000_000_000);
    let unchanged = get().if_modified_since(future).send().await.unwrap_err();
    assert_eq!(unchanged.raw_response().unwrap().status().as_u16(), 304);
    assert_eq!(
        code(get().if_unmodified_since(DateTime::from_secs(1)).send().await),
        "PreconditionFailed"
    );
}

#[tokio::test]
async fn conditional_writes_let_one_of_many_win() {
    let s3 = TestS3::with_bucket().await;
    let puts = (0..20).map(|n| {
        let put = s3.client.put_object().bucket("b-1").key("k").if_none_match("*");
        tokio::spawn(put.body(ByteStream::from(pattern(50_000, n))).send())
    });
    let mut won = 0;
    for put in puts.collect::<Vec<_>>() {
        match put.await.unwrap() {
            Ok(_) => won += 1,
            answer => assert_eq!(code(answer), "PreconditionFailed"),
        }
    }
    assert_eq!(won, 1);
    let put = |etag: &str| {
        s3.client
            .put_object()
            .bucket("b-1")
            .key("k")
            .if_match(etag)
            .body(body("new"))
            .send()
    };
    assert_eq!(code(put("\"stale\"").await), "PreconditionFailed");
    let head = s3
        .client
        .head_object()
        .bucket("b-1")
        .key("k")
        .send()
        .await
        .unwrap();
    put(head.e_tag().unwrap()).await.unwrap();
    let absent = s3
        .client
        .put_object()
        .bucket("b-1")
        .key("absent")
        .if_match("\"x\"")
        .body(body("x"))
        .send()
        .await;
    assert_eq!(code(absent), "NoSuchKey");
}

#[tokio::test]
async fn copies_keep_or_replace_what_is_said() {
    let s3 = TestS3::with_bucket().await;
    let put = s3
        .client
        .put_object()
        .bucket("b-1")
        .key("é/k")
        .body(body("hello"))
        .metadata("who", "me")
        .tagging("a=1");
    let etag = put
        .content_type("text/plain")
        .send()
        .await
        .unwrap()
        .e_tag()
        .unwrap()
        .to_owned();
    let copy = |key: &str| {
        s3.client
            .copy_object()
            .bucket("b-1")
            .key(key)
            .copy_source("b-1/%C3%A9/k")
    };
    let kept = copy("kept").copy_source_if_match(&etag).send().await.unwrap();
    assert_eq!(kept.copy_object_result().unwrap().e_tag(), Some(etag.as_str()));
    let kept = s3
        .client
        .get_object()
        .bucket("b-1")
        .key("kept")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (kept.metadata().unwrap()["who"].as_str(), kept.tag_count()),
        ("me", Some(1))
    );
    assert_eq!(kept.content_type(), Some("text/plain"));
    let replace = copy("new")
        .metadata_directive(MetadataDirective::Replace)
        .metadata("n", "2");
    replace
        .tagging_directive(TaggingDirective::Replace)
        .send()
        .await
        .unwrap();
    let new = s3
        .client
        .get_object()
        .bucket("b-1")
        .key("new")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (
            new.metadata().unwrap().len(),
            new.metadata().unwrap()["n"].as_str()
        ),
        (1, "2")
    );
    assert_eq!(
        (new.content_type(), new.tag_count()),
        (Some("binary/octet-stream"), None)
    );
    assert_eq!(new.body.collect().await.unwrap().to_vec(), b"hello");
    assert_eq!(
        code(copy("x").copy_source_if_match("\"other\"").send().await),
        "PreconditionFailed"
    );
    assert_eq!(code(copy("é/k").send().await), "InvalidRequest");
    let absent = s3
        .client
        .copy_object()
        .bucket("b-1")
        .key("x")
        .copy_source("b-1/absent")
        .send()
        .await;
    assert_eq!(code(absent), "NoSuchKey");
}

#[tokio::test]
async fn many_deletions_at_once() {
    let s3 = TestS3::with_bucket().await;
    for key in ["a", "b", "c"] {
        s3.put(key, "x").await;
    }
    let object = |key: &str| ObjectIdentifier::builder().key(key).build().unwrap();
    let delete = Delete::builder()
        .objects(object("a"))
        .objects(object("a"))
        .objects(object("absent"));
    let delete = delete.objects(object("c")).build().unwrap();
    let deleted = s3
        .client
        .delete_objects()
        .bucket("b-1")
        .delete(delete)
        .send()
        .await
        .unwrap();
    assert_eq!((deleted.deleted().len(), deleted.errors().len()), (4, 0));
    assert_eq!(s3.keys().await, ["b"]);
}

#[tokio::test]
async fn versions() {
    let s3 = TestS3::with_bucket().await;
    let set = async |status| {
        let configuration = VersioningConfiguration::builder().status(status).build();
        let put = s3
            .client
            .put_bucket_versioning()
            .bucket("b-1")
            .versioning_configuration(configuration);
        put.send().await.unwrap();
    };
    let put = async |text| {
        let put = s3
            .client
            .put_object()
            .bucket("b-1")
            .key("k")
            .body(body(text))
            .send()
            .await
            .unwrap();
        put.version_id().map(str::to_owned)
    };
    let unset = s3
        .client
        .get_bucket_versioning()
        .bucket("b-1")
        .send()
        .await
        .unwrap();
    assert_eq!(unset.status(), None);
    assert_eq!(put("null").await, None);
    set(BucketVersioningStatus::Enabled).await;
    let one = put("one").await.unwrap();
    let two = put("two").await.unwrap();
    let get = |id: &str| {
        s3.client
            .get_object()
            .bucket("b-1")
            .key("k")
            .version_id(id)
            .send()
    };
    assert_eq!(
        get(&one).await.unwrap().body.collect().await.unwrap().to_vec(),
        b"one"
    );
    assert_eq!(
        get("null").await.unwrap().body.collect().await.unwrap().to_vec(),
        b"null"
    );
    assert_eq!(code(get("no-such-version").await), "NoSuchVersion");

    let deleted = s3
        .client
        .delete_object()
        .bucket("b-1")
        .key("k")
        .send()
        .await
        .unwrap();
    let marker = deleted.version_id().unwrap().to_owned();
    assert_eq!(deleted.delete_marker(), Some(true));
    assert_eq!(
        code(s3.client.get_object().bucket("b-1").key("k").send().await),
        "NoSuchKey"
    );
    assert_eq!(code(get(&marker).await), "MethodNotAllowed");
    assert!(s3.keys().await.is_empty());
    s3.client
        .delete_object()
        .bucket("b-1")
        .key("k")
        .version_id(&marker)
        .send()
        .await
        .unwrap();
    assert_eq!(s3.get("k").await, b"two");
    s3.client
        .delete_object()
        .bucket("b-1")
        .key("k")
        .version_id(&two)
        .send()
        .await
        .unwrap();
    assert_eq!(s3.get("k").await, b"one");

    set(BucketVersioningStatus::Suspended).await;
    assert_eq!(put("new null").await.as_deref(), Some("null"));
    let (mut listed, mut key, mut id) = (Vec::new(), None, None);
    loop {
        let list = s3.client.list_object_versions().bucket("b-1").max_keys(1);
        let page = list
            .set_key_marker(key)
            .set_version_id_marker(id)
            .send()
            .await
            .unwrap();
        listed.extend(
            page.versions()
                .iter()
                .map(|version| version.version_id().unwrap().to_owned()),
        );
        (key, id) = (
            page.next_key_marker().map(str::to_owned),
            page.next_version_id_marker().map(str::to_owned),
        );
        if page.is_truncated() != Some(true) {
            break;
        }
    }
    assert_eq!(listed, ["null".to_owned(), one]);
}

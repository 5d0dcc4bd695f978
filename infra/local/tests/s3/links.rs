//! Presigned links by the engine's clock, and browsers.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use aws_sdk_s3::types::{CorsConfiguration, CorsRule};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;

use super::support::{TestS3, code};

/// Long before the tests run, so that the system's time would refuse every link.
const NOW: &str = "2020-05-05T12:00:00Z";

fn five_minutes_from(instant: Timestamp) -> PresigningConfig {
    let start = SystemTime::from(instant);
    PresigningConfig::builder()
        .start_time(start)
        .expires_in(Duration::from_secs(300))
        .build()
        .unwrap()
}

async fn send(method: Method, link: &PresignedRequest, body: &'static [u8]) -> reqwest::Response {
    let mut request = reqwest::Client::new().request(method, link.uri()).body(body);
    for (name, value) in link.headers() {
        request = request.header(name, value);
    }
    request.send().await.unwrap()
}

#[tokio::test]
async fn links_live_by_the_engines_clock_to_the_second() {
    let (s3, clock) = TestS3::at(NOW).await;
    s3.client.create_bucket().bucket("b-1").send().await.unwrap();
    s3.put("k", "x").await;
    let get = s3.client.get_object().bucket("b-1").key("k");
    let link = get.presigned(five_minutes_from(clock.now())).await.unwrap();
    assert_eq!(send(Method::GET, &link, b"").await.text().await.unwrap(), "x");
    clock.advance(SignedDuration::from_secs(300));
    assert_eq!(send(Method::GET, &link, b"").await.status(), 200);
    clock.advance(SignedDuration::from_secs(1));
    let refused = send(Method::GET, &link, b"").await;
    assert_eq!(refused.status(), 403);
    let text = refused.text().await.unwrap();
    assert!(
        text.contains("<Code>AccessDenied</Code>") && text.contains("Request has expired"),
        "{text}"
    );

    let ahead = clock.now() + SignedDuration::from_mins(15);
    let get = s3.client.get_object().bucket("b-1").key("k");
    let link = get.presigned(five_minutes_from(ahead)).await.unwrap();
    assert_eq!(send(Method::GET, &link, b"").await.status(), 200);
    let get = s3.client.get_object().bucket("b-1").key("k");
    let link = get
        .presigned(five_minutes_from(ahead + SignedDuration::from_secs(1)))
        .await
        .unwrap();
    assert_eq!(send(Method::GET, &link, b"").await.status(), 403);
}

#[tokio::test]
async fn tampered_and_unsigned_requests_are_refused() {
    let (s3, clock) = TestS3::at(NOW).await;
    s3.client.create_bucket().bucket("b-1").send().await.unwrap();
    s3.put("k", "x").await;
    s3.put("other", "y").await;
    let get = s3.client.get_object().bucket("b-1").key("k");
    let link = get.presigned(five_minutes_from(clock.now())).await.unwrap();
    let http = reqwest::Client::new();
    let status = async |url: String| http.get(url).send().await.unwrap().status().as_u16();
    assert_eq!(status(link.uri().to_owned()).await, 200);
    assert_eq!(status(link.uri().replace("/k?", "/other?")).await, 403);
    assert_eq!(
        status(link.uri().replace("X-Amz-Expires=300", "X-Amz-Expires=301")).await,
        403
    );
    assert_eq!(status(format!("{}&versionId=null", link.uri())).await, 403);
    assert_eq!(status(format!("{}/b-1/k", s3.url)).await, 403);
    assert_eq!(http.put(link.uri()).body("z").send().await.unwrap().status(), 403);
    let added = http
        .get(link.uri())
        .header("x-amz-checksum-mode", "ENABLED")
        .send()
        .await
        .unwrap();
    assert_eq!(added.status(), 403, "a header of the service that was not signed");
}

#[tokio::test]
async fn a_signed_hash_lets_only_its_bytes_in() {
    let (s3, clock) = TestS3::at(NOW).await;
    s3.client.create_bucket().bucket("b-1").send().await.unwrap();
    // SHA-256 of `right`.
    let sha256 = "JwQvTm7KfQsqfuQCbfLs+lHTM55tEiqgmRGOzYVjutk=";
    let put = s3
        .client
        .put_object()
        .bucket("b-1")
        .key("k")
        .content_type("text/x")
        .checksum_sha256(sha256);
    let link = put
        .content_length(5)
        .presigned(five_minutes_from(clock.now()))
        .await
        .unwrap();
    let refused = send(Method::PUT, &link, b"wrong").await;
    assert_eq!(refused.status(), 400);
    assert!(refused.text().await.unwrap().contains("BadDigest"));
    let head = s3.client.head_object().bucket("b-1").key("k").send().await;
    assert!(head.unwrap_err().as_service_error().unwrap().is_not_found());
    assert_eq!(send(Method::PUT, &link, b"right").await.status(), 200);
    let bare = reqwest::Client::new()
        .put(link.uri())
        .body("wrong")
        .send()
        .await
        .unwrap();
    assert_eq!(bare.status(), 403, "leaving the header out breaks the signature");
    assert_eq!(s3.get("k").await, b"right");
}

#[tokio::test]
async fn downloads_are_named_as_the_link_says() {
    let (s3, clock) = TestS3::at(NOW).await;
    s3.client.create_bucket().bucket("b-1").send().await.unwrap();
    s3.put("k", "x").await;
    let disposition = "attachment; filename=\"a.zip\"; filename*=UTF-8''%C3%A9.zip";
    let get = s3
        .client
        .get_object()
        .bucket("b-1")
        .key("k")
        .response_content_disposition(disposition);
    let link = get
        .response_content_type("application/zip")
        .presigned(five_minutes_from(clock.now()))
        .await
        .unwrap();
    let response = send(Method::GET, &link, b"").await;
    assert_eq!(response.headers()["content-disposition"], disposition);
    assert_eq!(response.headers()["content-type"], "application/zip");
}

#[tokio::test]
async fn browsers_upload_where_a_rule_allows_it() {
    let (s3, clock) = TestS3::at(NOW).await;
    s3.client.create_bucket().bucket("b-1").send().await.unwrap();
    assert_eq!(
        code(s3.client.get_bucket_cors().bucket("b-1").send().await),
        "NoSuchCORSConfiguration"
    );
    let rule = CorsRule::builder()
        .allowed_methods("PUT")
        .allowed_origins("https://*.example");
    let rule = rule
        .allowed_headers("x-amz-*")
        .allowed_headers("content-type")
        .expose_headers("ETag");
    let rules = CorsConfiguration::builder()
        .cors_rules(rule.max_age_seconds(60).build().unwrap())
        .build()
        .unwrap();
    s3.client
        .put_bucket_cors()
        .bucket("b-1")
        .cors_configuration(rules)
        .send()
        .await
        .unwrap();
    let put = s3.client.put_object().bucket("b-1").key("k");
    let link = put.presigned(five_minutes_from(clock.now())).await.unwrap();

    let http = reqwest::Client::new();
    let preflight = async |origin: &str, method: &str, headers: &str| {
        let request = http.request(Method::OPTIONS, link.uri()).header("origin", origin);
        let request = request.header("access-control-request-method", method);
        request
            .header("access-control-request-headers", headers)
            .send()
            .await
            .unwrap()
    };
    let allowed = preflight(
        "https://app.example",
        "PUT",
        "Content-Type, x-amz-checksum-sha256",
    )
    .await;
    assert_eq!(allowed.status(), 200);
    assert_eq!(
        allowed.headers()["access-control-allow-origin"],
        "https://app.example"
    );
    assert_eq!(
        allowed.headers()["access-control-allow-headers"],
        "content-type, x-amz-checksum-sha256"
    );
    assert_eq!(allowed.headers()["access-control-max-age"], "60");
    assert_eq!(
        preflight("https://app.example.org", "PUT", "content-type")
            .await
            .status(),
        403
    );
    assert_eq!(
        preflight("https://app.example", "GET", "content-type")
            .await
            .status(),
        403
    );
    assert_eq!(
        preflight("https://app.example", "PUT", "x-other").await.status(),
        403
    );

    let sent = http
        .put(link.uri())
        .header("origin", "https://app.example")
        .body("x")
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status(), 200);
    assert_eq!(
        sent.headers()["access-control-allow-origin"],
        "https://app.example"
    );
    assert_eq!(sent.headers()["access-control-expose-headers"], "ETag");
    clock.advance(SignedDuration::from_hours(1));
    let late = http
        .put(link.uri())
        .header("origin", "https://app.example")
        .body("x")
        .send()
        .await
        .unwrap();
    assert_eq!(late.status(), 403);
    assert!(
        late.headers().contains_key("access-control-allow-origin"),
        "a script can read why"
    );
}

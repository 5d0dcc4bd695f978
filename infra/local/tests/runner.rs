//! The runner as a whole: who is told what the engines' brooms removed.

use std::sync::{Arc, Mutex};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use jiff::SignedDuration;
use oubli_local::clock::EngineClock;
use oubli_local::runner::{MetricsTo, Runner, RunnerOptions};

fn s3(runner: &Runner) -> aws_sdk_s3::Client {
    let credentials = Credentials::new("test", "test", None, None, "test");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(runner.aws_url())
        .region(Region::from_static("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    let config = aws_sdk_s3::config::Builder::from(&config).force_path_style(true);
    aws_sdk_s3::Client::from_conf(config.build())
}

#[tokio::test]
async fn the_janitor_is_told_of_archives_that_the_lifecycle_rule_removed_and_of_nothing_else() {
    let clock = EngineClock::frozen("2026-03-01T00:00:00Z".parse().unwrap());
    let memory = Arc::new(Mutex::new(Vec::new()));
    let runner = Runner::start(RunnerOptions {
        metrics: MetricsTo::Memory(Arc::clone(&memory)),
        ..RunnerOptions::ephemeral(clock.clone())
    })
    .await
    .unwrap();
    let runs_of_janitor = || {
        let text = String::from_utf8(memory.lock().unwrap().clone()).unwrap();
        text.lines()
            .filter(|line| line.contains("\"ArchivesDeleted\":"))
            .count()
    };

    let client = s3(&runner);
    for (bucket, key) in [
        ("oubli-archives", "archives/demo/archive/attempt.zip"),
        ("oubli-uploads", "uploads/demo/document"),
    ] {
        let put = client.put_object().bucket(bucket).key(key);
        put.body(b"x".to_vec().into()).send().await.unwrap();
    }
    clock.advance(SignedDuration::from_hours(10 * 24 - 1));
    let swept = runner.sweep_engines().await.unwrap().unwrap();
    assert_eq!(swept.objects.len(), 1, "the upload: {:?}", swept.objects);
    assert_eq!(runs_of_janitor(), 0);

    clock.advance(SignedDuration::from_hours(1));
    let swept = runner.sweep_engines().await.unwrap().unwrap();
    assert_eq!(swept.objects[0].bucket, "oubli-archives");
    assert_eq!(runs_of_janitor(), 0, "it is told by a queue");
    runner.drain_one("janitor").await.unwrap();
    assert_eq!(runs_of_janitor(), 1);
    runner.shutdown().await;
}

//! The binary against the Lambda Runtime API, with every event of `events/tenant-provisioner`.

#![cfg(test)]

use oubli_tests::binary;
use serde_json::json;

const BINARY: &str = env!("CARGO_BIN_EXE_tenant-provisioner");

#[tokio::test]
async fn every_event_opens_its_tenant_once() {
    binary::answers_every_event("tenant-provisioner", BINARY, |name, event, round, answer| {
        let expected = json!({ "tenant_id": event["tenant"]["id"], "created": round == 1 });
        assert_eq!(*answer, expected, "{name}");
    })
    .await;
}

#[tokio::test]
async fn a_missing_setting_is_told_in_one_line() {
    binary::tells_each_missing_setting("tenant-provisioner", BINARY).await;
}

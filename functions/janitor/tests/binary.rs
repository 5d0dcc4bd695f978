//! The binary against the Lambda Runtime API, with every event of `events/janitor`.

#![cfg(test)]

use oubli_tests::binary;
use serde_json::json;

const BINARY: &str = env!("CARGO_BIN_EXE_janitor");

#[tokio::test]
async fn every_event_is_answered_as_its_name_says() {
    binary::answers_every_event("janitor", BINARY, |name, _, _, answer| {
        let failures = answer.pointer("/batchItemFailures").cloned();
        let poison = json!([{ "itemIdentifier": "159f36b4-87a3-44ab-83d2-661975830a7d" }]);
        match name {
            "each-minute.json" => assert!(answer.is_null(), "{name}: {answer}"),
            "archives-gone.json" => assert_eq!(failures, Some(json!([])), "{name}"),
            _ => assert_eq!(failures, Some(poison), "{name}"),
        }
    })
    .await;
}

#[tokio::test]
async fn a_missing_setting_is_told_in_one_line() {
    binary::tells_each_missing_setting("janitor", BINARY).await;
}

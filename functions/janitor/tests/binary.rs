//! The binary against the Lambda Runtime API, with every event of `events/janitor`.

#![cfg(test)]

use oubli_tests::binary;

const BINARY: &str = env!("CARGO_BIN_EXE_janitor");

#[tokio::test]
async fn every_event_is_answered_as_its_name_says() {
    binary::answers_every_event("janitor", BINARY, |name, _, _, answer| {
        assert!(answer.is_null(), "{name}: {answer}");
    })
    .await;
}

#[tokio::test]
async fn a_missing_setting_is_told_in_one_line() {
    binary::tells_each_missing_setting("janitor", BINARY).await;
}

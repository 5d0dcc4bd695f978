//! The binary against the Lambda Runtime API, with every event of `events/anonymiser`.

#![cfg(test)]

use oubli_tests::binary;

const BINARY: &str = env!("CARGO_BIN_EXE_anonymiser");

#[tokio::test]
async fn every_batch_is_answered_as_its_name_says() {
    let fields = ["tenant_id", "action_id", "chunk", "item_id"];
    binary::answers_every_batch("anonymiser", BINARY, &fields).await;
}

#[tokio::test]
async fn a_missing_setting_is_told_in_one_line() {
    binary::tells_each_missing_setting("anonymiser", BINARY).await;
}

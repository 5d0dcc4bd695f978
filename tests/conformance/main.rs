//! Every AWS call that Oubli makes, with what it relies on in the answer.
//!
//! The checks speak to the endpoint through the SDK and know nothing of Oubli's own code. They run
//! against the embedded engines, and against `OUBLI_TEST_AWS_ENDPOINT` where that is set. Which calls
//! need a check is not a list that somebody keeps: a whole life of the product is recorded.

#![cfg(test)]

mod aws;
mod keys;
mod mails;
mod objects;
mod parts;
mod queues;
mod tables;
mod transactions;
mod versions;
mod whole_life;

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;

use aws::{Aws, Check};
use futures::FutureExt;

/// What the second implementation that is tested, MiniStack, does otherwise than AWS: check, reason.
/// A check on this list must fail there; one that passes is to be taken off.
const GAPS: [(&str, &str); 5] = [
    (
        "an_identity_is_made_once",
        "a second CreateEmailIdentity of the same identity is taken, not AlreadyExistsException",
    ),
    (
        "versions_of_one_level_are_listed",
        "ListObjectVersions tells nothing of a bucket that keeps no versions",
    ),
    (
        "what_is_begun_deeper_is_not_listed",
        "ListMultipartUploads takes no notice of a delimiter",
    ),
    (
        "a_checksum_that_was_not_asked_for_completes_nothing",
        "an upload that was begun without a checksum algorithm is completed with checksums",
    ),
    (
        "a_copied_part_brings_its_checksum",
        "UploadPartCopy answers no checksum, whatever the upload was begun with",
    ),
];

fn checks() -> Vec<Check> {
    [
        tables::checks(),
        transactions::checks(),
        objects::checks(),
        versions::checks(),
        parts::checks(),
        queues::checks(),
        mails::checks(),
        keys::checks(),
        aws::checks(),
    ]
    .concat()
}

/// The operations that have a check.
fn checked() -> BTreeSet<&'static str> {
    checks()
        .iter()
        .flat_map(|check| check.operations.iter().copied())
        .collect()
}

#[tokio::test]
async fn the_endpoint_answers_as_relied_on() {
    let aws = Aws::start().await;
    let mut wrong = Vec::new();
    for check in checks() {
        if let Some(engines) = aws.stack.engines() {
            engines.faults().record();
        }
        let passed = AssertUnwindSafe((check.run)(aws.clone()))
            .catch_unwind()
            .await
            .is_ok();
        let gap = GAPS.iter().find(|(name, _)| *name == check.name);
        let expected = aws.stack.engines().is_some() || gap.is_none();
        match (passed, expected) {
            (true, true) => {}
            (false, false) => println!("{}: {}", check.name, gap.unwrap().1),
            (true, false) => wrong.push(format!("{}: passes, and is on the list of gaps", check.name)),
            (false, true) => wrong.push(format!("{}: failed", check.name)),
        }
        if let Some(engines) = aws.stack.engines() {
            let calls = engines.faults().calls();
            let called: BTreeSet<_> = calls.iter().map(|call| call.operation.as_str()).collect();
            for operation in check.operations {
                assert!(
                    called.contains(operation),
                    "{} calls no {operation}: {called:?}",
                    check.name
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

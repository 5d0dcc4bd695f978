//! What S3 tells EventBridge of objects that a lifecycle rule removed, sent to the queues that the template's
//! rules name.
//!
//! Source: Amazon S3 user guide, "EventBridge event message structure".

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::engines::Engines;
use crate::provision::Provisioned;
use crate::s3::{RemovalReason, RemovedObject, S3EngineError};

/// Tells of every object that is gone from a bucket whose events are sent.
pub(super) async fn tell(
    engines: &Engines,
    provisioned: &Provisioned,
    client: &Client,
    removed: &[RemovedObject],
    now: Timestamp,
) -> Result<(), S3EngineError> {
    for object in removed {
        if !engines.s3().tells_event_bridge(&object.bucket)? {
            continue;
        }
        let Some(event) = event(object, now) else {
            continue;
        };
        for rule in &provisioned.rules {
            if rule.pattern.fits(&event) {
                let send = client.send_message().queue_url(&rule.queue_url);
                if let Err(error) = send.message_body(event.to_string()).send().await {
                    let error = DisplayErrorContext(error).to_string();
                    tracing::warn!(error, "the janitor's own look will find that an archive is gone");
                }
            }
        }
    }
    Ok(())
}

/// The event, if there is one: an upload that was never completed was no object.
fn event(object: &RemovedObject, now: Timestamp) -> Option<Value> {
    match object.reason {
        RemovalReason::Expired | RemovalReason::NoncurrentVersion => {}
        RemovalReason::ExpiredDeleteMarker | RemovalReason::IncompleteUpload => return None,
    }
    let bucket = &object.bucket;
    Some(json!({
        "version": "0",
        "id": "00000000-0000-0000-0000-000000000000",
        "detail-type": "Object Deleted",
        "source": "aws.s3",
        "account": "000000000000",
        "time": now.to_string(),
        "region": "eu-west-1",
        "resources": [format!("arn:aws:s3:::{bucket}")],
        "detail": {
            "version": "0",
            "bucket": { "name": bucket },
            "object": { "key": object.key, "etag": "d41d8cd98f00b204e9800998ecf8427e", "sequencer": "0" },
            "request-id": "0000000000000000",
            "requester": "s3.amazonaws.com",
            "reason": "Lifecycle Expiration",
            // None of the stack's buckets keeps versions; a delete marker would be said here.
            "deletion-type": "Permanently Deleted"
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event_of(reason: RemovalReason) -> Option<Value> {
        let object = RemovedObject {
            bucket: "oubli-archives".to_owned(),
            key: "archives/demo/a/b.zip".to_owned(),
            reason,
        };
        event(&object, "2026-12-02T00:31:07Z".parse().unwrap())
    }

    /// The names of all fields, with their places.
    fn fields(value: &Value, place: &str) -> Vec<String> {
        let Some(object) = value.as_object() else {
            return vec![place.to_owned()];
        };
        let inner = object
            .iter()
            .map(|(name, value)| fields(value, &format!("{place}/{name}")));
        inner.flatten().collect()
    }

    #[test]
    fn the_event_has_the_fields_that_the_function_is_tested_with() {
        let batch: Value =
            serde_json::from_str(include_str!("../../../../events/janitor/archives-gone.json")).unwrap();
        let sent = batch["Records"][0]["body"].as_str().unwrap();
        let sent: Value = serde_json::from_str(sent).unwrap();
        let ours = event_of(RemovalReason::Expired).unwrap();
        assert_eq!(fields(&ours, ""), fields(&sent, ""));
        for same in [
            "/detail-type",
            "/source",
            "/resources",
            "/detail/reason",
            "/detail/deletion-type",
        ] {
            assert_eq!(ours.pointer(same), sent.pointer(same), "{same}");
        }
    }

    #[test]
    fn what_was_no_object_is_not_told() {
        assert_eq!(event_of(RemovalReason::IncompleteUpload), None);
        assert_eq!(event_of(RemovalReason::ExpiredDeleteMarker), None);
    }
}

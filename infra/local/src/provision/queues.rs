//! SQS queues.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use serde::Deserialize;
use serde_json::{Value, json};

use super::evaluate::Made;
use super::{ProvisionError, failed, is_code, settle};

/// What the template says of a queue.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct QueueProperties {
    visibility_timeout: Option<u32>,
    message_retention_period: u32,
    receive_message_wait_time_seconds: Option<u32>,
    sqs_managed_sse_enabled: bool,
    redrive_policy: Option<RedrivePolicy>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RedrivePolicy {
    dead_letter_target_arn: String,
    max_receive_count: u32,
}

type Attributes = BTreeMap<String, Value>;

/// Makes a queue, or finds it; sets its attributes as they should be.
pub(super) async fn make(
    client: &Client,
    name: String,
    properties: QueueProperties,
) -> Result<Made, ProvisionError> {
    let wanted = wanted_attributes(&properties);
    let to_set: HashMap<_, _> = wanted
        .iter()
        .map(|(name, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (QueueAttributeName::from(name.as_str()), value)
        })
        .collect();

    let found = client.get_queue_url().queue_name(&name).send().await;
    let url = match found {
        Ok(answer) => answer.queue_url,
        // The second code is what older protocols say, and some endpoints still.
        Err(error)
            if is_code(
                &error,
                &["QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"],
            ) =>
        {
            let request = client
                .create_queue()
                .queue_name(&name)
                .set_attributes(Some(to_set.clone()));
            request
                .send()
                .await
                .map_err(failed("CreateQueue", &name))?
                .queue_url
        }
        Err(error) => return Err(failed("GetQueueUrl", &name)(error)),
    };
    let url = url.unwrap_or_default();

    let attributes = async || {
        let request = client.get_queue_attributes().queue_url(&url);
        let answer = request.attribute_names(QueueAttributeName::All).send().await;
        let answer = answer.map_err(failed("GetQueueAttributes", &name))?;
        Ok::<_, ProvisionError>(answer.attributes.unwrap_or_default())
    };
    settle(
        &name,
        "attributes",
        &wanted,
        async || {
            let found = attributes().await?;
            let found = found
                .into_iter()
                .map(|(name, value)| (name.as_str().to_owned(), value));
            let found = found.filter(|(name, _)| wanted.contains_key(name));
            Ok(Some(
                found
                    .map(|(name, value)| {
                        let value = comparable(&name, value);
                        (name, value)
                    })
                    .collect(),
            ))
        },
        async || {
            let request = client.set_queue_attributes().queue_url(&url);
            let answer = request.set_attributes(Some(to_set.clone())).send().await;
            answer.map(|_| ()).map_err(failed("SetQueueAttributes", &name))
        },
    )
    .await?;

    let arn = attributes()
        .await?
        .remove(&QueueAttributeName::QueueArn)
        .unwrap_or_default();
    let attributes = BTreeMap::from([("Arn", arn), ("QueueName", name), ("QueueUrl", url.clone())]);
    Ok(Made {
        reference: url,
        attributes,
    })
}

/// Every value as the API writes it; the redrive policy as a document.
fn wanted_attributes(properties: &QueueProperties) -> Attributes {
    let number = |name: &str, value: Option<u32>| Some((name.to_owned(), Value::from(value?.to_string())));
    let redrive = properties.redrive_policy.as_ref().map(|policy| {
        let policy = json!({
            "deadLetterTargetArn": policy.dead_letter_target_arn,
            "maxReceiveCount": policy.max_receive_count.to_string(),
        });
        ("RedrivePolicy".to_owned(), policy)
    });
    let encrypted = Value::from(properties.sqs_managed_sse_enabled.to_string());
    [
        number("VisibilityTimeout", properties.visibility_timeout),
        number(
            "MessageRetentionPeriod",
            Some(properties.message_retention_period),
        ),
        number(
            "ReceiveMessageWaitTimeSeconds",
            properties.receive_message_wait_time_seconds,
        ),
        Some(("SqsManagedSseEnabled".to_owned(), encrypted)),
        redrive,
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A redrive policy is a document in a text, and its number may be written as a text.
fn comparable(name: &str, value: String) -> Value {
    if name != "RedrivePolicy" {
        return Value::from(value);
    }
    let Ok(mut policy) = serde_json::from_str::<Value>(&value) else {
        return Value::from(value);
    };
    if let Some(count) = policy.get_mut("maxReceiveCount")
        && count.is_number()
    {
        *count = Value::from(count.to_string());
    }
    policy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_that_is_not_known_is_an_error() {
        let properties = json!({
            "MessageRetentionPeriod": 60, "SqsManagedSseEnabled": true, "FifoQueue": true,
        });
        let error = serde_json::from_value::<QueueProperties>(properties).unwrap_err();
        assert!(
            error.to_string().starts_with("unknown field `FifoQueue`"),
            "{error}"
        );
    }

    #[test]
    fn redrive_policies_are_compared_as_documents() {
        let written = r#"{"maxReceiveCount":5,"deadLetterTargetArn":"arn:x"}"#;
        let wanted = json!({ "deadLetterTargetArn": "arn:x", "maxReceiveCount": "5" });
        assert_eq!(comparable("RedrivePolicy", written.into()), wanted);
    }
}

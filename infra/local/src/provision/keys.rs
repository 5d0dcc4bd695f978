//! Keys of KMS and their aliases.

use std::collections::BTreeMap;

use aws_sdk_kms::Client;
use aws_sdk_kms::types::{KeyMetadata, KeySpec, KeyUsageType};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::evaluate::Made;
use super::{ProvisionError, failed, is_code, same};

/// What the template says of a key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct KeyProperties {
    description: String,
    key_spec: String,
    key_usage: String,
    key_policy: Value,
    /// No key is ever deleted here.
    #[serde(rename = "PendingWindowInDays")]
    _pending_window_in_days: IgnoredAny,
}

/// What the template says of an alias.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct AliasProperties {
    alias_name: String,
    target_key_id: String,
}

/// Makes a key, or finds the one that has its alias.
pub(super) async fn make(
    client: &Client,
    alias: String,
    properties: KeyProperties,
) -> Result<Made, ProvisionError> {
    let key = match find(client, &alias).await? {
        Some(key) => key,
        None => {
            let request = client
                .create_key()
                .description(&properties.description)
                .key_spec(KeySpec::from(properties.key_spec.as_str()))
                .key_usage(KeyUsageType::from(properties.key_usage.as_str()))
                .policy(properties.key_policy.to_string());
            let created = request.send().await.map_err(failed("CreateKey", &alias))?;
            created.key_metadata.ok_or_else(|| ProvisionError::Call {
                operation: "CreateKey",
                name: alias.clone(),
                detail: "the answer tells of no key".into(),
            })?
        }
    };
    let found = key
        .key_spec()
        .zip(key.key_usage())
        .map(|(spec, usage)| (spec.as_str().to_owned(), usage.as_str().to_owned()));
    let wanted = (properties.key_spec, properties.key_usage);
    same(&alias, "kind of key", &wanted, found.as_ref())?;
    Ok(Made {
        attributes: BTreeMap::from([
            ("Arn", key.arn.unwrap_or_default()),
            ("KeyId", key.key_id.clone()),
        ]),
        reference: key.key_id,
    })
}

/// Gives a key its alias, or finds that it has it.
pub(super) async fn name(client: &Client, properties: AliasProperties) -> Result<Made, ProvisionError> {
    let AliasProperties {
        alias_name: alias,
        target_key_id: target,
    } = properties;
    match find(client, &alias).await? {
        Some(key) => same(&alias, "key", &target, Some(&key.key_id))?,
        None => {
            let request = client.create_alias().alias_name(&alias).target_key_id(target);
            request.send().await.map_err(failed("CreateAlias", &alias))?;
        }
    }
    Ok(Made {
        reference: alias,
        attributes: BTreeMap::new(),
    })
}

async fn find(client: &Client, alias: &str) -> Result<Option<KeyMetadata>, ProvisionError> {
    match client.describe_key().key_id(alias).send().await {
        Ok(answer) => Ok(answer.key_metadata),
        Err(error) if is_code(&error, &["NotFoundException"]) => Ok(None),
        Err(error) => Err(failed("DescribeKey", alias)(error)),
    }
}

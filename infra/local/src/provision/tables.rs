//! DynamoDB tables.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::client::Waiters;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, TableDescription, TimeToLiveSpecification, TimeToLiveStatus,
};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::evaluate::Made;
use super::{ProvisionError, failed, is_code, same, settle, unwritable};

/// How long a new table may take until it can be used.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the template says of a table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct TableProperties {
    billing_mode: String,
    attribute_definitions: Vec<Attribute>,
    key_schema: Vec<KeyPart>,
    #[serde(default)]
    global_secondary_indexes: Vec<Index>,
    time_to_live_specification: TimeToLive,
    /// Backups are AWS's: the local state is a folder that can be copied.
    #[serde(rename = "PointInTimeRecoverySpecification")]
    _point_in_time_recovery: IgnoredAny,
    /// Keys are AWS's: the local state is as safe as the disk that it is on.
    #[serde(rename = "SSESpecification")]
    _encryption: IgnoredAny,
    /// The local state is meant to be thrown away with its folder.
    #[serde(rename = "DeletionProtectionEnabled")]
    _deletion_protection: IgnoredAny,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Attribute {
    attribute_name: String,
    attribute_type: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct KeyPart {
    attribute_name: String,
    key_type: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Index {
    index_name: String,
    key_schema: Vec<KeyPart>,
    projection: Projected,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Projected {
    projection_type: String,
    #[serde(default)]
    non_key_attributes: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct TimeToLive {
    attribute_name: String,
    enabled: bool,
}

/// Names and types of key attributes, in their order.
type Keys = Vec<(String, String)>;

/// What of a table cannot be changed in place, in a form that can be compared.
#[derive(Debug, PartialEq)]
struct Shape {
    billing_mode: String,
    attributes: BTreeSet<(String, String)>,
    keys: Keys,
    indexes: BTreeMap<String, (Keys, String, BTreeSet<String>)>,
}

/// Makes a table, or finds it as it should be.
pub(super) async fn make(
    client: &Client,
    name: String,
    properties: TableProperties,
) -> Result<Made, ProvisionError> {
    let found = client.describe_table().table_name(&name).send().await;
    let table = match found {
        Ok(answer) => answer.table,
        Err(error) if is_code(&error, &["ResourceNotFoundException"]) => {
            create(client, &name, &properties).await?;
            let described = client.describe_table().table_name(&name).send().await;
            described.map_err(failed("DescribeTable", &name))?.table
        }
        Err(error) => return Err(failed("DescribeTable", &name)(error)),
    };
    let table = table.unwrap_or_else(|| TableDescription::builder().build());
    same(
        &name,
        "keys and indexes",
        &wanted_shape(&properties),
        Some(&found_shape(&table)),
    )?;

    let ttl = &properties.time_to_live_specification;
    let wanted = ttl.enabled.then(|| ttl.attribute_name.clone());
    settle(
        &name,
        "time to live",
        &wanted,
        async || {
            let answer = client.describe_time_to_live().table_name(&name).send().await;
            let answer = answer.map_err(failed("DescribeTimeToLive", &name))?;
            let ttl = answer.time_to_live_description.filter(|ttl| {
                matches!(
                    ttl.time_to_live_status,
                    Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)
                )
            });
            Ok(Some(ttl.and_then(|ttl| ttl.attribute_name)))
        },
        async || {
            let specification = TimeToLiveSpecification::builder()
                .attribute_name(&ttl.attribute_name)
                .enabled(ttl.enabled)
                .build()
                .map_err(unwritable("UpdateTimeToLive", &name))?;
            let request = client.update_time_to_live().table_name(&name);
            let answer = request.time_to_live_specification(specification).send().await;
            answer.map(|_| ()).map_err(failed("UpdateTimeToLive", &name))
        },
    )
    .await?;

    let arn = table.table_arn.unwrap_or_default();
    Ok(Made {
        reference: name,
        attributes: BTreeMap::from([("Arn", arn)]),
    })
}

async fn create(client: &Client, name: &str, properties: &TableProperties) -> Result<(), ProvisionError> {
    let wrong = || unwritable("CreateTable", name);
    let attributes = properties.attribute_definitions.iter().map(|attribute| {
        AttributeDefinition::builder()
            .attribute_name(&attribute.attribute_name)
            .attribute_type(ScalarAttributeType::from(attribute.attribute_type.as_str()))
            .build()
            .map_err(wrong())
    });
    let indexes = properties.global_secondary_indexes.iter().map(|index| {
        let others = &index.projection.non_key_attributes;
        let projection = Projection::builder()
            .projection_type(ProjectionType::from(index.projection.projection_type.as_str()))
            .set_non_key_attributes((!others.is_empty()).then(|| others.clone()));
        GlobalSecondaryIndex::builder()
            .index_name(&index.index_name)
            .set_key_schema(Some(key_schema(&index.key_schema, name)?))
            .projection(projection.build())
            .build()
            .map_err(wrong())
    });
    let indexes = indexes.collect::<Result<Vec<_>, _>>()?;
    let request = client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::from(properties.billing_mode.as_str()))
        .set_attribute_definitions(Some(attributes.collect::<Result<_, _>>()?))
        .set_key_schema(Some(key_schema(&properties.key_schema, name)?))
        .set_global_secondary_indexes((!indexes.is_empty()).then_some(indexes));
    request.send().await.map_err(failed("CreateTable", name))?;
    let active = client
        .wait_until_table_exists()
        .table_name(name)
        .wait(PATIENCE)
        .await;
    active.map(|_| ()).map_err(unwritable("CreateTable", name))
}

fn key_schema(parts: &[KeyPart], table: &str) -> Result<Vec<KeySchemaElement>, ProvisionError> {
    let parts = parts.iter().map(|part| {
        KeySchemaElement::builder()
            .attribute_name(&part.attribute_name)
            .key_type(KeyType::from(part.key_type.as_str()))
            .build()
            .map_err(unwritable("CreateTable", table))
    });
    parts.collect()
}

fn wanted_shape(properties: &TableProperties) -> Shape {
    let keys = |parts: &[KeyPart]| -> Keys {
        parts
            .iter()
            .map(|part| (part.attribute_name.clone(), part.key_type.clone()))
            .collect()
    };
    let attributes = properties.attribute_definitions.iter();
    let indexes = properties.global_secondary_indexes.iter().map(|index| {
        let projection = &index.projection;
        let others = projection.non_key_attributes.iter().cloned().collect();
        (
            index.index_name.clone(),
            (
                keys(&index.key_schema),
                projection.projection_type.clone(),
                others,
            ),
        )
    });
    Shape {
        billing_mode: properties.billing_mode.clone(),
        attributes: attributes
            .map(|a| (a.attribute_name.clone(), a.attribute_type.clone()))
            .collect(),
        keys: keys(&properties.key_schema),
        indexes: indexes.collect(),
    }
}

fn found_shape(table: &TableDescription) -> Shape {
    let keys = |parts: &[KeySchemaElement]| -> Keys {
        parts
            .iter()
            .map(|part| (part.attribute_name.clone(), part.key_type.as_str().to_owned()))
            .collect()
    };
    let attributes = table.attribute_definitions().iter();
    let indexes = table.global_secondary_indexes().iter().map(|index| {
        let projection = index.projection();
        let kind = projection
            .and_then(Projection::projection_type)
            .map(|kind| kind.as_str().to_owned());
        let others = projection.map(Projection::non_key_attributes).unwrap_or_default();
        (
            index.index_name().unwrap_or_default().to_owned(),
            (
                keys(index.key_schema()),
                kind.unwrap_or_default(),
                others.iter().cloned().collect(),
            ),
        )
    });
    let billing_mode = table
        .billing_mode_summary()
        .and_then(|summary| summary.billing_mode());
    Shape {
        billing_mode: billing_mode
            .map(|mode| mode.as_str().to_owned())
            .unwrap_or_default(),
        attributes: attributes
            .map(|a| (a.attribute_name.clone(), a.attribute_type.as_str().to_owned()))
            .collect(),
        keys: keys(table.key_schema()),
        indexes: indexes.collect(),
    }
}

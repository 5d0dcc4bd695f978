//! Between the domain's shapes and DynamoDB's attributes.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::CloudError;
use crate::expression::{Attributes, text};
use crate::keys::Key;

/// Writes a shape as attributes.
pub(crate) fn write(what: &'static str, value: &impl Serialize) -> Result<Attributes, CloudError> {
    serde_dynamo::aws_sdk_dynamodb_1::to_item(value).map_err(|_| CloudError::Corrupt { what })
}

/// Writes a shape as one attribute value.
pub(crate) fn write_value(what: &'static str, value: &impl Serialize) -> Result<AttributeValue, CloudError> {
    serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value(value).map_err(|_| CloudError::Corrupt { what })
}

/// Reads a shape from attributes; those it does not know are left alone.
pub(crate) fn read<T: DeserializeOwned>(what: &'static str, attributes: Attributes) -> Result<T, CloudError> {
    serde_dynamo::aws_sdk_dynamodb_1::from_item(attributes).map_err(|_| CloudError::Corrupt { what })
}

/// Puts an item's key among its attributes.
pub(crate) fn with_key(mut attributes: Attributes, key: &Key) -> Attributes {
    attributes.insert("pk".into(), text(&key.pk));
    attributes.insert("sk".into(), text(&key.sk));
    attributes
}

/// The key of an item that was read.
pub(crate) fn key_of(attributes: &Attributes) -> Option<Key> {
    let part = |name| attributes.get(name).and_then(|value| value.as_s().ok()).cloned();
    Some(Key {
        pk: part("pk")?,
        sk: part("sk")?,
    })
}

/// A text attribute of an item that was read.
pub(crate) fn text_of<'a>(attributes: &'a Attributes, name: &str) -> Option<&'a str> {
    attributes
        .get(name)
        .and_then(|value| value.as_s().ok())
        .map(String::as_str)
}

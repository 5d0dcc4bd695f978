//! The shapes of the AWS JSON protocol. A parameter that is not named here is refused rather than passed over.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};

use super::error::ApiError;

pub(super) const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// Reads a request.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::serialization(error.to_string()))
}

/// Bytes, in Base64 on the wire.
pub(super) struct Blob(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self).map_err(D::Error::custom)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct CreateKey {
    pub(super) key_spec: Option<String>,
    pub(super) key_usage: Option<String>,
    #[serde(default)]
    pub(super) description: String,
    /// A JSON document. It grants nothing here: local endpoints ask for no rights.
    pub(super) policy: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct CreateAlias {
    pub(super) alias_name: String,
    pub(super) target_key_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct OfKey {
    pub(super) key_id: String,
}

/// `Sign`, or `Verify` where a signature is given.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct OnMessage {
    pub(super) key_id: String,
    pub(super) message: Blob,
    pub(super) message_type: Option<String>,
    pub(super) signing_algorithm: String,
    pub(super) signature: Option<Blob>,
}

/// `GenerateMac`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct Authenticate {
    pub(super) key_id: String,
    pub(super) message: Blob,
    pub(super) mac_algorithm: String,
}

//! The shapes of the REST protocol's requests.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::ApiError;
use super::settings::Template;

/// Reads a request.
pub(in crate::ses) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::bad_request(error.to_string()))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::ses) struct CreateEmailIdentity {
    pub(in crate::ses) email_identity: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::ses) struct CreateConfigurationSet {
    pub(in crate::ses) configuration_set_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::ses) struct PutSuppressedDestination {
    pub(in crate::ses) email_address: String,
    pub(in crate::ses) reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::ses) struct CreateEmailTemplate {
    pub(in crate::ses) template_name: String,
    pub(in crate::ses) template_content: Template,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::ses) struct TestRender {
    pub(in crate::ses) template_data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::ses) struct SendEmail {
    pub(in crate::ses) from_email_address: Option<String>,
    #[serde(default)]
    pub(in crate::ses) destination: Destination,
    #[serde(default)]
    pub(in crate::ses) reply_to_addresses: Vec<String>,
    pub(in crate::ses) content: EmailContent,
    pub(in crate::ses) configuration_set_name: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::ses) struct Destination {
    pub(in crate::ses) to_addresses: Vec<String>,
    pub(in crate::ses) cc_addresses: Vec<String>,
    pub(in crate::ses) bcc_addresses: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::ses) struct EmailContent {
    pub(in crate::ses) simple: Option<SimpleContent>,
    pub(in crate::ses) raw: Option<RawContent>,
    pub(in crate::ses) template: Option<TemplateContent>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::ses) struct SimpleContent {
    pub(in crate::ses) subject: Text,
    pub(in crate::ses) body: BodyContent,
    #[serde(default)]
    pub(in crate::ses) headers: Vec<Header>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::ses) struct BodyContent {
    pub(in crate::ses) text: Option<Text>,
    pub(in crate::ses) html: Option<Text>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::ses) struct Text {
    pub(in crate::ses) data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::ses) struct Header {
    pub(in crate::ses) name: String,
    pub(in crate::ses) value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::ses) struct RawContent {
    /// Base64.
    pub(in crate::ses) data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::ses) struct TemplateContent {
    pub(in crate::ses) template_name: Option<String>,
    #[serde(default)]
    pub(in crate::ses) template_content: Option<Template>,
    pub(in crate::ses) template_data: Option<String>,
}

//! The identity that mails are sent from.

use std::collections::BTreeMap;

use aws_sdk_sesv2::Client;
use serde::Deserialize;

use super::evaluate::Made;
use super::{ProvisionError, failed, is_code};

/// What the template says of a mail identity.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct MailIdentityProperties {
    email_identity: String,
}

/// Makes the identity, or finds it.
pub(super) async fn make(
    client: &Client,
    properties: MailIdentityProperties,
) -> Result<Made, ProvisionError> {
    let name = properties.email_identity;
    match client.get_email_identity().email_identity(&name).send().await {
        Ok(_) => {}
        Err(error) if is_code(&error, &["NotFoundException"]) => {
            let created = client.create_email_identity().email_identity(&name).send().await;
            created.map_err(failed("CreateEmailIdentity", &name))?;
        }
        Err(error) => return Err(failed("GetEmailIdentity", &name)(error)),
    }
    Ok(Made {
        reference: name,
        attributes: BTreeMap::new(),
    })
}

//! What an operator invokes the function with.

use oubli_domain::email::Email;
use oubli_domain::text::parse_line;
use oubli_domain::{FieldErrors, Language, MemberId, TenantId};
use oubli_workflows::NewTenant;
use serde::Deserialize;
use serde_json::Value;

/// Longest name of a company or a person, in characters.
const MAX_NAME_CHARS: usize = 200;

/// Why an event cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// It has another shape.
    #[error(
        "the event must be `{{tenant: {{id, name, language}}, administrator: {{member_id, name, email}}}}`, \
         every field a text, and nothing else"
    )]
    Shape,
    /// Fields that cannot be what they should be.
    #[error(transparent)]
    Fields(#[from] FieldErrors),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProvisionEvent {
    tenant: TenantBody,
    administrator: AdministratorBody,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TenantBody {
    id: String,
    name: String,
    language: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdministratorBody {
    member_id: String,
    name: String,
    email: String,
}

/// Judges an event.
pub(crate) fn parse(event: Value) -> Result<NewTenant, EventError> {
    // serde's own text may repeat a value of the event.
    let event: ProvisionEvent = serde_json::from_value(event).map_err(|_| EventError::Shape)?;
    let (tenant, administrator) = (event.tenant, event.administrator);
    let language = Language::ALL
        .into_iter()
        .find(|language| language.code() == tenant.language);

    let mut errors = FieldErrors::default();
    let tenant_id = errors.take("/tenant/id", TenantId::parse(tenant.id));
    let tenant_name = errors.take("/tenant/name", parse_line(&tenant.name, MAX_NAME_CHARS));
    let language = errors.take("/tenant/language", language.ok_or("must be `fr` or `en`"));
    let member_id = errors.take(
        "/administrator/member_id",
        MemberId::parse(administrator.member_id),
    );
    let member_name = errors.take(
        "/administrator/name",
        parse_line(&administrator.name, MAX_NAME_CHARS),
    );
    let email = errors.take("/administrator/email", Email::parse(&administrator.email));
    match (tenant_id, tenant_name, language, member_id, member_name, email) {
        (Some(tenant_id), Some(tenant_name), Some(language), Some(member_id), Some(name), Some(email)) => {
            Ok(NewTenant {
                tenant_id,
                tenant_name,
                language,
                member_id,
                member_name: name.into(),
                email: email.into(),
            })
        }
        _ => Err(errors.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn parse_text(text: &str) -> Result<NewTenant, EventError> {
        parse(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn a_tenant_with_its_administrator_is_taken() {
        let parsed = parse_text(include_str!(
            "../../../events/tenant-provisioner/french-tenant.json"
        ))
        .unwrap();
        assert_eq!(parsed.tenant_id.as_str(), "atelier-dubois");
        assert_eq!(parsed.language, Language::Fr);
        assert_eq!(parsed.member_id.as_str(), "auth0|5f7c8ec7c33c6c004bbafe82");
        assert_eq!(parsed.email.expose().as_str(), "chloe.lefevre@example.fr");
        assert!(
            parse_text(include_str!(
                "../../../events/tenant-provisioner/english-tenant.json"
            ))
            .is_ok()
        );
    }

    #[test]
    fn every_wrong_field_is_named_and_no_value_repeated() {
        let error =
            parse_text(include_str!("../../../events/tenant-provisioner/bad-values.json")).unwrap_err();
        let EventError::Fields(fields) = &error else {
            panic!("{error}")
        };
        let pointers: Vec<&str> = fields
            .as_slice()
            .iter()
            .map(|field| field.pointer.as_str())
            .collect();
        assert_eq!(
            pointers,
            [
                "/tenant/id",
                "/tenant/name",
                "/tenant/language",
                "/administrator/member_id",
                "/administrator/name",
                "/administrator/email"
            ]
        );
        for value in ["no spaces", "someone", "Eve", "nobody"] {
            assert!(!error.to_string().contains(value), "{error}");
        }
    }

    #[rstest]
    #[case(json!(null))]
    #[case(json!({}))]
    #[case(json!({ "tenant": { "id": "a", "name": "A", "language": "fr" } }))]
    #[case(json!({
        "tenant": { "id": "a", "name": "A", "language": "fr" },
        "administrator": { "member_id": "m", "name": ["Lefèvre"], "email": "m@example.fr" }
    }))]
    #[case(json!({
        "tenant": { "id": "a", "name": "A", "language": "fr", "plan": "gold" },
        "administrator": { "member_id": "m", "name": "M", "email": "m@example.fr" }
    }))]
    fn another_shape_is_refused_with_the_right_one(#[case] event: Value) {
        let error = parse(event).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the event must be `{tenant: {id, name, language}, administrator: {member_id, name, email}}`, \
             every field a text, and nothing else"
        );
    }
}

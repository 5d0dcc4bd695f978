//! What each call does.

use http::Method;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::settings::{Suppressed, Template};
use super::wire::{
    CreateConfigurationSet, CreateEmailIdentity, CreateEmailTemplate, PutSuppressedDestination, TestRender,
    read,
};
use super::{ApiError, State};

mod send;

use send::{draft_of, send};

/// Does one call.
pub(super) fn perform(
    state: &mut State,
    method: &Method,
    path: &str,
    body: &[u8],
    now: Timestamp,
) -> Result<Value, ApiError> {
    let resource = path
        .strip_prefix("/v2/email/")
        .unwrap_or_default()
        .trim_end_matches('/');
    let segments: Vec<String> = resource.split('/').map(percent_decode).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (method.as_str(), segments.as_slice()) {
        ("POST", ["outbound-emails"]) => send(state, read(body)?, now),
        ("POST", ["identities"]) => create_identity(state, &read::<CreateEmailIdentity>(body)?),
        ("GET", ["identities"]) => Ok(list_identities(state)),
        ("GET", ["identities", identity]) => get_identity(state, identity),
        ("DELETE", ["identities", identity]) => {
            need_identity(state, identity)?;
            let identity = identity.to_ascii_lowercase();
            state.settings.change(|kept| {
                kept.identities.remove(&identity);
            })?;
            Ok(json!({}))
        }
        ("GET", ["account"]) => Ok(account(state)),
        ("PUT", ["suppression", "addresses"]) => {
            let request: PutSuppressedDestination = read(body)?;
            suppress(state, &request.email_address, &request.reason, now)
        }
        ("GET", ["suppression", "addresses"]) => Ok(list_suppressed(state)),
        ("GET", ["suppression", "addresses", address]) => get_suppressed(state, address),
        ("DELETE", ["suppression", "addresses", address]) => {
            get_suppressed(state, address)?;
            let address = address.to_ascii_lowercase();
            state.settings.change(|kept| {
                kept.suppressed.remove(&address);
            })?;
            Ok(json!({}))
        }
        ("POST", ["templates"]) => create_template(state, read(body)?),
        ("GET", ["templates", name]) => {
            let template = template(state, name)?;
            Ok(json!({"TemplateName": name, "TemplateContent": template}))
        }
        ("POST", ["templates", name, "render"]) => {
            let request: TestRender = read(body)?;
            let rendered = render(&template(state, name)?, &request.template_data)?;
            let mail = draft_of(&rendered, "test-render", "", &[], now).write();
            Ok(json!({"RenderedTemplate": String::from_utf8_lossy(&mail)}))
        }
        ("POST", ["configuration-sets"]) => {
            let request: CreateConfigurationSet = read(body)?;
            if state
                .settings
                .kept
                .configuration_sets
                .contains(&request.configuration_set_name)
            {
                return Err(ApiError::exists("the configuration set exists"));
            }
            state.settings.change(|kept| {
                kept.configuration_sets.insert(request.configuration_set_name);
            })?;
            Ok(json!({}))
        }
        _ => Err(ApiError::new(
            404,
            "UnknownOperationException",
            format!("`{method} {path}` is not served here"),
        )),
    }
}

fn create_identity(state: &mut State, request: &CreateEmailIdentity) -> Result<Value, ApiError> {
    let identity = request.email_identity.to_ascii_lowercase();
    if identity.is_empty() || identity.contains(char::is_whitespace) || !identity.contains('.') {
        return Err(ApiError::bad_request(
            "the identity is neither an address nor a domain",
        ));
    }
    if state.settings.kept.identities.contains(&identity) {
        return Err(ApiError::exists(format!(
            "Email identity {identity} already exist."
        )));
    }
    let kind = identity_type(&identity);
    state.settings.change(|kept| {
        kept.identities.insert(identity);
    })?;
    Ok(json!({"IdentityType": kind, "VerifiedForSendingStatus": true}))
}

fn identity_type(identity: &str) -> &'static str {
    if identity.contains('@') {
        "EMAIL_ADDRESS"
    } else {
        "DOMAIN"
    }
}

fn need_identity(state: &State, identity: &str) -> Result<(), ApiError> {
    if state
        .settings
        .kept
        .identities
        .contains(&identity.to_ascii_lowercase())
    {
        return Ok(());
    }
    Err(ApiError::not_found(format!(
        "Email identity {identity} does not exist."
    )))
}

fn get_identity(state: &State, identity: &str) -> Result<Value, ApiError> {
    need_identity(state, identity)?;
    Ok(json!({
        "IdentityType": identity_type(identity),
        "VerifiedForSendingStatus": true,
        "VerificationStatus": "SUCCESS",
        "FeedbackForwardingStatus": true,
    }))
}

fn list_identities(state: &State) -> Value {
    let identities: Vec<Value> = state
        .settings
        .kept
        .identities
        .iter()
        .map(|identity| {
            json!({
                "IdentityName": identity,
                "IdentityType": identity_type(identity),
                "SendingEnabled": true,
                "VerificationStatus": "SUCCESS",
            })
        })
        .collect();
    json!({"EmailIdentities": identities})
}

fn account(state: &State) -> Value {
    json!({
        "DedicatedIpAutoWarmupEnabled": false,
        "EnforcementStatus": "HEALTHY",
        "ProductionAccessEnabled": true,
        "SendingEnabled": true,
        "SendQuota": {
            "Max24HourSend": 50_000.0,
            "MaxSendRate": 14.0,
            "SentLast24Hours": state.mailbox.delivered().len(),
        },
        "SuppressionAttributes": {"SuppressedReasons": ["BOUNCE", "COMPLAINT"]},
    })
}

fn suppress(state: &mut State, address: &str, reason: &str, now: Timestamp) -> Result<Value, ApiError> {
    if !matches!(reason, "BOUNCE" | "COMPLAINT") {
        return Err(ApiError::bad_request(
            "the reason is neither BOUNCE nor COMPLAINT",
        ));
    }
    let suppressed = Suppressed {
        reason: reason.to_owned(),
        since: now.as_second(),
    };
    state.settings.change(|kept| {
        kept.suppressed.insert(address.to_ascii_lowercase(), suppressed);
    })?;
    Ok(json!({}))
}

fn describe_suppressed(address: &str, suppressed: &Suppressed) -> Value {
    json!({"EmailAddress": address, "Reason": suppressed.reason, "LastUpdateTime": suppressed.since})
}

fn list_suppressed(state: &State) -> Value {
    let all = state.settings.kept.suppressed.iter();
    let all: Vec<Value> = all
        .map(|(address, suppressed)| describe_suppressed(address, suppressed))
        .collect();
    json!({"SuppressedDestinationSummaries": all})
}

fn get_suppressed(state: &State, address: &str) -> Result<Value, ApiError> {
    match state.settings.kept.suppressed.get(&address.to_ascii_lowercase()) {
        Some(suppressed) => Ok(json!({"SuppressedDestination": describe_suppressed(address, suppressed)})),
        None => Err(ApiError::not_found("the address is not on the suppression list")),
    }
}

fn create_template(state: &mut State, request: CreateEmailTemplate) -> Result<Value, ApiError> {
    if state.settings.kept.templates.contains_key(&request.template_name) {
        return Err(ApiError::exists("the template exists"));
    }
    state.settings.change(|kept| {
        kept.templates
            .insert(request.template_name, request.template_content);
    })?;
    Ok(json!({}))
}

fn template(state: &State, name: &str) -> Result<Template, ApiError> {
    let template = state.settings.kept.templates.get(name).cloned();
    template.ok_or_else(|| ApiError::not_found(format!("Template {name} does not exist.")))
}

/// Fills in the `{{name}}`s of a template.
fn render(template: &Template, data: &str) -> Result<Template, ApiError> {
    let data: Map<String, Value> = serde_json::from_str(data)
        .map_err(|_| ApiError::bad_request("the template data is not a JSON object"))?;
    let fill = |text: &Option<String>| text.as_deref().map(|text| fill_in(text, &data)).transpose();
    Ok(Template {
        subject: fill(&template.subject)?,
        text: fill(&template.text)?,
        html: fill(&template.html)?,
    })
}

fn fill_in(text: &str, data: &Map<String, Value>) -> Result<String, ApiError> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, tail) = after
            .split_once("}}")
            .ok_or_else(|| ApiError::bad_request("a `{{` is not closed"))?;
        filled.push_str(before);
        match data.get(name.trim()) {
            Some(Value::String(value)) => filled.push_str(value),
            Some(value) => filled.push_str(&value.to_string()),
            None => {
                let message = format!(
                    "Attribute '{}' is not present in the rendering data.",
                    name.trim()
                );
                return Err(ApiError::bad_request(message));
            }
        }
        rest = tail;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// A path's segment; what is no escape stays.
fn percent_decode(segment: &str) -> String {
    let mut decoded = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let escaped = (*byte == b'%')
            .then(|| after.split_at_checked(2))
            .flatten()
            .and_then(|(digits, after)| {
                Some((
                    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?,
                    after,
                ))
            });
        match escaped {
            Some((value, after)) => {
                decoded.push(value);
                rest = after;
            }
            None => decoded.push(*byte),
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

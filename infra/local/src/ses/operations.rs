//! What each call does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::message::Draft;
use super::parse::{Parsed, bare_address};
use super::settings::{Suppressed, Template};
use super::{ApiError, Refusal, State};

/// The most recipients of one mail.
const MOST_RECIPIENTS: usize = 50;
/// What SES v2 takes, headers and encodings included.
const LARGEST_MAIL_BYTES: usize = 40 * 1024 * 1024;

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

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateEmailIdentity {
    email_identity: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateConfigurationSet {
    configuration_set_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutSuppressedDestination {
    email_address: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateEmailTemplate {
    template_name: String,
    template_content: Template,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TestRender {
    template_data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendEmail {
    from_email_address: Option<String>,
    #[serde(default)]
    destination: Destination,
    #[serde(default)]
    reply_to_addresses: Vec<String>,
    content: EmailContent,
    configuration_set_name: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Destination {
    to_addresses: Vec<String>,
    cc_addresses: Vec<String>,
    bcc_addresses: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EmailContent {
    simple: Option<SimpleContent>,
    raw: Option<RawContent>,
    template: Option<TemplateContent>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SimpleContent {
    subject: Text,
    body: BodyContent,
    #[serde(default)]
    headers: Vec<Header>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BodyContent {
    text: Option<Text>,
    html: Option<Text>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Text {
    data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Header {
    name: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawContent {
    /// Base64.
    data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TemplateContent {
    template_name: Option<String>,
    #[serde(default)]
    template_content: Option<Template>,
    template_data: Option<String>,
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::bad_request(error.to_string()))
}

fn send(state: &mut State, request: SendEmail, now: Timestamp) -> Result<Value, ApiError> {
    if let Some(name) = &request.configuration_set_name
        && !state.settings.kept.configuration_sets.contains(name)
    {
        return Err(ApiError::not_found(format!(
            "Configuration set <{name}> does not exist."
        )));
    }
    let raw = request
        .content
        .raw
        .as_ref()
        .map(|raw| STANDARD.decode(&raw.data))
        .transpose();
    let raw = raw.map_err(|_| ApiError::bad_request("the raw message is not base64"))?;
    let parsed = raw.as_deref().map(Parsed::read);

    let from = match (&request.from_email_address, &parsed) {
        (Some(from), _) => from.clone(),
        (None, Some(parsed)) => parsed.from.clone(),
        (None, None) => return Err(ApiError::bad_request("missing required field FromEmailAddress")),
    };
    check_sender(state, &from)?;
    if let Some(parsed) = &parsed {
        check_sender(state, &parsed.from)?;
    }
    let destination = &request.destination;
    let named = destination
        .to_addresses
        .iter()
        .chain(&destination.cc_addresses)
        .chain(&destination.bcc_addresses);
    let mut recipients: Vec<String> = named.map(|address| bare_address(address).to_owned()).collect();
    if let (true, Some(parsed)) = (recipients.is_empty(), &parsed) {
        recipients = parsed
            .to
            .iter()
            .map(|address| bare_address(address).to_owned())
            .collect();
    }
    check_recipients(&recipients)?;

    let rejected = state.refusal(&recipients);
    if rejected == Some(Refusal::Reject) {
        return Err(ApiError::rejected("the address refuses mails"));
    }
    let id = state.mailbox.next_id();
    let mail = match (raw, request.content.simple, request.content.template) {
        (Some(raw), None, None) => raw,
        (None, Some(simple), None) => {
            let headers: Vec<(String, String)> = simple
                .headers
                .into_iter()
                .map(|header| (header.name, header.value))
                .collect();
            check_headers(&headers, &simple.subject.data, &from)?;
            Draft {
                cc: &destination.cc_addresses,
                reply_to: &request.reply_to_addresses,
                subject: &simple.subject.data,
                text: simple.body.text.as_ref().map(|text| text.data.as_str()),
                html: simple.body.html.as_ref().map(|html| html.data.as_str()),
                headers: &headers,
                ..draft_of(&Template::default(), &id, &from, &destination.to_addresses, now)
            }
            .write()
        }
        (None, None, Some(content)) => {
            let template = match (content.template_content, content.template_name) {
                (Some(inline), _) => inline,
                (None, Some(name)) => template(state, &name)?,
                (None, None) => {
                    return Err(ApiError::bad_request("the template has neither name nor content"));
                }
            };
            let rendered = render(&template, content.template_data.as_deref().unwrap_or("{}"))?;
            draft_of(&rendered, &id, &from, &destination.to_addresses, now).write()
        }
        _ => {
            return Err(ApiError::bad_request(
                "the content must be one of Simple, Raw and Template",
            ));
        }
    };
    if mail.len() > LARGEST_MAIL_BYTES {
        return Err(ApiError::rejected(
            "Message length is more than 41943040 bytes long",
        ));
    }
    let suppressed = recipients.iter().all(|to| {
        state
            .settings
            .kept
            .suppressed
            .contains_key(&to.to_ascii_lowercase())
    });
    if rejected == Some(Refusal::Bounce) || suppressed {
        state.mailbox.bounce(&id, now, &mail)?;
        for recipient in &recipients {
            suppress(state, recipient, "BOUNCE", now)?;
        }
    } else {
        state.mailbox.deliver(&id, now, &mail)?;
    }
    Ok(json!({"MessageId": id}))
}

fn draft_of<'a>(
    template: &'a Template,
    id: &'a str,
    from: &'a str,
    to: &'a [String],
    now: Timestamp,
) -> Draft<'a> {
    Draft {
        id,
        from,
        to,
        cc: &[],
        reply_to: &[],
        subject: template.subject.as_deref().unwrap_or_default(),
        text: template.text.as_deref(),
        html: template.html.as_deref(),
        headers: &[],
        sent_at: now,
    }
}

fn check_sender(state: &State, from: &str) -> Result<(), ApiError> {
    let address = bare_address(from);
    if state.settings.may_send(address) {
        return Ok(());
    }
    Err(ApiError::rejected(format!(
        "Email address is not verified. The following identities failed the check in region: {address}"
    )))
}

fn check_recipients(recipients: &[String]) -> Result<(), ApiError> {
    if recipients.is_empty() {
        return Err(ApiError::bad_request("the mail has no recipient"));
    }
    if recipients.len() > MOST_RECIPIENTS {
        return Err(ApiError::rejected("Recipient count exceeds 50."));
    }
    // SES takes addresses in ASCII only (domains as Punycode).
    let wrong = |to: &&String| {
        let parts = to.rsplit_once('@');
        !to.is_ascii()
            || to.contains(|character: char| character.is_whitespace() || character.is_control())
            || parts.is_none_or(|(local, domain)| local.is_empty() || domain.is_empty())
    };
    match recipients.iter().find(wrong) {
        Some(_) => Err(ApiError::bad_request("Illegal address")),
        None => Ok(()),
    }
}

/// A line end in a header would let its writer add headers.
fn check_headers(headers: &[(String, String)], subject: &str, from: &str) -> Result<(), ApiError> {
    let breaks = |text: &str| text.contains(['\r', '\n']);
    let name_is_wrong =
        |name: &str| name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
    if breaks(subject)
        || breaks(from)
        || headers
            .iter()
            .any(|(name, value)| name_is_wrong(name) || breaks(value))
    {
        return Err(ApiError::bad_request("a header must be one line"));
    }
    Ok(())
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

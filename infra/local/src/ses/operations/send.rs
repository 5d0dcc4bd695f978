//! Sending: who may, to whom, and the mail that is made of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{render, suppress, template};
use crate::ses::message::Draft;
use crate::ses::parse::{Parsed, bare_address};
use crate::ses::settings::Template;
use crate::ses::wire::SendEmail;
use crate::ses::{ApiError, Refusal, State};

/// The most recipients of one mail.
const MOST_RECIPIENTS: usize = 50;
/// The most headers of one's own, and the longest name and value of one, in characters.
const MOST_HEADERS: usize = 15;
const LONGEST_HEADER_NAME: usize = 126;
const LONGEST_HEADER_VALUE: usize = 870;
/// What SES v2 takes, headers and encodings included.
const LARGEST_MAIL_BYTES: usize = 40 * 1024 * 1024;

pub(super) fn send(state: &mut State, request: SendEmail, now: Timestamp) -> Result<Value, ApiError> {
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

pub(super) fn draft_of<'a>(
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

/// A line end in a header would let its writer add headers. The rest is what `MessageHeader` allows.
fn check_headers(headers: &[(String, String)], subject: &str, from: &str) -> Result<(), ApiError> {
    let breaks = |text: &str| text.contains(['\r', '\n']);
    if breaks(subject) || breaks(from) {
        return Err(ApiError::bad_request("a header must be one line"));
    }
    if headers.len() > MOST_HEADERS {
        return Err(ApiError::bad_request("there are more than 15 headers"));
    }
    let is_name = |name: &str| {
        (1..=LONGEST_HEADER_NAME).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':')
    };
    let is_value = |value: &str| {
        (1..=LONGEST_HEADER_VALUE).contains(&value.len())
            && value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
    };
    match headers
        .iter()
        .find(|(name, value)| !is_name(name) || !is_value(value))
    {
        Some(_) => Err(ApiError::bad_request(
            "a header has a name of 1 to 126 and a value of 1 to 870 printable ASCII characters",
        )),
        None => Ok(()),
    }
}

//! Reading a mail: enough of RFC 5322 and MIME to show who wrote what to whom, whoever built the mail.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

/// Base64 as mails have it: padded or not.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Parts within parts deeper than this are not looked at.
const DEEPEST_PART: usize = 8;

/// A mail as its reader sees it.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub(super) from: String,
    /// `To`, then `Cc`, then `Bcc`.
    pub(super) to: Vec<String>,
    pub(super) subject: String,
    /// The first part of this kind; line ends as `\n`.
    pub(super) text: Option<String>,
    pub(super) html: Option<String>,
}

impl Parsed {
    pub(super) fn read(mail: &[u8]) -> Self {
        let (headers, body) = split(mail);
        let field = |name: &str| headers.get(name).map(decode_words).unwrap_or_default();
        let mut parsed = Self {
            from: field("from"),
            subject: field("subject"),
            ..Self::default()
        };
        for name in ["to", "cc", "bcc"] {
            let list = headers.get(name).unwrap_or_default();
            parsed.to.extend(
                split_addresses(list)
                    .iter()
                    .map(|address| tidy_address(&decode_words(address))),
            );
        }
        parsed.read_part(&headers, body, 0);
        parsed
    }

    fn read_part(&mut self, headers: &Headers, body: &[u8], depth: usize) {
        let content_type = headers.get("content-type").unwrap_or("text/plain");
        let kind = content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        if kind.starts_with("multipart/") {
            if let (Some(boundary), true) = (parameter(content_type, "boundary"), depth < DEEPEST_PART) {
                for part in parts(body, &boundary) {
                    let (headers, body) = split(part);
                    self.read_part(&headers, body, depth + 1);
                }
            }
            return;
        }
        let slot = match kind.as_str() {
            "text/plain" => &mut self.text,
            "text/html" => &mut self.html,
            _ => return,
        };
        if slot.is_none() {
            let encoding = headers.get("content-transfer-encoding").unwrap_or_default();
            *slot = Some(decode_body(body, encoding.trim()));
        }
    }
}

/// Unfolded headers, in order, with lower-case names.
struct Headers(Vec<(String, String)>);

impl Headers {
    fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Takes headers and body apart.
fn split(mail: &[u8]) -> (Headers, &[u8]) {
    let mut headers: Vec<(String, String)> = Vec::new();
    let mut rest = mail;
    while !rest.is_empty() {
        let end = rest
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(rest.len(), |end| end + 1);
        let (line, after) = rest.split_at(end);
        rest = after;
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            break;
        }
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = headers.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    (Headers(headers), rest)
}

/// A parameter of a header, quoted or not.
fn parameter(header: &str, name: &str) -> Option<String> {
    header.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim()
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// The parts between the lines of a boundary; the line end before a boundary belongs to it.
fn parts<'a>(body: &'a [u8], boundary: &str) -> Vec<&'a [u8]> {
    let delimiter = format!("--{boundary}");
    let mut parts = Vec::new();
    let (mut start, mut position) = (None, 0);
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let next = position + line.len();
        let text = line.trim_ascii_end();
        let closes = text.strip_suffix(b"--") == Some(delimiter.as_bytes());
        if text == delimiter.as_bytes() || closes {
            if let Some(part) = start.and_then(|start| body.get(start..position)) {
                let part: &[u8] = part.strip_suffix(b"\n").unwrap_or(part);
                parts.push(part.strip_suffix(b"\r").unwrap_or(part));
            }
            start = (!closes).then_some(next);
        }
        position = next;
    }
    parts
}

fn decode_body(body: &[u8], encoding: &str) -> String {
    let bytes = match encoding.to_ascii_lowercase().as_str() {
        "base64" => {
            let compact: Vec<u8> = body
                .iter()
                .copied()
                .filter(|byte| !byte.is_ascii_whitespace())
                .collect();
            LENIENT.decode(compact).unwrap_or_else(|_| body.to_owned())
        }
        "quoted-printable" => decode_quoted_printable(body),
        _ => body.to_owned(),
    };
    String::from_utf8_lossy(&bytes).replace("\r\n", "\n")
}

fn decode_quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'=' {
            decoded.push(*byte);
            continue;
        }
        if let Some(after) = after.strip_prefix(b"\r\n").or_else(|| after.strip_prefix(b"\n")) {
            rest = after;
        } else if let Some((digits, after)) = after.split_at_checked(2)
            && let Some(value) = hexadecimal(digits)
        {
            decoded.push(value);
            rest = after;
        } else {
            decoded.push(b'=');
        }
    }
    decoded
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Decodes the encoded words of a header; blanks between two of them go.
fn decode_words(text: impl AsRef<str>) -> String {
    let mut decoded = String::new();
    let mut rest = text.as_ref();
    let mut after_word = false;
    while let Some((before, word)) = rest.split_once("=?") {
        let mut fields = word.splitn(4, '?');
        let (_, encoding, content, tail) = (fields.next(), fields.next(), fields.next(), fields.next());
        let bytes = match (encoding.map(str::to_ascii_uppercase).as_deref(), content) {
            (Some("B"), Some(content)) => LENIENT.decode(content).ok(),
            (Some("Q"), Some(content)) => Some(decode_quoted_printable(content.replace('_', " ").as_bytes())),
            _ => None,
        };
        let (Some(bytes), Some(tail)) = (bytes, tail.and_then(|tail| tail.strip_prefix('='))) else {
            decoded.push_str(before);
            decoded.push_str("=?");
            rest = word;
            after_word = false;
            continue;
        };
        if !(after_word && before.trim().is_empty()) {
            decoded.push_str(before);
        }
        decoded.push_str(&String::from_utf8_lossy(&bytes));
        rest = tail;
        after_word = true;
    }
    decoded.push_str(rest);
    decoded
}

/// Splits a list of addresses at its commas, those in quotes aside.
fn split_addresses(list: &str) -> Vec<String> {
    let mut addresses = vec![String::new()];
    let mut quoted = false;
    for character in list.chars() {
        if character == '"' {
            quoted = !quoted;
        }
        if character == ',' && !quoted {
            addresses.push(String::new());
        } else if let Some(address) = addresses.last_mut() {
            address.push(character);
        }
    }
    addresses.retain(|address| !address.trim().is_empty());
    addresses
}

/// Without the quotes around a display name.
fn tidy_address(address: &str) -> String {
    match address.trim().rsplit_once('<') {
        Some((name, rest)) if !name.trim().is_empty() => format!("{} <{rest}", name.trim().trim_matches('"')),
        Some((_, rest)) => rest.trim_end_matches('>').to_owned(),
        None => address.trim().to_owned(),
    }
}

/// The bare address of `Name <address>`.
pub(super) fn bare_address(address: &str) -> &str {
    match address.rsplit_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or(rest).trim(),
        None => address.trim(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_mail_is_read() {
        let mail = b"From: a@example.com\nTo: =?ISO-8859-1?Q?x=5Fy?= <b@example.org>,\n c@example.org\n\
            Subject: =?utf-8?Q?caf=C3=A9_?=\n =?utf-8?B?ZXQgdGjDqQ==?= noir\n\
            Content-Type: multipart/mixed; boundary=outer\n\npreamble\n--outer\n\
            Content-Type: multipart/alternative; boundary=\"inner\"\n\n--inner\n\
            Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\nYm9u\nam91cg==\n\
            --inner\nContent-Type: text/html\n\n<p>1</p>\n--inner--\n--outer\n\
            Content-Type: text/plain\n\nattached\n--outer--\n";
        let parsed = Parsed::read(mail);
        assert_eq!(parsed.to, ["x_y <b@example.org>", "c@example.org"]);
        assert_eq!(parsed.subject, "café et thé noir");
        assert_eq!(parsed.text.as_deref(), Some("bonjour"));
        assert_eq!(parsed.html.as_deref(), Some("<p>1</p>"));
    }
}

//! Writing a mail: RFC 5322 headers, RFC 2047 encoded words, RFC 2045 quoted-printable, RFC 2046
//! multipart/alternative. Lines end in CRLF and stay within 78 characters.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Bytes in one encoded word: Base64, a frame of 12 characters and a short header's name before it stay
/// within the 76 characters of RFC 2047.
const ENCODED_WORD_BYTES: usize = 36;
/// The longest quoted-printable line, its soft break aside.
const LINE_CHARACTERS: usize = 75;

/// What a mail is made of.
pub(super) struct Draft<'a> {
    pub(super) id: &'a str,
    pub(super) from: &'a str,
    pub(super) to: &'a [String],
    pub(super) cc: &'a [String],
    pub(super) reply_to: &'a [String],
    pub(super) subject: &'a str,
    pub(super) text: Option<&'a str>,
    pub(super) html: Option<&'a str>,
    /// Name and value, as the caller gave them.
    pub(super) headers: &'a [(String, String)],
    pub(super) sent_at: Timestamp,
}

impl Draft<'_> {
    /// The mail as it would travel.
    pub(super) fn write(&self) -> Vec<u8> {
        let mut mail = String::new();
        header(&mut mail, "From", &encode_address(self.from));
        addresses(&mut mail, "To", self.to);
        addresses(&mut mail, "Cc", self.cc);
        addresses(&mut mail, "Reply-To", self.reply_to);
        header(&mut mail, "Subject", &encode_words(self.subject));
        let date = self
            .sent_at
            .to_zoned(TimeZone::UTC)
            .strftime("%a, %d %b %Y %H:%M:%S +0000")
            .to_string();
        header(&mut mail, "Date", &date);
        header(
            &mut mail,
            "Message-ID",
            &format!("<{}@email.amazonses.com>", self.id),
        );
        header(&mut mail, "MIME-Version", "1.0");
        for (name, value) in self.headers {
            header(&mut mail, name, &encode_words(value));
        }
        match (self.text, self.html) {
            (Some(text), Some(html)) => {
                // Quoted-printable never writes `=_`, so no line of a part can be the boundary.
                let boundary = format!("=_{}", self.id);
                header(
                    &mut mail,
                    "Content-Type",
                    &format!("multipart/alternative;\r\n boundary=\"{boundary}\""),
                );
                for (kind, content) in [("plain", text), ("html", html)] {
                    mail.push_str(&format!("\r\n--{boundary}\r\n"));
                    part(&mut mail, kind, content);
                }
                mail.push_str(&format!("\r\n--{boundary}--\r\n"));
            }
            (None, Some(html)) => part(&mut mail, "html", html),
            (text, None) => part(&mut mail, "plain", text.unwrap_or_default()),
        }
        mail.into_bytes()
    }
}

fn header(mail: &mut String, name: &str, value: &str) {
    mail.push_str(name);
    mail.push_str(": ");
    mail.push_str(value);
    mail.push_str("\r\n");
}

/// One address a line: a list of any length stays readable and within the limits.
fn addresses(mail: &mut String, name: &str, addresses: &[String]) {
    if !addresses.is_empty() {
        let list: Vec<String> = addresses.iter().map(|address| encode_address(address)).collect();
        header(mail, name, &list.join(",\r\n "));
    }
}

fn part(mail: &mut String, kind: &str, content: &str) {
    header(mail, "Content-Type", &format!("text/{kind}; charset=UTF-8"));
    header(mail, "Content-Transfer-Encoding", "quoted-printable");
    mail.push_str("\r\n");
    mail.push_str(&quoted_printable(content));
}

/// An address with its display name encoded where that is needed.
fn encode_address(address: &str) -> String {
    match address.rsplit_once('<') {
        Some((name, rest)) if !name.is_ascii() => {
            format!("{}\r\n <{rest}", encode_words(name.trim().trim_matches('"')))
        }
        _ => address.to_owned(),
    }
}

/// A header's text; as it is if plain ASCII serves, else as encoded words.
fn encode_words(text: &str) -> String {
    let plain = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if plain && !text.contains("=?") && text.len() <= 60 {
        return text.to_owned();
    }
    let mut words = Vec::new();
    let mut word = String::new();
    for character in text.chars() {
        // A word holds whole characters: each is decoded on its own.
        if word.len() + character.len_utf8() > ENCODED_WORD_BYTES {
            words.push(std::mem::take(&mut word));
        }
        word.push(character);
    }
    words.push(word);
    let words: Vec<String> = words
        .iter()
        .map(|word| format!("=?UTF-8?B?{}?=", STANDARD.encode(word)))
        .collect();
    words.join("\r\n ")
}

/// RFC 2045, section 6.7. Line ends become CRLF; blanks before one are encoded.
fn quoted_printable(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() + text.len() / 8);
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            encoded.push_str("\r\n");
        }
        let line = line.strip_suffix('\r').unwrap_or(line);
        let last = line.len().saturating_sub(1);
        let mut column = 0;
        for (position, byte) in line.bytes().enumerate() {
            let literal = match byte {
                b'=' => false,
                b' ' | b'\t' => position != last,
                b'!'..=b'~' => true,
                _ => false,
            };
            let width = if literal { 1 } else { 3 };
            if column + width > LINE_CHARACTERS {
                encoded.push_str("=\r\n");
                column = 0;
            }
            if literal {
                encoded.push(char::from(byte));
            } else {
                encoded.push_str(&format!("={byte:02X}"));
            }
            column += width;
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ses::parse::Parsed;

    #[test]
    fn what_is_written_is_read_back() {
        let long =
            "Été comme hiver, l'archive de vos données est prête — téléchargez-la avant le dix décembre";
        let text = "é = 100 %  \nligne\tdeux \n\n.\nFrom here\n".repeat(3) + &"x".repeat(300);
        let html = "<p>œuvre &amp; “guillemets”</p>".repeat(20);
        let to = [
            "\"Zoë, D.\" <zoe@example.org>".to_owned(),
            "second@example.org".to_owned(),
        ];
        let draft = Draft {
            id: "0102-a",
            from: "Société Générale d'Essai <no-reply@example.com>",
            to: &to,
            cc: &[],
            reply_to: &[],
            subject: long,
            text: Some(&text),
            html: Some(&html),
            headers: &[],
            sent_at: Timestamp::from_second(1_700_000_000).unwrap(),
        };
        let mail = draft.write();
        let raw = String::from_utf8(mail.clone()).unwrap();
        assert!(raw.is_ascii());
        assert!(
            raw.split("\r\n")
                .all(|line| line.len() <= 78 && !line.contains('\n')),
            "{raw}"
        );
        assert!(raw.contains("Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"), "{raw}");

        let parsed = Parsed::read(&mail);
        assert_eq!(parsed.subject, long);
        assert_eq!(parsed.from, "Société Générale d'Essai <no-reply@example.com>");
        assert_eq!(parsed.to, ["Zoë, D. <zoe@example.org>", "second@example.org"]);
        assert_eq!(parsed.text.unwrap(), text);
        assert_eq!(parsed.html.unwrap(), html);
    }
}

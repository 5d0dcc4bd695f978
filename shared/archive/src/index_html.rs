//! `index.html`: the archive for a person to read, offline, in any browser.
//!
//! No script, no resource from elsewhere; every value is escaped, and a content security policy forbids
//! what is not there anyway.

mod phrases;

use std::fmt;
use std::io::{self, Write};

use oubli_domain::Language;
use oubli_domain::contact::{Address, Contact, FIELDS, Field, FieldValue, Shape};
use serde_json::Value;

use crate::contact_json::{CONTACT_NAME, SCHEMA_NAME};
use crate::contents::PlannedDocument;
use crate::manifest::MANIFEST_NAME;
use crate::signature::SIGNATURE_NAME;
use phrases::Phrases;

/// Name of the page in the archive.
pub const INDEX_NAME: &str = "index.html";

const STYLE: &str = include_str!("index_html/style.css");
/// `'self'` is not the same as `file:` in every browser, and the page is read from a disk.
const POLICY: &str = "default-src 'none'; img-src 'self' file:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// Renders the page.
pub(crate) fn write_index(
    out: &mut dyn Write,
    contact: &Contact,
    documents: &[PlannedDocument],
    language: Language,
) -> io::Result<()> {
    let words = Phrases::of(language);
    let name = full_name(contact);
    let name = Escaped(&name);
    write!(
        out,
        "<!doctype html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{} – {name}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<header>\n",
        language.code(),
        words.title,
    )?;
    if let Some(photo) = photo(contact, documents) {
        let path = Encoded(&photo.entry_name());
        writeln!(out, "<img src=\"{path}\" alt=\"{} {name}\">", words.photo_of)?;
    }
    write!(
        out,
        "<div>\n<p class=\"soft\">{}</p>\n<h1><bdi>{name}</bdi></h1>\n<p>{}</p>\n</div>\n</header>\n",
        words.title, words.introduction
    )?;
    write_person(out, contact, words)?;
    write_custom_fields(out, contact, words)?;
    write_file(out, contact, documents, words)?;
    write_documents(out, documents, words)?;
    write_other_files(out, words)?;
    out.write_all(b"</main>\n</body>\n</html>\n")
}

fn full_name(contact: &Contact) -> String {
    let last_name = contact.fields.last_name.expose();
    match &contact.fields.first_name {
        Some(first_name) => format!("{} {last_name}", first_name.expose()),
        None => last_name.clone(),
    }
}

fn photo<'a>(contact: &Contact, documents: &'a [PlannedDocument]) -> Option<&'a PlannedDocument> {
    let id = contact.fields.photo_document_id.as_ref()?;
    documents.iter().find(|document| document.id == *id)
}

fn open_section(out: &mut dyn Write, id: &str, title: &str) -> io::Result<()> {
    write!(
        out,
        "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>\n"
    )
}

fn write_row(out: &mut dyn Write, label: &str, value: &str) -> io::Result<()> {
    writeln!(
        out,
        "<dt>{}</dt><dd dir=\"auto\">{}</dd>",
        Escaped(label),
        Escaped(value)
    )
}

/// Where on the page a field stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Person,
    CustomFields,
    File,
}

fn section_of(shape: Shape) -> Section {
    match shape {
        Shape::Line | Shape::Text | Shape::Email | Shape::Phone | Shape::Address => Section::Person,
        Shape::CustomFields => Section::CustomFields,
        Shape::MemberId | Shape::Business | Shape::DocumentId => Section::File,
    }
}

/// Writes the fields of a section that have a value, as they are declared.
fn write_fields(
    out: &mut dyn Write,
    contact: &Contact,
    documents: &[PlannedDocument],
    section: Section,
    words: &Phrases,
) -> io::Result<()> {
    for declaration in FIELDS {
        if section_of(declaration.shape) != section {
            continue;
        }
        let label = words.field(declaration.field);
        match contact.fields.value(declaration.field) {
            None => {}
            Some(FieldValue::Text(text)) => write_row(out, label, text)?,
            Some(FieldValue::Address(address)) => write_row(out, label, &address_text(address))?,
            Some(FieldValue::CustomFields(fields)) => {
                for (name, value) in fields {
                    write_row(out, name, &custom_text(value, words))?;
                }
            }
            Some(FieldValue::Member(member)) => write_row(out, label, member.as_str())?,
            Some(FieldValue::Business(business)) => {
                write_row(out, words.opportunities, &business.opportunities.to_string())?;
                write_row(out, words.proposals, &business.proposals.to_string())?;
                write_row(out, words.deals, &business.deals.to_string())?;
            }
            Some(FieldValue::Document(id)) => {
                let document = documents.iter().find(|document| document.id == *id);
                let name = document.map_or(id.as_str(), |document| document.name.expose());
                write_row(out, label, name)?;
            }
        }
    }
    Ok(())
}

fn write_person(out: &mut dyn Write, contact: &Contact, words: &Phrases) -> io::Result<()> {
    open_section(out, "person", words.identity)?;
    out.write_all(b"<dl>\n")?;
    write_fields(out, contact, &[], Section::Person, words)?;
    out.write_all(b"</dl>\n</section>\n")
}

fn address_text(address: &Address) -> String {
    let town: Vec<&str> = [&address.postal_code, &address.city]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect();
    let mut lines = address.lines.clone();
    if !town.is_empty() {
        lines.push(town.join(" "));
    }
    lines.extend(address.country.clone());
    lines.join("\n")
}

fn custom_text(value: &Value, words: &Phrases) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => words.yes.to_owned(),
        Value::Bool(false) => words.no.to_owned(),
        other => other.to_string(),
    }
}

fn write_custom_fields(out: &mut dyn Write, contact: &Contact, words: &Phrases) -> io::Result<()> {
    if contact.fields.custom_fields.is_none() {
        return Ok(());
    }
    open_section(out, "other", words.field(Field::CustomFields))?;
    out.write_all(b"<dl>\n")?;
    write_fields(out, contact, &[], Section::CustomFields, words)?;
    out.write_all(b"</dl>\n</section>\n")
}

fn write_file(
    out: &mut dyn Write,
    contact: &Contact,
    documents: &[PlannedDocument],
    words: &Phrases,
) -> io::Result<()> {
    open_section(out, "file", words.field(Field::Business))?;
    out.write_all(b"<dl>\n")?;
    write_fields(out, contact, documents, Section::File, words)?;
    write_row(out, words.created_at, &words.time(contact.created_at))?;
    write_row(out, words.updated_at, &words.time(contact.updated_at))?;
    write_row(out, words.version, &contact.version.to_string())?;
    out.write_all(b"</dl>\n</section>\n")
}

fn write_documents(out: &mut dyn Write, documents: &[PlannedDocument], words: &Phrases) -> io::Result<()> {
    open_section(out, "documents", words.documents)?;
    if documents.is_empty() {
        return write!(out, "<p>{}</p>\n</section>\n", words.no_documents);
    }
    write!(
        out,
        "<div class=\"wide\">\n<table>\n<thead><tr><th scope=\"col\">{}</th><th scope=\"col\">{}</th>\
         <th scope=\"col\" class=\"number\">{}</th><th scope=\"col\">{}</th></tr></thead>\n<tbody>\n",
        words.name, words.kind, words.size, words.added_at
    )?;
    for document in documents {
        writeln!(
            out,
            "<tr><td><a href=\"{}\"><bdi>{}</bdi></a></td><td>{}</td><td class=\"number\">{}</td><td>{}</td></tr>",
            Encoded(&document.entry_name()),
            Escaped(document.name.expose()),
            Escaped(&document.content_type),
            words.bytes(document.size_bytes),
            words.time(document.created_at),
        )?;
    }
    out.write_all(b"</tbody>\n</table>\n</div>\n</section>\n")
}

fn write_other_files(out: &mut dyn Write, words: &Phrases) -> io::Result<()> {
    open_section(out, "files", words.other_files)?;
    out.write_all(b"<ul>\n")?;
    for (name, meaning) in [
        (CONTACT_NAME, words.contact_file),
        (SCHEMA_NAME, words.schema_file),
        (MANIFEST_NAME, words.manifest_file),
        (SIGNATURE_NAME, words.signature_file),
    ] {
        writeln!(out, "<li><a href=\"{name}\">{name}</a> – {meaning}</li>")?;
    }
    out.write_all(b"</ul>\n</section>\n")
}

/// Text in an element or a quoted attribute. Characters that turn the writing direction, or that HTML does
/// not allow, are shown as the replacement character: a name could make its neighbours read otherwise.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => fmt::Write::write_char(f, c)?,
                '\r' => {}
                '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => f.write_str("\u{FFFD}")?,
                c if c.is_control() => f.write_str("\u{FFFD}")?,
                c => fmt::Write::write_char(f, c)?,
            }
        }
        Ok(())
    }
}

/// A path in the archive as a relative URL (RFC 3986, section 2).
struct Encoded<'a>(&'a str);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                    fmt::Write::write_char(f, char::from(byte))?;
                }
                byte => write!(f, "%{byte:02X}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_value_is_markup() {
        assert_eq!(
            Escaped("<b onclick='x'>\"&\u{0}\u{202E}é\r\n").to_string(),
            "&lt;b onclick=&#39;x&#39;&gt;&quot;&amp;\u{FFFD}\u{FFFD}é\n"
        );
        assert_eq!(
            Encoded("documents/é %\"#?&'.pdf").to_string(),
            "documents/%C3%A9%20%25%22%23%3F%26%27.pdf"
        );
    }
}

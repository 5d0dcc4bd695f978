//! Documents attached to a contact.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::contact::Shelf;
use crate::field_error::FieldErrors;
use crate::hash::{Crc32, Sha256};
use crate::ids::{AttemptId, ContactId, DocumentId, TenantId};
use crate::personal::Personal;

/// The largest document, in bytes: what one S3 `PutObject` takes.
pub const MAX_DOCUMENT_BYTES: u64 = 5 * 1024 * 1024 * 1024;
/// The longest name, in bytes.
pub const MAX_DOCUMENT_NAME_BYTES: usize = 1024;
/// Most documents of one contact: what an archive may hold, less our own entries.
pub const MAX_DOCUMENTS: u64 = 99_000;

/// What a document is to its contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentKind {
    /// A payslip, a contract, a letter.
    Document,
    /// The picture of the person.
    Photo,
}

/// How far a document has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentState {
    /// Announced; its bytes are not verified yet.
    AwaitingUpload,
    /// Its bytes are stored and were verified.
    Stored,
}

/// A document as the tenant holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Whose.
    pub tenant_id: TenantId,
    /// Attached to which contact.
    pub contact_id: ContactId,
    /// Which.
    pub id: DocumentId,
    /// On which shelf of the contact's.
    pub generation: Option<AttemptId>,
    /// How far it has come.
    pub state: DocumentState,
    /// What was announced.
    pub fields: DocumentFields,
    /// When it was announced.
    pub created_at: Timestamp,
    /// When its bytes were verified.
    pub stored_at: Option<Timestamp>,
}

impl Document {
    /// Where it stands.
    pub fn shelf(&self) -> Shelf {
        Shelf {
            tenant_id: self.tenant_id.clone(),
            contact_id: self.contact_id.clone(),
            generation: self.generation.clone(),
        }
    }
}

/// What is announced of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentFields {
    /// The name exactly as given: any characters, 1 to 1,024 bytes. Never a path, never a key.
    pub name: Personal<String>,
    /// The media type (RFC 9110, section 8.3.1).
    pub content_type: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// SHA-256 of the bytes: given at upload or learned when first read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256>,
    /// CRC-32 of the bytes: given at upload or learned when first read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crc32: Option<Crc32>,
    /// What it is to the contact.
    pub kind: DocumentKind,
}

/// What a request says of a document, before it is judged.
#[derive(Clone, Debug)]
pub struct DocumentDraft {
    /// Display name.
    pub name: String,
    /// Media type.
    pub content_type: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// SHA-256, hexadecimal.
    pub sha256: Option<String>,
    /// CRC-32, hexadecimal.
    pub crc32: Option<String>,
    /// What it is to the contact.
    pub kind: DocumentKind,
}

impl DocumentDraft {
    /// Judges every field.
    ///
    /// # Errors
    /// All that is wrong, each with its pointer.
    pub fn parse(self) -> Result<DocumentFields, FieldErrors> {
        let mut errors = FieldErrors::default();
        if self.name.is_empty() || self.name.len() > MAX_DOCUMENT_NAME_BYTES {
            errors.push("/name", format!("must have 1 to {MAX_DOCUMENT_NAME_BYTES} bytes"));
        }
        if !is_media_type(&self.content_type) {
            errors.push("/content_type", "must be a media type, such as `application/pdf`");
        }
        if self.kind == DocumentKind::Photo && !self.content_type.starts_with("image/") {
            errors.push("/content_type", "a photo must be an image");
        }
        if self.size_bytes > MAX_DOCUMENT_BYTES {
            errors.push("/size_bytes", format!("must be at most {MAX_DOCUMENT_BYTES}"));
        }
        let sha256 = self
            .sha256
            .and_then(|text| errors.take("/sha256", Sha256::parse(&text)));
        let crc32 = self
            .crc32
            .and_then(|text| errors.take("/crc32", Crc32::parse(&text)));
        errors.into_result()?;
        Ok(DocumentFields {
            name: self.name.into(),
            content_type: self.content_type,
            size_bytes: self.size_bytes,
            sha256,
            crc32,
            kind: self.kind,
        })
    }
}

/// `type/subtype` with optional parameters, in the characters of RFC 9110, at most 255 bytes.
fn is_media_type(text: &str) -> bool {
    let token = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
    };
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let (kind, subtype) = essence.trim_end().split_once('/').unwrap_or(("", ""));
    text.len() <= 255
        && token(kind)
        && token(subtype)
        && parameters.chars().all(|c| c.is_ascii_graphic() || c == ' ')
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn draft() -> DocumentDraft {
        DocumentDraft {
            name: "Bulletin de paie – mars.pdf".into(),
            content_type: "application/pdf".into(),
            size_bytes: 12,
            sha256: None,
            crc32: None,
            kind: DocumentKind::Document,
        }
    }

    #[test]
    fn any_name_is_kept_as_given() {
        for name in [
            "../../etc/passwd",
            "C:\\x",
            "a\0b",
            &"é".repeat(150),
            "\u{202e}fdp.exe",
            "con.txt",
            "📄",
        ] {
            let fields = DocumentDraft {
                name: name.into(),
                ..draft()
            }
            .parse()
            .unwrap();
            assert_eq!(fields.name.expose(), name);
        }
    }

    #[rstest]
    #[case("/name", DocumentDraft { name: String::new(), ..draft() })]
    #[case("/content_type", DocumentDraft { content_type: "pdf".into(), ..draft() })]
    #[case("/content_type", DocumentDraft { content_type: "text/plain\r\nX: y".into(), ..draft() })]
    #[case("/content_type", DocumentDraft { kind: DocumentKind::Photo, ..draft() })]
    #[case("/size_bytes", DocumentDraft { size_bytes: MAX_DOCUMENT_BYTES + 1, ..draft() })]
    #[case("/sha256", DocumentDraft { sha256: Some("00".into()), ..draft() })]
    #[case("/crc32", DocumentDraft { crc32: Some("zzzzzzzz".into()), ..draft() })]
    fn what_cannot_be_is_refused(#[case] pointer: &str, #[case] draft: DocumentDraft) {
        let errors = draft.parse().unwrap_err();
        assert_eq!(errors.as_slice()[0].pointer, pointer);
    }
}

//! What the demo tenant holds: fictional people and real, small documents, made here.
//!
//! Nobody of this exists. Addresses of e-mail end in domains kept for examples, telephone numbers
//! are of the ranges kept for fiction (France: ARCEP, decision 2018-0881; United Kingdom: Ofcom,
//! "Telephone numbers for use in TV and radio drama programmes"). The same call gives the same
//! bytes on every machine: dates are fixed and nothing is drawn by lot.

mod amount;
mod english;
mod fields;
mod french;
mod generated;
mod papers;
mod payslip;
mod pdf;
mod picture;
mod word;

use oubli_domain::contact::ContactDraft;
use oubli_domain::document::DocumentKind;

pub use generated::generated_contacts;

/// A contact to be entered, with its documents.
#[derive(Clone, Debug)]
pub struct DemoContact {
    /// The fields; `photo_document_id` is absent, as ids are given when documents are stored.
    pub draft: ContactDraft,
    /// The documents, at most one of them a photo.
    pub documents: Vec<DemoDocument>,
}

/// A document to be attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoDocument {
    /// The name as the staff would write it.
    pub name: String,
    /// The media type (RFC 9110, section 8.3.1).
    pub content_type: &'static str,
    /// What it is to the contact.
    pub kind: DocumentKind,
    /// The whole file, a few kilobytes.
    pub bytes: Vec<u8>,
}

/// Why a document could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A photo as PNG.
    #[error("a demo photo cannot be written as PNG")]
    Png(#[from] png::EncodingError),
    /// A photo as JPEG.
    #[error("a demo photo cannot be written as JPEG")]
    Jpeg(#[from] jpeg_encoder::EncodingError),
    /// A Word document.
    #[error("a demo document cannot be written for Word")]
    Word(#[from] zip::result::ZipError),
}

/// The contacts of the demo tenant, French and English, in the order in which they are entered.
/// They are assigned to the members `agent` and `admin`.
///
/// # Errors
/// When a photo or a Word document cannot be encoded.
pub fn demo_contacts() -> Result<Vec<DemoContact>, DemoError> {
    let mut contacts = french::contacts()?;
    contacts.extend(english::contacts()?);
    Ok(contacts)
}

#[cfg(test)]
mod tests;

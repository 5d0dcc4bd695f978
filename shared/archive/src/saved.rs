//! Reads a saved archive for a restore: it comes from anywhere, and nothing of it is believed before it is
//! proven.
//!
//! | step | what it proves |
//! |---|---|
//! | end and directory | the file is laid out as [`crate::zip64::ArchiveWriter`] does it |
//! | names | nothing climbs, nothing is alike |
//! | signature over the bytes of the manifest | this deployment wrote the manifest |
//! | tenant | it did so for this tenant |
//! | every record and content against the manifest | the rest is what was written then |
//! | `contact.json` against manifest and fields | it can be put back |
//!
//! The manifest is only hashed before its signature fits, and no other content is unpacked. Memory does not
//! depend on the size of the documents; of each there are some hundred bytes.

mod contact;
mod listing;
mod refusal;

use std::io::{self, Read, Seek};
use std::sync::Arc;

use jiff::Timestamp;
use oubli_domain::contact::ContactFields;
use oubli_domain::document::DocumentKind;
use oubli_domain::{ContactId, Crc32, DocumentId, Personal, Sha256, TenantId};

use crate::layout::{MAX_MANIFEST_BYTES, check_names};
use crate::manifest::MANIFEST_NAME;
use crate::signature::{MAX_SIGNATURE_BYTES, PublicKey, SIGNATURE_NAME};
use crate::zip64::{Entries, EntryHeader, UnpackError, read_central_directory};

use listing::Signed;

pub use refusal::{Damage, Refusal};

/// An archive of which everything was verified.
pub struct SavedArchive<R> {
    entries: Entries<R>,
    contact: SavedContact,
    documents: Vec<SavedDocument>,
    /// Of each document, in their order.
    headers: Vec<EntryHeader>,
    manifest_sha256: Sha256,
}

/// The contact as it was exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedContact {
    /// Which.
    pub id: ContactId,
    /// In which version, by the manifest.
    pub version: u64,
    /// What was held.
    pub fields: ContactFields,
    /// The names of the fields whose values nobody could enter today, and `documents` if one of these could not be
    /// announced today. They are as they were.
    pub outdated: Vec<String>,
    /// When it was entered.
    pub created_at: Timestamp,
    /// When it had last changed.
    pub updated_at: Timestamp,
}

/// A document as it was exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedDocument {
    /// Which.
    pub id: DocumentId,
    /// What it was announced as.
    pub kind: DocumentKind,
    /// Its name as it was given.
    pub name: Personal<String>,
    /// Media type. Thousands of documents share a few.
    pub content_type: Arc<str>,
    /// Size in bytes.
    pub size_bytes: u64,
    /// SHA-256 of its bytes.
    pub sha256: Sha256,
    /// CRC-32 of its bytes.
    pub crc32: Crc32,
    /// When it was attached.
    pub created_at: Timestamp,
}

/// Verifies a whole archive: its bytes are read about once, from the first to the last. The manifest must be
/// signed by one of `keys`, for `tenant`.
///
/// The reader must give the same bytes to the end (for an object of S3: of one ETag).
///
/// # Errors
/// [`Refusal`]. One without a [`Refusal::reason`] is no verdict: the reader failed.
pub fn open<R: Read + Seek>(
    mut reader: R,
    keys: &[PublicKey],
    tenant: &TenantId,
) -> Result<SavedArchive<R>, Refusal> {
    let mut headers = read_central_directory(&mut reader)?;
    check_names(headers.iter().map(|header| header.name.as_str()))?;
    let mut entries = Entries::new(reader);
    let signed = check_signature(&mut entries, &headers, keys)?;
    let listing = listing::read_listing(&mut entries, &headers, (tenant, &signed))?;
    for ((number, header), listed) in (1..).zip(&headers).zip(listing.sha256s()) {
        let hashes = entries
            .read(header, number, |_| Ok(()))
            .map_err(|error| of_content(error, number))?;
        if hashes.sha256 != *listed {
            return Err(Damage::Content { number }.into());
        }
    }
    let (contact, documents) = contact::read_contact(&mut entries, &headers, listing)?;
    // Only documents are read again, and their names are not needed for that.
    headers.truncate(listing::FIRST_DOCUMENT + documents.len());
    headers.drain(..listing::FIRST_DOCUMENT);
    Ok(SavedArchive {
        entries,
        contact,
        documents,
        headers,
        manifest_sha256: signed.manifest,
    })
}

impl<R: Read + Seek> SavedArchive<R> {
    /// The contact.
    pub fn contact(&self) -> &SavedContact {
        &self.contact
    }

    /// Its documents, in the archive's order.
    pub fn documents(&self) -> &[SavedDocument] {
        &self.documents
    }

    /// The SHA-256 of the manifest: what was signed, and what tells one archive from another.
    pub fn manifest_sha256(&self) -> &Sha256 {
        &self.manifest_sha256
    }

    /// Reads the bytes of a document, by its place in [`Self::documents`], in pieces of up to 64 KiB. They
    /// are hashed again on the way: a difference is an error at the end.
    ///
    /// # Errors
    /// [`Refusal`]; without a reason when the reader or `take` failed.
    pub fn read_document(
        &mut self,
        index: usize,
        take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), Refusal> {
        let number = (listing::FIRST_DOCUMENT + index + 1) as u64;
        let (Some(header), Some(document)) = (self.headers.get(index), self.documents.get(index)) else {
            return Err(Damage::Absent { number }.into());
        };
        let hashes = self
            .entries
            .read(header, number, take)
            .map_err(|error| of_content(error, number))?;
        if hashes.sha256 == document.sha256 {
            Ok(())
        } else {
            Err(Damage::Content { number }.into())
        }
    }
}

/// Holds the last entry to be a signature by one of the keys over the bytes of the one before it; answers what is
/// signed, and by which.
fn check_signature<R: Read + Seek>(
    entries: &mut Entries<R>,
    headers: &[EntryHeader],
    keys: &[PublicKey],
) -> Result<Signed, Refusal> {
    let [.., manifest, signature] = headers else {
        return Err(Refusal::NotSigned);
    };
    if manifest.name != MANIFEST_NAME || signature.name != SIGNATURE_NAME {
        return Err(Refusal::NotSigned);
    }
    if manifest.size > MAX_MANIFEST_BYTES || signature.size > MAX_SIGNATURE_BYTES as u64 {
        return Err(Refusal::NotAuthentic);
    }
    let number = headers.len() as u64;
    let mut signed = Vec::with_capacity(MAX_SIGNATURE_BYTES);
    let take = |bytes: &[u8]| {
        signed.extend_from_slice(bytes);
        Ok(())
    };
    entries.read(signature, number, take).map_err(of_manifest)?;
    let hashes = entries
        .read(manifest, number - 1, |_| Ok(()))
        .map_err(of_manifest)?;
    let fits = |key: &&PublicKey| key.verify_digest(&hashes.sha256, &signed);
    let key = keys.iter().find(fits).ok_or(Refusal::NotAuthentic)?;
    Ok(Signed {
        manifest: hashes.sha256,
        key: key.fingerprint(),
    })
}

/// Of manifest and signature: whatever is wrong with their bytes, they were not signed.
fn of_manifest(error: UnpackError) -> Refusal {
    match error {
        UnpackError::Io(error) => Refusal::Unavailable(error),
        UnpackError::Records(error) => error.into(),
        UnpackError::Damaged => Refusal::NotAuthentic,
    }
}

/// Of what a signed manifest lists.
fn of_content(error: UnpackError, number: u64) -> Refusal {
    match error {
        UnpackError::Io(error) => Refusal::Unavailable(error),
        UnpackError::Records(error) => error.into(),
        UnpackError::Damaged => Damage::Content { number }.into(),
    }
}

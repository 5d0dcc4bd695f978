//! `manifest.json`: what the archive holds, with the hash of each entry, and what it does not hold and why.

use std::borrow::Cow;

use oubli_domain::{ContactId, DocumentId, Reason, Sha256, TenantId};
use serde::{Deserialize, Serialize, Serializer};

/// Name of the manifest in the archive; it lists every entry but itself and its signature.
pub const MANIFEST_NAME: &str = "manifest.json";
/// What `format` says.
pub const MANIFEST_FORMAT: &str = "oubli-archive";
/// The version that is written, and the latest that is read.
pub const MANIFEST_VERSION: u32 = 3;
/// The first version that was signed. Nobody can tell who wrote an earlier one, so none is restored.
pub const OLDEST_SIGNED: u32 = 2;
/// The first version that names the key that signed it.
pub const FIRST_WITH_KEY: u32 = 3;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryContent {
    /// `contact.json`.
    Contact,
    /// The JSON Schema of `contact.json`.
    ContactSchema,
    /// The page for a person to read.
    Index,
    /// A document.
    Document,
    /// A photo.
    Photo,
}

/// One entry of the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestEntry<'a> {
    /// Path in the archive.
    pub name: Cow<'a, str>,
    /// What it is.
    pub content: EntryContent,
    /// Which document, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_id: Option<Cow<'a, DocumentId>>,
    /// Size of the content in bytes.
    pub size_bytes: u64,
    /// SHA-256 of the content.
    pub sha256: Sha256,
}

/// A document that the contact has and the archive has not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MissingDocument {
    /// Which.
    pub document_id: DocumentId,
    /// Its name as it was given.
    pub name: String,
    /// Why it is not there.
    pub reason: Reason,
}

/// A manifest as it is read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`MANIFEST_FORMAT`].
    pub format: String,
    /// The version of the format.
    pub format_version: u32,
    /// The public key that verifies its signature, by the SHA-256 of its DER; from version 3 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<Sha256>,
    /// Whose contact.
    pub tenant_id: TenantId,
    /// Which contact.
    pub contact_id: ContactId,
    /// In which version.
    pub contact_version: u64,
    /// Every other entry, in the archive's order.
    pub entries: Vec<ManifestEntry<'static>>,
    /// What is missing.
    pub missing: Vec<MissingDocument>,
}

/// A manifest as it is written: its entries are made one by one, because a list of 100,000 would double the
/// memory of what it is made from.
#[derive(Serialize)]
pub(crate) struct ManifestFile<'a, E> {
    pub(crate) format: &'static str,
    pub(crate) format_version: u32,
    pub(crate) signed_by: Sha256,
    pub(crate) tenant_id: &'a TenantId,
    pub(crate) contact_id: &'a ContactId,
    pub(crate) contact_version: u64,
    pub(crate) entries: E,
    pub(crate) missing: &'a [MissingDocument],
}

/// Serialises what an iterator gives, as a list.
pub(crate) struct Each<I>(pub(crate) I);

impl<I> Serialize for Each<I>
where
    I: Iterator + Clone,
    I::Item: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.clone())
    }
}

//! The manifest of a saved archive, held against its directory while it is read.

use std::io::{BufReader, Read, Seek};

use oubli_domain::{ContactId, DocumentId, Sha256, TenantId};
use serde::Deserialize;
use serde_json::Value;

use super::refusal::{Damage, Refusal};
use crate::contact_json::{CONTACT_NAME, SCHEMA_NAME};
use crate::index_html::INDEX_NAME;
use crate::json_list::read_json_list;
use crate::layout::{DOCUMENTS_FOLDER, PHOTO_FOLDER};
use crate::manifest::{EntryContent, MANIFEST_FORMAT, ManifestEntry, MissingDocument};
use crate::zip64::{Entries, EntryHeader};

/// The entries before the documents, in their order.
const OWN: [(&str, EntryContent); 3] = [
    (CONTACT_NAME, EntryContent::Contact),
    (SCHEMA_NAME, EntryContent::ContactSchema),
    (INDEX_NAME, EntryContent::Index),
];
/// Where the documents begin.
pub(super) const FIRST_DOCUMENT: usize = OWN.len();
/// The manifest and its signature, which it does not list.
const NOT_LISTED: usize = 2;

/// What every version of a manifest says.
#[derive(Deserialize)]
struct Format {
    format: String,
    format_version: u32,
}

/// What a manifest of version 2 says beside its list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ManifestHead2 {
    #[serde(rename = "format")]
    _format: String,
    #[serde(rename = "format_version")]
    _format_version: u32,
    tenant_id: TenantId,
    contact_id: ContactId,
    contact_version: u64,
    missing: Vec<MissingDocument>,
}

/// What a manifest of version 3 says beside its list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ManifestHead3 {
    format: String,
    format_version: u32,
    signed_by: Sha256,
    tenant_id: TenantId,
    contact_id: ContactId,
    contact_version: u64,
    missing: Vec<MissingDocument>,
}

/// What is signed: the bytes of the manifest, by their SHA-256, and the key that signed them, by that of its DER.
#[derive(Clone, Copy)]
pub(super) struct Signed {
    pub(super) manifest: Sha256,
    pub(super) key: Sha256,
}

/// What a manifest says of the entries that the directory has.
pub(super) struct Listing {
    pub(super) contact_id: ContactId,
    pub(super) contact_version: u64,
    own: Vec<Sha256>,
    pub(super) documents: Vec<ListedDocument>,
}

/// A document in the manifest.
pub(super) struct ListedDocument {
    pub(super) id: DocumentId,
    pub(super) sha256: Sha256,
}

impl Listing {
    /// The SHA-256 of every entry that is listed, in the order of the archive.
    pub(super) fn sha256s(&self) -> impl Iterator<Item = &Sha256> {
        let documents = self.documents.iter().map(|document| &document.sha256);
        self.own.iter().chain(documents)
    }
}

/// Reads a manifest of which the signature fits, by the reader of its format version.
pub(super) fn read_listing<R: Read + Seek>(
    entries: &mut Entries<R>,
    headers: &[EntryHeader],
    (tenant, signed): (&TenantId, &Signed),
) -> Result<Listing, Refusal> {
    let Some((listed, [manifest, _])) = headers.split_last_chunk::<NOT_LISTED>() else {
        return Err(Refusal::NotSigned);
    };
    let headers_of = (listed, manifest);
    let format: Format = parse(entries, manifest, signed, |reader| {
        serde_json::from_reader(reader)
    })?;
    if format.format != MANIFEST_FORMAT {
        return Err(Damage::Manifest.into());
    }
    match format.format_version {
        2 => read_version_2(entries, headers_of, signed, tenant),
        3 => read_version_3(entries, headers_of, signed, tenant),
        version => Err(Refusal::OtherFormat { version }),
    }
}

/// Format 2: a head, a list of all entries before the manifest in their order, and what is missing.
fn read_version_2<R: Read + Seek>(
    entries: &mut Entries<R>,
    headers: (&[EntryHeader], &EntryHeader),
    signed: &Signed,
    tenant: &TenantId,
) -> Result<Listing, Refusal> {
    let (head, reading) = read_list(entries, headers, signed)?;
    let head: ManifestHead2 = serde_json::from_value(head).map_err(|_| Damage::Manifest)?;
    reading.finish(head, tenant)
}

/// Format 3: as format 2, and the head names the key that signed.
fn read_version_3<R: Read + Seek>(
    entries: &mut Entries<R>,
    headers: (&[EntryHeader], &EntryHeader),
    signed: &Signed,
    tenant: &TenantId,
) -> Result<Listing, Refusal> {
    let (head, reading) = read_list(entries, headers, signed)?;
    let head: ManifestHead3 = serde_json::from_value(head).map_err(|_| Damage::Manifest)?;
    if head.signed_by != signed.key {
        return Err(Refusal::NotAuthentic);
    }
    let head = ManifestHead2 {
        _format: head.format,
        _format_version: head.format_version,
        tenant_id: head.tenant_id,
        contact_id: head.contact_id,
        contact_version: head.contact_version,
        missing: head.missing,
    };
    reading.finish(head, tenant)
}

/// Reads a manifest's list while it is held against the directory; answers what stands beside the list.
fn read_list<'a, R: Read + Seek>(
    entries: &mut Entries<R>,
    (listed, manifest): (&'a [EntryHeader], &EntryHeader),
    signed: &Signed,
) -> Result<(Value, Reading<'a>), Refusal> {
    let mut reading = Reading {
        expected: listed.iter(),
        own: Vec::with_capacity(OWN.len()),
        documents: Vec::with_capacity(listed.len().saturating_sub(OWN.len())),
        consistent: true,
    };
    let head = parse(entries, manifest, signed, |reader| {
        read_json_list(reader, "entries", |entry| reading.take(entry))
    })?;
    Ok((Value::Object(head), reading))
}

fn parse<R: Read + Seek, T>(
    entries: &mut Entries<R>,
    manifest: &EntryHeader,
    signed: &Signed,
    read: impl FnOnce(&mut dyn Read) -> serde_json::Result<T>,
) -> Result<T, Refusal> {
    let mut content = entries.open(manifest).map_err(super::of_manifest)?;
    let parsed = read(&mut BufReader::new(&mut content));
    // The very bytes of which the signature was checked.
    if content.finish().map_err(super::of_manifest)?.sha256 != signed.manifest {
        return Err(Damage::Manifest.into());
    }
    Ok(parsed.map_err(|_| Damage::Manifest)?)
}

struct Reading<'a> {
    expected: std::slice::Iter<'a, EntryHeader>,
    own: Vec<Sha256>,
    documents: Vec<ListedDocument>,
    consistent: bool,
}

impl Reading<'_> {
    fn take(&mut self, entry: ManifestEntry<'static>) {
        // The first contradiction is enough: no more is kept than the directory has entries.
        self.consistent = self.consistent && self.keep(entry);
    }

    /// The listing, if it is of this tenant, and the directory has just the entries that it lists.
    fn finish(mut self, head: ManifestHead2, tenant: &TenantId) -> Result<Listing, Refusal> {
        if head.tenant_id != *tenant {
            return Err(Refusal::Foreign);
        }
        if !head.missing.is_empty() {
            return Err(Damage::Incomplete.into());
        }
        if !self.consistent || self.own.len() < OWN.len() || self.expected.next().is_some() {
            return Err(Damage::Listing.into());
        }
        Ok(Listing {
            contact_id: head.contact_id,
            contact_version: head.contact_version,
            own: self.own,
            documents: self.documents,
        })
    }

    fn keep(&mut self, entry: ManifestEntry<'static>) -> bool {
        let Some(header) = self.expected.next() else {
            return false;
        };
        if header.name != entry.name || header.size != entry.size_bytes {
            return false;
        }
        if let Some((name, content)) = OWN.get(self.own.len()) {
            self.own.push(entry.sha256);
            return entry.name == *name && entry.content == *content && entry.document_id.is_none();
        }
        let folder = match entry.content {
            EntryContent::Document => DOCUMENTS_FOLDER,
            EntryContent::Photo => PHOTO_FOLDER,
            EntryContent::Contact | EntryContent::ContactSchema | EntryContent::Index => return false,
        };
        let Some(id) = entry.document_id else {
            return false;
        };
        self.documents.push(ListedDocument {
            id: id.into_owned(),
            sha256: entry.sha256,
        });
        entry
            .name
            .split_once('/')
            .is_some_and(|(first, _)| first == folder)
    }
}

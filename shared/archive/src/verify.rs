//! Offline verification: is this file an archive as Oubli wrote it, whole and unchanged?
//!
//! The records are checked first ([`read_directory`]), then the names, then, with a key, the signature, then
//! the manifest, and every content against it. Nothing is unpacked; memory does not depend on the size of
//! the contents.

use std::collections::HashMap;
use std::io::{Read, Seek};

use oubli_domain::Sha256;
use zip::ZipArchive;

use crate::hashes::{ContentHasher, ContentHashes};
use crate::layout::{LayoutError, MAX_MANIFEST_BYTES, check_names};
use crate::manifest::{
    FIRST_WITH_KEY, MANIFEST_FORMAT, MANIFEST_NAME, MANIFEST_VERSION, Manifest, ManifestEntry,
};
use crate::signature::{MAX_SIGNATURE_BYTES, PublicKey, SIGNATURE_NAME};
use crate::zip64::{DirectoryEntry, DirectoryError, read_directory};

const CHUNK_BYTES: usize = 64 * 1024;

/// Why a file is refused before its contents are looked at. Entries are told by their number, from 1.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The records of the ZIP.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The names of the entries.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The last entry, the signature apart, is not the manifest.
    #[error("the archive does not end in `{MANIFEST_NAME}`")]
    NoManifest,
    /// A manifest names its key since version 3, and this one does not.
    #[error("`{MANIFEST_NAME}` does not name the key that signed it")]
    NoKeyNamed,
    /// There is no signature to check.
    #[error("the archive is not signed")]
    NotSigned,
    /// The signature is not one of the given keys' over this manifest.
    #[error("the archive is not authentic: its signature does not fit the manifest and any of the keys")]
    NotAuthentic,
    /// The manifest is damaged, or of another kind.
    #[error("`{MANIFEST_NAME}` is not a manifest that can be read: {reason}")]
    WrongManifest {
        /// Why not.
        reason: String,
    },
    /// The manifest is of a later format.
    #[error("the archive has format version {version}; this program reads up to {MANIFEST_VERSION}")]
    NewerFormat {
        /// Its version.
        version: u32,
    },
    /// The manifest lists the same name twice.
    #[error("`{MANIFEST_NAME}` lists a name twice")]
    DuplicateListing,
    /// The second reader does not agree with the first.
    #[error("the archive cannot be read as a ZIP: {reason}")]
    Unreadable {
        /// What the reader said.
        reason: String,
    },
}

/// What is wrong with one entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryFault {
    /// The manifest does not know it.
    #[error("is not in the manifest")]
    NotListed,
    /// The manifest says another size.
    #[error("has {actual} bytes, the manifest says {listed}")]
    Size {
        /// What the manifest says.
        listed: u64,
        /// What it has, as far as it was read.
        actual: u64,
    },
    /// The manifest says another SHA-256.
    #[error("is not what the manifest says: its SHA-256 differs")]
    Hash,
    /// It does not unpack to what its records say.
    #[error("is damaged: it does not unpack to what its records say")]
    Damaged,
    /// The manifest lists it and the archive has it not.
    #[error("is in the manifest and not in the archive")]
    Absent,
}

/// The verdict on one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryVerdict<'a> {
    /// Its name. Safe for a terminal only if it is not [`EntryFault::Absent`].
    pub name: &'a str,
    /// Size of its content.
    pub size_bytes: u64,
    /// What is wrong, if anything is.
    pub fault: Option<EntryFault>,
}

/// The verdict on the whole.
#[derive(Clone, Debug)]
pub struct Verification {
    /// How many entries were looked at, those that are absent included.
    pub entries: u64,
    /// How many of them are not as they should be.
    pub faults: u64,
    /// What is known of who wrote it.
    pub origin: Origin,
    /// What the archive says of itself.
    pub manifest: Manifest,
}

/// Who wrote an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody signed it: anybody may have written it.
    Unsigned,
    /// It has a signature that was not checked, for want of a key.
    Unchecked,
    /// One of the given keys signed its manifest.
    Authentic,
}

/// Verifies an archive and reports every entry as soon as it was read. With `keys` its manifest must be
/// signed by one of them; without, only that it is whole and unchanged is told.
///
/// # Errors
/// [`VerifyError`] when the file as a whole is refused; its contents are not looked at then.
pub fn verify(
    mut reader: impl Read + Seek,
    keys: &[PublicKey],
    mut report: impl FnMut(&EntryVerdict<'_>),
) -> Result<Verification, VerifyError> {
    let directory = read_directory(&mut reader)?;
    check_names(directory.iter().map(|entry| entry.name.as_str()))?;
    let mut archive = ZipArchive::new(reader).map_err(unreadable)?;
    if archive.len() != directory.len() {
        return Err(VerifyError::Unreadable {
            reason: "it has another number of entries".into(),
        });
    }
    let ends = Ends::of(&directory)?;
    let (origin, signed_by) = origin(&mut archive, &ends, keys)?;
    let manifest = read_manifest(&mut archive, &ends)?;
    if manifest.format_version >= FIRST_WITH_KEY {
        let named = manifest.signed_by.ok_or(VerifyError::NoKeyNamed)?;
        if signed_by.is_some_and(|key| key != named) {
            return Err(VerifyError::NotAuthentic);
        }
    }
    let mut listed: HashMap<&str, &ManifestEntry<'_>> = HashMap::with_capacity(manifest.entries.len());
    for entry in &manifest.entries {
        if listed.insert(&entry.name, entry).is_some() {
            return Err(VerifyError::DuplicateListing);
        }
    }

    let (mut entries, mut faults) = (0, 0);
    let mut tell = |name: &str, size_bytes, fault: Option<EntryFault>| {
        entries += 1;
        faults += u64::from(fault.is_some());
        report(&EntryVerdict {
            name,
            size_bytes,
            fault,
        });
    };
    for (index, entry) in directory.iter().enumerate() {
        let content = read_content(&mut archive, index, entry);
        let fault = match (content, listed.remove(entry.name.as_str())) {
            (None, _) => Some(EntryFault::Damaged),
            (Some(_), None) if matches!(entry.name.as_str(), MANIFEST_NAME | SIGNATURE_NAME) => None,
            (Some(_), None) => Some(EntryFault::NotListed),
            (Some(content), Some(listed)) => compare(&content, listed),
        };
        tell(&entry.name, entry.size_bytes, fault);
    }
    for entry in manifest
        .entries
        .iter()
        .filter(|entry| listed.contains_key(entry.name.as_ref()))
    {
        tell(&entry.name, entry.size_bytes, Some(EntryFault::Absent));
    }
    Ok(Verification {
        entries,
        faults,
        origin,
        manifest,
    })
}

fn compare(content: &ContentHashes, listed: &ManifestEntry<'_>) -> Option<EntryFault> {
    if content.size_bytes != listed.size_bytes {
        return Some(EntryFault::Size {
            listed: listed.size_bytes,
            actual: content.size_bytes,
        });
    }
    (content.sha256 != listed.sha256).then_some(EntryFault::Hash)
}

/// The last entries: the manifest, and behind it the signature, if there is one.
struct Ends<'a> {
    manifest: (usize, &'a DirectoryEntry),
    signature: Option<(usize, &'a DirectoryEntry)>,
}

impl<'a> Ends<'a> {
    fn of(directory: &'a [DirectoryEntry]) -> Result<Self, VerifyError> {
        let mut last = directory.iter().enumerate().rev().peekable();
        let signature = last.next_if(|(_, entry)| entry.name == SIGNATURE_NAME);
        let manifest = last.next().filter(|(_, entry)| entry.name == MANIFEST_NAME);
        Ok(Self {
            manifest: manifest.ok_or(VerifyError::NoManifest)?,
            signature,
        })
    }
}

/// Judges the signature over the bytes of the manifest, before anybody looks into them. Answers also which of the
/// keys made it, by the SHA-256 of its DER.
fn origin<R: Read + Seek>(
    archive: &mut ZipArchive<R>,
    ends: &Ends<'_>,
    keys: &[PublicKey],
) -> Result<(Origin, Option<Sha256>), VerifyError> {
    let Some((index, entry)) = ends.signature else {
        return if keys.is_empty() {
            Ok((Origin::Unsigned, None))
        } else {
            Err(VerifyError::NotSigned)
        };
    };
    if keys.is_empty() {
        return Ok((Origin::Unchecked, None));
    }
    if entry.size_bytes > MAX_SIGNATURE_BYTES as u64 {
        return Err(VerifyError::NotAuthentic);
    }
    let mut signature = Vec::new();
    let file = archive.by_index(index).map_err(unreadable)?;
    let whole = file.take(entry.size_bytes + 1).read_to_end(&mut signature);
    let (index, entry) = ends.manifest;
    let manifest = read_content(archive, index, entry);
    let (Some(manifest), Ok(_)) = (manifest, whole) else {
        return Err(VerifyError::NotAuthentic);
    };
    let key = keys
        .iter()
        .find(|key| key.verify_digest(&manifest.sha256, &signature))
        .ok_or(VerifyError::NotAuthentic)?;
    Ok((Origin::Authentic, Some(key.fingerprint())))
}

fn read_manifest<R: Read + Seek>(
    archive: &mut ZipArchive<R>,
    ends: &Ends<'_>,
) -> Result<Manifest, VerifyError> {
    let (index, entry) = ends.manifest;
    let wrong = |reason: &str| VerifyError::WrongManifest {
        reason: reason.into(),
    };
    if entry.size_bytes > MAX_MANIFEST_BYTES {
        return Err(wrong("it is too large"));
    }
    let mut text = Vec::new();
    let file = archive.by_index(index).map_err(unreadable)?;
    file.take(entry.size_bytes + 1)
        .read_to_end(&mut text)
        .map_err(|_| wrong("it is damaged"))?;
    if text.len() as u64 != entry.size_bytes {
        return Err(wrong("it is damaged"));
    }
    #[derive(serde::Deserialize)]
    struct Format {
        format: String,
        format_version: u32,
    }
    let parse_error = |error: serde_json::Error| VerifyError::WrongManifest {
        reason: error.to_string(),
    };
    let format: Format = serde_json::from_slice(&text).map_err(parse_error)?;
    if format.format != MANIFEST_FORMAT {
        return Err(wrong("it is of another format"));
    }
    if format.format_version > MANIFEST_VERSION {
        return Err(VerifyError::NewerFormat {
            version: format.format_version,
        });
    }
    serde_json::from_slice(&text).map_err(parse_error)
}

/// Reads a content to its end; `None` when it is not what its records say.
fn read_content<R: Read + Seek>(
    archive: &mut ZipArchive<R>,
    index: usize,
    entry: &DirectoryEntry,
) -> Option<ContentHashes> {
    let mut file = archive.by_index(index).ok()?;
    let mut hasher = ContentHasher::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = file.read(&mut chunk).ok()?;
        if read == 0 {
            break;
        }
        hasher.update(chunk.get(..read)?);
        // A bomb says a small size: what goes beyond it is not read.
        if hasher.size_bytes() > entry.size_bytes {
            return None;
        }
    }
    let hashes = hasher.finish();
    (hashes.size_bytes == entry.size_bytes && hashes.crc32.value() == entry.crc32).then_some(hashes)
}

fn unreadable(error: zip::result::ZipError) -> VerifyError {
    VerifyError::Unreadable {
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests;

//! Writing a planned archive, one document after the other.

use std::borrow::Cow;
use std::io::{self, BufWriter, Write};

use bytes::Bytes;
use oubli_domain::{DocumentId, Reason, Sha256};

use super::{ArchivePlan, PlannedDocument};
use crate::contact_json::{CONTACT_NAME, MAX_CONTACT_BYTES, SCHEMA, SCHEMA_NAME, contact_file};
use crate::hashes::{ContentHasher, ContentHashes};
use crate::index_html::{INDEX_NAME, write_index};
use crate::manifest::{
    Each, EntryContent, MANIFEST_FORMAT, MANIFEST_NAME, MANIFEST_VERSION, ManifestEntry, ManifestFile,
};
use crate::signature::{MAX_SIGNATURE_BYTES, PublicKey, SIGNATURE_NAME};
use crate::zip64::{ArchiveSummary, ArchiveWriter, DosTime, EntryPlan, TRIAL_BYTES, ZipError};

/// Why an archive cannot be completed. Nothing more can be taken from the build.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The bytes of a document are not those that were stored: another size, CRC-32 or SHA-256.
    #[error("document {document_id} is not what was stored")]
    DocumentMismatch {
        /// Which.
        document_id: DocumentId,
    },
    /// The calls came in another order than start, write, finish for each document.
    #[error("the archive build was called out of order")]
    OutOfOrder,
    /// A file of our own could not be rendered.
    #[error("`{name}` could not be rendered")]
    Render {
        /// Which.
        name: &'static str,
        /// Why.
        source: io::Error,
    },
    /// What is said of the contact and its documents is more than a restore would read.
    #[error("`{CONTACT_NAME}` has {size_bytes} bytes, and may have {MAX_CONTACT_BYTES}")]
    ContactTooLong {
        /// How long it is.
        size_bytes: u64,
    },
    /// The signature is none.
    #[error("a signature has 1 to {MAX_SIGNATURE_BYTES} bytes, not {size_bytes}")]
    WrongSignature {
        /// How long it is.
        size_bytes: usize,
    },
    /// The writer refused.
    #[error(transparent)]
    Zip(#[from] ZipError),
}

impl BuildError {
    /// What the contact's item says of it; `None` for what is a fault of the program.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::DocumentMismatch { .. } => Some(Reason::DocumentUnreadable),
            Self::ContactTooLong { .. }
            | Self::Zip(ZipError::ArchiveTooLarge { .. } | ZipError::TooManyEntries { .. }) => {
                Some(Reason::ArchiveTooLarge)
            }
            Self::OutOfOrder | Self::Render { .. } | Self::WrongSignature { .. } | Self::Zip(_) => None,
        }
    }
}

/// Whether a document could be begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum DocumentStart {
    /// It was, and its head is written.
    Started,
    /// Nothing happened: its CRC-32 is needed first. Read it once through a [`ContentHasher`], hand the
    /// result to [`ArchiveBuild::learn`], and start it again.
    CrcNeeded,
}

/// What is known of a document once it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentHashes {
    /// Which.
    pub document_id: DocumentId,
    /// Size and hashes.
    pub hashes: ContentHashes,
    /// At least one of them was not known before this build: worth keeping with the document.
    pub learned: bool,
}

/// One archive being written.
///
/// ```text
/// new → (start_document → write* → finish_document)* → finish_manifest → finish
/// ```
///
/// with [`Self::take_part`] whenever the caller likes, and until it gives `None` after `finish`.
pub struct ArchiveBuild {
    plan: ArchivePlan,
    writer: ArchiveWriter,
    own: Vec<ManifestEntry<'static>>,
    next: usize,
    open: bool,
    learned: bool,
    manifest_written: bool,
}

impl ArchiveBuild {
    /// Begins the archive with the files of our own.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn new(plan: ArchivePlan, part_size_bytes: usize) -> Result<Self, BuildError> {
        let mut writer = ArchiveWriter::new(part_size_bytes);
        let modified = DosTime::from_timestamp(plan.contact.updated_at);
        let mut own = Vec::with_capacity(3);
        let mut add = |name: &'static str, content, render: &dyn Fn(&mut dyn Write) -> io::Result<()>| {
            let hashes = write_rendered(&mut writer, name, modified, render)?;
            own.push(ManifestEntry {
                name: Cow::Borrowed(name),
                content,
                document_id: None,
                size_bytes: hashes.size_bytes,
                sha256: hashes.sha256,
            });
            Ok::<_, BuildError>(hashes)
        };
        let contact = add(CONTACT_NAME, EntryContent::Contact, &|out| {
            write_json(out, &contact_file(&plan.contact, &plan.documents))
        })?;
        if contact.size_bytes > MAX_CONTACT_BYTES {
            return Err(BuildError::ContactTooLong {
                size_bytes: contact.size_bytes,
            });
        }
        add(SCHEMA_NAME, EntryContent::ContactSchema, &|out| {
            out.write_all(SCHEMA.as_bytes())
        })?;
        add(INDEX_NAME, EntryContent::Index, &|out| {
            write_index(out, &plan.contact, &plan.documents, plan.language)
        })?;
        Ok(Self {
            plan,
            writer,
            own,
            next: 0,
            open: false,
            learned: false,
            manifest_written: false,
        })
    }

    /// Every document of the plan, for reading ahead.
    pub fn documents(&self) -> &[PlannedDocument] {
        self.plan.documents()
    }

    /// The document whose turn it is: started, or to be started next. `None` when all are written.
    pub fn current(&self) -> Option<&PlannedDocument> {
        self.plan.documents.get(self.next)
    }

    /// Begins the current document with the beginning of its bytes: [`TRIAL_BYTES`] or more, or all of it.
    ///
    /// # Errors
    /// [`BuildError`] ends the archive; [`DocumentStart::CrcNeeded`] is no error.
    pub fn start_document(&mut self, head: &[u8]) -> Result<DocumentStart, BuildError> {
        let document = self.plan.documents.get(self.next).filter(|_| !self.open);
        let Some(document) = document else {
            self.writer.abandon();
            return Err(BuildError::OutOfOrder);
        };
        match self
            .writer
            .start_entry(&document.entry_plan(&document.entry_name()), head)
        {
            Ok(()) => {
                self.open = true;
                Ok(DocumentStart::Started)
            }
            Err(ZipError::CrcNeeded { .. }) => Ok(DocumentStart::CrcNeeded),
            Err(error) => Err(self.of_document(error)),
        }
    }

    /// Takes what a first reading found out about the current document.
    ///
    /// # Errors
    /// [`BuildError::DocumentMismatch`] when that is not what was stored.
    pub fn learn(&mut self, hashes: &ContentHashes) -> Result<(), BuildError> {
        let open = self.open;
        let Some(document) = self.plan.documents.get_mut(self.next).filter(|_| !open) else {
            self.writer.abandon();
            return Err(BuildError::OutOfOrder);
        };
        if !agrees(document, hashes) {
            return Err(self.of_document(ZipError::CrcMismatch));
        }
        self.learned = document.crc32.is_none() || document.sha256.is_none();
        document.crc32 = Some(hashes.crc32);
        document.sha256 = Some(hashes.sha256);
        Ok(())
    }

    /// Writes the next bytes of the document.
    ///
    /// # Errors
    /// [`BuildError`] ends the archive.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), BuildError> {
        self.writer.write(bytes).map_err(|error| self.of_document(error))
    }

    /// Ends the document: its size and the hashes that were known must be those of its bytes.
    ///
    /// # Errors
    /// [`BuildError`] ends the archive.
    pub fn finish_document(&mut self) -> Result<DocumentHashes, BuildError> {
        let record = self
            .writer
            .finish_entry()
            .map_err(|error| self.of_document(error))?;
        let hashes = ContentHashes {
            size_bytes: record.size_bytes,
            crc32: record.crc32,
            sha256: record.sha256,
        };
        let Some(document) = self.plan.documents.get_mut(self.next) else {
            self.writer.abandon();
            return Err(BuildError::OutOfOrder);
        };
        if !agrees(document, &hashes) {
            return Err(self.of_document(ZipError::CrcMismatch));
        }
        let learned = self.learned || document.crc32.is_none() || document.sha256.is_none();
        document.crc32 = Some(hashes.crc32);
        document.sha256 = Some(hashes.sha256);
        let document_id = document.id.clone();
        self.next += 1;
        self.open = false;
        self.learned = false;
        Ok(DocumentHashes {
            document_id,
            hashes,
            learned,
        })
    }

    /// Writes the manifest, which names the key that is to sign it, and gives its SHA-256: what is to be signed.
    ///
    /// # Errors
    /// [`BuildError`], also when a document is not written yet.
    pub fn finish_manifest(&mut self, key: &PublicKey) -> Result<Sha256, BuildError> {
        let hashes: Option<Vec<Sha256>> = self
            .plan
            .documents
            .iter()
            .map(|document| document.sha256)
            .collect();
        let Some(hashes) =
            hashes.filter(|_| self.current().is_none() && !self.open && !self.manifest_written)
        else {
            self.writer.abandon();
            return Err(BuildError::OutOfOrder);
        };
        let documents = self
            .plan
            .documents
            .iter()
            .zip(hashes.iter())
            .map(|(document, sha256)| ManifestEntry {
                name: Cow::Owned(document.entry_name()),
                content: document.content,
                document_id: Some(Cow::Borrowed(&document.id)),
                size_bytes: document.size_bytes,
                sha256: *sha256,
            });
        let manifest = ManifestFile {
            format: MANIFEST_FORMAT,
            format_version: MANIFEST_VERSION,
            signed_by: key.fingerprint(),
            tenant_id: &self.plan.contact.tenant_id,
            contact_id: &self.plan.contact.id,
            contact_version: self.plan.contact.version,
            entries: Each(self.own.iter().cloned().chain(documents)),
            // A document that cannot be read fails the whole archive.
            missing: &[],
        };
        let modified = DosTime::from_timestamp(self.plan.contact.updated_at);
        let written = write_rendered(&mut self.writer, MANIFEST_NAME, modified, &|out| {
            write_json(out, &manifest)
        })?;
        self.manifest_written = true;
        Ok(written.sha256)
    }

    /// Adds the signature over the manifest (DER) and ends the archive.
    ///
    /// # Errors
    /// [`BuildError`], also when the manifest is not written yet.
    pub fn finish(&mut self, signature: &[u8]) -> Result<ArchiveSummary, BuildError> {
        if !self.manifest_written {
            self.writer.abandon();
            return Err(BuildError::OutOfOrder);
        }
        if signature.is_empty() || signature.len() > MAX_SIGNATURE_BYTES {
            self.writer.abandon();
            return Err(BuildError::WrongSignature {
                size_bytes: signature.len(),
            });
        }
        let plan = EntryPlan {
            name: SIGNATURE_NAME,
            size_bytes: signature.len() as u64,
            crc32: None,
            modified: DosTime::from_timestamp(self.plan.contact.updated_at),
        };
        self.writer.start_entry(&plan, signature)?;
        self.writer.finish_entry()?;
        Ok(self.writer.finish()?)
    }

    /// The next part of the archive, as [`ArchiveWriter::take_part`].
    ///
    /// # Errors
    /// [`BuildError`] after any error.
    pub fn take_part(&mut self) -> Result<Option<Bytes>, BuildError> {
        Ok(self.writer.take_part()?)
    }

    /// Ends the archive over the current document; what the writer says of its bytes names the document.
    fn of_document(&mut self, error: ZipError) -> BuildError {
        self.writer.abandon();
        match (error, self.current()) {
            // A head that is too short is all that there was.
            (
                ZipError::SizeMismatch { .. } | ZipError::CrcMismatch | ZipError::HeadTooShort { .. },
                Some(document),
            ) => BuildError::DocumentMismatch {
                document_id: document.id.clone(),
            },
            (error, _) => BuildError::Zip(error),
        }
    }
}

fn agrees(document: &PlannedDocument, hashes: &ContentHashes) -> bool {
    document.size_bytes == hashes.size_bytes
        && document.crc32.is_none_or(|crc32| crc32 == hashes.crc32)
        && document.sha256.is_none_or(|sha256| sha256 == hashes.sha256)
}

fn write_json(out: &mut dyn Write, value: &impl serde::Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    out.write_all(b"\n")
}

/// Renders twice: once to know size, hashes and head, once to write. With 100,000 documents a rendered file
/// is 30 MB, which need not be in memory.
fn write_rendered(
    writer: &mut ArchiveWriter,
    name: &'static str,
    modified: DosTime,
    render: &dyn Fn(&mut dyn Write) -> io::Result<()>,
) -> Result<ContentHashes, BuildError> {
    let mut rehearsal = BufWriter::with_capacity(TRIAL_BYTES, Rehearsal::default());
    render(&mut rehearsal).map_err(|source| BuildError::Render { name, source })?;
    let Rehearsal { hasher, head } = rehearsal.into_inner().map_err(|error| BuildError::Render {
        name,
        source: error.into_error(),
    })?;
    let hashes = hasher.finish();
    let plan = EntryPlan {
        name,
        size_bytes: hashes.size_bytes,
        crc32: Some(hashes.crc32),
        modified,
    };
    writer.start_entry(&plan, &head)?;
    let entry = EntryTail {
        writer,
        skip: head.len(),
        refused: None,
    };
    let mut entry = BufWriter::with_capacity(TRIAL_BYTES, entry);
    let rendered = render(&mut entry).and_then(|()| entry.flush());
    if let Some(refused) = entry.get_ref().refused {
        return Err(refused.into());
    }
    rendered.map_err(|source| BuildError::Render { name, source })?;
    drop(entry);
    writer.finish_entry()?;
    Ok(hashes)
}

#[derive(Default)]
struct Rehearsal {
    hasher: ContentHasher,
    head: Vec<u8>,
}

impl Write for Rehearsal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        let room = TRIAL_BYTES - self.head.len();
        self.head.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The open entry behind its head, which is written already.
struct EntryTail<'a> {
    writer: &'a mut ArchiveWriter,
    skip: usize,
    refused: Option<ZipError>,
}

impl Write for EntryTail<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        self.writer
            .write(bytes.get(skipped..).unwrap_or_default())
            .map_err(|error| {
                self.refused = Some(error);
                io::Error::other(error)
            })?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

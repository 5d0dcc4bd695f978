//! Why a saved archive is refused.

use std::io;

use oubli_domain::Reason;

use crate::contact_json::CONTACT_NAME;
use crate::layout::LayoutError;
use crate::manifest::{MANIFEST_NAME, MANIFEST_VERSION, OLDEST_SIGNED};
use crate::zip64::{DirectoryError, MAX_ENTRIES};

/// Why an archive is not restored from. Nothing here names a person.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The reader failed, or who took a document's bytes: no verdict on the archive.
    #[error("the archive could not be read to its end")]
    Unavailable(#[source] io::Error),
    /// The records of the ZIP.
    #[error(transparent)]
    Records(DirectoryError),
    /// The names of the entries.
    #[error(transparent)]
    Names(#[from] LayoutError),
    /// There is no signature.
    #[error("the archive does not end in a manifest and its signature")]
    NotSigned,
    /// The signature is not one of the keys' over this manifest.
    #[error("the signature does not fit the manifest and any of the keys")]
    NotAuthentic,
    /// The manifest is of a format that no reader is for.
    #[error(
        "the archive has format version {version}; a restore reads {OLDEST_SIGNED} to {MANIFEST_VERSION}"
    )]
    OtherFormat {
        /// Its version.
        version: u32,
    },
    /// It was written for another tenant.
    #[error("the archive belongs to another tenant")]
    Foreign,
    /// It is authentic, and not what was written.
    #[error(transparent)]
    Damaged(#[from] Damage),
}

/// How an archive differs from what its signed manifest says. Entries are told by their number, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The manifest does not have the shape of one.
    #[error("`{MANIFEST_NAME}` is not a manifest that can be read")]
    Manifest,
    /// The manifest lists other entries than there are.
    #[error("`{MANIFEST_NAME}` lists other entries than the archive has, or in another order")]
    Listing,
    /// The manifest says that documents are missing.
    #[error("the archive does not hold all the documents")]
    Incomplete,
    /// A content is not the one that the manifest lists.
    #[error("entry {number} is not what the manifest says")]
    Content {
        /// Which entry.
        number: u64,
    },
    /// There is no such document.
    #[error("there is no entry {number} for a document")]
    Absent {
        /// Which entry.
        number: u64,
    },
    /// The contact is not one that could be put back.
    #[error("`{CONTACT_NAME}` does not describe a contact and the documents of the manifest")]
    Contact,
}

impl Refusal {
    /// What the item says of it; `None` when that is no verdict, and the work is to be tried again.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Unavailable(_) => None,
            Self::Records(DirectoryError::TooLarge) => Some(Reason::ArchiveTooLarge),
            Self::Records(DirectoryError::TooManyEntries { entries, .. }) if *entries > MAX_ENTRIES => {
                Some(Reason::ArchiveTooLarge)
            }
            Self::OtherFormat { version } if *version > MANIFEST_VERSION => {
                Some(Reason::ArchiveFormatUnknown)
            }
            Self::Records(_) | Self::Names(_) | Self::OtherFormat { .. } => Some(Reason::ArchiveUnreadable),
            Self::NotSigned | Self::NotAuthentic => Some(Reason::ArchiveNotAuthentic),
            Self::Foreign => Some(Reason::ArchiveForeign),
            Self::Damaged(_) => Some(Reason::ArchiveDamaged),
        }
    }
}

impl From<DirectoryError> for Refusal {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Io(error) => Self::Unavailable(error),
            error => Self::Records(error),
        }
    }
}

//! Which entries an archive has, and under which names: what its readers hold against a file of unknown
//! origin.

use std::collections::HashSet;

use crate::contact_json::{CONTACT_NAME, SCHEMA_NAME};
use crate::index_html::INDEX_NAME;
use crate::manifest::MANIFEST_NAME;
use crate::names::{fold_key, is_safe_name};
use crate::signature::SIGNATURE_NAME;

/// The folder of documents.
pub(crate) const DOCUMENTS_FOLDER: &str = "documents";
/// The folder of photos.
pub(crate) const PHOTO_FOLDER: &str = "photo";
/// The longest manifest that is read: 100,000 entries with the longest names and ids are 40 MB.
pub(crate) const MAX_MANIFEST_BYTES: u64 = 64 * 1024 * 1024;

/// Why the names of the entries are refused. Entries are told by their number, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// A name that would be unpacked elsewhere, or that no system takes.
    #[error("entry {number} has a name that is not safe to unpack")]
    UnsafeName {
        /// Which entry.
        number: usize,
    },
    /// Two entries of the same name.
    #[error("entry {number} has the name of an earlier one")]
    DuplicateName {
        /// The later one.
        number: usize,
    },
    /// Two entries that would be one file on some systems.
    #[error("entry {number} has a name that differs from an earlier one only in case or accents")]
    AlikeName {
        /// The later one.
        number: usize,
    },
}

/// Holds every name to be one that [`crate::contents`] gives, and no two to be alike.
pub(crate) fn check_names<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Result<(), LayoutError> {
    // Folded names by their hash: 100,000 names are 10 MB, their hashes 3.
    let mut taken = HashSet::new();
    for (number, name) in (1..).zip(names.clone()) {
        let safe = match name.split_once('/') {
            None => matches!(
                name,
                CONTACT_NAME | SCHEMA_NAME | INDEX_NAME | MANIFEST_NAME | SIGNATURE_NAME
            ),
            Some((folder, name)) => matches!(folder, DOCUMENTS_FOLDER | PHOTO_FOLDER) && is_safe_name(name),
        };
        if !safe {
            return Err(LayoutError::UnsafeName { number });
        }
        if !taken.insert(fold_key(name)) {
            return Err(if names.clone().take(number - 1).any(|earlier| earlier == name) {
                LayoutError::DuplicateName { number }
            } else {
                LayoutError::AlikeName { number }
            });
        }
    }
    Ok(())
}

//! All keys and their aliases, and the file that keeps them.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::KmsError;
use super::error::ApiError;
use super::key::{Key, StoredKey};

/// The format that is written, and the newest that is read. Format 1 knew keys that sign alone.
const FORMAT: u32 = 2;
/// Read and written by the owner, by nobody else.
const OWNER_ONLY: u32 = 0o600;

/// The file.
#[derive(Deserialize, Serialize)]
struct Kept {
    keys_format: u32,
    keys: Vec<StoredKey>,
    aliases: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Format {
    keys_format: u32,
}

/// All keys.
pub(super) struct Store {
    keys: BTreeMap<String, Key>,
    /// `alias/NAME` → the key's id.
    aliases: BTreeMap<String, String>,
    path: Option<PathBuf>,
}

impl Store {
    pub(super) fn in_memory() -> Self {
        Self {
            keys: BTreeMap::new(),
            aliases: BTreeMap::new(),
            path: None,
        }
    }

    pub(super) fn open(path: &Path) -> Result<Self, KmsError> {
        let mut store = Self::in_memory();
        store.path = Some(path.to_owned());
        let damaged = || KmsError::Damaged {
            path: path.to_owned(),
        };
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(store),
            Err(error) => {
                let path = path.to_owned();
                return Err(KmsError::Io { path, error });
            }
        };
        let format: Format = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
        if format.keys_format > FORMAT {
            return Err(KmsError::NewerFormat {
                path: path.to_owned(),
                found: format.keys_format,
                known: FORMAT,
            });
        }
        let kept: Kept = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
        for stored in kept.keys {
            let key = Key::of(stored).ok_or_else(damaged)?;
            store.keys.insert(key.stored.id.clone(), key);
        }
        if kept.aliases.values().any(|id| !store.keys.contains_key(id)) {
            return Err(damaged());
        }
        store.aliases = kept.aliases;
        Ok(store)
    }

    /// The key of this id.
    pub(super) fn key(&self, id: &str) -> Option<&Key> {
        self.keys.get(id)
    }

    /// The key that an alias, with its prefix, stands for.
    pub(super) fn aliased(&self, alias: &str) -> Option<&Key> {
        self.keys.get(self.aliases.get(alias)?)
    }

    /// Keeps a new key.
    pub(super) fn add(&mut self, key: Key) -> Result<(), ApiError> {
        let id = key.stored.id.clone();
        self.keys.insert(id.clone(), key);
        self.keep().inspect_err(|_| {
            self.keys.remove(&id);
        })
    }

    /// Keeps a new name of a key that is there.
    pub(super) fn name(&mut self, alias: &str, id: &str) -> Result<(), ApiError> {
        self.aliases.insert(alias.to_owned(), id.to_owned());
        self.keep().inspect_err(|_| {
            self.aliases.remove(alias);
        })
    }

    /// Replaces the file whole.
    fn keep(&self) -> Result<(), ApiError> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let kept = Kept {
            keys_format: FORMAT,
            keys: self.keys.values().map(|key| key.stored.clone()).collect(),
            aliases: self.aliases.clone(),
        };
        write(path, &kept).map_err(|error| {
            tracing::error!(%error, path = %path.display(), "the keys cannot be kept");
            ApiError::internal("the keys cannot be kept")
        })
    }
}

fn write(path: &Path, kept: &Kept) -> io::Result<()> {
    let draft = path.with_extension("draft");
    // A draft that a killed process left keeps its rights: only one that is made here has ours.
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(OWNER_ONLY)
        .open(&draft)?;
    file.write_all(&serde_json::to_vec_pretty(kept).map_err(io::Error::other)?)?;
    file.sync_all()?;
    std::fs::rename(&draft, path)
}

//! KMS, for the calls that Oubli makes: keys that sign with ECDSA on P-256, with their public keys, keys that
//! authenticate with HMAC-SHA-256, and the aliases of both.
//!
//! A key is made by the engine, kept in a file that its owner alone can read, and never given out: what
//! leaves is a signature, an authentication code or a public key, as with the service.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::EngineClock;
use crate::endpoint::{Answer, text_answer};

mod error;
mod key;
mod operations;
mod store;
mod wire;

use store::Store;

/// Why the keys could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum KmsError {
    /// The file cannot be read or written.
    #[error("the keys in `{path}` cannot be kept: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The file holds what is no key.
    #[error("the keys in `{path}` are damaged")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a newer program.
    #[error("the keys in `{path}` have format {found}, this program knows {known}")]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The format of the file.
        found: u32,
        /// The newest format that can be read.
        known: u32,
    },
}

/// The keys. Cheap to clone.
#[derive(Clone)]
pub struct KmsEngine {
    store: Arc<Mutex<Store>>,
    clock: EngineClock,
}

impl std::fmt::Debug for KmsEngine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("KmsEngine").finish_non_exhaustive()
    }
}

impl KmsEngine {
    /// Keys that nothing keeps.
    pub(crate) fn in_memory(clock: EngineClock) -> Self {
        Self::over(Store::in_memory(), clock)
    }

    /// Opens the keys in the file `path`, which is made with the first key.
    ///
    /// # Errors
    /// [`KmsError`] when the file cannot be read.
    pub(crate) fn open(path: &Path, clock: EngineClock) -> Result<Self, KmsError> {
        Ok(Self::over(Store::open(path)?, clock))
    }

    fn over(store: Store, clock: EngineClock) -> Self {
        let store = Arc::new(Mutex::new(store));
        Self { store, clock }
    }

    /// Answers one call of the AWS JSON protocol; `region` stands in the keys' ARNs.
    pub(crate) fn answer(&self, operation: &str, body: &[u8], region: &str) -> Answer {
        let now = self.clock.now();
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        match operations::perform(&mut store, operation, body, region, now) {
            Ok(body) => text_answer(200, wire::CONTENT_TYPE, body),
            Err(error) => error.into_answer(),
        }
    }
}

//! The folder in which the local runner keeps its state.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;

use super::identity::Identity;

/// The format of the folder. A newer program reads older ones; an older one refuses newer ones.
const FORMAT: u32 = 1;
/// What the owner alone may read, for the folder holds a private key.
const OWNER_ONLY: u32 = 0o600;

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file cannot be read or written.
    #[error("the state folder `{path}` cannot be used: {error}")]
    Io {
        /// The folder.
        path: String,
        /// What the system says.
        error: io::Error,
    },
    /// There are files, but none that says that they are ours.
    #[error("the folder `{0}` is not empty and holds no Oubli state; choose another with `--state`")]
    NotOurs(String),
    /// It was written by a newer version.
    #[error(
        "the state folder `{path}` has format {found}, this program knows up to {FORMAT}; use a newer one, or `--reset`"
    )]
    Newer {
        /// The folder.
        path: String,
        /// Its format.
        found: u32,
    },
    /// A file of it does not hold what it should.
    #[error("the state folder `{path}` is damaged (`{file}`); start again with `--reset`")]
    Damaged {
        /// The folder.
        path: String,
        /// The file.
        file: &'static str,
    },
}

/// The state folder.
#[derive(Clone, Debug)]
pub struct StateFolder {
    path: PathBuf,
}

impl StateFolder {
    /// Opens the folder, or makes it.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let folder = Self {
            path: path.to_owned(),
        };
        fs::create_dir_all(path).map_err(|error| folder.io(error))?;
        match folder.read("format")? {
            Some(text) => {
                let found: u32 = text.trim().parse().map_err(|_| folder.damaged("format"))?;
                if found > FORMAT {
                    return Err(StateError::Newer {
                        path: folder.name(),
                        found,
                    });
                }
            }
            None => {
                let mut entries = fs::read_dir(path).map_err(|error| folder.io(error))?;
                if entries.next().is_some() {
                    return Err(StateError::NotOurs(folder.name()));
                }
                folder.write("format", format!("{FORMAT}\n").as_bytes())?;
            }
        }
        Ok(folder)
    }

    /// Deletes the folder, if it is one of ours.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn reset(path: &Path) -> Result<(), StateError> {
        let folder = Self {
            path: path.to_owned(),
        };
        let mut entries = match fs::read_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(folder.io(error)),
            Ok(entries) => entries,
        };
        if !path.join("format").exists() && entries.next().is_some() {
            return Err(StateError::NotOurs(folder.name()));
        }
        fs::remove_dir_all(path).map_err(|error| folder.io(error))
    }

    /// Where the engines keep theirs.
    pub fn engines(&self) -> PathBuf {
        self.path.join("aws")
    }

    /// How far the clock was moved.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn clock_offset(&self) -> Result<SignedDuration, StateError> {
        let Some(text) = self.read("clock")? else {
            return Ok(SignedDuration::ZERO);
        };
        let seconds = text.trim().parse().map_err(|_| self.damaged("clock"))?;
        Ok(SignedDuration::from_secs(seconds))
    }

    /// Keeps how far the clock was moved.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn keep_clock_offset(&self, seconds: i64) -> Result<(), StateError> {
        self.write("clock", format!("{seconds}\n").as_bytes())
    }

    /// The identity provider's key; made when there is none.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn identity_key(&self) -> Result<Vec<u8>, StateError> {
        let path = self.path.join("identity.pk8");
        match fs::read(&path) {
            Ok(key) => Ok(key),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = Identity::generate_key().map_err(|_| self.damaged("identity.pk8"))?;
                self.write("identity.pk8", &key)?;
                Ok(key)
            }
            Err(error) => Err(self.io(error)),
        }
    }

    /// Whether something was seeded already.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn is_seeded(&self, what: &str) -> Result<bool, StateError> {
        Ok(self.read(&format!("seeded-{what}"))?.is_some())
    }

    /// Notes that something was seeded.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn note_seeded(&self, what: &str) -> Result<(), StateError> {
        self.write(&format!("seeded-{what}"), b"")
    }

    fn read(&self, name: &str) -> Result<Option<String>, StateError> {
        match fs::read(self.path.join(name)) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.io(error)),
        }
    }

    /// Writes a file whole, or not at all, for the owner alone.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StateError> {
        let (path, partial) = (self.path.join(name), self.path.join(format!("{name}.partial")));
        write_own(&partial, bytes)
            .and_then(|()| fs::rename(&partial, &path))
            .map_err(|error| self.io(error))
    }

    fn io(&self, error: io::Error) -> StateError {
        StateError::Io {
            path: self.name(),
            error,
        }
    }

    fn damaged(&self, file: &'static str) -> StateError {
        StateError::Damaged {
            path: self.name(),
            file,
        }
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }
}

/// Makes a new file: what a killed process left there would keep the rights that it has.
fn write_own(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(OWNER_ONLY).open(path)?;
    file.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_private_key_is_its_owners_alone() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("state");
        StateFolder::open(&path).unwrap().identity_key().unwrap();
        let rights = fs::metadata(path.join("identity.pk8")).unwrap().permissions();
        assert_eq!(rights.mode() & 0o777, 0o600);
    }

    #[test]
    fn a_folder_is_made_kept_and_reset() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("state");
        let folder = StateFolder::open(&path).unwrap();
        folder.keep_clock_offset(864_000).unwrap();
        let key = folder.identity_key().unwrap();
        let again = StateFolder::open(&path).unwrap();
        assert_eq!(again.clock_offset().unwrap(), SignedDuration::from_hours(240));
        assert_eq!(again.identity_key().unwrap(), key);
        StateFolder::reset(&path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn what_is_not_ours_newer_or_damaged_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join("thesis.doc"), b"mine").unwrap();
        assert!(matches!(
            StateFolder::open(parent.path()),
            Err(StateError::NotOurs(_))
        ));
        assert!(matches!(
            StateFolder::reset(parent.path()),
            Err(StateError::NotOurs(_))
        ));
        assert!(parent.path().join("thesis.doc").exists());

        let path = parent.path().join("state");
        StateFolder::open(&path).unwrap();
        fs::write(path.join("format"), "2\n").unwrap();
        assert!(matches!(
            StateFolder::open(&path),
            Err(StateError::Newer { found: 2, .. })
        ));
        fs::write(path.join("format"), "what?").unwrap();
        assert!(matches!(
            StateFolder::open(&path),
            Err(StateError::Damaged { file: "format", .. })
        ));
    }
}

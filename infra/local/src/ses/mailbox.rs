//! The `.eml` files. A file's name is its time and its id, so that the folder alone is the outbox.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use s3s::crypto::{Checksum, Md5};

use super::parse::Parsed;
use super::{SentMail, SesError};

/// The folder of the mails, and what is in it.
pub(super) struct Mailbox {
    folder: PathBuf,
    /// Oldest first.
    delivered: Vec<SentMail>,
    bounced: Vec<SentMail>,
    opened_at: Timestamp,
    sent: usize,
}

impl Mailbox {
    /// Reads the folder, which is made if it is absent.
    pub(super) fn open(folder: PathBuf, opened_at: Timestamp) -> Result<Self, SesError> {
        let failed = |path: &Path, error| SesError::Io {
            path: path.to_owned(),
            error,
        };
        std::fs::create_dir_all(&folder).map_err(|error| failed(&folder, error))?;
        let mut delivered = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(|error| failed(&folder, error))? {
            let path = entry.map_err(|error| failed(&folder, error))?.path();
            // Files of other names are somebody else's, or half a mail of a killed process.
            if let Some((sent_at, id)) = read_name(&path) {
                let eml = std::fs::read(&path).map_err(|error| failed(&path, error))?;
                delivered.push(describe(&eml, id, sent_at, path));
            }
        }
        delivered.sort_by(|a, b| a.path.cmp(&b.path));
        let sent = delivered.len();
        Ok(Self {
            folder,
            delivered,
            bounced: Vec::new(),
            opened_at,
            sent,
        })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The id of the next mail: unlike any other, in the service's form.
    pub(super) fn next_id(&mut self) -> String {
        self.sent += 1;
        let source = format!("{}:{}", self.opened_at.as_nanosecond(), self.sent);
        let digest = Md5::checksum(source.as_bytes());
        let id = uuid::Builder::from_md5_bytes(digest).into_uuid();
        format!("0102{:012x}-{id}-000000", self.sent)
    }

    /// Keeps a mail that is delivered.
    pub(super) fn deliver(&mut self, id: &str, sent_at: Timestamp, eml: &[u8]) -> Result<(), SesError> {
        let path = self.write(&self.folder, id, sent_at, eml)?;
        self.delivered.push(describe(eml, id.to_owned(), sent_at, path));
        Ok(())
    }

    /// Keeps a mail that bounced, apart from the others.
    pub(super) fn bounce(&mut self, id: &str, sent_at: Timestamp, eml: &[u8]) -> Result<(), SesError> {
        let folder = self.folder.join("bounced");
        std::fs::create_dir_all(&folder).map_err(|error| SesError::Io {
            path: folder.clone(),
            error,
        })?;
        let path = self.write(&folder, id, sent_at, eml)?;
        self.bounced.push(describe(eml, id.to_owned(), sent_at, path));
        Ok(())
    }

    pub(super) fn delivered(&self) -> Vec<SentMail> {
        self.delivered.iter().rev().cloned().collect()
    }

    pub(super) fn bounced(&self) -> Vec<SentMail> {
        self.bounced.iter().rev().cloned().collect()
    }

    /// A draft first: a killed process leaves no half mail in the outbox.
    fn write(&self, folder: &Path, id: &str, sent_at: Timestamp, eml: &[u8]) -> Result<PathBuf, SesError> {
        let path = folder.join(format!("{:015}-{id}.eml", sent_at.as_millisecond()));
        let draft = path.with_extension("draft");
        let failed = |error| SesError::Io {
            path: path.clone(),
            error,
        };
        std::fs::write(&draft, eml).map_err(failed)?;
        std::fs::rename(&draft, &path).map_err(failed)?;
        Ok(path)
    }
}

fn read_name(path: &Path) -> Option<(Timestamp, String)> {
    let stem = path.file_name()?.to_str()?.strip_suffix(".eml")?;
    let (milliseconds, id) = stem.split_once('-')?;
    Some((
        Timestamp::from_millisecond(milliseconds.parse().ok()?).ok()?,
        id.to_owned(),
    ))
}

fn describe(eml: &[u8], id: String, sent_at: Timestamp, path: PathBuf) -> SentMail {
    let parsed = Parsed::read(eml);
    SentMail {
        id,
        from: parsed.from,
        to: parsed.to,
        subject: parsed.subject,
        text: parsed.text,
        html: parsed.html,
        sent_at,
        path,
    }
}

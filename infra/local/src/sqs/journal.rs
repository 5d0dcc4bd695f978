//! What happened to the queues, one JSON line an event, in a file that is rewritten at each start.
//!
//! A line is handed to the system before its effect is answered to a client, so a killed process loses
//! nothing that it said it had. The last line may be cut short by the kill: it was never answered, and is
//! dropped. Anything else that cannot be read is damage, and is said.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::SqsError;
use super::queue::{Message, Sent};

/// The format that is written, and the newest that is read.
const FORMAT: u32 = 1;

/// One event.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event {
    /// The queue was made, or its attributes or tags changed.
    Queue {
        queue: String,
        created_at: i64,
        modified_at: i64,
        attributes: BTreeMap<String, String>,
        tags: BTreeMap<String, String>,
    },
    /// The queue is gone with all it held.
    Gone { queue: String },
    /// The queue was purged.
    Purged { queue: String },
    /// A message came.
    Message { queue: String, message: Box<Message> },
    /// A message was received, or its visibility changed.
    Held {
        queue: String,
        seq: u64,
        visible_at: i64,
        receive_count: u32,
        first_received_at: Option<i64>,
        #[serde(default)]
        received_at: Option<i64>,
    },
    /// A message was deleted, expired, or moved away.
    Removed { queue: String, seq: u64 },
    /// A deduplication id was used.
    Deduplicated { queue: String, id: String, sent: Sent },
    /// The number of the next message: numbers of deleted messages are never used again.
    Next { seq: u64 },
}

#[derive(Deserialize, Serialize)]
struct Header {
    queues_format: u32,
}

/// The open file.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// The events of an existing journal; none if there is no file.
    pub(super) fn read(path: &Path) -> Result<Vec<Event>, SqsError> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                return Err(SqsError::Io {
                    path: path.to_owned(),
                    error,
                });
            }
        };
        let damaged = |line: usize, reason: String| SqsError::Damaged {
            path: path.to_owned(),
            line,
            reason,
        };
        let mut events = Vec::new();
        for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let Some(line) = line.strip_suffix(b"\n") else {
                break;
            };
            if index == 0 {
                let header: Header =
                    serde_json::from_slice(line).map_err(|error| damaged(1, error.to_string()))?;
                if header.queues_format > FORMAT {
                    let found = header.queues_format;
                    return Err(SqsError::NewerFormat {
                        path: path.to_owned(),
                        found,
                        known: FORMAT,
                    });
                }
                continue;
            }
            events.push(serde_json::from_slice(line).map_err(|error| damaged(index + 1, error.to_string()))?);
        }
        Ok(events)
    }

    /// Replaces the journal by one that holds `events` alone, and keeps it open for more.
    pub(super) fn rewrite(path: &Path, events: &[Event]) -> Result<Self, SqsError> {
        let failed = |error| SqsError::Io {
            path: path.to_owned(),
            error,
        };
        let draft = path.with_extension("draft");
        let mut text = encode(&Header {
            queues_format: FORMAT,
        })
        .map_err(failed)?;
        for event in events {
            text.extend(encode(event).map_err(failed)?);
        }
        std::fs::write(&draft, text).map_err(failed)?;
        std::fs::rename(&draft, path).map_err(failed)?;
        let file = OpenOptions::new().append(true).open(path).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    /// Adds events; all of them or, as far as the file shows after a restart, a beginning of them.
    pub(super) fn append(&mut self, events: &[Event]) -> Result<(), SqsError> {
        let failed = |error| SqsError::Io {
            path: self.path.clone(),
            error,
        };
        let mut text = Vec::new();
        for event in events {
            text.extend(encode(event).map_err(failed)?);
        }
        self.file.write_all(&text).map_err(failed)
    }
}

fn encode(value: &impl Serialize) -> std::io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value).map_err(std::io::Error::other)?;
    line.push(b'\n');
    Ok(line)
}

//! Which tables can be brought back to an earlier moment.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::DynamoDbError;

/// Which tables have point-in-time recovery, in a file beside the tables.
#[derive(Default)]
pub(super) struct ContinuousBackups {
    path: Option<PathBuf>,
    tables: Mutex<BTreeMap<String, bool>>,
}

impl ContinuousBackups {
    pub(super) fn open(path: PathBuf) -> Result<Self, DynamoDbError> {
        let tables = crate::engines::read_json(&path)
            .map_err(|error| DynamoDbError::Settings {
                path: path.clone(),
                error,
            })?
            .unwrap_or_default();
        Ok(Self {
            path: Some(path),
            tables: Mutex::new(tables),
        })
    }

    pub(super) fn set(&self, table: &str, enabled: bool) -> std::io::Result<()> {
        let mut tables = self.lock();
        tables.insert(table.to_owned(), enabled);
        match &self.path {
            Some(path) => crate::engines::write_json(path, &*tables),
            None => Ok(()),
        }
    }

    pub(super) fn is_enabled(&self, table: &str) -> bool {
        self.lock().get(table).copied().unwrap_or(false)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, bool>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

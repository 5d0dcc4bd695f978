//! Identities, templates, configuration sets and the suppression list, in one small file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::SesError;

/// What the account has set up.
pub(super) struct Settings {
    path: PathBuf,
    pub(super) kept: Kept,
}

#[derive(Default, Deserialize, Serialize)]
pub(super) struct Kept {
    /// Lower-case addresses and domains.
    pub(super) identities: BTreeSet<String>,
    pub(super) templates: BTreeMap<String, Template>,
    pub(super) configuration_sets: BTreeSet<String>,
    /// Lower-case address and why.
    pub(super) suppressed: BTreeMap<String, Suppressed>,
}

/// The content of a template, in the API's own shape.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Template {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) html: Option<String>,
}

#[derive(Clone, Deserialize, Serialize)]
pub(super) struct Suppressed {
    /// `BOUNCE` or `COMPLAINT`.
    pub(super) reason: String,
    /// Seconds since the epoch.
    pub(super) since: i64,
}

impl Settings {
    pub(super) fn open(path: PathBuf) -> Result<Self, SesError> {
        let kept = crate::engines::read_json(&path)
            .map_err(|error| SesError::Io {
                path: path.clone(),
                error,
            })?
            .unwrap_or_default();
        Ok(Self { path, kept })
    }

    /// Changes the settings and keeps them.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Kept)) -> Result<(), SesError> {
        change(&mut self.kept);
        crate::engines::write_json(&self.path, &self.kept).map_err(|error| SesError::Io {
            path: self.path.clone(),
            error,
        })
    }

    /// Whether a mail may come from this address: it is an identity, or its domain or a parent of it is.
    pub(super) fn may_send(&self, address: &str) -> bool {
        let address = address.to_ascii_lowercase();
        let Some((_, mut domain)) = address.rsplit_once('@') else {
            return false;
        };
        if self.kept.identities.contains(&address) {
            return true;
        }
        loop {
            if self.kept.identities.contains(domain) {
                return true;
            }
            match domain.split_once('.') {
                Some((_, parent)) => domain = parent,
                None => return false,
            }
        }
    }
}

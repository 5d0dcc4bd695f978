//! What an action is for: contacts, archives or uploads.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{MAX_SELECTED_IDS, Subject};
use crate::contact::ContactState;
use crate::field_error::FieldErrors;
use crate::ids::{ArchiveId, ContactId, IdError, MemberId, UploadId};
use crate::personal::Personal;

/// Which contacts a member chose by their properties.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactFilter {
    /// The beginning of the last name, or a whole e-mail address, as typed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<Personal<String>>,
    /// The member in charge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_to: Option<MemberId>,
    /// Their state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<ContactState>,
    /// Entered before this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_before: Option<Timestamp>,
}

/// What an action is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// These; 1 to 1,000, each once.
    ContactIds(Vec<ContactId>),
    /// All that match.
    Filter(ContactFilter),
    /// For a restore: from these archives; 1 to 1,000, each once.
    ArchiveIds(Vec<ArchiveId>),
    /// For a restore: from these saved archives; 1 to 1,000, each once.
    UploadIds(Vec<UploadId>),
}

impl Selection {
    /// A selection of contacts one by one; one named twice counts once.
    ///
    /// # Errors
    /// When there are none, or more than [`MAX_SELECTED_IDS`], or one is no id.
    pub fn of_ids(ids: &[String]) -> Result<Self, FieldErrors> {
        chosen("/selection/contact_ids", "contact", ids, ContactId::parse).map(Self::ContactIds)
    }

    /// A selection of archives, as [`Selection::of_ids`].
    ///
    /// # Errors
    /// As there.
    pub fn of_archives(ids: &[String]) -> Result<Self, FieldErrors> {
        chosen("/selection/archive_ids", "archive", ids, ArchiveId::parse).map(Self::ArchiveIds)
    }

    /// A selection of saved archives that were uploaded, as [`Selection::of_ids`].
    ///
    /// # Errors
    /// As there.
    pub fn of_uploads(ids: &[String]) -> Result<Self, FieldErrors> {
        chosen("/selection/upload_ids", "upload", ids, UploadId::parse).map(Self::UploadIds)
    }

    /// What its items are about.
    pub fn subject(&self) -> Subject {
        match self {
            Self::ContactIds(_) | Self::Filter(_) => Subject::Contact,
            Self::ArchiveIds(_) => Subject::Archive,
            Self::UploadIds(_) => Subject::Upload,
        }
    }
}

fn chosen<T: Ord + Clone>(
    pointer: &str,
    what: &str,
    ids: &[String],
    parse: impl Fn(String) -> Result<T, IdError>,
) -> Result<Vec<T>, FieldErrors> {
    if ids.is_empty() {
        return Err(FieldErrors::one(
            pointer,
            format!("must name at least one {what}"),
        ));
    }
    if ids.len() > MAX_SELECTED_IDS {
        return Err(FieldErrors::one(
            pointer,
            format!("must name at most {MAX_SELECTED_IDS} {what}s"),
        ));
    }
    let mut errors = FieldErrors::default();
    let mut seen = BTreeSet::new();
    let mut chosen = Vec::with_capacity(ids.len());
    for (index, id) in ids.iter().enumerate() {
        if let Some(id) = errors.take(&format!("{pointer}/{index}"), parse(id.clone()))
            && seen.insert(id.clone())
        {
            chosen.push(id);
        }
    }
    errors.into_result()?;
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selections_have_bounds() {
        assert!(Selection::of_ids(&[]).is_err());
        assert!(Selection::of_ids(&vec!["x".to_owned(); 1_001]).is_err());
        let twice = Selection::of_ids(&["b".to_owned(), "a".to_owned(), "b".to_owned()]).unwrap();
        let ids = ["b", "a"].map(|id| ContactId::parse(id).unwrap()).to_vec();
        assert_eq!(twice, Selection::ContactIds(ids));
        let wrong = Selection::of_ids(&["a".to_owned(), "b#".to_owned()]).unwrap_err();
        assert_eq!(wrong.as_slice()[0].pointer, "/selection/contact_ids/1");
    }
}

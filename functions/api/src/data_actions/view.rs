//! How data actions are shown.

use jiff::Timestamp;
use oubli_domain::Reason;
use oubli_domain::action::{Action, ActionKind, ActionState, ItemState};
use oubli_domain::archive::{Archive, ArchiveState};
use oubli_workflows::{ItemDetail, MemberNames, Preview};
use serde::Serialize;
use utoipa::ToSchema;

use crate::schema;

/// A data action.
#[derive(Serialize, ToSchema)]
#[schema(as = DataAction)]
pub struct ActionView {
    /// Which.
    id: String,
    /// What is done.
    #[schema(schema_with = schema::action_kind)]
    kind: ActionKind,
    /// How far it has come.
    #[schema(schema_with = schema::action_state)]
    state: ActionState,
    /// The id of the member who started it.
    requested_by: String,
    /// The name of that member; absent once the member was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    requested_by_name: Option<String>,
    /// When it was started.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    completed_at: Option<Timestamp>,
    /// How many contacts, archives or uploads; it grows while a filter is being planned.
    total: u64,
    /// How many ended well.
    done: u64,
    /// How many failed.
    failed: u64,
    /// How many had nothing to do.
    skipped: u64,
    /// How many were stopped before their turn.
    stopped: u64,
}

impl ActionView {
    /// Renders an action.
    pub fn new(action: Action, names: &MemberNames) -> Self {
        let requested_by_name = names.of(&action.requested_by).map(str::to_owned);
        Self {
            id: action.id.into(),
            kind: action.kind,
            state: action.state,
            requested_by: action.requested_by.into(),
            requested_by_name,
            created_at: action.created_at,
            completed_at: action.completed_at,
            total: action.total,
            done: action.counts.done,
            failed: action.counts.failed,
            skipped: action.counts.skipped,
            stopped: action.counts.stopped,
        }
    }
}

/// One contact of a data action, or the archive or upload from which one is restored.
#[derive(Serialize, ToSchema)]
#[schema(as = DataActionItem)]
pub struct ItemView {
    /// Which contact; absent of an archive or upload that has not been read.
    #[serde(skip_serializing_if = "Option::is_none")]
    contact_id: Option<String>,
    /// Which upload, if it is restored from one.
    #[serde(skip_serializing_if = "Option::is_none")]
    upload_id: Option<String>,
    /// Of a restored contact: fields whose values nobody could enter today. They are as they were archived.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    outdated_fields: Vec<String>,
    /// How far it has come.
    #[schema(schema_with = schema::item_state)]
    state: ItemState,
    /// Why it is not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::reason, required = false)]
    reason: Option<Reason>,
    /// The archive that was made, that allowed to anonymise, or from which it is restored.
    #[serde(skip_serializing_if = "Option::is_none")]
    archive: Option<ArchiveView>,
}

impl ItemView {
    /// Renders an item as of an instant.
    pub fn new(detail: ItemDetail, now: Timestamp) -> Self {
        Self {
            contact_id: detail.item.contact_id.map(String::from),
            upload_id: detail.upload_id.map(String::from),
            outdated_fields: detail.item.outdated_fields,
            state: detail.item.state,
            reason: detail.item.reason,
            archive: detail.archive.map(|archive| ArchiveView::new(&archive, now)),
        }
    }
}

/// An archive.
#[derive(Serialize, ToSchema)]
#[schema(as = Archive)]
pub struct ArchiveView {
    /// Which.
    id: String,
    /// Whether it is to be had now.
    #[schema(schema_with = schema::archive_state)]
    state: ArchiveState,
    /// Its size in bytes.
    size_bytes: u64,
    /// SHA-256 of the whole file, hexadecimal.
    sha256: String,
    /// When it was completed.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it ends: ten days later.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// When a member first said, by its SHA-256, to have it whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    downloaded_at: Option<Timestamp>,
    /// When its file was seen gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    deleted_at: Option<Timestamp>,
}

impl ArchiveView {
    fn new(archive: &Archive, now: Timestamp) -> Self {
        Self {
            id: archive.id.to_string(),
            // The clock rules, not what was last recorded.
            state: archive.state_at(now),
            size_bytes: archive.size_bytes,
            sha256: archive.sha256.to_string(),
            created_at: archive.created_at,
            expires_at: archive.expires_at,
            downloaded_at: archive.downloaded_at,
            deleted_at: archive.deleted_at,
        }
    }
}

/// What a data action would do.
#[derive(Serialize, ToSchema)]
#[schema(as = Preview)]
pub struct PreviewView {
    /// How many contacts.
    contacts: u64,
    /// How many documents they have.
    documents: u64,
    /// The bytes of these.
    bytes: u64,
    /// For what it is impossible now; of very many, the first.
    blocked: Vec<BlockedView>,
    /// How many those are in all.
    blocked_count: u64,
    /// Before anonymising: archives of which nobody has said to have them whole; of very many, the first.
    never_downloaded: Vec<ContactArchiveView>,
    /// How many those are in all.
    never_downloaded_count: u64,
    /// Codes of what the member should be told before.
    notices: Vec<&'static str>,
    /// The hash of all this: given at the start, it makes sure that this is what runs.
    plan_hash: String,
}

/// A contact, archive or upload for which a data action is impossible now.
#[derive(Serialize, ToSchema)]
#[schema(as = Blocked)]
pub struct BlockedView {
    /// Which contact; absent of an upload, which is not read before the action.
    #[serde(skip_serializing_if = "Option::is_none")]
    contact_id: Option<String>,
    /// Which archive, if it is to be restored from one.
    #[serde(skip_serializing_if = "Option::is_none")]
    archive_id: Option<String>,
    /// Which upload, if it is to be restored from one.
    #[serde(skip_serializing_if = "Option::is_none")]
    upload_id: Option<String>,
    /// Why.
    #[schema(schema_with = schema::reason)]
    reason: Reason,
}

/// The archive of a contact.
#[derive(Serialize, ToSchema)]
#[schema(as = ContactArchive)]
pub struct ContactArchiveView {
    /// Which contact.
    contact_id: String,
    /// Which archive.
    archive_id: String,
}

impl PreviewView {
    /// Renders a preview.
    pub fn new(preview: Preview) -> Self {
        let blocked = preview.blocked.into_iter();
        let never_downloaded = preview.never_downloaded.into_iter();
        Self {
            contacts: preview.contacts,
            documents: preview.documents,
            bytes: preview.bytes,
            blocked: blocked
                .map(|blocked| BlockedView {
                    contact_id: blocked.contact_id.map(String::from),
                    archive_id: blocked.archive_id.map(String::from),
                    upload_id: blocked.upload_id.map(String::from),
                    reason: blocked.reason,
                })
                .collect(),
            blocked_count: preview.blocked_count,
            never_downloaded: never_downloaded
                .map(|archive| ContactArchiveView {
                    contact_id: archive.contact_id.into(),
                    archive_id: archive.archive_id.into(),
                })
                .collect(),
            never_downloaded_count: preview.never_downloaded_count,
            notices: preview.notices,
            plan_hash: preview.plan_hash.to_string(),
        }
    }
}

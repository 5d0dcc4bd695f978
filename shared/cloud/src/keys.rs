//! Every key of both tables, built from types in this one place.
//!
//! A tenant is a key prefix. Identifiers cannot hold `#`, so no identifier can leave its place.

use jiff::Timestamp;
use oubli_domain::contact::{Alias, Shelf};
use oubli_domain::rights::Membership;
use oubli_domain::search::NAME_SEPARATOR;
use oubli_domain::{
    ActionId, ArchiveId, AuditEntryId, ContactId, DocumentId, GroupId, ItemId, KeyedHash, MailId, MemberId,
    Sha256, TenantId, UploadId,
};

/// The primary key of an item.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) pk: String,
    pub(crate) sk: String,
}

impl Key {
    fn new(pk: String, sk: impl Into<String>) -> Self {
        Self { pk, sk: sk.into() }
    }
}

pub(crate) fn tenant_partition(tenant: &TenantId) -> String {
    format!("T#{tenant}")
}

pub(crate) fn tenant(tenant: &TenantId) -> Key {
    Key::new(tenant_partition(tenant), "TENANT")
}

pub(crate) const MEMBER_PREFIX: &str = "MEMBER#";
pub(crate) const GROUP_PREFIX: &str = "GROUP#";
pub(crate) const UNUSED_MEMBERSHIPS_PREFIX: &str = "UNUSED#";
pub(crate) const PAST_ACTION_PREFIX: &str = "ACTION#";
pub(crate) const CHUNK_PREFIX: &str = "CHUNK#";
pub(crate) const ITEM_PREFIX: &str = "ITEM#";

pub(crate) fn member(tenant: &TenantId, member: &MemberId) -> Key {
    Key::new(tenant_partition(tenant), format!("{MEMBER_PREFIX}{member}"))
}

pub(crate) fn group(tenant: &TenantId, group: &GroupId) -> Key {
    Key::new(tenant_partition(tenant), format!("{GROUP_PREFIX}{group}"))
}

/// What all groups of a tenant give.
pub(crate) fn rights(tenant: &TenantId) -> Key {
    Key::new(tenant_partition(tenant), "RIGHTS")
}

/// A list of a group's members that does not count, yet or any more.
pub(crate) fn unused_memberships(tenant: &TenantId, membership: &Membership) -> Key {
    Key::new(
        tenant_partition(tenant),
        format!("{UNUSED_MEMBERSHIPS_PREFIX}{membership}"),
    )
}

pub(crate) fn contact_partition(tenant: &TenantId, contact: &ContactId) -> String {
    format!("T#{tenant}#C#{contact}")
}

pub(crate) fn contact(tenant: &TenantId, contact: &ContactId) -> Key {
    Key::new(contact_partition(tenant, contact), "CONTACT")
}

/// The tenant and the contact of a key beneath a contact.
pub(crate) fn ids_of_contact(key: &Key) -> Option<(&str, &str)> {
    key.pk.strip_prefix("T#")?.split_once("#C#")
}

/// What the sort keys of a shelf's documents begin with.
pub(crate) fn document_prefix(shelf: &Shelf) -> String {
    match &shelf.generation {
        None => "DOC#".to_owned(),
        Some(generation) => format!("GEN#{generation}#DOC#"),
    }
}

pub(crate) fn shelf_partition(shelf: &Shelf) -> String {
    contact_partition(&shelf.tenant_id, &shelf.contact_id)
}

pub(crate) fn document(shelf: &Shelf, document: &DocumentId) -> Key {
    let prefix = document_prefix(shelf);
    Key::new(shelf_partition(shelf), format!("{prefix}{document}"))
}

/// When a contact was deleted last. It outlives the contact for some weeks.
pub(crate) fn deleted(tenant: &TenantId, contact: &ContactId) -> Key {
    Key::new(contact_partition(tenant, contact), "DELETED")
}

/// That a contact was erased at the person's request. It outlives the contact.
pub(crate) fn erased(tenant: &TenantId, contact: &ContactId) -> Key {
    Key::new(contact_partition(tenant, contact), "ERASED")
}

/// That the number in an anonymised contact's name is taken.
pub(crate) fn alias(tenant: &TenantId, alias: &Alias) -> Key {
    Key::new(format!("T#{tenant}#X#{alias}"), "ALIAS")
}

pub(crate) fn past_action(tenant: &TenantId, contact: &ContactId, action: &ActionId) -> Key {
    Key::new(
        contact_partition(tenant, contact),
        format!("{PAST_ACTION_PREFIX}{action}"),
    )
}

pub(crate) fn action_partition(tenant: &TenantId, action: &ActionId) -> String {
    format!("T#{tenant}#A#{action}")
}

pub(crate) fn action(tenant: &TenantId, action: &ActionId) -> Key {
    Key::new(action_partition(tenant, action), "ACTION")
}

pub(crate) fn selection(tenant: &TenantId, action: &ActionId) -> Key {
    Key::new(action_partition(tenant, action), "SELECTION")
}

pub(crate) fn chunk(tenant: &TenantId, action: &ActionId, chunk: u32) -> Key {
    Key::new(
        action_partition(tenant, action),
        format!("{CHUNK_PREFIX}{chunk:05}"),
    )
}

pub(crate) fn mail(tenant: &TenantId, action: &ActionId, mail: &MailId) -> Key {
    Key::new(action_partition(tenant, action), format!("MAIL#{mail}"))
}

pub(crate) fn chunk_partition(tenant: &TenantId, action: &ActionId, chunk: u32) -> String {
    format!("T#{tenant}#A#{action}#K#{chunk:05}")
}

pub(crate) fn chunk_ids(tenant: &TenantId, action: &ActionId, chunk: u32) -> Key {
    Key::new(chunk_partition(tenant, action, chunk), "IDS")
}

pub(crate) fn item(tenant: &TenantId, action: &ActionId, chunk: u32, item: &ItemId) -> Key {
    Key::new(
        chunk_partition(tenant, action, chunk),
        format!("{ITEM_PREFIX}{item}"),
    )
}

pub(crate) fn archive(tenant: &TenantId, archive: &ArchiveId) -> Key {
    Key::new(format!("T#{tenant}#R#{archive}"), "ARCHIVE")
}

pub(crate) fn upload(tenant: &TenantId, upload: &UploadId) -> Key {
    Key::new(format!("T#{tenant}#U#{upload}"), "UPLOAD")
}

pub(crate) fn purge(tenant: &TenantId, contact: &ContactId, what: &str) -> Key {
    Key::new(format!("T#{tenant}#PURGE#{contact}"), what)
}

pub(crate) fn idempotency(tenant: &TenantId, claim: &KeyedHash) -> Key {
    Key::new(format!("T#{tenant}#I#{claim}"), "IDEMPOTENCY")
}

/// A preview that a member was shown: its plan hash, and the keyed hash of what was asked.
pub(crate) fn preview(tenant: &TenantId, plan: &Sha256, request: &KeyedHash) -> Key {
    Key::new(format!("T#{tenant}#PREVIEW#{plan}"), request.to_string())
}

/// How many partitions the audit of a tenant has.
pub(crate) const AUDIT_SHARDS: u8 = 8;

/// A partition of a tenant's audit. `template.yaml` names its beginning, where it forbids to change entries.
pub(crate) fn audit_partition(tenant: &TenantId, shard: u8) -> String {
    format!("T#{tenant}#AUDIT#{shard}")
}

pub(crate) fn audit(tenant: &TenantId, at: Timestamp, entry: &AuditEntryId) -> Key {
    let shard = Sha256::of(entry.as_str().as_bytes());
    let shard = shard.as_bytes().first().copied().unwrap_or(0) % AUDIT_SHARDS;
    Key::new(
        audit_partition(tenant, shard),
        format!("{}#{entry}", sortable(at)),
    )
}

/// An instant as text that sorts as time does, to the millisecond.
pub(crate) fn sortable(instant: Timestamp) -> String {
    format!("{:014}", instant.as_millisecond().max(0))
}

/// Index `by_name` of the contacts.
pub(crate) fn by_name(tenant: &TenantId, name_key: &str, contact: &ContactId) -> (String, String) {
    (
        tenant_partition(tenant),
        format!("{name_key}{NAME_SEPARATOR}{contact}"),
    )
}

/// Index `by_created` of the contacts.
pub(crate) fn by_created(tenant: &TenantId, created_at: Timestamp, contact: &ContactId) -> (String, String) {
    (
        tenant_partition(tenant),
        format!("{}#{contact}", sortable(created_at)),
    )
}

/// Index `by_email` of the contacts: the partition of a normalised address.
pub(crate) fn by_email_partition(tenant: &TenantId, normalised: &str) -> String {
    format!("T#{tenant}#E#{normalised}")
}

/// Index `by_time` of the requests table: a tenant's data actions.
pub(crate) fn actions_by_time(tenant: &TenantId) -> String {
    format!("T#{tenant}#ACTIONS")
}

/// The object of an upload that is not verified yet, in the bucket of uploads.
pub(crate) fn upload_object(tenant: &TenantId, document: &DocumentId) -> String {
    format!("uploads/{tenant}/{document}")
}

/// The object of a saved archive that a member uploads, in the bucket of uploads.
pub(crate) fn saved_archive_object(tenant: &TenantId, upload: &UploadId) -> String {
    format!("uploads/{tenant}/archives/{upload}")
}

/// Where the documents of a shelf are, in the bucket of documents. What stands deeper, behind one more `/`,
/// belongs to other shelves of the contact.
pub(crate) fn document_objects(shelf: &Shelf) -> String {
    let (tenant, contact) = (&shelf.tenant_id, &shelf.contact_id);
    match &shelf.generation {
        None => format!("documents/{tenant}/{contact}/"),
        Some(generation) => format!("documents/{tenant}/{contact}/{generation}/"),
    }
}

/// The object of a stored document, in the bucket of documents.
pub(crate) fn document_object(shelf: &Shelf, document: &DocumentId) -> String {
    format!("{}{document}", document_objects(shelf))
}

/// The tenant and the archive that an object of the bucket of archives belongs to; `None`: to none.
pub fn archive_of_object(object_key: &str) -> Option<(TenantId, ArchiveId)> {
    let mut parts = object_key.strip_prefix("archives/")?.split('/');
    let tenant = TenantId::parse(parts.next()?).ok()?;
    Some((tenant, ArchiveId::parse(parts.next()?).ok()?))
}

/// Where all tries at an archive are, in the bucket of archives.
pub(crate) fn archive_objects(tenant: &TenantId, archive: &ArchiveId) -> String {
    format!("archives/{tenant}/{archive}/")
}

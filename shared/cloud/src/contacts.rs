//! Contacts: one item each, and what stands beneath it.

use jiff::Timestamp;
use oubli_domain::action::{ActionKind, ItemState};
use oubli_domain::archive::ArchiveStamp;
use oubli_domain::contact::{Anonymised, Contact, ContactFields, ContactState, FIELDS, Hold, Restored};
use oubli_domain::{ActionId, ArchiveId, AttemptId, ContactId, Reason, TenantId};
use serde::{Deserialize, Serialize};

use crate::connect::Cloud;
use crate::error::CloudError;
use crate::expression::{Attributes, Condition, Update, number, text};
use crate::idempotency::{IdempotencyClaim, Replay, replay_of};
use crate::items;
use crate::keys;
use crate::purges::{Purge, soon};
use crate::table::{Query, Transacted, Written};

/// What came of entering something new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateOutcome {
    /// It is there now.
    Created,
    /// Something with this id was there before.
    Exists,
    /// What it belongs to is not there.
    ParentAbsent,
    /// The idempotency key was used before.
    Replayed(Replay),
}

impl CreateOutcome {
    /// Reads the outcome of a transaction from the places of its writes: the new item, what it
    /// belongs to, the claim. A claim that is refused says more than an item that exists.
    pub(crate) fn of(
        outcome: &Transacted,
        item: usize,
        parent: Option<usize>,
        claim: usize,
    ) -> Result<Self, CloudError> {
        if let Some(refused) = outcome.refused(claim) {
            return Ok(Self::Replayed(replay_of(refused)?));
        }
        if outcome.refused(item).is_some() {
            return Ok(Self::Exists);
        }
        if parent.is_some_and(|parent| outcome.refused(parent).is_some()) {
            return Ok(Self::ParentAbsent);
        }
        Ok(Self::Created)
    }
}

/// What came of changing something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpdateOutcome<T> {
    /// It is like this now.
    Done(T),
    /// There is no such thing.
    Absent,
    /// It changed since it was read.
    Stale,
}

/// What a contact's card says of a data action that it was part of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastAction {
    /// Which action.
    pub action_id: ActionId,
    /// What was done.
    pub kind: ActionKind,
    /// How it ended for this contact.
    pub state: ItemState,
    /// Why it was not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// When it ended.
    pub at: Timestamp,
    /// The archive that came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive_id: Option<ArchiveId>,
}

/// The attribute of a contact that counts the documents that were announced for it.
pub(crate) const ANNOUNCED: &str = "announced";

/// What a contact's item holds besides the fields.
#[derive(Serialize, Deserialize)]
struct ContactRecord {
    tenant_id: TenantId,
    contact_id: ContactId,
    state: ContactState,
    version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    generation: Option<AttemptId>,
    document_count: u64,
    document_bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_archive: Option<ArchiveStamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hold: Option<Hold>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    anonymised: Option<Anonymised>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    restored: Option<Restored>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// Reads a contact from its item, whole or as an index projects it.
pub(crate) fn read_contact(mut attributes: Attributes) -> Result<Contact, CloudError> {
    // An index projects twenty attributes at most; the ids are read from the key, which is always there.
    let key = items::key_of(&attributes);
    if let Some((tenant, contact)) = key.as_ref().and_then(keys::ids_of_contact) {
        attributes.insert("tenant_id".to_owned(), text(tenant));
        attributes.insert("contact_id".to_owned(), text(contact));
    }
    let fields: ContactFields = items::read("contact", attributes.clone())?;
    let record: ContactRecord = items::read("contact", attributes)?;
    Ok(Contact {
        tenant_id: record.tenant_id,
        id: record.contact_id,
        state: record.state,
        version: record.version,
        fields,
        generation: record.generation,
        document_count: record.document_count,
        document_bytes: record.document_bytes,
        last_archive: record.last_archive,
        hold: record.hold,
        anonymised: record.anonymised,
        sealed_at: record.sealed_at,
        restored: record.restored,
        created_at: record.created_at,
        updated_at: record.updated_at,
    })
}

/// The attributes by which indexes find a contact. They name the person, so they are written
/// with the fields, always.
fn index_attributes(contact: &Contact) -> Attributes {
    let (tenant, id) = (&contact.tenant_id, &contact.id);
    let name_key = contact.name_key();
    let (by_name_pk, by_name_sk) = keys::by_name(tenant, &name_key, id);
    let (by_created_pk, by_created_sk) = keys::by_created(tenant, contact.created_at, id);
    let mut attributes = Attributes::from([
        ("name_key".to_owned(), text(name_key)),
        ("by_name_pk".to_owned(), text(by_name_pk)),
        ("by_name_sk".to_owned(), text(by_name_sk)),
        ("by_created_pk".to_owned(), text(by_created_pk)),
        ("by_created_sk".to_owned(), text(by_created_sk)),
    ]);
    // Of an anonymised contact there is no address to find it by.
    let email = contact.fields.email.as_ref();
    if let Some(email) = email.filter(|_| contact.state == ContactState::Active) {
        let partition = keys::by_email_partition(tenant, &email.expose().normalised());
        attributes.insert("by_email_pk".to_owned(), text(partition));
        attributes.insert("by_email_sk".to_owned(), text(id));
    }
    attributes
}

pub(crate) fn write_contact(contact: &Contact) -> Result<Attributes, CloudError> {
    let record = ContactRecord {
        tenant_id: contact.tenant_id.clone(),
        contact_id: contact.id.clone(),
        state: contact.state,
        version: contact.version,
        generation: contact.generation.clone(),
        document_count: contact.document_count,
        document_bytes: contact.document_bytes,
        last_archive: contact.last_archive.clone(),
        hold: contact.hold.clone(),
        anonymised: contact.anonymised.clone(),
        sealed_at: contact.sealed_at,
        restored: contact.restored.clone(),
        created_at: contact.created_at,
        updated_at: contact.updated_at,
    };
    let mut attributes = items::write("contact", &contact.fields)?;
    attributes.extend(items::write("contact", &record)?);
    attributes.extend(index_attributes(contact));
    Ok(items::with_key(
        attributes,
        &keys::contact(&contact.tenant_id, &contact.id),
    ))
}

/// That a contact is there, and its documents stand where they stood when it was read.
pub(crate) fn on_generation(generation: Option<&AttemptId>) -> Condition {
    let same = match generation {
        None => Condition::Absent("generation"),
        Some(generation) => Condition::Equal("generation", text(generation)),
    };
    Condition::All(vec![Condition::Present("pk"), same])
}

impl Cloud {
    /// Enters a contact.
    ///
    /// # Errors
    /// [`CloudError`] when DynamoDB fails; as all methods here.
    pub async fn create_contact(
        &self,
        contact: &Contact,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<CreateOutcome, CloudError> {
        let mut writes = vec![
            self.contacts
                .put_write(write_contact(contact)?, Some(Condition::Absent("pk")))?,
        ];
        if let Some(claim) = claim {
            writes.push(self.claim_write(&contact.tenant_id, claim)?);
        }
        let outcome = self.contacts.transact(writes).await?;
        CreateOutcome::of(&outcome, 0, None, 1)
    }

    /// Reads a contact, strongly consistent.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn contact(
        &self,
        tenant: &TenantId,
        contact: &ContactId,
    ) -> Result<Option<Contact>, CloudError> {
        self.contacts
            .get(&keys::contact(tenant, contact))
            .await?
            .map(read_contact)
            .transpose()
    }

    /// Reads many contacts, strongly consistent, in the order of the ids; `None` for those that
    /// are absent.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn contacts_by_id(
        &self,
        tenant: &TenantId,
        ids: &[ContactId],
    ) -> Result<Vec<Option<Contact>>, CloudError> {
        let mut contacts = Vec::with_capacity(ids.len());
        for ids in ids.chunks(100) {
            let keys: Vec<_> = ids.iter().map(|id| keys::contact(tenant, id)).collect();
            let mut found = self.contacts.get_many(&keys).await?;
            for key in &keys {
                contacts.push(found.remove(key).map(read_contact).transpose()?);
            }
        }
        Ok(contacts)
    }

    /// Writes the fields of a contact that was read in `contact.version - 1`, and its index keys
    /// in the same write.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn update_contact(&self, contact: &Contact) -> Result<UpdateOutcome<Contact>, CloudError> {
        let mut fields = items::write("contact", &contact.fields)?;
        let mut indexed = index_attributes(contact);
        let mut update = Update::of(keys::contact(&contact.tenant_id, &contact.id));
        for declared in FIELDS {
            update = update.set_or_remove(declared.name, fields.remove(declared.name));
        }
        for name in ["name_key", "by_name_sk", "by_email_pk", "by_email_sk"] {
            update = update.set_or_remove(name, indexed.remove(name));
        }
        let update = update
            .set("version", number(contact.version))
            .set("updated_at", text(contact.updated_at))
            .when(Condition::Equal(
                "version",
                number(contact.version.saturating_sub(1)),
            ));
        match self.contacts.update(update).await? {
            Written::Yes(attributes) => Ok(UpdateOutcome::Done(read_contact(attributes)?)),
            Written::No(Some(found)) if !found.is_empty() => {
                let found = read_contact(found)?;
                // A lost answer makes the SDK ask again, and the second asking meets the first's write.
                let is_ours = found.version == contact.version
                    && found.updated_at == contact.updated_at
                    && found.fields == contact.fields;
                Ok(if is_ours {
                    UpdateOutcome::Done(found)
                } else {
                    UpdateOutcome::Stale
                })
            }
            Written::No(_) => Ok(UpdateOutcome::Absent),
        }
    }

    /// Deletes a contact and notes, in the same transaction, when that was and that its objects and what
    /// stands beneath it must go.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn delete_contact(
        &self,
        contact: &Contact,
        now: Timestamp,
    ) -> Result<UpdateOutcome<Purge>, CloudError> {
        let purge = Purge::of_shelf(contact.shelf());
        let key = keys::contact(&contact.tenant_id, &contact.id);
        let writes = vec![
            self.contacts
                .delete_write(&key, Some(on_generation(contact.generation.as_ref())))?,
            self.purge_write(&purge, soon(now))?,
            self.deleted_write(contact, now)?,
        ];
        let outcome = self.contacts.transact(writes).await?;
        match (&outcome, outcome.refused(0)) {
            (Transacted::Yes, _) => Ok(UpdateOutcome::Done(purge)),
            (Transacted::No(_), Some(refused)) if refused.item.is_some() => Ok(UpdateOutcome::Stale),
            (Transacted::No(_), _) => Ok(UpdateOutcome::Absent),
        }
    }

    /// The data actions that a contact was part of, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn past_actions(
        &self,
        tenant: &TenantId,
        contact: &ContactId,
        limit: u32,
    ) -> Result<Vec<PastAction>, CloudError> {
        let mut query = Query::beginning(keys::contact_partition(tenant, contact), keys::PAST_ACTION_PREFIX);
        query.backwards = true;
        let (found, _) = self.contacts.query_filled(query, limit).await?;
        found
            .into_iter()
            .map(|attributes| items::read("past action", attributes))
            .collect()
    }
}

//! Contacts: entered, listed, changed, deleted.

use oubli_cloud::{ContactQuery, CreateOutcome, PastAction, UpdateOutcome};
use oubli_domain::contact::{Contact, ContactDraft, ContactState};
use oubli_domain::document::{DocumentKind, DocumentState};
use oubli_domain::paging::{ContactSort, Page};
use oubli_domain::search::Search;
use oubli_domain::{ContactId, FieldErrors, MemberId, TenantId};

use crate::Oubli;
use crate::error::{Conflict, WorkflowError};
use crate::idempotency::{Idempotency, replayed};
use crate::paging::{PageRequest, page};

/// How often a contact is read again that moves while it is deleted.
const DELETE_LOOKS: usize = 3;
/// How many past data actions a card shows.
const CARD_ACTIONS: u32 = 100;

/// Which version of a thing the caller has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Whatever it is.
    Any,
    /// This one.
    Version(u64),
}

impl Expected {
    pub(crate) fn admits(self, version: u64) -> bool {
        self == Self::Any || self == Self::Version(version)
    }
}

/// What a list of contacts asks for.
#[derive(Clone, Debug)]
pub struct ContactListQuery {
    /// The beginning of the last name, or a whole e-mail address.
    pub q: Option<String>,
    /// In which order.
    pub sort: ContactSort,
    /// In which state.
    pub state: Option<ContactState>,
    /// Whose.
    pub assigned_to: Option<MemberId>,
    /// Which page.
    pub page: PageRequest,
}

/// Everything held about one contact, its documents apart.
#[derive(Clone, Debug)]
pub struct ContactCard {
    /// The contact.
    pub contact: Contact,
    /// The data actions that it was part of, newest first, at most 100.
    pub data_actions: Vec<PastAction>,
}

impl Oubli {
    /// A page of the tenant's contacts.
    ///
    /// # Errors
    /// [`WorkflowError::CursorInvalid`].
    pub async fn list_contacts(
        &self,
        tenant: &TenantId,
        query: ContactListQuery,
    ) -> Result<Page<Contact>, WorkflowError> {
        let position = query.page.position()?;
        let (sort, limit) = (query.sort, query.page.limit.get());
        let query = ContactQuery {
            search: query.q.as_deref().and_then(Search::parse),
            state: query.state,
            assigned_to: query.assigned_to,
        };
        let at = position.as_ref().map(|position| position.text.as_str());
        let found = self.cloud.list_contacts(tenant, &query, sort, at, limit).await?;
        let count = match position {
            Some(position) => position.count,
            None if found.next.is_none() => found.contacts.len() as u64,
            None => self.cloud.count_contacts(tenant, &query, sort).await?,
        };
        Ok(page(found.contacts, found.next, count))
    }

    /// A contact's card.
    ///
    /// # Errors
    /// [`WorkflowError::NotFound`].
    pub async fn get_contact(
        &self,
        tenant: &TenantId,
        contact: &ContactId,
    ) -> Result<ContactCard, WorkflowError> {
        let found = self.contact(tenant, contact).await?;
        let data_actions = self.cloud.past_actions(tenant, contact, CARD_ACTIONS).await?;
        Ok(ContactCard {
            contact: found,
            data_actions,
        })
    }

    /// Enters a contact.
    ///
    /// # Errors
    /// [`WorkflowError::Invalid`], [`WorkflowError::IdempotencyMismatch`].
    pub async fn create_contact(
        &self,
        tenant: &TenantId,
        draft: ContactDraft,
        idempotency: &Idempotency,
    ) -> Result<Contact, WorkflowError> {
        let fields = draft.parse()?;
        if fields.photo_document_id.is_some() {
            return Err(no_such_photo().into());
        }
        let now = self.now();
        let contact = Contact {
            tenant_id: tenant.clone(),
            id: ContactId::from(self.ids.uuid()),
            state: ContactState::Active,
            version: 1,
            fields,
            generation: None,
            document_count: 0,
            document_bytes: 0,
            last_archive: None,
            hold: None,
            anonymised: None,
            sealed_at: None,
            restored: None,
            created_at: now,
            updated_at: now,
        };
        let claim = self.claim(idempotency, contact.id.as_str()).await?;
        match (self.cloud.create_contact(&contact, claim.as_ref()).await?, claim) {
            (CreateOutcome::Created, _) => Ok(contact),
            (CreateOutcome::Replayed(replay), Some(claim)) => {
                let earlier = replayed(&claim, replay)?;
                let earlier = ContactId::parse(earlier).map_err(WorkflowError::internal)?;
                self.contact(tenant, &earlier).await
            }
            (CreateOutcome::Exists | CreateOutcome::ParentAbsent | CreateOutcome::Replayed(_), _) => {
                Err(Conflict::AlreadyExists.into())
            }
        }
    }

    /// Changes the fields of a contact.
    ///
    /// # Errors
    /// [`WorkflowError::NotFound`], [`WorkflowError::PreconditionFailed`],
    /// [`WorkflowError::Invalid`], [`Conflict::ContactAnonymised`].
    pub async fn update_contact(
        &self,
        tenant: &TenantId,
        contact: &ContactId,
        expected: Expected,
        change: impl FnOnce(ContactDraft) -> ContactDraft + Send,
    ) -> Result<Contact, WorkflowError> {
        let found = self.contact(tenant, contact).await?;
        if !expected.admits(found.version) {
            return Err(WorkflowError::PreconditionFailed);
        }
        if found.state == ContactState::Anonymised {
            return Err(Conflict::ContactAnonymised.into());
        }
        let fields = change(found.fields.to_draft()).parse_change(&found.fields)?;
        if let Some(photo) = &fields.photo_document_id
            && found.fields.photo_document_id.as_ref() != Some(photo)
        {
            let document = self.cloud.document(&found.shelf(), photo).await?;
            let is_photo = document.is_some_and(|document| {
                document.state == DocumentState::Stored && document.fields.kind == DocumentKind::Photo
            });
            if !is_photo {
                return Err(no_such_photo().into());
            }
        }
        let changed = Contact {
            fields,
            version: found.version.saturating_add(1),
            updated_at: self.now(),
            ..found
        };
        match self.cloud.update_contact(&changed).await? {
            UpdateOutcome::Done(contact) => Ok(contact),
            UpdateOutcome::Absent => Err(WorkflowError::NotFound),
            UpdateOutcome::Stale => Err(WorkflowError::PreconditionFailed),
        }
    }

    /// Deletes a contact with its documents. Its archives live on until their time is over.
    ///
    /// # Errors
    /// [`WorkflowError::NotFound`], [`Conflict::Contended`].
    pub async fn delete_contact(&self, tenant: &TenantId, contact: &ContactId) -> Result<(), WorkflowError> {
        for _ in 0..DELETE_LOOKS {
            let found = self.contact(tenant, contact).await?;
            match self.cloud.delete_contact(&found, self.now()).await? {
                UpdateOutcome::Done(purge) => {
                    self.purge_now(&purge).await;
                    return Ok(());
                }
                UpdateOutcome::Absent => return Err(WorkflowError::NotFound),
                // It was anonymised or restored at the same moment.
                UpdateOutcome::Stale => {}
            }
        }
        Err(Conflict::Contended.into())
    }

    pub(crate) async fn contact(
        &self,
        tenant: &TenantId,
        contact: &ContactId,
    ) -> Result<Contact, WorkflowError> {
        self.cloud
            .contact(tenant, contact)
            .await?
            .ok_or(WorkflowError::NotFound)
    }
}

fn no_such_photo() -> FieldErrors {
    FieldErrors::one("/photo_document_id", "must be a stored photo of the contact")
}

//! What members do to contacts, and what must come of it.

use std::mem;

use jiff::{SignedDuration, Timestamp};
use oubli_domain::contact::ContactDraft;
use oubli_domain::{DocumentId, Sha256, TenantId};
use oubli_workflows::{Conflict, Expected, Oubli, Upload, WorkflowError};

use crate::plain::{Life, Plain};
use crate::schedule::Job;

/// How long the bytes of an announced document are waited for.
const AWAITING_LIFE: SignedDuration = SignedDuration::from_hours(48);

/// A document whose bytes are on their way.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) contact: usize,
    pub(crate) epoch: u32,
    pub(crate) document: DocumentId,
    pub(crate) upload: Upload,
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) is_photo: bool,
    pub(crate) is_sent: bool,
    pub(crate) announced_at: Timestamp,
}

/// A change that is about to be made.
#[derive(Clone, Debug)]
pub(crate) enum Planned {
    Edit { contact: usize, notes: String },
    Complete(Pending),
    DeleteDocument { contact: usize, document: DocumentId },
    Delete(usize),
}

/// What Oubli says to a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Done,
    NotFound,
    Anonymised,
    UploadMissing,
    /// Something else happened at the same moment.
    NotNow,
    Else(String),
}

pub(crate) fn said(result: &Result<(), WorkflowError>) -> Said {
    match result {
        Ok(()) => Said::Done,
        Err(WorkflowError::NotFound) => Said::NotFound,
        Err(WorkflowError::Conflict(Conflict::ContactAnonymised)) => Said::Anonymised,
        Err(WorkflowError::Conflict(Conflict::UploadMissing)) => Said::UploadMissing,
        Err(WorkflowError::PreconditionFailed | WorkflowError::Conflict(Conflict::Contended)) => Said::NotNow,
        Err(error) => Said::Else(format!("{error:?}")),
    }
}

fn edited(draft: ContactDraft, notes: &str) -> ContactDraft {
    ContactDraft {
        // It comes and goes, and its index key with it.
        email: if draft.email.is_some() {
            None
        } else {
            Some(format!("{notes}@example.com"))
        },
        notes: Some(notes.to_owned()),
        ..draft
    }
}

impl Planned {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Edit { .. } => "edit",
            Self::Complete(_) => "add document",
            Self::DeleteDocument { .. } => "delete document",
            Self::Delete(_) => "delete",
        }
    }

    pub(crate) fn contact(&self) -> usize {
        match self {
            Self::Edit { contact, .. } | Self::DeleteDocument { contact, .. } | Self::Delete(contact) => {
                *contact
            }
            Self::Complete(pending) => pending.contact,
        }
    }

    pub(crate) fn job(&self, oubli: &Oubli, tenant: &TenantId, plain: &Plain) -> Job {
        let (oubli, tenant) = (oubli.clone(), tenant.clone());
        let contact = plain.contacts[self.contact()].id.clone();
        match self.clone() {
            Self::Edit { notes, .. } => Box::pin(async move {
                let change = move |draft| edited(draft, &notes);
                let changed = oubli
                    .update_contact(&tenant, &contact, Expected::Any, change)
                    .await;
                changed.map(|_| ())
            }),
            Self::Complete(pending) => Box::pin(async move {
                let completed = oubli
                    .complete_document(&tenant, &contact, &pending.document)
                    .await;
                completed.map(|_| ())
            }),
            Self::DeleteDocument { document, .. } => {
                Box::pin(async move { oubli.delete_document(&tenant, &contact, &document).await })
            }
            Self::Delete(_) => Box::pin(async move { oubli.delete_contact(&tenant, &contact).await }),
        }
    }
}

impl Plain {
    fn judge_change(&self, planned: &Planned) -> Said {
        let contact = &self.contacts[planned.contact()];
        match (&contact.life, planned) {
            (Life::Absent, _) => Said::NotFound,
            (_, Planned::Delete(_)) => Said::Done,
            (Life::Anonymised { .. }, Planned::Edit { .. }) => Said::Anonymised,
            (Life::Anonymised { .. }, _) => Said::NotFound,
            (Life::Active { .. }, Planned::Edit { .. }) => Said::Done,
            (Life::Active { .. }, Planned::Complete(pending)) if pending.epoch != contact.epoch => {
                Said::NotFound
            }
            (Life::Active { .. }, Planned::Complete(pending)) if !pending.is_sent => Said::UploadMissing,
            (Life::Active { .. }, Planned::Complete(_)) => Said::Done,
            (Life::Active { content, .. }, Planned::DeleteDocument { document, .. }) => {
                if content.documents.contains_key(document) {
                    Said::Done
                } else {
                    Said::NotFound
                }
            }
        }
    }

    /// Takes what was said to a change, and changes with it. With a rival who changed the same contact, it
    /// may be refused where it would not be otherwise.
    pub(crate) fn changed(
        &mut self,
        planned: &Planned,
        said: &Said,
        is_rivalled: bool,
        now: Timestamp,
    ) -> Result<(), String> {
        let expected = self.judge_change(planned);
        let may_be_forgotten = matches!(planned, Planned::Complete(pending)
            if now.duration_since(pending.announced_at) >= AWAITING_LIFE && *said == Said::NotFound);
        let gives_way = is_rivalled && matches!(said, Said::NotNow | Said::NotFound);
        if *said != expected {
            let name = planned.name();
            return if may_be_forgotten || gives_way {
                Ok(())
            } else {
                Err(format!(
                    "{name} of contact {}: {said:?}, expected {expected:?}",
                    planned.contact()
                ))
            };
        }
        if expected == Said::Done {
            self.change(planned, now);
        }
        Ok(())
    }

    fn change(&mut self, planned: &Planned, now: Timestamp) {
        let contact = &mut self.contacts[planned.contact()];
        if let Planned::Delete(_) = planned {
            contact.life = Life::Absent;
            contact.deleted_at = now;
            contact.epoch += 1;
            contact.held_until = Timestamp::MIN;
            return;
        }
        let Life::Active { content, .. } = &mut contact.life else {
            return;
        };
        let fields = &mut content.fields;
        match planned {
            Planned::Edit { notes, .. } => *fields = edited(fields.to_draft(), notes).parse().unwrap(),
            Planned::Complete(pending) => {
                let stored = (pending.name.clone(), Sha256::of(&pending.bytes));
                content.documents.insert(pending.document.clone(), stored);
                if pending.is_photo {
                    fields.photo_document_id = Some(pending.document.clone());
                }
            }
            Planned::DeleteDocument { document, .. } => {
                content.documents.remove(document);
                if fields.photo_document_id.as_ref() == Some(document) {
                    drop(mem::take(&mut fields.photo_document_id));
                }
            }
            Planned::Delete(_) => {}
        }
        content.updated_at = now;
        contact.version += 1;
    }
}

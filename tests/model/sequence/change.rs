//! What members do: contacts entered and changed, documents announced and sent.

use std::collections::BTreeMap;

use jiff::Timestamp;
use oubli_domain::Sha256;
use oubli_domain::contact::ContactDraft;
use oubli_domain::document::{DocumentDraft, DocumentKind};
use oubli_workflows::Idempotency;

use super::{Run, unforeseen};
use crate::member::{Pending, Planned, Said, said};
use crate::operation::Change;
use crate::plain::{Content, Life, PlainContact};

impl Run<'_> {
    pub(super) async fn enter(&mut self) -> Result<(), String> {
        let marker = format!("zq{}q", self.plain.contacts.len());
        let draft = ContactDraft {
            last_name: format!("Last {marker}"),
            first_name: Some(format!("First {marker}")),
            email: Some(format!("{marker}@example.com")),
            notes: Some(format!("Notes {marker}")),
            ..ContactDraft::default()
        };
        let made = self
            .world
            .oubli
            .create_contact(&self.tenant, draft, &Idempotency::none())
            .await
            .map_err(unforeseen)?;
        let content = Content {
            fields: made.fields,
            documents: BTreeMap::new(),
            created_at: self.world.now(),
            updated_at: self.world.now(),
        };
        self.plain.contacts.push(PlainContact {
            id: made.id,
            marker,
            life: Life::Active {
                content,
                last_archive: None,
                restored: None,
            },
            version: 1,
            is_exact: true,
            epoch: 0,
            deleted_at: Timestamp::MIN,
            may_be_held_until: Timestamp::MIN,
            held_until: Timestamp::MIN,
        });
        self.compare(self.plain.contacts.len() - 1).await
    }

    /// What a member is about to do; `None` when it is nothing, or was refused before.
    pub(super) async fn plan(&mut self, change: Change) -> Result<Option<Planned>, String> {
        Ok(match change {
            Change::Edit(contact) => {
                let contact = self.number(contact);
                let marker = self.plain.contacts[contact].marker.clone();
                let notes = self.mark(&marker);
                Some(Planned::Edit { contact, notes })
            }
            Change::AddDocument { contact, photo } => {
                let contact = self.number(contact);
                let Some(mut pending) = self.announce(contact, photo).await? else {
                    return Ok(None);
                };
                self.send(&mut pending).await?;
                Some(Planned::Complete(pending))
            }
            Change::DeleteDocument { contact, number } => {
                let contact = self.number(contact);
                let (Life::Active { content, .. } | Life::Anonymised { content, .. }) =
                    &self.plain.contacts[contact].life
                else {
                    return Ok(None);
                };
                let documents: Vec<_> = content.documents.keys().collect();
                let document = documents.get(number % documents.len().max(1));
                document.map(|document| Planned::DeleteDocument {
                    contact,
                    document: (*document).clone(),
                })
            }
            Change::Delete(contact) => Some(Planned::Delete(self.number(contact))),
        })
    }

    pub(super) async fn change(&mut self, change: Change) -> Result<(), String> {
        match self.plan(change).await? {
            Some(planned) => self.make(&planned).await,
            None => Ok(()),
        }
    }

    pub(super) async fn make(&mut self, planned: &Planned) -> Result<(), String> {
        let said = said(&planned.job(&self.world.oubli, &self.tenant, &self.plain).await);
        self.count(planned.name(), format!("{said:?}"));
        self.plain.changed(planned, &said, false, self.world.now())?;
        self.compare(planned.contact()).await
    }

    pub(super) async fn announce(
        &mut self,
        contact: usize,
        is_photo: bool,
    ) -> Result<Option<Pending>, String> {
        let marker = self.plain.contacts[contact].marker.clone();
        let name = self.mark(&marker);
        // Some have no hash at first, and are read twice; some are empty.
        let bytes = name.repeat(usize::try_from(self.marks % 4).unwrap()).into_bytes();
        let sha256 = Sha256::of(&bytes).to_string();
        let draft = DocumentDraft {
            name: name.clone(),
            content_type: "image/png".to_owned(),
            size_bytes: bytes.len() as u64,
            sha256: (!self.marks.is_multiple_of(3)).then_some(sha256),
            crc32: None,
            kind: if is_photo {
                DocumentKind::Photo
            } else {
                DocumentKind::Document
            },
        };
        let holder = &self.plain.contacts[contact];
        let (id, oubli) = (&holder.id, &self.world.oubli);
        let announced = oubli
            .create_document(&self.tenant, id, draft, &Idempotency::none())
            .await;
        let expected = match holder.life {
            Life::Absent => Said::NotFound,
            Life::Anonymised { .. } => Said::Anonymised,
            Life::Active { .. } => Said::Done,
        };
        let epoch = holder.epoch;
        let (announced, refused) = match announced {
            Ok(announced) => (Some(announced), Ok(())),
            Err(error) => (None, Err(error)),
        };
        let said = said(&refused);
        if said != expected {
            return Err(format!("announcing a document: {said:?}, expected {expected:?}"));
        }
        self.count("announce", format!("{said:?}"));
        Ok(announced.map(|announced| Pending {
            contact,
            epoch,
            document: announced.document.id,
            upload: announced.upload,
            name,
            bytes,
            is_photo,
            is_sent: false,
            announced_at: self.world.now(),
        }))
    }

    pub(super) async fn send(&mut self, pending: &mut Pending) -> Result<(), String> {
        pending.is_sent = self.world.put(&pending.upload, pending.bytes.clone()).await;
        let is_in_time = self.world.now() < pending.upload.expires_at;
        if pending.is_sent == is_in_time {
            Ok(())
        } else {
            Err(format!(
                "an upload in time ({is_in_time}) was taken: {}",
                pending.is_sent
            ))
        }
    }
}

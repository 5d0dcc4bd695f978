//! Actions: what makes them possible, begun and planned.

use jiff::SignedDuration;
use oubli_domain::action::Selection;
use oubli_domain::message::{ItemMessage, PlanMessage};
use oubli_domain::{ActionId, ItemId};
use oubli_workflows::{ArchiveUploadLinks, Idempotency, NewAction};

use super::{Open, Run, unforeseen};
use crate::operation::{Act, Delivery};
use crate::plain::{DONE, Facts, Life, PlainUpload, Work};

/// How long an announced upload of a saved archive may be used.
const UPLOAD_LIFE: SignedDuration = SignedDuration::from_hours(72);

impl Run<'_> {
    /// Does, without any trouble, what makes an act possible.
    pub(super) async fn prepare(&mut self, act: Act) -> Result<(), String> {
        let (contact, is_restore) = match act {
            Act::Export(_) => return Ok(()),
            Act::Anonymise(contact) => (self.number(contact), false),
            Act::Restore(contact) => (self.number(contact), true),
            Act::RestoreArchive { archive, .. } | Act::RestoreUpload { archive, .. } => {
                let archive = self.latest(archive).map(|archive| &self.plain.archives[archive]);
                (archive.map_or(0, |archive| archive.contact), true)
            }
        };
        if !matches!(self.plain.contacts[contact].life, Life::Active { .. }) {
            return Ok(());
        }
        if self
            .plain
            .judge(&Work::Anonymise(contact), &Facts::of_nobody(), self.world.now())
            != DONE
        {
            self.plainly(Act::Export(contact)).await?;
        }
        if is_restore {
            self.plainly(Act::Anonymise(contact)).await?;
        }
        Ok(())
    }

    pub(super) async fn plainly(&mut self, act: Act) -> Result<(), String> {
        let open = self.begin(act).await?.ok_or("nothing to do")?;
        self.deliver(open, Delivery::Once).await?;
        self.past.push((self.world.now(), self.plain.clone()));
        self.world.pass(SignedDuration::from_secs(1));
        Ok(())
    }

    /// Starts an action and plans it; its message is still to be delivered.
    pub(super) async fn begin(&mut self, act: Act) -> Result<Option<Open>, String> {
        let latest = |archive| self.latest(archive);
        let (work, overwrite) = match act {
            Act::Export(contact) => (Some(Work::Export(self.number(contact))), false),
            Act::Anonymise(contact) => (Some(Work::Anonymise(self.number(contact))), false),
            Act::Restore(contact) => (Some(Work::Restore(self.number(contact))), false),
            Act::RestoreArchive { archive, overwrite } => {
                let work = latest(archive).map(|archive| Work::RestoreArchive { archive, overwrite });
                (work, overwrite)
            }
            Act::RestoreUpload { archive, overwrite } => match latest(archive) {
                None => (None, overwrite),
                Some(archive) => {
                    let upload = self.upload(archive).await?;
                    (Some(Work::RestoreUpload { upload, overwrite }), overwrite)
                }
            },
        };
        let Some(work) = work else {
            return Ok(None);
        };
        let contact_id = |contact: &usize| self.plain.contacts[*contact].id.clone();
        let (selection, item_id) = match &work {
            Work::Export(contact) | Work::Anonymise(contact) | Work::Restore(contact) => {
                let id = contact_id(contact);
                (Selection::ContactIds(vec![id.clone()]), ItemId::from(id))
            }
            Work::RestoreArchive { archive, .. } => {
                let id = self.plain.archives[*archive].id.clone();
                (Selection::ArchiveIds(vec![id.clone()]), ItemId::from(id))
            }
            Work::RestoreUpload { upload, .. } => {
                let id = self.plain.uploads[*upload].id.clone();
                (Selection::UploadIds(vec![id.clone()]), ItemId::from(id))
            }
        };
        let new = NewAction {
            kind: work.kind(),
            selection,
            overwrite,
            plan_hash: None,
        };
        let oubli = &self.world.oubli;
        let action = oubli
            .start_action(&self.caller, new, &Idempotency::none())
            .await
            .map_err(unforeseen)?;
        self.actions.insert(action.id.clone(), 1);
        let facts = Facts {
            id: action.id.clone(),
            decided_at: action.created_at,
        };
        self.drive(&action.id).await?;
        self.past.push((self.world.now(), self.plain.clone()));
        Ok(Some(Open {
            work,
            facts,
            message: ItemMessage {
                tenant_id: self.tenant.clone(),
                action_id: action.id,
                chunk: 0,
                item_id,
                recount: false,
            },
            since: self.past.len() - 1,
        }))
    }

    /// Has the planner do what is next of an action.
    pub(super) async fn drive(&self, action: &ActionId) -> Result<(), String> {
        let message = PlanMessage {
            tenant_id: self.tenant.clone(),
            action_id: action.clone(),
        };
        self.world.oubli.plan_step(&message).await.map_err(unforeseen)
    }

    /// Sends back a copy of an archive.
    pub(super) async fn upload(&mut self, archive: usize) -> Result<usize, String> {
        let bytes = self.plain.archives[archive].bytes.clone();
        let announced = self
            .world
            .oubli
            .announce_archive_upload(&self.tenant, bytes.len() as u64, None, &Idempotency::none())
            .await
            .map_err(unforeseen)?;
        let ArchiveUploadLinks::Single(upload) = &announced.upload else {
            return Err("a small archive is to be sent in parts".to_owned());
        };
        if !self.world.put(upload, bytes.to_vec()).await {
            return Err("S3 did not take an archive".to_owned());
        }
        self.plain.uploads.push(PlainUpload {
            id: announced.id,
            archive,
            expires_at: self.world.now().saturating_add(UPLOAD_LIFE).unwrap(),
            is_gone: false,
            is_used: false,
        });
        Ok(self.plain.uploads.len() - 1)
    }
}

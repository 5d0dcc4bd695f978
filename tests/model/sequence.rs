//! One sequence, on Oubli and on the model side by side.

mod deliver;
mod end;
mod race;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use oubli_domain::action::{ActionKind, ITEM_LEASE, ItemState, Selection};
use oubli_domain::contact::ContactDraft;
use oubli_domain::document::{DocumentDraft, DocumentKind};
use oubli_domain::message::{ItemMessage, PlanMessage};
use oubli_domain::{ActionId, ItemId, MemberId, Sha256, TenantId};
use oubli_local::faults::Gate;
use oubli_workflows::{ArchiveUploadLinks, Caller, Idempotency, NewAction, WorkflowError};

use crate::member::{Pending, Planned, Said, said};
use crate::operation::{Act, Change, Delivery, Operation};
use crate::plain::{Facts, Life, Plain, PlainContact, PlainUpload, Verdict, Work};
use crate::schedule::Held;
use crate::world::World;

/// What was done, how it ended, and how often.
pub(crate) type Tally = BTreeMap<(String, String), u64>;

/// How many contacts there are at most.
const CONTACTS: usize = 3;
/// How long an announced upload of a saved archive may be used.
const UPLOAD_LIFE: SignedDuration = SignedDuration::from_hours(72);
/// How late S3's rules may be.
const BROOM: SignedDuration = SignedDuration::from_hours(48);

/// An item that has not ended, or may be done again.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    work: Work,
    facts: Facts,
    message: ItemMessage,
    /// Where in the past its worker began.
    since: usize,
}

/// A worker that is held.
struct Sleeper {
    held: Held,
    open: Open,
    /// A dead one does not wake; it is let go in the end.
    wakes: bool,
}

/// A sequence that runs.
pub(crate) struct Run<'a> {
    world: &'a World,
    tenant: TenantId,
    caller: Caller,
    plain: Plain,
    /// Every state that was, with its time.
    past: Vec<(Timestamp, Plain)>,
    open: Vec<Open>,
    asleep: Vec<Sleeper>,
    /// Where workers died.
    graves: Vec<Gate>,
    pending: Vec<Pending>,
    failed: Vec<Open>,
    /// Actions and how often each was run.
    actions: BTreeMap<ActionId, usize>,
    tally: &'a mut Tally,
    marks: u64,
}

pub(crate) fn unforeseen(error: WorkflowError) -> String {
    format!("an unforeseen failure: {error:?}")
}

/// Runs a sequence to its end. `Err` says where Oubli and the model part.
pub(crate) async fn run(
    world: &World,
    tenant: &str,
    operations: &[Operation],
    tally: &mut Tally,
) -> Result<(), String> {
    let tenant = TenantId::parse(tenant).unwrap();
    let mut run = Run {
        world,
        caller: Caller {
            tenant_id: tenant.clone(),
            member_id: MemberId::parse("agent").unwrap(),
        },
        tenant,
        plain: Plain::default(),
        past: Vec::new(),
        open: Vec::new(),
        asleep: Vec::new(),
        graves: Vec::new(),
        pending: Vec::new(),
        failed: Vec::new(),
        actions: BTreeMap::new(),
        tally,
        marks: 0,
    };
    let ran = run.all(operations).await;
    run.bury();
    run.graves.iter().for_each(Gate::open);
    ran
}

impl Run<'_> {
    async fn all(&mut self, operations: &[Operation]) -> Result<(), String> {
        for photo in [false, true] {
            self.enter().await?;
            let contact = self.plain.contacts.len() - 1;
            self.change(Change::AddDocument { contact, photo }).await?;
        }
        for (number, operation) in operations.iter().enumerate() {
            self.world.pass(SignedDuration::from_secs(1));
            let stepped = self.step(*operation).await;
            stepped.map_err(|divergence| format!("operation {number}, {operation:?}: {divergence}"))?;
            self.past.push((self.world.now(), self.plain.clone()));
        }
        let ended = self.end().await;
        ended.map_err(|divergence| format!("in the end: {divergence}"))
    }

    async fn step(&mut self, operation: Operation) -> Result<(), String> {
        match operation {
            Operation::Enter if self.plain.contacts.len() < CONTACTS => self.enter().await,
            Operation::Enter => Ok(()),
            Operation::Change(change) => self.change(change).await,
            Operation::Announce(contact) => {
                let contact = self.number(contact);
                let pending = self.announce(contact, false).await?;
                self.pending.extend(pending);
                Ok(())
            }
            Operation::Complete(_) if self.pending.is_empty() => Ok(()),
            Operation::Complete(number) => {
                let number = number % self.pending.len();
                let mut pending = self.pending.remove(number);
                self.send(&mut pending).await?;
                self.make(&Planned::Complete(pending)).await
            }
            Operation::Act {
                act,
                prepared,
                delivery,
            } => {
                if prepared {
                    self.prepare(act).await?;
                }
                match self.begin(act).await? {
                    Some(open) => self.deliver(open, delivery).await,
                    None => Ok(()),
                }
            }
            Operation::Race {
                act,
                prepared,
                rival,
                schedule,
            } => {
                if prepared {
                    self.prepare(act).await?;
                }
                self.race(act, rival, schedule).await
            }
            Operation::Stop(act) => match self.begin(act).await? {
                Some(open) => self.stop(open).await,
                None => Ok(()),
            },
            Operation::Retry { number, delivery } => self.retry(number, delivery).await,
            Operation::Recover => {
                self.world.pass(ITEM_LEASE);
                self.recover().await
            }
            Operation::Wake => self.wake().await,
            Operation::Download(number) => self.download(number).await,
            Operation::Hours(hours) => {
                // Nobody lives as long as that.
                self.asleep.iter_mut().for_each(|sleeper| sleeper.wakes = false);
                self.world.pass(SignedDuration::from_hours(hours));
                self.compare_all().await
            }
            Operation::Sweep { engines } => self.sweep(engines).await,
        }
    }

    /// Whoever sleeps now never wakes.
    fn bury(&mut self) {
        let dead = self.asleep.drain(..).map(|sleeper| sleeper.held.give_up());
        self.graves.extend(dead);
    }

    fn count(&mut self, what: &str, outcome: impl Into<String>) {
        *self.tally.entry((what.to_owned(), outcome.into())).or_default() += 1;
    }

    fn number(&self, contact: usize) -> usize {
        contact % self.plain.contacts.len()
    }

    /// Text that was never there before.
    fn mark(&mut self, marker: &str) -> String {
        self.marks += 1;
        format!("{marker}{}", self.marks)
    }

    async fn enter(&mut self) -> Result<(), String> {
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
        let content = crate::plain::Content {
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
            may_be_held_until: Timestamp::MIN,
            held_until: Timestamp::MIN,
        });
        self.compare(self.plain.contacts.len() - 1).await
    }

    /// What a member is about to do; `None` when it is nothing, or was refused before.
    async fn plan(&mut self, change: Change) -> Result<Option<Planned>, String> {
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

    async fn change(&mut self, change: Change) -> Result<(), String> {
        match self.plan(change).await? {
            Some(planned) => self.make(&planned).await,
            None => Ok(()),
        }
    }

    async fn make(&mut self, planned: &Planned) -> Result<(), String> {
        let said = said(&planned.job(&self.world.oubli, &self.tenant, &self.plain).await);
        self.count(planned.name(), format!("{said:?}"));
        self.plain.changed(planned, &said, false, self.world.now())?;
        self.compare(planned.contact()).await
    }

    async fn announce(&mut self, contact: usize, is_photo: bool) -> Result<Option<Pending>, String> {
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

    async fn send(&mut self, pending: &mut Pending) -> Result<(), String> {
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

    /// Does, without any trouble, what makes an act possible.
    async fn prepare(&mut self, act: Act) -> Result<(), String> {
        let (Act::Anonymise(contact) | Act::Restore(contact)) = act else {
            return Ok(());
        };
        let number = self.number(contact);
        if !matches!(self.plain.contacts[number].life, Life::Active { .. }) {
            return Ok(());
        }
        self.plainly(Act::Export(contact)).await?;
        if matches!(act, Act::Restore(_)) {
            self.plainly(Act::Anonymise(contact)).await?;
        }
        Ok(())
    }

    async fn plainly(&mut self, act: Act) -> Result<(), String> {
        let open = self.begin(act).await?.ok_or("nothing to do")?;
        self.deliver(open, Delivery::Once).await?;
        self.past.push((self.world.now(), self.plain.clone()));
        self.world.pass(SignedDuration::from_secs(1));
        Ok(())
    }

    /// Starts an action and plans it; its message is still to be delivered.
    async fn begin(&mut self, act: Act) -> Result<Option<Open>, String> {
        let latest = |archive: usize| {
            let count = self.plain.archives.len();
            count.checked_sub(1 + archive % count.max(1))
        };
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
            created_at: action.created_at,
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
            },
            since: self.past.len() - 1,
        }))
    }

    /// Has the planner do what is next of an action.
    async fn drive(&self, action: &ActionId) -> Result<(), String> {
        let message = PlanMessage {
            tenant_id: self.tenant.clone(),
            action_id: action.clone(),
        };
        self.world.oubli.plan_step(&message).await.map_err(unforeseen)
    }

    /// Sends back a copy of an archive.
    async fn upload(&mut self, archive: usize) -> Result<usize, String> {
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

    async fn download(&mut self, number: usize) -> Result<(), String> {
        let count = self.plain.archives.len();
        let Some(archive) = count.checked_sub(1 + number % count.max(1)) else {
            return Ok(());
        };
        let archive = &self.plain.archives[archive];
        let link = self.world.oubli.archive_link(&self.tenant, &archive.id).await;
        let is_ready = archive.is_ready(self.world.now());
        match (link, is_ready) {
            (Ok(_), true) => self.count("download", "a link"),
            (Err(WorkflowError::ArchiveExpired), false) => self.count("download", "expired"),
            (link, _) => {
                return Err(format!(
                    "the link of an archive that is ready ({is_ready}): {link:?}"
                ));
            }
        }
        Ok(())
    }

    /// The janitor looks. Nothing of it may be seen of what lives.
    async fn sweep(&mut self, engines: bool) -> Result<(), String> {
        if engines {
            self.world.sweep_engines().await;
        }
        let swept = self.world.oubli.sweep().await.map_err(unforeseen)?;
        if swept.failures > 0 {
            return Err(format!("the janitor could not do it all: {swept:?}"));
        }
        self.learn_gone(engines).await?;
        self.compare_all().await
    }

    /// Learns which archives S3 has deleted: none too early, and not one too late.
    async fn learn_gone(&mut self, engines: bool) -> Result<(), String> {
        let now = self.world.now();
        let archives = self.world.keys_of("archives", &self.tenant).await;
        for archive in &mut self.plain.archives {
            let place = format!("/{}/", archive.id);
            archive.is_gone = !archives.iter().any(|key| key.contains(&place));
            let is_due = archive.expires_at.saturating_add(BROOM).unwrap() <= now;
            if archive.is_gone && now < archive.expires_at {
                return Err(format!("{} was deleted before its time", archive.id));
            }
            if engines && is_due && !archive.is_gone {
                return Err(format!("{} is still there after its time", archive.id));
            }
        }
        let uploads = self.world.keys_of("uploads", &self.tenant).await;
        for upload in &mut self.plain.uploads {
            let place = format!("/archives/{}", upload.id);
            upload.is_gone = !uploads.iter().any(|key| key.ends_with(&place));
        }
        Ok(())
    }

    async fn compare(&mut self, contact: usize) -> Result<(), String> {
        let seen = self
            .world
            .see(&self.tenant, &self.plain.contacts[contact].id)
            .await?;
        self.plain.compare(contact, seen.as_ref(), self.world.now())
    }

    async fn compare_all(&mut self) -> Result<(), String> {
        for contact in 0..self.plain.contacts.len() {
            self.compare(contact).await?;
        }
        Ok(())
    }
}

fn kind_of(open: &Open) -> ActionKind {
    open.work.kind()
}

fn outcome_of(verdict: Option<Verdict>) -> String {
    match verdict {
        None => "not ended".to_owned(),
        Some((ItemState::Done, _)) => "done".to_owned(),
        Some((state, reason)) => {
            let state = format!("{state:?}").to_lowercase();
            format!("{state}: {}", reason.map_or("no reason", |reason| reason.code()))
        }
    }
}

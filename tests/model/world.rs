//! Oubli itself, on engines in memory: asked and looked at, without HTTP in between.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use oubli_archive::saved;
use oubli_archive::signature::PublicKey;
use oubli_cloud::{Cloud, CloudSettings, ConnectOptions};
use oubli_domain::action::{ActionKind, Item};
use oubli_domain::archive::Archive;
use oubli_domain::contact::Contact;
use oubli_domain::message::{ItemMessage, NotifyMessage};
use oubli_domain::{ArchiveId, ContactId, DocumentId, Sha256, TenantId};
use oubli_local::clock::EngineClock;
use oubli_local::faults::FaultPlan;
use oubli_local::runner::RunnerOptions;
use oubli_local::s3::{StoredItem, StoredKind};
use oubli_tests::{START, Stack};
use oubli_workflows::{Clock, ItemBatch, Oubli, Upload};

use crate::plain::Content;
use crate::schedule::Job;

/// The two workers, as the engines see them.
pub(crate) const WORKERS: [&str; 2] = ["model-left", "model-right"];

struct Followed(EngineClock);

impl Clock for Followed {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

/// A contact as it was found.
pub(crate) struct Seen {
    pub(crate) contact: Contact,
    pub(crate) documents: BTreeMap<DocumentId, (String, Sha256)>,
}

/// An archive as it was found, opened and verified.
pub(crate) struct Opened {
    pub(crate) record: Archive,
    pub(crate) content: Content,
    pub(crate) bytes: Arc<Vec<u8>>,
}

/// One set of engines and three who call: members, and two workers.
pub(crate) struct World {
    stack: Stack,
    pub(crate) oubli: Oubli,
    pub(crate) workers: [Oubli; 2],
    pub(crate) cloud: Cloud,
    http: reqwest::Client,
    keys: Vec<PublicKey>,
    settings: BTreeMap<String, String>,
}

impl World {
    pub(crate) async fn start() -> Self {
        let clock = EngineClock::frozen(START.parse().unwrap());
        let stack = Stack::start_with(RunnerOptions::ephemeral(clock.clone())).await;
        let environment = &stack.runner.provisioned().environment;
        let settings: BTreeMap<_, _> = environment.values().flatten().collect();
        let settings: BTreeMap<String, String> = settings
            .into_iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let read = CloudSettings::read(&CloudSettings::ALL, |name| settings.get(name).cloned()).unwrap();
        let clock = Arc::new(Followed(clock));
        let connect = async |caller| {
            let options = ConnectOptions {
                endpoint_url: Some(stack.runner.aws_url().to_owned()),
                caller: Some(caller),
                first_backoff: Some(Duration::from_millis(20)),
            };
            let cloud = Cloud::connect(&read, &options).await;
            let oubli = Oubli::new(cloud.clone()).with_clock(clock.clone());
            // The key is read once a process: nobody must wait for one who sleeps over that.
            let keys = oubli.archive_keys().await.unwrap();
            (cloud, oubli, keys)
        };
        let (cloud, oubli, keys) = connect("model").await;
        let (_, left, _) = connect(WORKERS[0]).await;
        let (_, right, _) = connect(WORKERS[1]).await;
        Self {
            oubli,
            workers: [left, right],
            cloud,
            http: reqwest::Client::new(),
            keys: keys.into_iter().map(|key| key.public_key).collect(),
            settings,
            stack,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.stack.now()
    }

    pub(crate) fn pass(&self, time: SignedDuration) {
        self.stack.advance(time);
    }

    pub(crate) fn faults(&self) -> &FaultPlan {
        self.stack.engines().unwrap().faults()
    }

    /// What a worker does with the message of an item.
    pub(crate) fn work(&self, worker: usize, kind: ActionKind, message: &ItemMessage) -> Job {
        let (oubli, message) = (self.workers[worker].clone(), message.clone());
        Box::pin(async move {
            let batch = ItemBatch::default();
            match kind {
                ActionKind::Export => oubli.build_archive(&batch, &message, 1).await?,
                ActionKind::Anonymise => oubli.anonymise_item(&batch, &message, 1).await?,
                ActionKind::Restore => oubli.restore_item(&batch, &message, 1).await?,
            }
            oubli.finish_batch(&batch).await
        })
    }

    pub(crate) async fn item(&self, message: &ItemMessage) -> Option<Item> {
        let ItemMessage {
            tenant_id,
            action_id,
            chunk,
            item_id,
            recount: _,
        } = message;
        let item = self.cloud.item(tenant_id, action_id, *chunk, item_id).await;
        item.unwrap()
    }

    /// Sends bytes where a link says; answers whether S3 took them.
    pub(crate) async fn put(&self, upload: &Upload, bytes: Vec<u8>) -> bool {
        // The length of no bytes is told too: it is signed.
        let request = self.http.put(&upload.url);
        let mut request = request.header("content-length", bytes.len()).body(bytes);
        for (name, value) in &upload.headers {
            request = request.header(name, value);
        }
        request.send().await.unwrap().status().is_success()
    }

    /// Everything of a tenant that S3 holds in one bucket (`archives`, `documents`, `uploads`).
    pub(crate) async fn stored(&self, bucket: &str, tenant: &TenantId) -> Vec<StoredItem> {
        let bucket = &self.settings[&format!("OUBLI_{}_BUCKET", bucket.to_uppercase())];
        let all = self.stack.engines().unwrap().s3().inventory().await.unwrap();
        let of_tenant = format!("/{tenant}/");
        all.into_iter()
            .filter(|item| item.bucket == *bucket && item.key.contains(&of_tenant))
            .collect()
    }

    pub(crate) async fn keys_of(&self, bucket: &str, tenant: &TenantId) -> BTreeSet<String> {
        let stored = self.stored(bucket, tenant).await;
        stored.into_iter().map(|item| item.key).collect()
    }

    /// A contact, with its documents read from S3. `Err` when one is not there whole.
    pub(crate) async fn see(&self, tenant: &TenantId, id: &ContactId) -> Result<Option<Seen>, String> {
        let Some(contact) = self.cloud.contact(tenant, id).await.unwrap() else {
            return Ok(None);
        };
        let found = self.cloud.stored_documents(&contact.shelf()).await.unwrap();
        let mut documents = BTreeMap::new();
        if !found.is_empty() {
            let stored = self.stored("documents", tenant).await;
            for document in found {
                let key = match &contact.generation {
                    None => format!("documents/{tenant}/{id}/{}", document.id),
                    Some(generation) => format!("documents/{tenant}/{id}/{generation}/{}", document.id),
                };
                let bytes = bytes_of(&stored, &key).ok_or_else(|| format!("`{key}` is not in S3"))?;
                let name = document.fields.name.expose().clone();
                documents.insert(document.id, (name, Sha256::of(&bytes)));
            }
        }
        Ok(Some(Seen { contact, documents }))
    }

    /// An archive that is said to be ready, verified to its last byte.
    pub(crate) async fn open(&self, tenant: &TenantId, id: &ArchiveId) -> Result<Opened, String> {
        let record = self.cloud.archive(tenant, id).await.unwrap();
        let record = record.ok_or("an archive without a record")?;
        let stored = self.stored("archives", tenant).await;
        let bytes = bytes_of(&stored, &record.object_key).ok_or("an archive without an object")?;
        if (bytes.len() as u64, Sha256::of(&bytes)) != (record.size_bytes, record.sha256) {
            return Err("an archive that is not what its record says".to_owned());
        }
        let opened = saved::open(Cursor::new(bytes.as_slice()), &self.keys, tenant);
        let opened = opened.map_err(|refusal| format!("an archive that is refused: {refusal}"))?;
        let contact = opened.contact();
        if (&contact.id, contact.version) != (&record.contact_id, record.contact_version) {
            return Err("an archive of another contact or version than its record says".to_owned());
        }
        let documents = opened.documents().iter().map(|document| {
            let name = document.name.expose().clone();
            (document.id.clone(), (name, document.sha256))
        });
        let content = Content {
            fields: contact.fields.clone(),
            documents: documents.collect(),
            created_at: contact.created_at,
            updated_at: contact.updated_at,
        };
        Ok(Opened {
            record,
            content,
            bytes: Arc::new(bytes),
        })
    }

    /// S3 and DynamoDB remove what is due, and S3 tells of it.
    pub(crate) async fn sweep_engines(&self) {
        self.stack.sweep_storage().await;
    }

    /// Sends what mails there are. They are no part of the model; unsent ones would only pile up in the
    /// janitor's list.
    pub(crate) async fn send_mails(&self, tenant: &TenantId) -> Result<(), String> {
        let queues = self.stack.engines().unwrap().queues();
        let mut mails = BTreeSet::new();
        for name in queues.names().iter().filter(|name| name.contains("notifier")) {
            for body in queues.bodies(name) {
                let message: NotifyMessage = serde_json::from_str(&body).unwrap();
                if message.tenant_id == *tenant && mails.insert(message.mail_id.clone()) {
                    let sent = self.oubli.send_mail(&message).await;
                    sent.map_err(|error| format!("a mail is not sent: {error:?}"))?;
                }
            }
        }
        Ok(())
    }
}

/// The bytes of an object, read from where the engine keeps them.
fn bytes_of(stored: &[StoredItem], key: &str) -> Option<Vec<u8>> {
    let is_object = |item: &&StoredItem| matches!(item.kind, StoredKind::Version { .. }) && item.key == key;
    let item = stored.iter().find(is_object)?;
    let parts = item.paths.iter().map(|path| std::fs::read(path).unwrap());
    Some(parts.collect::<Vec<_>>().concat())
}

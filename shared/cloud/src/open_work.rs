//! What must still move, and when to look at it again: the sparse index that the janitor reads.

use jiff::{SignedDuration, Timestamp};
use oubli_domain::{ActionId, ArchiveId, MailId, TenantId};

use crate::connect::Cloud;
use crate::error::CloudError;
use crate::expression::{Attributes, Condition, Update, text};
use crate::items::{self, key_of};
use crate::keys::{self, Key};
use crate::purges::Purge;
use crate::table::Query;

/// Over how many partitions the index is spread.
pub const SHARDS: u8 = 8;

/// How long after one look at a thing the janitor looks again, if it still has to move.
const NEXT_LOOK: SignedDuration = SignedDuration::from_mins(10);

/// Something that must still move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenWork {
    /// An action that has not ended.
    Action(TenantId, ActionId),
    /// A chunk that is handed out and has not ended.
    Chunk(TenantId, ActionId, u32),
    /// A mail that is not sent.
    Mail(TenantId, ActionId, MailId),
    /// An archive whose time has come, or whose object is to be seen gone.
    Archive(TenantId, ArchiveId),
    /// Objects to be deleted.
    Purge(Purge),
}

/// The attributes that put an item into the index.
pub(crate) fn attributes(key: &Key, due: Timestamp) -> Attributes {
    let (pk, sk) = index_key(key, due);
    Attributes::from([
        ("open_work_pk".to_owned(), text(pk)),
        ("open_work_sk".to_owned(), text(sk)),
    ])
}

fn index_key(key: &Key, due: Timestamp) -> (String, String) {
    let shard = oubli_domain::Sha256::of(format!("{}{}", key.pk, key.sk).as_bytes());
    let shard = shard.as_bytes().first().copied().unwrap_or(0) % SHARDS;
    (
        format!("OPEN#{shard}"),
        format!("{}#{}#{}", keys::sortable(due), key.pk, key.sk),
    )
}

impl Update {
    /// Keeps the item in the index, to be looked at when `due`.
    #[must_use]
    pub(crate) fn look_again(self, due: Timestamp) -> Self {
        let (pk, sk) = index_key(&self.key, due);
        self.set("open_work_pk", text(pk)).set("open_work_sk", text(sk))
    }

    /// Takes the item out of the index.
    #[must_use]
    pub(crate) fn close(self) -> Self {
        self.remove("open_work_pk").remove("open_work_sk")
    }
}

impl OpenWork {
    fn key(&self) -> Key {
        match self {
            Self::Action(tenant, action) => keys::action(tenant, action),
            Self::Chunk(tenant, action, chunk) => keys::chunk(tenant, action, *chunk),
            Self::Mail(tenant, action, mail) => keys::mail(tenant, action, mail),
            Self::Archive(tenant, archive) => keys::archive(tenant, archive),
            Self::Purge(purge) => purge.key(),
        }
    }
}

/// What is due in one shard.
#[derive(Clone, Debug, Default)]
pub struct Due {
    /// What must move, oldest first.
    pub work: Vec<OpenWork>,
    /// How many entries could not be read; they stay due.
    pub unread: u64,
}

/// What an entry of the index leads to.
enum Entry {
    Open(OpenWork),
    Closed,
    Corrupt,
}

impl Cloud {
    /// Puts off the next look at something, before anything is done about it: what fails again and
    /// again must not stand before what is due after it.
    ///
    /// # Errors
    /// [`CloudError`] when DynamoDB fails.
    pub async fn put_off(&self, work: &OpenWork, now: Timestamp) -> Result<(), CloudError> {
        let due = now.saturating_add(NEXT_LOOK).unwrap_or(now);
        let update = Update::of(work.key())
            .look_again(due)
            .when(Condition::Present("open_work_pk"));
        // Refused: it was closed a moment ago.
        self.requests.update(update).await.map(|_| ())
    }

    /// What is due in one shard of the index, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`CloudError`] when DynamoDB fails.
    pub async fn open_work(&self, shard: u8, now: Timestamp, limit: u32) -> Result<Due, CloudError> {
        let query = Query {
            index: Some("open_work"),
            partition: ("open_work_pk", format!("OPEN#{shard}")),
            range: Some(Condition::Less(
                "open_work_sk",
                text(format!("{}$", keys::sortable(now))),
            )),
            ..Query::partition(String::new())
        };
        let (found, _) = self.requests.query_page(query, Some(limit)).await?;
        let mut due = Due::default();
        for keys in &found {
            // One that cannot be read must not hide the others.
            match self.work_at(keys).await {
                Ok(Entry::Open(found)) => due.work.push(found),
                Ok(Entry::Closed) => {}
                Ok(Entry::Corrupt) => {
                    tracing::error!(shard, "an entry of the open work cannot be read");
                    due.unread += 1;
                }
                Err(error) => {
                    tracing::warn!(shard, %error, "an entry of the open work was not read");
                    due.unread += 1;
                }
            }
        }
        Ok(due)
    }

    async fn work_at(&self, keys: &Attributes) -> Result<Entry, CloudError> {
        let Some(key) = key_of(keys) else {
            return Ok(Entry::Corrupt);
        };
        if !key.pk.contains("#PURGE#") {
            return Ok(parse(&key).map_or(Entry::Corrupt, Entry::Open));
        }
        // A purge is small and says itself what it is about.
        Ok(match self.requests.get(&key).await? {
            // It was done a moment ago: the index follows the table with a delay.
            None => Entry::Closed,
            Some(note) => {
                items::read("purge", note).map_or(Entry::Corrupt, |note| Entry::Open(OpenWork::Purge(note)))
            }
        })
    }
}

fn parse(key: &Key) -> Option<OpenWork> {
    let mut parts = key.pk.split('#');
    let (Some("T"), Some(tenant), Some(kind), Some(id)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let tenant = TenantId::parse(tenant).ok()?;
    if kind == "R" {
        return Some(OpenWork::Archive(tenant, ArchiveId::parse(id).ok()?));
    }
    let action = ActionId::parse(id).ok()?;
    match key.sk.split_once('#') {
        None if key.sk == "ACTION" => Some(OpenWork::Action(tenant, action)),
        Some(("CHUNK", number)) => Some(OpenWork::Chunk(tenant, action, number.parse().ok()?)),
        Some(("MAIL", mail)) => Some(OpenWork::Mail(tenant, action, MailId::parse(mail).ok()?)),
        _ => None,
    }
}

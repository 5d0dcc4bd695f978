//! The audit of a tenant: entries that are put once, on condition that none is there, and never changed.
//!
//! They stand in several partitions, as ten days after a mass export very many are written at once, and are
//! read from all of them together.

use aws_sdk_dynamodb::types::TransactWriteItem;
use futures::future::try_join_all;
use jiff::Timestamp;
use oubli_domain::TenantId;
use oubli_domain::audit::{AuditEntry, kept_until};

use crate::connect::Cloud;
use crate::error::CloudError;
use crate::expression::{Condition, number, text};
use crate::items::{self, text_of};
use crate::keys;
use crate::table::{ListPage, Query};

impl Cloud {
    /// The write of an entry, for a transaction.
    pub(crate) fn audit_write(&self, entry: &AuditEntry) -> Result<TransactWriteItem, CloudError> {
        let key = keys::audit(&entry.tenant_id, entry.at, &entry.id);
        let mut attributes = items::with_key(items::write("audit entry", entry)?, &key);
        attributes.insert("ttl".to_owned(), number(kept_until(entry.at).as_second()));
        self.requests.put_write(attributes, Some(Condition::Absent("pk")))
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// [`CloudError`] when DynamoDB fails; as all methods here.
    pub async fn add_audit_entry(&self, entry: &AuditEntry) -> Result<(), CloudError> {
        let writes = vec![self.audit_write(entry)?];
        // Refused, it is there: its id is nobody else's.
        self.requests.transact(writes).await.map(|_| ())
    }

    /// A page of a tenant's entries that are still kept, newest first, after a position.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn audit_entries(
        &self,
        tenant: &TenantId,
        position: Option<&str>,
        limit: u32,
        now: Timestamp,
    ) -> Result<ListPage<AuditEntry>, CloudError> {
        let pages = (0..keys::AUDIT_SHARDS).map(|shard| {
            let query = Query {
                range: position.map(|position| Condition::Less("sk", text(position))),
                backwards: true,
                ..Query::partition(keys::audit_partition(tenant, shard))
            };
            self.requests.query_filled(query, limit)
        });
        let (mut found, mut more) = (Vec::new(), false);
        for (entries, has_more) in try_join_all(pages).await? {
            more |= has_more;
            for attributes in entries {
                let position = text_of(&attributes, "sk").unwrap_or_default().to_owned();
                found.push((position, items::read::<AuditEntry>("audit entry", attributes)?));
            }
        }
        found.sort_by(|(one, _), (other, _)| other.cmp(one));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        more |= found.len() > limit;
        found.truncate(limit);
        let read = found.len();
        // What is over the time is the oldest, and goes a little later by itself.
        found.retain(|(_, entry)| now < kept_until(entry.at));
        let last = found.last().map(|(position, _)| position.clone());
        Ok(ListPage {
            next: last.filter(|_| more && found.len() == read),
            items: found.into_iter().map(|(_, entry)| entry).collect(),
        })
    }

    /// How many entries are kept of a tenant; counted up to a little over 10,000 in each partition.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn count_audit_entries(&self, tenant: &TenantId, now: Timestamp) -> Result<u64, CloudError> {
        let counts = (0..keys::AUDIT_SHARDS).map(|shard| {
            let query = Query {
                filter: Some(Condition::Greater("ttl", number(now.as_second()))),
                ..Query::partition(keys::audit_partition(tenant, shard))
            };
            self.requests.count(query)
        });
        Ok(try_join_all(counts).await?.into_iter().sum())
    }
}

#[cfg(test)]
mod tests {
    use oubli_domain::audit::AuditEvent;
    use oubli_domain::{ArchiveId, AuditEntryId, ContactId};

    use super::*;
    use crate::connect::{CloudSettings, ConnectOptions};

    /// What IAM cannot demand of a put (see `AuditPolicy` in `template.yaml`).
    #[tokio::test]
    async fn no_entry_is_put_over_another() {
        let settings = CloudSettings::read(&[CloudSettings::REQUESTS_TABLE], |_| Some("requests".to_owned()));
        let options = ConnectOptions {
            endpoint_url: Some("http://127.0.0.1:9".to_owned()),
            ..ConnectOptions::default()
        };
        let cloud = Cloud::connect(&settings.unwrap(), &options).await;
        let entry = AuditEntry {
            tenant_id: TenantId::parse("demo").unwrap(),
            id: AuditEntryId::parse("e").unwrap(),
            at: "2026-11-02T09:00:00Z".parse().unwrap(),
            event: AuditEvent::ArchiveGone {
                archive_id: ArchiveId::parse("r").unwrap(),
                contact_id: ContactId::parse("c").unwrap(),
            },
        };
        let write = cloud.audit_write(&entry).unwrap();
        assert!(write.update.is_none() && write.delete.is_none());
        let put = write.put.unwrap();
        assert_eq!(put.condition_expression(), Some("attribute_not_exists(#pk)"));
        let partition = put.item()["pk"].as_s().unwrap();
        // What the policy forbids to change is told by this beginning.
        assert!(partition.starts_with("T#demo#AUDIT#"), "{partition}");
        assert_eq!(put.item()["ttl"].as_n().unwrap(), "1888304400");
    }
}

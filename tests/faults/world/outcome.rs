//! What must be there in the end, and what must not.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::ops::RangeInclusive;

use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use oubli_domain::Sha256;
use oubli_local::s3::{StoredItem, StoredKind};
use serde_json::Value;

use super::World;

/// How an action is to end.
pub(crate) struct Want {
    pub(crate) state: &'static str,
    pub(crate) total: u64,
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    pub(crate) mails: RangeInclusive<usize>,
}

impl Want {
    /// Everything done, one mail.
    pub(crate) fn completed(total: u64) -> Self {
        Self {
            state: "completed",
            total,
            done: total,
            failed: 0,
            skipped: 0,
            mails: 1..=1,
        }
    }

    /// Everything failed, so many mails.
    pub(crate) fn failed(total: u64, mails: usize) -> Self {
        Self {
            state: "failed",
            total,
            done: 0,
            failed: total,
            skipped: 0,
            mails: mails..=mails,
        }
    }
}

impl World {
    /// The sort keys of what the janitor still has to look at for an action.
    pub(crate) async fn open(&self, action: &str) -> Vec<String> {
        let found = self
            .tables
            .query()
            .table_name(self.setting("OUBLI_REQUESTS_TABLE"))
            .key_condition_expression("pk = :pk")
            .filter_expression("attribute_exists(open_work_pk)")
            .expression_attribute_values(":pk", AttributeValue::S(format!("T#demo#A#{action}")))
            .consistent_read(true)
            .send()
            .await
            .unwrap();
        let sort_key = |item: BTreeMap<String, AttributeValue>| item["sk"].as_s().unwrap().clone();
        found
            .items
            .unwrap_or_default()
            .into_iter()
            .map(|item| sort_key(item.into_iter().collect()))
            .collect()
    }

    /// How many mails there are about an action.
    pub(crate) fn mails_about(&self, action: &str) -> usize {
        let about = |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains(action));
        let mails = self.engines().mails().outbox();
        mails.iter().filter(|mail| about(&mail.text)).count()
    }

    /// What is in a bucket (`archives`, `documents`, `uploads`).
    pub(crate) async fn stored(&self, bucket: &str) -> Vec<StoredItem> {
        let Some(engines) = self.stack.runner.engines() else {
            return self.listed(bucket).await;
        };
        let all = engines.s3().inventory().await.unwrap();
        let here = |item: &StoredItem| item.bucket.contains(bucket);
        all.into_iter().filter(here).collect()
    }

    /// The objects of a bucket, as another endpoint lists them; it does not show where it keeps them.
    async fn listed(&self, bucket: &str) -> Vec<StoredItem> {
        let bucket = self.setting(&format!("OUBLI_{}_BUCKET", bucket.to_uppercase()));
        let pages = self
            .objects
            .list_objects_v2()
            .bucket(bucket)
            .into_paginator()
            .send();
        let pages: Vec<_> = pages.try_collect().await.unwrap();
        let objects = pages
            .into_iter()
            .flat_map(|page| page.contents.unwrap_or_default());
        objects
            .map(|object| StoredItem {
                bucket: bucket.to_owned(),
                key: object.key.unwrap(),
                kind: StoredKind::Version {
                    id: String::new(),
                    is_latest: true,
                    is_delete_marker: false,
                },
                paths: Vec::new(),
            })
            .collect()
    }

    /// That no message was needed more often than four times: once, and three times again.
    pub(crate) fn expect_few_deliveries(&self) {
        for (message, count) in self.take_deliveries() {
            assert!(count <= 4, "{message:?} was delivered {count} times");
        }
    }

    /// That an action has ended so, with these counts and mails, in its record and in its items. Answers
    /// the items.
    pub(crate) async fn expect_ended(&self, action: &str, want: &Want) -> Vec<Value> {
        let ended = self.stack.action(action).await;
        assert_eq!(ended["state"], want.state, "{ended}");
        let counts = ["total", "done", "failed", "skipped"].map(|count| ended[count].as_u64().unwrap());
        assert_eq!(
            counts,
            [want.total, want.done, want.failed, want.skipped],
            "{ended}"
        );
        let items = self.stack.items(action).await;
        assert_eq!(items.len() as u64, want.total);
        let in_state = |state: &str| items.iter().filter(|item| item["state"] == state).count() as u64;
        assert_eq!(
            ["done", "failed", "skipped"].map(in_state),
            [want.done, want.failed, want.skipped]
        );
        // Another endpoint does not show what it sent.
        if self.stack.runner.engines().is_some() {
            let mails = self.mails_about(action);
            assert!(want.mails.contains(&mails), "{mails} mails about {action}");
        }
        items
    }

    /// That an export has ended so, as [`World::expect_ended`], and that all its archives are whole, the
    /// only ones of their items, and can be downloaded. Answers the archives' bytes by contact.
    pub(crate) async fn expect(&self, action: &str, want: &Want) -> BTreeMap<String, Bytes> {
        let items = self.expect_ended(action, want).await;
        let mut archives = BTreeMap::new();
        let stored = self.stored("archives").await;
        for item in &items {
            if item["state"] != "done" {
                assert!(item.get("archive").is_none(), "{item}");
                continue;
            }
            let archive = &item["archive"];
            assert_eq!(archive["state"], "ready", "{item}");
            let id = archive["id"].as_str().unwrap();
            let places: Vec<_> = stored.iter().filter(|item| item.key.contains(id)).collect();
            assert_eq!(places.len(), 1, "{places:?}");
            assert!(matches!(places[0].kind, StoredKind::Version { .. }), "{places:?}");
            let bytes = self.stack.archive(id).await;
            assert_eq!(archive["size_bytes"], bytes.len());
            assert_eq!(archive["sha256"], Sha256::of(&bytes).to_string());
            self.verify(&bytes);
            let contact = item["contact_id"].as_str().unwrap().to_owned();
            assert!(archives.insert(contact, bytes).is_none(), "a contact twice");
        }
        archives
    }

    pub(super) fn verify(&self, archive: &Bytes) {
        let sha256 = Sha256::of(archive).to_string();
        if self.verified.lock().unwrap().contains(&sha256) {
            return;
        }
        let mut faulty = Vec::new();
        let verified = oubli_archive::verify::verify(Cursor::new(archive.clone()), &[], |verdict| {
            if verdict.fault.is_some() {
                faulty.push(verdict.name.to_owned());
            }
        });
        assert!(verified.unwrap().faults == 0 && faulty.is_empty(), "{faulty:?}");
        self.verified.lock().unwrap().insert(sha256);
    }

    /// That the bucket of archives holds those of these actions, whole, and nothing else.
    pub(crate) async fn expect_no_orphans(&self, actions: &[&str]) {
        let mut expected = BTreeSet::new();
        for action in actions {
            for item in self.stack.items(action).await {
                if let Some(id) = item["archive"]["id"].as_str() {
                    expected.insert(id.to_owned());
                }
            }
        }
        let mut found = BTreeSet::new();
        for item in self.stored("archives").await {
            let id = item.key.split('/').nth(2).unwrap().to_owned();
            assert!(expected.contains(&id), "{item:?} belongs to nobody");
            assert!(found.insert(id), "{item:?} is one too many");
        }
        assert_eq!(found, expected);
    }
}

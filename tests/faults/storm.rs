//! Exports, anonymisations and restores over many contacts, side by side: every message twice, in any order,
//! some lost, workers that die; round after round until so many deliveries were made. A plain model says how
//! each item must end.
//!
//! `OUBLI_STORM_DELIVERIES=10000` for more, `OUBLI_STORM_SEED` for others.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use reqwest::StatusCode;
use serde_json::json;

use crate::world::{ANONYMISER, BUILDER, Feed, JANITOR, PLANNER, RESTORER, Random, Want, World};

/// Who dies. The notifier does not: between the mail service's yes and the record of it a second copy
/// would be possible.
const MORTALS: [&str; 5] = [PLANNER, BUILDER, ANONYMISER, RESTORER, JANITOR];
const KINDS: [&str; 3] = ["export", "anonymise", "restore"];

/// What the model knows of a contact.
#[derive(Clone, Debug)]
struct Known {
    is_active: bool,
    version: u64,
    /// Of which version there is an archive.
    archived: Option<u64>,
    documents: usize,
}

impl Known {
    /// How an item of this kind must end; the contact is as it is then.
    fn apply(&mut self, kind: &str) -> (&'static str, Option<&'static str>) {
        match kind {
            "export" if self.is_active => {
                self.archived = Some(self.version);
                ("done", None)
            }
            "export" => ("failed", Some("already_anonymised")),
            "anonymise" if !self.is_active => ("skipped", Some("already_anonymised")),
            "anonymise" => match self.archived {
                None => ("failed", Some("no_current_archive")),
                Some(version) if version != self.version => ("failed", Some("contact_changed")),
                Some(_) => {
                    self.is_active = false;
                    self.version += 1;
                    ("done", None)
                }
            },
            _ if self.is_active => ("skipped", Some("not_anonymised")),
            _ => {
                self.is_active = true;
                self.version += 1;
                self.archived = None;
                ("done", None)
            }
        }
    }

    /// What gets on with its life.
    fn next(&self) -> usize {
        match (self.is_active, self.archived == Some(self.version)) {
            (true, false) => 0,
            (true, true) => 1,
            (false, _) => 2,
        }
    }
}

#[derive(Default)]
struct Tally {
    deliveries: usize,
    killed: usize,
    lost: usize,
    exported: usize,
    anonymised: usize,
    restored: usize,
    actions: usize,
    rounds: usize,
    ends: BTreeMap<String, usize>,
}

struct Storm {
    world: World,
    random: Random,
    known: BTreeMap<String, Known>,
    tally: Tally,
}

impl Storm {
    async fn gather(seed: u64, contacts: usize) -> Option<Self> {
        let world = World::start().await?;
        let mut known = BTreeMap::new();
        for number in 0..contacts {
            let documents = number % 3;
            let body = json!({ "last_name": format!("Storm{number}"), "first_name": "Chloé" });
            let contact = world.stack.contact(body).await;
            for document in 0..documents {
                let bytes = Random(document as u64).bytes(100 + number);
                world.attach(&contact, "pièce.bin", false, &bytes).await;
            }
            let version = 1 + documents as u64;
            known.insert(
                contact,
                Known {
                    is_active: true,
                    version,
                    archived: None,
                    documents,
                },
            );
        }
        Some(Self {
            world,
            random: Random(seed),
            known,
            tally: Tally::default(),
        })
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.random.below(100) < percent
    }

    /// Some contacts are edited, so that their archives are of the past.
    async fn edit(&mut self) {
        let contacts: Vec<String> = self.known.keys().cloned().collect();
        for contact in contacts {
            let is_active = self.known[&contact].is_active;
            if is_active && self.chance(4) {
                let name = format!("Edited{}", self.random.below(1_000));
                let edited = self.world.rename(&contact, &name).await;
                assert_eq!(edited, StatusCode::OK);
                self.known.get_mut(&contact).unwrap().version += 1;
            }
        }
    }

    /// The contacts of the three actions: most get on with their lives, some are asked for the impossible.
    fn selections(&mut self) -> [Vec<String>; 3] {
        let mut selections = [Vec::new(), Vec::new(), Vec::new()];
        let mut contacts: Vec<String> = self.known.keys().cloned().collect();
        self.random.shuffle(&mut contacts);
        for contact in contacts {
            let apt = self.known[&contact].next();
            let kind = if self.chance(85) {
                apt
            } else {
                usize::try_from(self.random.below(3)).unwrap()
            };
            selections[kind].push(contact);
        }
        selections
    }

    /// Two copies of each message, four workers, deaths before and after calls of each function, and the
    /// first message of some functions lost.
    fn feed(&mut self) -> Feed {
        self.world.engines().faults().clear();
        let mut feed = Feed {
            workers: 4,
            sheltered: vec!["notifier"],
            ..Feed::twice(self.random.next())
        };
        for caller in MORTALS {
            for _ in 0..2 {
                let (nth, after) = (self.random.below(150) + 1, self.chance(50));
                feed.kills.push(self.world.hold(caller, "*", nth, after));
            }
        }
        for function in [
            "bulk-planner",
            "archive-builder",
            "anonymiser",
            "restorer",
            "notifier",
        ] {
            if self.chance(20) {
                feed.lose.insert(function.to_owned());
            }
        }
        feed
    }

    async fn round(&mut self) {
        self.edit().await;
        let selections = self.selections();
        let mut actions = BTreeMap::new();
        for (kind, contacts) in KINDS.into_iter().zip(selections) {
            if !contacts.is_empty() {
                let selection = json!({ "contact_ids": contacts });
                let action = self.world.start_action(kind, selection).await;
                actions.insert(action, (kind, contacts));
            }
        }
        let mut feed = self.feed();
        // Of a function that has no work nothing can get lost.
        let has = |wanted: &str| actions.values().any(|(kind, _)| *kind == wanted);
        for (function, kind) in [
            ("archive-builder", "export"),
            ("anonymiser", "anonymise"),
            ("restorer", "restore"),
        ] {
            if !has(kind) {
                feed.lose.remove(function);
            }
        }
        self.tally.lost += feed.lose.len();
        let ids: Vec<&str> = actions.keys().map(String::as_str).collect();
        self.world.settle(&mut feed, &ids).await;
        self.world.engines().faults().clear();
        self.world.clear_up(&mut feed).await;
        self.tally.killed += feed.killed;
        self.tally.rounds += 1;
        self.tally.deliveries += self.world.take_deliveries().values().sum::<usize>();
        for (action, (kind, contacts)) in actions {
            self.check_action(&action, kind, &contacts).await;
        }
        self.check_contacts().await;
    }

    /// Every item has ended as the model says, and is counted once; one mail.
    async fn check_action(&mut self, action: &str, kind: &str, contacts: &[String]) {
        let mut ends = BTreeMap::new();
        let mut counts = BTreeMap::from([("done", 0), ("failed", 0), ("skipped", 0)]);
        for contact in contacts {
            let end = self.known.get_mut(contact).unwrap().apply(kind);
            *counts.get_mut(end.0).unwrap() += 1;
            let name = format!("{kind} {} {}", end.0, end.1.unwrap_or_default());
            *self.tally.ends.entry(name).or_default() += 1;
            ends.insert(contact.as_str(), end);
        }
        let (done, failed) = (counts["done"], counts["failed"]);
        let total = contacts.len() as u64;
        let want = Want {
            state: match failed {
                0 => "completed",
                failed if failed == total => "failed",
                _ => "completed_with_failures",
            },
            done,
            failed,
            skipped: counts["skipped"],
            ..Want::completed(total)
        };
        let items = self.world.expect_ended(action, &want).await;
        for item in &items {
            let contact = item["contact_id"].as_str().unwrap();
            let found = (item["state"].as_str().unwrap(), item["reason"].as_str());
            assert_eq!(ends.remove(contact), Some(found), "{kind} {item}");
        }
        assert!(ends.is_empty(), "without items: {ends:?}");
        let done = usize::try_from(done).unwrap();
        match kind {
            "export" => self.tally.exported += done,
            "anonymise" => self.tally.anonymised += done,
            _ => self.tally.restored += done,
        }
        self.tally.actions += 1;
    }

    /// Every contact is in the state and version of the model, with its documents, and nothing else is kept.
    async fn check_contacts(&self) {
        let world = &self.world;
        let mut shelved: BTreeMap<String, usize> = BTreeMap::new();
        for item in world.stored("documents").await {
            let contact = item.key.split('/').nth(2).unwrap().to_owned();
            *shelved.entry(contact).or_default() += 1;
        }
        for (contact, known) in &self.known {
            let pk = format!("T#demo#C#{contact}");
            let held = world.partition("OUBLI_CONTACTS_TABLE", &pk).await;
            let record = &held["CONTACT"];
            let state = if known.is_active { "active" } else { "anonymised" };
            assert_eq!(record["state"], state, "{known:?} {record}");
            assert_eq!(record["version"], known.version, "{known:?} {record}");
            assert!(record.get("hold").is_none(), "{record}");
            let documents = if known.is_active { known.documents } else { 0 };
            let records = held.keys().filter(|sk| sk.contains("DOC#")).count();
            assert_eq!(records, documents, "{held:?}");
            assert_eq!(shelved.get(contact).copied().unwrap_or(0), documents, "{record}");
            let name = record["last_name"].as_str().unwrap();
            assert_eq!(name == "XXXXX", !known.is_active, "{record}");
        }
        assert_eq!(world.aliases().await, self.tally.anonymised);
        assert_eq!(world.stored("archives").await.len(), self.tally.exported);
        assert!(world.stored("uploads").await.is_empty());
        let notes = world.purge_notes().await;
        assert!(notes.is_empty(), "{notes:?}");
        let dead: Vec<_> = world.engines().queues().names();
        let dead = dead.into_iter().filter(|name| name.contains("dead-letter"));
        let bodies: BTreeSet<String> = dead
            .flat_map(|name| world.engines().queues().bodies(&name))
            .collect();
        assert!(bodies.is_empty(), "{bodies:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_messages_in_disorder_lose_and_double_nothing() {
    let number = |name: &str, otherwise| {
        let given = std::env::var(name).ok();
        given.map_or(otherwise, |text| text.parse::<u64>().unwrap())
    };
    let wanted = usize::try_from(number("OUBLI_STORM_DELIVERIES", 1_500)).unwrap();
    let seed = number("OUBLI_STORM_SEED", 1);
    let contacts = if wanted > 5_000 { 250 } else { 70 };
    let Some(mut storm) = Storm::gather(seed, contacts).await else {
        return;
    };
    let begun = storm.world.stack.now();
    while storm.tally.deliveries < wanted {
        storm.round().await;
        // The model knows of no archive that is over.
        let passed = storm.world.stack.now().duration_since(begun);
        assert!(passed < SignedDuration::from_hours(230), "{passed:?}");
    }
    let tally = &storm.tally;
    assert!(tally.killed >= tally.rounds, "{} deaths", tally.killed);
    assert!(tally.anonymised > contacts && tally.restored > contacts / 2);
    println!(
        "seed {seed}: {} deliveries, {} deaths, {} lost messages, {} rounds, {} actions, {} exported, \
         {} anonymised, {} restored; {:?}",
        tally.deliveries,
        tally.killed,
        tally.lost,
        tally.rounds,
        tally.actions,
        tally.exported,
        tally.anonymised,
        tally.restored,
        tally.ends
    );
}

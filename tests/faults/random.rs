//! Faults at random at every call of every function, with duplicates and deaths. The seed of a failing
//! run is printed; `OUBLI_FAULTS_SEED` runs it again, and `OUBLI_FAULTS_SEEDS=100` tries so many.

use futures::StreamExt as _;
use oubli_local::faults::{Call, Fault, Outcome};
use reqwest::StatusCode;
use serde_json::json;

use crate::world::{ANONYMISER, BUILDER, Feed, JANITOR, NOTIFIER, PLANNER, RESTORER, Random, Want, World};

const CALLERS: [&str; 6] = [PLANNER, BUILDER, ANONYMISER, RESTORER, NOTIFIER, JANITOR];

/// A world with contacts, and faults drawn from a seed.
struct Storm {
    world: World,
    random: Random,
    contacts: Vec<String>,
}

impl Storm {
    async fn gather(seed: u64) -> Option<Self> {
        let world = World::start().await?;
        let mut random = Random(seed);
        let mut contacts = Vec::new();
        for number in 0..10 {
            let mut documents = Vec::new();
            for _ in 0..random.below(4) {
                let size = usize::try_from(random.below(40_000)).unwrap();
                documents.push(random.bytes(size));
            }
            let slices: Vec<&[u8]> = documents.iter().map(Vec::as_slice).collect();
            contacts.push(world.contact_with(&format!("Random{number}"), &slices).await);
        }
        Some(Self {
            world,
            random,
            contacts,
        })
    }

    /// Begins anew to do harm.
    fn rage(&mut self) -> Feed {
        let (world, random) = (&self.world, &mut self.random);
        let faults = world.engines().faults();
        faults.clear();
        let mut feed = Feed {
            workers: 4,
            ..Feed::twice(random.next())
        };
        for caller in CALLERS {
            for outcome in [Outcome::Error, Outcome::Throttle, Outcome::LostReply] {
                let may_send_twice = matches!(outcome, Outcome::LostReply);
                let fault = Fault::on("*", outcome).from_caller(caller);
                // Who does not hear the mail service's yes has to ask again.
                let fault =
                    fault.only_if(move |call: &Call| !may_send_twice || call.operation != "SES.SendEmail");
                faults.inject(fault.with_probability(0.02, random.next()));
            }
        }
        for _ in 0..6 {
            let caller = CALLERS[usize::try_from(random.below(CALLERS.len() as u64)).unwrap()];
            let (nth, after) = (random.below(60) + 1, random.below(2) == 0);
            feed.kills.push(world.hold(caller, "*", nth, after));
        }
        feed
    }

    /// Exports, and nothing else.
    async fn export(mut self) {
        let action = self.world.start_export(&self.contacts).await;
        let mut feed = self.rage();
        self.world.settle(&mut feed, &[&action]).await;
        self.world.engines().faults().clear();
        let want = Want {
            mails: 1..=1 + feed.killed,
            ..Want::completed(10)
        };
        let archives = self.world.expect(&action, &want).await;
        assert_eq!(archives.len(), 10);
        self.world.expect_no_orphans(&[&action]).await;
    }

    /// Some contacts go and come back.
    async fn whole_life(mut self) {
        self.contacts.truncate(5);
        let mut persons = Vec::new();
        for contact in &self.contacts {
            persons.push(self.world.person(contact).await.unwrap());
        }
        for kind in ["export", "anonymise", "restore"] {
            let selection = json!({ "contact_ids": self.contacts });
            let action = self.world.start_action(kind, selection).await;
            let mut feed = self.rage();
            self.world.settle(&mut feed, &[&action]).await;
            self.world.engines().faults().clear();
            self.world.clear_up(&mut feed).await;
            let want = Want {
                mails: 1..=1 + feed.killed,
                ..Want::completed(5)
            };
            self.world.expect_ended(&action, &want).await;
            for (contact, person) in self.contacts.iter().zip(&persons) {
                let record = self.world.record(contact).await.unwrap();
                let shelved = self.world.shelved(contact).await.len();
                if kind == "anonymise" {
                    assert_eq!(record["state"], "anonymised");
                    assert_eq!(shelved, 0);
                    assert_eq!(&self.world.person_archived(contact).await, person);
                } else {
                    assert_eq!(record["state"], "active");
                    assert_eq!(shelved, person.documents.len());
                    assert_eq!(self.world.person(contact).await.as_ref(), Some(person));
                }
            }
        }
    }

    /// A member stops the export somewhere, and retries, twice.
    async fn export_with_members(mut self) {
        self.contacts
            .extend((0..4).map(|number| format!("absent-{number}")));
        let action = self.world.start_export(&self.contacts).await;
        let mut feed = self.rage();
        self.world.feed_some(&mut feed).await;
        let mut runs = 1;
        let mut killed = 0;
        for _ in 0..2 {
            // Too late, perhaps.
            self.world.ask(&action, "stop").await;
            self.world.settle(&mut feed, &[&action]).await;
            killed += feed.killed;
            feed = self.rage();
            let retried = self.world.ask(&action, "retry").await;
            if retried.status == StatusCode::ACCEPTED {
                runs += 1;
                self.world.feed_some(&mut feed).await;
            }
        }
        self.world.settle(&mut feed, &[&action]).await;
        killed += feed.killed;
        self.world.engines().faults().clear();
        let ended = self.world.stack.action(&action).await;
        let items = self.world.stack.items(&action).await;
        assert_eq!((ended["total"].as_u64(), items.len()), (Some(14), 14), "{ended}");
        for state in ["done", "failed", "skipped", "stopped"] {
            let count = items.iter().filter(|item| item["state"] == state).count();
            assert_eq!(ended[state], count, "{state}: {ended}");
        }
        let mails = self.world.mails_about(&action);
        assert!(
            (runs..=runs + killed).contains(&mails),
            "{mails} mails, {runs} runs"
        );
        self.world.expect_no_orphans(&[&action]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_at_random_change_nothing_in_the_end() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seeds = match number("OUBLI_FAULTS_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("OUBLI_FAULTS_SEEDS").unwrap_or(6),
    };
    let storms = futures::stream::iter(seeds).map(async |seed| {
        let told = Told(seed);
        if let Some(storm) = Storm::gather(seed).await {
            storm.export().await;
        }
        if let Some(storm) = Storm::gather(seed).await {
            storm.export_with_members().await;
        }
        if let Some(storm) = Storm::gather(seed).await {
            storm.whole_life().await;
        }
        drop(told);
    });
    storms.buffer_unordered(4).collect::<()>().await;
}

/// Prints the seed when a test panics.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("OUBLI_FAULTS_SEED={}", self.0);
        }
    }
}

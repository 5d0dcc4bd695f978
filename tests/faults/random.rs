//! Faults at random at every call of every function, with duplicates and deaths. The seed of a failing
//! run is printed; `OUBLI_FAULTS_SEED` runs it again.

use oubli_local::faults::{Call, Fault, Outcome};

use crate::world::{BUILDER, Feed, JANITOR, NOTIFIER, PLANNER, Random, Want, World};

const CALLERS: [&str; 4] = [PLANNER, BUILDER, NOTIFIER, JANITOR];

async fn converges(seed: u64) {
    let Some(world) = World::start().await else { return };
    let mut random = Random(seed);
    let mut contacts = Vec::new();
    for number in 0..10 {
        let count = usize::try_from(random.below(4)).unwrap();
        let mut documents = Vec::new();
        for _ in 0..count {
            let size = usize::try_from(random.below(40_000)).unwrap();
            documents.push(random.bytes(size));
        }
        let slices: Vec<&[u8]> = documents.iter().map(Vec::as_slice).collect();
        contacts.push(world.contact_with(&format!("Random{number}"), &slices).await);
    }
    let action = world.start_export(&contacts).await;
    let faults = world.engines().faults();
    let mut feed = Feed {
        workers: 4,
        ..Feed::twice(random.next())
    };
    for caller in CALLERS {
        for outcome in [Outcome::Error, Outcome::Throttle, Outcome::LostReply] {
            let may_send_twice = matches!(outcome, Outcome::LostReply);
            faults.inject(
                Fault::on("*", outcome)
                    .from_caller(caller)
                    .with_probability(0.02, random.next())
                    // Who does not hear the mail service's yes has to ask again.
                    .only_if(move |call: &Call| !(may_send_twice && call.operation == "SES.SendEmail")),
            );
        }
    }
    for _ in 0..6 {
        let caller = CALLERS[usize::try_from(random.below(4)).unwrap()];
        let (nth, after) = (random.below(60) + 1, random.below(2) == 0);
        feed.kills.push(world.hold(caller, "*", nth, after));
    }
    world.settle(&mut feed, &[&action]).await;
    faults.clear();
    let want = Want {
        mails: 1..=1 + feed.killed,
        ..Want::completed(10)
    };
    let archives = world.expect(&action, &want).await;
    assert_eq!(archives.len(), 10);
    world.expect_no_orphans(&[&action]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_at_random_change_nothing_in_the_end() {
    let chosen = std::env::var("OUBLI_FAULTS_SEED").ok();
    let seeds = match chosen {
        Some(seed) => vec![seed.parse().unwrap()],
        None => (1..=6).collect::<Vec<u64>>(),
    };
    futures::future::join_all(seeds.into_iter().map(async |seed| {
        let told = Told(seed);
        converges(seed).await;
        drop(told);
    }))
    .await;
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

//! The ten days of an archive, its links, its end.

use jiff::{SignedDuration, Timestamp};
use oubli_domain::Sha256;
use oubli_local::engines::Engines;
use oubli_tests::{Answer, Stack};
use reqwest::StatusCode;
use rstest::rstest;
use serde_json::{Value, json};

const TEN_DAYS: SignedDuration = SignedDuration::from_hours(240);
const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// Exports a contact; answers the action and its archive.
async fn exported(stack: &Stack) -> (String, String) {
    let contact = stack.contact(json!({ "last_name": "Zola" })).await;
    let action = stack.export(&[&contact]).await;
    stack.drain().await;
    let id = shown(stack, &action).await["id"].as_str().unwrap().to_owned();
    (action, id)
}

async fn shown(stack: &Stack, action: &str) -> Value {
    stack.items(action).await[0]["archive"].clone()
}

async fn content(stack: &Stack, archive: &str) -> Answer {
    stack
        .agent()
        .get(&format!("/v1/archives/{archive}/content"))
        .await
}

async fn link(stack: &Stack, archive: &str) -> String {
    let answer = content(stack, archive).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    answer.header("location").unwrap().to_owned()
}

/// For how many seconds a link was signed.
fn seconds(link: &str) -> u64 {
    let (_, life) = link.split_once("X-Amz-Expires=").unwrap();
    life.split('&').next().unwrap().parse().unwrap()
}

async fn objects(engines: &Engines) -> usize {
    let inventory = engines.s3().inventory().await.unwrap();
    inventory
        .iter()
        .filter(|item| item.key.starts_with("archives/"))
        .count()
}

#[tokio::test]
async fn ten_days_are_over_to_the_second_while_the_object_is_still_there() {
    let stack = Stack::start().await;
    let (action, archive) = exported(&stack).await;
    let Some(engines) = stack.engines() else { return };
    let record = shown(&stack, &action).await;
    let created: Timestamp = record["created_at"].as_str().unwrap().parse().unwrap();
    let expires: Timestamp = record["expires_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(expires.duration_since(created), TEN_DAYS);

    stack.advance(TEN_DAYS - SECOND);
    let last = link(&stack, &archive).await;
    assert_eq!(seconds(&last), 1);
    assert_eq!(stack.fetch(&last).await.0, StatusCode::OK);
    assert_eq!(shown(&stack, &action).await["state"], "ready");

    stack.advance(SECOND);
    for _ in 0..2 {
        assert_eq!(
            content(&stack, &archive).await.problem(StatusCode::GONE),
            "archive_expired"
        );
        assert_eq!(shown(&stack, &action).await["state"], "expired");
        stack.advance(SECOND);
    }
    assert_eq!(
        stack.fetch(&last).await.0,
        StatusCode::FORBIDDEN,
        "a link never outlives its archive"
    );
    assert_eq!(objects(engines).await, 1, "the clock rules, not the broom");
}

#[rstest]
#[case::at_first(SignedDuration::ZERO, 300)]
#[case::with_all_of_a_link_left(TEN_DAYS - SignedDuration::from_secs(300), 300)]
#[case::with_less_left(TEN_DAYS - SignedDuration::from_secs(299), 299)]
#[case::near_the_end(TEN_DAYS - SignedDuration::from_secs(2), 2)]
#[tokio::test]
async fn a_link_lives_five_minutes_and_never_longer_than_the_archive(
    #[case] age: SignedDuration,
    #[case] life: u64,
) {
    let stack = Stack::start().await;
    let (_, archive) = exported(&stack).await;
    if stack.engines().is_none() {
        return;
    }
    stack.advance(age);
    let link = link(&stack, &archive).await;
    assert_eq!(seconds(&link), life);
    stack.advance(SignedDuration::try_from_secs_f64(life as f64).unwrap());
    assert_eq!(stack.fetch(&link).await.0, StatusCode::OK);
    stack.advance(SECOND);
    assert_eq!(stack.fetch(&link).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_link_is_signed_for_whole_seconds_that_the_archive_still_has() {
    let stack = Stack::start().await;
    let (_, archive) = exported(&stack).await;
    if stack.engines().is_none() {
        return;
    }
    stack.advance(TEN_DAYS - SignedDuration::from_millis(2_500));
    let link = link(&stack, &archive).await;
    assert_eq!(seconds(&link), 2);
    assert_eq!(stack.fetch(&link).await.0, StatusCode::OK);
    stack.advance(SignedDuration::from_millis(2_501));
    assert_eq!(stack.fetch(&link).await.0, StatusCode::FORBIDDEN);
}

/// Says that an archive arrived with this hash.
async fn say_downloaded(stack: &Stack, archive: &str, sha256: &str) -> Answer {
    let path = format!("/v1/archives/{archive}/downloaded");
    stack.agent().post(&path, json!({ "sha256": sha256 })).await
}

#[tokio::test]
async fn an_archive_is_downloaded_once_its_reader_says_so_by_its_hash() {
    let stack = Stack::start().await;
    let (action, archive) = exported(&stack).await;
    // That a link was given, and even used, says nothing of what arrived.
    let bytes = stack.archive(&archive).await;
    assert!(shown(&stack, &action).await.get("downloaded_at").is_none());
    let half = Sha256::of(&bytes[..bytes.len() / 2]).to_string();
    let refused = say_downloaded(&stack, &archive, &half).await;
    assert_eq!(refused.problem(StatusCode::CONFLICT), "archive_hash_mismatch");
    for wrong in ["", "00", &"g".repeat(64)] {
        let refused = say_downloaded(&stack, &archive, wrong).await;
        let code = refused.problem(StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(
            (code.as_str(), refused.pointers()),
            ("input_refused", vec!["/sha256".to_owned()])
        );
    }
    let whole = Sha256::of(&bytes).to_string();
    let absent = say_downloaded(&stack, "absent", &whole).await;
    assert_eq!(absent.problem(StatusCode::NOT_FOUND), "not_found");
    let path = format!("/v1/archives/{archive}/downloaded");
    let foreign = stack.other_agent().post(&path, json!({ "sha256": whole })).await;
    assert_eq!(foreign.problem(StatusCode::NOT_FOUND), "not_found");
    assert!(shown(&stack, &action).await.get("downloaded_at").is_none());

    stack.advance(SignedDuration::from_mins(1));
    let noted = say_downloaded(&stack, &archive, &whole.to_uppercase()).await;
    assert_eq!(
        (noted.status, noted.text().as_str()),
        (StatusCode::NO_CONTENT, "")
    );
    let first = shown(&stack, &action).await["downloaded_at"].clone();
    assert!(first.is_string());
    if stack.engines().is_some() {
        assert_eq!(first, stack.now().to_string());
    }
    // Once, however often it is said, and after the ten days too.
    for later in [SignedDuration::from_mins(1), TEN_DAYS] {
        stack.advance(later);
        let again = say_downloaded(&stack, &archive, &whole).await;
        assert_eq!(again.status, StatusCode::NO_CONTENT);
        assert_eq!(shown(&stack, &action).await["downloaded_at"], first);
    }
}

#[tokio::test]
async fn the_janitor_notes_the_end_and_the_deletion() {
    let stack = Stack::start().await;
    let (action, archive) = exported(&stack).await;
    let Some(engines) = stack.engines() else { return };
    stack.advance(TEN_DAYS - SECOND);
    stack.sweep().await;
    assert_eq!(shown(&stack, &action).await["state"], "ready");

    stack.advance(SECOND + SECOND);
    stack.sweep().await;
    let expired = shown(&stack, &action).await;
    assert_eq!(expired["state"], "expired");
    assert!(expired.get("deleted_at").is_none());
    assert_eq!(objects(engines).await, 1);

    // S3's own rule acts on the next midnight.
    stack.advance(SignedDuration::from_hours(24));
    engines.sweep().await.unwrap();
    assert_eq!(objects(engines).await, 0);
    stack.sweep().await;
    let deleted = shown(&stack, &action).await;
    assert_eq!(deleted["state"], "deleted");
    assert_eq!(deleted["deleted_at"], stack.now().to_string());
    for name in ["id", "size_bytes", "sha256", "created_at", "expires_at"] {
        assert_eq!(deleted[name], expired[name], "{name}");
    }
    assert_eq!(
        content(&stack, &archive).await.problem(StatusCode::GONE),
        "archive_expired"
    );
    stack.advance(SignedDuration::from_hours(24));
    stack.sweep().await;
    assert_eq!(shown(&stack, &action).await, deleted, "the end is told once");
}

#[tokio::test]
async fn an_archive_is_deleted_even_where_the_rule_of_the_bucket_does_not_act() {
    let stack = Stack::start().await;
    let (action, _) = exported(&stack).await;
    let Some(engines) = stack.engines() else { return };
    // The janitor looks again and again, and after three days deletes what is still there.
    for _ in 0..15 {
        stack.advance(SignedDuration::from_hours(24));
        stack.sweep().await;
    }
    assert_eq!(objects(engines).await, 0);
    assert_eq!(shown(&stack, &action).await["state"], "deleted");
}

#[tokio::test]
async fn a_newer_archive_leaves_the_older_one_its_time() {
    let stack = Stack::start().await;
    let contact = stack.contact(json!({ "last_name": "Zola" })).await;
    let mut archives = Vec::new();
    for _ in 0..2 {
        let action = stack.export(&[&contact]).await;
        stack.drain().await;
        archives.push(shown(&stack, &action).await["id"].as_str().unwrap().to_owned());
        stack.advance(SignedDuration::from_secs(10));
    }
    assert_ne!(archives[0], archives[1]);
    for archive in &archives {
        link(&stack, archive).await;
    }
    let card = stack.agent().get(&format!("/v1/contacts/{contact}")).await.json();
    assert_eq!(card["last_archive"]["id"], archives[1].as_str());
    let past: Vec<_> = card["data_actions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|past| past["archive_id"].clone())
        .collect();
    assert_eq!(past, [json!(archives[1]), json!(archives[0])], "newest first");
    let absent = content(&stack, "absent").await;
    assert_eq!(absent.problem(StatusCode::NOT_FOUND), "not_found");
}

//! What a member is shown and says before anything is destroyed, and that it happens once.

use oubli_domain::Sha256;
use oubli_tests::{Answer, Stack};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{SECOND, TEN_DAYS, attempt, body, export_again, exported, preview, start};
use crate::restore::{assert_done, assert_ended, card, from_archive, restore};

async fn actions(stack: &Stack) -> u64 {
    let page = stack.agent().get("/v1/data-actions").await.expect(StatusCode::OK);
    page["total"].as_u64().unwrap()
}

#[tokio::test]
async fn nothing_begins_without_the_acknowledgement() {
    let stack = Stack::start().await;
    let contact = exported(&stack, "Zola").await;
    let before = card(&stack, &contact).await;
    let not_true = [
        None,
        Some(Value::Null),
        Some(json!(false)),
        Some(json!("true")),
        Some(json!("yes")),
        Some(json!(1)),
        Some(json!([true])),
        Some(json!({ "acknowledged": true })),
    ];
    for acknowledged in not_true {
        for selection in [json!({ "contact_ids": [contact] }), json!({ "filter": {} })] {
            let mut body = json!({ "kind": "anonymise", "selection": selection });
            if let Some(acknowledged) = &acknowledged {
                body["acknowledged"] = acknowledged.clone();
            }
            let answer = stack.agent().post("/v1/data-actions", body.clone()).await;
            assert_eq!(
                answer.problem(StatusCode::UNPROCESSABLE_ENTITY),
                "input_refused",
                "{body}"
            );
            assert_eq!(answer.pointers(), ["/acknowledged"], "{body}");
        }
    }
    stack.drain().await;
    assert_eq!(actions(&stack).await, 1, "the export alone");
    assert_eq!(card(&stack, &contact).await, before);
    // What cannot be undone needs it; the others do not.
    for kind in ["export", "restore"] {
        let body = json!({ "kind": kind, "selection": { "contact_ids": [contact] } });
        start(&stack, body).await;
    }
}

/// Downloads an archive, and says that it arrived.
async fn say_downloaded(stack: &Stack, archive: &str) {
    let sha256 = Sha256::of(&stack.archive(archive).await).to_string();
    let path = format!("/v1/archives/{archive}/downloaded");
    let noted = stack.agent().post(&path, json!({ "sha256": sha256 })).await;
    assert_eq!(noted.status, StatusCode::NO_CONTENT, "{}", noted.text());
}

#[tokio::test]
async fn a_preview_warns_of_what_will_be_lost() {
    let stack = Stack::start().await;
    let saved = stack.contact(json!({ "last_name": "Saved" })).await;
    stack.document(&saved, "a.txt", &[1; 100]).await;
    let unsaved = stack.contact(json!({ "last_name": "Unsaved" })).await;
    stack.document(&unsaved, "b.txt", &[2; 20]).await;
    stack.document(&unsaved, "c.txt", &[3; 3]).await;
    let never = stack.contact(json!({ "last_name": "Never" })).await;
    for contact in [&saved, &unsaved] {
        export_again(&stack, contact).await;
    }
    let archive = async |contact: &str| {
        let id = card(&stack, contact).await["last_archive"]["id"].clone();
        id.as_str().unwrap().to_owned()
    };
    // A link, even one that is used, does not tell what arrived: the reader does.
    stack.archive(&archive(&unsaved).await).await;
    say_downloaded(&stack, &archive(&saved).await).await;

    let all = json!({ "contact_ids": [saved, unsaved, never] });
    let plan = preview(&stack, all.clone()).await;
    let counts = [
        "contacts",
        "documents",
        "bytes",
        "blocked_count",
        "never_downloaded_count",
    ];
    let counts = counts.map(|name| plan[name].as_u64().unwrap());
    assert_eq!(counts, [2, 3, 123, 1, 1], "{plan}");
    assert_eq!(
        plan["never_downloaded"],
        json!([{ "contact_id": unsaved, "archive_id": archive(&unsaved).await }])
    );
    assert_eq!(
        plan["notices"],
        json!([
            "irreversible",
            "save_the_archives",
            "lost_after_ten_days",
            "some_archives_were_never_downloaded",
            "some_contacts_are_blocked"
        ])
    );
    let filtered = preview(&stack, json!({ "filter": {} })).await;
    for name in ["contacts", "documents", "bytes", "never_downloaded", "notices"] {
        assert_eq!(filtered[name], plan[name], "{name}");
    }

    // Once all are saved, and nobody is left out, that is not said any more.
    say_downloaded(&stack, &archive(&unsaved).await).await;
    let plan = preview(&stack, json!({ "contact_ids": [saved, unsaved] })).await;
    assert_eq!(
        plan["notices"],
        json!(["irreversible", "save_the_archives", "lost_after_ten_days"])
    );
    assert_eq!(
        (&plan["never_downloaded"], &plan["never_downloaded_count"]),
        (&json!([]), &json!(0))
    );

    // A new archive is another file, which nobody has saved.
    export_again(&stack, &saved).await;
    let plan = preview(&stack, all).await;
    assert_eq!(plan["never_downloaded"][0]["contact_id"], saved.as_str());
}

/// Starts as a member approves them now: one for each selection, with the hash of its preview.
async fn approved(stack: &Stack, selections: &[&Value]) -> Vec<Value> {
    let mut bodies = Vec::new();
    for selection in selections {
        let mut body = json!({ "kind": "anonymise", "selection": selection, "acknowledged": true });
        body["plan_hash"] = preview(stack, (*selection).clone()).await["plan_hash"].clone();
        bodies.push(body);
    }
    bodies
}

/// That each of these starts is refused, and shown what it would be now.
async fn assert_stale(stack: &Stack, approved: Vec<Value>, change: &str) {
    for body in approved {
        let answer = stack.agent().post("/v1/data-actions", body.clone()).await;
        assert_eq!(answer.problem(StatusCode::CONFLICT), "plan_changed", "{change}");
        let fresh = answer.json()["preview"].clone();
        assert_eq!(fresh, preview(stack, body["selection"].clone()).await, "{change}");
        assert_ne!(fresh["plan_hash"], body["plan_hash"], "{change}");
    }
}

#[tokio::test]
async fn what_was_approved_is_what_is_anonymised() {
    let stack = Stack::start().await;
    let (one, two) = (exported(&stack, "Zola").await, exported(&stack, "Zorro").await);
    let by_ids = json!({ "contact_ids": [one, two] });
    let by_filter = json!({ "filter": { "q": "zo" } });
    for change in ["renamed", "exported", "joined"] {
        let mut stale = approved(&stack, &[&by_ids, &by_filter]).await;
        match change {
            "renamed" => {
                let path = format!("/v1/contacts/{one}");
                let renamed = json!({ "job_title": "New" });
                let renamed = stack.agent().patch(&path, "*", renamed).await;
                renamed.expect(StatusCode::OK);
            }
            "exported" => export_again(&stack, &one).await,
            _ => {
                stack.contact(json!({ "last_name": "Zoé" })).await;
                // Nobody has named this one.
                stale.remove(0);
            }
        }
        assert_stale(&stack, stale, change).await;
    }
    stack.drain().await;
    for contact in [&one, &two] {
        assert_eq!(card(&stack, contact).await["state"], "active");
    }

    for contact in [&one, &two] {
        export_again(&stack, contact).await;
    }
    let plan = preview(&stack, by_ids.clone()).await;
    let mut approved = body(&[&one, &two]);
    approved["plan_hash"] = plan["plan_hash"].clone();
    start(&stack, approved).await;
    stack.drain().await;
    for contact in [&one, &two] {
        assert_eq!(card(&stack, contact).await["state"], "anonymised");
    }
}

#[tokio::test]
async fn what_was_approved_before_the_archives_ended_is_anonymised_no_more() {
    let stack = Stack::start().await;
    if stack.engines().is_none() {
        return;
    }
    let contact = exported(&stack, "Zola").await;
    let by_ids = json!({ "contact_ids": [contact] });
    let stale = approved(&stack, &[&by_ids, &json!({ "filter": { "q": "zo" } })]).await;
    stack.advance(TEN_DAYS);
    assert_stale(&stack, stale, "expired").await;
    stack.drain().await;
    assert_eq!(card(&stack, &contact).await["state"], "active");
}

#[tokio::test]
async fn the_same_start_twice_is_one_action_even_after_the_plan_has_run() {
    let stack = Stack::start().await;
    let contact = exported(&stack, "Zola").await;
    let plan = preview(&stack, json!({ "contact_ids": [contact] })).await;
    let mut approved = body(&[&contact]);
    approved["plan_hash"] = plan["plan_hash"].clone();
    let post = async |body: &Value| -> Answer {
        let headers = [("idempotency-key", "once")];
        let body = body.to_string().into_bytes();
        let agent = stack.agent();
        agent
            .call(Method::POST, "/v1/data-actions", &headers, Some(body))
            .await
    };
    let first = post(&approved).await.expect(StatusCode::ACCEPTED);
    let second = post(&approved).await.expect(StatusCode::ACCEPTED);
    assert_eq!(second, first);
    stack.drain().await;
    let third = post(&approved).await.expect(StatusCode::ACCEPTED);
    assert_eq!(
        (&third["id"], &third["state"], &third["done"]),
        (&first["id"], &json!("completed"), &json!(1))
    );
    assert_eq!(actions(&stack).await, 2, "the export and this");
    assert_eq!(card(&stack, &contact).await["version"], 2);
    let other = post(&body(&[&contact, "another"])).await;
    assert_eq!(
        other.problem(StatusCode::UNPROCESSABLE_ENTITY),
        "idempotency_key_reused"
    );
}

#[tokio::test]
async fn a_contact_is_anonymised_once_however_often_it_is_asked_for() {
    let stack = Stack::start().await;
    let (one, two) = (exported(&stack, "Zola").await, exported(&stack, "Hugo").await);
    // Two at the same time, and each contact twice in each.
    let first = start(&stack, body(&[&one, &two, &one])).await;
    let second = start(&stack, body(&[&two, &two, &one])).await;
    stack.drain().await;
    let (mut done, mut skipped) = (Vec::new(), Vec::new());
    for action in [&first, &second] {
        let ended = stack.action(action).await;
        assert_eq!(
            (&ended["state"], &ended["total"]),
            (&json!("completed"), &json!(2))
        );
        for item in stack.items(action).await {
            let contact = item["contact_id"].as_str().unwrap().to_owned();
            if item["state"] == "done" {
                done.push(contact);
            } else {
                assert_ended(&item, "skipped", "already_anonymised");
                skipped.push(contact);
            }
        }
    }
    for ids in [&mut done, &mut skipped] {
        ids.sort();
    }
    let mut both = [one.clone(), two.clone()];
    both.sort();
    assert_eq!((&done[..], &skipped[..]), (&both[..], &both[..]));

    let before = card(&stack, &one).await;
    let again = attempt(&stack, &[&one]).await;
    assert_ended(&again[0], "skipped", "already_anonymised");
    let mut after = card(&stack, &one).await;
    after["data_actions"] = before["data_actions"].clone();
    assert_eq!(after, before);
    if let Some(engines) = stack.engines() {
        let mails = engines.mails().outbox();
        assert!(
            mails[0].subject.contains("aucun contact à anonymiser"),
            "{}",
            mails[0].subject
        );
    }

    // What came back is another life, and takes another archive.
    let archive = before["last_archive"]["id"].as_str().unwrap();
    assert_done(&restore(&stack, from_archive(archive)).await);
    stack.advance(SECOND);
    assert_ended(&attempt(&stack, &[&one]).await[0], "failed", "no_current_archive");
    export_again(&stack, &one).await;
    assert_done(&attempt(&stack, &[&one]).await[0]);
}

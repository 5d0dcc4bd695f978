//! The mail when an action has ended.

use oubli_local::runner::MAIL_FROM;
use oubli_tests::{Client, Stack};
use reqwest::StatusCode;
use rstest::rstest;
use serde_json::{Value, json};

async fn export(stack: &Stack, client: &Client, ids: &[&str]) -> String {
    let body = json!({ "kind": "export", "selection": { "contact_ids": ids } });
    let action = client
        .post("/v1/data-actions", body)
        .await
        .expect(StatusCode::ACCEPTED);
    stack.drain().await;
    action["id"].as_str().unwrap().to_owned()
}

#[rstest]
#[case::french(
    "demo",
    "agent",
    "Démo SARL",
    "Export des données terminé",
    "Actions sur les données"
)]
#[case::english(
    "other",
    "other-agent",
    "Other Ltd",
    "Data export finished",
    "Actions on the data"
)]
#[tokio::test]
async fn the_member_is_told_in_the_language_of_the_tenant(
    #[case] tenant: &str,
    #[case] member: &str,
    #[case] company: &str,
    #[case] subject: &str,
    #[case] page: &str,
) {
    let stack = Stack::start().await;
    let client = stack.member(tenant, member);
    let body = json!({ "last_name": "Quintessence", "first_name": "Xanthippe", "email": "xanthippe@quintessence.example" });
    let contact = client
        .post("/v1/contacts", body)
        .await
        .expect(StatusCode::CREATED);
    let id = contact["id"].as_str().unwrap();
    let action = export(&stack, &client, &[id, "absent"]).await;
    let Some(engines) = stack.engines() else { return };

    let outbox = engines.mails().outbox();
    assert_eq!(outbox.len(), 1);
    let mail = &outbox[0];
    assert_eq!(mail.to, [format!("{member}@{tenant}.example.com")]);
    assert!(mail.from.contains(MAIL_FROM), "{}", mail.from);
    assert!(
        mail.subject.contains(subject) && mail.subject.contains(company),
        "{}",
        mail.subject
    );
    let (text, html) = (mail.text.as_deref().unwrap(), mail.html.as_deref().unwrap());
    let link = format!("http://localhost:8080/data-actions/{action}");
    assert!(text.contains(page), "{text}");
    for (part, body) in [("text", text), ("html", html)] {
        assert!(body.contains(&link), "{part}: {body}");
        assert!(body.contains(company), "{part}: {body}");
        for secret in [
            "Quintessence",
            "Xanthippe",
            "quintessence",
            "X-Amz",
            "archives/",
            id,
        ] {
            assert!(!body.contains(secret), "{part} holds {secret}");
        }
    }
    assert!(
        html.contains(if tenant == "demo" {
            "lang=\"fr\""
        } else {
            "lang=\"en\""
        }),
        "{html}"
    );
    assert!(!mail.subject.contains("Quintessence"));

    // Once: whatever is looked at again afterwards.
    for _ in 0..3 {
        stack.advance(jiff::SignedDuration::from_hours(1));
        stack.sweep().await;
        stack.drain().await;
    }
    assert_eq!(engines.mails().outbox().len(), 1);
}

#[rstest]
#[case::french(
    "demo",
    "agent",
    ["Export des données terminé", "Anonymisation terminée", "Restauration terminée"],
    "contact anonymisé"
)]
#[case::english(
    "other",
    "other-agent",
    ["Data export finished", "Anonymisation finished", "Restoration finished"],
    "contact anonymised"
)]
#[tokio::test]
async fn each_kind_of_action_is_told_in_its_own_words(
    #[case] tenant: &str,
    #[case] member: &str,
    #[case] subjects: [&str; 3],
    #[case] done: &str,
) {
    let stack = Stack::start().await;
    let client = stack.member(tenant, member);
    let body = json!({ "last_name": "Quintessence", "first_name": "Xanthippe", "email": "xanthippe@quintessence.example" });
    let contact = client
        .post("/v1/contacts", body)
        .await
        .expect(StatusCode::CREATED);
    let id = contact["id"].as_str().unwrap();
    let mut links = Vec::new();
    for (kind, contact) in [
        ("export", id),
        ("anonymise", id),
        ("restore", id),
        // One that fails altogether.
        ("anonymise", "absent"),
    ] {
        let selection = json!({ "contact_ids": [contact] });
        let body = json!({ "kind": kind, "selection": selection, "acknowledged": true });
        let action = client.post("/v1/data-actions", body).await;
        let action = action.expect(StatusCode::ACCEPTED)["id"].clone();
        links.push(format!(
            "http://localhost:8080/data-actions/{}",
            action.as_str().unwrap()
        ));
        stack.drain().await;
    }
    let Some(engines) = stack.engines() else { return };
    let mut outbox = engines.mails().outbox();
    outbox.reverse();
    assert_eq!(outbox.len(), links.len());
    for (mail, subject) in outbox.iter().zip(subjects) {
        assert!(mail.subject.contains(subject), "{}", mail.subject);
    }
    let (anonymised, failed) = (&outbox[1], &outbox[3]);
    assert!(
        anonymised.subject.replace('\u{a0}', " ").contains(done),
        "{}",
        anonymised.subject
    );
    assert_ne!(failed.subject, anonymised.subject);
    for (mail, link) in outbox.iter().zip(links) {
        assert_eq!(mail.to, [format!("{member}@{tenant}.example.com")]);
        for body in [mail.text.as_deref().unwrap(), mail.html.as_deref().unwrap()] {
            assert!(body.contains(&link), "{body}");
            for secret in ["uintessence", "Xanthippe", "XXXXX", "X-Amz", "archives/", id] {
                assert!(!body.contains(secret), "{secret} in {body}");
            }
        }
    }
    // How long an archive lives is said where it counts.
    let tells = outbox.iter().map(|mail| {
        let text = mail.text.as_deref().unwrap().replace('\u{a0}', " ");
        text.contains("10 jours") || text.contains("10 days")
    });
    assert_eq!(tells.collect::<Vec<_>>(), [true, true, false, false]);
}

#[tokio::test]
async fn the_mail_can_be_sent_again() {
    let stack = Stack::start().await;
    let contact = stack.contact(json!({ "last_name": "Zola" })).await;
    let action = export(&stack, &stack.agent(), &[&contact]).await;
    let path = format!("/v1/data-actions/{action}/notify");
    for sent in 2..4 {
        let shown = stack
            .agent()
            .post(&path, Value::Null)
            .await
            .expect(StatusCode::ACCEPTED);
        assert_eq!(shown["state"], "completed");
        stack.drain().await;
        if let Some(engines) = stack.engines() {
            let outbox = engines.mails().outbox();
            assert_eq!(outbox.len(), sent);
            assert_eq!(outbox[0].text, outbox[1].text);
            assert_eq!(outbox[0].to, outbox[1].to);
        }
    }
}

#[tokio::test]
async fn the_mail_goes_to_who_started_the_action_where_that_member_is_now() {
    let stack = Stack::start().await;
    let contact = stack.contact(json!({ "last_name": "Zola" })).await;
    let body = json!({ "kind": "export", "selection": { "contact_ids": [contact] } });
    stack
        .agent()
        .post("/v1/data-actions", body.clone())
        .await
        .expect(StatusCode::ACCEPTED);
    let change = json!({ "email": "moved@demo.example.com" })
        .to_string()
        .into_bytes();
    let moved = stack
        .admin()
        .call(reqwest::Method::PATCH, "/v1/members/agent", &[], Some(change))
        .await;
    moved.expect(StatusCode::OK);
    stack.drain().await;
    // Who has left gets none, and nothing waits for it.
    stack
        .agent()
        .post("/v1/data-actions", body)
        .await
        .expect(StatusCode::ACCEPTED);
    assert_eq!(
        stack.admin().delete("/v1/members/agent").await.status,
        StatusCode::NO_CONTENT
    );
    let drained = stack.drain().await;
    assert_eq!(drained.failed.values().sum::<u64>(), 0, "{drained:?}");
    if let Some(engines) = stack.engines() {
        let outbox = engines.mails().outbox();
        assert_eq!(outbox.len(), 1);
        assert_eq!(outbox[0].to, ["moved@demo.example.com"]);
    }
}

//! Mails as they are kept, and as they are refused.

use aws_sdk_sesv2::types::{Body, Destination, EmailContent, Message as Mail, MessageHeader, RawMessage};
use jiff::SignedDuration;
use oubli_local::ses::{Recipients, Refusal};

use super::support::{START, content, ephemeral, ses, simple_mail};

#[tokio::test]
async fn mails_are_kept_as_they_would_travel() {
    let (engines, clock) = ephemeral().await;
    let client = ses(&engines);
    client
        .create_email_identity()
        .email_identity("example.com")
        .send()
        .await
        .unwrap();
    let sent = simple_mail(
        &client,
        "Oubli é <no-reply@mail.example.com>",
        "Zoé <zoe@example.org>",
    )
    .send()
    .await;
    let id = sent.unwrap().message_id.unwrap();
    clock.advance(SignedDuration::from_secs(1));
    let raw = "From: no-reply@example.com\r\nTo: raw@example.org\r\nSubject: =?UTF-8?B?w6l0w6k=?=\r\n\r\nraw body\r\n";
    let raw = RawMessage::builder()
        .data(aws_sdk_sesv2::primitives::Blob::new(raw))
        .build()
        .unwrap();
    let request = client
        .send_email()
        .content(EmailContent::builder().raw(raw).build());
    request.send().await.unwrap();

    let outbox = engines.mails().outbox();
    assert_eq!(outbox.len(), 2);
    assert_eq!(
        (outbox[0].subject.as_str(), outbox[0].to[0].as_str()),
        ("été", "raw@example.org")
    );
    assert_eq!(outbox[0].text.as_deref(), Some("raw body\n"));
    let mail = &outbox[1];
    assert_eq!(mail.id, id);
    assert_eq!(mail.from, "Oubli é <no-reply@mail.example.com>");
    assert_eq!(mail.to, ["Zoé <zoe@example.org>"]);
    assert_eq!(mail.subject, "Prêt : votre export — 3 contacts");
    assert_eq!(mail.text.as_deref(), Some("Voilà 100 %.\n"));
    assert_eq!(mail.html.as_deref(), Some("<p>Voilà</p>"));
    assert_eq!(mail.sent_at.as_second(), START);
    let eml = std::fs::read_to_string(&mail.path).unwrap();
    for line in [
        "MIME-Version: 1.0\r\n",
        "Content-Type: multipart/alternative;\r\n",
        "Content-Transfer-Encoding: quoted-printable\r\n",
        "Voil=C3=A0 100 %.\r\n",
        "Date: Thu, 09 Oct 2025 08:53:20 +0000\r\n",
    ] {
        assert!(eml.contains(line), "{line:?} is not in {eml}");
    }
}

#[tokio::test]
async fn recipients_and_headers_have_their_limits() {
    let (engines, _) = ephemeral().await;
    let client = ses(&engines);
    let identity = client.create_email_identity().email_identity("me@solo.example");
    identity.send().await.unwrap();
    let to = |count: usize| {
        let addresses = (0..count).map(|number| format!("a{number}@example.org"));
        let destination = Destination::builder().set_to_addresses(Some(addresses.collect()));
        simple_mail(&client, "me@solo.example", "a@example.org")
            .destination(destination.build())
            .send()
    };
    to(50).await.unwrap();
    assert!(
        to(51)
            .await
            .unwrap_err()
            .into_service_error()
            .is_message_rejected()
    );
    let accented = simple_mail(&client, "me@solo.example", "zoé@example.org")
        .send()
        .await;
    assert!(
        accented
            .unwrap_err()
            .into_service_error()
            .is_bad_request_exception()
    );

    let with = |headers: Vec<(String, String)>| {
        let headers = headers.into_iter().map(|(name, value)| {
            let header = MessageHeader::builder().name(name).value(value);
            header.build().unwrap()
        });
        let body = Body::builder().text(content("x")).build();
        let mail = Mail::builder().subject(content("x")).body(body);
        let mail = mail.set_headers(Some(headers.collect())).build();
        simple_mail(&client, "me@solo.example", "a@example.org")
            .content(EmailContent::builder().simple(mail).build())
            .send()
    };
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let many = |count: usize| {
        (0..count)
            .map(|number| header(&format!("X-{number}"), "x"))
            .collect()
    };
    with(many(15)).await.unwrap();
    with(vec![header(&"X".repeat(126), &"v".repeat(870))])
        .await
        .unwrap();
    for wrong in [
        many(16),
        vec![header(&"X".repeat(127), "v")],
        vec![header("X-Name", &"v".repeat(871))],
        vec![header("X-Name", "")],
        vec![header("X-Name", "été")],
        vec![header("X:Name", "v")],
        vec![header("X-Name", "v\r\nBcc: b@example.org")],
    ] {
        let refused = with(wrong).await.unwrap_err().into_service_error();
        assert!(refused.is_bad_request_exception());
    }
}

#[tokio::test]
async fn mails_are_refused_as_the_service_refuses_them() {
    let (engines, _) = ephemeral().await;
    let client = ses(&engines);
    client
        .create_email_identity()
        .email_identity("me@solo.example")
        .send()
        .await
        .unwrap();
    for from in ["you@solo.example", "me@other.example", "me@sub.solo.example"] {
        let error = simple_mail(&client, from, "a@example.org")
            .send()
            .await
            .unwrap_err();
        assert!(error.into_service_error().is_message_rejected(), "{from}");
    }
    let send = |to: &'static str| simple_mail(&client, "me@solo.example", to).send();
    engines
        .mails()
        .refuse(Recipients::Address("Full@example.org".into()), Refusal::Reject);
    engines
        .mails()
        .refuse(Recipients::Address("gone@example.org".into()), Refusal::Bounce);
    assert!(
        send("full@example.org")
            .await
            .unwrap_err()
            .into_service_error()
            .is_message_rejected()
    );
    send("gone@example.org").await.unwrap();
    send("fine@example.org").await.unwrap();
    engines.mails().accept_all();
    send("gone@example.org").await.unwrap();
    send("full@example.org").await.unwrap();
    let delivered: Vec<String> = engines
        .mails()
        .outbox()
        .into_iter()
        .flat_map(|mail| mail.to)
        .collect();
    assert_eq!(
        delivered,
        ["full@example.org", "fine@example.org"],
        "a bounced address stays suppressed"
    );
    assert_eq!(engines.mails().bounced().len(), 2);
    client
        .get_suppressed_destination()
        .email_address("gone@example.org")
        .send()
        .await
        .unwrap();
}

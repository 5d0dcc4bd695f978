//! SES: who may send, and what is taken.

use std::sync::Arc;

use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message};

use crate::aws::{Aws, code, declare_checks};

declare_checks! {
    a_mail_of_a_verified_sender_is_taken_and_no_other: "SES.SendEmail";
    an_identity_is_made_once: "SES.CreateEmailIdentity" "SES.GetEmailIdentity";
}

fn content(text: &str) -> Content {
    Content::builder().data(text).charset("UTF-8").build().unwrap()
}

async fn a_mail_of_a_verified_sender_is_taken_and_no_other(aws: Arc<Aws>) {
    let body = Body::builder()
        .text(content("L'export est terminé."))
        .html(content("<p>L'export est terminé.</p>"))
        .build();
    let message = Message::builder()
        .subject(content("Export terminé"))
        .body(body)
        .build();
    let send = |from: &str| {
        aws.mail
            .send_email()
            .from_email_address(from)
            .destination(
                Destination::builder()
                    .to_addresses("agent@demo.example.com")
                    .build(),
            )
            .content(EmailContent::builder().simple(message.clone()).build())
            .send()
    };
    let sent = send(aws.setting("OUBLI_MAIL_FROM")).await.unwrap();
    assert!(sent.message_id().is_some_and(|id| !id.is_empty()));
    assert_eq!(code(send("nobody@unverified.example").await), "MessageRejected");
}

async fn an_identity_is_made_once(aws: Arc<Aws>) {
    let identity = format!("{}-{}@example.org", aws.name("sender"), std::process::id());
    let get = || aws.mail.get_email_identity().email_identity(&identity).send();
    assert_eq!(code(get().await), "NotFoundException");
    let create = || aws.mail.create_email_identity().email_identity(&identity).send();
    create().await.unwrap();
    get().await.unwrap();
    assert_eq!(code(create().await), "AlreadyExistsException");
}

//! Mails, through SES.

use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message};
use oubli_domain::email::Email;

use crate::connect::Cloud;
use crate::error::{CloudError, code_of, failed};

#[derive(Clone, Debug)]
pub(crate) struct Mailer {
    pub(crate) client: Client,
    pub(crate) from: String,
}

/// A mail as it goes out.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// To whom.
    pub to: &'a Email,
    /// Subject, one line.
    pub subject: &'a str,
    /// Body as plain text.
    pub text: &'a str,
    /// Body as HTML.
    pub html: &'a str,
}

/// What came of sending a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailOutcome {
    /// The mail service has it.
    Sent,
    /// The mail service will not take it to this address, ever.
    Refused,
}

impl Cloud {
    /// Sends a mail.
    ///
    /// # Errors
    /// [`CloudError`] when SES does not take it for now.
    pub async fn send_mail(&self, envelope: Envelope<'_>) -> Result<MailOutcome, CloudError> {
        let operation = "SendEmail";
        let content = |text: &str| {
            let content = Content::builder().data(text).charset("UTF-8").build();
            content.map_err(|_| CloudError::Request { operation })
        };
        let body = Body::builder()
            .text(content(envelope.text)?)
            .html(content(envelope.html)?)
            .build();
        let message = Message::builder()
            .subject(content(envelope.subject)?)
            .body(body)
            .build();
        let request = self
            .mailer
            .client
            .send_email()
            .from_email_address(&self.mailer.from)
            .destination(Destination::builder().to_addresses(envelope.to.as_str()).build())
            .content(EmailContent::builder().simple(message).build());
        match request.send().await {
            Ok(_) => Ok(MailOutcome::Sent),
            Err(error) if code_of(&error) == Some("BadRequestException") => Ok(MailOutcome::Refused),
            Err(error) => Err(failed(operation)(error)),
        }
    }
}

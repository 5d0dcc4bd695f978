//! The outbox of mails about actions: taken with a lease, sent, recorded.

use aws_sdk_dynamodb::types::TransactWriteItem;
use jiff::{SignedDuration, Timestamp};
use oubli_domain::action::{Action, ActionMail, MailState};
use oubli_domain::{ActionId, AttemptId, MailId, TenantId};

use crate::connect::Cloud;
use crate::error::CloudError;
use crate::expression::{Condition, Update, number, text};
use crate::items;
use crate::keys;
use crate::open_work;
use crate::table::Written;

/// How long a notifier may hold a mail: longer than its function may run.
const LEASE: SignedDuration = SignedDuration::from_mins(2);

/// How long the janitor waits before it has a mail tried again that was refused for now.
const PAUSE: SignedDuration = SignedDuration::from_mins(15);

/// A mail that this attempt holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenMail {
    /// The mail.
    pub mail: ActionMail,
    /// Who holds it.
    pub attempt_id: AttemptId,
}

impl Cloud {
    pub(crate) fn mail_write(
        &self,
        action: &Action,
        mail: &ActionMail,
    ) -> Result<TransactWriteItem, CloudError> {
        let key = keys::mail(&action.tenant_id, &action.id, &mail.id);
        let mut attributes = items::with_key(items::write("mail", mail)?, &key);
        let due = mail.created_at.saturating_add(LEASE).unwrap_or(mail.created_at);
        attributes.extend(open_work::attributes(&key, due));
        self.requests.put_write(attributes, Some(Condition::Absent("pk")))
    }

    /// Takes a mail that is pending, or whose holder's lease is over. `None`: it is sent, given
    /// up, or in another's hands.
    ///
    /// # Errors
    /// [`CloudError`] when DynamoDB fails; as all methods here.
    pub async fn take_mail(
        &self,
        tenant: &TenantId,
        action: &ActionId,
        mail: &MailId,
        attempt: &AttemptId,
        now: Timestamp,
    ) -> Result<Option<TakenMail>, CloudError> {
        let lease_until = now.saturating_add(LEASE).unwrap_or(now);
        let take = Update::of(keys::mail(tenant, action, mail))
            .set("state", text("sending"))
            .set("attempt_id", text(attempt))
            .set("lease_until", text(lease_until))
            .set("lease_until_ms", number(lease_until.as_millisecond()))
            .increment("attempts")
            .look_again(lease_until)
            .when(Condition::Any(vec![
                Condition::Equal("state", text("pending")),
                Condition::All(vec![
                    Condition::Equal("state", text("sending")),
                    Condition::LessOrEqual("lease_until_ms", number(now.as_millisecond())),
                ]),
            ]));
        let attributes = match self.requests.update(take).await? {
            Written::Yes(attributes) => attributes,
            Written::No(None) => return Ok(None),
            Written::No(Some(attributes)) if attributes.is_empty() => return Ok(None),
            Written::No(Some(attributes)) => attributes,
        };
        let mail: ActionMail = items::read("mail", attributes)?;
        let ours = mail.state == MailState::Sending && mail.attempt_id.as_ref() == Some(attempt);
        Ok(ours.then(|| TakenMail {
            mail,
            attempt_id: attempt.clone(),
        }))
    }

    /// Records that a mail was accepted by the mail service.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn note_mail_sent(
        &self,
        tenant: &TenantId,
        action: &ActionId,
        taken: &TakenMail,
        now: Timestamp,
    ) -> Result<(), CloudError> {
        let update = Update::of(keys::mail(tenant, action, &taken.mail.id)).set("sent_at", text(now));
        self.end_mail(update.set("state", text("sent")), taken).await
    }

    /// Records that a mail cannot be delivered: its member is gone, or its address is refused.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn note_mail_undeliverable(
        &self,
        tenant: &TenantId,
        action: &ActionId,
        taken: &TakenMail,
    ) -> Result<(), CloudError> {
        let update = Update::of(keys::mail(tenant, action, &taken.mail.id));
        self.end_mail(update.set("state", text("undeliverable")), taken)
            .await
    }

    /// Puts a mail back that the mail service would not take for now.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn put_mail_back(
        &self,
        tenant: &TenantId,
        action: &ActionId,
        taken: &TakenMail,
        now: Timestamp,
    ) -> Result<(), CloudError> {
        let update = Update::of(keys::mail(tenant, action, &taken.mail.id))
            .set("state", text("pending"))
            .remove("lease_until")
            .remove("lease_until_ms")
            .look_again(now.saturating_add(PAUSE).unwrap_or(now))
            .when(Condition::Equal("attempt_id", text(&taken.attempt_id)));
        self.requests.update(update).await.map(|_| ())
    }

    async fn end_mail(&self, update: Update, taken: &TakenMail) -> Result<(), CloudError> {
        let update = update
            .remove("lease_until")
            .remove("lease_until_ms")
            .close()
            .when(Condition::Equal("attempt_id", text(&taken.attempt_id)));
        // Refused: the lease was over and another attempt has it; that one records it.
        self.requests.update(update).await.map(|_| ())
    }
}

//! The mail when an action has ended: once, to the member who started it.

use oubli_cloud::{Envelope, MailOutcome, TakenMail};
use oubli_domain::message::NotifyMessage;
use oubli_domain::{AttemptId, TenantId};
use oubli_mail::{ActionEnded, Ending, Mail};

use crate::Oubli;
use crate::error::WorkflowError;

/// So often the queue itself tries: as often as it delivers a message.
const QUEUE_ATTEMPTS: u32 = 5;
/// After so many tries a mail is given up: by then the janitor has tried every quarter of an hour for
/// two days.
const MAX_ATTEMPTS: u32 = 200;

impl Oubli {
    /// Sends a mail that is still to be sent. Its lease keeps a duplicate message from sending it
    /// twice; only a process that dies between the mail service's yes and the record of it leaves
    /// room for a second copy.
    ///
    /// # Errors
    /// [`WorkflowError::Busy`], [`WorkflowError::Internal`]: the message is to come again.
    pub async fn send_mail(&self, message: &NotifyMessage) -> Result<(), WorkflowError> {
        let (tenant, action) = (&message.tenant_id, &message.action_id);
        let attempt = AttemptId::from(self.ids.uuid());
        let taken = self
            .cloud
            .take_mail(tenant, action, &message.mail_id, &attempt, self.now())
            .await?;
        let Some(taken) = taken else {
            tracing::info!("the mail is sent, or in another's hands");
            return Ok(());
        };
        match self.deliver(message, &taken).await {
            Ok(MailOutcome::Sent) => Ok(self
                .cloud
                .note_mail_sent(tenant, action, &taken, self.now())
                .await?),
            Ok(MailOutcome::Refused) => {
                tracing::warn!("the mail cannot be delivered");
                Ok(self.cloud.note_mail_undeliverable(tenant, action, &taken).await?)
            }
            Err(error) if taken.mail.attempts >= MAX_ATTEMPTS => {
                tracing::error!(%error, "the mail is given up");
                Ok(self.cloud.note_mail_undeliverable(tenant, action, &taken).await?)
            }
            Err(error) => {
                self.cloud
                    .put_mail_back(tenant, action, &taken, self.now())
                    .await?;
                if taken.mail.attempts <= QUEUE_ATTEMPTS {
                    return Err(error);
                }
                // The queue's patience, and its dead-letter queue's alarm, is used up: the janitor's is not.
                tracing::warn!(%error, "the mail is left for the janitor to send");
                Ok(())
            }
        }
    }

    async fn deliver(
        &self,
        message: &NotifyMessage,
        taken: &TakenMail,
    ) -> Result<MailOutcome, WorkflowError> {
        let member = self
            .cloud
            .member(&message.tenant_id, &taken.mail.member_id)
            .await?;
        // A member who has left gets no mail.
        let Some(member) = member else {
            return Ok(MailOutcome::Refused);
        };
        let mail = self.mail_about(&message.tenant_id, message, &member.name).await?;
        let envelope = Envelope {
            to: member.email.expose(),
            subject: mail.subject(),
            text: mail.text(),
            html: mail.html(),
        };
        Ok(self.cloud.send_mail(envelope).await?)
    }

    async fn mail_about(
        &self,
        tenant: &TenantId,
        message: &NotifyMessage,
        member_name: &oubli_domain::Personal<String>,
    ) -> Result<Mail, WorkflowError> {
        let front_end = self.front_end.as_ref();
        let front_end =
            front_end.ok_or_else(|| WorkflowError::internal("the address of the front end is not set"))?;
        let action = self.get_action(tenant, &message.action_id).await?;
        let tenant = self.cloud.tenant(tenant).await?.ok_or(WorkflowError::NotFound)?;
        // A retry may run again since; the mail then tells of the state that was reached last.
        let ending = Ending::try_from(action.state)
            .or_else(|_| Ending::try_from(action.counts.end_state(action.stop_requested)))
            .map_err(WorkflowError::internal)?;
        let mail = ActionEnded {
            language: tenant.language,
            kind: action.kind,
            ending,
            counts: action.counts,
            total: action.total,
            requested_at: action.created_at,
            ended_at: action.completed_at.unwrap_or_else(|| self.now()),
            member_name,
            tenant_name: &tenant.name,
            action_page: &front_end.action_page(&action.id),
        };
        mail.render().map_err(WorkflowError::internal)
    }
}

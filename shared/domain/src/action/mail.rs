//! The mail when an action has ended.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{AttemptId, MailId, MemberId};

/// How far a mail has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailState {
    /// To be sent.
    Pending,
    /// Taken by a notifier.
    Sending,
    /// Accepted by the mail service.
    Sent,
    /// Refused for good: the member is gone, or the address is refused.
    Undeliverable,
}

/// A mail about an action: the outbox record. It holds no address: that is looked up when it is
/// sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionMail {
    /// Which mail.
    pub id: MailId,
    /// To whom.
    pub member_id: MemberId,
    /// How far it has come.
    pub state: MailState,
    /// Who holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_id: Option<AttemptId>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Timestamp>,
    /// How often it was taken.
    pub attempts: u32,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When the mail service took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
}

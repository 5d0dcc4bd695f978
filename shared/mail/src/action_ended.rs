//! "Your data action has ended": the one mail to the member who started it (V6).

use jiff::Timestamp;
use minijinja::context;
use minijinja::value::Value;
use oubli_domain::action::{ActionKind, ActionState, Counts};
use oubli_domain::archive::ARCHIVE_LIFE;
use oubli_domain::{Language, Personal};

use crate::front_end::ActionPage;
use crate::rendering::{Mail, MailError, Templates, render};
use crate::wording;

/// Longest name that is repeated in a mail, in characters.
const MAX_NAME_CHARS: usize = 80;

/// How an action ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// Every item ended well.
    Completed,
    /// Some items failed.
    CompletedWithFailures,
    /// Every item failed.
    Failed,
    /// Stopped by a member.
    Stopped,
}

/// There is no such mail about an action that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the action has not ended")]
pub struct NotEnded;

impl Ending {
    /// Every ending there is: for tests that render all.
    pub const ALL: [Self; 4] = [
        Self::Completed,
        Self::CompletedWithFailures,
        Self::Failed,
        Self::Stopped,
    ];

    fn code(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::CompletedWithFailures => "completed_with_failures",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

impl TryFrom<ActionState> for Ending {
    type Error = NotEnded;
    fn try_from(state: ActionState) -> Result<Self, NotEnded> {
        match state {
            ActionState::Completed => Ok(Self::Completed),
            ActionState::CompletedWithFailures => Ok(Self::CompletedWithFailures),
            ActionState::Failed => Ok(Self::Failed),
            ActionState::Stopped => Ok(Self::Stopped),
            ActionState::Queued | ActionState::Running => Err(NotEnded),
        }
    }
}

/// What the mail is made from. Nothing in it is about a contact.
#[derive(Clone, Debug)]
pub struct ActionEnded<'a> {
    /// The tenant's language.
    pub language: Language,
    /// What was done.
    pub kind: ActionKind,
    /// How it ended.
    pub ending: Ending,
    /// How many contacts ended how; of a restore from archives, one contact each.
    pub counts: Counts,
    /// How many contacts there were.
    pub total: u64,
    /// When the action was started.
    pub requested_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// The display name of the member who gets the mail.
    pub member_name: &'a Personal<String>,
    /// The company's name.
    pub tenant_name: &'a str,
    /// Where the member sees the results, and downloads the archives of an export.
    pub action_page: &'a ActionPage,
}

impl ActionEnded<'_> {
    /// Renders the mail.
    ///
    /// # Errors
    /// [`MailError`] when a template is faulty.
    pub fn render(&self) -> Result<Mail, MailError> {
        let own = match (self.kind, self.language) {
            (ActionKind::Export, Language::Fr) => include_str!("../templates/export_ended.fr.txt"),
            (ActionKind::Export, Language::En) => include_str!("../templates/export_ended.en.txt"),
            (ActionKind::Anonymise, Language::Fr) => include_str!("../templates/anonymise_ended.fr.txt"),
            (ActionKind::Anonymise, Language::En) => include_str!("../templates/anonymise_ended.en.txt"),
            (ActionKind::Restore, Language::Fr) => include_str!("../templates/restore_ended.fr.txt"),
            (ActionKind::Restore, Language::En) => include_str!("../templates/restore_ended.en.txt"),
        };
        let templates = Templates {
            phrases: match self.language {
                Language::Fr => include_str!("../templates/action_ended.fr.txt"),
                Language::En => include_str!("../templates/action_ended.en.txt"),
            },
            own,
            text: include_str!("../templates/action_ended.txt"),
            html: include_str!("../templates/action_ended.html"),
        };
        let context = context! {
            ending => self.ending.code(),
            done => self.counts.done,
            failed => self.counts.failed,
            skipped => self.counts.skipped,
            stopped => self.counts.stopped,
            total => self.total,
            requested_at => wording::instant(self.language, self.requested_at),
            ended_at => wording::instant(self.language, self.ended_at),
            member_name => name(self.member_name.expose()),
            tenant_name => name(self.tenant_name),
            archive_life_days => ARCHIVE_LIFE.as_hours() / 24,
            // Only characters that mean nothing in HTML: see `FrontEndUrl`.
            page => Value::from_safe_string(self.action_page.as_str().to_owned()),
        };
        render(self.language, templates, &context)
    }
}

fn name(text: &str) -> String {
    wording::one_line(text).chars().take(MAX_NAME_CHARS).collect()
}

#[cfg(test)]
mod tests;

//! SES v2, for the calls that Oubli and its tools make. Nothing leaves the machine: each mail is kept as an
//! `.eml` file, which is also what the outbox is read from after a restart.
//!
//! Identities count as verified once they are created. A sender that is not one is refused, as the service
//! refuses it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderValue, Method};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::clock::EngineClock;
use crate::endpoint::{Answer, text_answer};

mod mailbox;
mod message;
mod operations;
mod parse;
mod settings;
mod wire;

use mailbox::Mailbox;
use settings::Settings;
use tokio::sync::watch;

/// Why the mails could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum SesError {
    /// A file cannot be read or written.
    #[error("the mails in `{path}` cannot be kept: {error}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
}

/// A mail that was sent, as its reader sees it.
#[derive(Clone, PartialEq, Eq)]
pub struct SentMail {
    /// The message id that the sender was given.
    pub id: String,
    /// As in the mail, display name included.
    pub from: String,
    /// All recipients.
    pub to: Vec<String>,
    /// Decoded.
    pub subject: String,
    /// The plain text part, decoded.
    pub text: Option<String>,
    /// The HTML part, decoded.
    pub html: Option<String>,
    /// By the engine's clock.
    pub sent_at: Timestamp,
    /// The `.eml` file.
    pub path: PathBuf,
}

impl std::fmt::Debug for SentMail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SentMail")
            .field("id", &self.id)
            .field("sent_at", &self.sent_at)
            .finish_non_exhaustive()
    }
}

/// Whose mails are treated specially.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipients {
    /// Every mail.
    All,
    /// Mails to this address (compared without regard to case).
    Address(String),
}

/// What happens to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `SendEmail` fails with `MessageRejected`.
    Reject,
    /// `SendEmail` succeeds and the mail bounces: it is not delivered, and the address goes on the
    /// suppression list.
    Bounce,
}

/// The mails. Cheap to clone.
#[derive(Clone)]
pub struct SesEngine {
    shared: Arc<Shared>,
}

struct Shared {
    clock: EngineClock,
    state: Mutex<State>,
    /// Changes after each call, which may have delivered a mail.
    called: watch::Sender<()>,
}

struct State {
    settings: Settings,
    mailbox: Mailbox,
    refusals: Vec<(Recipients, Refusal)>,
}

impl SesEngine {
    /// Opens what the folder `root`, which exists, keeps.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(crate) fn open(root: &Path, clock: EngineClock) -> Result<Self, SesError> {
        let settings = Settings::open(root.join("ses.json"))?;
        let mailbox = Mailbox::open(root.join("mails"), clock.now())?;
        let state = Mutex::new(State {
            settings,
            mailbox,
            refusals: Vec::new(),
        });
        let called = watch::Sender::new(());
        Ok(Self {
            shared: Arc::new(Shared { clock, state, called }),
        })
    }

    /// The mails that were delivered, newest first.
    pub fn outbox(&self) -> Vec<SentMail> {
        self.state().mailbox.delivered()
    }

    /// Waits until so many mails are in the outbox.
    pub async fn delivered(&self, count: usize) {
        let mut calls = self.shared.called.subscribe();
        // Its sender is held here: it cannot fail.
        let _ = calls
            .wait_for(|()| self.state().mailbox.delivered().len() >= count)
            .await;
    }

    /// The mails that bounced since the start, newest first.
    pub fn bounced(&self) -> Vec<SentMail> {
        self.state().mailbox.bounced()
    }

    /// The folder of the `.eml` files.
    pub fn folder(&self) -> PathBuf {
        self.state().mailbox.folder().to_owned()
    }

    /// From now on mails to these recipients are rejected, or bounce.
    pub fn refuse(&self, recipients: Recipients, refusal: Refusal) {
        self.state().refusals.push((recipients, refusal));
    }

    /// Takes back everything that [`SesEngine::refuse`] said.
    pub fn accept_all(&self) {
        self.state().refusals.clear();
    }

    /// Answers one call of the REST protocol.
    pub(crate) async fn answer(&self, method: &Method, path: &str, body: Bytes) -> Answer {
        let engine = self.clone();
        let (method, path) = (method.clone(), path.to_owned());
        let result = tokio::task::spawn_blocking(move || {
            let now = engine.shared.clock.now();
            operations::perform(&mut engine.state(), &method, &path, &body, now)
        })
        .await
        .unwrap_or_else(|error| Err(ApiError::internal(error.to_string())));
        self.shared.called.send_replace(());
        match result {
            Ok(answer) => text_answer(200, "application/json", answer.to_string()),
            Err(error) => error.into_answer(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What was asked for mails to any of these recipients.
    fn refusal(&self, recipients: &[String]) -> Option<Refusal> {
        let concerns = |whose: &Recipients| match whose {
            Recipients::All => true,
            Recipients::Address(address) => recipients.iter().any(|to| to.eq_ignore_ascii_case(address)),
        };
        self.refusals
            .iter()
            .find(|(whose, _)| concerns(whose))
            .map(|(_, refusal)| *refusal)
    }
}

/// An error as a client sees it.
#[derive(Clone, Debug)]
struct ApiError {
    status: u16,
    code: &'static str,
    message: String,
}

impl ApiError {
    fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequestException", message)
    }

    fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, "NotFoundException", message)
    }

    fn exists(message: impl Into<String>) -> Self {
        Self::new(400, "AlreadyExistsException", message)
    }

    fn rejected(message: impl Into<String>) -> Self {
        Self::new(400, "MessageRejected", message)
    }

    fn internal(message: impl Into<String>) -> Self {
        Self::new(500, "InternalServiceErrorException", message)
    }

    fn into_answer(self) -> Answer {
        let body: Value = json!({"message": self.message});
        let mut answer = text_answer(self.status, "application/json", body.to_string());
        answer
            .headers_mut()
            .insert("x-amzn-errortype", HeaderValue::from_static(self.code));
        answer
    }
}

impl From<SesError> for ApiError {
    fn from(error: SesError) -> Self {
        tracing::error!(%error, "a mail could not be kept");
        Self::internal("the mail could not be kept")
    }
}

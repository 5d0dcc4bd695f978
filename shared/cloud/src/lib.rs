//! DynamoDB, S3, SQS and SES behind types of the domain.
//!
//! The only crate, besides the embedded engines, that knows the AWS SDK; none of its types shows
//! in the public face. What is stored has the domain's shapes; keys are built in one place
//! (`keys`), conditions and updates in one form (`expression`).

mod access;
mod access_changes;
mod actions;
mod anonymising;
mod archives;
mod audit;
mod chunks;
mod connect;
mod contact_lists;
mod contacts;
mod documents;
mod error;
mod expression;
mod hash_key;
mod idempotency;
mod items;
mod keys;
mod mailer;
mod mails;
mod member_names;
mod memberships;
mod objects;
mod open_work;
mod pauses;
mod previews;
mod purges;
mod queues;
mod restores;
mod rights;
mod saved_archives;
mod signing;
mod table;

pub use access_changes::{AccessChange, AccessOutcome, MembershipsOf};
pub use actions::{CreateActionOutcome, PlannedChunk};
pub use anonymising::{Anonymisation, AnonymiseOutcome};
pub use archives::{CompletedExport, MAX_LEARNED};
pub use chunks::{TakeOutcome, TakenItem};
pub use connect::{Cloud, CloudSettings, ConnectOptions, SettingError};
pub use contact_lists::{ContactPage, ContactQuery, CursorError, ScanPage, SummaryPage};
pub use contacts::{CreateOutcome, PastAction, UpdateOutcome};
pub use documents::{DocumentOutcome, LearnedHashes, WholeContact};
pub use error::CloudError;
pub use idempotency::{IdempotencyClaim, Replay};
pub use keys::archive_of_object;
pub use mailer::{Envelope, MailOutcome};
pub use mails::TakenMail;
pub use memberships::UnusedMemberships;
pub use objects::{
    ArchiveUpload, Links, ObjectBytes, PartReceipt, RestoredParts, SavedSource, SignedUpload, StoreOutcome,
    UploadedObject,
};
pub use open_work::{Due, OpenWork, SHARDS};
pub use purges::Purge;
pub use queues::WorkQueue;
pub use restores::{ReadyRestore, RestoreOrigin, RestoreOutcome};
pub use rights::{Access, MemberEntry};
pub use saved_archives::{RestoredFrom, SavedUpload, UPLOAD_RECORD_LIFE};
pub use signing::SigningKey;
pub use table::ListPage;

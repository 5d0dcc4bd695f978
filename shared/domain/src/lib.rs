//! What Oubli decides: its words as types, its rules as functions of values.
//!
//! No async, no I/O, no clock, no AWS: the present is an argument, an answer is a value.
//! A value that is wrong cannot be built (`Email::parse`, `ContactDraft::parse` …).

pub mod action;
pub mod archive;
pub mod audit;
pub mod contact;
pub mod document;
pub mod email;
pub mod field_error;
pub mod group;
pub mod hash;
pub mod ids;
pub mod keyed_hash;
pub mod language;
pub mod member;
pub mod message;
pub mod paging;
pub mod personal;
pub mod phone;
pub mod plan;
pub mod reason;
pub mod restore;
pub mod rights;
pub mod search;
pub mod tenant;
pub mod text;

pub use field_error::{FieldError, FieldErrors};
pub use hash::{Crc32, Sha256};
pub use ids::{
    ActionId, ArchiveId, AttemptId, AuditEntryId, ContactId, DocumentId, GenerationId, GroupId, IdError,
    ItemId, MailId, MemberId, TenantId, UploadId,
};
pub use keyed_hash::{HashKey, HashPurpose, KeyedHash};
pub use language::Language;
pub use personal::Personal;
pub use reason::Reason;

//! Tenants: closed environments of companies.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::TenantId;
use crate::language::Language;

/// A company's closed environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// Which.
    pub id: TenantId,
    /// The company's name.
    pub name: String,
    /// The language of its mails and archives.
    pub language: Language,
    /// When it was provisioned.
    pub created_at: Timestamp,
    /// Grows with every change of groups or members; changes of rights are serialised by it.
    pub access_version: u64,
}

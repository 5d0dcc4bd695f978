//! `/v1/audit`: who was given a link to what, and which archives are gone.

use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use oubli_domain::audit::{AuditEntry, AuditEvent};
use oubli_workflows::{MemberNames, PageRequest};
use serde::Serialize;
use utoipa::ToSchema;

use crate::answer::{self, PageView};
use crate::auth::{Administration, Staff};
use crate::problem::{Problem, problems};
use crate::schema;
use crate::state::ApiState;

/// An entry of the audit.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub struct AuditEntryView {
    /// Which entry.
    id: String,
    /// What happened.
    #[schema(schema_with = schema::audit_event)]
    event: &'static str,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The id of the member who was given a link; absent where nobody did anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    member_id: Option<String>,
    /// That member's name; absent once the member was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    member_name: Option<String>,
    /// Which contact it is about.
    contact_id: String,
    /// Which archive it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    archive_id: Option<String>,
    /// Which document it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    document_id: Option<String>,
    /// When the link ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    link_expires_at: Option<Timestamp>,
}

impl AuditEntryView {
    /// Renders an entry.
    pub fn new(entry: AuditEntry, names: &MemberNames) -> Self {
        let event = entry.event.code();
        let member = entry.event.member_id();
        let member_name = member.and_then(|member| names.of(member)).map(str::to_owned);
        let member_id = member.map(ToString::to_string);
        let (contact_id, archive_id, document_id, link_expires_at) = match entry.event {
            AuditEvent::ArchiveLinkMinted {
                contact_id,
                archive_id,
                link_expires_at,
                ..
            } => (contact_id, Some(archive_id), None, Some(link_expires_at)),
            AuditEvent::DocumentLinkMinted {
                contact_id,
                document_id,
                link_expires_at,
                ..
            } => (contact_id, None, Some(document_id), Some(link_expires_at)),
            AuditEvent::ArchiveGone {
                contact_id,
                archive_id,
            } => (contact_id, Some(archive_id), None, None),
        };
        Self {
            id: entry.id.into(),
            event,
            at: entry.at,
            member_id,
            member_name,
            contact_id: contact_id.into(),
            archive_id: archive_id.map(String::from),
            document_id: document_id.map(String::from),
            link_expires_at,
        }
    }
}

problems!(ListProblems: STAFF + LIST + []);

/// The audit of the tenant, newest first.
#[utoipa::path(get, path = "/v1/audit", operation_id = "list_audit", tag = "audit",
    security(("staff_token" = [])),
    params(("limit" = inline(Option<u32>), Query, minimum = 1, maximum = 200, description = "Entries of a page; 50 unless given"),
        ("cursor" = inline(Option<String>), Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "One page", body = PageView<AuditEntryView>), ListProblems))]
pub async fn list(
    staff: Staff<Administration, PageRequest>,
    State(state): State<ApiState>,
) -> Result<Response, Problem> {
    let tenant = &staff.caller.tenant_id;
    let page = state.oubli.list_audit(tenant, &staff.query).await?;
    let members = page.items.iter().filter_map(|entry| entry.event.member_id());
    let names = state.oubli.member_names(tenant, members.cloned()).await?;
    Ok(answer::ok(PageView::new(page, |entry| {
        AuditEntryView::new(entry, &names)
    })))
}

//! `/v1/members`: the people who work for the tenant.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use oubli_domain::member::{Member, MemberDraft};
use oubli_domain::{FieldErrors, MemberId};
use oubli_workflows::{MemberChange, PageRequest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::answer::{self, PageView};
use crate::auth::{Administration, Staff};
use crate::input::body::Input;
use crate::input::{Command, Json, Path};
use crate::problem::{Problem, problems};
use crate::state::ApiState;

/// A member.
#[derive(Serialize, ToSchema)]
#[schema(as = Member)]
pub struct MemberView {
    /// The `sub` of the member's tokens.
    id: String,
    /// Display name.
    name: String,
    /// Where mails go.
    email: String,
    /// When the member was entered.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl MemberView {
    /// Renders a member.
    pub fn new(member: Member) -> Self {
        Self {
            id: member.id.into(),
            name: member.name.into_exposed(),
            email: member.email.into_exposed().into(),
            created_at: member.created_at,
        }
    }
}

/// A member to be entered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewMember)]
pub struct CreateMemberBody {
    /// The `sub` that the issuer puts into the member's tokens: 1 to 128 letters, digits, `-_.:|`.
    id: String,
    /// Display name.
    name: String,
    /// Where mails go.
    email: String,
}
impl Input for CreateMemberBody {}

/// What changes of a member; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MemberPatch)]
pub struct UpdateMemberBody {
    /// Display name.
    name: Option<String>,
    /// Where mails go.
    email: Option<String>,
}
impl Input for UpdateMemberBody {}

problems!(ListProblems: STAFF + LIST + []);
problems!(CreateProblems: STAFF + BODY + IDEMPOTENT + [AlreadyExists]);
problems!(ReadProblems: STAFF + PATH + []);
problems!(UpdateProblems: STAFF + PATH + BODY + []);
problems!(DeleteProblems: STAFF + PATH + [LastAdministrator, Contended]);

/// The members of the tenant.
#[utoipa::path(get, path = "/v1/members", operation_id = "list_members", tag = "members",
    security(("staff_token" = [])),
    params(("limit" = inline(Option<u32>), Query, minimum = 1, maximum = 200, description = "Entries of a page; 50 unless given"),
        ("cursor" = inline(Option<String>), Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "One page", body = PageView<MemberView>), ListProblems))]
pub async fn list(
    staff: Staff<Administration, PageRequest>,
    State(state): State<ApiState>,
) -> Result<Response, Problem> {
    let page = state
        .oubli
        .list_members(&staff.caller.tenant_id, &staff.query)
        .await?;
    Ok(answer::ok(PageView::new(page, MemberView::new)))
}

/// Enter a member.
#[utoipa::path(post, path = "/v1/members", operation_id = "create_member", tag = "members",
    security(("staff_token" = [])),
    params(("Idempotency-Key" = inline(Option<String>), Header, nullable = false, max_length = 255, description = "Makes a repetition harmless for 24 hours")),
    request_body = CreateMemberBody,
    responses((status = 201, description = "The member", body = MemberView, headers(("Location"))), CreateProblems))]
pub async fn create(
    staff: Staff<Administration>,
    State(state): State<ApiState>,
    command: Command<CreateMemberBody>,
) -> Result<Response, Problem> {
    let CreateMemberBody { id, name, email } = command.body;
    let draft = MemberDraft { name, email };
    let id = match MemberId::parse(id) {
        Ok(id) => id,
        Err(error) => {
            // Everything that is wrong is told at once.
            let mut errors = FieldErrors::one("/id", error);
            for other in draft.parse().err().iter().flat_map(FieldErrors::as_slice) {
                errors.push(&other.pointer, &other.detail);
            }
            return Err(Problem::refused(&errors));
        }
    };
    let member = state
        .oubli
        .create_member(
            &staff.caller.tenant_id,
            id,
            draft,
            &command.idempotency.of(&staff.caller.member_id),
        )
        .await?;
    let location = format!("/v1/members/{}", path_segment(member.id.as_str()));
    answer::at(StatusCode::CREATED, &location, MemberView::new(member))
}

/// One member.
#[utoipa::path(get, path = "/v1/members/{member_id}", operation_id = "get_member", tag = "members",
    security(("staff_token" = [])), params(("member_id" = String, Path)),
    responses((status = 200, description = "The member", body = MemberView), ReadProblems))]
pub async fn get(
    staff: Staff<Administration>,
    Path(id): Path<MemberId>,
    State(state): State<ApiState>,
) -> Result<Response, Problem> {
    let member = state.oubli.get_member(&staff.caller.tenant_id, &id).await?;
    Ok(answer::ok(MemberView::new(member)))
}

/// Change a member.
#[utoipa::path(patch, path = "/v1/members/{member_id}", operation_id = "update_member", tag = "members",
    security(("staff_token" = [])), params(("member_id" = String, Path)),
    request_body = UpdateMemberBody,
    responses((status = 200, description = "The member", body = MemberView), UpdateProblems))]
pub async fn update(
    staff: Staff<Administration>,
    Path(id): Path<MemberId>,
    State(state): State<ApiState>,
    Json(body): Json<UpdateMemberBody>,
) -> Result<Response, Problem> {
    let change = MemberChange {
        name: body.name,
        email: body.email,
    };
    let member = state
        .oubli
        .update_member(&staff.caller.tenant_id, &id, change)
        .await?;
    Ok(answer::ok(MemberView::new(member)))
}

/// Remove a member.
///
/// It leaves every group. What it did stays, under its id.
#[utoipa::path(delete, path = "/v1/members/{member_id}", operation_id = "delete_member", tag = "members",
    security(("staff_token" = [])), params(("member_id" = String, Path)),
    responses((status = 204, description = "Removed"), DeleteProblems))]
pub async fn delete(
    staff: Staff<Administration>,
    Path(id): Path<MemberId>,
    State(state): State<ApiState>,
) -> Result<Response, Problem> {
    state.oubli.delete_member(&staff.caller.tenant_id, &id).await?;
    Ok(answer::no_content())
}

/// An id of an issuer's making in a path: `|` must be encoded there (RFC 3986, section 3.3).
fn path_segment(id: &str) -> String {
    id.replace('|', "%7C")
}

//! `/v1/groups`: security groups, their rights and their members.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use oubli_domain::GroupId;
use oubli_domain::group::{Group, Right};
use oubli_workflows::{GroupDraft, PageRequest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Array, ArrayBuilder};

use crate::answer::{self, PageView};
use crate::auth::{Administration, Staff};
use crate::input::body::Input;
use crate::input::{Command, IfMatch, Json, Path};
use crate::problem::{Problem, problems};
use crate::schema;
use crate::state::ApiState;

/// A security group.
#[derive(Serialize, ToSchema)]
#[schema(as = Group)]
pub struct GroupView {
    /// Which.
    id: String,
    /// Display name.
    name: String,
    /// What its members may do.
    #[schema(schema_with = rights)]
    rights: Vec<Right>,
    /// Who they are.
    member_ids: Vec<String>,
    /// Grows with every change; the `ETag` says the same.
    version: u64,
}

impl GroupView {
    fn new(group: Group) -> Self {
        Self {
            id: group.id.into(),
            name: group.name,
            rights: group.rights.into_iter().collect(),
            member_ids: group.member_ids.into_iter().map(String::from).collect(),
            version: group.version,
        }
    }
}

/// A security group as entered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewGroup)]
pub struct GroupBody {
    /// Display name.
    name: String,
    /// What its members may do.
    #[schema(schema_with = rights)]
    rights: Vec<String>,
    /// Who they are.
    member_ids: Vec<String>,
}
impl Input for GroupBody {}

fn rights() -> Array {
    ArrayBuilder::new().items(schema::right()).build()
}

impl From<GroupBody> for GroupDraft {
    fn from(body: GroupBody) -> Self {
        Self {
            name: body.name,
            rights: body.rights,
            member_ids: body.member_ids,
        }
    }
}

fn render(group: Group, status: StatusCode) -> Result<Response, Problem> {
    let (version, location) = (group.version, format!("/v1/groups/{}", group.id));
    let view = GroupView::new(group);
    let response = if status == StatusCode::CREATED {
        answer::at(status, &location, view)?
    } else {
        answer::ok(view)
    };
    answer::versioned(response, version)
}

problems!(ListProblems: STAFF + LIST + []);
problems!(CreateProblems: STAFF + BODY + IDEMPOTENT + [Contended]);
problems!(ReadProblems: STAFF + PATH + []);
problems!(ReplaceProblems: STAFF + PATH + CONDITIONAL + BODY + [LastAdministrator, Contended]);
problems!(DeleteProblems: STAFF + PATH + [LastAdministrator, Contended]);

/// The security groups of the tenant.
#[utoipa::path(get, path = "/v1/groups", operation_id = "list_groups", tag = "groups",
    security(("staff_token" = [])),
    params(("limit" = inline(Option<u32>), Query, minimum = 1, maximum = 200, description = "Entries of a page; 50 unless given"),
        ("cursor" = inline(Option<String>), Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "One page", body = PageView<GroupView>), ListProblems))]
pub async fn list(
    staff: Staff<Administration, PageRequest>,
    State(state): State<ApiState>,
) -> Result<Response, Problem> {
    let page = state
        .oubli
        .list_groups(&staff.caller.tenant_id, &staff.query)
        .await?;
    Ok(answer::ok(PageView::new(page, GroupView::new)))
}

/// Make a security group.
#[utoipa::path(post, path = "/v1/groups", operation_id = "create_group", tag = "groups",
    security(("staff_token" = [])),
    params(("Idempotency-Key" = inline(Option<String>), Header, nullable = false, max_length = 255, description = "Makes a repetition harmless for 24 hours")),
    request_body = GroupBody,
    responses((status = 201, description = "The group", body = GroupView, headers(("Location"), ("ETag"))), CreateProblems))]
pub async fn create(
    staff: Staff<Administration>,
    State(state): State<ApiState>,
    command: Command<GroupBody>,
) -> Result<Response, Problem> {
    let group = state
        .oubli
        .create_group(
            &staff.caller.tenant_id,
            command.body.into(),
            &command.idempotency.of(&staff.caller.member_id),
        )
        .await?;
    render(group, StatusCode::CREATED)
}

/// One security group.
#[utoipa::path(get, path = "/v1/groups/{group_id}", operation_id = "get_group", tag = "groups",
    security(("staff_token" = [])), params(("group_id" = String, Path)),
    responses((status = 200, description = "The group", body = GroupView, headers(("ETag"))), ReadProblems))]
pub async fn get(
    staff: Staff<Administration>,
    Path(id): Path<GroupId>,
    State(state): State<ApiState>,
) -> Result<Response, Problem> {
    render(
        state.oubli.get_group(&staff.caller.tenant_id, &id).await?,
        StatusCode::OK,
    )
}

/// Replace a security group.
#[utoipa::path(put, path = "/v1/groups/{group_id}", operation_id = "replace_group", tag = "groups",
    security(("staff_token" = [])),
    params(("group_id" = String, Path),
        ("If-Match" = String, Header, description = "The `ETag` of the version that the change starts from, or `*`")),
    request_body = GroupBody,
    responses((status = 200, description = "The group", body = GroupView, headers(("ETag"))), ReplaceProblems))]
pub async fn replace(
    staff: Staff<Administration>,
    Path(id): Path<GroupId>,
    IfMatch(expected): IfMatch,
    State(state): State<ApiState>,
    Json(body): Json<GroupBody>,
) -> Result<Response, Problem> {
    let group = state
        .oubli
        .replace_group(&staff.caller.tenant_id, &id, expected, body.into())
        .await?;
    render(group, StatusCode::OK)
}

/// Remove a security group.
#[utoipa::path(delete, path = "/v1/groups/{group_id}", operation_id = "delete_group", tag = "groups",
    security(("staff_token" = [])), params(("group_id" = String, Path)),
    responses((status = 204, description = "Removed"), DeleteProblems))]
pub async fn delete(
    staff: Staff<Administration>,
    Path(id): Path<GroupId>,
    State(state): State<ApiState>,
) -> Result<Response, Problem> {
    state.oubli.delete_group(&staff.caller.tenant_id, &id).await?;
    Ok(answer::no_content())
}

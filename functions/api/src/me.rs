//! `GET /v1/me`: who is signed in.

use axum::extract::State;
use axum::response::Response;
use oubli_domain::Language;
use oubli_domain::group::Right;
use serde::Serialize;
use utoipa::ToSchema;

use crate::answer;
use crate::auth::{AnyMember, Staff};
use crate::members::MemberView;
use crate::problem::{Problem, problems};
use crate::schema;
use crate::state::ApiState;

/// Who is signed in, where, and with which rights.
#[derive(Serialize, ToSchema)]
#[schema(as = Me)]
pub struct MeView {
    /// The member.
    member: MemberView,
    /// The tenant.
    tenant: TenantView,
    /// What the member may do.
    #[schema(schema_with = rights)]
    rights: Vec<Right>,
}

fn rights() -> utoipa::openapi::schema::Array {
    utoipa::openapi::schema::ArrayBuilder::new()
        .items(schema::right())
        .build()
}

/// A tenant.
#[derive(Serialize, ToSchema)]
#[schema(as = Tenant)]
pub struct TenantView {
    /// Which.
    id: String,
    /// The company's name.
    name: String,
    /// The language of its mails and archives.
    #[schema(schema_with = schema::language)]
    language: Language,
}

problems!(MeProblems: STAFF + []);

/// Who is signed in.
#[utoipa::path(get, path = "/v1/me", operation_id = "get_me", tag = "members", security(("staff_token" = [])),
    responses((status = 200, description = "The member, its tenant and its rights", body = MeView), MeProblems))]
pub async fn get(staff: Staff<AnyMember>, State(state): State<ApiState>) -> Result<Response, Problem> {
    // Three reads at once make a future too large to lie in its caller's.
    let me = Box::pin(state.oubli.me(&staff.caller)).await?;
    let tenant = me.tenant;
    Ok(answer::ok(MeView {
        member: MemberView::new(me.member),
        tenant: TenantView {
            id: tenant.id.into(),
            name: tenant.name,
            language: tenant.language,
        },
        rights: me.rights.into_iter().collect(),
    }))
}

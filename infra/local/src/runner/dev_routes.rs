//! What only the local runner has: discovery and tokens, the clock, the outbox.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use jiff::SignedDuration;
use oubli_domain::{MemberId, TenantId};
use oubli_workflows::Oubli;
use serde::Deserialize;
use serde_json::{Value, json};

use super::identity::{Identity, TokenRequest};
use super::seeding::DEMO_TENANTS;
use super::state::StateFolder;
use crate::clock::EngineClock;
use crate::ses::SesEngine;

/// The furthest that the clock moves in one step: a century.
const MAX_ADVANCE_SECONDS: i64 = 100 * 366 * 24 * 3600;

#[derive(Clone)]
pub(super) struct DevState {
    pub(super) identity: Arc<Identity>,
    pub(super) clock: EngineClock,
    pub(super) mails: Option<SesEngine>,
    pub(super) state: Option<StateFolder>,
    pub(super) oubli: Oubli,
}

pub(super) fn router(state: DevState) -> Router {
    Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/.well-known/jwks.json", get(jwks))
        .route("/dev/token", get(token))
        .route("/dev/clock", get(clock).post(advance))
        .route("/dev/outbox", get(outbox))
        .with_state(state)
}

/// A problem of the development routes, in the form of the API's own.
fn problem(status: StatusCode, detail: &str) -> Response {
    let body = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or_default(),
        "status": status.as_u16(),
        "detail": detail
    });
    let mut response = (status, Json(body)).into_response();
    let problem = http::HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, problem);
    response
}

async fn discovery(State(state): State<DevState>) -> Json<Value> {
    Json(state.identity.discovery())
}

async fn jwks(State(state): State<DevState>) -> Json<Value> {
    Json(state.identity.jwks())
}

#[derive(Deserialize)]
struct TokenQuery {
    member: Option<String>,
    portal: Option<String>,
    tenant: Option<String>,
}

async fn token(State(state): State<DevState>, Query(query): Query<TokenQuery>) -> Response {
    let request = match query {
        TokenQuery {
            member: Some(member),
            portal: None,
            tenant,
        } => match staff(&state.oubli, member, tenant).await {
            Some(request) => request,
            None => return problem(StatusCode::NOT_FOUND, "no demo tenant has this member"),
        },
        TokenQuery {
            member: None,
            portal: Some(email),
            tenant: Some(tenant),
        } => TokenRequest::Portal { tenant, email },
        _ => {
            let detail = "say `?member=<id>`, or `?portal=<e-mail>&tenant=<id>`";
            return problem(StatusCode::BAD_REQUEST, detail);
        }
    };
    match state.identity.token(&request, state.clock.now()) {
        Ok((token, expires_at)) => {
            Json(json!({ "token": token, "expires_at": expires_at.to_string() })).into_response()
        }
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// A member with its own address, in the tenant that was named or else in a demo tenant.
async fn staff(oubli: &Oubli, member: String, tenant: Option<String>) -> Option<TokenRequest> {
    let id = MemberId::parse(member.as_str()).ok()?;
    let tenants = match tenant {
        Some(tenant) => vec![tenant],
        None => DEMO_TENANTS.map(str::to_owned).to_vec(),
    };
    for tenant in tenants {
        let Ok(tenant_id) = TenantId::parse(tenant.as_str()) else {
            continue;
        };
        if let Ok(found) = oubli.get_member(&tenant_id, &id).await {
            let email = found.email.expose().as_str().to_owned();
            return Some(TokenRequest::Staff {
                tenant,
                member,
                email,
            });
        }
    }
    None
}

async fn clock(State(state): State<DevState>) -> Json<Value> {
    Json(json!({ "now": state.clock.now().to_string(), "advanced_seconds": state.clock.offset_seconds() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdvanceBody {
    advance_seconds: i64,
}

async fn advance(State(state): State<DevState>, body: axum::body::Bytes) -> Response {
    let Ok(AdvanceBody { advance_seconds }) = serde_json::from_slice(&body) else {
        return problem(
            StatusCode::BAD_REQUEST,
            "say `{\"advance_seconds\": <whole number>}`",
        );
    };
    if !(0..=MAX_ADVANCE_SECONDS).contains(&advance_seconds) {
        return problem(
            StatusCode::UNPROCESSABLE_ENTITY,
            "the clock moves forward, by a century at most",
        );
    }
    state.clock.advance(SignedDuration::from_secs(advance_seconds));
    if let Some(folder) = &state.state
        && let Err(error) = folder.keep_clock_offset(state.clock.offset_seconds())
    {
        return problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string());
    }
    clock(State(state)).await.into_response()
}

async fn outbox(State(state): State<DevState>) -> Json<Value> {
    let mails = state.mails.map(|mails| mails.outbox()).unwrap_or_default();
    let mail = |mail: crate::ses::SentMail| {
        json!({
            "id": mail.id,
            "from": mail.from,
            "to": mail.to,
            "subject": mail.subject,
            "text": mail.text,
            "html": mail.html,
            "sent_at": mail.sent_at.to_string(),
            "eml": mail.path.display().to_string()
        })
    };
    Json(mails.into_iter().map(mail).collect())
}

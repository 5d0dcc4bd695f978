//! The HTTP API: every route of Oubli, as one axum router.
//!
//! A handler reads its input (`input`), makes one workflow call and renders the result. Refusals
//! are problems (`problem`), tokens are verified by `auth`, and `frame` is around everything. The
//! same router serves behind API Gateway, in the local runner and in tests.

pub mod answer;
pub mod archive_keys;
pub mod archive_uploads;
pub mod archives;
pub mod audit;
pub mod auth;
pub mod contacts;
pub mod cors;
pub mod data_actions;
pub mod documents;
pub mod frame;
pub mod groups;
pub mod health;
pub mod input;
pub mod me;
pub mod members;
pub mod openapi;
pub mod problem;
mod schema;
pub mod state;
pub mod upload;

use std::sync::Arc;

use axum::middleware::from_fn_with_state;
use axum::{Router, routing};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::frame::RequestIds;
use crate::problem::{Code, Problem, pages};
pub use crate::state::ApiState;

fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(health::get))
        .routes(routes!(openapi::get))
        .routes(routes!(pages::index))
        .routes(routes!(pages::one))
        .routes(routes!(me::get))
        .routes(routes!(members::list, members::create))
        .routes(routes!(members::get, members::update, members::delete))
        .routes(routes!(groups::list, groups::create))
        .routes(routes!(groups::get, groups::replace, groups::delete))
        .routes(routes!(contacts::list, contacts::create))
        .routes(routes!(contacts::get, contacts::update, contacts::delete))
        .routes(routes!(documents::list, documents::create))
        .routes(routes!(documents::delete))
        .routes(routes!(documents::complete))
        .routes(routes!(documents::content))
        .routes(routes!(data_actions::preview))
        .routes(routes!(data_actions::list, data_actions::start))
        .routes(routes!(data_actions::get))
        .routes(routes!(data_actions::items))
        .routes(routes!(data_actions::stop))
        .routes(routes!(data_actions::retry))
        .routes(routes!(data_actions::notify))
        .routes(routes!(archives::content))
        .routes(routes!(archives::downloaded))
        .routes(routes!(archive_keys::list))
        .routes(routes!(archive_uploads::create))
        .routes(routes!(audit::list))
}

/// The OpenAPI 3.1 document of all routes.
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes().into_openapi()
}

/// All routes, ready to serve.
pub fn router(state: ApiState) -> Router {
    let oubli = state.oubli.clone();
    let request_ids: RequestIds = Arc::new(move || oubli.ids().uuid());
    let origins = state.origins.clone();
    let (router, _) = routes().split_for_parts();
    router
        // The prefix of every problem's `type`, with the slash that people leave when they shorten one.
        .route("/problems/", routing::get(pages::index))
        // Said here, so that it stays inside the frame whatever router this one is merged with.
        .fallback(async || Problem::new(Code::NotFound))
        .with_state(state)
        .layer(from_fn_with_state(origins, cors::cors))
        .layer(from_fn_with_state(request_ids, frame::frame))
}

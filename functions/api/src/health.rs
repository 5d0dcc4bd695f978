//! `GET /v1/health`: whether the function answers.

use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::answer;

/// The function answers.
#[derive(Serialize, ToSchema)]
#[schema(as = Health)]
pub struct HealthView {
    /// `ok`.
    #[schema(example = "ok")]
    status: &'static str,
    /// The version of Oubli.
    version: &'static str,
}

/// Whether the API answers.
///
/// It says nothing of what stands behind it: a caller that needs to know makes a call.
#[utoipa::path(get, path = "/v1/health", operation_id = "get_health", tag = "deployment",
    responses((status = 200, description = "It does", body = HealthView)))]
pub async fn get() -> Response {
    answer::ok(HealthView {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
    })
}

//! `/v1/archives`: the ZIP of one contact.

use axum::extract::State;
use axum::response::Response;
use oubli_domain::{ArchiveId, FieldErrors, Sha256};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::answer;
use crate::auth::{ClientContactsPrivacy, Staff};
use crate::input::body::Input;
use crate::input::{Json, Path};
use crate::problem::{Problem, problems};
use crate::state::ApiState;

problems!(ContentProblems: STAFF + PATH + [ArchiveExpired]);
problems!(DownloadedProblems: STAFF + PATH + BODY + [ArchiveHashMismatch]);

/// What arrived of an archive.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Downloaded)]
pub struct DownloadedBody {
    /// SHA-256 of the whole file as it arrived, hexadecimal.
    sha256: String,
}
impl Input for DownloadedBody {}

/// The bytes of an archive.
///
/// That a link was asked for is audited. It says nothing of whether the archive arrived: who has it whole says
/// so at `…/downloaded`.
#[utoipa::path(get, path = "/v1/archives/{archive_id}/content", operation_id = "get_archive_content",
    tag = "archives", security(("staff_token" = [])), params(("archive_id" = String, Path)),
    responses((status = 303, description = "A link that lives five minutes at most, and never longer than the archive",
        headers(("Location"))), ContentProblems))]
pub async fn content(
    staff: Staff<ClientContactsPrivacy>,
    Path(id): Path<ArchiveId>,
    State(state): State<ApiState>,
) -> Result<Response, Problem> {
    answer::see_other(&state.oubli.archive_link(&staff.caller, &id).await?)
}

/// Say that an archive arrived whole.
///
/// A front end sends the SHA-256 of what it received. If it is the archive's, the archive counts as downloaded
/// from then on; saying it again changes nothing.
#[utoipa::path(post, path = "/v1/archives/{archive_id}/downloaded", operation_id = "note_archive_downloaded",
    tag = "archives", security(("staff_token" = [])), params(("archive_id" = String, Path)),
    request_body = DownloadedBody,
    responses((status = 204, description = "Noted"), DownloadedProblems))]
pub async fn downloaded(
    staff: Staff<ClientContactsPrivacy>,
    Path(id): Path<ArchiveId>,
    State(state): State<ApiState>,
    Json(body): Json<DownloadedBody>,
) -> Result<Response, Problem> {
    let sha256 = Sha256::parse(&body.sha256)
        .map_err(|error| Problem::refused(&FieldErrors::one("/sha256", error.to_string())))?;
    let tenant = &staff.caller.tenant_id;
    state.oubli.note_downloaded(tenant, &id, sha256).await?;
    Ok(answer::no_content())
}

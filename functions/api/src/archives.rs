//! `/v1/archives`: the ZIP of one contact.

use axum::extract::State;
use axum::response::Response;
use oubli_domain::ArchiveId;

use crate::answer;
use crate::auth::{ClientContactsPrivacy, Staff};
use crate::input::Path;
use crate::problem::{Problem, problems};
use crate::state::ApiState;

problems!(ContentProblems: STAFF + PATH + [ArchiveExpired]);

/// The bytes of an archive.
#[utoipa::path(get, path = "/v1/archives/{archive_id}/content", operation_id = "get_archive_content",
    tag = "archives", security(("staff_token" = [])), params(("archive_id" = String, Path)),
    responses((status = 303, description = "A link that lives five minutes at most, and never longer than the archive",
        headers(("Location"))), ContentProblems))]
pub async fn content(
    staff: Staff<ClientContactsPrivacy>,
    Path(id): Path<ArchiveId>,
    State(state): State<ApiState>,
) -> Result<Response, Problem> {
    answer::see_other(&state.oubli.archive_link(&staff.caller.tenant_id, &id).await?)
}

//! `/v1/data-actions`: exports, anonymisations and restores of one contact or of many.

pub mod body;
pub mod view;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use oubli_domain::ActionId;
use oubli_domain::action::Action;
use oubli_workflows::PageRequest;

use crate::answer::{self, PageView};
use crate::auth::{ClientContactsPrivacy, Staff};
use crate::input::body::EmptyBody;
use crate::input::{Command, Json, Path};
use crate::problem::{Problem, problems};
use crate::state::ApiState;

use body::{NewActionBody, PreviewBody};
use view::{ActionView, ItemView, PreviewView};

problems!(PreviewProblems: STAFF + BODY + []);
problems!(StartProblems: STAFF + BODY + IDEMPOTENT + [PlanChanged]);
problems!(ListProblems: STAFF + LIST + []);
problems!(ReadProblems: STAFF + PATH + []);
problems!(ItemsProblems: STAFF + PATH + LIST + []);
problems!(StopProblems: STAFF + PATH + BODY + IDEMPOTENT + [ActionEnded]);
problems!(RetryProblems: STAFF + PATH + BODY + IDEMPOTENT + [ActionNotEnded, NothingToRetry]);
problems!(NotifyProblems: STAFF + PATH + BODY + IDEMPOTENT + [ActionNotEnded]);

/// Say what a data action would do.
#[utoipa::path(post, path = "/v1/data-actions/preview", operation_id = "preview_data_action", tag = "data actions",
    security(("staff_token" = [])), request_body = PreviewBody,
    responses((status = 200, description = "What would happen", body = PreviewView), PreviewProblems))]
pub async fn preview(
    staff: Staff<ClientContactsPrivacy>,
    State(state): State<ApiState>,
    Json(body): Json<PreviewBody>,
) -> Result<Response, Problem> {
    let plan = body.parse().map_err(|errors| Problem::refused(&errors))?;
    let preview = state
        .oubli
        .preview(
            &staff.caller.tenant_id,
            plan.kind,
            &plan.selection,
            plan.overwrite,
        )
        .await?;
    Ok(answer::ok(PreviewView::new(preview)))
}

/// Start a data action.
///
/// With a `plan_hash`, the action starts only if a preview of the same kind and selection had it within the last
/// 15 minutes, and, to anonymise, only if that preview would still be the same.
/// A filter is read again while it is planned; who was entered after the start is not in it. To anonymise,
/// `acknowledged` must be `true`: it says that the member has read the notices of the preview.
#[utoipa::path(post, path = "/v1/data-actions", operation_id = "start_data_action", tag = "data actions",
    security(("staff_token" = [])),
    params(("Idempotency-Key" = inline(Option<String>), Header, nullable = false, max_length = 255, description = "Makes a repetition harmless for 24 hours")),
    request_body = NewActionBody,
    responses((status = 202, description = "The action, accepted", body = ActionView, headers(("Location"))), StartProblems))]
pub async fn start(
    staff: Staff<ClientContactsPrivacy>,
    State(state): State<ApiState>,
    command: Command<NewActionBody>,
) -> Result<Response, Problem> {
    let new = command.body.parse().map_err(|errors| Problem::refused(&errors))?;
    let idempotency = &command.idempotency.of(&staff.caller.member_id);
    let action = state.oubli.start_action(&staff.caller, new, idempotency).await?;
    accepted(&state, action).await
}

/// The data actions of the tenant, newest first.
#[utoipa::path(get, path = "/v1/data-actions", operation_id = "list_data_actions", tag = "data actions",
    security(("staff_token" = [])),
    params(("limit" = inline(Option<u32>), Query, minimum = 1, maximum = 200, description = "Entries of a page; 50 unless given"),
        ("cursor" = inline(Option<String>), Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "One page", body = PageView<ActionView>), ListProblems))]
pub async fn list(
    staff: Staff<ClientContactsPrivacy, PageRequest>,
    State(state): State<ApiState>,
) -> Result<Response, Problem> {
    let tenant = &staff.caller.tenant_id;
    let page = state.oubli.list_actions(tenant, &staff.query).await?;
    let members: Vec<_> = page
        .items
        .iter()
        .map(|action| action.requested_by.clone())
        .collect();
    let names = state.oubli.member_names(tenant, members).await?;
    Ok(answer::ok(PageView::new(page, |action| {
        ActionView::new(action, &names)
    })))
}

/// One data action.
#[utoipa::path(get, path = "/v1/data-actions/{action_id}", operation_id = "get_data_action", tag = "data actions",
    security(("staff_token" = [])), params(("action_id" = String, Path)),
    responses((status = 200, description = "The action", body = ActionView), ReadProblems))]
pub async fn get(
    staff: Staff<ClientContactsPrivacy>,
    Path(id): Path<ActionId>,
    State(state): State<ApiState>,
) -> Result<Response, Problem> {
    let action = state.oubli.get_action(&staff.caller.tenant_id, &id).await?;
    Ok(answer::ok(view(&state, action).await?))
}

/// The items of a data action, each with its result.
#[utoipa::path(get, path = "/v1/data-actions/{action_id}/items", operation_id = "list_data_action_items",
    tag = "data actions", security(("staff_token" = [])),
    params(("action_id" = String, Path),
        ("limit" = inline(Option<u32>), Query, minimum = 1, maximum = 200, description = "Entries of a page; 50 unless given"),
        ("cursor" = inline(Option<String>), Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "One page", body = PageView<ItemView>), ItemsProblems))]
pub async fn items(
    staff: Staff<ClientContactsPrivacy, PageRequest>,
    Path(id): Path<ActionId>,
    State(state): State<ApiState>,
) -> Result<Response, Problem> {
    let page = state
        .oubli
        .list_items(&staff.caller.tenant_id, &id, &staff.query)
        .await?;
    let now = state.oubli.now();
    Ok(answer::ok(PageView::new(page, |item| ItemView::new(item, now))))
}

/// Stop what has not begun.
#[utoipa::path(post, path = "/v1/data-actions/{action_id}/stop", operation_id = "stop_data_action",
    tag = "data actions", security(("staff_token" = [])),
    params(("action_id" = String, Path),
        ("Idempotency-Key" = inline(Option<String>), Header, nullable = false, max_length = 255, description = "Makes a repetition harmless for 24 hours")),
    request_body = Option<EmptyBody>,
    responses((status = 202, description = "The action", body = ActionView, headers(("Location"))), StopProblems))]
pub async fn stop(
    staff: Staff<ClientContactsPrivacy>,
    Path(id): Path<ActionId>,
    State(state): State<ApiState>,
    command: Command<EmptyBody>,
) -> Result<Response, Problem> {
    let action = state
        .oubli
        .stop_action(
            &staff.caller.tenant_id,
            &id,
            &command.idempotency.of(&staff.caller.member_id),
        )
        .await?;
    accepted(&state, action).await
}

/// Try again what failed.
#[utoipa::path(post, path = "/v1/data-actions/{action_id}/retry", operation_id = "retry_data_action",
    tag = "data actions", security(("staff_token" = [])),
    params(("action_id" = String, Path),
        ("Idempotency-Key" = inline(Option<String>), Header, nullable = false, max_length = 255, description = "Makes a repetition harmless for 24 hours")),
    request_body = Option<EmptyBody>,
    responses((status = 202, description = "The action", body = ActionView, headers(("Location"))), RetryProblems))]
pub async fn retry(
    staff: Staff<ClientContactsPrivacy>,
    Path(id): Path<ActionId>,
    State(state): State<ApiState>,
    command: Command<EmptyBody>,
) -> Result<Response, Problem> {
    let action = state
        .oubli
        .retry_action(
            &staff.caller.tenant_id,
            &id,
            &command.idempotency.of(&staff.caller.member_id),
        )
        .await?;
    accepted(&state, action).await
}

/// Send the mail about an ended action again.
#[utoipa::path(post, path = "/v1/data-actions/{action_id}/notify", operation_id = "notify_data_action",
    tag = "data actions", security(("staff_token" = [])),
    params(("action_id" = String, Path),
        ("Idempotency-Key" = inline(Option<String>), Header, nullable = false, max_length = 255, description = "Makes a repetition harmless for 24 hours")),
    request_body = Option<EmptyBody>,
    responses((status = 202, description = "The action", body = ActionView, headers(("Location"))), NotifyProblems))]
pub async fn notify(
    staff: Staff<ClientContactsPrivacy>,
    Path(id): Path<ActionId>,
    State(state): State<ApiState>,
    command: Command<EmptyBody>,
) -> Result<Response, Problem> {
    let action = state
        .oubli
        .resend_mail(
            &staff.caller.tenant_id,
            &id,
            &command.idempotency.of(&staff.caller.member_id),
        )
        .await?;
    accepted(&state, action).await
}

/// An action, with the name of who started it.
async fn view(state: &ApiState, action: Action) -> Result<ActionView, Problem> {
    let member = [action.requested_by.clone()];
    let names = state.oubli.member_names(&action.tenant_id, member).await?;
    Ok(ActionView::new(action, &names))
}

async fn accepted(state: &ApiState, action: Action) -> Result<Response, Problem> {
    let location = format!("/v1/data-actions/{}", action.id);
    answer::at(StatusCode::ACCEPTED, &location, view(state, action).await?)
}

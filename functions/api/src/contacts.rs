//! `/v1/contacts`: what the tenant holds about its clients.

pub mod body;
pub mod patch;
pub mod view;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use oubli_domain::contact::{Contact, ContactState};
use oubli_domain::paging::ContactSort;
use oubli_domain::{ContactId, FieldErrors, MemberId, TenantId};
use oubli_workflows::{ContactListQuery, MemberNames};

use crate::answer::{self, PageView};
use crate::auth::{ClientContactsPrivacy, Staff};
use crate::input::query::{Parameters, QueryInput};
use crate::input::{Command, IfMatch, Json, Path};
use crate::problem::{Problem, problems};
use crate::state::ApiState;

use body::NewContactBody;
use patch::ContactPatchBody;
use view::{ContactCardView, ContactView};

/// The longest search text, in characters: a whole e-mail address.
const MAX_SEARCH_CHARACTERS: usize = 254;

problems!(ListProblems: STAFF + LIST + []);
problems!(CreateProblems: STAFF + BODY + IDEMPOTENT + []);
problems!(ReadProblems: STAFF + PATH + []);
problems!(UpdateProblems: STAFF + PATH + CONDITIONAL + BODY + [ContactAnonymised]);
problems!(DeleteProblems: STAFF + PATH + []);

impl QueryInput for ContactListQuery {
    const NAMES: &'static [&'static str] = &["limit", "cursor", "q", "sort", "state", "assigned_to"];

    fn read(mut parameters: Parameters) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::default();
        let page = parameters.page(&mut errors);
        let q = parameters.parse("q", &mut errors, parse_search).flatten();
        let sort = parameters.parse("sort", &mut errors, |text| {
            let codes = ContactSort::ALL.map(ContactSort::code).join("`, `");
            ContactSort::from_code(&text).ok_or_else(|| format!("must be one of `{codes}`"))
        });
        let state = parameters.parse("state", &mut errors, |text| parse_state(&text));
        let assigned_to = parameters.parse("assigned_to", &mut errors, MemberId::parse);
        errors.into_result()?;
        let page = page.ok_or_else(FieldErrors::default)?;
        Ok(Self {
            q,
            sort: sort.unwrap_or_default(),
            state,
            assigned_to,
            page,
        })
    }
}

/// Reads a search text; blank asks for nothing.
pub(crate) fn parse_search(text: String) -> Result<Option<String>, String> {
    if text.chars().count() > MAX_SEARCH_CHARACTERS {
        return Err(format!("must have at most {MAX_SEARCH_CHARACTERS} characters"));
    }
    Ok((!text.trim().is_empty()).then_some(text))
}

/// Reads a state of contacts.
pub(crate) fn parse_state(text: &str) -> Result<ContactState, &'static str> {
    match text {
        "active" => Ok(ContactState::Active),
        "anonymised" => Ok(ContactState::Anonymised),
        _ => Err("must be `active` or `anonymised`"),
    }
}

/// The contacts of the tenant.
#[utoipa::path(get, path = "/v1/contacts", operation_id = "list_contacts", tag = "contacts",
    security(("staff_token" = [])),
    params(
        ("q" = inline(Option<String>), Query, max_length = 254, description = "The beginning of the last name, or a whole e-mail address"),
        ("sort" = inline(Option<String>), Query, pattern = "^-?(last_name|created_at)$", description = "`last_name` unless given"),
        ("state" = inline(Option<String>), Query, pattern = "^(active|anonymised)$"),
        ("assigned_to" = inline(Option<String>), Query, description = "The id of the member in charge"),
        ("limit" = inline(Option<u32>), Query, minimum = 1, maximum = 200, description = "Entries of a page; 50 unless given"),
        ("cursor" = inline(Option<String>), Query, description = "`next_cursor` of the page before, with the same other parameters")),
    responses((status = 200, description = "One page", body = PageView<ContactView>), ListProblems))]
pub async fn list(
    staff: Staff<ClientContactsPrivacy, ContactListQuery>,
    State(state): State<ApiState>,
) -> Result<Response, Problem> {
    let tenant = &staff.caller.tenant_id;
    let page = state.oubli.list_contacts(tenant, staff.query).await?;
    let names = names(&state, tenant, &page.items).await?;
    let now = state.oubli.now();
    Ok(answer::ok(PageView::new(page, |contact| {
        ContactView::new(&contact, &names, now)
    })))
}

/// Enter a contact.
#[utoipa::path(post, path = "/v1/contacts", operation_id = "create_contact", tag = "contacts",
    security(("staff_token" = [])),
    params(("Idempotency-Key" = inline(Option<String>), Header, nullable = false, max_length = 255, description = "Makes a repetition harmless for 24 hours")),
    request_body = NewContactBody,
    responses((status = 201, description = "The contact", body = ContactView, headers(("Location"), ("ETag"))), CreateProblems))]
pub async fn create(
    staff: Staff<ClientContactsPrivacy>,
    State(state): State<ApiState>,
    command: Command<NewContactBody>,
) -> Result<Response, Problem> {
    let draft = command.body.into_draft();
    let contact = state
        .oubli
        .create_contact(
            &staff.caller.tenant_id,
            draft,
            &command.idempotency.of(&staff.caller.member_id),
        )
        .await?;
    let location = format!("/v1/contacts/{}", contact.id);
    let names = names(&state, &staff.caller.tenant_id, [&contact]).await?;
    let view = ContactView::new(&contact, &names, state.oubli.now());
    answer::versioned(answer::at(StatusCode::CREATED, &location, view)?, contact.version)
}

/// One contact, with its past data actions.
#[utoipa::path(get, path = "/v1/contacts/{contact_id}", operation_id = "get_contact", tag = "contacts",
    security(("staff_token" = [])), params(("contact_id" = String, Path)),
    responses((status = 200, description = "The contact", body = ContactCardView, headers(("ETag"))), ReadProblems))]
pub async fn get(
    staff: Staff<ClientContactsPrivacy>,
    Path(id): Path<ContactId>,
    State(state): State<ApiState>,
) -> Result<Response, Problem> {
    let card = state.oubli.get_contact(&staff.caller.tenant_id, &id).await?;
    let version = card.contact.version;
    let names = names(&state, &staff.caller.tenant_id, [&card.contact]).await?;
    let view = ContactCardView::new(card, &names, state.oubli.now());
    answer::versioned(answer::ok(view), version)
}

/// Change a contact.
///
/// The body is a JSON Merge Patch (RFC 7396): what is left out stays, `null` removes.
#[utoipa::path(patch, path = "/v1/contacts/{contact_id}", operation_id = "update_contact", tag = "contacts",
    security(("staff_token" = [])),
    params(("contact_id" = String, Path),
        ("If-Match" = String, Header, description = "The `ETag` of the version that the change starts from, or `*`")),
    request_body(content((ContactPatchBody = "application/merge-patch+json"), (ContactPatchBody = "application/json"))),
    responses((status = 200, description = "The contact", body = ContactView, headers(("ETag"))), UpdateProblems))]
pub async fn update(
    staff: Staff<ClientContactsPrivacy>,
    Path(id): Path<ContactId>,
    IfMatch(expected): IfMatch,
    State(state): State<ApiState>,
    Json(patch): Json<ContactPatchBody>,
) -> Result<Response, Problem> {
    let change = |draft| patch.apply(draft);
    let contact = state
        .oubli
        .update_contact(&staff.caller.tenant_id, &id, expected, change)
        .await?;
    let names = names(&state, &staff.caller.tenant_id, [&contact]).await?;
    let view = ContactView::new(&contact, &names, state.oubli.now());
    answer::versioned(answer::ok(view), contact.version)
}

/// Remove a contact and its documents.
///
/// This is no erasure on request: archives that were made of it live out their ten days.
#[utoipa::path(delete, path = "/v1/contacts/{contact_id}", operation_id = "delete_contact", tag = "contacts",
    security(("staff_token" = [])), params(("contact_id" = String, Path)),
    responses((status = 204, description = "Removed"), DeleteProblems))]
pub async fn delete(
    staff: Staff<ClientContactsPrivacy>,
    Path(id): Path<ContactId>,
    State(state): State<ApiState>,
) -> Result<Response, Problem> {
    state.oubli.delete_contact(&staff.caller.tenant_id, &id).await?;
    Ok(answer::no_content())
}

/// The names of the members in charge of these contacts.
async fn names<'c>(
    state: &ApiState,
    tenant: &TenantId,
    contacts: impl IntoIterator<Item = &'c Contact>,
) -> Result<MemberNames, Problem> {
    let members = contacts
        .into_iter()
        .filter_map(|contact| contact.fields.assigned_to.clone());
    let members: Vec<_> = members.collect();
    Ok(state.oubli.member_names(tenant, members).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::query::read;
    use rstest::rstest;

    #[test]
    fn a_query_is_read() {
        let query: ContactListQuery = read(Some(
            "q=Lef%C3%A8vre&sort=-created_at&state=active&assigned_to=agent&limit=7",
        ))
        .unwrap();
        assert_eq!(query.q.as_deref(), Some("Lefèvre"));
        assert_eq!(query.sort, ContactSort::CreatedAtDescending);
        assert_eq!(query.state, Some(ContactState::Active));
        assert_eq!(query.assigned_to.as_ref().map(MemberId::as_str), Some("agent"));
        assert_eq!(query.page.limit.get(), 7);
        assert_eq!(read::<ContactListQuery>(Some("q=++")).unwrap().q, None);
    }

    #[rstest]
    #[case("sort=name", "?sort")]
    #[case("state=Active", "?state")]
    #[case("assigned_to=a%20b", "?assigned_to")]
    #[case("assigned_to=", "?assigned_to")]
    #[case("limit=1000", "?limit")]
    fn what_cannot_be_is_refused(#[case] query: &str, #[case] pointer: &str) {
        let problem = read::<ContactListQuery>(Some(query)).unwrap_err();
        assert_eq!(problem.code().status(), 422);
        assert_eq!(problem.field_errors()[0].pointer, pointer);
    }

    #[test]
    fn a_search_text_has_an_end() {
        assert!(parse_search("x".repeat(254)).is_ok());
        assert!(parse_search("x".repeat(255)).is_err());
    }
}

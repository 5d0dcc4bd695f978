//! `/v1/contacts/{contact_id}/documents`: files attached to a contact.
//!
//! Bytes never pass through here: uploads go to storage by a signed link, downloads come from it.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use oubli_domain::document::{Document, DocumentDraft, DocumentKind, DocumentState};
use oubli_domain::{ContactId, DocumentId, FieldErrors};
use oubli_workflows::{NewDocument, PageRequest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::answer::{self, PageView};
use crate::auth::{ClientContactsPrivacy, Staff};
use crate::input::body::{EmptyBody, Input};
use crate::input::{Command, Json, Path};
use crate::problem::{Problem, problems};
use crate::schema;
use crate::state::ApiState;
use crate::upload::UploadView;

/// A document.
#[derive(Serialize, ToSchema)]
#[schema(as = Document)]
pub struct DocumentView {
    /// Which.
    id: String,
    /// Its name as given.
    name: String,
    /// Its media type as given.
    content_type: String,
    /// Its size in bytes.
    size_bytes: u64,
    /// SHA-256, hexadecimal; given at the upload, or learned when it is first archived.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    /// CRC-32, hexadecimal; likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    crc32: Option<String>,
    /// What it is to the contact.
    #[schema(schema_with = schema::document_kind)]
    kind: DocumentKind,
    /// Whether its bytes are there.
    #[schema(schema_with = schema::document_state)]
    state: DocumentState,
    /// When it was announced.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When its bytes were verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    stored_at: Option<Timestamp>,
}

impl DocumentView {
    fn new(document: Document) -> Self {
        let fields = document.fields;
        Self {
            id: document.id.into(),
            name: fields.name.into_exposed(),
            content_type: fields.content_type,
            size_bytes: fields.size_bytes,
            sha256: fields.sha256.map(|hash| hash.to_string()),
            crc32: fields.crc32.map(|hash| hash.to_string()),
            kind: fields.kind,
            state: document.state,
            created_at: document.created_at,
            stored_at: document.stored_at,
        }
    }
}

/// A document that awaits its bytes, and where they go.
#[derive(Serialize, ToSchema)]
#[schema(as = NewDocumentAnswer)]
pub struct NewDocumentView {
    /// The document.
    document: DocumentView,
    /// How to upload its bytes.
    upload: UploadView,
}

impl NewDocumentView {
    fn new(new: NewDocument) -> Self {
        Self {
            document: DocumentView::new(new.document),
            upload: UploadView::new(new.upload),
        }
    }
}

/// A document to be attached.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewDocument)]
pub struct NewDocumentBody {
    /// The name: any characters, 1 to 1,024 bytes.
    name: String,
    /// The media type.
    #[schema(example = "application/pdf")]
    content_type: String,
    /// The size in bytes, up to 5 GiB.
    #[schema(maximum = 5_368_709_120_u64)]
    size_bytes: u64,
    /// SHA-256, 64 hexadecimal digits: storage then refuses other bytes.
    sha256: Option<String>,
    /// CRC-32, 8 hexadecimal digits: likewise.
    crc32: Option<String>,
    /// What it is to the contact.
    #[schema(schema_with = schema::document_kind)]
    kind: String,
}
impl Input for NewDocumentBody {}

impl NewDocumentBody {
    fn into_draft(self) -> Result<DocumentDraft, Problem> {
        let Self {
            name,
            content_type,
            size_bytes,
            sha256,
            crc32,
            kind,
        } = self;
        let known = match kind.as_str() {
            "document" => Some(DocumentKind::Document),
            "photo" => Some(DocumentKind::Photo),
            _ => None,
        };
        let kind = known.unwrap_or(DocumentKind::Document);
        let draft = DocumentDraft {
            name,
            content_type,
            size_bytes,
            sha256,
            crc32,
            kind,
        };
        if known.is_some() {
            return Ok(draft);
        }
        // Everything that is wrong is told at once.
        let mut errors = FieldErrors::default();
        for error in draft.parse().err().iter().flat_map(FieldErrors::as_slice) {
            errors.push(&error.pointer, &error.detail);
        }
        errors.push("/kind", "must be `document` or `photo`");
        Err(Problem::refused(&errors))
    }
}

problems!(ListProblems: STAFF + PATH + LIST + []);
problems!(CreateProblems: STAFF + PATH + BODY + IDEMPOTENT + [ContactAnonymised, TooManyDocuments, AlreadyExists]);
problems!(CompleteProblems: STAFF + PATH + BODY + [UploadMissing, UploadSizeMismatch, UploadHashMismatch, UploadChanged,
    Contended]);
problems!(ContentProblems: STAFF + PATH + [DocumentNotStored]);
problems!(DeleteProblems: STAFF + PATH + [Contended]);

/// The documents of a contact.
#[utoipa::path(get, path = "/v1/contacts/{contact_id}/documents", operation_id = "list_documents", tag = "documents",
    security(("staff_token" = [])),
    params(("contact_id" = String, Path),
        ("limit" = inline(Option<u32>), Query, minimum = 1, maximum = 200, description = "Entries of a page; 50 unless given"),
        ("cursor" = inline(Option<String>), Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "One page", body = PageView<DocumentView>), ListProblems))]
pub async fn list(
    staff: Staff<ClientContactsPrivacy, PageRequest>,
    Path(contact_id): Path<ContactId>,
    State(state): State<ApiState>,
) -> Result<Response, Problem> {
    let page = state
        .oubli
        .list_documents(&staff.caller.tenant_id, &contact_id, &staff.query)
        .await?;
    Ok(answer::ok(PageView::new(page, DocumentView::new)))
}

/// Announce a document.
///
/// The answer says how to upload its bytes. Complete it then: until that, it is not stored.
#[utoipa::path(post, path = "/v1/contacts/{contact_id}/documents", operation_id = "create_document", tag = "documents",
    security(("staff_token" = [])),
    params(("contact_id" = String, Path),
        ("Idempotency-Key" = inline(Option<String>), Header, nullable = false, max_length = 255, description = "Makes a repetition harmless for 24 hours")),
    request_body = NewDocumentBody,
    responses((status = 201, description = "The document, and how to upload its bytes", body = NewDocumentView), CreateProblems))]
pub async fn create(
    staff: Staff<ClientContactsPrivacy>,
    Path(contact_id): Path<ContactId>,
    State(state): State<ApiState>,
    command: Command<NewDocumentBody>,
) -> Result<Response, Problem> {
    let (draft, tenant_id) = (command.body.into_draft()?, &staff.caller.tenant_id);
    let new = state
        .oubli
        .create_document(
            tenant_id,
            &contact_id,
            draft,
            &command.idempotency.of(&staff.caller.member_id),
        )
        .await?;
    let location = format!("/v1/contacts/{contact_id}/documents/{}/content", new.document.id);
    answer::at(StatusCode::CREATED, &location, NewDocumentView::new(new))
}

/// Say that the bytes of a document are uploaded.
///
/// Size and hash are verified; then the document is stored for good. Repeating it is harmless.
#[utoipa::path(post, path = "/v1/contacts/{contact_id}/documents/{document_id}/complete",
    operation_id = "complete_document", tag = "documents", security(("staff_token" = [])),
    params(("contact_id" = String, Path), ("document_id" = String, Path)),
    request_body = Option<EmptyBody>,
    responses((status = 200, description = "The document", body = DocumentView), CompleteProblems))]
pub async fn complete(
    staff: Staff<ClientContactsPrivacy>,
    Path((contact_id, document_id)): Path<(ContactId, DocumentId)>,
    State(state): State<ApiState>,
    _: Json<EmptyBody>,
) -> Result<Response, Problem> {
    let document = state
        .oubli
        .complete_document(&staff.caller.tenant_id, &contact_id, &document_id)
        .await?;
    Ok(answer::ok(DocumentView::new(document)))
}

/// The bytes of a document.
#[utoipa::path(get, path = "/v1/contacts/{contact_id}/documents/{document_id}/content",
    operation_id = "get_document_content", tag = "documents", security(("staff_token" = [])),
    params(("contact_id" = String, Path), ("document_id" = String, Path)),
    responses((status = 303, description = "A link that lives five minutes at most", headers(("Location"))), ContentProblems))]
pub async fn content(
    staff: Staff<ClientContactsPrivacy>,
    Path((contact_id, document_id)): Path<(ContactId, DocumentId)>,
    State(state): State<ApiState>,
) -> Result<Response, Problem> {
    let link = state
        .oubli
        .document_link(&staff.caller, &contact_id, &document_id)
        .await?;
    answer::see_other(&link)
}

/// Remove a document.
#[utoipa::path(delete, path = "/v1/contacts/{contact_id}/documents/{document_id}",
    operation_id = "delete_document", tag = "documents", security(("staff_token" = [])),
    params(("contact_id" = String, Path), ("document_id" = String, Path)),
    responses((status = 204, description = "Removed"), DeleteProblems))]
pub async fn delete(
    staff: Staff<ClientContactsPrivacy>,
    Path((contact_id, document_id)): Path<(ContactId, DocumentId)>,
    State(state): State<ApiState>,
) -> Result<Response, Problem> {
    state
        .oubli
        .delete_document(&staff.caller.tenant_id, &contact_id, &document_id)
        .await?;
    Ok(answer::no_content())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(kind: &str, name: &str) -> NewDocumentBody {
        NewDocumentBody {
            name: name.into(),
            content_type: "application/pdf".into(),
            size_bytes: 1,
            sha256: None,
            crc32: None,
            kind: kind.into(),
        }
    }

    #[test]
    fn a_kind_is_known_or_refused_with_the_rest() {
        assert_eq!(body("photo", "a").into_draft().unwrap().kind, DocumentKind::Photo);
        let problem = body("video", "").into_draft().unwrap_err();
        assert_eq!(problem.code().status(), 422);
        let pointers: Vec<_> = problem
            .field_errors()
            .iter()
            .map(|error| error.pointer.as_str())
            .collect();
        assert_eq!(pointers, ["/name", "/kind"]);
    }
}

//! The closed sets of words on the wire, for the OpenAPI document.

use oubli_domain::action::ActionKind;
use oubli_domain::audit::AuditEvent;
use oubli_domain::group::Right;
use oubli_domain::{Language, Reason};
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words))
        .build()
}

pub(crate) fn contact_state() -> Object {
    words(["active", "anonymised"])
}

pub(crate) fn document_state() -> Object {
    words(["awaiting_upload", "stored"])
}

pub(crate) fn document_kind() -> Object {
    words(["document", "photo"])
}

pub(crate) fn action_kind() -> Object {
    words(ActionKind::ALL.map(ActionKind::code))
}

pub(crate) fn action_state() -> Object {
    words([
        "queued",
        "running",
        "completed",
        "completed_with_failures",
        "failed",
        "stopped",
    ])
}

pub(crate) fn item_state() -> Object {
    words(["queued", "running", "done", "failed", "skipped", "stopped"])
}

pub(crate) fn archive_state() -> Object {
    words(["building", "ready", "expired", "deleted"])
}

pub(crate) fn audit_event() -> Object {
    words(AuditEvent::CODES)
}

pub(crate) fn language() -> Object {
    words(Language::ALL.map(Language::code))
}

pub(crate) fn reason() -> Object {
    words(Reason::ALL.map(Reason::code))
}

pub(crate) fn right() -> Object {
    words(Right::ALL.map(Right::code))
}

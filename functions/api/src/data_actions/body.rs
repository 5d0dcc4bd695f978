//! What a request says of a data action.

use jiff::Timestamp;
use oubli_domain::action::{ActionKind, ContactFilter, Selection, Subject};
use oubli_domain::{FieldErrors, MemberId, Personal, Sha256};
use oubli_workflows::NewAction;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::contacts::{parse_search, parse_state};
use crate::input::Object;
use crate::input::body::Input;
use crate::schema;

/// What an action is for: one of these.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Selection)]
pub struct SelectionBody {
    /// These; 1 to 1,000. One that is named twice counts once.
    #[schema(min_items = 1, max_items = 1000)]
    contact_ids: Option<Vec<String>>,
    /// All that match; an empty filter matches all.
    #[schema(value_type = Option<FilterBody>)]
    filter: Option<Object<FilterBody>>,
    /// For a restore: from these archives; 1 to 1,000. One that is named twice counts once.
    #[schema(min_items = 1, max_items = 1000)]
    archive_ids: Option<Vec<String>>,
    /// For a restore: from these saved archives, as announced at `POST /v1/archive-uploads`; 1 to 1,000. One
    /// that is named twice counts once.
    #[schema(min_items = 1, max_items = 1000)]
    upload_ids: Option<Vec<String>>,
}

/// Contacts by their properties: those that match all that is given.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ContactFilter)]
pub struct FilterBody {
    /// The beginning of the last name, or a whole e-mail address.
    #[schema(max_length = 254)]
    q: Option<String>,
    /// The id of the member in charge.
    assigned_to: Option<String>,
    /// Their state.
    #[schema(schema_with = schema::contact_state, required = false)]
    state: Option<String>,
    /// Entered before this instant.
    #[schema(format = DateTime)]
    created_before: Option<String>,
}

/// A data action to be previewed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPreview)]
pub struct PreviewBody {
    /// What would be done.
    #[schema(schema_with = schema::action_kind)]
    kind: String,
    /// To what.
    #[schema(value_type = SelectionBody)]
    selection: Object<SelectionBody>,
    /// For a restore: as it will be started. What is counted is the same with it.
    overwrite: Option<bool>,
}
impl Input for PreviewBody {}

/// A data action to be started.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewDataAction)]
pub struct NewActionBody {
    /// What is to be done.
    #[schema(schema_with = schema::action_kind)]
    kind: String,
    /// To what.
    #[schema(value_type = SelectionBody)]
    selection: Object<SelectionBody>,
    /// Whether the notices of the preview were read and accepted: to anonymise, it must be `true`.
    #[schema(value_type = Option<bool>)]
    acknowledged: Option<Value>,
    /// For a restore: whether to replace contacts that were changed since.
    overwrite: Option<bool>,
    /// The `plan_hash` of the preview that was approved.
    plan_hash: Option<String>,
}
impl Input for NewActionBody {}

impl PreviewBody {
    /// Judges the fields. There is no plan to compare with yet.
    ///
    /// # Errors
    /// All that is wrong, each with its pointer.
    pub fn parse(self) -> Result<NewAction, FieldErrors> {
        let mut errors = FieldErrors::default();
        let asked = take_asked(&self.kind, self.selection.0, self.overwrite, &mut errors);
        errors.into_result()?;
        asked.ok_or_else(FieldErrors::default)
    }
}

impl NewActionBody {
    /// Judges the fields.
    ///
    /// # Errors
    /// All that is wrong, each with its pointer.
    pub fn parse(self) -> Result<NewAction, FieldErrors> {
        let mut errors = FieldErrors::default();
        let asked = take_asked(&self.kind, self.selection.0, self.overwrite, &mut errors);
        judge_acknowledgement(&self.kind, self.acknowledged.as_ref(), &mut errors);
        let plan_hash = self
            .plan_hash
            .and_then(|text| errors.take("/plan_hash", Sha256::parse(&text)));
        errors.into_result()?;
        let asked = asked.ok_or_else(FieldErrors::default)?;
        Ok(NewAction { plan_hash, ..asked })
    }
}

/// What a preview and a start have in common.
fn take_asked(
    kind: &str,
    selection: SelectionBody,
    overwrite: Option<bool>,
    errors: &mut FieldErrors,
) -> Option<NewAction> {
    let kind = errors.take("/kind", parse_kind(kind));
    let selection = take_selection(selection, errors);
    let overwrite = overwrite.unwrap_or(false);
    let (kind, selection) = (kind?, selection?);
    if kind != ActionKind::Restore {
        match selection.subject() {
            Subject::Contact => {}
            Subject::Archive => errors.push("/selection/archive_ids", FOR_RESTORES),
            Subject::Upload => errors.push("/selection/upload_ids", FOR_RESTORES),
        }
        if overwrite {
            errors.push("/overwrite", FOR_RESTORES);
        }
    }
    Some(NewAction {
        kind,
        selection,
        overwrite,
        plan_hash: None,
    })
}

const FOR_RESTORES: &str = "is for restores alone";

/// Whoever anonymises says that the warnings were read: with `true`, and nothing that looks like it.
fn judge_acknowledgement(kind: &str, acknowledged: Option<&Value>, errors: &mut FieldErrors) {
    const POINTER: &str = "/acknowledged";
    if kind == ActionKind::Anonymise.code() {
        if acknowledged != Some(&Value::Bool(true)) {
            errors.push(
                POINTER,
                "must be true: anonymising cannot be undone once the archive is gone",
            );
        }
    } else if acknowledged.is_some_and(|given| !given.is_boolean()) {
        errors.push(POINTER, "must be true or false");
    }
}

fn parse_kind(text: &str) -> Result<ActionKind, String> {
    let known = ActionKind::ALL.into_iter().find(|kind| kind.code() == text);
    known.ok_or_else(|| {
        let codes = ActionKind::ALL.map(ActionKind::code).join("`, `");
        format!("must be one of `{codes}`")
    })
}

fn take_selection(body: SelectionBody, errors: &mut FieldErrors) -> Option<Selection> {
    let SelectionBody {
        contact_ids,
        filter,
        archive_ids,
        upload_ids,
    } = body;
    let selection = match (contact_ids, filter, archive_ids, upload_ids) {
        (Some(ids), None, None, None) => Selection::of_ids(&ids),
        (None, Some(Object(filter)), None, None) => parse_filter(filter).map(Selection::Filter),
        (None, None, Some(ids), None) => Selection::of_archives(&ids),
        (None, None, None, Some(ids)) => Selection::of_uploads(&ids),
        _ => Err(FieldErrors::one(
            "/selection",
            "must hold one of `contact_ids`, `filter`, `archive_ids` and `upload_ids`",
        )),
    };
    match selection {
        Ok(selection) => Some(selection),
        Err(refused) => {
            for error in refused.as_slice() {
                errors.push(&error.pointer, &error.detail);
            }
            None
        }
    }
}

fn parse_filter(body: FilterBody) -> Result<ContactFilter, FieldErrors> {
    let mut errors = FieldErrors::default();
    let q = body
        .q
        .and_then(|text| errors.take("/selection/filter/q", parse_search(text)))
        .flatten();
    let assigned_to = body
        .assigned_to
        .and_then(|text| errors.take("/selection/filter/assigned_to", MemberId::parse(text)));
    let state = body
        .state
        .and_then(|text| errors.take("/selection/filter/state", parse_state(&text)));
    let instant = |text: &str| {
        text.parse::<Timestamp>()
            .map_err(|_| "must be an instant, such as `2026-01-31T12:00:00Z`")
    };
    let created_before = body
        .created_before
        .and_then(|text| errors.take("/selection/filter/created_before", instant(&text)));
    errors.into_result()?;
    Ok(ContactFilter {
        q: q.map(Personal::new),
        assigned_to,
        state,
        created_before,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::json;
    use rstest::rstest;
    use serde_json::{Value, json};

    fn parse(body: Value) -> Result<NewAction, FieldErrors> {
        match json::read::<NewActionBody>(body.to_string().as_bytes()) {
            Ok(body) => body.parse(),
            Err(problem) => panic!("{problem:?}"),
        }
    }

    #[test]
    fn ids_and_filters_are_read() {
        let plan = parse(json!({"kind": "export", "selection": {"contact_ids": ["a", "b", "a"]}})).unwrap();
        assert!(matches!(plan.selection, Selection::ContactIds(ids) if ids.len() == 2));
        let filter = json!({"q": " Lef ", "state": "active", "created_before": "2026-01-31T12:00:00+01:00"});
        let hash = "0".repeat(64);
        let body = json!({"kind": "export", "selection": {"filter": filter}, "acknowledged": true, "plan_hash": hash});
        let plan = parse(body).unwrap();
        assert_eq!(plan.plan_hash, Sha256::parse(&hash).ok());
        let Selection::Filter(filter) = plan.selection else {
            panic!("no filter")
        };
        assert_eq!(filter.q.map(Personal::into_exposed).as_deref(), Some(" Lef "));
        assert_eq!(filter.created_before, "2026-01-31T11:00:00Z".parse().ok());
        let all = parse(json!({"kind": "export", "selection": {"filter": {}}})).unwrap();
        assert_eq!(all.selection, Selection::Filter(ContactFilter::default()));
    }

    #[rstest]
    #[case(json!({"contact_ids": ["a"]}))]
    #[case(json!({"filter": {"state": "anonymised"}}))]
    #[case(json!({"archive_ids": ["a", "b", "a"]}))]
    #[case(json!({"upload_ids": ["a"]}))]
    fn a_restore_takes_every_selection(#[case] selection: Value) {
        let named = selection.get("archive_ids").is_some();
        let plan = parse(json!({"kind": "restore", "selection": selection, "overwrite": true})).unwrap();
        assert_eq!((plan.kind, plan.overwrite), (ActionKind::Restore, true));
        match plan.selection {
            Selection::ArchiveIds(ids) => assert!(named && ids.len() == 2),
            selection => assert!(!named && selection.subject() != Subject::Archive),
        }
    }

    #[rstest]
    #[case(json!({"kind": "anonymise", "acknowledged": true}), true)]
    #[case(json!({"kind": "anonymise"}), false)]
    #[case(json!({"kind": "anonymise", "acknowledged": null}), false)]
    #[case(json!({"kind": "anonymise", "acknowledged": false}), false)]
    #[case(json!({"kind": "anonymise", "acknowledged": "true"}), false)]
    #[case(json!({"kind": "anonymise", "acknowledged": 1}), false)]
    #[case(json!({"kind": "anonymise", "acknowledged": [true]}), false)]
    #[case(json!({"kind": "anonymise", "acknowledged": {"acknowledged": true}}), false)]
    #[case(json!({"kind": "export"}), true)]
    #[case(json!({"kind": "export", "acknowledged": false}), true)]
    #[case(json!({"kind": "export", "acknowledged": "true"}), false)]
    #[case(json!({"kind": "restore", "acknowledged": true}), true)]
    #[case(json!({"kind": "restore", "acknowledged": 1}), false)]
    fn nobody_is_anonymised_without_an_acknowledgement(#[case] mut body: Value, #[case] is_accepted: bool) {
        body["selection"] = json!({"contact_ids": ["a"]});
        match parse(body) {
            Ok(_) => assert!(is_accepted),
            Err(errors) => {
                assert!(!is_accepted);
                assert_eq!(errors.as_slice().len(), 1, "{errors}");
                assert_eq!(errors.as_slice()[0].pointer, "/acknowledged");
            }
        }
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let body = json!({"kind": "anonymise", "selection": {"archive_ids": ["a"]}, "overwrite": true, "plan_hash": ""});
        let errors = parse(body).unwrap_err();
        let told: Vec<_> = errors
            .as_slice()
            .iter()
            .map(|error| error.pointer.as_str())
            .collect();
        assert_eq!(
            told,
            [
                "/selection/archive_ids",
                "/overwrite",
                "/acknowledged",
                "/plan_hash"
            ]
        );
    }

    #[test]
    fn a_preview_needs_no_acknowledgement_and_takes_none() {
        let body = json!({"kind": "anonymise", "selection": {"filter": {}}});
        let preview: PreviewBody = json::read(body.to_string().as_bytes()).unwrap();
        assert_eq!(preview.parse().unwrap().kind, ActionKind::Anonymise);
        let body = json!({"kind": "export", "selection": {"upload_ids": ["a"]}});
        let preview: PreviewBody = json::read(body.to_string().as_bytes()).unwrap();
        assert_eq!(
            preview.parse().unwrap_err().as_slice()[0].pointer,
            "/selection/upload_ids"
        );
    }

    #[rstest]
    #[case(json!({"kind": "erase", "selection": {"filter": {}}}), "/kind")]
    #[case(json!({"kind": "Export", "selection": {"filter": {}}}), "/kind")]
    #[case(json!({"kind": "restore", "selection": {"archive_ids": ["a"], "upload_ids": ["b"]}}), "/selection")]
    #[case(json!({"kind": "restore", "selection": {"archive_ids": []}}), "/selection/archive_ids")]
    #[case(json!({"kind": "restore", "selection": {"upload_ids": vec!["a"; 1_001]}}), "/selection/upload_ids")]
    #[case(json!({"kind": "restore", "selection": {"upload_ids": ["a", "#"]}}), "/selection/upload_ids/1")]
    #[case(json!({"kind": "export", "selection": {"filter": {}}, "overwrite": true}), "/overwrite")]
    #[case(json!({"kind": "export", "selection": {}}), "/selection")]
    #[case(json!({"kind": "export", "selection": {"contact_ids": ["a"], "filter": {}}}), "/selection")]
    #[case(json!({"kind": "export", "selection": {"contact_ids": []}}), "/selection/contact_ids")]
    #[case(json!({"kind": "export", "selection": {"contact_ids": vec!["a"; 1_001]}}), "/selection/contact_ids")]
    #[case(json!({"kind": "export", "selection": {"contact_ids": ["a", "#"]}}), "/selection/contact_ids/1")]
    #[case(json!({"kind": "export", "selection": {"filter": {"state": "x"}}}), "/selection/filter/state")]
    #[case(json!({"kind": "export", "selection": {"filter": {"assigned_to": "@"}}}), "/selection/filter/assigned_to")]
    #[case(json!({"kind": "export", "selection": {"filter": {"created_before": "now"}}}), "/selection/filter/created_before")]
    #[case(json!({"kind": "export", "selection": {"filter": {"q": "x".repeat(255)}}}), "/selection/filter/q")]
    #[case(json!({"kind": "export", "selection": {"filter": {}}, "plan_hash": "abc"}), "/plan_hash")]
    fn what_cannot_be_is_refused(#[case] body: Value, #[case] pointer: &str) {
        let errors = parse(body).unwrap_err();
        assert_eq!(errors.as_slice().len(), 1, "{errors}");
        assert_eq!(errors.as_slice()[0].pointer, pointer);
    }
}

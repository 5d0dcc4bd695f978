//! What a request says of a data action.

use jiff::Timestamp;
use oubli_domain::action::{ActionKind, ContactFilter, Selection};
use oubli_domain::{FieldErrors, MemberId, Personal, Sha256};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::contacts::{parse_search, parse_state};
use crate::input::Object;
use crate::input::body::Input;
use crate::schema;

/// Which contacts: either `contact_ids` or `filter`.
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
    /// To which contacts.
    #[schema(value_type = SelectionBody)]
    selection: Object<SelectionBody>,
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
    /// To which contacts.
    #[schema(value_type = SelectionBody)]
    selection: Object<SelectionBody>,
    /// Whether the warnings of the preview were acknowledged; an export needs none.
    #[expect(dead_code, reason = "judged for its type; what needs it is not an export")]
    acknowledged: Option<bool>,
    /// The `plan_hash` of the preview that was approved.
    plan_hash: Option<String>,
}
impl Input for NewActionBody {}

/// A data action as asked for.
#[derive(Debug)]
pub struct Plan {
    /// What is to be done.
    pub kind: ActionKind,
    /// To which contacts.
    pub selection: Selection,
    /// The preview that was approved.
    pub plan_hash: Option<Sha256>,
}

impl PreviewBody {
    /// Judges the fields.
    ///
    /// # Errors
    /// All that is wrong, each with its pointer.
    pub fn parse(self) -> Result<(ActionKind, Selection), FieldErrors> {
        let mut errors = FieldErrors::default();
        let kind = errors.take("/kind", parse_kind(&self.kind));
        let selection = take_selection(self.selection.0, &mut errors);
        match (kind, selection) {
            (Some(kind), Some(selection)) => Ok((kind, selection)),
            _ => Err(errors),
        }
    }
}

impl NewActionBody {
    /// Judges the fields.
    ///
    /// # Errors
    /// All that is wrong, each with its pointer.
    pub fn parse(self) -> Result<Plan, FieldErrors> {
        let mut errors = FieldErrors::default();
        let kind = errors.take("/kind", parse_kind(&self.kind));
        let selection = take_selection(self.selection.0, &mut errors);
        let plan_hash = self
            .plan_hash
            .and_then(|text| errors.take("/plan_hash", Sha256::parse(&text)));
        match (kind, selection, errors.as_slice()) {
            (Some(kind), Some(selection), []) => Ok(Plan {
                kind,
                selection,
                plan_hash,
            }),
            _ => Err(errors),
        }
    }
}

fn parse_kind(text: &str) -> Result<ActionKind, &'static str> {
    match text {
        "export" => Ok(ActionKind::Export),
        "anonymise" | "restore" => Err("is not available in this release: must be `export`"),
        _ => Err("must be `export`"),
    }
}

fn take_selection(body: SelectionBody, errors: &mut FieldErrors) -> Option<Selection> {
    let selection = match (body.contact_ids, body.filter) {
        (Some(ids), None) => Selection::of_ids(&ids),
        (None, Some(Object(filter))) => parse_filter(filter).map(Selection::Filter),
        _ => Err(FieldErrors::one(
            "/selection",
            "must hold either `contact_ids` or `filter`",
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

    fn parse(body: Value) -> Result<Plan, FieldErrors> {
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
    #[case(json!({"kind": "erase", "selection": {"filter": {}}}), "/kind")]
    #[case(json!({"kind": "anonymise", "selection": {"filter": {}}, "acknowledged": true}), "/kind")]
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

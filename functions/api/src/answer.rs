//! The shapes of answers that are no refusals.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{ETAG, LOCATION};
use http::{HeaderValue, StatusCode};
use oubli_domain::paging::{Page, Total};
use serde::Serialize;
use utoipa::ToSchema;

use crate::input::conditional::etag;
use crate::problem::Problem;

/// One page of a list.
#[derive(Serialize, ToSchema)]
pub struct PageView<T> {
    /// The entries.
    items: Vec<T>,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// How many entries there are in all, up to 10,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    /// Stands instead of `total` when there are more than that.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_at_least: Option<u64>,
}

impl<T> PageView<T> {
    /// Renders a page, entry by entry.
    pub fn new<S>(page: Page<S>, render: impl FnMut(S) -> T) -> Self {
        let (total, total_at_least) = match page.total {
            Total::Exactly(total) => (Some(total), None),
            Total::AtLeast(total) => (None, Some(total)),
        };
        let items = page.items.into_iter().map(render).collect();
        Self {
            items,
            next_cursor: page.next_cursor,
            total,
            total_at_least,
        }
    }
}

/// 200 with a view.
pub fn ok(view: impl Serialize) -> Response {
    Json(view).into_response()
}

/// 201 (or another 2xx) with a view and the place where it is found.
///
/// # Errors
/// When the place cannot stand in a header.
pub fn at(status: StatusCode, location: &str, view: impl Serialize) -> Result<Response, Problem> {
    let mut response = (status, Json(view)).into_response();
    response.headers_mut().insert(LOCATION, header(location)?);
    Ok(response)
}

/// 201 with a view of what cannot be read again.
pub fn created(view: impl Serialize) -> Response {
    (StatusCode::CREATED, Json(view)).into_response()
}

/// An answer with the entity tag of a version.
///
/// # Errors
/// When the tag cannot stand in a header.
pub fn versioned(mut response: Response, version: u64) -> Result<Response, Problem> {
    response.headers_mut().insert(ETAG, header(&etag(version))?);
    Ok(response)
}

/// 303 to a short-lived link.
///
/// # Errors
/// When the link cannot stand in a header.
pub fn see_other(link: &str) -> Result<Response, Problem> {
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(LOCATION, header(link)?);
    Ok(response)
}

/// 204: done, nothing to say.
pub fn no_content() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

fn header(text: &str) -> Result<HeaderValue, Problem> {
    HeaderValue::from_str(text).map_err(|error| Problem::internal(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn page(total: Total, next_cursor: Option<&str>) -> serde_json::Value {
        let page = Page {
            items: vec![1, 2],
            next_cursor: next_cursor.map(str::to_owned),
            total,
        };
        serde_json::to_value(PageView::new(page, |item| item * 10)).unwrap()
    }

    #[test]
    fn totals_are_exact_or_say_that_they_are_not() {
        let exact = json!({"items": [10, 20], "total": 2});
        assert_eq!(page(Total::Exactly(2), None), exact);
        let more = json!({"items": [10, 20], "next_cursor": "c", "total_at_least": 10_000});
        assert_eq!(page(Total::of_count(10_001), Some("c")), more);
    }
}

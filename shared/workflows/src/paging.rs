//! Cursors: a position that names nobody, and the total that was counted on the first page.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use oubli_domain::paging::{Page, PageLimit, Total};

use crate::error::WorkflowError;

/// Which page of a list is wanted.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// How many items.
    pub limit: PageLimit,
    /// Where the page before ended; `None` for the first.
    pub cursor: Option<String>,
}

/// A cursor that was read.
pub(crate) struct Position {
    pub(crate) text: String,
    pub(crate) count: u64,
}

impl PageRequest {
    /// Reads the cursor.
    pub(crate) fn position(&self) -> Result<Option<Position>, WorkflowError> {
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        let invalid = WorkflowError::CursorInvalid;
        let Ok(bytes) = BASE64.decode(cursor) else {
            return Err(invalid);
        };
        let Ok(text) = String::from_utf8(bytes) else {
            return Err(invalid);
        };
        let Some((count, text)) = text.split_once(' ') else {
            return Err(invalid);
        };
        let Ok(count) = count.parse() else {
            return Err(invalid);
        };
        Ok(Some(Position {
            text: text.to_owned(),
            count,
        }))
    }
}

/// Makes a page of what was found.
pub(crate) fn page<T>(items: Vec<T>, next: Option<String>, count: u64) -> Page<T> {
    let next_cursor = next.map(|position| BASE64.encode(format!("{count} {position}")));
    Page {
        items,
        next_cursor,
        total: Total::of_count(count),
    }
}

//! What a request says, read strictly: path, query, headers, body.

pub mod body;
pub mod conditional;
pub mod idempotency;
pub(crate) mod json;
pub mod path;
pub mod query;

pub use body::{Command, Json};
pub use conditional::IfMatch;
pub(crate) use json::Object;
pub use path::Path;

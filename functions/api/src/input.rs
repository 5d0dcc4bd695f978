//! x
pub mod idempotency;
mod json;
pub mod path;

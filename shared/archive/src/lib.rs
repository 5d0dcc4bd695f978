//! The archive of a contact: ZIP64 writer, contents, offline verification, reading for a restore.
//!
//! No async, no I/O of its own: bytes are handed in, parts of the archive are handed out.

pub mod contact_json;
pub mod contents;
pub mod hashes;
pub mod index_html;
mod json_list;
pub mod layout;
pub mod manifest;
pub mod names;
pub mod saved;
pub mod signature;
pub mod verify;
pub mod zip64;

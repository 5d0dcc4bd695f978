//! What the project demands of its own files, where a machine can tell.

#![cfg(test)]

mod documents;
mod files;
mod layers;
mod settings;
mod stores;
mod template;

use std::path::PathBuf;

/// The repository's root.
fn root() -> PathBuf {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap().to_path_buf()
}

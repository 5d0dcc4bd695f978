//! Lengths and names of files, and what every crate inherits.

use std::fs;
use std::path::{Path, PathBuf};

use crate::root;

const FOLDERS: [&str; 4] = ["functions", "shared", "infra", "tests"];

/// A file tells one story and stays readable in one sitting: about 400 lines, with its tests a few more.
const MAX_LINES: usize = 470;

/// Files that are longer, and why they are not cut.
const LONG: [(&str, &str); 1] = [(
    "infra/local/src/s3/service.rs",
    "one implementation of one foreign trait, a line or two for each of its many operations",
)];

/// Crates with lints of their own, and why.
const OWN_LINTS: [(&str, &str); 1] = [(
    "tests/fuzz/Cargo.toml",
    "libFuzzer's entry point is an unsafe symbol, which the workspace forbids",
)];

/// Names that say nothing of what is inside.
const EMPTY_NAMES: [&str; 8] = [
    "util", "utils", "helper", "helpers", "manager", "common", "misc", "mod",
];

/// Every file of ours whose name ends so.
pub(crate) fn files(extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders: Vec<_> = FOLDERS.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if path.file_name().is_none_or(|name| name != "target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(found.len() >= FOLDERS.len(), "{found:?}");
    found
}

/// A path as seen from the root.
fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

#[test]
fn files_can_be_read_in_one_sitting() {
    let long: Vec<_> = files("rs")
        .iter()
        .map(|path| (shown(path), fs::read_to_string(path).unwrap().lines().count()))
        .filter(|(path, lines)| *lines > MAX_LINES && !LONG.iter().any(|(long, _)| long == path))
        .collect();
    assert!(long.is_empty(), "longer than {MAX_LINES} lines: {long:?}");
}

#[test]
fn names_say_what_is_inside() {
    let empty: Vec<_> = files("rs")
        .iter()
        .filter(|path| {
            let stem = path.file_stem().unwrap().to_string_lossy();
            stem.split('_').any(|word| EMPTY_NAMES.contains(&word))
        })
        .map(|path| shown(path))
        .collect();
    assert!(empty.is_empty(), "named after nothing: {empty:?}");
}

#[test]
fn every_crate_inherits_the_lints_and_the_edition() {
    for manifest in files("toml").iter().filter(|path| path.ends_with("Cargo.toml")) {
        let text = fs::read_to_string(manifest).unwrap();
        let lints = if OWN_LINTS.iter().any(|(own, _)| shown(manifest) == *own) {
            "[lints.rust]\n"
        } else {
            "[lints]\nworkspace = true\n"
        };
        for wanted in [lints, "edition.workspace = true\n", "license.workspace = true\n"] {
            assert!(text.contains(wanted), "{} lacks `{wanted}`", shown(manifest));
        }
    }
}

#[test]
fn lints_are_switched_off_with_a_reason_only() {
    for path in files("rs") {
        let text = fs::read_to_string(&path).unwrap();
        for level in ["allow", "expect"] {
            for open in [format!("#[{level}("), format!("#![{level}(")] {
                // Where a line begins, so that this file does not find itself.
                let places = text.split(&open).zip(text.split(&open).skip(1));
                for (before, after) in places {
                    let begins_line = before
                        .rsplit('\n')
                        .next()
                        .is_none_or(|line| line.trim().is_empty());
                    let attribute = after.split(")]").next().unwrap();
                    let silent = begins_line && !attribute.contains("reason = ");
                    assert!(!silent, "{}: `{attribute}` gives no reason", shown(&path));
                }
            }
        }
    }
}

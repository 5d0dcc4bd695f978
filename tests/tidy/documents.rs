//! The documents against the code: tables of codes, links, names of files.
//!
//! `UPDATE_DOCS=1 cargo test -p oubli-tests --test tidy documents` rewrites the tables.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use oubli_api::problem::Code;
use oubli_domain::Reason;
use oubli_domain::archive::{ARCHIVE_LIFE, MAX_LINK_LIFE};
use oubli_domain::{action, contact, document, group, paging};
use oubli_workflows::Conflict;

use crate::files::files;
use crate::root;

/// Where paths of ours begin.
const FOLDERS: [&str; 6] = ["docs/", "events/", "functions/", "infra/", "shared/", "tests/"];

/// Every document: its path from the root, and its text.
fn documents() -> Vec<(String, String)> {
    let mut paths = Vec::new();
    for folder in [root(), root().join("docs"), root().join("events")] {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        paths.extend(entries.filter(|path| path.extension().is_some_and(|found| found == "md")));
    }
    paths.sort();
    assert!(paths.len() >= 10, "{paths:?}");
    let document = |path: PathBuf| {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        (name, fs::read_to_string(path).unwrap())
    };
    paths.into_iter().map(document).collect()
}

/// The text without its blocks of code, and what stands in backticks in it.
fn prose(text: &str) -> String {
    text.split("\n```").step_by(2).collect::<Vec<_>>().join("\n")
}

fn in_backticks(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

fn problems() -> String {
    let mut table = String::from("| code | status | |\n|---|---|---|\n");
    for code in Code::ALL {
        let (status, text) = (code.status().as_u16(), code.explanation());
        table.push_str(&format!("| `{}` | {status} | {text} |\n", code.code()));
    }
    table
}

fn reasons() -> String {
    let mut table = String::from("| reason | |\n|---|---|\n");
    for reason in Reason::ALL {
        table.push_str(&format!("| `{}` | {} |\n", reason.code(), reason.explanation()));
    }
    table
}

/// The text with what stands between the marks of this name replaced.
fn with_table(text: &str, name: &str, table: &str) -> String {
    let (before, rest) = text.split_once(&format!("<!-- begin {name}: ")).unwrap();
    let (mark, rest) = rest.split_once("-->\n").unwrap();
    let (_, after) = rest.split_once(&format!("<!-- end {name} -->")).unwrap();
    format!("{before}<!-- begin {name}: {mark}-->\n{table}<!-- end {name} -->{after}")
}

#[test]
fn the_tables_of_codes_are_those_of_the_code() {
    let path = root().join("docs/api.md");
    let committed = fs::read_to_string(&path).unwrap();
    let right = with_table(&committed, "problems", &problems());
    let right = with_table(&right, "reasons", &reasons());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        // Whole or not at all: other tests read it at the same time.
        let partial = path.with_extension("md.partial");
        fs::write(&partial, &right).unwrap();
        fs::rename(partial, path).unwrap();
        return;
    }
    assert!(
        committed == right,
        "docs/api.md is not what the code says: run with UPDATE_DOCS=1"
    );
}

#[test]
fn every_conflict_is_a_problem_of_its_own() {
    for conflict in Conflict::ALL {
        let code = Code::from_code(conflict.code());
        assert_eq!(
            code.map(Code::status),
            Some(http::StatusCode::CONFLICT),
            "{conflict:?}"
        );
    }
    let distinct: BTreeSet<_> = Conflict::ALL.iter().map(|conflict| conflict.code()).collect();
    assert_eq!(distinct.len(), Conflict::ALL.len());
}

/// The anchor that a heading has on code hosts.
fn anchor(heading: &str) -> String {
    let lower = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = lower
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut seen = 0;
    for (name, text) in documents() {
        let folder = root().join(&name).parent().unwrap().to_path_buf();
        for link in prose(&text).split("](").skip(1) {
            let link = link.split(')').next().unwrap();
            if link.starts_with("http") || link.starts_with("mailto:") {
                continue;
            }
            seen += 1;
            let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() {
                root().join(&name)
            } else {
                folder.join(path)
            };
            assert!(target.exists(), "{name}: `{link}` leads nowhere");
            if !fragment.is_empty() {
                let text = fs::read_to_string(&target).unwrap();
                let headings = text.lines().filter(|line| line.starts_with('#'));
                let found = headings.map(anchor).any(|anchor| anchor == fragment);
                assert!(found, "{name}: no heading for `{link}`");
            }
        }
    }
    assert!(seen >= 20, "only {seen} links were found");
}

#[test]
fn files_that_are_named_are_there() {
    let mut seen = 0;
    for (name, text) in documents() {
        let prose = prose(&text);
        let paths = in_backticks(&prose).filter(|path| FOLDERS.iter().any(|folder| path.starts_with(folder)));
        // Placeholders (`<name>`, `*`) and several in one (`{a,b}`) name no file.
        for path in paths.filter(|path| !path.contains(['<', '*', '{', ' ', '…'])) {
            seen += 1;
            assert!(root().join(path).exists(), "{name}: there is no `{path}`");
        }
    }
    assert!(seen >= 20, "only {seen} paths were found");
}

#[test]
fn code_that_is_named_is_there() {
    let sources: Vec<_> = files("rs")
        .into_iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let is_there = |words: &str| sources.iter().any(|source| source.contains(words));
    let mut seen = 0;
    for (name, text) in documents() {
        let prose = prose(&text);
        for path in in_backticks(&prose) {
            // `Type::function` and `module::function`; types and variants are left to the reader.
            let Some((_, function)) = path.rsplit_once("::") else {
                continue;
            };
            let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            if function.is_empty() || !function.chars().all(is_name) || path.contains(' ') {
                continue;
            }
            seen += 1;
            let found = ["fn", "mod"]
                .iter()
                .any(|kind| is_there(&format!("{kind} {function}")));
            assert!(found, "{name}: there is no `{path}`");
        }
    }
    assert!(seen >= 20, "only {seen} functions were found");
}

/// The figures of `docs/limits.md` that are constants of the code.
#[test]
fn limits_are_those_of_the_code() {
    let text = fs::read_to_string(root().join("docs/limits.md")).unwrap();
    let rows = [
        ("groups of a tenant", group::MAX_GROUPS.to_string()),
        ("members of a group", group::MAX_GROUP_MEMBERS.to_string()),
        (
            "contacts in a selection by id",
            action::MAX_SELECTED_IDS.to_string(),
        ),
        ("contacts of a chunk", action::MAX_CHUNK_ITEMS.to_string()),
        (
            "tries at an item in one run",
            action::MAX_ITEM_ATTEMPTS.to_string(),
        ),
        (
            "minutes that a worker may hold an item",
            action::ITEM_LEASE.as_mins().to_string(),
        ),
        ("hours that an archive lives", ARCHIVE_LIFE.as_hours().to_string()),
        (
            "minutes that a download link lives",
            MAX_LINK_LIFE.as_mins().to_string(),
        ),
        (
            "characters of a last name or first name",
            contact::MAX_NAME_CHARACTERS.to_string(),
        ),
        (
            "characters of another single line",
            contact::MAX_LINE_CHARACTERS.to_string(),
        ),
        ("lines of an address", contact::MAX_ADDRESS_LINES.to_string()),
        (
            "custom fields of a contact",
            contact::MAX_CUSTOM_FIELDS.to_string(),
        ),
        (
            "characters of the notes",
            contact::MAX_NOTES_CHARACTERS.to_string(),
        ),
        (
            "bytes of a contact as stored",
            contact::MAX_STORED_BYTES.to_string(),
        ),
        ("bytes of a document", document::MAX_DOCUMENT_BYTES.to_string()),
        (
            "bytes of a document's name",
            document::MAX_DOCUMENT_NAME_BYTES.to_string(),
        ),
        ("documents of a contact", document::MAX_DOCUMENTS.to_string()),
        (
            "bytes of an archive",
            oubli_archive::zip64::MAX_ARCHIVE_BYTES.to_string(),
        ),
        (
            "entries of an archive",
            oubli_archive::zip64::MAX_ENTRIES.to_string(),
        ),
        (
            "entries up to which a list is counted exactly",
            paging::MAX_EXACT_TOTAL.to_string(),
        ),
        (
            "bytes of a request's body",
            oubli_api::input::body::MAX_BODY_BYTES.to_string(),
        ),
    ];
    for (what, figure) in rows {
        let row = text
            .lines()
            .find(|line| line.starts_with(&format!("| {what} |")))
            .unwrap_or_else(|| panic!("docs/limits.md has no row `{what}`"));
        let cell = row.split('|').nth(2).unwrap();
        let told: String = cell.chars().filter(char::is_ascii_digit).collect();
        assert_eq!(told, figure, "{row}");
    }
}

/// Each rule of an engine names a test, by its module and its function.
#[test]
fn every_rule_of_an_engine_has_its_test() {
    let rules = fs::read_to_string(root().join("infra/local/RULES.md")).unwrap();
    let tests = files("rs")
        .into_iter()
        .map(|path| fs::read_to_string(path).unwrap());
    let tests = tests.collect::<Vec<_>>().join("\n");
    let mut found = 0;
    for row in rules
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| rule"))
    {
        let cell = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        for name in in_backticks(cell).filter(|name| name.contains('_')) {
            let function = name.rsplit("::").next().unwrap();
            let is_there = ["fn ", "    "].iter().any(|before| {
                [format!("{before}{function}("), format!("{before}{function}:")]
                    .iter()
                    .any(|text| tests.contains(text.as_str()))
            });
            assert!(is_there, "no test `{name}`");
            found += 1;
        }
    }
    assert!(found > 60, "{found} tests");
}

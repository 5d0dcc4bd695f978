//! The layers: which crate may use which.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::files::files;
use crate::root;

const FUNCTIONS: [&str; 8] = [
    "oubli-api",
    "oubli-archive-builder",
    "oubli-anonymiser",
    "oubli-restorer",
    "oubli-bulk-planner",
    "oubli-janitor",
    "oubli-notifier",
    "oubli-tenant-provisioner",
];

/// Members of the workspace without code that is deployed or tested: they stand outside the layers.
const OUTSIDE: [&str; 2] = ["workspace-hack", "oubli-fuzz"];

/// Crates that may know the AWS SDK.
const KNOW_AWS: [&str; 3] = ["oubli-cloud", "oubli-local", "oubli-tests"];

/// Modules of `oubli-local` that answer as AWS does. They share nothing with the code that asks, so that
/// one bug cannot hide in both.
const ENGINES: [&str; 9] = [
    "clock", "dynamodb", "endpoint", "engines", "faults", "kms", "s3", "ses", "sqs",
];

/// For each crate the crates of ours that it may use.
fn layers() -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut layers = BTreeMap::from([
        ("oubli-domain", vec![]),
        ("oubli-archive", vec!["oubli-domain"]),
        ("oubli-mail", vec!["oubli-domain"]),
        ("oubli-cloud", vec!["oubli-domain"]),
        (
            "oubli-workflows",
            vec!["oubli-domain", "oubli-archive", "oubli-mail", "oubli-cloud"],
        ),
        ("oubli-runtime", vec![]),
    ]);
    for function in FUNCTIONS {
        layers.insert(
            function,
            vec!["oubli-domain", "oubli-workflows", "oubli-runtime", "oubli-cloud"],
        );
    }
    let below_local = [
        "oubli-domain",
        "oubli-archive",
        "oubli-workflows",
        "oubli-runtime",
        "oubli-cloud",
    ];
    layers.insert("oubli-local", FUNCTIONS.into_iter().chain(below_local).collect());
    layers.insert(
        "oubli-tests",
        layers.keys().copied().chain(["oubli-local"]).collect(),
    );
    layers
}

/// The packages in the layers, as `cargo metadata` describes them
/// (<https://doc.rust-lang.org/cargo/commands/cargo-metadata.html>).
fn packages() -> Vec<Value> {
    let mut command = Command::new(env!("CARGO"));
    command.args([
        "metadata",
        "--format-version",
        "1",
        "--no-deps",
        "--locked",
        "--offline",
    ]);
    let output = command.current_dir(root()).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut packages = metadata["packages"].as_array().unwrap().clone();
    packages.retain(|package| !OUTSIDE.contains(&name(package)));
    packages
}

fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap()
}

/// The crates that a crate is built from, without those that only its tests use.
fn uses(package: &Value) -> impl Iterator<Item = &str> {
    let dependencies = package["dependencies"].as_array().unwrap().iter();
    dependencies
        .filter(|dependency| dependency["kind"] != "dev")
        .map(name)
}

/// The features that all builds share are none of what is deployed: only programs for one machine, and tests,
/// are built with them.
#[test]
fn what_is_deployed_has_the_features_that_it_needs() {
    let mut with_all_features = Vec::new();
    for package in &packages() {
        for dependency in package["dependencies"].as_array().unwrap() {
            if name(dependency) == "workspace-hack" && dependency["kind"] != "dev" {
                with_all_features.push((name(package).to_owned(), dependency["optional"] == true));
            }
        }
    }
    with_all_features.sort();
    let named = |name: &str, optional| (name.to_owned(), optional);
    assert_eq!(
        with_all_features,
        [
            named("oubli-archive", true),
            named("oubli-local", false),
            named("oubli-tests", false)
        ]
    );
}

#[test]
fn crates_use_only_what_lies_below_them() {
    let layers = layers();
    let packages = packages();
    assert_eq!(packages.len(), layers.len(), "a crate is missing from the layers");
    for package in &packages {
        let name = name(package);
        let allowed = layers
            .get(name)
            .unwrap_or_else(|| panic!("`{name}` is in no layer"));
        for used in uses(package).filter(|used| used.starts_with("oubli-")) {
            assert!(allowed.contains(&used), "`{name}` may not use `{used}`");
        }
    }
}

#[test]
fn the_domain_is_plain_rust() {
    let packages = packages();
    let domain = packages.iter().find(|package| name(package) == "oubli-domain");
    let domain = domain.unwrap();
    for used in uses(domain) {
        // `aws-lc-rs` computes hashes; it knows no service.
        let outside = (used.starts_with("aws") && used != "aws-lc-rs")
            || ["tokio", "futures", "axum", "tracing"].contains(&used);
        assert!(!outside, "the domain may not use `{used}`");
    }
}

#[test]
fn only_cloud_and_the_engines_know_the_sdk() {
    for package in &packages() {
        let name = name(package);
        let sdk = uses(package).find(|used| {
            [
                "aws-sdk-",
                "aws-config",
                "aws-credential-types",
                "aws-smithy",
                "serde_dynamo",
            ]
            .iter()
            .any(|sdk| used.starts_with(sdk))
        });
        assert!(
            sdk.is_none() || KNOW_AWS.contains(&name),
            "`{name}` may not use {sdk:?}"
        );
    }
}

#[test]
fn functions_build_the_cloud_in_main_alone() {
    let functions = root().join("functions");
    let sources = files("rs");
    let sources = sources.iter().filter(|path| path.starts_with(&functions));
    for path in sources.filter(|path| path.components().any(|folder| folder.as_os_str() == "src")) {
        let is_main = path.ends_with("src/main.rs");
        let text = fs::read_to_string(path).unwrap();
        assert!(is_main || !text.contains("oubli_cloud"), "{}", path.display());
        assert!(
            !is_main || text.lines().count() <= 40,
            "{}: wires and starts, no more",
            path.display()
        );
    }
}

#[test]
fn the_engines_share_no_code_with_what_asks_them() {
    let source = root().join("infra/local/src");
    let mut seen = 0;
    for path in files("rs").iter().filter(|path| path.starts_with(&source)) {
        let inside = path.strip_prefix(&source).unwrap();
        let module = inside.components().next().unwrap().as_os_str().to_string_lossy();
        if ENGINES.contains(&module.trim_end_matches(".rs")) {
            seen += 1;
            let text = fs::read_to_string(path).unwrap();
            let ours = text
                .lines()
                .find(|line| line.contains("oubli_") && !line.trim_start().starts_with("//"));
            assert_eq!(ours, None, "{}", path.display());
        }
    }
    assert!(
        seen >= ENGINES.len(),
        "only {seen} files of the engines were found"
    );
}

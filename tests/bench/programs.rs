//! The functions' programs, built as the benchmark is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// Where programs are: in the folder `OUBLI_BENCH_PROGRAMS`, say of release builds, or else built now
/// with the profile and the features of this benchmark, so that nothing else is built again.
pub(crate) fn programs(names: &[&str]) -> BTreeMap<String, PathBuf> {
    if let Some(folder) = std::env::var_os("OUBLI_BENCH_PROGRAMS") {
        let place = |name: &&str| ((*name).to_owned(), PathBuf::from(&folder).join(name));
        return names.iter().map(place).collect();
    }
    let mut command = Command::new(env!("CARGO"));
    command
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .args(["build", "--workspace", "--locked", "--message-format", "json"])
        .args(["--profile", &profile()])
        .stderr(Stdio::inherit());
    for name in names {
        command.args(["--bin", name]);
    }
    // Cargo describes this benchmark's package to it; build scripts that look at the same variables (ring's)
    // would take it for a change, and everything above them would be built again.
    for (name, _) in std::env::vars_os() {
        let described = ["CARGO_PKG_", "CARGO_MANIFEST_"];
        if name
            .to_str()
            .is_some_and(|name| described.iter().any(|prefix| name.starts_with(prefix)))
        {
            command.env_remove(name);
        }
    }
    let built = command.output().expect("cargo runs");
    assert!(built.status.success(), "the programs cannot be built");
    let messages = String::from_utf8(built.stdout).expect("cargo writes UTF-8");
    let programs: BTreeMap<_, _> = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| {
            let program = message["executable"].as_str()?;
            let name = message["target"]["name"].as_str()?;
            names
                .contains(&name)
                .then(|| (name.to_owned(), PathBuf::from(program)))
        })
        .collect();
    assert_eq!(programs.len(), names.len(), "a program is missing: {programs:?}");
    programs
}

/// The profile that this benchmark was built with, by the folder that it lies in
/// (<https://doc.rust-lang.org/cargo/reference/build-cache.html>).
fn profile() -> String {
    let own = std::env::current_exe().expect("a program knows where it is");
    let folder = own.parent().and_then(Path::parent).and_then(Path::file_name);
    match folder.and_then(|name| name.to_str()) {
        Some("debug") => "dev".to_owned(),
        Some("release") | None => "bench".to_owned(),
        Some(other) => other.to_owned(),
    }
}

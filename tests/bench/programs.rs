//! The functions' programs, built as benchmarks are.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

/// Where programs are: in the folder `OUBLI_BENCH_PROGRAMS`, say of release builds, or else built now
/// with the profile of benchmarks.
pub(crate) fn programs(names: &[&str]) -> BTreeMap<String, PathBuf> {
    if let Some(folder) = std::env::var_os("OUBLI_BENCH_PROGRAMS") {
        let place = |name: &&str| ((*name).to_owned(), PathBuf::from(&folder).join(name));
        return names.iter().map(place).collect();
    }
    let mut command = Command::new(env!("CARGO"));
    command
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .args(["build", "--profile", "bench", "--message-format", "json"])
        .stderr(Stdio::inherit());
    for name in names {
        // A function's package is `oubli-` and the name of its program.
        command.args(["-p", &format!("oubli-{name}")]);
    }
    let built = command.output().expect("cargo runs");
    assert!(built.status.success(), "the programs cannot be built");
    let messages = String::from_utf8(built.stdout).expect("cargo writes UTF-8");
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| {
            let program = message["executable"].as_str()?;
            let name = message["target"]["name"].as_str()?;
            names
                .contains(&name)
                .then(|| (name.to_owned(), PathBuf::from(program)))
        })
        .collect()
}

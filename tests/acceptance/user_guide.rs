//! The user guide says what happens: its lines are pasted into a shell, its answers compared.
//!
//! Blocks marked `sh` run one after another in one shell, as a reader would paste them. A block
//! marked `text` that follows shows the answer, all of it: `…` stands for anything, and white space,
//! which is there for the eye, counts for nothing. Where none follows, nothing may be refused.

use std::net::IpAddr;
use std::process::{Command, Output, Stdio};

use oubli_local::clock::EngineClock;
use oubli_local::demo::demo_contacts;
use oubli_local::runner::{Runner, RunnerOptions, seeding};

const GUIDE: &str = include_str!("../../docs/user-guide.md");

/// Ends what the block before it printed (ASCII "record separator").
const SEPARATOR: char = '\u{1e}';

/// Before what a reader pastes: a line that fails ends all. `grep -q` may end before curl has written all that
/// it was given, which is no failure (its status is then 23).
const PRELUDE: &str = r#"set -euo pipefail
curl() { command curl "$@" || test $? -eq 23; }
"#;

/// What the body of every refusal has.
const REFUSED: &str = "\"type\":\"/problems/";

/// What a reader pastes, and what the guide says comes of it.
#[derive(Debug, Default)]
struct Step {
    script: String,
    answer: Option<String>,
}

fn steps(guide: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for block in guide.split("\n```").skip(1).step_by(2) {
        let (language, text) = block.split_once('\n').unwrap();
        let text = text.to_owned();
        match language {
            "sh" => steps.push(Step {
                script: text,
                answer: None,
            }),
            "text" => steps.last_mut().unwrap().answer = Some(text),
            "console" => {}
            other => panic!("a block of the guide is marked `{other}`"),
        }
    }
    steps
}

/// Where an answer first differs from what the guide says of it, from its beginning to its end.
fn first_difference(said: &str, came: &str) -> Option<String> {
    let bare = |text: &str| text.split_whitespace().collect::<String>();
    let (said, came) = (bare(said), bare(came));
    let Some((first, others)) = said.split_once('…') else {
        return (said != came).then_some(said);
    };
    let (others, last) = others.rsplit_once('…').unwrap_or(("", others));
    let Some(rest) = came.strip_prefix(first) else {
        return Some(first.to_owned());
    };
    let Some(mut rest) = rest.strip_suffix(last) else {
        return Some(last.to_owned());
    };
    for fragment in others.split('…') {
        match rest.split_once(fragment) {
            Some((_, after)) => rest = after,
            None => return Some(fragment.to_owned()),
        }
    }
    None
}

fn run(script: String, api: String) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut shell = Command::new("bash");
    shell
        .args(["-c", &script])
        .current_dir(folder.path())
        .env("API", api);
    shell.stdin(Stdio::null()).output().unwrap()
}

fn is_installed(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdout(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[tokio::test]
async fn what_the_guide_says_is_what_happens() {
    let missing: Vec<_> = ["bash", "curl", "sha256sum"]
        .into_iter()
        .filter(|program| !is_installed(program))
        .collect();
    if !missing.is_empty() {
        let required = std::env::var_os("OUBLI_REQUIRE_READERS").is_some_and(|value| value == "1");
        assert!(!required, "not installed: {missing:?}");
        eprintln!("passed over, not installed: {missing:?}");
        return;
    }
    let steps = steps(GUIDE);
    assert!(steps.len() >= 15, "only {} blocks were found", steps.len());

    // As `cargo run`: queues and schedules run by themselves, the demo is there.
    let options = RunnerOptions {
        by_itself: true,
        bind: IpAddr::from([127, 0, 0, 1]),
        ..RunnerOptions::ephemeral(EngineClock::system(0))
    };
    let runner = Runner::start(options).await.unwrap();
    seeding::seed_tenants(&runner).await.unwrap();
    let contacts = demo_contacts().unwrap().into_iter().map(Ok);
    seeding::seed_contacts(&runner, "demo", "demo", contacts, || {})
        .await
        .unwrap();

    let mut script = String::from(PRELUDE);
    for step in &steps {
        script.push_str(&format!("printf '{SEPARATOR}'\n{}\n", step.script));
    }
    let api = runner.api_url();
    let output = tokio::task::spawn_blocking(move || run(script, api))
        .await
        .unwrap();
    runner.shutdown().await;

    let printed = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}\n{printed}", output.status);
    let answers: Vec<_> = printed.split(SEPARATOR).skip(1).collect();
    assert_eq!(answers.len(), steps.len());
    for (step, came) in steps.iter().zip(answers) {
        match &step.answer {
            Some(said) => {
                if let Some(fragment) = first_difference(said, came) {
                    panic!("`{fragment}` does not come of\n{}\nbut\n{came}", step.script);
                }
            }
            None => assert!(!came.contains(REFUSED), "refused:\n{}\n{came}", step.script),
        }
    }
}

#[test]
fn a_wrong_answer_is_told_from_a_right_one() {
    let said = "{\"id\":\"…\",\n\"state\":\"…\",\"total\":1}";
    let right = "{\"id\":\"7\",\"state\":\"active\",\"total\":1}";
    assert_eq!(first_difference(said, right), None);
    for (came, fragment) in [
        (right.replace('1', "2"), "\",\"total\":1}"),
        (format!("{right}{{}}"), "\",\"total\":1}"),
        (format!("{{}}{right}"), "{\"id\":\""),
        (right.replace("state", "kind"), "\",\"state\":\""),
    ] {
        let difference = first_difference(said, &came);
        assert_eq!(difference.as_deref(), Some(fragment), "{came}");
    }
    assert_eq!(first_difference("whole", "whole\n"), None);
    assert_eq!(first_difference("whole", "wholesome").as_deref(), Some("whole"));
}

//! `cargo run`: Oubli whole on one machine.

mod banner;
mod cli;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use indicatif::{ProgressBar, ProgressStyle};
use oubli_archive::signature::PublicKey;
use oubli_local::clock::EngineClock;
use oubli_local::demo::{demo_contacts, generated_contacts};
use oubli_local::engines::{EngineError, EngineOptions, Engines};
use oubli_local::provision::provision;
use oubli_local::runner::{MetricsTo, Runner, RunnerOptions, StateFolder, parameters, seeding};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::cli::Options;

/// The seed of generated contacts: the same number gives the same people.
const GENERATED_SEED: u64 = 1;

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(EnvFilter::new(&options.log))
        .with_writer(std::io::stderr)
        .init();
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line: what failed, and why.
            let causes: Vec<_> = error.chain().map(ToString::to_string).collect();
            say(&mut std::io::stderr(), &format!("oubli: {}", causes.join(": ")));
            ExitCode::FAILURE
        }
    }
}

/// Writes a line for people. Nobody reading is no reason to stop.
fn say(to: &mut impl std::io::Write, text: &str) {
    if writeln!(to, "{text}").is_err() {
        tracing::debug!("nobody reads the terminal");
    }
}

async fn run(options: Options) -> anyhow::Result<()> {
    if options.reset {
        StateFolder::reset(&options.state)?;
    }
    if options.aws_only {
        return run_aws_only(&options).await;
    }
    let mut trusted_archive_keys = Vec::new();
    for path in &options.trusted_archive_key {
        let shown = path.display();
        let pem = std::fs::read_to_string(path).with_context(|| format!("`{shown}` cannot be read"))?;
        let keys = PublicKey::all_from_pem(&pem).with_context(|| format!("`{shown}`"))?;
        trusted_archive_keys.extend(keys);
    }
    let runner = Runner::start(RunnerOptions {
        state: options.folder(),
        bind: options.bind,
        port: options.port,
        aws_port: options.aws_port,
        clock: EngineClock::system(0),
        by_itself: true,
        elsewhere: None,
        metrics: MetricsTo::Nowhere,
        archive_key_id: None,
        trusted_archive_keys,
    })
    .await?;
    seed(&runner, &options).await?;
    let banner = banner::of(&runner).await?;
    let stop = Stop::listen()?;
    let mut out = std::io::stdout();
    say(&mut out, &banner);
    say(&mut out, &format!("ready {}", runner.api_url()));
    out.flush()?;
    sweep_until_stopped(stop, async || runner.sweep_engines().await.map(|_| ())).await?;
    say(&mut std::io::stderr(), "oubli: stopping");
    runner.shutdown().await;
    Ok(())
}

/// Just the AWS endpoint, with what the template describes.
async fn run_aws_only(options: &Options) -> anyhow::Result<()> {
    let state = options.folder().as_deref().map(StateFolder::open).transpose()?;
    let clock = EngineClock::system(0);
    if let Some(state) = &state {
        clock.advance(state.clock_offset()?);
    }
    let bind = std::net::SocketAddr::new(options.bind, options.aws_port);
    let engines = Engines::start(EngineOptions {
        state: state.map(|state| state.engines()),
        bind,
        clock,
    })
    .await?;
    let issuer = format!("http://127.0.0.1:{}", options.port);
    let provisioned = provision(&engines.url(), &parameters("oubli".to_owned(), &issuer)).await?;
    let stop = Stop::listen()?;
    let mut out = std::io::stdout();
    for (function, variables) in &provisioned.environment {
        say(&mut out, &format!("# {function}"));
        for (name, value) in variables {
            say(&mut out, &format!("{name}={value}"));
        }
    }
    say(&mut out, &format!("ready {}", engines.url()));
    out.flush()?;
    sweep_until_stopped(stop, async || engines.sweep().await.map(|_| ())).await?;
    engines.shutdown().await;
    Ok(())
}

/// Hears Ctrl-C and termination from now on: one that comes while something else is done is not lost.
struct Stop {
    interrupted: Signal,
    terminated: Signal,
}

impl Stop {
    fn listen() -> anyhow::Result<Self> {
        let hear = |kind| signal(kind).context("signals cannot be heard");
        Ok(Self {
            interrupted: hear(SignalKind::interrupt())?,
            terminated: hear(SignalKind::terminate())?,
        })
    }
}

/// Lets the engines' brooms run now and then, until Ctrl-C or a termination signal.
async fn sweep_until_stopped(
    mut stop: Stop,
    sweep: impl AsyncFn() -> Result<(), EngineError>,
) -> anyhow::Result<()> {
    let mut ticks = tokio::time::interval(std::time::Duration::from_secs(60));
    loop {
        tokio::select! {
            _ = stop.interrupted.recv() => return Ok(()),
            _ = stop.terminated.recv() => return Ok(()),
            _ = ticks.tick() => sweep().await?,
        }
    }
}

async fn seed(runner: &Runner, options: &Options) -> anyhow::Result<()> {
    let state = options.folder().as_deref().map(StateFolder::open).transpose()?;
    let is_new = |what: &str| match &state {
        Some(state) => state.is_seeded(what).map(|seeded| !seeded),
        None => Ok(true),
    };
    let note = |what: &str| state.as_ref().map_or(Ok(()), |state| state.note_seeded(what));
    if is_new("demo")? {
        seeding::seed_tenants(runner).await?;
        let contacts = demo_contacts()?.into_iter().map(Ok);
        seeding::seed_contacts(runner, "demo", "demo", contacts, || {}).await?;
        note("demo")?;
    }
    if let Some(count) = options.contacts {
        let label = format!("generated-{count}");
        if is_new(&label)? {
            let style = ProgressStyle::with_template("contacts {bar:40} {pos}/{len} {per_sec}, {eta} left")?;
            let progress = ProgressBar::new(count as u64).with_style(style);
            let contacts = generated_contacts(count, GENERATED_SEED);
            seeding::seed_contacts(runner, "demo", &label, contacts, || progress.inc(1)).await?;
            progress.finish();
            note(&label)?;
        }
    }
    Ok(())
}

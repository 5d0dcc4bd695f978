//! The embedded AWS endpoint alone, on the port given, for probes: `engines PORT [STATE]`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use oubli_local::clock::EngineClock;
use oubli_local::engines::{EngineOptions, Engines};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let port: u16 = arguments.next().as_deref().unwrap_or("4566").parse()?;
    let state = arguments.next().map(PathBuf::from);
    let bind = SocketAddr::from(([127, 0, 0, 1], port));
    let engines = Engines::start(EngineOptions {
        state,
        bind,
        clock: EngineClock::system(0),
    })
    .await?;
    let mut sweep = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                engines.shutdown().await;
                return Ok(());
            }
            _ = sweep.tick() => {
                engines.sweep().await?;
            }
        }
    }
}

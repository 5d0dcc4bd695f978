//! The options of `cargo run`.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Parser;

/// Runs Oubli whole on this machine: the API, an AWS endpoint, a demo tenant with contacts and
/// documents. Nothing leaves the machine. Ctrl-C stops it; the next run finds the state of this one.
#[derive(Clone, Debug, Parser)]
#[command(name = "oubli", version)]
pub(crate) struct Options {
    /// Port of the API
    #[arg(long, value_name = "PORT", default_value_t = 3000)]
    pub(crate) port: u16,

    /// Port of the AWS endpoint
    #[arg(long, value_name = "PORT", default_value_t = 4566)]
    pub(crate) aws_port: u16,

    /// Address to listen on; anything but a loopback address opens the demo to the network
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) bind: IpAddr,

    /// Folder that keeps the state
    #[arg(long, value_name = "DIR", default_value = ".oubli")]
    pub(crate) state: PathBuf,

    /// Keep nothing: the state goes with the process
    #[arg(long, conflicts_with_all = ["reset"])]
    pub(crate) ephemeral: bool,

    /// Delete the state folder first
    #[arg(long)]
    pub(crate) reset: bool,

    /// Only the AWS endpoint with the tables, buckets and queues of the template (for `sam local`)
    #[arg(long, conflicts_with = "contacts")]
    pub(crate) aws_only: bool,

    /// Enter this many generated contacts into the demo tenant
    #[arg(long, value_name = "N")]
    pub(crate) contacts: Option<usize>,

    /// File with public keys (PEM) of archives that another stack has signed and that may be restored here;
    /// may be given several times
    #[arg(long, value_name = "FILE")]
    pub(crate) trusted_archive_key: Vec<PathBuf>,

    /// What to log, to standard error as JSON lines: `warn`, `info`, or a filter
    #[arg(long, value_name = "LEVEL", default_value = "warn,s3s=off")]
    pub(crate) log: String,
}

impl Options {
    /// The state folder, unless nothing is kept.
    pub(crate) fn folder(&self) -> Option<PathBuf> {
        (!self.ephemeral).then(|| self.state.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_options_fit_together() {
        Options::command().debug_assert();
        assert!(Options::try_parse_from(["oubli", "--ephemeral", "--reset"]).is_err());
        let options = Options::try_parse_from(["oubli", "--ephemeral"]).unwrap();
        assert_eq!(options.folder(), None);
    }
}

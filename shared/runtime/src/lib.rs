//! What every function needs around its work: settings, telemetry, and the SQS batch loop.
//!
//! This crate knows nothing of privacy. It reads the environment once at the start ([`settings`]),
//! writes JSON log lines ([`telemetry`]) and metrics ([`metrics`]) to standard output, and gives
//! each record of an SQS batch its own verdict ([`batch`]).

pub mod batch;
pub mod error_chain;
pub mod metrics;
pub mod settings;
pub mod telemetry;

//! The HTTP API.

pub mod auth;
pub mod cors;
pub mod frame;
pub mod input;
pub mod problem;

//! The engines and the runner over the wire, with the real SDK; one program, since each links all of them.

#![cfg(test)]

mod endpoint;
mod provision;
mod runner;
mod s3;

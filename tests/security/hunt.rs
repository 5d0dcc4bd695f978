//! The hunt for names where none belong, in a process of its own: beside tests that listen to no log,
//! `tracing` passes lines over, and the hunt would look through a part of them.
#![cfg(test)]

mod canary;
mod endpoint;
mod witnesses;

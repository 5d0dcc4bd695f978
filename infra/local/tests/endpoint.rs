//! The endpoint over the wire, with the real SDK: queues by the moved clock, state over restarts, faults,
//! mails.

#![cfg(test)]

#[path = "endpoint/support.rs"]
mod support;

#[path = "endpoint/faults.rs"]
mod faults;
#[path = "endpoint/mails.rs"]
mod mails;
#[path = "endpoint/queues.rs"]
mod queues;
#[path = "endpoint/state.rs"]
mod state;

//! The endpoint over the wire, with the real SDK: queues by the moved clock, state over restarts, faults,
//! mails, keys.

#![cfg(test)]

#[path = "endpoint/support.rs"]
mod support;

#[path = "endpoint/fairness.rs"]
mod fairness;
#[path = "endpoint/faults.rs"]
mod faults;
#[path = "endpoint/keys.rs"]
mod keys;
#[path = "endpoint/mails.rs"]
mod mails;
#[path = "endpoint/queues.rs"]
mod queues;
#[path = "endpoint/state.rs"]
mod state;

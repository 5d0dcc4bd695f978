//! The endpoint over the wire, with the real SDK: queues by the moved clock, tables, state over restarts,
//! faults, mails, keys.

mod support;

mod fairness;
mod faults;
mod keys;
mod mails;
mod queues;
mod state;
mod tables;

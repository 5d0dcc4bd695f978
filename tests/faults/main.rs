//! What the world does to functions, and that they converge: duplicates, kills, throttles, lost
//! replies, poison, races.
//!
//! [`world`] feeds the functions as a hostile event source would; the tests say what goes wrong.
#![cfg(test)]

mod api_matrix;
mod contention;
mod duplicates;
mod edits;
mod matrix;
mod poison;
mod queue_matrix;
mod random;
mod world;

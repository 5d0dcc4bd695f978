//! What the world does to functions, and that they converge: duplicates, kills, throttles, lost
//! replies, poison, races.
//!
//! [`world`] feeds the functions as a hostile event source would; the tests say what goes wrong.
#![cfg(test)]
#![expect(
    clippy::large_futures,
    reason = "each is made once a test, and holds what the test compares"
)]

mod api_matrix;
mod contention;
mod crossings;
mod crowds;
mod duplicates;
mod edits;
mod interleavings;
mod life_matrix;
mod matrix;
mod memberships;
mod passing;
mod poison;
mod queue_matrix;
mod random;
mod storm;
mod world;

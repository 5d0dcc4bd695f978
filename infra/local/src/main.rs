//! `cargo run`.
fn main() {}

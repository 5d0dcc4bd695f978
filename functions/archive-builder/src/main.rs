//! Wires and starts the function `archive-builder`.
fn main() {}

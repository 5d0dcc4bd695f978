//! Wires and starts the function `api`.
fn main() {}

//! Wires and starts the function `janitor`.
fn main() {}

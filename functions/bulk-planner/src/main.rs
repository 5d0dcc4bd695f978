//! Wires and starts the function `bulk-planner`.
fn main() {}

//! Wires and starts the function `notifier`.
fn main() {}

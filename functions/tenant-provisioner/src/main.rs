//! Wires and starts the function `tenant-provisioner`.
fn main() {}

//! What the world does to functions, and that they converge.
#![cfg(test)]

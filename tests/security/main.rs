//! Who may do what, and what nobody may see.
#![cfg(test)]

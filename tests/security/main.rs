//! Who may do what, and what nobody may see.
#![cfg(test)]

mod drift;
mod forged;
mod hostile;
mod hostile_bodies;
mod operations;
mod raw;
mod rejections;
mod rights;
mod tenants;

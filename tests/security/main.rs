//! Who may do what, and what nobody may see.
#![cfg(test)]

mod archives;
mod drift;
mod endpoint;
mod forged;
mod hostile;
mod hostile_bodies;
mod operations;
mod raw;
mod refused_actions;
mod rejections;
mod restores;
mod rights;
mod roles;
mod tenants;

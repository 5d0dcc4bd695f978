//! Saved archives as a restore reads them: those of our own come back whole, all others are refused with a
//! stable reason.

#![cfg(test)]

mod authentic;
mod support;

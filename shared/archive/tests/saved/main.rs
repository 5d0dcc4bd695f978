//! Saved archives as a restore reads them: those of our own come back whole, all others are refused with a
//! stable reason.

#![cfg(test)]

mod altered;
mod authentic;
mod golden;
mod records;
mod resigned;
mod support;
mod zip64_lies;

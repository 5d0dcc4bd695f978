//! Function janitor.

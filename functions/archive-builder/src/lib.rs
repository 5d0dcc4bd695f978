//! Function archive-builder.

//! Function notifier.

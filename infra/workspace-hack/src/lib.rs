//! Nothing: its manifest names the features of third-party crates once, for the whole workspace.

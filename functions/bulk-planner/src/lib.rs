//! Function bulk-planner.

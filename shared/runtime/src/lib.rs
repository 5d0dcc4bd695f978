//! Settings, telemetry and the SQS batch loop of a function.

//! Metrics as log lines in CloudWatch's embedded metric format: no call, no agent, no waiting.
//!
//! Source: "Specification: Embedded metric format", Amazon CloudWatch User Guide,
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// The namespace of every metric of ours.
pub const NAMESPACE: &str = "Oubli";
/// Most metrics of a line (EMF specification).
const MAX_METRICS: usize = 100;
/// Most dimensions of a metric (EMF specification).
const MAX_DIMENSIONS: usize = 30;

/// What a metric counts in (CloudWatch API reference, `MetricDatum`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Pieces.
    Count,
    /// Bytes.
    Bytes,
    /// Milliseconds.
    Milliseconds,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Bytes => "Bytes",
            Self::Milliseconds => "Milliseconds",
        }
    }
}

/// Name, unit and value of one metric.
pub type Metric<'a> = (&'a str, Unit, u64);

/// Why a metric line was not written.
#[derive(Debug, thiserror::Error)]
pub enum MetricError {
    /// More than 100 metrics or 30 dimensions, which CloudWatch would drop without a word.
    #[error("a metric line holds at most {MAX_METRICS} metrics and {MAX_DIMENSIONS} dimensions")]
    TooMany,
    /// Two members of the line would have this name.
    #[error("the metric line has two members `{0}`")]
    NameTaken(String),
    /// The writer failed.
    #[error("the metric line could not be written")]
    Io(#[from] io::Error),
}

/// Writes one line of metrics, measured at `at`, that share all `dimensions` (name and value).
///
/// # Errors
/// [`MetricError`] when CloudWatch would not take the line, or the writer fails.
pub fn emit_metric(
    writer: &mut impl Write,
    at: Timestamp,
    namespace: &str,
    dimensions: &[(&str, &str)],
    metrics: &[Metric<'_>],
) -> Result<(), MetricError> {
    if metrics.len() > MAX_METRICS || dimensions.len() > MAX_DIMENSIONS {
        return Err(MetricError::TooMany);
    }
    let names: Vec<&str> = dimensions.iter().map(|(name, _)| *name).collect();
    let definitions: Vec<Value> = metrics
        .iter()
        .map(|(name, unit, _)| json!({ "Name": name, "Unit": unit.name() }))
        .collect();
    let directive = json!({ "Namespace": namespace, "Dimensions": [names], "Metrics": definitions });

    let mut line = Map::new();
    line.insert(
        "_aws".to_owned(),
        json!({ "Timestamp": at.as_millisecond(), "CloudWatchMetrics": [directive] }),
    );
    let dimensions = dimensions
        .iter()
        .map(|(name, value)| (*name, Value::from(*value)));
    let values = metrics
        .iter()
        .map(|(name, _, value)| (*name, Value::from(*value)));
    for (name, value) in dimensions.chain(values) {
        if line.insert(name.to_owned(), value).is_some() {
            return Err(MetricError::NameTaken(name.to_owned()));
        }
    }
    let mut line = Value::Object(line).to_string();
    line.push('\n');
    // One write, so that a line is never mixed with another's.
    writer.write_all(line.as_bytes())?;
    Ok(writer.flush()?)
}

/// Where a function's metrics go.
pub struct Metrics {
    function: &'static str,
    writer: Mutex<Box<dyn Write + Send>>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("function", &self.function)
            .finish_non_exhaustive()
    }
}

impl Metrics {
    /// To standard output, which Lambda hands to CloudWatch Logs.
    pub fn to_stdout(function: &'static str) -> Self {
        Self::to_writer(function, io::stdout())
    }

    /// To somewhere else: [`io::sink`] where nobody reads them, a buffer in tests.
    pub fn to_writer(function: &'static str, writer: impl Write + Send + 'static) -> Self {
        Self {
            function,
            writer: Mutex::new(Box::new(writer)),
        }
    }

    /// Writes the metrics of this function. What cannot be written is logged: no work fails for
    /// want of a metric.
    pub fn emit(&self, at: Timestamp, metrics: &[Metric<'_>]) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let dimensions = [("Function", self.function)];
        if let Err(error) = emit_metric(&mut *writer, at, NAMESPACE, &dimensions, metrics) {
            tracing::warn!(error = %crate::error_chain::ErrorChain(&error), "metrics were lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_the_specification_says() {
        let at: Timestamp = "2026-11-21T19:24:13.5Z".parse().unwrap();
        let mut written = Vec::new();
        let metrics = [("Records", Unit::Count, 3), ("ArchiveSize", Unit::Bytes, 2_048)];
        emit_metric(&mut written, at, "Oubli", &[("Function", "notifier")], &metrics).unwrap();

        let text = String::from_utf8(written).unwrap();
        assert_eq!(text.matches('\n').count(), 1);
        assert!(text.ends_with('\n'));
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap(),
            json!({
                "_aws": {
                    "Timestamp": 1_795_289_053_500_i64,
                    "CloudWatchMetrics": [{
                        "Namespace": "Oubli",
                        "Dimensions": [["Function"]],
                        "Metrics": [
                            { "Name": "Records", "Unit": "Count" },
                            { "Name": "ArchiveSize", "Unit": "Bytes" },
                        ],
                    }],
                },
                "Function": "notifier",
                "Records": 3,
                "ArchiveSize": 2_048,
            })
        );
    }

    #[test]
    fn what_cloudwatch_would_drop_is_refused() {
        let at = Timestamp::UNIX_EPOCH;
        let many = vec![("M", Unit::Count, 1); 101];
        let mut written = Vec::new();
        assert!(matches!(
            emit_metric(&mut written, at, "Oubli", &[], &many),
            Err(MetricError::TooMany)
        ));
        for taken in ["_aws", "Function"] {
            let metrics = [(taken, Unit::Milliseconds, 1)];
            let result = emit_metric(&mut written, at, "Oubli", &[("Function", "x")], &metrics);
            assert!(matches!(result, Err(MetricError::NameTaken(name)) if name == taken));
        }
        assert!(written.is_empty());
    }
}

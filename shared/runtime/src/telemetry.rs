//! Logs: JSON lines on standard output, one object a line, every field at its top.
//!
//! A line holds `timestamp`, `level`, `message` and `target`, then the fields of the spans that it
//! was written in (`request_id`, `message_id`, `action_id` …; an inner span wins over an outer one)
//! and of the event itself, so that a query asks for `action_id` wherever it was recorded. Fields
//! hold ids and figures, never anything about a person.

use std::any::Any;
use std::error::Error;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::error_chain::ErrorChain;
use crate::settings::{self, SettingError, Settings};

/// What is logged when nothing else is asked for: our own doings, of the libraries only what is
/// amiss.
const DEFAULT_FILTER: &str = "info";

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter could not be read.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The filter is none.
    #[error("the setting `{}` is no level filter", settings::LOG)]
    Filter(#[from] ParseError),
    /// Somebody else logs already.
    #[error("logging is set up already")]
    Taken(#[from] TryInitError),
}

/// Sets up logging for this process, filtered by [`settings::LOG`], panics included.
///
/// # Errors
/// [`TelemetryError`] when the filter is wrong, or logging is set up already.
pub fn init(settings: &Settings) -> Result<(), TelemetryError> {
    let filter = settings.optional(settings::LOG)?;
    let filter = ours_only(filter.as_deref().unwrap_or(DEFAULT_FILTER));
    subscriber(&filter, SystemTime, std::io::stdout)?.try_init()?;
    log_panics();
    Ok(())
}

/// A bare level is for our own crates. At `debug` the AWS SDK writes requests and answers, which
/// hold personal data: of the libraries only what is amiss is logged, unless a whole filter is given.
fn ours_only(filter: &str) -> String {
    match filter.parse::<tracing::Level>() {
        Ok(level) => format!("warn,oubli={level}"),
        Err(_) => filter.to_owned(),
    }
}

/// What [`init`] installs, with filter, clock and writer passed in.
///
/// # Errors
/// When the filter is none.
pub fn subscriber<T, W>(
    filter: &str,
    timer: T,
    writer: W,
) -> Result<impl Subscriber + Send + Sync + use<T, W>, ParseError>
where
    T: FormatTime + Send + Sync + 'static,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    Ok(tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(filter)?)
        .fmt_fields(JsonFields::new())
        .event_format(FlatJson { timer })
        .with_writer(writer)
        .finish())
}

/// Makes a panic a log line with its place in the code.
///
/// Its text is told only when it is a literal of the program: one that was put together may hold
/// what the program was working on.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(
            place,
            text = literal_text(panic.payload()),
            "the program panicked"
        );
    }));
}

fn literal_text(payload: &(dyn Any + Send)) -> Option<&'static str> {
    payload.downcast_ref::<&'static str>().copied()
}

/// Formats an event as one flat JSON object.
struct FlatJson<T> {
    timer: T,
}

/// What every line begins with.
#[derive(Serialize)]
struct Line<'a> {
    timestamp: &'a str,
    level: &'a str,
    message: Value,
    target: &'a str,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl<S, T> FormatEvent<S, JsonFields> for FlatJson<T>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    T: FormatTime,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut timestamp = String::new();
        self.timer.format_time(&mut Writer::new(&mut timestamp))?;

        let mut fields = Fields::default();
        for span in context
            .event_scope()
            .into_iter()
            .flat_map(|scope| scope.from_root())
        {
            let extensions = span.extensions();
            let recorded = extensions
                .get::<FormattedFields<JsonFields>>()
                .map(|text| text.fields.as_str());
            if let Some(Ok(recorded)) = recorded.map(serde_json::from_str::<Map<String, Value>>) {
                fields.0.extend(recorded);
            }
        }
        // A span's `message` is none of the event's.
        fields.0.remove("message");
        event.record(&mut fields);

        let mut fields = fields.0;
        let message = fields.remove("message").unwrap_or_default();
        for reserved in ["timestamp", "level", "target"] {
            fields.remove(reserved);
        }
        let metadata = event.metadata();
        let (level, target) = (metadata.level().as_str(), metadata.target());
        let line = Line {
            timestamp: &timestamp,
            level,
            message,
            target,
            fields,
        };
        writeln!(
            writer,
            "{}",
            serde_json::to_string(&line).map_err(|_| fmt::Error)?
        )
    }
}

/// The fields of an event, as JSON keeps them best.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn insert(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, format!("{value:?}"));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value);
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value);
    }
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.insert(field, ErrorChain(value).to_string());
    }
}

#[cfg(test)]
pub(crate) mod tests;

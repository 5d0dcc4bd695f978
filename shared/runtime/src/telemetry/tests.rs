use std::ffi::OsString;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use serde_json::json;
use tracing::subscriber::with_default;

use super::*;

/// A writer whose text can be read back.
#[derive(Clone, Default)]
pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    pub(crate) fn subscriber(&self, filter: &str) -> impl Subscriber + Send + Sync + use<> {
        let captured = self.clone();
        subscriber(filter, Noon, move || captured.clone()).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A clock that always says the same.
struct Noon;

impl FormatTime for Noon {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        writer.write_str("2026-11-21T12:00:00Z")
    }
}

pub(crate) fn lines_of(captured: &Captured) -> Vec<Value> {
    captured
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn fields_of_spans_and_event_stand_at_the_top() {
    let captured = Captured::default();
    with_default(captured.subscriber("info"), || {
        let outer = tracing::info_span!(
            "request",
            request_id = "r1",
            action_id = "a0",
            late = tracing::field::Empty
        );
        let _outer = outer.enter();
        let inner = tracing::info_span!("item", action_id = "a1", chunk = 3_u64);
        let _inner = inner.enter();
        outer.record("late", true);
        tracing::info!(documents = 2, share = 0.5, "built \"one\"\nof them");
    });
    assert_eq!(
        lines_of(&captured),
        [json!({
            "timestamp": "2026-11-21T12:00:00Z",
            "level": "INFO",
            "message": "built \"one\"\nof them",
            "target": "oubli_runtime::telemetry::tests",
            "request_id": "r1",
            "action_id": "a1",
            "chunk": 3,
            "late": true,
            "documents": 2,
            "share": 0.5,
        })]
    );
    assert!(!captured.text().contains('\u{1b}'), "no terminal colours");
}

#[test]
fn fields_cannot_forge_what_every_line_begins_with() {
    let captured = Captured::default();
    with_default(captured.subscriber("info"), || {
        let span = tracing::info_span!("s", message = "of the span", level = "TRACE");
        let _entered = span.enter();
        tracing::warn!(target: "t", timestamp = "never", level = "DEBUG", id = 1);
    });
    let expected = json!({ "timestamp": "2026-11-21T12:00:00Z", "level": "WARN", "message": null, "target": "t", "id": 1 });
    assert_eq!(lines_of(&captured), [expected]);
}

#[test]
fn errors_come_with_their_sources() {
    let captured = Captured::default();
    with_default(captured.subscriber("info"), || {
        let error = TelemetryError::Filter(EnvFilter::try_new("a=b=c").unwrap_err());
        tracing::error!(error = &error as &(dyn Error + 'static), "failed");
    });
    let error = lines_of(&captured)[0]["error"].clone();
    let error = error.as_str().unwrap();
    assert!(
        error.starts_with("the setting `OUBLI_LOG` is no level filter: "),
        "{error}"
    );
}

#[test]
fn the_filter_decides() {
    let captured = Captured::default();
    with_default(captured.subscriber("warn,ours=debug"), || {
        tracing::info!(target: "theirs", "no");
        tracing::debug!(target: "ours", "yes");
        tracing::trace!(target: "ours", "no");
    });
    let lines = lines_of(&captured);
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["message"], "yes");
}

#[test]
fn a_wrong_filter_is_an_error_at_the_start() {
    let settings = Settings::new(|name| (name == settings::LOG).then(|| OsString::from("a=b=c")));
    let error = init(&settings).unwrap_err();
    assert_eq!(error.to_string(), "the setting `OUBLI_LOG` is no level filter");
}

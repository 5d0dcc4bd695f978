//! The panic hook is the process's: it has a test binary of its own.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use oubli_runtime::telemetry;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_panic_is_logged_with_its_place_and_without_values() {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber = telemetry::subscriber("info", (), move || writer.clone()).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        telemetry::log_panics();
        let name = std::hint::black_box("Lefèvre");
        std::panic::catch_unwind(|| panic!("no such contact: {name}")).unwrap_err();
        std::panic::catch_unwind(|| panic!("a literal")).unwrap_err();
    });

    let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2, "{text}");
    for line in &lines {
        assert_eq!(line["message"], "the program panicked");
        assert!(line["place"].as_str().unwrap().contains("panics.rs:"), "{line}");
    }
    assert!(!text.contains("Lef"), "{text}");
    assert_eq!(lines[1]["text"], "a literal");
}

//! What an operator, a colleague or an attacker could look through, and the marks that must not be
//! found there.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use oubli_local::faults::{Fault, Outcome};
use oubli_local::runner::MetricsTo;
use oubli_tests::Stack;
use tracing::subscriber::DefaultGuard;

/// What every mark of letters begins with. It looks the same folded, percent-encoded and in an address.
pub(crate) const MARK: &str = "zqxcanary";
/// What stands in marks of digits: so many that no random id holds them.
pub(crate) const DIGITS: &str = "98765011223";

/// Whether a mark stands in a text: as it is, in other letters, in base64 or in hexadecimal digits.
pub(crate) fn is_marked(text: &str) -> bool {
    let lower = text.to_lowercase();
    let digits: String = lower
        .chars()
        .filter(|letter| !" .-()".contains(*letter))
        .collect();
    lower.contains(MARK)
        || digits.contains(DIGITS)
        || encodings().iter().any(|encoded| text.contains(encoded))
        || lower.contains(&hexadecimal())
}

fn hexadecimal() -> String {
    MARK.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// The mark in base64, wherever in a longer text it begins.
fn encodings() -> Vec<String> {
    let mut found = Vec::new();
    for before in 0..3 {
        let bytes = [vec![0; before], MARK.as_bytes().to_vec()].concat();
        let (from, to) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        for encoded in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            found.push(encoded.chars().take(to).skip(from).collect());
        }
    }
    found
}

#[test]
fn marks_are_found_in_disguise() {
    for before in 0..4 {
        let text = format!("{}{MARK}", "a".repeat(before));
        assert!(is_marked(&STANDARD_NO_PAD.encode(format!("{text}é?>"))));
        assert!(is_marked(&URL_SAFE_NO_PAD.encode(text)));
    }
    assert!(is_marked("ZQXCanary"));
    assert!(is_marked("+98 765.011-22 3"));
    assert!(is_marked(&hexadecimal()));
    assert!(!is_marked("zqx canary 9876501122"));
}

/// Memory that somebody writes to and a test reads.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    pub(crate) fn metrics(&self) -> MetricsTo {
        MetricsTo::Memory(self.0.clone())
    }

    /// Everything that is logged on this thread from now on, exactly as a function would log it.
    pub(crate) fn logs(&self, filter: &str) -> DefaultGuard {
        let memory = self.clone();
        let subscriber = oubli_runtime::telemetry::subscriber(filter, (), move || memory.clone()).unwrap();
        tracing::subscriber::set_default(subscriber)
    }

    /// Everything that is logged in this process from now on, but on threads that log elsewhere. One test of
    /// a process may ask for it.
    pub(crate) fn logs_of_all_threads(&self, filter: &str) {
        let memory = self.clone();
        let subscriber = oubli_runtime::telemetry::subscriber(filter, (), move || memory.clone()).unwrap();
        tracing::subscriber::set_global_default(subscriber).unwrap();
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The bodies of all messages that any queue ever held, by queue.
#[derive(Clone, Default)]
pub(crate) struct Messages(Arc<Mutex<BTreeMap<String, BTreeSet<String>>>>);

impl Messages {
    /// Looks into every queue before each call of SQS: no message can be deleted unseen.
    pub(crate) fn watch(stack: &Stack) -> Self {
        let messages = Self::default();
        let engines = stack.engines().unwrap();
        let (seen, queues) = (messages.clone(), engines.queues().clone());
        let look = move |_: &_| {
            let mut seen = seen.0.lock().unwrap();
            for name in queues.names() {
                let bodies = queues.bodies(&name);
                seen.entry(name).or_default().extend(bodies);
            }
            false
        };
        engines
            .faults()
            .inject(Fault::on("SQS.*", Outcome::Error).only_if(look));
        messages
    }

    pub(crate) fn seen(&self) -> BTreeMap<String, BTreeSet<String>> {
        self.0.lock().unwrap().clone()
    }
}

//! What an operator, a colleague or an attacker could look through, and the marks that must not be
//! found there.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use oubli_domain::Sha256;
use oubli_local::faults::{Fault, Outcome};
use oubli_local::runner::MetricsTo;
use oubli_tests::Stack;
use serde_json::Value;
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

/// Hashes that anybody can compute who guesses what a person is called, or what a request said: none may be
/// stored, as it would confirm the guess.
#[derive(Default)]
pub(crate) struct Guesses(BTreeSet<String>);

impl Guesses {
    /// How much of a hash is looked for: of one that was cut, this is left.
    const HEX_DIGITS: usize = 12;
    const BASE64_LETTERS: usize = 16;

    /// Guesses a text: its SHA-256 in hexadecimal digits and in base64.
    pub(crate) fn add(&mut self, text: &[u8]) {
        let hash = Sha256::of(text);
        let beginning = |text: String, length| text.chars().take(length).collect::<String>();
        self.0.insert(beginning(hash.to_string(), Self::HEX_DIGITS));
        for encoded in [
            STANDARD_NO_PAD.encode(hash.as_bytes()),
            URL_SAFE_NO_PAD.encode(hash.as_bytes()),
        ] {
            self.0.insert(beginning(encoded, Self::BASE64_LETTERS));
        }
    }

    /// Guesses a request: its body, alone and beneath its first line, its idempotency key, alone and with who
    /// asks, and each text in its body.
    pub(crate) fn add_request(&mut self, line: &str, key: Option<&str>, body: &[u8]) {
        self.add(body);
        self.add(&[line.as_bytes(), b"\n", body].concat());
        if let Some(key) = key {
            self.add(key.as_bytes());
            self.add(format!("agent\n{key}").as_bytes());
        }
        if let Ok(body) = serde_json::from_slice(body) {
            self.add_texts(&body);
        }
    }

    fn add_texts(&mut self, value: &Value) {
        match value {
            Value::String(text) => {
                self.add(text.as_bytes());
                self.add(text.to_lowercase().as_bytes());
            }
            Value::Array(values) => values.iter().for_each(|value| self.add_texts(value)),
            Value::Object(fields) => fields.values().for_each(|value| self.add_texts(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// The hash in `text` that confirms one of the guesses.
    pub(crate) fn confirmed_by<'t>(&self, text: &'t str) -> Option<&'t str> {
        let is_hex = |letter: char| letter.is_ascii_hexdigit();
        let is_base64 = |letter: char| letter.is_ascii_alphanumeric() || "+/-_".contains(letter);
        let hex = text.split(|letter| !is_hex(letter));
        let hex = hex.filter_map(|run| run.get(..Self::HEX_DIGITS));
        let base64 = text.split(|letter| !is_base64(letter));
        let base64 = base64.filter_map(|run| run.get(..Self::BASE64_LETTERS));
        hex.chain(base64)
            .find(|found| self.0.contains(*found) || self.0.contains(&found.to_ascii_lowercase()))
    }
}

#[test]
fn plain_hashes_confirm_guesses() {
    let mut guesses = Guesses::default();
    let body = br#"{"email":"Zoe@Example.com"}"#;
    guesses.add_request("POST /v1/contacts", Some("k"), body);
    let hex = Sha256::of(b"zoe@example.com").to_string();
    let whole = Sha256::of(&[b"POST /v1/contacts\n".as_slice(), body].concat());
    for text in [
        format!("T#demo#I#{hex}"),
        format!("at.{}", hex.get(..12).unwrap()),
        hex.to_uppercase(),
        format!("S(\"{}\")", URL_SAFE_NO_PAD.encode(whole.as_bytes())),
    ] {
        assert!(guesses.confirmed_by(&text).is_some(), "{text}");
    }
    let other = Sha256::of(b"somebody else");
    let encoded = STANDARD_NO_PAD.encode(other.as_bytes());
    assert_eq!(guesses.confirmed_by(&format!("{other} {encoded}")), None);
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

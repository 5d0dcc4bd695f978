//! Which events a rule of EventBridge is for ("Amazon EventBridge event patterns", user guide), as far as the
//! template says it: exact values, and beginnings of texts.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// A pattern: an event fits that has every field, with one of its values.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct EventPattern(BTreeMap<String, Field>);

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Field {
    /// One of these.
    Values(Vec<Match>),
    /// Something with these fields.
    Inner(EventPattern),
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Match {
    Exactly(String),
    Beginning(Beginning),
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Beginning {
    prefix: String,
}

impl EventPattern {
    /// Whether an event fits.
    pub fn fits(&self, event: &Value) -> bool {
        self.0.iter().all(|(name, wanted)| {
            event.get(name).is_some_and(|found| match wanted {
                Field::Inner(pattern) => pattern.fits(found),
                Field::Values(values) => found
                    .as_str()
                    .is_some_and(|found| values.iter().any(|value| value.fits(found))),
            })
        })
    }
}

impl Match {
    fn fits(&self, found: &str) -> bool {
        match self {
            Self::Exactly(value) => found == value,
            Self::Beginning(beginning) => found.starts_with(&beginning.prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_fits_that_has_every_field() {
        let pattern: EventPattern = serde_json::from_value(json!({
            "source": ["aws.s3", "aws.other"],
            "detail": { "bucket": { "name": ["a"] }, "object": { "key": [{ "prefix": "archives/" }] } },
        }))
        .unwrap();
        let event = |source: &str, bucket: &str, key: &str| {
            json!({
                "source": source, "time": "now",
                "detail": { "bucket": { "name": bucket }, "object": { "key": key, "size": 1 } },
            })
        };
        assert!(pattern.fits(&event("aws.s3", "a", "archives/x")));
        assert!(pattern.fits(&event("aws.other", "a", "archives/")));
        assert!(!pattern.fits(&event("aws.sqs", "a", "archives/x")));
        assert!(!pattern.fits(&event("aws.s3", "b", "archives/x")));
        assert!(!pattern.fits(&event("aws.s3", "a", "uploads/x")));
        assert!(!pattern.fits(&json!({ "source": "aws.s3" })));
    }

    #[test]
    fn a_pattern_that_is_not_known_here_is_an_error() {
        for pattern in [
            json!({ "source": [{ "anything-but": ["x"] }] }),
            json!({ "source": "aws.s3" }),
            json!({ "source": [{ "prefix": "a", "suffix": "b" }] }),
        ] {
            assert!(
                serde_json::from_value::<EventPattern>(pattern.clone()).is_err(),
                "{pattern}"
            );
        }
    }
}

//! The attributes of a queue: which there are, what they may be, what they are when nobody said.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::error::ApiError;

/// Attributes with a whole number, its least and its greatest value, and its default.
const NUMBERS: [(&str, i64, i64, i64); 5] = [
    ("VisibilityTimeout", 0, 43_200, 30),
    ("DelaySeconds", 0, 900, 0),
    ("MaximumMessageSize", 1024, 1_048_576, 1_048_576),
    ("MessageRetentionPeriod", 60, 1_209_600, 345_600),
    ("ReceiveMessageWaitTimeSeconds", 0, 20, 0),
];

/// Attributes that are kept and given back as they came, and change nothing here.
const KEPT: [&str; 7] = [
    "Policy",
    "RedriveAllowPolicy",
    "KmsMasterKeyId",
    "KmsDataKeyReusePeriodSeconds",
    "SqsManagedSseEnabled",
    "DeduplicationScope",
    "FifoThroughputLimit",
];

/// Where messages go that were received too often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Redrive {
    pub(super) dead_letter_queue: String,
    pub(super) max_receive_count: u32,
}

/// Attributes as they were set, checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct QueueAttributes {
    set: BTreeMap<String, String>,
    redrive: Option<Redrive>,
}

impl QueueAttributes {
    /// Checks each attribute.
    pub(super) fn check(set: BTreeMap<String, String>) -> Result<Self, ApiError> {
        let mut redrive = None;
        for (name, value) in &set {
            if let Some((_, least, greatest, _)) = NUMBERS.iter().find(|(number, ..)| number == name) {
                let number: Option<i64> = value.parse().ok();
                if !number.is_some_and(|number| (*least..=*greatest).contains(&number)) {
                    return Err(ApiError::invalid_attribute_value(name));
                }
            } else if name == "RedrivePolicy" {
                redrive = read_redrive(value)?;
            } else if matches!(name.as_str(), "FifoQueue" | "ContentBasedDeduplication") {
                if !matches!(value.as_str(), "true" | "false") {
                    return Err(ApiError::invalid_attribute_value(name));
                }
            } else if !KEPT.contains(&name.as_str()) {
                return Err(ApiError::invalid_attribute_name(name));
            }
        }
        Ok(Self { set, redrive })
    }

    /// These, with `changes` over them; an empty policy removes it.
    pub(super) fn with(&self, changes: BTreeMap<String, String>) -> Result<Self, ApiError> {
        let mut set = self.set.clone();
        for (name, value) in changes {
            if value.is_empty() && matches!(name.as_str(), "RedrivePolicy" | "Policy" | "RedriveAllowPolicy")
            {
                set.remove(&name);
            } else {
                set.insert(name, value);
            }
        }
        Self::check(set)
    }

    /// The number set, or its default; 0 for what is no number.
    pub(super) fn number(&self, name: &str) -> i64 {
        let default = NUMBERS
            .iter()
            .find(|(number, ..)| *number == name)
            .map_or(0, |(.., default)| *default);
        self.set
            .get(name)
            .and_then(|value| value.parse().ok())
            .unwrap_or(default)
    }

    pub(super) fn is_true(&self, name: &str) -> bool {
        self.set.get(name).is_some_and(|value| value == "true")
    }

    pub(super) fn redrive(&self) -> Option<&Redrive> {
        self.redrive.as_ref()
    }

    /// As set, for the journal.
    pub(super) fn as_set(&self) -> &BTreeMap<String, String> {
        &self.set
    }

    /// The first attribute of `wanted` that is different here, defaults counted in.
    pub(super) fn difference(&self, wanted: &Self) -> Option<String> {
        let here = self.described();
        wanted
            .set
            .iter()
            .find(|(name, value)| here.get(*name) != Some(value))
            .map(|(name, _)| name.clone())
    }

    /// All attributes that a client may see, defaults counted in.
    pub(super) fn described(&self) -> BTreeMap<String, String> {
        let mut all: BTreeMap<String, String> = NUMBERS
            .iter()
            .map(|(name, _, _, default)| ((*name).to_owned(), default.to_string()))
            .collect();
        all.insert("SqsManagedSseEnabled".to_owned(), "true".to_owned());
        if self.is_true("FifoQueue") {
            all.insert("ContentBasedDeduplication".to_owned(), "false".to_owned());
            all.insert("DeduplicationScope".to_owned(), "queue".to_owned());
            all.insert("FifoThroughputLimit".to_owned(), "perQueue".to_owned());
        }
        all.extend(self.set.clone());
        all
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RedrivePolicy {
    dead_letter_target_arn: String,
    max_receive_count: Count,
}

/// Clients write the count as a number or as a string.
#[derive(Deserialize)]
#[serde(untagged)]
enum Count {
    Number(u32),
    Text(String),
}

fn read_redrive(value: &str) -> Result<Option<Redrive>, ApiError> {
    if value.is_empty() {
        return Ok(None);
    }
    let refuse = |reason: &str| {
        ApiError::invalid_value(format!(
            "Value {value} for parameter RedrivePolicy is invalid. Reason: {reason}"
        ))
    };
    let policy: RedrivePolicy = serde_json::from_str(value)
        .map_err(|_| refuse("Redrive policy does not contain mandatory attributes."))?;
    let max_receive_count = match policy.max_receive_count {
        Count::Number(count) => count,
        Count::Text(text) => text.parse().unwrap_or(0),
    };
    if !(1..=1000).contains(&max_receive_count) {
        return Err(refuse("Invalid value for maxReceiveCount."));
    }
    match policy.dead_letter_target_arn.rsplit(':').next() {
        Some(name) if policy.dead_letter_target_arn.starts_with("arn:aws:sqs:") && !name.is_empty() => {
            Ok(Some(Redrive {
                dead_letter_queue: name.to_owned(),
                max_receive_count,
            }))
        }
        _ => Err(refuse("Invalid value for deadLetterTargetArn.")),
    }
}

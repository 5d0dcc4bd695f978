//! The errors of KMS ("Errors" of each operation, AWS Key Management Service API Reference).

use serde_json::json;

use super::wire::CONTENT_TYPE;
use crate::endpoint::{Answer, text_answer};

/// An error as a client sees it.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    code: &'static str,
    message: String,
    status: u16,
}

impl ApiError {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            status: 400,
        }
    }

    pub(super) fn no_key(arn: &str) -> Self {
        Self::new("NotFoundException", format!("Key '{arn}' does not exist"))
    }

    pub(super) fn no_alias(arn: &str) -> Self {
        Self::new("NotFoundException", format!("Alias {arn} is not found."))
    }

    pub(super) fn alias_exists(arn: &str) -> Self {
        Self::new(
            "AlreadyExistsException",
            format!("An alias with the name {arn} already exists"),
        )
    }

    pub(super) fn invalid_alias_name(message: impl Into<String>) -> Self {
        Self::new("InvalidAliasNameException", message)
    }

    pub(super) fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationException", message)
    }

    /// A value that breaks a constraint of the model.
    pub(super) fn constraint(member: &str, constraint: &str) -> Self {
        Self::validation(format!(
            "1 validation error detected: Value at '{member}' failed to satisfy constraint: {constraint}"
        ))
    }

    pub(super) fn unsupported(message: impl Into<String>) -> Self {
        Self::new("UnsupportedOperationException", message)
    }

    pub(super) fn malformed_policy() -> Self {
        Self::new(
            "MalformedPolicyDocumentException",
            "The policy is no JSON document.",
        )
    }

    pub(super) fn wrong_algorithm(algorithm: &str, spec: &str) -> Self {
        Self::new(
            "InvalidKeyUsageException",
            format!("Algorithm {algorithm} is incompatible with key spec {spec}."),
        )
    }

    pub(super) fn wrong_usage(arn: &str, usage: &str, operation: &str) -> Self {
        Self::new(
            "InvalidKeyUsageException",
            format!("{arn} key usage is {usage} which is not valid for {operation}."),
        )
    }

    pub(super) fn invalid_signature() -> Self {
        Self::new("KMSInvalidSignatureException", "The signature is not valid.")
    }

    pub(super) fn serialization(message: impl Into<String>) -> Self {
        Self::new("SerializationException", message)
    }

    pub(super) fn unknown_operation(operation: &str) -> Self {
        Self::new(
            "UnknownOperationException",
            format!("`{operation}` is not served here"),
        )
    }

    /// Nothing was done, or nothing that can be used.
    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self {
            status: 500,
            ..Self::new("KMSInternalException", message)
        }
    }

    pub(super) fn into_answer(self) -> Answer {
        let body = json!({"__type": self.code, "message": self.message});
        text_answer(self.status, CONTENT_TYPE, body.to_string())
    }
}

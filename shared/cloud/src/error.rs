//! What AWS answered that was not foreseen.

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// A failure of an AWS call. It holds the operation and AWS's error code, never AWS's message,
/// which may quote what was stored.
#[derive(Debug, thiserror::Error)]
pub enum CloudError {
    /// AWS asks to slow down, even after the SDK's retries.
    #[error("`{operation}` was throttled ({code})")]
    Throttled {
        /// The AWS operation.
        operation: &'static str,
        /// AWS's error code.
        code: String,
    },
    /// AWS failed by itself, or could not be reached, even after the SDK's retries.
    #[error("`{operation}` is not available ({code})")]
    Unavailable {
        /// The AWS operation.
        operation: &'static str,
        /// AWS's error code, or how the connection failed.
        code: String,
    },
    /// AWS refused.
    #[error("`{operation}` failed ({code})")]
    Failed {
        /// The AWS operation.
        operation: &'static str,
        /// AWS's error code.
        code: String,
    },
    /// What was stored cannot be read as what it should be.
    #[error("a stored {what} cannot be read")]
    Corrupt {
        /// What it should be.
        what: &'static str,
    },
    /// A request could not be built.
    #[error("a request for `{operation}` could not be built")]
    Request {
        /// The AWS operation.
        operation: &'static str,
    },
}

impl CloudError {
    /// Whether AWS asks to slow down.
    pub fn is_throttling(&self) -> bool {
        matches!(self, Self::Throttled { .. })
    }

    /// Whether the failure says nothing of what was asked for: the same call may succeed a little later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Unavailable { .. })
    }
}

/// Codes by which AWS asks to slow down.
const THROTTLING: [&str; 9] = [
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "ThrottledException",
    "Throttling",
    "SlowDown",
    "TooManyRequestsException",
    "RequestThrottled",
    "LimitExceededException",
];

/// Codes of failures of AWS's own that come within an answer of another status, such as the reason for one
/// object or message of many.
const UNAVAILABLE: [&str; 6] = [
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "ServiceUnavailable",
    "RequestTimeout",
    "KMSInternalException",
];

pub(crate) fn code_of<E, R>(error: &SdkError<E, R>) -> Option<&str>
where
    E: ProvideErrorMetadata,
{
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

/// What AWS refused with a code.
pub(crate) fn refused(operation: &'static str, code: &str) -> CloudError {
    let code = code.to_owned();
    if THROTTLING.contains(&code.as_str()) {
        CloudError::Throttled { operation, code }
    } else if UNAVAILABLE.contains(&code.as_str()) {
        CloudError::Unavailable { operation, code }
    } else {
        CloudError::Failed { operation, code }
    }
}

/// Turns an SDK error into ours: keeps the code, drops the message.
pub(crate) fn failed<E>(operation: &'static str) -> impl Fn(SdkError<E, HttpResponse>) -> CloudError
where
    E: ProvideErrorMetadata,
{
    move |error| {
        let unavailable = |code: &str| CloudError::Unavailable {
            operation,
            code: code.to_owned(),
        };
        match &error {
            SdkError::ServiceError(service) => {
                let code = code_of(&error).unwrap_or("unknown service error");
                match refused(operation, code) {
                    CloudError::Failed { code, .. } if service.raw().status().is_server_error() => {
                        unavailable(&code)
                    }
                    refused => refused,
                }
            }
            SdkError::TimeoutError(_) => unavailable("timeout"),
            SdkError::DispatchFailure(_) => unavailable("connection failed"),
            SdkError::ResponseError(_) => unavailable("answer could not be read"),
            SdkError::ConstructionFailure(_) => CloudError::Request { operation },
            _ => refused(operation, "unknown"),
        }
    }
}

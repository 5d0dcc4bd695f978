//! What AWS answered that was not foreseen.

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
    /// AWS refused, failed, or could not be reached.
    #[error("`{operation}` failed ({code})")]
    Failed {
        /// The AWS operation.
        operation: &'static str,
        /// AWS's error code, or how the connection failed.
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
    /// Whether the same call may succeed a little later.
    pub fn is_throttling(&self) -> bool {
        matches!(self, Self::Throttled { .. })
    }
}

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

pub(crate) fn code_of<E, R>(error: &SdkError<E, R>) -> Option<&str>
where
    E: ProvideErrorMetadata,
{
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

/// Turns an SDK error into ours: keeps the code, drops the message.
pub(crate) fn failed<E, R>(operation: &'static str) -> impl Fn(SdkError<E, R>) -> CloudError
where
    E: ProvideErrorMetadata,
{
    move |error| {
        let code = match &error {
            SdkError::ServiceError(_) => code_of(&error).unwrap_or("unknown service error"),
            SdkError::TimeoutError(_) => "timeout",
            SdkError::DispatchFailure(_) => "connection failed",
            SdkError::ConstructionFailure(_) => "request could not be built",
            SdkError::ResponseError(_) => "answer could not be read",
            _ => "unknown",
        };
        let code = code.to_owned();
        if THROTTLING.contains(&code.as_str()) {
            CloudError::Throttled { operation, code }
        } else {
            CloudError::Failed { operation, code }
        }
    }
}

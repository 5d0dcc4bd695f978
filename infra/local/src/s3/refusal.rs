//! Errors of the S3 API whose codes the `s3s` crate does not list.

use http::StatusCode;
use s3s::{S3Error, S3ErrorCode};

/// An error with the code, status and text of the real service.
pub(super) fn refusal(code: &'static str, status: StatusCode, text: &'static str) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), text);
    error.set_status_code(status);
    error
}

//! Every refusal of the API: `application/problem+json` (RFC 9457).
//!
//! A handler returns a [`Problem`]; the frame around all routes (`frame.rs`) writes it down with
//! the id of the request. Nothing that is not in [`codes`] or in a field's refusal leaves.

pub mod codes;
pub mod pages;
pub(crate) mod responses;
mod workflow;

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use oubli_domain::{FieldError, FieldErrors};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

pub use codes::Code;
pub(crate) use responses::problems;

/// A refusal, before it is written down.
#[derive(Clone, Debug)]
pub struct Problem(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    code: Code,
    detail: Option<Cow<'static, str>>,
    errors: Vec<FieldError>,
    headers: HeaderMap,
    members: Map<String, Value>,
}

impl Problem {
    /// A refusal with nothing more to say than its code.
    pub fn new(code: Code) -> Self {
        Self(Box::new(Parts {
            code,
            detail: None,
            errors: Vec::new(),
            headers: HeaderMap::new(),
            members: Map::new(),
        }))
    }

    /// The code of the refusal.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Which parts of the input are wrong.
    pub fn field_errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// Says what is particular to this case. Never internal text.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Says which parts of the input are wrong.
    #[must_use]
    pub fn errors(mut self, errors: &FieldErrors) -> Self {
        self.0.errors = errors.as_slice().to_vec();
        self
    }

    /// Says after how many seconds it is worth trying again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.0.headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        self
    }

    /// Says how to authenticate (RFC 6750, section 3).
    #[must_use]
    pub fn challenge(mut self, challenge: &'static str) -> Self {
        self.0
            .headers
            .insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        self
    }

    /// Adds an extension member (RFC 9457, section 3.2).
    #[must_use]
    pub fn member(mut self, name: &str, value: Value) -> Self {
        self.0.members.insert(name.to_owned(), value);
        self
    }

    /// Input that is understood but refused: 422.
    pub fn refused(errors: &FieldErrors) -> Self {
        Self::new(Code::InputRefused).errors(errors)
    }

    /// The refusal that stands for an answer which our own code did not give: a router's, a
    /// framework's. What it said in its body is dropped; `Allow` stays.
    pub fn of_foreign(status: StatusCode, headers: &HeaderMap) -> Self {
        let mut problem = Self::new(Code::of_status(status));
        if let Some(allow) = headers.get(ALLOW) {
            problem.0.headers.insert(ALLOW, allow.clone());
        }
        problem
    }

    /// The answer as sent.
    pub fn into_written(self, request_id: &str) -> Response {
        let Parts {
            code,
            detail,
            errors,
            headers,
            members,
        } = *self.0;
        let view = ProblemView {
            kind: format!("/problems/{}", code.code()),
            title: code.title(),
            status: code.status().as_u16(),
            detail: detail.unwrap_or(Cow::Borrowed(code.explanation())),
            request_id: request_id.to_owned(),
            errors: errors
                .into_iter()
                .map(|error| FieldErrorView {
                    pointer: error.pointer,
                    detail: error.detail,
                })
                .collect(),
            members,
        };
        // Strings and numbers alone: this cannot fail. If it did, the status would still be right.
        let body = serde_json::to_vec(&view).unwrap_or_default();
        let mut response = (code.status(), body).into_response();
        response.headers_mut().extend(headers);
        let media_type = HeaderValue::from_static("application/problem+json");
        response
            .headers_mut()
            .insert(http::header::CONTENT_TYPE, media_type);
        response
    }
}

impl IntoResponse for Problem {
    /// The status, and the problem itself as an extension: the frame writes the body.
    fn into_response(self) -> Response {
        let mut response = self.code().status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// A refusal on the wire (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemView {
    /// `/problems/<code>`: a page that explains the code.
    #[serde(rename = "type")]
    #[schema(example = "/problems/not_found")]
    kind: String,
    /// What the code means, in short.
    title: &'static str,
    /// The HTTP status.
    #[schema(example = 404)]
    status: u16,
    /// What happened in this case.
    detail: Cow<'static, str>,
    /// The id under which the operator finds the request in the logs.
    request_id: String,
    /// Which parts of the input are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldErrorView>,
    /// What some codes tell besides: `preview` with `plan_changed`.
    #[serde(flatten)]
    #[schema(ignore)]
    members: Map<String, Value>,
}

/// One wrong part of an input.
#[derive(Serialize, ToSchema)]
#[schema(as = FieldError)]
pub struct FieldErrorView {
    /// A JSON Pointer (RFC 6901) into the body, or `?name` for a query parameter.
    #[schema(example = "/email")]
    pointer: String,
    /// What is wrong with it.
    detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;

    async fn json(response: Response) -> Value {
        serde_json::from_slice(&to_bytes(response.into_body(), 65_536).await.unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_problem_says_what_rfc_9457_asks() {
        let mut errors = FieldErrors::one("/email", "must be an e-mail address");
        errors.push("/a~1b", "must not be empty");
        let response = Problem::refused(&errors).into_written("r-1");
        assert_eq!(response.status(), 422);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let expected = serde_json::json!({
            "type": "/problems/input_refused",
            "title": Code::InputRefused.title(),
            "status": 422,
            "detail": Code::InputRefused.explanation(),
            "request_id": "r-1",
            "errors": [
                {"pointer": "/email", "detail": "must be an e-mail address"},
                {"pointer": "/a~1b", "detail": "must not be empty"},
            ],
        });
        assert_eq!(json(response).await, expected);
    }

    #[tokio::test]
    async fn headers_and_members_come_along() {
        let problem = Problem::new(Code::Busy)
            .retry_after(2)
            .member("preview", serde_json::json!({"contacts": 1}));
        let response = problem.into_written("r");
        assert_eq!(response.headers()["retry-after"], "2");
        assert_eq!(json(response).await["preview"]["contacts"], 1);
    }
}

//! `If-Match` and `ETag` (RFC 9110, sections 8.8.3 and 13.1.1): the version of what is changed.

use axum::extract::FromRequestParts;
use http::header::IF_MATCH;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use oubli_workflows::Expected;

use crate::problem::{Code, Problem};

/// The version that a change starts from.
#[derive(Clone, Copy, Debug)]
pub struct IfMatch(pub Expected);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        read(&parts.headers).map(Self)
    }
}

/// The entity tag of a version.
pub fn etag(version: u64) -> String {
    format!("\"{version}\"")
}

fn read(headers: &HeaderMap) -> Result<Expected, Problem> {
    let mut values = headers.get_all(IF_MATCH).iter();
    let value = values.next().ok_or_else(|| Problem::new(Code::IfMatchMissing))?;
    let expected = if values.next().is_some() {
        None
    } else {
        expected(value)
    };
    // A tag that we never gave matches nothing, as any other stale one.
    expected.ok_or_else(|| Problem::new(Code::PreconditionFailed))
}

fn expected(value: &HeaderValue) -> Option<Expected> {
    let text = value.to_str().ok()?.trim();
    if text == "*" {
        return Some(Expected::Any);
    }
    let tag = text.strip_prefix('"')?.strip_suffix('"')?;
    let version: u64 = tag.parse().ok()?;
    (etag(version) == text).then_some(Expected::Version(version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn of(value: &str) -> Result<Expected, Problem> {
        read(&HeaderMap::from_iter([(
            IF_MATCH,
            HeaderValue::from_str(value).unwrap(),
        )]))
    }

    #[test]
    fn our_own_tags_are_read() {
        assert!(matches!(of(&etag(12)), Ok(Expected::Version(12))));
        assert!(matches!(of("*"), Ok(Expected::Any)));
    }

    #[test]
    fn a_change_needs_one() {
        assert_eq!(read(&HeaderMap::new()).unwrap_err().code(), Code::IfMatchMissing);
    }

    #[rstest]
    #[case("12")]
    #[case("W/\"12\"")]
    #[case("\"012\"")]
    #[case("\"+12\"")]
    #[case("\"-1\"")]
    #[case("\"abc\"")]
    #[case("\"1\", \"2\"")]
    #[case("\"")]
    #[case("")]
    fn tags_of_others_match_nothing(#[case] value: &str) {
        assert_eq!(of(value).unwrap_err().code(), Code::PreconditionFailed);
    }
}

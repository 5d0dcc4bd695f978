//! The extractor of the staff's routes: token, query, right, in this order, before any body.
//!
//! A handler of the staff takes [`Staff`] first. The right stands in its type, so that a route
//! cannot come to be without one being said.

use std::marker::PhantomData;

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use oubli_domain::group::Right;
use oubli_workflows::Caller;

use super::{Audience, Identity, TokenError};
use crate::input::query::{self, NoQuery, QueryInput};
use crate::problem::{Code, Problem};
use crate::state::ApiState;

/// What a route asks of the member.
pub trait RequiredRight: Send {
    /// The right, or `None` where being a member is enough.
    const RIGHT: Option<Right>;
}

/// Any member of the tenant.
#[derive(Clone, Copy, Debug)]
pub struct AnyMember;
impl RequiredRight for AnyMember {
    const RIGHT: Option<Right> = None;
}

/// Members who administer members and groups.
#[derive(Clone, Copy, Debug)]
pub struct Administration;
impl RequiredRight for Administration {
    const RIGHT: Option<Right> = Some(Right::Administration);
}

/// Members who work with contacts, data actions and archives.
#[derive(Clone, Copy, Debug)]
pub struct ClientContactsPrivacy;
impl RequiredRight for ClientContactsPrivacy {
    const RIGHT: Option<Right> = Some(Right::ClientContactsPrivacy);
}

/// A member who has the right `R`, and the query that was asked.
#[derive(Debug)]
pub struct Staff<R, Q = NoQuery> {
    /// Who.
    pub caller: Caller,
    /// The parameters of the query.
    pub query: Q,
    right: PhantomData<R>,
}

impl<R: RequiredRight, Q: QueryInput> FromRequestParts<ApiState> for Staff<R, Q> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let token = bearer(&parts.headers)?;
        let now = state.oubli.now();
        let identity = state
            .verifier
            .verify(token, Audience::Staff, now)
            .await
            .map_err(refuse)?;
        let Identity { tenant_id, member_id } = identity;
        let caller = Caller { tenant_id, member_id };
        // At every call: a change of group counts from the next one on.
        if let Some(right) = R::RIGHT {
            state.oubli.authorise(&caller, right).await?;
        }
        let query = query::read(parts.uri.query())?;
        Ok(Self {
            caller,
            query,
            right: PhantomData,
        })
    }
}

/// The token of `Authorization: Bearer` (RFC 6750, section 2.1); never from the query.
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let missing = || Problem::new(Code::TokenMissing).challenge("Bearer");
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or_else(missing)?;
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .ok_or_else(missing)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(missing());
    }
    // Two tokens: which one is meant nobody knows.
    if values.next().is_some() {
        return Err(refuse(TokenError::Invalid));
    }
    Ok(token.trim())
}

fn refuse(error: TokenError) -> Problem {
    const INVALID_TOKEN: &str = "Bearer error=\"invalid_token\"";
    match error {
        TokenError::Invalid => Problem::new(Code::TokenInvalid).challenge(INVALID_TOKEN),
        TokenError::Expired => Problem::new(Code::TokenExpired).challenge(INVALID_TOKEN),
        TokenError::IssuerUnreachable { retry_after_seconds } => {
            Problem::new(Code::IssuerUnreachable).retry_after(retry_after_seconds)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use rstest::rstest;

    fn of(values: &[&str]) -> Result<String, Code> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        bearer(&headers)
            .map(str::to_owned)
            .map_err(|problem| problem.code())
    }

    #[rstest]
    #[case(&[], Err(Code::TokenMissing))]
    #[case(&["Basic dTpw"], Err(Code::TokenMissing))]
    #[case(&["Bearer"], Err(Code::TokenMissing))]
    #[case(&["Bearer a.b.c"], Ok("a.b.c"))]
    #[case(&["bearer a.b.c"], Ok("a.b.c"))]
    #[case(&["Bearer a.b.c", "Bearer d.e.f"], Err(Code::TokenInvalid))]
    fn the_token_is_in_one_header(#[case] values: &[&str], #[case] expected: Result<&str, Code>) {
        assert_eq!(of(values), expected.map(str::to_owned));
    }
}

//! How the OpenAPI document tells which problems an operation may answer.

use std::collections::BTreeMap;

use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

use super::Code;

/// What every route of the staff may answer.
pub(crate) const STAFF: &[Code] = &[
    Code::QueryInvalid,
    Code::TokenMissing,
    Code::TokenInvalid,
    Code::TokenExpired,
    Code::RightMissing,
    Code::NotAMember,
    Code::Internal,
    Code::Busy,
    Code::IssuerUnreachable,
];

/// What every route that reads a body may answer besides.
pub(crate) const BODY: &[Code] = &[
    Code::BodyMalformed,
    Code::BodyInvalid,
    Code::BodyTooLarge,
    Code::MediaTypeUnsupported,
    Code::InputRefused,
];

/// What every list may answer besides.
pub(crate) const LIST: &[Code] = &[Code::CursorInvalid, Code::InputRefused];

/// What every route that takes an `Idempotency-Key` may answer besides.
pub(crate) const IDEMPOTENT: &[Code] = &[Code::IdempotencyKeyInvalid, Code::IdempotencyKeyReused];

/// What every route that names something in its path may answer besides.
pub(crate) const PATH: &[Code] = &[Code::PathMalformed, Code::NotFound];

/// What every route that takes `If-Match` may answer besides.
pub(crate) const CONDITIONAL: &[Code] = &[Code::PreconditionFailed, Code::IfMatchMissing];

/// The responses of some codes: one for each status, telling its codes.
pub(crate) fn describe(sets: &[&[Code]]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in sets.iter().flat_map(|set| set.iter().copied()) {
        let codes = by_status.entry(code.status().as_u16()).or_default();
        if !codes.contains(&code) {
            codes.push(code);
        }
    }
    let describe = |(status, codes): (u16, Vec<Code>)| {
        let codes: Vec<String> = codes
            .into_iter()
            .map(|code| format!("`{}`", code.code()))
            .collect();
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name("Problem")))
            .build();
        let response = ResponseBuilder::new()
            .description(codes.join(", "))
            .content("application/problem+json", content)
            .build();
        (status.to_string(), RefOr::T(response))
    };
    by_status.into_iter().map(describe).collect()
}

/// Names the problems of an operation, for `responses(…)` of `#[utoipa::path]`.
macro_rules! problems {
    ($name:ident: $($set:ident +)* [$($code:ident),* $(,)?]) => {
        /// The problems that the operation may answer.
        struct $name;
        impl utoipa::IntoResponses for $name {
            fn responses() -> std::collections::BTreeMap<
                String,
                utoipa::openapi::RefOr<utoipa::openapi::Response>,
            > {
                $crate::problem::responses::describe(&[
                    $($crate::problem::responses::$set,)*
                    &[$($crate::problem::Code::$code),*],
                ])
            }
        }
    };
}
pub(crate) use problems;

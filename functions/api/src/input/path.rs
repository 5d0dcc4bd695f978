//! Ids in paths. What cannot be an id is as absent as what is not there.

use axum::extract::FromRequestParts;
use http::StatusCode;
use http::request::Parts;
use oubli_domain::{ActionId, ArchiveId, ContactId, DocumentId, GroupId, IdError, MemberId};
use serde::de::DeserializeOwned;

use crate::problem::{Code, Problem};

/// The ids in a path, in their order.
#[derive(Clone, Debug)]
pub struct Path<T>(pub T);

/// What a path may name.
pub trait PathInput: Sized {
    /// The segments as text.
    type Raw: DeserializeOwned + Send;

    /// Reads the ids.
    ///
    /// # Errors
    /// When a segment cannot be the id that stands there.
    fn parse(raw: Self::Raw) -> Result<Self, IdError>;
}

macro_rules! one_id {
    ($($id:ident)*) => {
        $(impl PathInput for $id {
            type Raw = String;
            fn parse(raw: String) -> Result<Self, IdError> {
                $id::parse(raw)
            }
        })*
    };
}
one_id!(ActionId ArchiveId ContactId GroupId MemberId);

impl PathInput for (ContactId, DocumentId) {
    type Raw = (String, String);
    fn parse((contact_id, document_id): Self::Raw) -> Result<Self, IdError> {
        Ok((ContactId::parse(contact_id)?, DocumentId::parse(document_id)?))
    }
}

impl<T: PathInput, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::<T::Raw>::from_request_parts(parts, state).await;
        // Anything else than a bad request is a route that does not fit its handler.
        let raw = path.map_err(|rejection| match rejection.status() {
            StatusCode::BAD_REQUEST => Problem::new(Code::PathMalformed),
            _ => Problem::new(Code::Internal),
        })?;
        T::parse(raw.0)
            .map(Self)
            .map_err(|_| Problem::new(Code::NotFound))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::{Router, routing};
    use http::Request;
    use rstest::rstest;
    use tower::ServiceExt;

    #[rstest]
    #[case("/contacts/c1/documents/d1", 200)]
    #[case("/contacts/c%2D1/documents/d1", 200)]
    #[case("/contacts/c%2F1/documents/d1", 404)]
    #[case("/contacts/c%231/documents/d1", 404)]
    #[case("/contacts/c1/documents/d%00", 404)]
    #[case("/contacts/c1/documents/d%FF", 400)]
    #[tokio::test]
    async fn ids_are_read_or_absent(#[case] uri: &str, #[case] status: u16) {
        async fn handler(_: Path<(ContactId, DocumentId)>) {}
        let app: Router =
            Router::new().route("/contacts/{contact}/documents/{document}", routing::get(handler));
        let answer = app
            .oneshot(Request::get(uri).body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(answer.status(), status);
    }
}

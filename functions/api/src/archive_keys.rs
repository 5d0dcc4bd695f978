//! `GET /v1/archive-keys`: the public keys that verify archives.

use axum::extract::State;
use axum::response::Response;
use http::HeaderValue;
use http::header::CACHE_CONTROL;
use oubli_workflows::ArchiveKey;
use serde::Serialize;
use utoipa::ToSchema;

use crate::answer;
use crate::problem::{Problem, problems};
use crate::state::ApiState;

/// Keys are for everybody and seldom change: caches may keep them for five minutes.
const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=300");

problems!(ReadProblems: [Internal, Busy]);

/// The keys.
#[derive(Serialize, ToSchema)]
#[schema(as = ArchiveKeys)]
pub struct ArchiveKeysView {
    /// The one that signs now, first.
    items: Vec<ArchiveKeyView>,
}

/// A public key.
#[derive(Serialize, ToSchema)]
#[schema(as = ArchiveKey)]
pub struct ArchiveKeyView {
    /// Which.
    id: String,
    /// How it signs: ECDSA over the SHA-256 of `manifest.json`, DER-encoded in `manifest.sig` (FIPS 186-5).
    #[schema(example = "ECDSA_SHA_256")]
    algorithm: &'static str,
    /// The curve.
    #[schema(example = "P-256")]
    curve: &'static str,
    /// The key: SubjectPublicKeyInfo in PEM (RFC 7468).
    public_key_pem: String,
    /// The same without frame and line breaks: base64 of its DER.
    public_key_der: String,
    /// SHA-256 of that DER, hexadecimal: by it, as `signed_by`, a `manifest.json` names the key that signed it.
    sha256: String,
    /// `active`: it signs; `retired`: it signed before; `trusted`: of another deployment.
    #[schema(example = "active")]
    state: &'static str,
}

impl ArchiveKeyView {
    fn new(key: ArchiveKey) -> Self {
        Self {
            id: key.id,
            algorithm: "ECDSA_SHA_256",
            curve: "P-256",
            public_key_pem: key.public_key.to_pem(),
            public_key_der: key.public_key.to_base64(),
            sha256: key.public_key.fingerprint().to_string(),
            state: key.state.code(),
        }
    }
}

/// The public keys that verify archives.
///
/// Without a token: whoever holds an archive may check where it comes from.
#[utoipa::path(get, path = "/v1/archive-keys", operation_id = "list_archive_keys", tag = "archives",
    responses((status = 200, description = "The keys", body = ArchiveKeysView, headers(("Cache-Control"))), ReadProblems))]
pub async fn list(State(state): State<ApiState>) -> Result<Response, Problem> {
    let keys = state.oubli.archive_keys().await?;
    let items = keys.into_iter().map(ArchiveKeyView::new).collect();
    let mut response = answer::ok(ArchiveKeysView { items });
    response.headers_mut().insert(CACHE_CONTROL, CACHED);
    Ok(response)
}

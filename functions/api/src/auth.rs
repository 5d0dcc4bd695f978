//! Who calls: tokens of the issuer, verified by the function itself on every host.
//!
//! RFC 7519 and RFC 8725. A token says who somebody is; what they may do is in the tables.

mod claims;
mod fetch;
mod jwks;
mod staff;

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, Validation};

pub use claims::Identity;
pub use fetch::{Issuer, IssuerError};
pub use staff::{Administration, AnyMember, ClientContactsPrivacy, RequiredRight, Staff};

use claims::Claims;
use jwks::{KeyLookup, Keys};

/// The algorithms that are accepted; never one whose verification key could sign.
const ALGORITHMS: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

/// The longest token that is looked at, in bytes.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Whom a token is for: a token of one audience never works on the other's routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The tenant's members.
    Staff,
}

impl Audience {
    fn claim(self) -> &'static str {
        match self {
            Self::Staff => "oubli-staff",
        }
    }
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Malformed, not yet valid, of another issuer, audience, key or algorithm.
    #[error("the token is invalid")]
    Invalid,
    /// Right in everything but its time.
    #[error("the token has expired")]
    Expired,
    /// The issuer's keys cannot be had; worth trying again after so many seconds.
    #[error("the issuer's keys cannot be fetched")]
    IssuerUnreachable {
        /// Seconds until the keys are asked for again.
        retry_after_seconds: u32,
    },
}

/// Verifies tokens of one issuer.
pub struct TokenVerifier {
    keys: Keys,
}

impl TokenVerifier {
    /// A verifier for an issuer. It fetches nothing until the first token comes.
    ///
    /// # Errors
    /// When the HTTP client cannot be set up.
    pub fn new(issuer: Issuer) -> Result<Self, reqwest::Error> {
        Ok(Self {
            keys: Keys::new(issuer)?,
        })
    }

    /// Verifies a token as of an instant.
    ///
    /// # Errors
    /// [`TokenError`]; it never says which part of a token is wrong.
    pub async fn verify(
        &self,
        token: &str,
        audience: Audience,
        now: Timestamp,
    ) -> Result<Identity, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Invalid);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
        let names_a_token = |typ: &str| {
            let typ = typ.to_ascii_lowercase();
            matches!(typ.strip_prefix("application/").unwrap_or(&typ), "jwt" | "at+jwt")
        };
        // `crit` names extensions that must be understood (RFC 7515, section 4.1.11): none is.
        if header.crit.is_some()
            || !ALGORITHMS.contains(&header.alg)
            || !header.typ.as_deref().is_none_or(names_a_token)
        {
            return Err(TokenError::Invalid);
        }
        let kid = header.kid.as_deref().ok_or(TokenError::Invalid)?;
        let key = match self.keys.find(kid, now).await {
            KeyLookup::Found(key) => key,
            KeyLookup::Unknown => return Err(TokenError::Invalid),
            KeyLookup::Unreachable { retry_after_seconds } => {
                return Err(TokenError::IssuerUnreachable { retry_after_seconds });
            }
        };
        // The key decides on the algorithm, never the token (RFC 8725, section 3.1).
        if key.algorithm != header.alg {
            return Err(TokenError::Invalid);
        }
        let decoded = jsonwebtoken::decode::<Claims>(token, &key.key, &signature_only(key.algorithm));
        let claims = decoded.map_err(|_| TokenError::Invalid)?.claims;
        claims.judge(self.keys.issuer().as_str(), audience.claim(), now)
    }
}

/// The library verifies the signature; the claims are judged by [`Claims::judge`], by our clock.
fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

#[cfg(test)]
mod tests;

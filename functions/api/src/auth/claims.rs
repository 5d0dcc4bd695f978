//! What a token claims, and whether it holds now.

use jiff::{SignedDuration, Timestamp};
use oubli_domain::{MemberId, TenantId};
use serde::Deserialize;

use super::TokenError;

/// How far the issuer's clock may be off.
const LEEWAY: SignedDuration = SignedDuration::from_secs(30);

/// Who calls, as the issuer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The tenant.
    pub tenant_id: TenantId,
    /// The member of it.
    pub member_id: MemberId,
}

/// The claims that are read (RFC 7519, section 4.1). The e-mail is not: mails go to the address
/// in the tables.
#[derive(Deserialize)]
pub(super) struct Claims {
    iss: String,
    aud: OneOrMany,
    exp: f64,
    nbf: Option<f64>,
    tenant: String,
    sub: String,
}

/// `aud` is a text or an array of texts.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn contains(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Many(many) => many.iter().any(|one| one == audience),
        }
    }
}

impl Claims {
    /// Judges the claims as of an instant. Expiry comes last: it is told of tokens alone that are
    /// right otherwise.
    pub(super) fn judge(self, issuer: &str, audience: &str, now: Timestamp) -> Result<Identity, TokenError> {
        if self.iss != issuer || !self.aud.contains(audience) {
            return Err(TokenError::Invalid);
        }
        let tenant_id = TenantId::parse(self.tenant).map_err(|_| TokenError::Invalid)?;
        let member_id = MemberId::parse(self.sub).map_err(|_| TokenError::Invalid)?;
        let (now, leeway) = (seconds(now.as_duration()), seconds(LEEWAY));
        // An instant that is no number, or infinitely far, holds never.
        if !self.exp.is_finite() || self.nbf.is_some_and(|nbf| !nbf.is_finite() || nbf > now + leeway) {
            return Err(TokenError::Invalid);
        }
        if now >= self.exp + leeway {
            return Err(TokenError::Expired);
        }
        Ok(Identity { tenant_id, member_id })
    }
}

fn seconds(duration: SignedDuration) -> f64 {
    duration.as_secs_f64()
}

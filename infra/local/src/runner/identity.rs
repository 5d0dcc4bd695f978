//! A development identity provider: one ES256 key, OIDC discovery, a JWKS, and tokens for whoever
//! asks. It exists in the local runner only.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use oubli_domain::Sha256;
use serde::Serialize;
use serde_json::{Value, json};

/// How long a development token lives.
pub const TOKEN_LIFE: SignedDuration = SignedDuration::from_hours(12);

/// Why tokens cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// No key could be made.
    #[error("the identity provider's key cannot be made")]
    KeyGeneration,
    /// The key that was kept cannot be read.
    #[error("the identity provider's key in the state folder is damaged")]
    DamagedKey,
    /// A token could not be signed.
    #[error("a token cannot be signed")]
    Signing,
}

/// For whom a token is wanted.
#[derive(Clone, Debug)]
pub enum TokenRequest {
    /// A member of a tenant.
    Staff {
        /// The tenant.
        tenant: String,
        /// The member.
        member: String,
        /// The member's address.
        email: String,
    },
    /// A client in a tenant's portal, with a verified address.
    Portal {
        /// The tenant.
        tenant: String,
        /// The client's address.
        email: String,
    },
}

/// The identity provider.
pub struct Identity {
    issuer: String,
    key: EncodingKey,
    pkcs8: Vec<u8>,
    kid: String,
    jwk: Value,
}

impl Identity {
    /// Makes a key of one's own.
    ///
    /// # Errors
    /// [`IdentityError::KeyGeneration`].
    pub fn generate_key() -> Result<Vec<u8>, IdentityError> {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        pkcs8
            .map(|key| key.as_ref().to_vec())
            .map_err(|_| IdentityError::KeyGeneration)
    }

    /// An identity provider with this key (PKCS #8), or with one of its own.
    ///
    /// # Errors
    /// [`IdentityError`] when the key cannot be made or read.
    pub fn new(issuer: String, pkcs8: Option<Vec<u8>>) -> Result<Self, IdentityError> {
        let pkcs8 = match pkcs8 {
            Some(pkcs8) => pkcs8,
            None => Self::generate_key()?,
        };
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8);
        let pair = pair.map_err(|_| IdentityError::DamagedKey)?;
        // An uncompressed point: 4, x, y (SEC 1, section 2.3.3).
        let point = pair.public_key().as_ref();
        let coordinate = |from: usize| point.get(from..from + 32).map(|bytes| BASE64.encode(bytes));
        let (Some(x), Some(y)) = (coordinate(1), coordinate(33)) else {
            return Err(IdentityError::DamagedKey);
        };
        let kid: String = Sha256::of(point).to_string().chars().take(16).collect();
        let jwk = json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid, "x": x, "y": y
        });
        Ok(Self {
            issuer,
            key: EncodingKey::from_ec_der(&pkcs8),
            pkcs8,
            kid,
            jwk,
        })
    }

    /// The issuer's URL.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The private key, PKCS #8: for tests that forge tokens of another issuer with the right key.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The key id in tokens and in the JWKS.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The discovery document (OpenID Connect Discovery 1.0, section 3).
    pub fn discovery(&self) -> Value {
        json!({
            "issuer": self.issuer,
            "jwks_uri": format!("{}/.well-known/jwks.json", self.issuer),
            "id_token_signing_alg_values_supported": ["ES256"],
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
        })
    }

    /// The key set (RFC 7517).
    pub fn jwks(&self) -> Value {
        json!({ "keys": [self.jwk] })
    }

    /// A token that is valid from now on for twelve hours.
    ///
    /// # Errors
    /// [`IdentityError::Signing`].
    pub fn token(
        &self,
        request: &TokenRequest,
        now: Timestamp,
    ) -> Result<(String, Timestamp), IdentityError> {
        let expires_at = now.saturating_add(TOKEN_LIFE).unwrap_or(now);
        let mut claims = match request {
            TokenRequest::Staff {
                tenant,
                member,
                email,
            } => {
                json!({ "aud": "oubli-staff", "tenant": tenant, "sub": member, "email": email })
            }
            TokenRequest::Portal { tenant, email } => json!({
                "aud": "oubli-portal",
                "tenant": tenant,
                "sub": Sha256::of(email.as_bytes()).to_string(),
                "email": email,
                "email_verified": true
            }),
        };
        if let Some(claims) = claims.as_object_mut() {
            claims.insert("iss".to_owned(), json!(self.issuer));
            claims.insert("iat".to_owned(), json!(now.as_second()));
            claims.insert("nbf".to_owned(), json!(now.as_second()));
            claims.insert("exp".to_owned(), json!(expires_at.as_second()));
        }
        Ok((self.sign(&claims)?, expires_at))
    }

    /// Signs any claims, right or wrong.
    ///
    /// # Errors
    /// [`IdentityError::Signing`].
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, IdentityError> {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.kid.clone());
        encode(&header, claims, &self.key).map_err(|_| IdentityError::Signing)
    }
}

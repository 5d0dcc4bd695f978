//! What the routes share.

use std::sync::Arc;

use oubli_workflows::Oubli;

use crate::auth::{Issuer, TokenVerifier};
use crate::cors::AllowedOrigins;

/// What the routes share.
#[derive(Clone)]
pub struct ApiState {
    /// What Oubli does.
    pub oubli: Oubli,
    /// Who may call.
    pub verifier: Arc<TokenVerifier>,
    /// Which front ends may read the answers.
    pub origins: AllowedOrigins,
}

impl ApiState {
    /// Puts the state together. Nothing is fetched yet.
    ///
    /// # Errors
    /// When the HTTP client for the issuer's keys cannot be set up.
    pub fn new(oubli: Oubli, issuer: Issuer, origins: AllowedOrigins) -> Result<Self, reqwest::Error> {
        Ok(Self {
            oubli,
            verifier: Arc::new(TokenVerifier::new(issuer)?),
            origins,
        })
    }
}

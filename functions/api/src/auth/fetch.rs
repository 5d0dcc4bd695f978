//! The issuer's keys over HTTP: OpenID Connect Discovery 1.0 (section 4), then the JWKS.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::{Client, Url, redirect};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// How long one fetch may take: a caller waits for it.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The largest document that is read, in bytes.
const MAX_DOCUMENT_BYTES: usize = 256 * 1024;

/// The issuer of the tokens, as its tokens name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer(String);

/// Why a text is no issuer.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` must be an https URL without query and fragment (http on loopback only)")]
pub struct IssuerError(String);

impl Issuer {
    /// Reads an issuer's URL.
    ///
    /// # Errors
    /// [`IssuerError`] when keys could not be fetched from it safely.
    pub fn parse(text: &str) -> Result<Self, IssuerError> {
        let fits = |url: &Url| is_safe(url) && url.query().is_none() && url.fragment().is_none();
        match Url::parse(text) {
            Ok(url) if fits(&url) => Ok(Self(text.to_owned())),
            _ => Err(IssuerError(text.to_owned())),
        }
    }

    /// The issuer exactly as the claim `iss` must be.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether what comes from there is authentic: https, or this very machine.
fn is_safe(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let is_loopback = host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    let has_credentials = !url.username().is_empty() || url.password().is_some();
    !host.is_empty()
        && !has_credentials
        && (url.scheme() == "https" || (url.scheme() == "http" && is_loopback))
}

/// Why keys could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("the issuer did not answer")]
    Transport(#[from] reqwest::Error),
    #[error("the issuer answered with status {0}")]
    Status(u16),
    #[error("the issuer's document is larger than {MAX_DOCUMENT_BYTES} bytes")]
    TooLarge,
    #[error("the issuer's document is not what it should be")]
    Json(#[from] serde_json::Error),
    #[error("the discovery document is of another issuer")]
    OtherIssuer,
    #[error("the address of the keys is not an https URL")]
    UnsafeKeysUrl,
}

/// Fetches from one issuer.
pub(super) struct Fetcher {
    http: Client,
    pub(super) issuer: Issuer,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct KeyDocument {
    keys: Vec<serde_json::Value>,
}

impl Fetcher {
    pub(super) fn new(issuer: Issuer) -> Result<Self, reqwest::Error> {
        // No redirects: they could lead from https to anywhere.
        let http = Client::builder()
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none())
            .build()?;
        Ok(Self { http, issuer })
    }

    /// The keys of the JWKS, each as it stands there.
    pub(super) async fn keys(&self) -> Result<Vec<serde_json::Value>, FetchError> {
        let issuer = self.issuer.as_str();
        let url = format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        );
        let discovery: Discovery = self.document(&url).await?;
        if discovery.issuer != issuer {
            return Err(FetchError::OtherIssuer);
        }
        if !Url::parse(&discovery.jwks_uri).is_ok_and(|url| is_safe(&url)) {
            return Err(FetchError::UnsafeKeysUrl);
        }
        let document: KeyDocument = self.document(&discovery.jwks_uri).await?;
        Ok(document.keys)
    }

    async fn document<T: DeserializeOwned>(&self, url: &str) -> Result<T, FetchError> {
        let mut response = self
            .http
            .get(url)
            .header("accept", "application/json")
            .send()
            .await?;
        if response.status() != http::StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if bytes.len().saturating_add(chunk.len()) > MAX_DOCUMENT_BYTES {
                return Err(FetchError::TooLarge);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(serde_json::from_slice(&bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("https://login.example.com/realm/", true)]
    #[case("http://127.0.0.1:3000", true)]
    #[case("http://[::1]:3000", true)]
    #[case("http://localhost:3000/x", true)]
    #[case("http://login.example.com", false)]
    #[case("http://127.0.0.1.example.com", false)]
    #[case("http://localhost.example.com", false)]
    #[case("https://user:secret@login.example.com", false)]
    #[case("https://login.example.com?x=1", false)]
    #[case("file:///etc/passwd", false)]
    #[case("login.example.com", false)]
    #[case("", false)]
    fn issuers_are_https_or_loopback(#[case] text: &str, #[case] accepted: bool) {
        assert_eq!(Issuer::parse(text).is_ok(), accepted);
    }
}

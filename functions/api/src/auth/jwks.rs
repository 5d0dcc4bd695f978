//! The issuer's keys by `kid`: cached, refreshed, and kept while the issuer is down.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use tokio::sync::{Mutex, RwLock};

use super::fetch::{Fetcher, Issuer};

/// After how long keys are fetched anew, so that one that the issuer withdrew stops working.
const MAX_AGE: SignedDuration = SignedDuration::from_mins(10);
/// How often an unknown `kid` may make us ask the issuer: anybody can send one.
const UNKNOWN_KEY_INTERVAL: SignedDuration = SignedDuration::from_secs(30);
/// How often the issuer is asked while there is no key at all, and so nobody can sign in.
const NO_KEYS_INTERVAL: SignedDuration = SignedDuration::from_secs(5);

/// A key that verifies.
pub(super) struct VerifyingKey {
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

/// What came of looking for a key.
pub(super) enum KeyLookup {
    Found(Arc<VerifyingKey>),
    Unknown,
    Unreachable { retry_after_seconds: u32 },
}

/// The keys of one issuer.
pub(super) struct Keys {
    fetcher: Fetcher,
    cache: RwLock<Cache>,
    /// Held while fetching: one fetch at a time.
    fetching: Mutex<()>,
}

#[derive(Default)]
struct Cache {
    /// `None` until a fetch succeeded.
    keys: Option<BTreeMap<String, Arc<VerifyingKey>>>,
    fetched_at: Option<Timestamp>,
    tried_at: Option<Timestamp>,
}

impl Cache {
    fn find(&self, kid: &str) -> Option<Arc<VerifyingKey>> {
        self.keys.as_ref()?.get(kid).cloned()
    }

    fn is_fresh(&self, now: Timestamp) -> bool {
        self.fetched_at.is_some_and(|at| is_within(at, now, MAX_AGE))
    }

    fn may_try(&self, now: Timestamp) -> bool {
        let interval = if self.keys.is_some() {
            UNKNOWN_KEY_INTERVAL
        } else {
            NO_KEYS_INTERVAL
        };
        !self.tried_at.is_some_and(|at| is_within(at, now, interval))
    }
}

/// Whether two instants are less than that apart, in whichever order: clocks are set back too.
fn is_within(at: Timestamp, now: Timestamp, span: SignedDuration) -> bool {
    now.duration_since(at).abs() < span
}

impl Keys {
    pub(super) fn new(issuer: Issuer) -> Result<Self, reqwest::Error> {
        Ok(Self {
            fetcher: Fetcher::new(issuer)?,
            cache: RwLock::default(),
            fetching: Mutex::default(),
        })
    }

    pub(super) fn issuer(&self) -> &Issuer {
        &self.fetcher.issuer
    }

    /// The key with this id, fetching the keys when they are old or do not know it.
    pub(super) async fn find(&self, kid: &str, now: Timestamp) -> KeyLookup {
        let (known, is_fresh) = {
            let cache = self.cache.read().await;
            (cache.find(kid), cache.is_fresh(now))
        };
        match known {
            Some(key) if is_fresh => return KeyLookup::Found(key),
            // While another request refreshes the keys, this one need not wait.
            Some(key) => match self.fetching.try_lock() {
                Ok(_guard) => self.refresh(now).await,
                Err(_) => return KeyLookup::Found(key),
            },
            None => {
                let _guard = self.fetching.lock().await;
                // The request before us may have fetched it while we waited.
                if let Some(key) = self.cache.read().await.find(kid) {
                    return KeyLookup::Found(key);
                }
                self.refresh(now).await;
            }
        }
        let cache = self.cache.read().await;
        match (cache.find(kid), &cache.keys) {
            (Some(key), _) => KeyLookup::Found(key),
            (None, Some(_)) => KeyLookup::Unknown,
            (None, None) => KeyLookup::Unreachable {
                retry_after_seconds: u32::try_from(NO_KEYS_INTERVAL.as_secs()).unwrap_or(1),
            },
        }
    }

    /// Fetches the keys, unless that was tried a moment ago. On failure the old ones stay.
    async fn refresh(&self, now: Timestamp) {
        {
            let mut cache = self.cache.write().await;
            if !cache.may_try(now) {
                return;
            }
            cache.tried_at = Some(now);
        }
        match self.fetcher.keys().await {
            Ok(documents) => {
                let mut keys = BTreeMap::new();
                for (kid, key) in documents.into_iter().filter_map(read_key) {
                    keys.entry(kid).or_insert_with(|| Arc::new(key));
                }
                let mut cache = self.cache.write().await;
                cache.keys = Some(keys);
                cache.fetched_at = Some(now);
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "the issuer's keys could not be fetched");
            }
        }
    }
}

/// Reads one key of a JWKS (RFC 7517). Keys that are not ours to use are passed over: a set may
/// hold keys for other purposes and of types to come.
fn read_key(document: serde_json::Value) -> Option<(String, VerifyingKey)> {
    let jwk: Jwk = serde_json::from_value(document).ok()?;
    let kid = jwk.common.key_id.clone()?;
    if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
        return None;
    }
    if jwk
        .common
        .key_operations
        .as_ref()
        .is_some_and(|uses| !uses.contains(&KeyOperations::Verify))
    {
        return None;
    }
    let (algorithm, named) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        _ => return None,
    };
    if jwk.common.key_algorithm.is_some_and(|given| given != named) {
        return None;
    }
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    Some((kid, VerifyingKey { algorithm, key }))
}

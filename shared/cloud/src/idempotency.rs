//! Idempotency keys: the claim stands in the same transaction as the effect.

use aws_sdk_dynamodb::types::TransactWriteItem;
use jiff::{SignedDuration, Timestamp};
use oubli_domain::{KeyedHash, TenantId};

use crate::connect::Cloud;
use crate::error::CloudError;
use crate::expression::{Attributes, Condition, number, text};
use crate::items::{text_of, with_key};
use crate::keys;
use crate::table::Refused;

/// How long a key is remembered.
const LIFE: SignedDuration = SignedDuration::from_hours(24);

/// The claim of one request on its idempotency key.
#[derive(Clone, Debug)]
pub struct IdempotencyClaim {
    /// Keyed hash of who asks with which key.
    pub key: KeyedHash,
    /// Keyed hash of the request's method, path and body.
    pub fingerprint: KeyedHash,
    /// What the request creates or changes.
    pub resource_id: String,
    /// When.
    pub now: Timestamp,
}

/// An earlier request with the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// Its fingerprint.
    pub fingerprint: KeyedHash,
    /// What it created or changed.
    pub resource_id: String,
}

impl Cloud {
    /// The write that claims a key, for a transaction. Only keyed hashes and an id are
    /// kept: a stored answer would hold personal data for longer than the contact does, and a plain hash
    /// would confirm to a reader of the table what somebody guesses the request said.
    pub(crate) fn claim_write(
        &self,
        tenant: &TenantId,
        claim: &IdempotencyClaim,
    ) -> Result<TransactWriteItem, CloudError> {
        let ends = claim.now.saturating_add(LIFE).unwrap_or(claim.now).as_second();
        let attributes = Attributes::from([
            ("fingerprint".to_owned(), text(claim.fingerprint)),
            ("resource_id".to_owned(), text(&claim.resource_id)),
            ("ttl".to_owned(), number(ends)),
        ]);
        // DynamoDB deletes expired items late: the clock decides.
        let free = Condition::Any(vec![
            Condition::Absent("pk"),
            Condition::LessOrEqual("ttl", number(claim.now.as_second())),
        ]);
        let key = keys::idempotency(tenant, &claim.key);
        self.requests.put_write(with_key(attributes, &key), Some(free))
    }

    /// The earlier request with this key, if there was one in the last 24 hours.
    ///
    /// # Errors
    /// [`CloudError`] when DynamoDB fails.
    pub async fn find_replay(
        &self,
        tenant: &TenantId,
        claim: &IdempotencyClaim,
    ) -> Result<Option<Replay>, CloudError> {
        let found = self.requests.get(&keys::idempotency(tenant, &claim.key)).await?;
        let alive = |attributes: &Attributes| {
            let ttl = attributes
                .get("ttl")
                .and_then(|ttl| ttl.as_n().ok())
                .and_then(|ttl| ttl.parse().ok());
            ttl.is_some_and(|ttl: i64| ttl > claim.now.as_second())
        };
        found
            .filter(alive)
            .map(|attributes| replay(&attributes))
            .transpose()
    }
}

/// Reads the earlier request from a refused claim.
pub(crate) fn replay_of(refused: &Refused) -> Result<Replay, CloudError> {
    refused.item.as_ref().map_or(
        Err(CloudError::Corrupt {
            what: "idempotency key",
        }),
        replay,
    )
}

fn replay(attributes: &Attributes) -> Result<Replay, CloudError> {
    let corrupt = || CloudError::Corrupt {
        what: "idempotency key",
    };
    let fingerprint = text_of(attributes, "fingerprint").and_then(|text| KeyedHash::parse(text).ok());
    let resource_id = text_of(attributes, "resource_id").ok_or_else(corrupt)?.to_owned();
    Ok(Replay {
        fingerprint: fingerprint.ok_or_else(corrupt)?,
        resource_id,
    })
}

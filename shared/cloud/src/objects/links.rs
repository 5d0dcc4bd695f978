//! Presigned links: what somebody without credentials may do in S3, and until when.
//!
//! A link ends with the credentials that signed it, whatever it says itself ("Download and upload objects with
//! presigned URLs", Amazon S3 User Guide). So its life is the shorter of the two, and what signs is exactly
//! what was looked at.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Builder, Config, IdentityCache};
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::{SignedDuration, Timestamp};
use oubli_domain::archive::Archive;
use oubli_domain::document::Document;
use tokio::sync::Mutex;

use crate::connect::Cloud;
use crate::error::{CloudError, failed};
use crate::keys;

/// How long a link may live that is signed in a session whose end is not told. A function has its session
/// from its environment, which names no end: it outlives the execution environment, and that is ended every
/// few hours ("Lambda execution environment lifecycle", AWS Lambda Developer Guide).
const LIFE_IN_UNTOLD_SESSION: SignedDuration = SignedDuration::from_hours(1);

/// A request that somebody without credentials may make, until it expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedUpload {
    /// The HTTP method.
    pub method: String,
    /// Where to.
    pub url: String,
    /// Headers that must be sent exactly so, besides `Content-Length`, which every client sends by itself.
    pub headers: BTreeMap<String, String>,
}

/// What signs links that all end at one instant.
#[derive(Clone, Debug)]
pub struct Links {
    pub(super) client: Client,
    now: Timestamp,
    life: SignedDuration,
}

impl Links {
    /// When the links end.
    pub fn expires_at(&self) -> Timestamp {
        self.now.saturating_add(self.life).unwrap_or(Timestamp::MAX)
    }

    pub(super) fn presigning(&self, operation: &'static str) -> Result<PresigningConfig, CloudError> {
        let life = Duration::try_from(self.life).map_err(|_| CloudError::Request { operation })?;
        let config = PresigningConfig::builder()
            .start_time(SystemTime::from(self.now))
            .expires_in(life)
            .build();
        config.map_err(|_| CloudError::Request { operation })
    }
}

/// Where the credentials for links come from.
#[derive(Clone, Debug)]
pub(crate) struct LinkSource {
    config: Config,
    credentials: Option<SharedCredentialsProvider>,
    /// The credentials that were given last, and a client that signs with them alone.
    current: Arc<Mutex<Option<(Credentials, Client)>>>,
}

impl LinkSource {
    /// `credentials` are those of the other clients; `None`: there are none, and nothing can be signed.
    pub(crate) fn new(config: Builder, credentials: Option<SharedCredentialsProvider>) -> Self {
        Self {
            // Each client has one set of credentials for all of its life: there is nothing to remember.
            config: config.identity_cache(IdentityCache::no_cache()).build(),
            credentials,
            current: Arc::default(),
        }
    }

    /// Links of the life that is wished, or as long as the credentials live, if that is shorter. New ones are
    /// asked for where those at hand do not live so long.
    async fn links(&self, now: Timestamp, wished: SignedDuration) -> Result<Links, CloudError> {
        let mut current = self.current.lock().await;
        if let Some((credentials, client)) = &*current
            && left(credentials, now) >= wished
        {
            let client = client.clone();
            return Ok(Links {
                client,
                now,
                life: wished,
            });
        }
        let failed = |code: &str| CloudError::Failed {
            operation: "presigning",
            code: code.to_owned(),
        };
        let provider = self
            .credentials
            .as_ref()
            .ok_or_else(|| failed("no credentials"))?;
        let given = provider.provide_credentials().await;
        let given = given.map_err(|_| failed("no credentials could be had"))?;
        // A presigned link counts in whole seconds.
        let life = SignedDuration::from_secs(left(&given, now).min(wished).as_secs());
        let config = self.config.to_builder();
        let client = Client::from_conf(config.credentials_provider(given.clone()).build());
        *current = Some((given, client.clone()));
        if life.is_positive() {
            Ok(Links { client, now, life })
        } else {
            Err(CloudError::Throttled {
                operation: "presigning",
                code: "the credentials have ended".to_owned(),
            })
        }
    }
}

/// How long links may live that these credentials sign.
fn left(credentials: &Credentials, now: Timestamp) -> SignedDuration {
    match credentials.expiry().map(Timestamp::try_from) {
        Some(Ok(end)) => end.duration_since(now),
        Some(Err(_)) => SignedDuration::MAX,
        None if credentials.session_token().is_some() => LIFE_IN_UNTOLD_SESSION,
        None => SignedDuration::MAX,
    }
}

/// A length as S3's client takes it.
pub(super) fn content_length(size_bytes: u64) -> i64 {
    i64::try_from(size_bytes).unwrap_or(i64::MAX)
}

pub(super) fn signed_upload(request: &PresignedRequest) -> SignedUpload {
    // `host` and `content-length` are signed, and set by every client itself.
    let headers = request
        .headers()
        .filter(|(name, _)| !["host", "content-length"].contains(name));
    SignedUpload {
        method: request.method().to_owned(),
        url: request.uri().to_owned(),
        headers: headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    }
}

impl Cloud {
    /// Prepares to sign links that live so long from now on, or as long as the credentials that sign.
    ///
    /// # Errors
    /// [`CloudError`] when there are no credentials, or they are at their end; as all methods here.
    pub async fn links(&self, now: Timestamp, life: SignedDuration) -> Result<Links, CloudError> {
        self.objects.link_source.links(now, life).await
    }

    /// Signs the upload of an announced document: of its size, and of any bytes unless hashes were given. The
    /// length, and a SHA-256 or else a CRC-32, are signed in, so that S3 itself refuses others.
    ///
    /// # Errors
    /// [`CloudError`] when the link cannot be signed.
    pub async fn sign_upload(&self, document: &Document, links: &Links) -> Result<SignedUpload, CloudError> {
        let operation = "PutObject";
        let fields = &document.fields;
        let sha256 = fields.sha256.map(|hash| BASE64.encode(hash.as_bytes()));
        let crc32 = fields.crc32.map(|hash| BASE64.encode(hash.to_be_bytes()));
        let request = links
            .client
            .put_object()
            .bucket(&self.objects.uploads_bucket)
            .key(keys::upload_object(&document.tenant_id, &document.id))
            .content_type(&fields.content_type)
            .content_length(content_length(fields.size_bytes))
            // S3 takes one checksum a request.
            .set_checksum_crc32(crc32.filter(|_| sha256.is_none()))
            .set_checksum_sha256(sha256)
            .presigned(links.presigning(operation)?)
            .await
            .map_err(failed(operation))?;
        Ok(signed_upload(&request))
    }

    /// A link to a stored document.
    ///
    /// # Errors
    /// [`CloudError`] when the link cannot be signed.
    pub async fn document_link(&self, document: &Document, links: &Links) -> Result<String, CloudError> {
        let key = keys::document_object(&document.shelf(), &document.id);
        link(&self.objects.documents_bucket, key, links).await
    }

    /// A link to an archive.
    ///
    /// # Errors
    /// [`CloudError`] when the link cannot be signed.
    pub async fn archive_link(&self, archive: &Archive, links: &Links) -> Result<String, CloudError> {
        link(&self.objects.archives_bucket, archive.object_key.clone(), links).await
    }
}

async fn link(bucket: &str, key: String, links: &Links) -> Result<String, CloudError> {
    let operation = "GetObject";
    let request = links.client.get_object().bucket(bucket).key(key);
    let request = request
        .presigned(links.presigning(operation)?)
        .await
        .map_err(failed(operation))?;
    Ok(request.uri().to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use aws_config::{BehaviorVersion, Region};
    use aws_credential_types::provider::{ProvideCredentials, future};

    use super::*;

    const MINUTE: SignedDuration = SignedDuration::from_mins(1);
    const FIVE_MINUTES: SignedDuration = SignedDuration::from_mins(5);

    fn start() -> Timestamp {
        "2026-11-02T09:00:00Z".parse().unwrap()
    }

    /// Gives credentials that end at these instants, one after the other; the last again and again.
    #[derive(Clone, Debug)]
    struct Sessions {
        ends: Vec<Option<Timestamp>>,
        given: Arc<AtomicU64>,
    }

    impl ProvideCredentials for Sessions {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let nth = usize::try_from(self.given.fetch_add(1, Ordering::SeqCst)).unwrap();
            let end = self.ends[nth.min(self.ends.len() - 1)].map(SystemTime::from);
            let token = Some(format!("session-{nth}"));
            let credentials = Credentials::new("key", "secret", token, end, "test");
            future::ProvideCredentials::ready(Ok(credentials))
        }
    }

    fn source(ends: &[Option<Timestamp>]) -> (LinkSource, Arc<AtomicU64>) {
        let given = Arc::new(AtomicU64::new(0));
        let sessions = Sessions {
            ends: ends.to_vec(),
            given: Arc::clone(&given),
        };
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("eu-west-1"));
        let provider = SharedCredentialsProvider::new(sessions);
        (LinkSource::new(config, Some(provider)), given)
    }

    #[tokio::test]
    async fn a_link_promises_no_more_than_the_credentials_that_sign_it() {
        let now = start();
        let (source, given) = source(&[Some(now + MINUTE)]);
        let links = source.links(now, FIVE_MINUTES).await.unwrap();
        assert_eq!(links.expires_at(), now + MINUTE);
        let url = link("archives", "key".into(), &links).await.unwrap();
        assert!(url.contains("X-Amz-Expires=60&"), "{url}");
        assert!(url.contains("X-Amz-Security-Token=session-0"), "{url}");
        // Enough for a shorter wish: nobody is asked.
        let links = source.links(now, MINUTE).await.unwrap();
        assert_eq!(
            (links.expires_at(), given.load(Ordering::SeqCst)),
            (now + MINUTE, 1)
        );
    }

    #[tokio::test]
    async fn others_are_asked_for_where_too_little_is_left() {
        let now = start();
        let (source, given) = source(&[Some(now + FIVE_MINUTES), Some(now + FIVE_MINUTES * 3)]);
        for (later, end) in [
            (SignedDuration::ZERO, FIVE_MINUTES),
            (MINUTE, FIVE_MINUTES + MINUTE),
            (MINUTE * 2, FIVE_MINUTES + MINUTE * 2),
        ] {
            let links = source.links(now + later, FIVE_MINUTES).await.unwrap();
            assert_eq!(links.expires_at(), now + end, "{later:?}");
        }
        assert_eq!(given.load(Ordering::SeqCst), 2);
        let links = source.links(now + MINUTE, FIVE_MINUTES).await.unwrap();
        let url = link("archives", "key".into(), &links).await.unwrap();
        assert!(url.contains("X-Amz-Security-Token=session-1"), "{url}");
    }

    #[tokio::test]
    async fn at_the_end_of_the_credentials_nothing_is_signed() {
        let now = start();
        let (source, _) = source(&[Some(now + SignedDuration::from_millis(900))]);
        let refused = source.links(now, FIVE_MINUTES).await.unwrap_err();
        assert!(refused.is_throttling(), "{refused}");
    }

    #[tokio::test]
    async fn a_session_whose_end_is_not_told_signs_for_an_hour_at_most() {
        let now = start();
        let (source, _) = source(&[None]);
        let hour = SignedDuration::from_hours(1);
        let links = source.links(now, hour * 12).await.unwrap();
        assert_eq!(links.expires_at(), now + hour);
        let links = source.links(now, FIVE_MINUTES).await.unwrap();
        assert_eq!(links.expires_at(), now + FIVE_MINUTES);
    }

    #[tokio::test]
    async fn credentials_without_a_session_have_no_end() {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("eu-west-1"));
        let lasting = Credentials::new("key", "secret", None, None, "test");
        let source = LinkSource::new(config, Some(SharedCredentialsProvider::new(lasting)));
        let hours = SignedDuration::from_hours(12);
        let links = source.links(start(), hours).await.unwrap();
        assert_eq!(links.expires_at(), start() + hours);
    }
}

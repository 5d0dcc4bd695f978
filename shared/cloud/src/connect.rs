//! The clients of AWS, made once per process.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{AppName, BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};

use crate::hash_key::HashKeySource;
use crate::mailer::Mailer;
use crate::objects::{LinkSource, Objects};
use crate::queues::Queues;
use crate::signing::Signer;
use crate::table::Table;

/// A setting that is needed and not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable `{0}` is missing")]
pub struct SettingError(pub &'static str);

/// The names of what the stack created, from the environment.
#[derive(Clone, Debug, Default)]
pub struct CloudSettings {
    values: BTreeMap<&'static str, String>,
}

impl CloudSettings {
    /// The table of contacts.
    pub const CONTACTS_TABLE: &str = "OUBLI_CONTACTS_TABLE";
    /// The table of what runs and is asked.
    pub const REQUESTS_TABLE: &str = "OUBLI_REQUESTS_TABLE";
    /// The bucket of stored documents.
    pub const DOCUMENTS_BUCKET: &str = "OUBLI_DOCUMENTS_BUCKET";
    /// The bucket of archives.
    pub const ARCHIVES_BUCKET: &str = "OUBLI_ARCHIVES_BUCKET";
    /// The bucket of uploads that are not verified yet.
    pub const UPLOADS_BUCKET: &str = "OUBLI_UPLOADS_BUCKET";
    /// The queue of `bulk-planner`.
    pub const BULK_PLANNER_QUEUE: &str = "OUBLI_BULK_PLANNER_QUEUE_URL";
    /// The queue of `archive-builder`.
    pub const ARCHIVE_BUILDER_QUEUE: &str = "OUBLI_ARCHIVE_BUILDER_QUEUE_URL";
    /// The queue of `anonymiser`.
    pub const ANONYMISER_QUEUE: &str = "OUBLI_ANONYMISER_QUEUE_URL";
    /// The queue of `restorer`.
    pub const RESTORER_QUEUE: &str = "OUBLI_RESTORER_QUEUE_URL";
    /// The queue of `notifier`.
    pub const NOTIFIER_QUEUE: &str = "OUBLI_NOTIFIER_QUEUE_URL";
    /// The queue of `janitor`: archives that are gone.
    pub const ARCHIVE_EVENTS_QUEUE: &str = "OUBLI_ARCHIVE_EVENTS_QUEUE_URL";
    /// The KMS key of the stack, which signed archives first.
    pub const OWN_ARCHIVE_KEY_ID: &str = "OUBLI_OWN_ARCHIVE_KEY_ID";
    /// The KMS key that signs archives.
    pub const ARCHIVE_KEY_ID: &str = "OUBLI_ARCHIVE_KEY_ID";
    /// The KMS key from which the secret of keyed hashes is derived.
    pub const HASH_KEY_ID: &str = "OUBLI_HASH_KEY_ID";
    /// The verified sender of mails.
    pub const MAIL_FROM: &str = "OUBLI_MAIL_FROM";

    /// Every setting there is.
    pub const ALL: [&'static str; 15] = [
        Self::CONTACTS_TABLE,
        Self::REQUESTS_TABLE,
        Self::DOCUMENTS_BUCKET,
        Self::ARCHIVES_BUCKET,
        Self::UPLOADS_BUCKET,
        Self::BULK_PLANNER_QUEUE,
        Self::ARCHIVE_BUILDER_QUEUE,
        Self::ANONYMISER_QUEUE,
        Self::RESTORER_QUEUE,
        Self::NOTIFIER_QUEUE,
        Self::ARCHIVE_EVENTS_QUEUE,
        Self::OWN_ARCHIVE_KEY_ID,
        Self::ARCHIVE_KEY_ID,
        Self::HASH_KEY_ID,
        Self::MAIL_FROM,
    ];

    /// Reads the settings that a function needs.
    ///
    /// # Errors
    /// [`SettingError`] for the first that is missing or empty.
    pub fn read(
        needed: &[&'static str],
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingError> {
        let mut values = BTreeMap::new();
        for name in needed {
            let value = lookup(name)
                .filter(|value| !value.is_empty())
                .ok_or(SettingError(name))?;
            values.insert(*name, value);
        }
        Ok(Self { values })
    }

    fn get(&self, name: &str) -> String {
        self.values.get(name).cloned().unwrap_or_default()
    }
}

/// How to reach AWS.
#[derive(Clone, Debug, Default)]
pub struct ConnectOptions {
    /// Another endpoint than AWS's own; S3 is then addressed by path, with dummy credentials.
    /// `None`: as the environment says (`AWS_ENDPOINT_URL` among it).
    pub endpoint_url: Option<String>,
    /// Who calls, in the user agent.
    pub caller: Option<&'static str>,
    /// The longest first backoff before a refused call is retried; it doubles with each retry. `None`: the
    /// SDK's second. An endpoint on this machine is not relieved by waiting longer.
    pub first_backoff: Option<Duration>,
}

/// Everything that Oubli does with AWS.
#[derive(Clone, Debug)]
pub struct Cloud {
    pub(crate) contacts: Table,
    pub(crate) requests: Table,
    pub(crate) objects: Objects,
    pub(crate) queues: Queues,
    pub(crate) signer: Signer,
    pub(crate) hash_key: HashKeySource,
    pub(crate) mailer: Mailer,
    pub(crate) first_backoff: Duration,
}

/// The SDK's own first backoff.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);

impl Cloud {
    /// Makes the clients. Nothing is called yet.
    pub async fn connect(settings: &CloudSettings, options: &ConnectOptions) -> Self {
        let mut retry = RetryConfig::standard().with_max_attempts(4);
        if let Some(backoff) = options.first_backoff {
            retry = retry.with_initial_backoff(backoff);
        }
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).retry_config(retry);
        if let Some(name) = options.caller.and_then(|name| AppName::new(name).ok()) {
            loader = loader.app_name(name);
        }
        if let Some(url) = &options.endpoint_url {
            let dummy = Credentials::new("test", "test", None, None, "embedded");
            loader = loader
                .endpoint_url(url)
                .credentials_provider(dummy)
                .region(Region::from_static("eu-west-1"));
        }
        let config = loader.load().await;
        let by_path = config.endpoint_url().is_some();
        let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(by_path);
        // A signed link is used by a browser, which adds no headers of its own.
        let unchecked = s3
            .clone()
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        let tables = aws_sdk_dynamodb::Client::new(&config);
        let table = |name| Table {
            client: tables.clone(),
            name: settings.get(name),
        };
        let keys = aws_sdk_kms::Client::new(&config);
        Self {
            first_backoff: options.first_backoff.unwrap_or(FIRST_BACKOFF),
            contacts: table(CloudSettings::CONTACTS_TABLE),
            requests: table(CloudSettings::REQUESTS_TABLE),
            objects: Objects {
                client: aws_sdk_s3::Client::from_conf(s3.build()),
                link_source: LinkSource::new(unchecked.clone(), config.credentials_provider()),
                unchecked: aws_sdk_s3::Client::from_conf(unchecked.build()),
                documents_bucket: settings.get(CloudSettings::DOCUMENTS_BUCKET),
                archives_bucket: settings.get(CloudSettings::ARCHIVES_BUCKET),
                uploads_bucket: settings.get(CloudSettings::UPLOADS_BUCKET),
            },
            queues: Queues {
                client: aws_sdk_sqs::Client::new(&config),
                bulk_planner: settings.get(CloudSettings::BULK_PLANNER_QUEUE),
                archive_builder: settings.get(CloudSettings::ARCHIVE_BUILDER_QUEUE),
                anonymiser: settings.get(CloudSettings::ANONYMISER_QUEUE),
                restorer: settings.get(CloudSettings::RESTORER_QUEUE),
                notifier: settings.get(CloudSettings::NOTIFIER_QUEUE),
                archive_events: settings.get(CloudSettings::ARCHIVE_EVENTS_QUEUE),
            },
            signer: Signer::new(
                keys.clone(),
                settings.get(CloudSettings::ARCHIVE_KEY_ID),
                settings.get(CloudSettings::OWN_ARCHIVE_KEY_ID),
            ),
            hash_key: HashKeySource::new(keys, settings.get(CloudSettings::HASH_KEY_ID)),
            mailer: Mailer {
                client: aws_sdk_sesv2::Client::new(&config),
                from: settings.get(CloudSettings::MAIL_FROM),
            },
        }
    }
}

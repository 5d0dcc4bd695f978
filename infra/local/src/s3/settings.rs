//! The documents that a bucket carries: stored as they were given, in the XML of the S3 API.

use s3s::dto::{
    BucketVersioningStatus, NotificationConfiguration, ServerSideEncryptionConfiguration,
    VersioningConfiguration,
};
use s3s::xml::{DeError, Deserialize, Deserializer, Serialize, Serializer};
use s3s::{S3Error, S3Result, s3_error};

use super::index::{Bucket, Versioning};
use super::record::{Record, Setting};
use super::store::Store;

/// Reads a stored document.
pub(super) fn parse<T: for<'xml> Deserialize<'xml>>(document: &str) -> Result<T, DeError> {
    let mut deserializer = Deserializer::new(document.as_bytes());
    let parsed = T::deserialize(&mut deserializer)?;
    deserializer.expect_eof()?;
    Ok(parsed)
}

/// Reads a stored versioning document. `None`: versioning was never switched on.
pub(super) fn parse_versioning(document: &str) -> Result<Option<Versioning>, DeError> {
    let status = parse::<VersioningConfiguration>(document)?.status;
    Ok(match status.as_ref().map(BucketVersioningStatus::as_str) {
        Some(BucketVersioningStatus::ENABLED) => Some(Versioning::Enabled),
        Some(BucketVersioningStatus::SUSPENDED) => Some(Versioning::Suspended),
        _ => None,
    })
}

/// Whether a bucket that is there has its events sent to EventBridge.
pub(super) fn tells_event_bridge(store: &Store, bucket: &str) -> S3Result<bool> {
    let document = store.look(|index| {
        let bucket = index.buckets.get(bucket);
        Ok(bucket.and_then(|bucket| bucket.settings.get(&Setting::Notification).cloned()))
    })?;
    let Some(document) = document else {
        return Ok(false);
    };
    let parsed: NotificationConfiguration =
        parse(&document).map_err(|error| s3_error!(error, InternalError))?;
    Ok(parsed.event_bridge_configuration.is_some())
}

fn format<T: Serialize>(value: &T) -> S3Result<String> {
    let mut document = Vec::new();
    value
        .serialize(&mut Serializer::new(&mut document))
        .map_err(|error| s3_error!(error, InternalError))?;
    String::from_utf8(document).map_err(|error| s3_error!(error, InternalError))
}

impl Store {
    /// Stores a document after having made sure that it can be read back.
    pub(super) fn put_setting<T>(&self, bucket: &str, setting: Setting, value: &T) -> S3Result<()>
    where
        T: Serialize + for<'xml> Deserialize<'xml>,
    {
        let document = format(value)?;
        parse::<T>(&document).map_err(|error| s3_error!(error, MalformedXML))?;
        self.put_document(bucket, setting, document)
    }

    pub(super) fn put_document(&self, bucket: &str, setting: Setting, document: String) -> S3Result<()> {
        self.change(|index| {
            index.existing(bucket)?;
            Ok((
                vec![Record::SettingPut {
                    bucket: bucket.to_owned(),
                    setting,
                    document,
                }],
                (),
            ))
        })
    }

    /// The document, or `None` when the bucket has none.
    pub(super) fn document(&self, bucket: &str, setting: Setting) -> S3Result<Option<String>> {
        self.look(|index| Ok(index.existing(bucket)?.settings.get(&setting).cloned()))
    }

    /// The parsed document, or `absent` when the bucket has none.
    pub(super) fn setting<T>(&self, bucket: &str, setting: Setting, absent: fn() -> S3Error) -> S3Result<T>
    where
        T: for<'xml> Deserialize<'xml>,
    {
        let document = self.document(bucket, setting)?.ok_or_else(absent)?;
        parse(&document).map_err(|error| s3_error!(error, InternalError))
    }

    pub(super) fn delete_setting(&self, bucket: &str, setting: Setting) -> S3Result<()> {
        self.change(|index| {
            let present = index.existing(bucket)?.settings.contains_key(&setting);
            let record = || Record::SettingDeleted {
                bucket: bucket.to_owned(),
                setting,
            };
            Ok((present.then(record).into_iter().collect(), ()))
        })
    }
}

impl Bucket {
    /// How a new object is encrypted when its request does not say: (algorithm, key id).
    ///
    /// S3 encrypts every object with SSE-S3 unless the bucket says otherwise.
    pub(super) fn default_encryption(&self) -> S3Result<(String, Option<String>)> {
        let standard = || ("AES256".to_owned(), None);
        let Some(document) = self.settings.get(&Setting::Encryption) else {
            return Ok(standard());
        };
        let parsed: ServerSideEncryptionConfiguration =
            parse(document).map_err(|error| s3_error!(error, InternalError))?;
        let default = parsed
            .rules
            .into_iter()
            .find_map(|rule| rule.apply_server_side_encryption_by_default);
        Ok(default.map_or_else(standard, |default| {
            (
                default.sse_algorithm.as_str().to_owned(),
                default.kms_master_key_id,
            )
        }))
    }
}

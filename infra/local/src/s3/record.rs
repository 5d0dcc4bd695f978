//! What the journal's records are made of.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::blob::Segment;
use super::digest::Checksums;
use super::part_checksums::UploadChecksum;

/// One change of the index, as it is written to the journal.
#[derive(Serialize, Deserialize)]
pub(super) enum Record {
    Opened {
        format: u32,
        generation: u64,
    },
    BucketCreated {
        bucket: String,
        created_at: Timestamp,
        location: Option<String>,
    },
    BucketDeleted {
        bucket: String,
    },
    SettingPut {
        bucket: String,
        setting: Setting,
        document: String,
    },
    SettingDeleted {
        bucket: String,
        setting: Setting,
    },
    VersionAdded {
        bucket: String,
        key: String,
        version: Version,
    },
    VersionRemoved {
        bucket: String,
        key: String,
        version_id: String,
    },
    TagsPut {
        bucket: String,
        key: String,
        version_id: String,
        tags: Tags,
    },
    UploadCreated {
        bucket: String,
        upload_id: String,
        upload: Upload,
    },
    PartAdded {
        bucket: String,
        upload_id: String,
        number: i32,
        part: Part,
    },
    UploadRemoved {
        bucket: String,
        upload_id: String,
    },
}

/// A document that a bucket carries, in the XML (or, for the policy, JSON) of the S3 API.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Setting {
    Cors,
    Encryption,
    Lifecycle,
    Notification,
    OwnershipControls,
    Policy,
    PublicAccessBlock,
    Tagging,
    Versioning,
}

/// Tags in the order in which they were given.
pub(super) type Tags = Vec<(String, String)>;

/// One version of one key.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Version {
    pub(super) id: String,
    pub(super) modified_at: Timestamp,
    /// `None`: a delete marker.
    pub(super) content: Option<Content>,
}

/// An object: its bytes and everything said about them.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Content {
    pub(super) size_bytes: u64,
    /// Without quotes.
    pub(super) etag: String,
    pub(super) segments: Vec<Segment>,
    /// Sizes of the parts in bytes, of an object that was uploaded in parts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) part_sizes: Vec<u64>,
    pub(super) attributes: Attributes,
    pub(super) checksums: Checksums,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) tags: Tags,
}

/// The headers that are kept with an object and given back with it.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Attributes {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_disposition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cache_control: Option<String>,
    /// An HTTP date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) website_redirect_location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) storage_class: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) server_side_encryption: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kms_key_id: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) metadata: BTreeMap<String, String>,
}

/// A multipart upload under way.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Upload {
    pub(super) key: String,
    pub(super) initiated_at: Timestamp,
    pub(super) attributes: Attributes,
    #[serde(default)]
    pub(super) tags: Tags,
    #[serde(flatten)]
    pub(super) checksum: UploadChecksum,
    #[serde(skip)]
    pub(super) parts: BTreeMap<i32, Part>,
}

/// One uploaded part.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) size_bytes: u64,
    /// The MD5 in hexadecimal.
    pub(super) etag: String,
    pub(super) modified_at: Timestamp,
    pub(super) segments: Vec<Segment>,
    /// At least the one by the upload's algorithm.
    pub(super) checksums: Checksums,
}

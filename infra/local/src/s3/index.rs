//! What the store holds, in memory: buckets, versions, uploads; changed by records alone.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use s3s::dto::BucketLifecycleConfiguration;

use super::blob::{BlobRef, BlobStore, Segment};
use super::record::{Part, Record, Setting, Upload, Version};
use super::settings;

/// The format of the journal that this version writes and reads.
pub(super) const FORMAT: u32 = 1;

/// The version id of objects in a bucket that does not keep versions.
pub(super) const NULL_VERSION: &str = "null";

/// Whether a bucket keeps versions. Absent: it never did.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Versioning {
    Enabled,
    Suspended,
}

/// A bucket with all it holds.
pub(super) struct Bucket {
    pub(super) created_at: Timestamp,
    pub(super) location: Option<String>,
    pub(super) settings: BTreeMap<Setting, String>,
    /// Parsed from its setting, as every read of an object needs it.
    pub(super) lifecycle: Option<Arc<BucketLifecycleConfiguration>>,
    pub(super) versioning: Option<Versioning>,
    /// Versions of each key, newest first, never empty.
    pub(super) objects: BTreeMap<String, VecDeque<Arc<Version>>>,
    pub(super) uploads: BTreeMap<String, Upload>,
}

/// Everything.
#[derive(Default)]
pub(super) struct Index {
    pub(super) buckets: BTreeMap<String, Bucket>,
    pub(super) generation: u64,
    /// What records removed: dropped by the caller after it let go of the lock, as that removes files.
    pub(super) removed: Removed,
}

/// Versions, uploads and parts on their way out.
#[derive(Default)]
pub(super) struct Removed {
    versions: Vec<Arc<Version>>,
    uploads: Vec<Upload>,
    parts: Vec<Part>,
}

/// Why a record cannot be applied; in a journal it means damage.
#[derive(Debug, thiserror::Error)]
pub(super) enum IndexError {
    #[error("format {0} is newer than this version can read")]
    NewerFormat(u32),
    #[error("a record names a bucket or upload that is not there")]
    UnknownOwner,
    #[error("a bucket's setting cannot be read")]
    UnreadableSetting,
}

impl Index {
    /// Makes one change.
    pub(super) fn apply(&mut self, record: Record) -> Result<(), IndexError> {
        match record {
            Record::Opened { format, generation } => {
                if format > FORMAT {
                    return Err(IndexError::NewerFormat(format));
                }
                self.generation = generation;
            }
            Record::BucketCreated {
                bucket,
                created_at,
                location,
            } => {
                self.buckets.insert(bucket, Bucket::new(created_at, location));
            }
            Record::BucketDeleted { bucket } => {
                self.buckets.remove(&bucket).ok_or(IndexError::UnknownOwner)?;
            }
            Record::SettingPut {
                bucket,
                setting,
                document,
            } => {
                self.bucket(&bucket)?.put_setting(setting, document)?;
            }
            Record::SettingDeleted { bucket, setting } => self.bucket(&bucket)?.delete_setting(setting),
            Record::VersionAdded { bucket, key, version } => {
                let versions = self.bucket(&bucket)?.objects.entry(key).or_default();
                let replaced = remove_version(versions, &version.id);
                versions.push_front(Arc::new(version));
                self.removed.versions.extend(replaced);
            }
            Record::VersionRemoved {
                bucket,
                key,
                version_id,
            } => {
                let objects = &mut self.bucket(&bucket)?.objects;
                let Some(versions) = objects.get_mut(&key) else {
                    return Ok(());
                };
                let removed = remove_version(versions, &version_id);
                if versions.is_empty() {
                    objects.remove(&key);
                }
                self.removed.versions.extend(removed);
            }
            Record::TagsPut {
                bucket,
                key,
                version_id,
                tags,
            } => {
                let versions = self
                    .bucket(&bucket)?
                    .objects
                    .get_mut(&key)
                    .ok_or(IndexError::UnknownOwner)?;
                let version = versions.iter_mut().find(|version| version.id == version_id);
                let version = Arc::make_mut(version.ok_or(IndexError::UnknownOwner)?);
                version.content.as_mut().ok_or(IndexError::UnknownOwner)?.tags = tags;
            }
            Record::UploadCreated {
                bucket,
                upload_id,
                upload,
            } => {
                self.bucket(&bucket)?.uploads.insert(upload_id, upload);
            }
            Record::PartAdded {
                bucket,
                upload_id,
                number,
                part,
            } => {
                let upload = self.bucket(&bucket)?.uploads.get_mut(&upload_id);
                let replaced = upload.ok_or(IndexError::UnknownOwner)?.parts.insert(number, part);
                self.removed.parts.extend(replaced);
            }
            Record::UploadRemoved { bucket, upload_id } => {
                let upload = self.bucket(&bucket)?.uploads.remove(&upload_id);
                self.removed.uploads.push(upload.ok_or(IndexError::UnknownOwner)?);
            }
        }
        Ok(())
    }

    fn bucket(&mut self, name: &str) -> Result<&mut Bucket, IndexError> {
        self.buckets.get_mut(name).ok_or(IndexError::UnknownOwner)
    }

    /// How many records a snapshot has.
    pub(super) fn record_count(&self) -> usize {
        let of_bucket = |bucket: &Bucket| {
            let versions = bucket.objects.values().map(VecDeque::len).sum::<usize>();
            let parts = bucket
                .uploads
                .values()
                .map(|upload| 1 + upload.parts.len())
                .sum::<usize>();
            1 + bucket.settings.len() + versions + parts
        };
        1 + self.buckets.values().map(of_bucket).sum::<usize>()
    }

    /// Every stretch of bytes that is referred to.
    pub(super) fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.buckets.values().flat_map(|bucket| {
            let versions = bucket.objects.values().flatten();
            let contents = versions.filter_map(|version| version.content.as_ref());
            let parts = bucket.uploads.values().flat_map(|upload| upload.parts.values());
            contents
                .flat_map(|content| &content.segments)
                .chain(parts.flat_map(|part| &part.segments))
        })
    }

    /// The records that make this index from an empty one, oldest first, in batches.
    pub(super) fn snapshot(&self) -> impl Iterator<Item = Vec<Record>> {
        let opened = vec![Record::Opened {
            format: FORMAT,
            generation: self.generation,
        }];
        std::iter::once(opened).chain(
            self.buckets
                .iter()
                .flat_map(|(name, bucket)| bucket.snapshot(name)),
        )
    }
}

fn remove_version(versions: &mut VecDeque<Arc<Version>>, id: &str) -> Option<Arc<Version>> {
    let at = versions.iter().position(|version| version.id == id)?;
    versions.remove(at)
}

impl Bucket {
    fn new(created_at: Timestamp, location: Option<String>) -> Self {
        let (settings, objects, uploads) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self {
            created_at,
            location,
            settings,
            lifecycle: None,
            versioning: None,
            objects,
            uploads,
        }
    }

    fn put_setting(&mut self, setting: Setting, document: String) -> Result<(), IndexError> {
        let unreadable = |_| IndexError::UnreadableSetting;
        match setting {
            Setting::Lifecycle => {
                self.lifecycle = Some(Arc::new(settings::parse(&document).map_err(unreadable)?));
            }
            Setting::Versioning => {
                self.versioning = settings::parse_versioning(&document).map_err(unreadable)?;
            }
            _ => {}
        }
        self.settings.insert(setting, document);
        Ok(())
    }

    fn delete_setting(&mut self, setting: Setting) {
        if setting == Setting::Lifecycle {
            self.lifecycle = None;
        }
        self.settings.remove(&setting);
    }

    fn snapshot(&self, name: &str) -> impl Iterator<Item = Vec<Record>> {
        let bucket = || name.to_owned();
        let created = Record::BucketCreated {
            bucket: bucket(),
            created_at: self.created_at,
            location: self.location.clone(),
        };
        let settings = self.settings.iter().map(move |(setting, document)| {
            let document = document.clone();
            vec![Record::SettingPut {
                bucket: bucket(),
                setting: *setting,
                document,
            }]
        });
        let versions = self.objects.iter().map(move |(key, versions)| {
            let oldest_first = versions.iter().rev();
            let added = oldest_first.map(|version| Record::VersionAdded {
                bucket: bucket(),
                key: key.clone(),
                version: Version::clone(version),
            });
            added.collect()
        });
        let uploads = self.uploads.iter().map(move |(upload_id, upload)| {
            let id = || upload_id.clone();
            let mut batch = vec![Record::UploadCreated {
                bucket: bucket(),
                upload_id: id(),
                upload: upload.clone(),
            }];
            batch.extend(upload.parts.iter().map(|(number, part)| Record::PartAdded {
                bucket: bucket(),
                upload_id: id(),
                number: *number,
                part: part.clone(),
            }));
            batch
        });
        std::iter::once(vec![created])
            .chain(settings)
            .chain(versions)
            .chain(uploads)
    }
}

/// The blobs that the records of a journal name, one handle for each file.
#[derive(Default)]
pub(super) struct Binding {
    blobs: HashMap<String, BlobRef>,
}

impl Binding {
    /// Binds the blobs of a record that was read to their files.
    pub(super) fn bind(&mut self, record: &mut Record, store: &BlobStore) {
        let segments = match record {
            Record::VersionAdded { version, .. } => {
                version.content.as_mut().map(|content| &mut content.segments)
            }
            Record::PartAdded { part, .. } => Some(&mut part.segments),
            _ => None,
        };
        for segment in segments.into_iter().flatten() {
            let blob = self.blobs.entry(segment.blob.id().to_owned());
            segment.blob = blob.or_insert_with_key(|id| store.existing(id)).clone();
        }
    }
}

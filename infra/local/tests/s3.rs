//! The S3 engine over the wire, with the real SDK.

#[cfg(test)]
#[path = "s3/support.rs"]
mod support;

#[cfg(test)]
#[path = "s3/buckets.rs"]
mod buckets;
#[cfg(test)]
#[path = "s3/disk.rs"]
mod disk;
#[cfg(test)]
#[path = "s3/integrity.rs"]
mod integrity;
#[cfg(test)]
#[path = "s3/lifecycle.rs"]
mod lifecycle;
#[cfg(test)]
#[path = "s3/links.rs"]
mod links;
#[cfg(test)]
#[path = "s3/objects.rs"]
mod objects;
#[cfg(test)]
#[path = "s3/parts.rs"]
mod parts;

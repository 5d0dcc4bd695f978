//! The S3 engine over the wire, with the real SDK.

mod support;

mod buckets;
mod disk;
mod integrity;
mod lifecycle;
mod limits;
mod links;
mod objects;
mod part_checksums;
mod parts;

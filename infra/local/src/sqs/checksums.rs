//! The MD5 sums by which SDKs check that a message arrived as it was sent.

use std::collections::BTreeMap;
use std::fmt::Write;

use s3s::crypto::{Checksum, Md5};

use super::wire::MessageAttribute;

/// MD5 in hexadecimal.
pub(super) fn md5_hex(bytes: &[u8]) -> String {
    hex(&Md5::checksum(bytes))
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// MD5 of message attributes, `None` for none: by name, each as length and name, length and data type,
/// kind of value, length and value ("Calculating the MD5 message digest for message attributes",
/// Amazon SQS Developer Guide).
pub(super) fn md5_of_attributes<'a>(
    attributes: impl IntoIterator<Item = (&'a str, &'a MessageAttribute)>,
) -> Option<String> {
    let sorted: BTreeMap<&str, &MessageAttribute> = attributes.into_iter().collect();
    if sorted.is_empty() {
        return None;
    }
    let mut digest = Md5::new();
    for (name, attribute) in sorted {
        update(&mut digest, name.as_bytes());
        update(&mut digest, attribute.data_type.as_bytes());
        match (&attribute.string_value, attribute.binary()) {
            (Some(text), _) => {
                digest.update(&[1]);
                update(&mut digest, text.as_bytes());
            }
            (None, bytes) => {
                digest.update(&[2]);
                update(&mut digest, &bytes.unwrap_or_default());
            }
        }
    }
    Some(hex(&digest.finalize()))
}

fn update(digest: &mut Md5, bytes: &[u8]) {
    digest.update(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    digest.update(bytes);
}

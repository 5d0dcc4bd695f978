//! What S3 takes at most: bytes of a body, of a copy, of headers. `RULES.md` names the sources.

use http::HeaderMap;
use s3s::{S3Result, s3_error};

use super::record::Attributes;

/// The largest object of one `PutObject` or `CopyObject`, and the largest part, sent or copied, in bytes.
pub(super) const MAX_PUT_BYTES: u64 = 5 * 1024 * 1024 * 1024;

/// Every part but the last has at least this many bytes.
pub(super) const MIN_PART_BYTES: u64 = 5 * 1024 * 1024;

/// Parts are numbered from 1 to this.
const MAX_PART_NUMBER: i32 = 10_000;

/// Headers and query of a request together, in bytes.
const MAX_HEADERS_BYTES: usize = 8 * 1024;

/// User-defined metadata together, and system-defined metadata together: names and values, in bytes.
const MAX_METADATA_BYTES: usize = 2 * 1024;

/// Whether a body of this length, from `Content-Length`, is taken.
pub(super) fn check_body(content_length: Option<i64>) -> S3Result<()> {
    let length = content_length.ok_or_else(|| {
        s3_error!(
            MissingContentLength,
            "You must provide the Content-Length HTTP header."
        )
    })?;
    if u64::try_from(length).is_ok_and(|length| length <= MAX_PUT_BYTES) {
        return Ok(());
    }
    Err(s3_error!(
        EntityTooLarge,
        "Your proposed upload exceeds the maximum allowed size"
    ))
}

/// Whether an object, or a range of one, of this many bytes is copied in one call.
pub(super) fn check_copy(size_bytes: u64) -> S3Result<()> {
    if size_bytes <= MAX_PUT_BYTES {
        return Ok(());
    }
    Err(s3_error!(
        InvalidRequest,
        "The specified copy source is larger than the maximum allowable size for a copy source: {}",
        MAX_PUT_BYTES
    ))
}

pub(super) fn check_part_number(number: i32) -> S3Result<()> {
    if (1..=MAX_PART_NUMBER).contains(&number) {
        return Ok(());
    }
    Err(s3_error!(
        InvalidArgument,
        "Part number must be an integer between 1 and 10000, inclusive"
    ))
}

/// Whether parts of these sizes, in order, make an object.
pub(super) fn check_part_sizes(sizes_bytes: &[u64]) -> S3Result<()> {
    let before_last = sizes_bytes.split_last().map(|(_, before)| before);
    if before_last
        .unwrap_or_default()
        .iter()
        .all(|size_bytes| *size_bytes >= MIN_PART_BYTES)
    {
        return Ok(());
    }
    Err(s3_error!(
        EntityTooSmall,
        "Your proposed upload is smaller than the minimum allowed size"
    ))
}

/// Whether a request's headers and query, as they came, are taken.
pub(super) fn check_headers(headers: &HeaderMap, query: &str) -> S3Result<()> {
    let headers = headers
        .iter()
        // A colon, a space and a line's end stand with each.
        .map(|(name, value)| name.as_str().len() + value.len() + 4);
    if headers.sum::<usize>() + query.len() <= MAX_HEADERS_BYTES {
        return Ok(());
    }
    Err(s3_error!(
        RequestHeaderSectionTooLarge,
        "Your request header and query parameters used to make the request exceed the maximum allowed size."
    ))
}

/// Whether what is said of an object fits S3's 2 KB of system-defined and 2 KB of user-defined metadata.
pub(super) fn check_metadata(attributes: &Attributes) -> S3Result<()> {
    let own = attributes
        .metadata
        .iter()
        .map(|(name, value)| name.len() + value.len());
    let system = [
        ("cache-control", &attributes.cache_control),
        ("content-disposition", &attributes.content_disposition),
        ("content-encoding", &attributes.content_encoding),
        ("content-language", &attributes.content_language),
        ("content-type", &attributes.content_type),
        ("expires", &attributes.expires),
        ("x-amz-server-side-encryption", &attributes.server_side_encryption),
        (
            "x-amz-server-side-encryption-aws-kms-key-id",
            &attributes.kms_key_id,
        ),
        ("x-amz-storage-class", &attributes.storage_class),
        (
            "x-amz-website-redirect-location",
            &attributes.website_redirect_location,
        ),
    ];
    let system = system
        .into_iter()
        .filter_map(|(name, value)| Some(name.len() + value.as_ref()?.len()));
    if own.sum::<usize>() <= MAX_METADATA_BYTES && system.sum::<usize>() <= MAX_METADATA_BYTES {
        return Ok(());
    }
    Err(s3_error!(
        MetadataTooLarge,
        "Your metadata headers exceed the maximum allowed metadata size"
    ))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use rstest::rstest;

    use super::*;

    fn code<T: std::fmt::Debug>(answer: S3Result<T>) -> String {
        answer.unwrap_err().code().as_str().to_owned()
    }

    #[test]
    fn a_body_has_five_gib_at_most() {
        check_body(Some(0)).unwrap();
        check_body(Some(5_368_709_120)).unwrap();
        assert_eq!(code(check_body(Some(5_368_709_121))), "EntityTooLarge");
        assert_eq!(code(check_body(None)), "MissingContentLength");
    }

    #[test]
    fn a_copy_has_five_gib_at_most() {
        check_copy(5_368_709_120).unwrap();
        assert_eq!(code(check_copy(5_368_709_121)), "InvalidRequest");
    }

    #[rstest]
    #[case(0, false)]
    #[case(1, true)]
    #[case(10_000, true)]
    #[case(10_001, false)]
    fn parts_are_numbered_from_1_to_10_000(#[case] number: i32, #[case] is_taken: bool) {
        assert_eq!(check_part_number(number).is_ok(), is_taken);
    }

    #[test]
    fn every_part_but_the_last_has_five_mib() {
        let least = 5 * 1024 * 1024;
        check_part_sizes(&[0]).unwrap();
        check_part_sizes(&[least, least, 1]).unwrap();
        assert_eq!(code(check_part_sizes(&[least - 1, 1])), "EntityTooSmall");
    }

    #[test]
    fn headers_and_query_have_eight_kib_together() {
        let headers = |bytes: usize| {
            let value = HeaderValue::from_str(&"v".repeat(bytes)).unwrap();
            [(http::header::COOKIE, value)].into_iter().collect::<HeaderMap>()
        };
        check_headers(&headers(8_192 - 10 - 2), "ab").unwrap();
        let over = check_headers(&headers(8_192 - 10 - 2), "abc");
        assert_eq!(code(over), "RequestHeaderSectionTooLarge");
    }

    #[test]
    fn metadata_of_either_kind_has_two_kib() {
        let with = |disposition: usize, own: usize| Attributes {
            content_disposition: Some("d".repeat(disposition)),
            metadata: [("n".to_owned(), "v".repeat(own))].into(),
            ..Attributes::default()
        };
        // `content-disposition` has 19 characters.
        check_metadata(&with(2_048 - 19, 2_047)).unwrap();
        assert_eq!(code(check_metadata(&with(2_048 - 18, 0))), "MetadataTooLarge");
        assert_eq!(code(check_metadata(&with(0, 2_048))), "MetadataTooLarge");
    }
}

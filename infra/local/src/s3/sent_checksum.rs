//! The checksum that a request gives for its body, as a header or after it as a trailer:
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>.
//! What S3 refuses stands in `RULES.md`, with its sources.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderMap;
use s3s::{S3Result, s3_error};

use super::digest::{Algorithm, Values};

const PREFIX: &str = "x-amz-checksum-";

/// Headers of the same beginning that hold no checksum.
const NOT_VALUES: [&str; 3] = [
    "x-amz-checksum-algorithm",
    "x-amz-checksum-mode",
    "x-amz-checksum-type",
];

/// Where a request gives the checksum of its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SentChecksum {
    /// A header: its algorithm and its value in Base64.
    Header(Algorithm, String),
    /// A trailer that the request announces; its value follows the body.
    Trailer(Algorithm),
}

impl SentChecksum {
    /// Reads what a request's headers say.
    ///
    /// # Errors
    /// Those of S3: more than one checksum, a value that cannot be one, an algorithm without a value.
    pub(super) fn of_headers(headers: &HeaderMap) -> S3Result<Option<Self>> {
        let mut found = Vec::new();
        for (name, value) in headers {
            let name = name.as_str();
            if !name.starts_with(PREFIX) || NOT_VALUES.contains(&name) {
                continue;
            }
            // S3 has more algorithms than this engine: what it cannot verify it does not take.
            let algorithm = Algorithm::of_header(name).ok_or_else(|| s3_error!(NotImplemented))?;
            let value = value.to_str().unwrap_or_default();
            if !algorithm.is_value(value) {
                return Err(s3_error!(InvalidRequest, "Value for {} header is invalid.", name));
            }
            found.push(Self::Header(algorithm, value.to_owned()));
        }
        for names in headers.get_all("x-amz-trailer") {
            let names = names.to_str().unwrap_or_default().split(',');
            let names = names.map(|name| name.trim().to_ascii_lowercase());
            found.extend(
                names
                    .filter_map(|name| Algorithm::of_header(&name))
                    .map(Self::Trailer),
            );
        }
        if found.len() > 1 {
            return Err(several());
        }
        let found = found.pop();
        check_announced(headers, found.as_ref())?;
        Ok(found)
    }

    /// The algorithm by which the checksum was computed.
    pub(super) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Header(algorithm, _) | Self::Trailer(algorithm) => *algorithm,
        }
    }

    /// What is known of the checksum before the body has come.
    pub(super) fn values(&self) -> Values {
        match self {
            Self::Header(algorithm, value) => [(*algorithm, value.clone())].into(),
            Self::Trailer(_) => Values::new(),
        }
    }
}

/// The refusal of more than one checksum for one body.
pub(super) fn several() -> s3s::S3Error {
    s3_error!(
        InvalidRequest,
        "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
    )
}

/// Who names an algorithm for SDKs must send a checksum of it.
fn check_announced(headers: &HeaderMap, found: Option<&SentChecksum>) -> S3Result<()> {
    let Some(named) = headers.get("x-amz-sdk-checksum-algorithm") else {
        return Ok(());
    };
    let named = Algorithm::parse(named.to_str().unwrap_or_default()).map_err(|_| {
        s3_error!(
            InvalidRequest,
            "Value for x-amz-sdk-checksum-algorithm header is invalid."
        )
    })?;
    match found {
        None => Err(s3_error!(
            InvalidRequest,
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers \
             were found."
        )),
        Some(found) if found.algorithm() != named => Err(s3_error!(
            BadDigest,
            "The {} you specified did not match the calculated checksum.",
            named.name()
        )),
        Some(_) => Ok(()),
    }
}

impl Algorithm {
    /// Whether a text is Base64 of as many bytes as the algorithm gives.
    fn is_value(self, text: &str) -> bool {
        BASE64
            .decode(text)
            .is_ok_and(|bytes| bytes.len() == self.value_bytes())
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use rstest::rstest;

    use super::*;

    fn headers(given: &[(&'static str, &'static str)]) -> HeaderMap {
        let given = given.iter();
        given
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[rstest]
    #[case::nothing(&[], None)]
    #[case::header(
        &[("x-amz-checksum-crc32", "DUoRhQ==")],
        Some(SentChecksum::Header(Algorithm::Crc32, "DUoRhQ==".to_owned()))
    )]
    #[case::with_its_algorithm(
        &[("x-amz-checksum-crc32", "DUoRhQ=="), ("x-amz-sdk-checksum-algorithm", "CRC32")],
        Some(SentChecksum::Header(Algorithm::Crc32, "DUoRhQ==".to_owned()))
    )]
    #[case::trailer(
        &[("x-amz-trailer", "x-amz-checksum-sha256"), ("x-amz-sdk-checksum-algorithm", "SHA256")],
        Some(SentChecksum::Trailer(Algorithm::Sha256))
    )]
    // Measured on S3: of a single object `x-amz-checksum-algorithm` is not looked at.
    #[case::other_headers(&[("x-amz-checksum-algorithm", "TEST"), ("x-amz-checksum-mode", "ENABLED")], None)]
    fn one_checksum_is_read(
        #[case] given: &[(&'static str, &'static str)],
        #[case] found: Option<SentChecksum>,
    ) {
        assert_eq!(SentChecksum::of_headers(&headers(given)).unwrap(), found);
    }

    #[rstest]
    #[case::two_headers(
        &[("x-amz-checksum-crc32", "DUoRhQ=="), ("x-amz-checksum-crc32c", "yZRlqg==")],
        "InvalidRequest",
        "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
    )]
    #[case::header_and_trailer(
        &[("x-amz-checksum-crc32", "DUoRhQ=="), ("x-amz-trailer", "x-amz-checksum-crc32")],
        "InvalidRequest",
        "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
    )]
    #[case::no_base64(
        &[("x-amz-checksum-crc32", "12345678")],
        "InvalidRequest",
        "Value for x-amz-checksum-crc32 header is invalid."
    )]
    #[case::of_another_length(
        &[("x-amz-checksum-sha256", "DUoRhQ==")],
        "InvalidRequest",
        "Value for x-amz-checksum-sha256 header is invalid."
    )]
    #[case::algorithm_alone(
        &[("x-amz-sdk-checksum-algorithm", "CRC32")],
        "InvalidRequest",
        "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were \
         found."
    )]
    #[case::unknown_algorithm(
        &[("x-amz-sdk-checksum-algorithm", "TEST")],
        "InvalidRequest",
        "Value for x-amz-sdk-checksum-algorithm header is invalid."
    )]
    #[case::another_algorithm(
        &[("x-amz-sdk-checksum-algorithm", "SHA256"), ("x-amz-checksum-crc32", "DUoRhQ==")],
        "BadDigest",
        "The SHA256 you specified did not match the calculated checksum."
    )]
    fn the_rest_is_refused(
        #[case] given: &[(&'static str, &'static str)],
        #[case] code: &str,
        #[case] message: &str,
    ) {
        let refused = SentChecksum::of_headers(&headers(given)).unwrap_err();
        assert_eq!(
            (refused.code().as_str(), refused.message()),
            (code, Some(message))
        );
    }

    #[test]
    fn what_cannot_be_verified_is_not_taken() {
        let unknown = headers(&[("x-amz-checksum-sha512", "AAAA")]);
        let refused = SentChecksum::of_headers(&unknown).unwrap_err();
        assert_eq!(refused.code().as_str(), "NotImplemented");
    }
}

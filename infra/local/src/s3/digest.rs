//! Checksums as S3 keeps them: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html>.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crc_fast::CrcAlgorithm;
use http::{HeaderMap, StatusCode};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use s3s::{S3Error, S3Result, s3_error};
use serde::{Deserialize, Serialize};

use super::refusal::refusal;

/// A checksum algorithm that S3 knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    const ALL: [Self; 5] = [
        Self::Crc32,
        Self::Crc32c,
        Self::Crc64nvme,
        Self::Sha1,
        Self::Sha256,
    ];

    /// As in `x-amz-checksum-algorithm`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    pub(super) fn parse(name: &str) -> S3Result<Self> {
        let found = Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            s3_error!(
                InvalidRequest,
                "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, \
                 CRC32C, CRC64NVME, SHA1, SHA256]"
            )
        })
    }

    /// By the name of the header or trailer that carries its value.
    pub(super) fn of_header(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.header() == name)
    }

    /// How many bytes a checksum has.
    pub(super) fn value_bytes(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// The parameters, for those whose checksums of parts can be combined into the whole's.
    fn linear(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Crc64nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Sha1 | Self::Sha256 => None,
        }
    }

    /// Whether a multipart object can have one checksum over all its bytes.
    pub(super) fn is_linear(self) -> bool {
        self.linear().is_some()
    }
}

/// Base64 values by algorithm.
pub(super) type Values = BTreeMap<Algorithm, String>;

/// What S3 keeps with an object or a part.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Checksums {
    pub(super) values: Values,
    /// `true`: a checksum of the parts' checksums, `-N` at its end.
    #[serde(default)]
    pub(super) composite: bool,
}

/// The checksums of a request's input, by the names that all inputs share.
macro_rules! given_checksums {
    ($input:expr) => {{
        use $crate::s3::digest::Algorithm::{Crc32, Crc32c, Crc64nvme, Sha1, Sha256};
        let given = [
            (Crc32, $input.checksum_crc32.take()),
            (Crc32c, $input.checksum_crc32c.take()),
            (Crc64nvme, $input.checksum_crc64nvme.take()),
            (Sha1, $input.checksum_sha1.take()),
            (Sha256, $input.checksum_sha256.take()),
        ];
        given
            .into_iter()
            .filter_map(|(algorithm, value)| Some((algorithm, value?)))
            .collect::<$crate::s3::digest::Values>()
    }};
}

/// Puts checksums into an output, by the names that all outputs share.
macro_rules! put_checksums {
    ($output:expr, $values:expr) => {{
        use $crate::s3::digest::Algorithm::{Crc32, Crc32c, Crc64nvme, Sha1, Sha256};
        let values: &$crate::s3::digest::Values = $values;
        $output.checksum_crc32 = values.get(&Crc32).cloned();
        $output.checksum_crc32c = values.get(&Crc32c).cloned();
        $output.checksum_crc64nvme = values.get(&Crc64nvme).cloned();
        $output.checksum_sha1 = values.get(&Sha1).cloned();
        $output.checksum_sha256 = values.get(&Sha256).cloned();
    }};
}

pub(super) use {given_checksums, put_checksums};

/// Hashes a body while it passes: always MD5, and what was asked for.
pub(super) struct Digester {
    md5: Md5,
    checksums: ChecksumHasher,
    algorithms: Vec<Algorithm>,
    payload: Option<Sha256>,
}

/// What a [`Digester`] found.
pub(super) struct Digests {
    pub(super) md5: [u8; 16],
    pub(super) values: Values,
    /// Lower-case hexadecimal SHA-256 of the body, when the request was signed over it.
    payload_sha256: Option<String>,
}

impl Digester {
    pub(super) fn new(algorithms: impl IntoIterator<Item = Algorithm>, with_payload: bool) -> Self {
        let mut checksums = ChecksumHasher::default();
        let algorithms: Vec<_> = algorithms.into_iter().collect();
        for algorithm in &algorithms {
            match algorithm {
                Algorithm::Crc32 => checksums.crc32 = Some(Crc32::new()),
                Algorithm::Crc32c => checksums.crc32c = Some(Crc32c::new()),
                Algorithm::Crc64nvme => checksums.crc64nvme = Some(Crc64Nvme::new()),
                Algorithm::Sha1 => checksums.sha1 = Some(Sha1::new()),
                Algorithm::Sha256 => checksums.sha256 = Some(Sha256::new()),
            }
        }
        Self {
            md5: Md5::new(),
            checksums,
            algorithms,
            payload: with_payload.then(Sha256::new),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.checksums.update(bytes);
        if let Some(payload) = &mut self.payload {
            payload.update(bytes);
        }
    }

    pub(super) fn finish(self) -> Digests {
        let mut found = self.checksums.finalize();
        let mut values: Values = given_checksums!(found);
        values.retain(|algorithm, _| self.algorithms.contains(algorithm));
        let payload_sha256 = self.payload.map(|payload| hex(&payload.finalize()));
        Digests {
            md5: self.md5.finalize(),
            values,
            payload_sha256,
        }
    }
}

/// What the client says of the body that it sends.
#[derive(Default)]
pub(super) struct Expected {
    pub(super) values: Values,
    pub(super) content_md5: Option<String>,
    /// From `x-amz-content-sha256`, lower-case hexadecimal.
    pub(super) payload_sha256: Option<String>,
}

impl Expected {
    /// Adds the checksums that followed the body.
    pub(super) fn add_trailers(&mut self, trailers: &HeaderMap) {
        for algorithm in Algorithm::ALL {
            if let Some(value) = trailers
                .get(algorithm.header())
                .and_then(|value| value.to_str().ok())
            {
                self.values.insert(algorithm, value.trim().to_owned());
            }
        }
    }

    /// Compares with what was found.
    pub(super) fn check(&self, found: &Digests) -> S3Result<()> {
        for (algorithm, value) in &self.values {
            if found.values.get(algorithm) != Some(value) {
                return Err(bad_checksum(*algorithm));
            }
        }
        if let Some(given) = &self.content_md5 {
            let given = BASE64
                .decode(given)
                .ok()
                .filter(|md5| md5.len() == found.md5.len());
            let given = given
                .ok_or_else(|| s3_error!(InvalidDigest, "The Content-MD5 you specified was invalid."))?;
            if given != found.md5 {
                return Err(s3_error!(
                    BadDigest,
                    "The Content-MD5 you specified did not match what we received."
                ));
            }
        }
        if self.payload_sha256.is_some() && self.payload_sha256 != found.payload_sha256 {
            let text = "The provided 'x-amz-content-sha256' header does not match what was computed.";
            return Err(refusal(
                "XAmzContentSHA256Mismatch",
                StatusCode::BAD_REQUEST,
                text,
            ));
        }
        Ok(())
    }
}

pub(super) fn bad_checksum(algorithm: Algorithm) -> S3Error {
    let name = algorithm.name();
    s3_error!(
        BadDigest,
        "The {} you specified did not match the calculated checksum.",
        name
    )
}

/// The checksum of a multipart object: its parts' checksums with their sizes, in order.
pub(super) fn of_parts(algorithm: Algorithm, composite: bool, parts: &[(&str, u64)]) -> S3Result<String> {
    let decode = |value: &str| {
        BASE64
            .decode(value)
            .map_err(|error| s3_error!(error, InternalError))
    };
    if composite {
        let mut digester = Digester::new([algorithm], false);
        for (value, _) in parts {
            digester.update(&decode(value)?);
        }
        let whole = digester.finish().values.remove(&algorithm).unwrap_or_default();
        return Ok(format!("{whole}-{}", parts.len()));
    }
    let parameters = algorithm.linear();
    let parameters =
        parameters.ok_or_else(|| s3_error!(InvalidRequest, "no full object checksum for SHA"))?;
    let mut whole: Option<u64> = None;
    for (value, size_bytes) in parts {
        let part = decode(value)?
            .iter()
            .fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte));
        whole = Some(match whole {
            None => part,
            Some(before) => crc_fast::checksum_combine(parameters, before, part, *size_bytes),
        });
    }
    let bytes = whole.unwrap_or_default().to_be_bytes();
    let unused = bytes.len().saturating_sub(algorithm.value_bytes());
    Ok(BASE64.encode(bytes.get(unused..).unwrap_or_default()))
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

/// The bytes of an MD5 in hexadecimal, as in the ETag of a part.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = (0..text.len()).step_by(2).map(|at| text.get(at..at + 2));
    pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(algorithm: Algorithm, bytes: &[u8]) -> String {
        let mut digester = Digester::new([algorithm], false);
        digester.update(bytes);
        digester.finish().values.remove(&algorithm).unwrap()
    }

    #[test]
    fn checksums_of_parts_combine_into_that_of_the_whole() {
        let bytes: Vec<u8> = (0..100_000u32).map(|n| (n * 31 % 251) as u8).collect();
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64nvme] {
            let parts: Vec<_> = bytes
                .chunks(33_000)
                .map(|part| (whole(algorithm, part), part.len()))
                .collect();
            let parts: Vec<_> = parts
                .iter()
                .map(|(sum, size)| (sum.as_str(), *size as u64))
                .collect();
            assert_eq!(
                of_parts(algorithm, false, &parts).unwrap(),
                whole(algorithm, &bytes)
            );
        }
    }

    #[test]
    fn composite_checksum_is_that_of_the_parts_raw_checksums() {
        let (a, b) = (whole(Algorithm::Sha256, b"a"), whole(Algorithm::Sha256, b"b"));
        let raw = [BASE64.decode(&a).unwrap(), BASE64.decode(&b).unwrap()].concat();
        let expected = format!("{}-2", whole(Algorithm::Sha256, &raw));
        assert_eq!(
            of_parts(Algorithm::Sha256, true, &[(&a, 1), (&b, 1)]).unwrap(),
            expected
        );
        assert!(of_parts(Algorithm::Sha256, false, &[(&a, 1)]).is_err());
    }

    #[test]
    fn hexadecimal_round_trip() {
        assert_eq!(hex(&[0, 0xab, 0xff]), "00abff");
        assert_eq!(unhex("00abff"), Some(vec![0, 0xab, 0xff]));
        assert_eq!(unhex("xy"), None);
    }
}

//! Checksums of uploads in parts: what an upload was created with, and what its parts and its completion must
//! then say. The rules stand in `RULES.md`, with who measured each on S3.

use s3s::dto::ChecksumType;
use s3s::{S3Error, S3Result, s3_error};
use serde::{Deserialize, Serialize};

use super::digest::{Algorithm, Values};
use super::sent_checksum::several;

/// The checksum that a completed upload gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UploadChecksum {
    pub(super) algorithm: Algorithm,
    /// `true`: computed over the parts' checksums; `false`: over all bytes.
    pub(super) composite: bool,
    /// Whether the client named the algorithm when it created the upload. Else it is S3's default, which no
    /// answer mentions before the upload is completed.
    #[serde(rename = "algorithm_given")]
    pub(super) named: bool,
}

impl UploadChecksum {
    /// By the headers of `CreateMultipartUpload`, `x-amz-checksum-algorithm` and `x-amz-checksum-type`.
    pub(super) fn created_with(algorithm: Option<&str>, kind: Option<&str>) -> S3Result<Self> {
        let Some(algorithm) = algorithm else {
            if kind.is_some() {
                return Err(s3_error!(
                    InvalidRequest,
                    "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
                ));
            }
            return Ok(Self {
                algorithm: Algorithm::Crc64nvme,
                composite: false,
                named: false,
            });
        };
        let algorithm = Algorithm::parse(algorithm)?;
        let composite = match kind {
            Some(kind) => is_composite(kind)?,
            None => algorithm != Algorithm::Crc64nvme,
        };
        let checksum = Self {
            algorithm,
            composite,
            named: true,
        };
        let impossible = if composite {
            algorithm == Algorithm::Crc64nvme
        } else {
            !algorithm.is_linear()
        };
        if impossible {
            return Err(s3_error!(
                InvalidRequest,
                "The {} checksum type cannot be used with the {} checksum algorithm.",
                checksum.type_name(),
                algorithm.name().to_lowercase()
            ));
        }
        Ok(checksum)
    }

    /// As in `x-amz-checksum-type`.
    pub(super) fn type_name(self) -> &'static str {
        if self.composite {
            ChecksumType::COMPOSITE
        } else {
            ChecksumType::FULL_OBJECT
        }
    }

    /// Which of a part's checksums answers show.
    pub(super) fn shown(self, stored: &Values) -> Values {
        let own = stored.get(&self.algorithm).filter(|_| self.named);
        own.map(|value| (self.algorithm, value.clone()))
            .into_iter()
            .collect()
    }

    /// Whether an `UploadPart` with a checksum of this algorithm, or without one, is taken.
    pub(super) fn check_sent(self, sent: Option<Algorithm>) -> S3Result<()> {
        let fits = match sent {
            Some(sent) => sent == self.algorithm,
            None => !self.composite,
        };
        if fits || !self.named {
            return Ok(());
        }
        let sent = sent.map_or("null".to_owned(), |sent| sent.name().to_lowercase());
        Err(s3_error!(
            InvalidRequest,
            "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
            self.algorithm.name().to_lowercase(),
            sent
        ))
    }

    /// Whether `CompleteMultipartUpload` may say this in `x-amz-checksum-type`.
    pub(super) fn check_type(self, kind: Option<&str>) -> S3Result<()> {
        let Some(kind) = kind else { return Ok(()) };
        if is_composite(kind)? == self.composite && self.named {
            return Ok(());
        }
        let own = if self.named { self.type_name() } else { "null" };
        Err(s3_error!(
            InvalidRequest,
            "The upload was created using the {} checksum mode. The complete request must use the same checksum mode.",
            own
        ))
    }

    /// Whether the checksums that `CompleteMultipartUpload` names for a part are its own.
    pub(super) fn check_named(self, number: i32, stored: &Values, given: &Values) -> S3Result<()> {
        if !self.named {
            return if given.is_empty() {
                Ok(())
            } else {
                Err(invalid_part())
            };
        }
        if given.len() > 1 {
            return Err(s3_error!(
                InvalidArgument,
                "Only one checksum may be specified for part {}",
                number
            ));
        }
        let Some((algorithm, value)) = given.first_key_value() else {
            if !self.composite {
                return Ok(());
            }
            return Err(s3_error!(
                InvalidRequest,
                "The upload was created using a {} checksum. The complete request must include the checksum for each \
                 part. It was missing for part {} in the request.",
                self.algorithm.name().to_lowercase(),
                number
            ));
        };
        if *algorithm != self.algorithm {
            return Err(s3_error!(
                BadDigest,
                "The {} you specified for part {} did not match what we received.",
                algorithm.name().to_lowercase(),
                number
            ));
        }
        if stored.get(algorithm) == Some(value) {
            Ok(())
        } else {
            Err(invalid_part())
        }
    }

    /// Whether parts of these numbers, in ascending order, can be completed: with checksums they are 1, 2, 3, …
    pub(super) fn check_numbers(self, numbers: impl IntoIterator<Item = i32>) -> S3Result<()> {
        let mut counted = numbers.into_iter().zip(1..);
        if self.named && counted.any(|(number, position)| number != position) {
            return Err(invalid_order());
        }
        Ok(())
    }

    /// Whether the object's checksum that `CompleteMultipartUpload` gives is `whole`, the computed one.
    pub(super) fn check_whole(self, kind: Option<&str>, given: &Values, whole: &str) -> S3Result<()> {
        if given.len() > 1 {
            return Err(several());
        }
        // Measured on S3: of an upload without an algorithm the object's checksum is not looked at.
        let Some((algorithm, value)) = given.first_key_value().filter(|_| self.named) else {
            return Ok(());
        };
        let says_how = self.composite || kind.is_some();
        if says_how && *algorithm == self.algorithm && value == whole {
            return Ok(());
        }
        Err(s3_error!(
            BadDigest,
            "The {} you specified did not match the calculated checksum.",
            self.algorithm.name().to_lowercase()
        ))
    }
}

fn is_composite(kind: &str) -> S3Result<bool> {
    if kind.eq_ignore_ascii_case(ChecksumType::COMPOSITE) {
        return Ok(true);
    }
    if kind.eq_ignore_ascii_case(ChecksumType::FULL_OBJECT) {
        return Ok(false);
    }
    Err(s3_error!(
        InvalidRequest,
        "Value for x-amz-checksum-type header is invalid."
    ))
}

/// The refusal of a part that is not the one that was uploaded.
pub(super) fn invalid_part() -> S3Error {
    s3_error!(
        InvalidPart,
        "One or more of the specified parts could not be found.  The part may not have been uploaded, or the \
         specified entity tag may not match the part's entity tag."
    )
}

/// The refusal of parts whose numbers do not follow each other as they must.
pub(super) fn invalid_order() -> S3Error {
    s3_error!(
        InvalidPartOrder,
        "The list of parts was not in ascending order. Parts must be ordered by part number."
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const CRC32: &str = "NSRBwg==";
    const OTHER: &str = "AAAAAA==";

    fn created(algorithm: Option<&str>, kind: Option<&str>) -> UploadChecksum {
        UploadChecksum::created_with(algorithm, kind).unwrap()
    }

    fn crc32(value: &str) -> Values {
        [(Algorithm::Crc32, value.to_owned())].into()
    }

    fn sha256(value: &str) -> Values {
        [(Algorithm::Sha256, value.to_owned())].into()
    }

    #[track_caller]
    fn assert_refused<T: std::fmt::Debug>(answer: S3Result<T>, code: &str, message: &str) {
        let refused = answer.unwrap_err();
        assert_eq!(
            (refused.code().as_str(), refused.message()),
            (code, Some(message))
        );
    }

    #[rstest]
    #[case("CRC32", None, true)]
    #[case("CRC32C", None, true)]
    #[case("SHA1", None, true)]
    #[case("SHA256", None, true)]
    #[case("CRC64NVME", None, false)]
    #[case("CRC32", Some("FULL_OBJECT"), false)]
    #[case("crc32c", Some("full_object"), false)]
    #[case("SHA256", Some("COMPOSITE"), true)]
    fn each_algorithm_has_its_types(
        #[case] algorithm: &str,
        #[case] kind: Option<&str>,
        #[case] composite: bool,
    ) {
        let checksum = created(Some(algorithm), kind);
        assert_eq!((checksum.composite, checksum.named), (composite, true));
    }

    #[rstest]
    #[case(
        Some("SHA1"),
        "FULL_OBJECT",
        "The FULL_OBJECT checksum type cannot be used with the sha1 checksum algorithm."
    )]
    #[case(
        Some("SHA256"),
        "FULL_OBJECT",
        "The FULL_OBJECT checksum type cannot be used with the sha256 checksum algorithm."
    )]
    #[case(
        Some("CRC64NVME"),
        "COMPOSITE",
        "The COMPOSITE checksum type cannot be used with the crc64nvme checksum algorithm."
    )]
    #[case(
        None,
        "COMPOSITE",
        "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
    )]
    #[case(Some("CRC32"), "WHOLE", "Value for x-amz-checksum-type header is invalid.")]
    #[case(
        Some("TEST"),
        "COMPOSITE",
        "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, \
         CRC64NVME, SHA1, SHA256]"
    )]
    fn other_types_are_refused(#[case] algorithm: Option<&str>, #[case] kind: &str, #[case] message: &str) {
        let refused = UploadChecksum::created_with(algorithm, Some(kind));
        assert_refused(refused, "InvalidRequest", message);
    }

    #[test]
    fn a_part_brings_a_checksum_of_the_uploads_algorithm() {
        let (unnamed, full) = (created(None, None), created(Some("CRC32"), Some("FULL_OBJECT")));
        for sent in [None, Some(Algorithm::Crc32), Some(Algorithm::Sha256)] {
            unnamed.check_sent(sent).unwrap();
        }
        for sent in [None, Some(Algorithm::Crc32)] {
            full.check_sent(sent).unwrap();
        }
        created(Some("CRC32"), None)
            .check_sent(Some(Algorithm::Crc32))
            .unwrap();
        assert_refused(
            created(Some("SHA256"), None).check_sent(None),
            "InvalidRequest",
            "Checksum Type mismatch occurred, expected checksum Type: sha256, actual checksum Type: null",
        );
        assert_refused(
            full.check_sent(Some(Algorithm::Crc32c)),
            "InvalidRequest",
            "Checksum Type mismatch occurred, expected checksum Type: crc32, actual checksum Type: crc32c",
        );
    }

    #[rstest]
    #[case::unnamed(None, None, "FULL_OBJECT", "null")]
    #[case::unnamed_too(None, None, "COMPOSITE", "null")]
    #[case::composite(Some("CRC32"), None, "FULL_OBJECT", "COMPOSITE")]
    #[case::full(Some("CRC32"), Some("FULL_OBJECT"), "COMPOSITE", "FULL_OBJECT")]
    fn completion_says_the_type_of_the_upload(
        #[case] algorithm: Option<&str>,
        #[case] kind: Option<&str>,
        #[case] said: &str,
        #[case] own: &str,
    ) {
        let checksum = created(algorithm, kind);
        checksum.check_type(None).unwrap();
        let message = format!(
            "The upload was created using the {own} checksum mode. The complete request must use the same checksum mode."
        );
        assert_refused(checksum.check_type(Some(said)), "InvalidRequest", &message);
    }

    /// The defect for which these rules were written: the SDK gives each part a checksum, unasked.
    #[test]
    fn an_upload_without_algorithm_is_completed_without_checksums() {
        let unnamed = created(None, None);
        unnamed.check_named(1, &crc32(CRC32), &Values::new()).unwrap();
        let refused = unnamed.check_named(1, &crc32(CRC32), &crc32(CRC32));
        assert_eq!(refused.unwrap_err().code().as_str(), "InvalidPart");
        assert!(unnamed.shown(&crc32(CRC32)).is_empty());
    }

    #[test]
    fn parts_are_named_with_their_checksums() {
        let (composite, full) = (
            created(Some("CRC32"), None),
            created(Some("CRC32"), Some("FULL_OBJECT")),
        );
        for checksum in [composite, full] {
            checksum.check_named(1, &crc32(CRC32), &crc32(CRC32)).unwrap();
            let wrong = checksum.check_named(1, &crc32(CRC32), &crc32(OTHER));
            assert_eq!(wrong.unwrap_err().code().as_str(), "InvalidPart");
            assert_refused(
                checksum.check_named(1, &crc32(CRC32), &sha256("x")),
                "BadDigest",
                "The sha256 you specified for part 1 did not match what we received.",
            );
            let two = [crc32(CRC32), sha256("x")].into_iter().flatten().collect();
            let two = checksum.check_named(1, &crc32(CRC32), &two);
            assert_eq!(two.unwrap_err().code().as_str(), "InvalidArgument");
        }
        full.check_named(1, &crc32(CRC32), &Values::new()).unwrap();
        assert_refused(
            composite.check_named(7, &crc32(CRC32), &Values::new()),
            "InvalidRequest",
            "The upload was created using a crc32 checksum. The complete request must include the checksum for each \
             part. It was missing for part 7 in the request.",
        );
    }

    #[test]
    fn numbers_have_no_gaps_where_there_are_checksums() {
        created(None, None).check_numbers([2, 9]).unwrap();
        for checksum in [
            created(Some("CRC32"), None),
            created(Some("CRC32"), Some("FULL_OBJECT")),
        ] {
            checksum.check_numbers([1, 2, 3]).unwrap();
            for numbers in [&[2][..], &[1, 3]] {
                let refused = checksum.check_numbers(numbers.iter().copied());
                assert_eq!(refused.unwrap_err().code().as_str(), "InvalidPartOrder");
            }
        }
    }

    #[test]
    fn the_objects_checksum_needs_its_type() {
        let full = created(Some("CRC32"), Some("FULL_OBJECT"));
        full.check_whole(None, &Values::new(), CRC32).unwrap();
        full.check_whole(Some("FULL_OBJECT"), &crc32(CRC32), CRC32)
            .unwrap();
        let composite = created(Some("CRC32"), None);
        composite
            .check_whole(None, &crc32("5FRUiw==-3"), "5FRUiw==-3")
            .unwrap();
        created(None, None)
            .check_whole(None, &crc32(OTHER), CRC32)
            .unwrap();
        let message = "The crc32 you specified did not match the calculated checksum.";
        for (checksum, kind, given) in [
            (full, None, crc32(CRC32)),
            (full, Some("FULL_OBJECT"), crc32(OTHER)),
            (full, Some("FULL_OBJECT"), sha256(CRC32)),
            (composite, Some("COMPOSITE"), crc32(OTHER)),
        ] {
            assert_refused(checksum.check_whole(kind, &given, CRC32), "BadDigest", message);
        }
        let two = [crc32(CRC32), sha256("x")].into_iter().flatten().collect();
        let refused = full.check_whole(Some("FULL_OBJECT"), &two, CRC32);
        assert_eq!(refused.unwrap_err().code().as_str(), "InvalidRequest");
    }
}

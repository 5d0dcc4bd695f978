//! Hashes of bytes: SHA-256 (FIPS 180-4) and CRC-32 (ISO-HDLC, as in ZIP and gzip).

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a text is not a hash in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be {digits} hexadecimal digits")]
pub struct HashError {
    digits: usize,
}

fn from_hex<const N: usize>(text: &str) -> Result<[u8; N], HashError> {
    let wrong = HashError { digits: N * 2 };
    if text.len() != N * 2 || !text.is_ascii() {
        return Err(wrong);
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| wrong)?;
        if pair.starts_with('+') {
            return Err(wrong);
        }
        *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong)?;
    }
    Ok(bytes)
}

fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// A SHA-256 digest; 64 lower-case hexadecimal digits as text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// Wraps the 32 bytes of a digest.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Hashes bytes that are at hand.
    pub fn of(bytes: &[u8]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
        let mut array = [0; 32];
        for (to, from) in array.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        Self(array)
    }

    /// Reads 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`HashError`] when it is anything else.
    pub fn parse(text: &str) -> Result<Self, HashError> {
        from_hex(text).map(Self)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A CRC-32; 8 lower-case hexadecimal digits as text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Crc32(u32);

impl Crc32 {
    /// Wraps a value.
    pub fn new(value: u32) -> Self {
        Self(value)
    }

    /// Reads 8 hexadecimal digits, most significant first.
    ///
    /// # Errors
    /// [`HashError`] when it is anything else.
    pub fn parse(text: &str) -> Result<Self, HashError> {
        from_hex(text).map(|bytes| Self(u32::from_be_bytes(bytes)))
    }

    /// The value.
    pub fn value(self) -> u32 {
        self.0
    }

    /// The four bytes, most significant first: what S3 encodes in `x-amz-checksum-crc32`.
    pub fn to_be_bytes(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }
}

macro_rules! hex_text {
    ($name:ident, $bytes:expr) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&$bytes(self), f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl TryFrom<String> for $name {
            type Error = HashError;
            fn try_from(text: String) -> Result<Self, HashError> {
                Self::parse(&text)
            }
        }
        impl From<$name> for String {
            fn from(hash: $name) -> Self {
                hash.to_string()
            }
        }
    };
}
hex_text!(Sha256, |hash: &Sha256| hash.0);
hex_text!(Crc32, |hash: &Crc32| hash.0.to_be_bytes());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_both_ways() {
        let empty = Sha256::of(b"");
        assert_eq!(
            empty.to_string(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(Sha256::parse(&empty.to_string()), Ok(empty));
        assert_eq!(Sha256::parse(&empty.to_string().to_uppercase()), Ok(empty));
        assert_eq!(Crc32::parse("0000002a"), Ok(Crc32::new(42)));
        for wrong in [
            "",
            "00",
            "0000002",
            "0000002g",
            "+000002a",
            "00000 2a",
            "éé000000",
        ] {
            assert!(Crc32::parse(wrong).is_err(), "{wrong}");
        }
    }
}

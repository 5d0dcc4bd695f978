//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header).

use http::{HeaderMap, HeaderName};

use crate::problem::{Code, Problem};

/// The name of the header.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 255;

/// Reads the key, if there is one.
///
/// # Errors
/// `idempotency_key_invalid` when it is empty, too long, given twice, or no UTF-8.
pub fn read_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = keys.next() else { return Ok(None) };
    let fits = (1..=MAX_KEY_BYTES).contains(&key.len());
    match std::str::from_utf8(key.as_bytes()) {
        Ok(key) if fits && keys.next().is_none() => Ok(Some(key.to_owned())),
        _ => Err(Problem::new(Code::IdempotencyKeyInvalid)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use rstest::rstest;

    fn with(keys: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for key in keys {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_bytes(key.as_bytes()).unwrap());
        }
        headers
    }

    #[test]
    fn keys_are_any_text() {
        assert_eq!(read_key(&HeaderMap::new()).unwrap(), None);
        assert_eq!(read_key(&with(&["a-1/~"])).unwrap().as_deref(), Some("a-1/~"));
        assert_eq!(read_key(&with(&["a b é"])).unwrap().as_deref(), Some("a b é"));
        assert_eq!(
            read_key(&with(&[&"k".repeat(255)])).unwrap().map(|key| key.len()),
            Some(255)
        );
    }

    #[rstest]
    #[case(&[""])]
    #[case(&[&*"k".repeat(256)])]
    #[case(&["a", "b"])]
    fn other_keys_are_refused(#[case] keys: &[&str]) {
        assert_eq!(
            read_key(&with(keys)).unwrap_err().code(),
            Code::IdempotencyKeyInvalid
        );
    }
}

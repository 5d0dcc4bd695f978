//! The wrapper around what identifies a person.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A value that identifies a person (GDPR, article 4(1)).
///
/// Its `Debug` is redacted and it has no `Display`, so it cannot slip into a log line or an
/// error: whoever needs the value says [`Personal::expose`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Personal<T>(T);

impl<T> Personal<T> {
    /// Wraps a personal value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself: for storage, for the person's archive, for the member who may see it.
    pub fn expose(&self) -> &T {
        &self.0
    }

    /// Unwraps the value.
    pub fn into_exposed(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Personal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Personal(redacted)")
    }
}

impl<T> From<T> for Personal<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_tell() {
        assert_eq!(format!("{:?}", Personal::new("Lefèvre")), "Personal(redacted)");
    }
}

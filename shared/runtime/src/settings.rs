//! Typed reading of the environment, once, at the start of a function.
//!
//! A function asks for the settings it uses and for no others. What is missing or wrong is an error
//! that names the variable and never repeats its value.

use std::ffi::OsString;
use std::fmt;
use std::str::FromStr;

/// Where the front end stands that the mails link to.
pub const FRONT_END_URL: &str = "OUBLI_FRONT_END_URL";
/// OIDC issuer of the staff tokens.
pub const ISSUER: &str = "OUBLI_ISSUER";
/// Origins of the front ends, comma separated; may be empty.
pub const ALLOWED_ORIGINS: &str = "OUBLI_ALLOWED_ORIGINS";
/// Public keys of archives that other keys than the deployment's have signed; may be absent.
pub const TRUSTED_ARCHIVE_KEYS: &str = "OUBLI_TRUSTED_ARCHIVE_KEYS";
/// Level filter of the logs, as `tracing-subscriber` reads it (`info`, `info,oubli_api=debug`).
pub const LOG: &str = "OUBLI_LOG";

/// Why a setting cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// Not set, or set to nothing but white space.
    #[error("the setting `{name}` is missing from the environment")]
    Missing {
        /// The environment variable.
        name: &'static str,
    },
    /// Not UTF-8.
    #[error("the setting `{name}` is not UTF-8")]
    NotUnicode {
        /// The environment variable.
        name: &'static str,
    },
    /// Set to something that it cannot be.
    #[error("the setting `{name}` is wrong: {reason}")]
    Wrong {
        /// The environment variable.
        name: &'static str,
        /// What its type says of the value.
        reason: String,
    },
}

/// The environment, as far as it concerns a function.
pub struct Settings {
    lookup: Box<Lookup>,
}

type Lookup = dyn Fn(&str) -> Option<OsString> + Send + Sync;

impl fmt::Debug for Settings {
    /// Tells no values: an environment holds credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Settings(redacted)")
    }
}

impl Settings {
    /// The environment variables of this process.
    pub fn of_process() -> Self {
        Self::new(|name| std::env::var_os(name))
    }

    /// Variables from elsewhere: a local runner's or a test's.
    pub fn new(lookup: impl Fn(&str) -> Option<OsString> + Send + Sync + 'static) -> Self {
        Self {
            lookup: Box::new(lookup),
        }
    }

    /// A text that need not be there; white space around it does not count, nothing but white space
    /// is absence (a template passes an unset parameter as an empty variable).
    ///
    /// # Errors
    /// [`SettingError::NotUnicode`].
    pub fn optional(&self, name: &'static str) -> Result<Option<String>, SettingError> {
        let Some(value) = (self.lookup)(name) else {
            return Ok(None);
        };
        let value = value
            .into_string()
            .map_err(|_| SettingError::NotUnicode { name })?;
        let value = value.trim();
        Ok((!value.is_empty()).then(|| value.to_owned()))
    }

    /// A text that must be there.
    ///
    /// # Errors
    /// [`SettingError`] when it is missing or not UTF-8.
    pub fn required(&self, name: &'static str) -> Result<String, SettingError> {
        self.optional(name)?.ok_or(SettingError::Missing { name })
    }

    /// A value that need not be there, of a type that judges its own text.
    ///
    /// # Errors
    /// [`SettingError`] when it is not UTF-8, or refused by its type.
    pub fn parsed_or_default<T>(&self, name: &'static str) -> Result<T, SettingError>
    where
        T: FromStr + Default,
        T::Err: fmt::Display,
    {
        match self.optional(name)? {
            Some(_) => self.parsed(name),
            None => Ok(T::default()),
        }
    }

    /// A value of a type that judges its own text.
    ///
    /// # Errors
    /// [`SettingError`] when it is missing, not UTF-8, or refused by its type.
    pub fn parsed<T>(&self, name: &'static str) -> Result<T, SettingError>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let reason = |error: T::Err| SettingError::Wrong {
            name,
            reason: error.to_string(),
        };
        self.required(name)?.parse().map_err(reason)
    }

    /// Texts parted by commas; an absent setting is an empty list.
    ///
    /// # Errors
    /// [`SettingError::NotUnicode`].
    pub fn list(&self, name: &'static str) -> Result<Vec<String>, SettingError> {
        let value = self.optional(name)?.unwrap_or_default();
        Ok(value
            .split(',')
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(value: Option<&'static str>) -> Settings {
        Settings::new(move |name| value.filter(|_| name == ISSUER).map(OsString::from))
    }

    #[test]
    fn what_is_missing_is_named() {
        for absent in [None, Some(""), Some("  \n")] {
            let error = settings(absent).required(ISSUER).unwrap_err();
            assert_eq!(
                error.to_string(),
                "the setting `OUBLI_ISSUER` is missing from the environment"
            );
            assert_eq!(settings(absent).optional(ISSUER), Ok(None));
            assert_eq!(settings(absent).list(ISSUER), Ok(vec![]));
        }
    }

    #[test]
    fn what_is_wrong_says_why_and_not_what() {
        let error = settings(Some("s3cret")).parsed::<u16>(ISSUER).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the setting `OUBLI_ISSUER` is wrong: invalid digit found in string"
        );
        assert_eq!(settings(Some(" 443 ")).parsed::<u16>(ISSUER), Ok(443));
    }

    #[test]
    fn lists_are_parted_by_commas() {
        let origins = settings(Some("https://a.example, ,https://b.example,"))
            .list(ISSUER)
            .unwrap();
        assert_eq!(origins, ["https://a.example", "https://b.example"]);
    }

    #[test]
    fn debug_tells_no_values() {
        assert_eq!(format!("{:?}", settings(Some("s3cret"))), "Settings(redacted)");
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_no_text_are_refused() {
        use std::os::unix::ffi::OsStringExt;
        let settings = Settings::new(|_| Some(OsString::from_vec(vec![0xff])));
        assert_eq!(
            settings.required(LOG),
            Err(SettingError::NotUnicode { name: LOG })
        );
    }
}

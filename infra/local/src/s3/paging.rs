//! Pages of keys, as every listing of S3 cuts them.

use std::ops::Bound;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use s3s::{S3Result, s3_error};

use super::admission::percent_encode;

/// Where a listing starts: after this key, or after every key of a common prefix.
#[derive(Clone)]
pub(super) enum After {
    Key(String),
    Prefix(String),
}

impl After {
    /// An opaque continuation token.
    pub(super) fn token(&self) -> String {
        let (kind, text) = match self {
            Self::Key(key) => ('k', key),
            Self::Prefix(prefix) => ('p', prefix),
        };
        BASE64.encode(format!("{kind}{text}"))
    }

    pub(super) fn from_token(token: &str) -> S3Result<Self> {
        let wrong = || s3_error!(InvalidArgument, "The continuation token provided is incorrect");
        let text = String::from_utf8(BASE64.decode(token).map_err(|_| wrong())?).map_err(|_| wrong())?;
        match text.split_at_checked(1) {
            Some(("k", key)) => Ok(Self::Key(key.to_owned())),
            Some(("p", prefix)) => Ok(Self::Prefix(prefix.to_owned())),
            _ => Err(wrong()),
        }
    }

    /// The key or the prefix.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Key(text) | Self::Prefix(text) => text,
        }
    }

    /// From where a sorted map has to be walked.
    pub(super) fn bound<'a>(after: Option<&'a Self>, prefix: &'a str) -> Bound<&'a str> {
        match after {
            Some(Self::Key(key)) if key.as_str() >= prefix => Bound::Excluded(key),
            Some(Self::Prefix(common)) if common.as_str() >= prefix => Bound::Included(common),
            _ => Bound::Included(prefix),
        }
    }

    fn has_passed(&self, key: &str) -> bool {
        match self {
            Self::Key(after) => key <= after.as_str(),
            Self::Prefix(prefix) => key.starts_with(prefix.as_str()) || key <= prefix.as_str(),
        }
    }
}

/// What a listing asks for.
pub(super) struct Ask {
    pub(super) prefix: String,
    pub(super) delimiter: Option<String>,
    pub(super) after: Option<After>,
    pub(super) limit: usize,
}

impl Ask {
    pub(super) fn new(
        prefix: Option<String>,
        delimiter: Option<String>,
        limit: Option<i32>,
    ) -> S3Result<Self> {
        let limit = usize::try_from(limit.unwrap_or(1000)).map_err(|_| {
            s3_error!(
                InvalidArgument,
                "Argument max-keys must be an integer between 0 and 2147483647"
            )
        })?;
        let delimiter = delimiter.filter(|delimiter| !delimiter.is_empty());
        Ok(Self {
            prefix: prefix.unwrap_or_default(),
            delimiter,
            after: None,
            limit: limit.min(1000),
        })
    }
}

/// One page.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) prefixes: Vec<String>,
    /// The last thing listed, when there is more.
    pub(super) next: Option<After>,
}

/// Cuts a page out of sorted `(key, item)` pairs that start at [`After::bound`].
///
/// Keys that share the text up to the delimiter are listed once, as a common prefix.
pub(super) fn page<'a, T>(ask: &Ask, sorted: impl Iterator<Item = (&'a str, T)>) -> Page<T> {
    let mut page = Page {
        items: Vec::new(),
        prefixes: Vec::<String>::new(),
        next: None,
    };
    let mut last = None;
    for (key, item) in sorted {
        let Some(rest) = key.strip_prefix(ask.prefix.as_str()) else {
            break;
        };
        if ask.after.as_ref().is_some_and(|after| after.has_passed(key)) {
            continue;
        }
        let cut = ask
            .delimiter
            .as_deref()
            .and_then(|delimiter| rest.split_once(delimiter));
        let common = cut.zip(ask.delimiter.as_deref());
        let common = common.map(|((head, _), delimiter)| format!("{}{head}{delimiter}", ask.prefix));
        if common.is_some() && common.as_ref() == page.prefixes.last() {
            continue;
        }
        if page.items.len() + page.prefixes.len() == ask.limit {
            page.next = last;
            break;
        }
        match common {
            Some(common) => {
                last = Some(After::Prefix(common.clone()));
                page.prefixes.push(common);
            }
            None => {
                last = Some(After::Key(key.to_owned()));
                page.items.push(item);
            }
        }
    }
    page
}

/// A key as a listing shows it: percent-encoded when the client asked for `encoding-type=url`.
pub(super) fn shown(text: &str, encoded: bool) -> String {
    if encoded {
        percent_encode(text, true)
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 6] = ["a/1", "a/2", "b", "c/1", "c/2", "d"];

    fn list(delimiter: Option<&str>, after: Option<After>, limit: i32) -> Page<&'static str> {
        let mut ask = Ask::new(None, delimiter.map(str::to_owned), Some(limit)).unwrap();
        ask.after = after;
        page(&ask, KEYS.into_iter().map(|key| (key, key)))
    }

    #[test]
    fn pages_with_a_delimiter_list_everything_once() {
        let mut after = None;
        let mut seen = Vec::new();
        loop {
            let page = list(Some("/"), after, 1);
            seen.extend(
                page.items
                    .iter()
                    .map(|key| (*key).to_owned())
                    .chain(page.prefixes),
            );
            after = match page.next {
                Some(next) => Some(After::from_token(&next.token()).unwrap()),
                None => break,
            };
        }
        assert_eq!(seen, ["a/", "b", "c/", "d"]);
    }

    #[test]
    fn the_last_full_page_has_no_next() {
        assert!(list(None, None, 6).next.is_none());
        assert_eq!(list(None, None, 5).next.unwrap().text(), "c/2");
        assert!(list(None, None, 0).items.is_empty());
    }
}

//! An error with its causes, on one line.

use std::error::Error;
use std::fmt;

/// Shows an error and all its sources, parted by `: `.
///
/// A source that its parent's text ends with already (as `#[error(transparent)]` and many
/// libraries have it) is not repeated.
#[derive(Clone, Copy, Debug)]
pub struct ErrorChain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = self.0.to_string();
        f.write_str(&last)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            let text = error.to_string();
            if !last.ends_with(&text) {
                write!(f, ": {text}")?;
            }
            last = text;
            source = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        source: Option<Box<Link>>,
    }

    fn chain(texts: &[&'static str]) -> Link {
        let (text, rest) = texts.split_first().unwrap();
        Link {
            text,
            source: (!rest.is_empty()).then(|| Box::new(chain(rest))),
        }
    }

    #[test]
    fn causes_follow_once_each() {
        let shown = |texts: &[&'static str]| ErrorChain(&chain(texts)).to_string();
        assert_eq!(shown(&["alone"]), "alone");
        assert_eq!(
            shown(&["could not read", "timed out"]),
            "could not read: timed out"
        );
        assert_eq!(
            shown(&["could not read: timed out", "timed out", "no route"]),
            "could not read: timed out: no route"
        );
    }
}

//! Bounded text: what a person may have typed into a field.

/// Why a text is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing but white space.
    #[error("must not be empty")]
    Empty,
    /// Too long.
    #[error("must have at most {max} characters")]
    TooLong {
        /// The longest allowed, in Unicode scalar values.
        max: usize,
    },
    /// A control character other than the line breaks and tabs of a multi-line text.
    #[error("must not hold control characters")]
    Control,
}

/// Checks one line of text, without changing it but for white space at its ends.
///
/// # Errors
/// [`TextError`] when empty, longer than `max` characters, or holding a control character.
pub fn parse_line(text: &str, max: usize) -> Result<String, TextError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(TextError::Empty);
    }
    if text.chars().count() > max {
        return Err(TextError::TooLong { max });
    }
    if text.chars().any(char::is_control) {
        return Err(TextError::Control);
    }
    Ok(text.to_owned())
}

/// Checks a text of several lines; it is kept exactly as given.
///
/// # Errors
/// [`TextError`] when blank, longer than `max` characters, or holding a control character other
/// than tab, line feed and carriage return.
pub fn parse_lines(text: &str, max: usize) -> Result<String, TextError> {
    if text.trim().is_empty() {
        return Err(TextError::Empty);
    }
    if text.chars().count() > max {
        return Err(TextError::TooLong { max });
    }
    if text
        .chars()
        .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
    {
        return Err(TextError::Control);
    }
    Ok(text.to_owned())
}

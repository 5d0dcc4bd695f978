//! Telephone numbers, kept as they were written.

/// Why a text is not a telephone number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a telephone number: 3 to 20 digits, with an optional + and separators")]
pub struct PhoneError;

/// Checks a telephone number: 3 to 20 digits with an optional leading `+`, separated as people
/// write them (ITU-T E.123). It is kept as given.
///
/// # Errors
/// [`PhoneError`] when it cannot be one.
pub fn parse_phone(text: &str) -> Result<String, PhoneError> {
    let text = text.trim();
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let fits = text.chars().enumerate().all(|(index, c)| {
        c.is_ascii_digit() || " .-/()\u{a0}\u{202f}".contains(c) || (c == '+' && index == 0)
    });
    if fits && (3..=20).contains(&digits) && text.len() <= 60 {
        Ok(text.to_owned())
    } else {
        Err(PhoneError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_write_them() {
        for right in ["+33 6 12 34 56 78", "01.23.45.67.89", "(020) 7946-0018", "112"] {
            assert_eq!(parse_phone(right).as_deref(), Ok(right));
        }
        for wrong in [
            "",
            "call me",
            "12",
            "6+33",
            "06 12 34 56 78 ext 3",
            "1234567890123456789012",
        ] {
            assert_eq!(parse_phone(wrong), Err(PhoneError), "{wrong}");
        }
    }
}

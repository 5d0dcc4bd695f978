//! Numbers, plurals and instants as the two languages write them.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use oubli_domain::Language;

/// Between a number and its unit, and before French colons: a line never breaks there.
const NO_BREAK_SPACE: char = '\u{a0}';
/// Between the thousands of a French number.
const NARROW_NO_BREAK_SPACE: char = '\u{202f}';

const MONTHS_FR: [&str; 12] = [
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
];
const MONTHS_EN: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The number with its thousands set apart.
pub(crate) fn number(language: Language, value: u64) -> String {
    let separator = match language {
        Language::Fr => NARROW_NO_BREAK_SPACE,
        Language::En => ',',
    };
    let digits = value.to_string();
    let mut written = String::with_capacity(digits.len() + digits.len() / 3 * separator.len_utf8());
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            written.push(separator);
        }
        written.push(digit);
    }
    written
}

/// The form that goes with the number: French counts 0 and 1 as one, English 1 alone (CLDR,
/// language plural rules).
pub(crate) fn plural<'a>(language: Language, value: u64, one: &'a str, other: &'a str) -> &'a str {
    let is_one = match language {
        Language::Fr => value <= 1,
        Language::En => value == 1,
    };
    if is_one { one } else { other }
}

/// The number and the noun that it counts.
pub(crate) fn count(language: Language, value: u64, one: &str, other: &str) -> String {
    format!(
        "{}{NO_BREAK_SPACE}{}",
        number(language, value),
        plural(language, value, one, other)
    )
}

/// The day and minute, in UTC and saying so: a tenant has no time zone of its own.
pub(crate) fn instant(language: Language, at: Timestamp) -> String {
    let at = TimeZone::UTC.to_datetime(at);
    let months = match language {
        Language::Fr => &MONTHS_FR,
        Language::En => &MONTHS_EN,
    };
    let month = usize::try_from(at.month())
        .ok()
        .and_then(|month| months.get(month.checked_sub(1)?));
    let (day, month, year) = (at.day(), month.copied().unwrap_or_default(), at.year());
    let (hour, minute) = (at.hour(), at.minute());
    match language {
        Language::Fr => {
            let first = if day == 1 { "er" } else { "" };
            format!(
                "{day}{first}{NO_BREAK_SPACE}{month} {year} à \
                 {hour}{NO_BREAK_SPACE}h{NO_BREAK_SPACE}{minute:02} (UTC)"
            )
        }
        Language::En => format!("{day}{NO_BREAK_SPACE}{month} {year} at {hour:02}:{minute:02} (UTC)"),
    }
}

/// The text on one line: control characters, line and paragraph separators and marks that turn the
/// writing direction become spaces, and runs of white space become one space.
pub(crate) fn one_line(text: &str) -> String {
    let spaced: String = text
        .chars()
        .map(|c| if breaks_a_line(c) { ' ' } else { c })
        .collect();
    spaced.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

fn breaks_a_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(0, "0", "0")]
    #[case(999, "999", "999")]
    #[case(1_000, "1\u{202f}000", "1,000")]
    #[case(1_234_567, "1\u{202f}234\u{202f}567", "1,234,567")]
    fn thousands_are_set_apart(#[case] value: u64, #[case] french: &str, #[case] english: &str) {
        assert_eq!(number(Language::Fr, value), french);
        assert_eq!(number(Language::En, value), english);
    }

    #[rstest]
    #[case(0, "0\u{a0}échec", "0\u{a0}failures")]
    #[case(1, "1\u{a0}échec", "1\u{a0}failure")]
    #[case(2, "2\u{a0}échecs", "2\u{a0}failures")]
    fn zero_is_singular_in_french_only(#[case] value: u64, #[case] french: &str, #[case] english: &str) {
        assert_eq!(count(Language::Fr, value, "échec", "échecs"), french);
        assert_eq!(count(Language::En, value, "failure", "failures"), english);
    }

    #[rstest]
    #[case(
        "2026-08-01T07:05:59Z",
        "1er\u{a0}août 2026 à 7\u{a0}h\u{a0}05 (UTC)",
        "1\u{a0}August 2026 at 07:05 (UTC)"
    )]
    #[case(
        "2026-12-31T23:59:59.9Z",
        "31\u{a0}décembre 2026 à 23\u{a0}h\u{a0}59 (UTC)",
        "31\u{a0}December 2026 at 23:59 (UTC)"
    )]
    fn instants_are_written_out(#[case] at: &str, #[case] french: &str, #[case] english: &str) {
        let at: Timestamp = at.parse().unwrap();
        assert_eq!(instant(Language::Fr, at), french);
        assert_eq!(instant(Language::En, at), english);
    }

    #[test]
    fn one_line_keeps_words_and_drops_breaks() {
        assert_eq!(
            one_line("  Acme\r\nBcc: x\u{2028}y\u{202e}z\0 "),
            "Acme Bcc: x y z"
        );
        assert_eq!(one_line("Société Générale"), "Société Générale");
    }
}

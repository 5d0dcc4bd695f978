//! Sums of money, as payslips write them.

use oubli_domain::language::Language;

/// A sum in hundredths of the currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cents(pub(super) i64);

impl Cents {
    /// This share of the sum, in hundredths of a per cent, rounded to the nearest cent.
    pub(super) fn share(self, basis_points: i64) -> Self {
        Self((self.0 * basis_points + 5_000).div_euclid(10_000))
    }

    /// Without a currency: `2 450,00` in French, `2,450.00` in English.
    pub(super) fn figures(self, language: Language) -> String {
        let (group, point) = match language {
            Language::Fr => ("\u{a0}", ','),
            Language::En => (",", '.'),
        };
        let sign = if self.0 < 0 { "-" } else { "" };
        let whole = (self.0 / 100).unsigned_abs();
        let (millions, thousands, units) = (whole / 1_000_000, whole / 1_000 % 1_000, whole % 1_000);
        let grouped = match (millions, thousands) {
            (0, 0) => units.to_string(),
            (0, _) => format!("{thousands}{group}{units:03}"),
            _ => format!("{millions}{group}{thousands:03}{group}{units:03}"),
        };
        format!("{sign}{grouped}{point}{:02}", (self.0 % 100).unsigned_abs())
    }

    /// With its currency: `2 450,00 €`, `£2,450.00`.
    pub(super) fn money(self, language: Language) -> String {
        match language {
            Language::Fr => format!("{}\u{a0}€", self.figures(language)),
            Language::En => format!("£{}", self.figures(language)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(0, "0,00", "0.00")]
    #[case(5, "0,05", "0.05")]
    #[case(245_000, "2\u{a0}450,00", "2,450.00")]
    #[case(-100_007, "-1\u{a0}000,07", "-1,000.07")]
    #[case(123_456_789, "1\u{a0}234\u{a0}567,89", "1,234,567.89")]
    fn figures_follow_the_language(#[case] cents: i64, #[case] french: &str, #[case] english: &str) {
        assert_eq!(Cents(cents).figures(Language::Fr), french);
        assert_eq!(Cents(cents).figures(Language::En), english);
    }

    #[test]
    fn shares_are_rounded_to_the_nearest_cent() {
        assert_eq!(Cents(245_000).share(690), Cents(16_905));
        assert_eq!(Cents(101).share(5_000), Cents(51));
        assert_eq!(Cents(100).share(1), Cents(0));
    }
}

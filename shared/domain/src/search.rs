//! How names are compared: for the order of lists and for the search by their beginning.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::contact::MAX_KEY_PART_BYTES;

/// Stands between the parts of a name's sort key. It sorts before a space, so that a name comes
/// before the longer ones that begin with it: `Martin` before `Martin-Dupont`.
pub const NAME_SEPARATOR: char = '\t';

/// Folds a text for comparison: no accents, lower case, ligatures opened, white space, hyphens
/// and apostrophes as single spaces.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text
        .nfkd()
        .filter(|c| !is_combining_mark(*c))
        .flat_map(char::to_lowercase)
    {
        match c {
            'œ' => folded.push_str("oe"),
            'æ' => folded.push_str("ae"),
            'ß' => folded.push_str("ss"),
            'ø' => folded.push('o'),
            'ł' => folded.push('l'),
            '-' | '\'' | '’' | '‐' | '‑' => push_space(&mut folded),
            c if c.is_whitespace() => push_space(&mut folded),
            // What sorts before a space separates the parts of a key, so it never stands in one.
            c if c.is_control() => {}
            c => folded.push(c),
        }
    }
    folded.truncate(folded.trim_end().len());
    folded
}

fn push_space(text: &mut String) {
    if !text.is_empty() && !text.ends_with(' ') {
        text.push(' ');
    }
}

/// What a search text asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Search {
    /// Contacts whose last name begins with this, folded.
    LastName(String),
    /// Contacts with this e-mail address, normalised.
    Email(String),
}

impl Search {
    /// Reads what was typed: a whole e-mail address, or else the beginning of a last name.
    /// Blank text asks for nothing.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(email) = crate::email::Email::parse(text) {
            return Some(Self::Email(email.normalised()));
        }
        let mut folded = fold(text);
        // No longer than what it is compared with: names are cut so in their sort key.
        folded.truncate(folded.floor_char_boundary(MAX_KEY_PART_BYTES));
        (!folded.is_empty()).then_some(Self::LastName(folded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_people_type_differently_are_found() {
        assert_eq!(fold("  LEFÈVRE  "), "lefevre");
        assert_eq!(fold("d’Ormesson-Élie"), "d ormesson elie");
        assert_eq!(fold("Cœur de  Lion"), "coeur de lion");
        assert_eq!(
            Search::parse("Amelie@Example.FR"),
            Some(Search::Email("amelie@example.fr".into()))
        );
        assert_eq!(Search::parse("Müll"), Some(Search::LastName("mull".into())));
        assert_eq!(Search::parse("  "), None);
    }

    #[test]
    fn the_longest_search_finds_the_longest_name() {
        // This one letter is eighteen when folded (NFKD).
        let name = "\u{fdfa}".repeat(200);
        let fields = crate::contact::ContactDraft {
            last_name: name.clone(),
            ..Default::default()
        };
        let Some(Search::LastName(prefix)) = Search::parse(&name) else {
            panic!("no search for a name")
        };
        assert!(prefix.len() <= MAX_KEY_PART_BYTES);
        assert!(fields.parse().unwrap().name_key().starts_with(&prefix));
    }

    proptest! {
        #[test]
        fn folding_twice_is_folding_once(text in ".{0,40}") {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once.clone());
            prop_assert!(!once.contains(NAME_SEPARATOR));
        }
    }
}

//! Entry names: from what a person called a document to a name that every system can unpack.
//!
//! The name stays as it was given wherever that is safe: accents, spaces and emoji too. What it loses is
//! what climbs out of the folder, what Windows refuses, and what cannot be seen.

mod characters;

use std::collections::HashMap;

use oubli_domain::Sha256;
use unicode_normalization::UnicodeNormalization;

use characters::{is_forbidden, is_invisible, is_picture, takes_presentation};

/// The longest name, in UTF-8 bytes: with the folder in front and the place where it is unpacked it stays
/// below the 255 bytes of a file name and the 260 characters of a Windows path.
pub const MAX_NAME_BYTES: usize = 120;
const MAX_EXTENSION_BYTES: usize = 16;
const NAMELESS: &str = "document";
const ZERO_WIDTH_JOINER: char = '\u{200D}';
const EMOJI_PRESENTATION: char = '\u{FE0F}';

/// Hands out the names of one folder: each safe, no two alike.
///
/// Two names are alike when they differ only in case or in how their accents are composed, because some
/// file systems would then write one over the other; the later gets ` (2)`.
#[derive(Debug, Default)]
pub struct EntryNames {
    /// Folded name → the number to try next. Hashed, because 100,000 names are 10 MB and their hashes 3; a
    /// collision would cost a needless ` (2)`.
    taken: HashMap<[u8; 16], u32>,
}

impl EntryNames {
    /// A folder in which no name is taken.
    pub fn new() -> Self {
        Self::default()
    }

    /// The name under which `display_name` stands in the archive. It has no folder in front.
    pub fn take(&mut self, display_name: &str) -> String {
        let name = safe_name(display_name);
        let key = fold_key(&name);
        let Some(next) = self.taken.get(&key).copied() else {
            self.taken.insert(key, 2);
            return name;
        };
        let mut number = next;
        loop {
            let candidate = with_number(&name, number);
            number += 1;
            let candidate_key = fold_key(&candidate);
            if !self.taken.contains_key(&candidate_key) {
                self.taken.insert(key, number);
                self.taken.insert(candidate_key, 2);
                return candidate;
            }
        }
    }
}

/// Whether a name is one that [`EntryNames`] could have handed out: what a reader of a foreign archive asks.
pub fn is_safe_name(name: &str) -> bool {
    safe_name(name) == name
}

/// Two names with the same folded form may be one file somewhere.
pub fn fold(name: &str) -> String {
    // Upper case first: it opens `ß` and joins `ſ` and `s`, `ς` and `σ`, as case-folding does.
    name.nfd()
        .filter(|c| !is_invisible(*c) && !matches!(*c, ZERO_WIDTH_JOINER | EMOJI_PRESENTATION))
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .nfd()
        .collect()
}

/// A name of unknown origin as it may stand on a terminal: what cannot be seen is shown by its code.
pub fn printable(name: &str) -> String {
    let shown = |c: char| {
        if is_invisible(c) {
            c.escape_unicode().to_string()
        } else {
            c.to_string()
        }
    };
    name.chars().map(shown).collect()
}

/// The folded form by its hash, for those who hold many names.
pub(crate) fn fold_key(name: &str) -> [u8; 16] {
    let mut key = [0; 16];
    for (to, from) in key.iter_mut().zip(Sha256::of(fold(name).as_bytes()).as_bytes()) {
        *to = *from;
    }
    key
}

fn safe_name(display_name: &str) -> String {
    let composed: Vec<char> = display_name.nfc().collect();
    let mut name = String::with_capacity(display_name.len().min(4 * MAX_NAME_BYTES));
    let mut before = None;
    for (index, c) in composed.iter().copied().enumerate() {
        let kept = match c {
            ZERO_WIDTH_JOINER => {
                let joins = before.is_some_and(|c| c == EMOJI_PRESENTATION || is_picture(c))
                    && composed.get(index + 1).copied().is_some_and(is_picture);
                joins.then_some(c)
            }
            EMOJI_PRESENTATION => before.is_some_and(takes_presentation).then_some(c),
            c if c.is_whitespace() => Some(' '),
            c if is_invisible(c) => None,
            c if is_forbidden(c) => Some('_'),
            c => Some(c),
        };
        if let Some(c) = kept {
            name.push(c);
            before = Some(c);
        }
    }
    // What was taken out may have kept two characters apart that compose.
    let name: String = name.nfc().collect();
    let name = shorten(trim(&name), MAX_NAME_BYTES);
    let name = if name.starts_with('.') {
        format!("_{name}")
    } else {
        name
    };
    let name = if is_reserved_on_windows(&name) {
        format!("_{name}")
    } else {
        name
    };
    let name = shorten(&name, MAX_NAME_BYTES);
    if name.is_empty() {
        NAMELESS.to_owned()
    } else {
        name
    }
}

/// Windows drops dots and spaces at the end of a name, and so would find another file.
fn trim(name: &str) -> &str {
    trim_end(name).trim_start()
}

fn trim_end(name: &str) -> &str {
    name.trim_end_matches(['.', ' ', ZERO_WIDTH_JOINER])
}

fn shorten(name: &str, max_bytes: usize) -> String {
    if name.len() <= max_bytes {
        return name.to_owned();
    }
    let (stem, extension) = split_extension(name);
    let room = max_bytes.saturating_sub(extension.len());
    format!("{}{extension}", cut(stem, room))
}

fn with_number(name: &str, number: u32) -> String {
    let (stem, extension) = split_extension(name);
    let suffix = format!(" ({number})");
    let room = MAX_NAME_BYTES.saturating_sub(suffix.len() + extension.len());
    format!("{}{suffix}{extension}", cut(stem, room))
}

fn cut(text: &str, max_bytes: usize) -> &str {
    if text.len() <= max_bytes {
        return text;
    }
    let end = (0..=max_bytes)
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or(0);
    trim_end(text.get(..end).unwrap_or_default())
}

/// Stem and extension, the dot with the extension; without one, or with one too long to be one, all is stem.
fn split_extension(name: &str) -> (&str, &str) {
    name.rfind('.')
        .and_then(|dot| name.split_at_checked(dot))
        .filter(|(stem, extension)| {
            !stem.is_empty() && extension.len() <= MAX_EXTENSION_BYTES && !extension.contains(' ')
        })
        .unwrap_or((name, ""))
}

/// Device names, which Windows finds in every folder and before any extension.
/// Source: "Naming Files, Paths, and Namespaces", Microsoft Learn.
fn is_reserved_on_windows(name: &str) -> bool {
    let base = name.split('.').next().unwrap_or_default().trim_end();
    let base: String = base.chars().flat_map(char::to_uppercase).collect();
    if matches!(
        base.as_str(),
        "CON" | "PRN" | "AUX" | "NUL" | "CLOCK$" | "CONIN$" | "CONOUT$"
    ) {
        return true;
    }
    let port = base.strip_prefix("COM").or_else(|| base.strip_prefix("LPT"));
    port.is_some_and(|port| {
        let mut digits = port.chars();
        matches!(digits.next(), Some('0'..='9' | '¹' | '²' | '³')) && digits.next().is_none()
    })
}

#[cfg(test)]
mod tests;

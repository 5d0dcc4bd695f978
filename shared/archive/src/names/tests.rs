use std::collections::HashSet;

use proptest::prelude::*;
use rstest::rstest;

use super::*;

#[rstest]
#[case("Bulletin de paie – mars.pdf", "Bulletin de paie – mars.pdf")]
#[case("Été à Orléans.jpg", "Été à Orléans.jpg")]
#[case("E\u{301}te\u{301}.jpg", "Été.jpg")]
#[case("e\u{200B}\u{301}.txt", "é.txt")]
#[case("📄 contrat 👩🏽\u{200D}💻.pdf", "📄 contrat 👩🏽\u{200D}💻.pdf")]
#[case("a\u{200D}b.txt", "ab.txt")]
#[case(
    "1\u{FE0F}\u{20E3} ❤\u{FE0F}\u{FE0F} a\u{FE0F}.txt",
    "1\u{FE0F}\u{20E3} ❤\u{FE0F} a.txt"
)]
#[case(" \u{FE0F}", "document")]
#[case("../../etc/passwd", "_.._.._etc_passwd")]
#[case("..", "document")]
#[case("/etc/passwd", "_etc_passwd")]
#[case("C:\\Users\\x.doc", "C__Users_x.doc")]
#[case("a\0b.txt", "ab.txt")]
#[case("\u{202E}fdp.exe", "fdp.exe")]
#[case("a<b>c\"d|e?f*g", "a_b_c_d_e_f_g")]
#[case("rapport. . .", "rapport")]
#[case("  two\u{A0}words\t.txt  ", "two words .txt")]
#[case("con.txt", "_con.txt")]
#[case("CON .txt", "_CON .txt")]
#[case("nul", "_nul")]
#[case("COM¹.log", "_COM¹.log")]
#[case("lpt9.tar.gz", "_lpt9.tar.gz")]
#[case("console.txt", "console.txt")]
#[case("com10.txt", "com10.txt")]
#[case(".env", "_.env")]
#[case("", "document")]
#[case("\u{200B}\u{FEFF}", "document")]
fn known_names(#[case] given: &str, #[case] expected: &str) {
    assert_eq!(EntryNames::new().take(given), expected);
    assert!(is_safe_name(expected));
}

#[test]
fn a_long_name_keeps_its_extension_and_its_characters_whole() {
    let name = EntryNames::new().take(&format!("{}.pdf", "é".repeat(150)));
    assert_eq!(name, format!("{}.pdf", "é".repeat(58)));
    let name = EntryNames::new().take(&format!("x.{}", "y".repeat(300)));
    assert_eq!(name.len(), MAX_NAME_BYTES);
    let name = EntryNames::new().take(&format!("{}a.txt", ".".repeat(119)));
    assert!(name.ends_with(".txt") && name.len() <= MAX_NAME_BYTES, "{name}");
}

#[test]
fn names_that_are_one_file_somewhere_are_told_apart() {
    let mut names = EntryNames::new();
    let given = [
        "Contrat.pdf",
        "contrat.PDF",
        "Contrat.pdf",
        "contrat (2).pdf",
        "été.txt",
        "e\u{301}te\u{301}.txt",
        "ÉTÉ.TXT",
        "straße",
        "STRASSE",
        "ΣΑΣ",
        "σας",
        "❤.txt",
        "❤\u{FE0F}.txt",
    ];
    let taken: Vec<String> = given.iter().map(|name| names.take(name)).collect();
    let expected = [
        "Contrat.pdf",
        "contrat (2).PDF",
        "Contrat (3).pdf",
        "contrat (2) (2).pdf",
        "été.txt",
        "été (2).txt",
        "ÉTÉ (3).TXT",
        "straße",
        "STRASSE (2)",
        "ΣΑΣ",
        "σας (2)",
        "❤.txt",
        "❤\u{FE0F} (2).txt",
    ];
    assert_eq!(taken, expected);
}

#[test]
fn thousands_of_the_same_name_are_numbered_without_search() {
    let mut names = EntryNames::new();
    let long = format!("{}.txt", "é".repeat(150));
    let taken: HashSet<String> = (0..5_000).map(|_| names.take(&long)).collect();
    assert_eq!(taken.len(), 5_000);
    assert!(
        taken
            .iter()
            .all(|name| name.len() <= MAX_NAME_BYTES && name.ends_with(".txt"))
    );
}

fn wild() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        "[a-cA-C. ]{0,6}",
        "[éÉßſkK\u{301}\u{200B}\u{200D}\u{FE0F}🦀]{0,4}",
        Just("../".to_owned()),
        Just("CON".to_owned()),
        Just(".pdf".to_owned()),
        "[éa]{100,130}",
    ];
    proptest::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn every_name_is_safe(given in wild()) {
        let name = EntryNames::new().take(&given);
        prop_assert!(!name.is_empty() && name.len() <= MAX_NAME_BYTES);
        prop_assert!(!name.contains(['/', '\\', ':', '<', '>', '"', '|', '?', '*']));
        prop_assert!(!name.chars().any(|c| is_invisible(c) || (c.is_whitespace() && c != ' ')));
        prop_assert!(!name.starts_with(['.', ' ']) && !name.ends_with(['.', ' ']));
        prop_assert!(!is_reserved_on_windows(&name));
        prop_assert_eq!(name.nfc().collect::<String>(), name.clone());
        prop_assert_eq!(safe_name(&name), name, "a safe name stays as it is");
    }

    #[test]
    fn no_two_names_are_alike(given in proptest::collection::vec(wild(), 0..30)) {
        let mut names = EntryNames::new();
        let mut seen = HashSet::new();
        for display_name in &given {
            let name = names.take(display_name);
            prop_assert!(is_safe_name(&name), "{name}");
            prop_assert!(seen.insert(fold(&name)), "{name}");
        }
    }
}

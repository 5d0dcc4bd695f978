//! Files of which little would become much.

use oubli_tests::forging::{Entry, MANIFEST, SIGNATURE, document, place, zip_of};

use super::Case;

const UNREADABLE: &str = "archive_unreadable";
const DAMAGED: &str = "archive_damaged";
const NOT_AUTHENTIC: &str = "archive_not_authentic";
const MIB: usize = 1024 * 1024;

/// Little that would be much.
pub(super) fn bombs(base: &[Entry]) -> Vec<Case> {
    let zeroes = vec![0_u8; 96 * MIB];
    let spaces = vec![b' '; 60 * MIB];
    let with = |at: usize, entry: Entry| {
        let mut entries = base.to_vec();
        entries[at] = entry;
        zip_of(&entries)
    };
    let at = document(base);
    let name = base[at].text();
    let claims = |size: u32| Entry {
        size,
        ..Entry::deflated(&name, &zeroes[..MIB])
    };
    let mut nested = zip_of(&[Entry::deflated("0", &zeroes)]);
    for _ in 0..8 {
        nested = zip_of(&[
            Entry::deflated("a.zip", &nested),
            Entry::deflated("b.zip", &nested),
        ]);
    }
    let mut cut = Entry::deflated(&name, &base[at].data);
    cut.data.truncate(cut.data.len() - 4);
    cut.compressed -= 4;
    let mut trailing = Entry::deflated(&name, b"signed by hand");
    trailing.data.extend([0; 500]);
    trailing.compressed += 500;
    let mut additional = base.to_vec();
    additional.insert(at, Entry::deflated("documents/0.bin", &zeroes));
    let cases: Vec<(&str, Vec<u8>, &'static str)> = vec![
        (
            "a document that becomes 96 MiB",
            with(at, Entry::deflated(&name, &zeroes)),
            DAMAGED,
        ),
        ("a document of 96 MiB besides", zip_of(&additional), DAMAGED),
        (
            "a page that becomes 96 MiB",
            with(2, Entry::deflated("index.html", &zeroes)),
            DAMAGED,
        ),
        (
            "a contact that becomes 60 MiB",
            with(0, Entry::deflated("contact.json", &spaces)),
            DAMAGED,
        ),
        (
            "a document that claims four gigabytes",
            with(at, claims(u32::MAX - 1)),
            UNREADABLE,
        ),
        (
            "a document that claims a byte more",
            with(at, claims(MIB as u32 + 1)),
            DAMAGED,
        ),
        (
            "archives in archives",
            with(at, Entry::of(&name, &nested)),
            DAMAGED,
        ),
        ("a document that breaks off", with(at, cut), DAMAGED),
        (
            "a document with bytes behind its end",
            with(at, trailing),
            DAMAGED,
        ),
        (
            "a manifest that becomes 60 MiB",
            with(place(base, MANIFEST), Entry::deflated(MANIFEST, &spaces)),
            NOT_AUTHENTIC,
        ),
        (
            "a manifest that becomes 96 MiB",
            with(place(base, MANIFEST), Entry::deflated(MANIFEST, &zeroes)),
            NOT_AUTHENTIC,
        ),
        (
            "a signature that becomes 96 MiB",
            with(place(base, SIGNATURE), Entry::deflated(SIGNATURE, &zeroes)),
            NOT_AUTHENTIC,
        ),
    ];
    cases
        .into_iter()
        .map(|(what, bytes, reason)| Case::new(what, bytes, reason))
        .collect()
}

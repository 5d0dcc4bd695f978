//! ZIP files whose records are not those of an archive: refused before any content is looked at, however
//! well they are signed.

use std::io::{Cursor, Read, Seek, SeekFrom, Write as _};

use oubli_archive::saved::Refusal;
use oubli_archive::zip64::MAX_ARCHIVE_BYTES;
use oubli_domain::Reason;
use zip::write::SimpleFileOptions;

use crate::support::{
    Entries, Key, archive, entries, listed_and_signed, noise, place, reason, refusal, tenant, zip_of,
};

/// Where the local header and the central record of an entry begin.
pub(crate) fn records_of(archive: &[u8], name: &str) -> (usize, usize) {
    let found = |signature: &[u8], name_at: usize| {
        (0..archive.len() - 4)
            .find(|at| {
                archive[*at..].starts_with(signature)
                    && archive
                        .get(at + name_at..)
                        .is_some_and(|rest| rest.starts_with(name.as_bytes()))
            })
            .unwrap()
    };
    (found(b"PK\x03\x04", 30), found(b"PK\x01\x02", 46))
}

/// Writes the same bytes into both records of an entry.
fn in_both(archive: &[u8], name: &str, (local_at, central_at): (usize, usize), bytes: &[u8]) -> Vec<u8> {
    let (local, central) = records_of(archive, name);
    let mut changed = archive.to_vec();
    changed[local + local_at..][..bytes.len()].copy_from_slice(bytes);
    changed[central + central_at..][..bytes.len()].copy_from_slice(bytes);
    changed
}

fn renamed(archive: &[u8], from: &str, to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    in_both(archive, from, (30, 46), to)
}

#[test]
fn names_that_leave_their_folder_or_deceive() {
    let key = Key::new();
    let good = archive(&key);
    for hostile in [
        &b"../../../../ab"[..],
        b"documents/../x",
        b"documents/././",
        b"/etc/passwd/xx",
        b"//host/share/x",
        b"C:\\Windows\\xxx",
        b"C:/Windows/xxx",
        b"documents\\vide",
        b"documents/a\\..",
        b"documents/a:bc",
        b"documents/a/bc",
        b"documents//abc",
        b"documents/.ssh",
        b"documents/abc.",
        b"documents/ abc",
        b"documents/a\0bc",
        b"documents/\xE2\x80\xAEx",
        b"documents/\xFF\xFE\xFDx",
        b"documents/COM1",
        b"other_folder/x",
        b"Documents/vide",
        b"document.json\0",
        b"manifest.json/",
    ] {
        let archive = renamed(&good, "documents/vide", hostile);
        assert_eq!(
            reason(&archive, &key),
            Reason::ArchiveUnreadable,
            "{}",
            String::from_utf8_lossy(hostile)
        );
    }
    // One name before the data and another in the directory: programs differ in which they believe.
    let (local, _) = records_of(&good, "documents/vide");
    let mut two_faced = good;
    two_faced[local + 30..][..14].copy_from_slice(b"documents/evil");
    assert_eq!(reason(&two_faced, &key), Reason::ArchiveUnreadable);
}

#[test]
fn names_that_are_one_file_somewhere() {
    let key = Key::new();
    let good = entries(&archive(&key));
    for alike in [
        "documents/vide",
        "documents/VIDE",
        "documents/Contrat signe\u{301}.pdf",
        "documents/CONTRAT SIGNÉ.PDF",
        "documents/relevé.CSV",
        "contact.json",
        "manifest.json",
        "manifest.sig",
    ] {
        let mut entries = good.clone();
        let last = entries.len() - 2;
        entries.insert(last, (alike.to_owned(), b"twin".to_vec()));
        let refusal = refusal(&zip_of(&entries), &key);
        assert!(matches!(refusal, Refusal::Names(_)), "{alike}: {refusal}");
        assert_eq!(refusal.reason(), Some(Reason::ArchiveUnreadable));
    }
}

#[test]
fn what_is_no_regular_file() {
    let key = Key::new();
    let good = archive(&key);
    for (name, _) in entries(&good) {
        let (_, central) = records_of(&good, &name);
        // Symbolic link, folder, character and block device, FIFO, socket, none.
        for kind in [0o12u8, 0o04, 0o02, 0o06, 0o01, 0o14, 0] {
            let mut changed = good.clone();
            changed[central + 41] = kind << 4 | 1;
            assert_eq!(
                reason(&changed, &key),
                Reason::ArchiveUnreadable,
                "{name} {kind:o}"
            );
        }
        // Executable, set-user-id, or the attributes of MS-DOS.
        for (at, value) in [(40, 0xED), (41, 0x89), (38, 0x10), (36, 1)] {
            let mut changed = good.clone();
            changed[central + at] = value;
            assert_eq!(reason(&changed, &key), Reason::ArchiveUnreadable, "{name} {at}");
        }
    }
}

#[test]
fn encrypted_or_packed_otherwise() {
    let key = Key::new();
    let good = archive(&key);
    for (name, _) in entries(&good) {
        // Encrypted; strongly; with a masked directory; patched data; another character set.
        for flags in [0x0801u16, 0x0841, 0x2800, 0x0820, 0x0000] {
            let changed = in_both(&good, &name, (6, 8), &flags.to_le_bytes());
            assert_eq!(
                reason(&changed, &key),
                Reason::ArchiveUnreadable,
                "{name} {flags:x}"
            );
        }
        for method in [1u16, 6, 9, 12, 14, 20, 93, 95, 97, 98, 99, 0xFFFF] {
            let changed = in_both(&good, &name, (8, 10), &method.to_le_bytes());
            assert_eq!(
                reason(&changed, &key),
                Reason::ArchiveUnreadable,
                "{name} {method}"
            );
        }
    }
}

#[test]
fn wrong_checksums_and_sizes_that_both_records_agree_on() {
    let key = Key::new();
    let good = archive(&key);
    for (name, _) in entries(&good) {
        let expected = if name.starts_with("manifest.") {
            Reason::ArchiveNotAuthentic
        } else {
            Reason::ArchiveDamaged
        };
        let changed = in_both(&good, &name, (14, 16), &[1, 2, 3, 4]);
        assert_eq!(reason(&changed, &key), expected, "{name}");
    }
    let (local, _) = records_of(&good, "documents/Relevé.csv");
    let size = u32::from_le_bytes(good[local + 22..local + 26].try_into().unwrap());
    for lie in [size - 1, size + 1] {
        // The manifest says the size too.
        let changed = in_both(&good, "documents/Relevé.csv", (22, 24), &lie.to_le_bytes());
        assert_eq!(reason(&changed, &key), Reason::ArchiveDamaged);
    }
    for (at, lie) in [((22, 24), u32::MAX - 1), ((18, 20), 3), ((18, 20), u32::MAX - 1)] {
        let changed = in_both(&good, "documents/Relevé.csv", at, &lie.to_le_bytes());
        assert_eq!(reason(&changed, &key), Reason::ArchiveUnreadable, "{at:?} {lie}");
    }
}

/// Packs more, or less, than its records and a signed manifest say.
#[test]
fn a_content_that_unpacks_to_more_or_less_than_everything_says() {
    let key = Key::new();
    let good = entries(&archive(&key));
    let name = "documents/Relevé.csv";
    let whole = good[place(&good, name)].1.clone();
    for lie in [whole.len() - 1, whole.len() + 1, 0, 2 * whole.len()] {
        let mut listed = good.clone();
        let at = place(&listed, name);
        // Signed as if it had that size; then the real content is packed instead.
        listed[at].1 = vec![b'x'; lie];
        let mut told = entries(&listed_and_signed(listed, &key));
        told[at].1 = whole.clone();
        let packed = zip_of(&told);
        assert_eq!(reason(&packed, &key), Reason::ArchiveDamaged);
        let lying = in_both(&packed, name, (22, 24), &(lie as u32).to_le_bytes());
        assert_eq!(reason(&lying, &key), Reason::ArchiveDamaged, "{lie}");
    }
}

type ZipWriter = zip::ZipWriter<Cursor<Vec<u8>>>;

/// Counts what is read of a file.
struct Counting<'a> {
    bytes: Cursor<&'a [u8]>,
    read: u64,
}

impl Read for Counting<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let read = self.bytes.read(out)?;
        self.read += read as u64;
        Ok(read)
    }
}

impl Seek for Counting<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.bytes.seek(to)
    }
}

#[test]
fn a_bomb_is_not_unpacked_before_its_signature_fits() {
    let key = Key::new();
    let mut bomb = entries(&archive(&key));
    let at = place(&bomb, "documents/Relevé.csv");
    bomb[at].1 = vec![0; 64 << 20];
    // Enough before it that a bomb lies out of the reach of buffers.
    bomb.insert(at, ("documents/before.bin".into(), noise(300_000)));
    let last = bomb.len() - 1;
    bomb[last].1 = Key::new().sign(&oubli_domain::Sha256::of(&bomb[last - 1].1));
    let archive = zip_of(&bomb);
    assert!(archive.len() < 1 << 20);
    let mut reader = Counting {
        bytes: Cursor::new(&archive),
        read: 0,
    };
    let keys = std::slice::from_ref(&key.public);
    let Err(refusal) = oubli_archive::saved::open(&mut reader, keys, &tenant()) else {
        panic!("it was accepted")
    };
    assert_eq!(refusal.reason(), Some(Reason::ArchiveNotAuthentic));
    assert!(reader.read < 50_000, "{} of {} bytes", reader.read, archive.len());

    // A manifest that is one: longer than any is, and as long as one could be.
    for (size, expected) in [(65 << 20, 10_000), (8 << 20, 200_000)] {
        let mut entries = bomb.clone();
        entries[at + 1].1 = Vec::new();
        entries[last - 1].1 = vec![b' '; size];
        let archive = zip_of(&entries);
        let mut reader = Counting {
            bytes: Cursor::new(&archive),
            read: 0,
        };
        let opened = oubli_archive::saved::open(&mut reader, keys, &tenant());
        assert_eq!(
            opened.err().and_then(|refusal| refusal.reason()),
            Some(Reason::ArchiveNotAuthentic)
        );
        assert!(reader.read < expected, "{} bytes", reader.read);
    }
}

#[test]
fn archives_within_archives() {
    let key = Key::new();
    let inner = archive(&key);
    let outer: Entries = vec![("documents/archive.zip".into(), inner.clone())];
    assert_eq!(reason(&zip_of(&outer), &key), Reason::ArchiveNotAuthentic);
    for hidden in [
        [&inner[..], &inner[..]].concat(),
        [b"MZ self-extracting", &inner[..]].concat(),
        [&inner[..], b"\0"].concat(),
        [&inner[..inner.len() - 22], b"hidden", &inner[inner.len() - 22..]].concat(),
    ] {
        assert_eq!(reason(&hidden, &key), Reason::ArchiveUnreadable);
    }
}

#[test]
fn files_of_other_programs() {
    let key = Key::new();
    for other in [
        &b""[..],
        b"P",
        b"PK",
        b"PK\x03\x04",
        b"PK\x05\x06",
        b"%PDF-1.7\n%%EOF\n",
        b"<!doctype html>",
        b"\x1F\x8B\x08\0\0\0\0\0",
        &[0; 100_000],
    ] {
        assert_eq!(reason(other, &key), Reason::ArchiveUnreadable);
    }
    let good = entries(&archive(&key));
    let written = |make: &dyn Fn(&mut ZipWriter)| {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        make(&mut writer);
        let options = SimpleFileOptions::default();
        for (name, content) in &good {
            writer.start_file(name.as_str(), options).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    };
    let options = SimpleFileOptions::default();
    for archive in [
        written(&|_| {}),
        written(&|writer| writer.set_comment("hello").unwrap()),
        written(&|writer| writer.add_directory("documents/", options).unwrap()),
        written(&|writer| {
            writer
                .add_symlink("documents/link", "/etc/passwd", options)
                .unwrap()
        }),
        written(&|writer| writer.start_file("../evil", options).unwrap()),
    ] {
        assert_eq!(reason(&archive, &key), Reason::ArchiveUnreadable);
    }
}

/// A file of which only the length matters.
struct Endless(u64);

impl Read for Endless {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        panic!("nothing of it is read")
    }
}

impl Seek for Endless {
    fn seek(&mut self, _: SeekFrom) -> std::io::Result<u64> {
        Ok(self.0)
    }
}

#[test]
fn more_than_twenty_gibibytes() {
    let key = Key::new();
    let opened = oubli_archive::saved::open(
        Endless(MAX_ARCHIVE_BYTES + 1),
        std::slice::from_ref(&key.public),
        &tenant(),
    );
    let reason = opened.err().and_then(|refusal| refusal.reason());
    assert_eq!(reason, Some(Reason::ArchiveTooLarge));
}

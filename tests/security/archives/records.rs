//! Files of which the records lie: whoever sends them needs no key. Manifest and signature are the honest
//! ones throughout.

use std::io::{Cursor, Write as _};

use super::Case;
use oubli_tests::forging::{self, Entry, Laid, document, end, laid, zip_of, zip64_end};

const UNREADABLE: &str = "archive_unreadable";
const DAMAGED: &str = "archive_damaged";
const NOT_AUTHENTIC: &str = "archive_not_authentic";
const TOO_LARGE: &str = "archive_too_large";

/// What is no archive at all.
pub(super) fn files(saved: &[u8]) -> Vec<Case> {
    let mut noise = vec![7_u8; 70_000];
    for at in 1..noise.len() {
        noise[at] = noise[at - 1].wrapping_mul(141).wrapping_add(3);
    }
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("one byte", vec![0]),
        ("zeroes", vec![0; 70_000]),
        ("noise", noise),
        ("a PDF", b"%PDF-1.7\n%%EOF\n".to_vec()),
        ("JSON", b"{\"format\": \"oubli-archive\"}".to_vec()),
        ("HTML", b"<!doctype html><script>alert(1)</script>".to_vec()),
        (
            "gzip",
            b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0".to_vec(),
        ),
        ("7z", b"7z\xbc\xaf\x27\x1c\0\x04".to_vec()),
        ("a beginning and no more", b"PK\x03\x04".to_vec()),
        (
            "a beginning and zeroes",
            [b"PK\x03\x04".as_slice(), &[0; 500]].concat(),
        ),
        ("a spanned archive", [b"PK\x07\x08".as_slice(), saved].concat()),
        (
            "a script before it",
            [b"#!/bin/sh\nexit\n".as_slice(), saved].concat(),
        ),
        ("a program before it", [b"MZ\x90\0".as_slice(), saved].concat()),
        ("a PDF before it", [b"%PDF-1.7\n".as_slice(), saved].concat()),
        ("a byte behind it", [saved, b"\n"].concat()),
        ("a page behind it", [saved, &[0; 4096]].concat()),
        ("twice", [saved, saved].concat()),
        ("written by another program", by_another_program(saved)),
    ];
    let mut cases: Vec<Case> = files
        .into_iter()
        .map(|(what, bytes)| Case::new(what, bytes, UNREADABLE))
        .collect();
    cases.push(Case::new("an archive of nothing", end(0, 0, 0), NOT_AUTHENTIC));
    cases
}

fn by_another_program(saved: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for entry in forging::entries_of(saved) {
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file(entry.text(), options).unwrap();
        zip.write_all(&entry.data).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The file cut off at every hundredth of it, and by one byte.
pub(super) fn truncated(saved: &[u8]) -> Vec<Case> {
    let mut lengths: Vec<_> = (0..100)
        .map(|percent| (saved.len() * percent / 100).max(1))
        .collect();
    lengths.push(saved.len() - 1);
    let cut = |length| {
        Case::new(
            format!("cut to {length} bytes"),
            saved[..length].to_vec(),
            UNREADABLE,
        )
    };
    lengths.into_iter().map(cut).collect()
}

/// One bit the other way round, at every hundredth of the file: whatever it hits, something tells.
pub(super) fn flipped(saved: &[u8]) -> Vec<Case> {
    let flip = |percent: usize| {
        let at = saved.len() * percent / 100;
        let mut bytes = saved.to_vec();
        bytes[at] ^= 1 << (percent % 8);
        let reasons = [UNREADABLE, DAMAGED, NOT_AUTHENTIC];
        Case::of_any(format!("byte {at} changed"), bytes, &reasons)
    };
    (0..100).map(flip).collect()
}

/// What is said of one document, by its own record, by the directory, or by both.
pub(super) fn of_an_entry(base: &[Entry]) -> Vec<Case> {
    let at = document(base);
    let changed = |change: &dyn Fn(&mut Entry)| {
        let mut entries = base.to_vec();
        change(&mut entries[at]);
        entries
    };
    type Change = Box<dyn Fn(&mut Entry)>;
    let flags = |bits: u16| -> Change { Box::new(move |entry| entry.flags |= bits) };
    let method = |method: u16| -> Change { Box::new(move |entry| entry.method = method) };
    let mode = |mode: u32| -> Change { Box::new(move |entry| entry.mode = mode) };
    let name = |name: &'static [u8]| -> Change { Box::new(move |entry| entry.name = name.to_vec()) };
    let longer: Change = Box::new(|entry| entry.size += 1);
    let shorter: Change = Box::new(|entry| entry.size -= 1);
    let changes: Vec<(&str, Change)> = vec![
        ("is encrypted", flags(1)),
        ("is strongly encrypted", flags(0x41)),
        ("has its header masked", flags(0x2000)),
        ("has a descriptor", flags(8)),
        ("is a patch", flags(0x20)),
        ("is deflate64", method(9)),
        ("is bzip2", method(12)),
        ("is LZMA", method(14)),
        ("is Zstandard", method(93)),
        ("is AES", method(99)),
        ("is of no method", method(0xffff)),
        ("has a longer content", longer),
        ("has a shorter content", shorter),
        ("takes one byte more", Box::new(|entry| entry.compressed += 1)),
        ("takes one byte less", Box::new(|entry| entry.compressed -= 1)),
        ("takes no byte", Box::new(|entry| entry.compressed = 0)),
        ("has four gigabytes", Box::new(|entry| entry.size = u32::MAX - 1)),
        (
            "takes four gigabytes",
            Box::new(|entry| (entry.size, entry.compressed) = (u32::MAX - 1, u32::MAX - 1)),
        ),
        (
            "sends to ZIP64 for its sizes",
            Box::new(|entry| {
                (entry.size, entry.compressed) = (u32::MAX, u32::MAX);
                let field = [1_u16.to_le_bytes(), 16_u16.to_le_bytes()].concat();
                entry.extra = [field, (1_u64 << 60).to_le_bytes().repeat(2)].concat();
            }),
        ),
        (
            "sends to ZIP64 for nothing",
            Box::new(|entry| (entry.size, entry.compressed) = (u32::MAX, u32::MAX)),
        ),
        (
            "has another name besides",
            Box::new(|entry| {
                // APPNOTE 4.6.9, Info-ZIP Unicode Path.
                let path = b"../../etc/cron.d/x";
                let head = [0x7075_u16.to_le_bytes(), (5 + path.len() as u16).to_le_bytes()].concat();
                entry.extra = [&head, [1_u8, 0, 0, 0, 0].as_slice(), path].concat();
            }),
        ),
        (
            "has half an extra field",
            Box::new(|entry| entry.extra = vec![1, 0, 9]),
        ),
        ("has a name in no UTF-8", name(b"documents/\xff\xfe")),
        (
            "says that its name is in no UTF-8",
            Box::new(|entry| entry.flags = 0),
        ),
        (
            "has a name of 2,000 letters",
            Box::new(|entry| {
                entry.name = [b"documents/".to_vec(), vec![b'a'; 2_000]].concat();
            }),
        ),
    ];
    let in_directory: Vec<(&str, Change)> = vec![
        ("is a symbolic link", mode(0o120_777 << 16)),
        ("is a folder", mode(0o040_755 << 16)),
        ("is a device", mode(0o060_644 << 16)),
        ("is a pipe", mode(0o010_644 << 16)),
        ("is a program of its owner's", mode(0o104_755 << 16)),
        ("is of no kind", mode(0)),
        ("is a folder of DOS", mode((0o100_644 << 16) | 0x10)),
        ("lies at the beginning", Box::new(|entry| entry.at = Some(0))),
        (
            "lies beyond the end",
            Box::new(|entry| entry.at = Some(u32::MAX - 1)),
        ),
        ("lies in ZIP64", Box::new(|entry| entry.at = Some(u32::MAX))),
        ("has another name in the directory", name(b"documents/x.txt")),
        (
            "has another CRC in the directory",
            Box::new(|entry| entry.crc32 ^= 1),
        ),
        ("is older in the directory", flags(0x10)),
    ];
    let mut cases = Vec::new();
    let mut push = |what: String, laid: Laid| cases.push(Case::new(what, laid.ended(), UNREADABLE));
    for (what, change) in &changes {
        let entries = changed(change);
        push(format!("a document that {what}"), laid(&entries, &entries, b""));
        push(format!("… by its record: {what}"), laid(&entries, base, b""));
        push(format!("… by the directory: {what}"), laid(base, &entries, b""));
    }
    for (what, change) in &in_directory {
        push(
            format!("a document that {what}"),
            laid(base, &changed(change), b""),
        );
    }
    let deflated = changed(&|entry| entry.method = 8);
    push("… by its record: is deflated".into(), laid(&deflated, base, b""));
    push(
        "… by the directory: is deflated".into(),
        laid(base, &deflated, b""),
    );
    let crc = changed(&|entry| entry.crc32 ^= 1);
    push(
        "a document with another CRC by its record".into(),
        laid(&crc, base, b""),
    );
    cases.push(Case::new("a document with another CRC", zip_of(&crc), DAMAGED));
    let what = "a document that is deflated, it says";
    cases.push(Case::new(what, zip_of(&deflated), DAMAGED));
    cases
}

/// What is said of the whole.
pub(super) fn of_the_whole(base: &[Entry]) -> Vec<Case> {
    let (at, last) = (document(base), base.len() - 1);
    let honest = || laid(base, base, b"");
    let (entries, offset, size) = {
        let honest = honest();
        (honest.entries as u64, honest.directory as u64, honest.size as u64)
    };
    let with_end = |end: Vec<u8>| [honest().bytes, end].concat();
    let classic =
        |entries: u64, offset: u64, size: u64| with_end(end(entries as u16, offset as u32, size as u32));
    let wide =
        |entries: u64, offset: u64, size: u64| with_end(zip64_end(entries, offset, size, offset + size));
    let mut swapped = base.to_vec();
    swapped.swap(at, at + 1);
    let without = [&base[..at], &base[at + 1..]].concat();
    let begin: usize = base[..at]
        .iter()
        .map(|entry| 30 + entry.name.len() + entry.data.len())
        .sum();
    let twin = |name: &str| Entry {
        name: name.as_bytes().to_vec(),
        at: Some(begin as u32),
        ..base[at].clone()
    };
    let overlapping: Vec<Entry> = base
        .iter()
        .cloned()
        .chain((0..500).map(|index| twin(&format!("documents/{index}.txt"))))
        .collect();
    let mut quoting = base.to_vec();
    // Its data are all that follows, records and all (D. Fifield, "A better zip bomb", 2019).
    quoting[at].compressed = (offset as usize - begin - 30 - base[at].name.len()) as u32;
    quoting[at].size = quoting[at].compressed;
    let mut comment = honest().ended();
    let length = comment.len();
    comment[length - 2] = 5;
    comment.extend(b"12345");
    let mut second_disk = honest().ended();
    second_disk[length - 18] = 1;

    let cases: Vec<(&str, Vec<u8>, &'static str)> = vec![
        (
            "bytes before the directory",
            laid(base, base, b"hidden").ended(),
            UNREADABLE,
        ),
        (
            "a record before the directory",
            laid(base, base, b"PK\x03\x04").ended(),
            UNREADABLE,
        ),
        (
            "entries in another order",
            laid(&swapped, base, b"").ended(),
            UNREADABLE,
        ),
        (
            "a directory in another order",
            laid(base, &swapped, b"").ended(),
            UNREADABLE,
        ),
        (
            "a directory that leaves one out",
            laid(base, &without, b"").ended(),
            UNREADABLE,
        ),
        (
            "a directory that leaves the last out",
            laid(base, &base[..last], b"").ended(),
            UNREADABLE,
        ),
        (
            "a directory that leaves the first out",
            laid(base, &base[1..], b"").ended(),
            UNREADABLE,
        ),
        (
            "a directory without anything",
            laid(base, &[], b"").ended(),
            UNREADABLE,
        ),
        (
            "500 entries over one",
            laid(base, &overlapping, b"").ended(),
            UNREADABLE,
        ),
        (
            "an entry that quotes those behind it",
            laid(base, &quoting, b"").ended(),
            UNREADABLE,
        ),
        ("a comment", comment, UNREADABLE),
        ("a second disk", second_disk, UNREADABLE),
        (
            "an entry more than there is",
            classic(entries + 1, offset, size),
            UNREADABLE,
        ),
        (
            "an entry less than there is",
            classic(entries - 1, offset, size),
            UNREADABLE,
        ),
        ("no entries", classic(0, offset, size), UNREADABLE),
        ("65,534 entries", classic(65_534, offset, size), UNREADABLE),
        (
            "65,535 entries, and no ZIP64",
            classic(65_535, offset, size),
            UNREADABLE,
        ),
        (
            "a directory one byte later",
            classic(entries, offset + 1, size),
            UNREADABLE,
        ),
        (
            "a directory at the beginning",
            classic(entries, 0, size),
            UNREADABLE,
        ),
        (
            "a directory beyond the end",
            classic(entries, 0xffff_fffe, size),
            UNREADABLE,
        ),
        (
            "a larger directory",
            classic(entries, offset, size + 1),
            UNREADABLE,
        ),
        (
            "a directory of four gigabytes",
            classic(entries, offset, 0xffff_fffe),
            UNREADABLE,
        ),
        ("no directory", classic(entries, offset, 0), UNREADABLE),
        ("needless ZIP64", wide(entries, offset, size), UNREADABLE),
        ("ZIP64 with no entries", wide(0, offset, size), UNREADABLE),
        (
            "ZIP64 with 100,001 entries",
            wide(100_001, offset, size),
            TOO_LARGE,
        ),
        (
            "ZIP64 with more entries than bytes",
            wide(1 << 40, offset, size),
            TOO_LARGE,
        ),
        (
            "ZIP64 with 100,000 entries",
            wide(100_000, offset, size),
            UNREADABLE,
        ),
        (
            "ZIP64 far beyond the end",
            with_end(zip64_end(entries, 1 << 60, size, offset)),
            UNREADABLE,
        ),
        (
            "ZIP64 beyond what 64 bits hold",
            with_end(zip64_end(entries, u64::MAX, u64::MAX, u64::MAX)),
            UNREADABLE,
        ),
        (
            "ZIP64 with a huge directory",
            wide(entries, offset, 1 << 40),
            UNREADABLE,
        ),
        (
            "ZIP64 elsewhere",
            with_end(zip64_end(70_000, offset, size, 7)),
            UNREADABLE,
        ),
    ];
    cases
        .into_iter()
        .map(|(what, bytes, reason)| Case::new(what, bytes, reason))
        .collect()
}

use std::io::{Cursor, Read};

use proptest::prelude::*;

use super::*;

/// A window below [`PATCH_WINDOW_BYTES`], so that every kind of header is met by small contents.
const WINDOW: u64 = 100_000;
const SMALL: Limits = Limits {
    patch_window_bytes: WINDOW,
    archive_bytes: 2_000_000,
    entries: 20,
};

#[derive(Clone, Debug)]
struct Planned {
    name: String,
    content: Vec<u8>,
    crc_known: bool,
    chunk: usize,
}

fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
    .take(len)
    .collect()
}

fn text(len: usize) -> Vec<u8> {
    (0u32..)
        .flat_map(|n| format!("{};é;{n}\n", n * 7919 % 1009).into_bytes())
        .take(len)
        .collect()
}

fn crc32(content: &[u8]) -> Crc32 {
    let mut hasher = ContentHasher::new();
    hasher.update(content);
    hasher.finish().crc32
}

struct Written {
    bytes: Vec<u8>,
    records: Vec<EntryRecord>,
    summary: ArchiveSummary,
    largest_part: usize,
}

fn drain(writer: &mut ArchiveWriter, written: &mut Vec<u8>) -> Result<usize, ZipError> {
    let mut largest = 0;
    while let Some(part) = writer.take_part()? {
        largest = largest.max(part.len());
        written.extend_from_slice(&part);
    }
    Ok(largest)
}

fn write_all(entries: &[Planned], part_size: usize, limits: Limits) -> Result<Written, ZipError> {
    let mut writer = ArchiveWriter::with_limits(part_size, limits);
    let (mut bytes, mut records, mut largest_part) = (Vec::new(), Vec::new(), 0);
    for entry in entries {
        let mut plan = EntryPlan {
            name: &entry.name,
            size_bytes: entry.content.len() as u64,
            crc32: entry.crc_known.then(|| crc32(&entry.content)),
            modified: DosTime::EARLIEST,
        };
        let (head, rest) = entry.content.split_at(entry.content.len().min(TRIAL_BYTES));
        match writer.start_entry(&plan, head) {
            Err(ZipError::CrcNeeded { .. }) => {
                assert!(!entry.crc_known && plan.size_bytes > limits.patch_window_bytes);
                plan.crc32 = Some(crc32(&entry.content));
                writer.start_entry(&plan, head)?;
            }
            started => started?,
        }
        for chunk in rest.chunks(entry.chunk) {
            writer.write(chunk)?;
            largest_part = largest_part.max(drain(&mut writer, &mut bytes)?);
        }
        records.push(writer.finish_entry()?);
        largest_part = largest_part.max(drain(&mut writer, &mut bytes)?);
    }
    let summary = writer.finish()?;
    drain(&mut writer, &mut bytes)?;
    Ok(Written {
        bytes,
        records,
        summary,
        largest_part,
    })
}

fn planned() -> impl Strategy<Value = Planned> {
    let size = prop_oneof![
        Just(0usize),
        1..2_000usize,
        65_534..65_540usize,
        99_998..100_003usize,
        131_070..131_075usize,
        0..250_000usize,
    ];
    (
        size,
        0..3u8,
        any::<u64>(),
        any::<bool>(),
        1..90_000usize,
        "[a-zé🦀]{1,8}",
    )
        .prop_map(|(len, kind, seed, crc_known, chunk, name)| Planned {
            name: format!("{seed}/{name}"),
            content: match kind {
                0 => text(len),
                1 => noise(len, seed),
                _ => [text(len / 2), noise(len - len / 2, seed)].concat(),
            },
            crc_known,
            chunk,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_was_written_is_read_back_by_another_reader(
        entries in proptest::collection::vec(planned(), 0..7),
        part_size in prop_oneof![1_000..10_000usize, 60_000..300_000usize],
    ) {
        let written = write_all(&entries, part_size, SMALL).unwrap();
        prop_assert!(written.largest_part <= part_size);
        prop_assert_eq!(written.summary.size_bytes, written.bytes.len() as u64);
        prop_assert_eq!(written.summary.sha256, Sha256::of(&written.bytes));
        prop_assert_eq!(written.summary.entries, entries.len() as u64);

        let mut reader = zip::ZipArchive::new(Cursor::new(&written.bytes)).unwrap();
        prop_assert_eq!(reader.len(), entries.len());
        for (index, (entry, record)) in entries.iter().zip(&written.records).enumerate() {
            let mut file = reader.by_index(index).unwrap();
            prop_assert_eq!(file.name().unwrap(), entry.name.as_str());
            prop_assert_eq!(file.size(), entry.content.len() as u64);
            prop_assert_eq!(file.compressed_size(), record.compressed_size_bytes);
            prop_assert_eq!(file.unix_mode(), Some(0o100_644));
            let mut content = Vec::new();
            file.read_to_end(&mut content).unwrap();
            prop_assert!(content == entry.content);
            prop_assert_eq!(record.sha256, Sha256::of(&entry.content));
            prop_assert_eq!(record.crc32, crc32(&entry.content));
            prop_assert!(record.compressed_size_bytes <= record.size_bytes + 200);
        }

        // The same bytes, however they are cut and whatever was known beforehand.
        let turned: Vec<Planned> = entries
            .iter()
            .cloned()
            .map(|entry| Planned { crc_known: !entry.crc_known, chunk: 65_536, ..entry })
            .collect();
        let again = write_all(&turned, 77_777, SMALL).unwrap();
        prop_assert!(again.bytes == written.bytes);
    }
}

fn one(content: Vec<u8>) -> Vec<Planned> {
    vec![Planned {
        name: "one".into(),
        content,
        crc_known: false,
        chunk: 10_000,
    }]
}

fn flags(written: &Written) -> u16 {
    u16::from_le_bytes([written.bytes[6], written.bytes[7]])
}

#[test]
fn only_a_deflated_entry_beyond_the_window_has_a_descriptor() {
    let small = write_all(&one(text(WINDOW as usize)), 4_000, SMALL).unwrap();
    assert_eq!(
        (small.records[0].method, flags(&small)),
        (Method::Deflated, 1 << 11)
    );
    let large = write_all(&one(text(WINDOW as usize + 1)), 4_000, SMALL).unwrap();
    assert_eq!(
        (large.records[0].method, flags(&large)),
        (Method::Deflated, (1 << 11) | (1 << 3))
    );
    let stored = write_all(&one(noise(WINDOW as usize + 1, 7)), 4_000, SMALL).unwrap();
    assert_eq!(
        (stored.records[0].method, flags(&stored)),
        (Method::Stored, 1 << 11)
    );
    assert_eq!(
        stored.bytes[14..18],
        crc32(&noise(WINDOW as usize + 1, 7)).value().to_le_bytes()
    );
}

#[test]
fn an_open_patched_header_keeps_its_part_and_a_final_one_lets_it_go() {
    let plan = |crc32| EntryPlan {
        name: "a",
        size_bytes: 99_000,
        crc32,
        modified: DosTime::EARLIEST,
    };
    let content = noise(99_000, 3);
    let mut writer = ArchiveWriter::with_limits(10_000, SMALL);
    writer.start_entry(&plan(None), &content).unwrap();
    assert_eq!(writer.take_part(), Ok(None));
    writer.finish_entry().unwrap();
    assert!(writer.take_part().unwrap().is_some());

    let content = noise(WINDOW as usize + 1, 3);
    let plan = EntryPlan {
        size_bytes: WINDOW + 1,
        ..plan(Some(crc32(&content)))
    };
    let mut writer = ArchiveWriter::with_limits(10_000, SMALL);
    writer.start_entry(&plan, &content).unwrap();
    assert!(writer.take_part().unwrap().is_some());
}

/// Starts one entry of 10 bytes and does the rest with it.
fn refusal(run: impl FnOnce(&mut ArchiveWriter) -> Result<(), ZipError>) -> ZipError {
    let mut writer = ArchiveWriter::with_limits(4, SMALL);
    let plan = EntryPlan {
        name: "a",
        size_bytes: 10,
        crc32: Some(crc32(b"0123456789")),
        modified: DosTime::EARLIEST,
    };
    writer.start_entry(&plan, b"0123456789").unwrap();
    let error = run(&mut writer).unwrap_err();
    assert_eq!(
        writer.take_part(),
        Err(ZipError::Poisoned),
        "nothing comes out after {error}"
    );
    assert_eq!(writer.finish(), Err(ZipError::Poisoned));
    error
}

#[test]
fn after_an_error_nothing_more_comes_out() {
    let other = |name, size_bytes, crc32| EntryPlan {
        name,
        size_bytes,
        crc32,
        modified: DosTime::EARLIEST,
    };
    assert_eq!(
        refusal(|writer| writer.write(b"x")),
        ZipError::SizeMismatch {
            expected: 10,
            actual: 11
        }
    );
    assert_eq!(refusal(|writer| writer.finish().map(drop)), ZipError::OutOfOrder);
    assert_eq!(
        refusal(|writer| writer.start_entry(&other("b", 0, None), b"")),
        ZipError::OutOfOrder
    );
    let after = |run: fn(&mut ArchiveWriter) -> Result<(), ZipError>| {
        refusal(|writer| {
            writer.finish_entry()?;
            run(writer)
        })
    };
    assert_eq!(after(|writer| writer.write(b"")), ZipError::OutOfOrder);
    assert_eq!(
        after(|writer| writer.finish_entry().map(drop)),
        ZipError::OutOfOrder
    );
    let started = |plan: EntryPlan<'_>, head: &[u8]| {
        refusal(|writer| {
            writer.finish_entry()?;
            writer.start_entry(&plan, head)?;
            writer.finish_entry().map(drop)
        })
    };
    assert_eq!(
        started(other("b", 1, None), b"xx"),
        ZipError::SizeMismatch {
            expected: 1,
            actual: 2
        }
    );
    assert_eq!(
        started(other("b", 3, None), b"xx"),
        ZipError::HeadTooShort { needed: 3, given: 2 }
    );
    assert_eq!(
        started(other("b", 70_000, None), &[0; 65_536]),
        ZipError::SizeMismatch {
            expected: 70_000,
            actual: 65_536
        }
    );
    assert_eq!(
        started(other("b", 2, Some(Crc32::new(1))), b"xx"),
        ZipError::CrcMismatch
    );
    for name in ["", "/a", "a//b", "../a", "a/..", "a\\b", "C:a", "a\0", "a/"] {
        assert_eq!(started(other(name, 0, None), b""), ZipError::UnsafeName, "{name}");
    }
}

#[test]
fn a_missing_crc_is_asked_for_and_harms_nothing() {
    let content = noise(WINDOW as usize + 1, 9);
    let mut writer = ArchiveWriter::with_limits(10_000, SMALL);
    let plan = EntryPlan {
        name: "a",
        size_bytes: WINDOW + 1,
        crc32: None,
        modified: DosTime::EARLIEST,
    };
    assert_eq!(
        writer.start_entry(&plan, &content),
        Err(ZipError::CrcNeeded {
            size_bytes: WINDOW + 1
        })
    );
    assert_eq!(writer.position_bytes(), 0);
    let plan = EntryPlan {
        crc32: Some(crc32(&content)),
        ..plan
    };
    writer.start_entry(&plan, &content).unwrap();
    writer.finish_entry().unwrap();
    assert_eq!(writer.finish().unwrap().entries, 1);
}

#[test]
fn the_limits_hold_and_nothing_below_them_is_refused() {
    let entries: Vec<Planned> = (0..21)
        .map(|n| Planned {
            name: format!("{n}"),
            ..one(Vec::new()).remove(0)
        })
        .collect();
    assert!(write_all(&entries[..20], 4_000, SMALL).is_ok());
    assert_eq!(
        write_all(&entries, 4_000, SMALL).err(),
        Some(ZipError::TooManyEntries { limit: 20 })
    );
    // 31 of local header, 47 of directory, 22 of end.
    let exact = Limits {
        archive_bytes: 31 + 2 + 5_000 + 49 + 22,
        ..SMALL
    };
    let large = Some(ZipError::ArchiveTooLarge {
        limit_bytes: exact.archive_bytes,
    });
    assert!(write_all(&one(noise(5_000, 1)), 4_000, exact).is_ok());
    assert_eq!(write_all(&one(noise(5_001, 1)), 4_000, exact).err(), large);
    assert_eq!(write_all(&one(noise(6_000, 1)), 4_000, exact).err(), large);
    assert_eq!(
        write_all(&one([noise(5_100, 1), text(40_000)].concat()), 4_000, exact).err(),
        large
    );
}

#[test]
fn the_real_limits_are_those_of_the_product() {
    let mut writer = ArchiveWriter::new(DEFAULT_PART_BYTES);
    let plan = EntryPlan {
        name: "a",
        size_bytes: MAX_ARCHIVE_BYTES,
        crc32: Some(Crc32::new(0)),
        modified: DosTime::EARLIEST,
    };
    let head = noise(TRIAL_BYTES, 1);
    assert_eq!(
        writer.start_entry(&plan, &head),
        Err(ZipError::ArchiveTooLarge {
            limit_bytes: 21_474_836_480
        })
    );
    let mut writer = ArchiveWriter::new(DEFAULT_PART_BYTES);
    let plan = EntryPlan {
        size_bytes: PATCH_WINDOW_BYTES + 1,
        crc32: None,
        ..plan
    };
    assert_eq!(
        writer.start_entry(&plan, &head),
        Err(ZipError::CrcNeeded {
            size_bytes: PATCH_WINDOW_BYTES + 1
        })
    );
    assert!(!deflate_is_possible(0xFFFF_FFFF) && !deflate_is_possible(0xFFFF_FFFF - 1));
    assert!(deflate_is_possible(0x1_0000_0000) && deflate_is_possible(0xF000_0000));
}

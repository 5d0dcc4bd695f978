//! Directories and ends that lie: about where entries are, how large, and how many.

use oubli_domain::Reason;

use crate::records::records_of;
use crate::support::{Key, archive, entries, reason};

/// An archive taken apart: what stands before the directory, the records of the directory.
struct Parts {
    data: Vec<u8>,
    records: Vec<Vec<u8>>,
}

impl Parts {
    fn of(archive: &[u8]) -> Self {
        let at: Vec<usize> = entries(archive)
            .iter()
            .map(|(name, _)| records_of(archive, name).1)
            .collect();
        let end = archive.len() - 22;
        let until = at.iter().skip(1).copied().chain([end]);
        Self {
            data: archive[..at[0]].to_vec(),
            records: at
                .iter()
                .zip(until)
                .map(|(from, to)| archive[*from..to].to_vec())
                .collect(),
        }
    }

    /// Put together again with an end that fits.
    fn joined(&self) -> Vec<u8> {
        let directory = self.records.concat();
        let (count, size, offset) = (self.records.len(), directory.len(), self.data.len());
        let end = classic_end(count as u16, size as u32, offset as u32);
        [&self.data[..], &directory, &end].concat()
    }

    /// The same with a ZIP64 end: what it says of count, size, offset, and where it says that it is.
    fn joined_zip64(&self, lie: impl FnOnce(&mut [u64; 5])) -> Vec<u8> {
        let directory = self.records.concat();
        let (count, size, offset) = (
            self.records.len() as u64,
            directory.len() as u64,
            self.data.len() as u64,
        );
        let mut told = [count, count, size, offset, offset + size];
        lie(&mut told);
        let mut end = b"PK\x06\x06".to_vec();
        end.extend_from_slice(&44u64.to_le_bytes());
        end.extend_from_slice(&[45, 3, 45, 0]);
        end.extend_from_slice(&[0; 8]);
        for value in &told[..4] {
            end.extend_from_slice(&value.to_le_bytes());
        }
        end.extend_from_slice(b"PK\x06\x07");
        end.extend_from_slice(&[0; 4]);
        end.extend_from_slice(&told[4].to_le_bytes());
        end.extend_from_slice(&1u32.to_le_bytes());
        let classic = classic_end(u16::MAX, u32::MAX, u32::MAX);
        [&self.data[..], &directory, &end, &classic].concat()
    }
}

fn classic_end(count: u16, size: u32, offset: u32) -> Vec<u8> {
    let mut end = b"PK\x05\x06\0\0\0\0".to_vec();
    end.extend_from_slice(&count.to_le_bytes());
    end.extend_from_slice(&count.to_le_bytes());
    end.extend_from_slice(&size.to_le_bytes());
    end.extend_from_slice(&offset.to_le_bytes());
    end.extend_from_slice(&[0, 0]);
    end
}

#[test]
fn entries_that_overlap_or_hide_something_between_them() {
    let key = Key::new();
    let good = archive(&key);
    let whole = Parts::of(&good);
    assert!(whole.joined() == good);
    let offset_of = |record: &[u8]| u32::from_le_bytes(record[42..46].try_into().unwrap());
    for index in 0..whole.records.len() {
        // At the place of another, between two, behind all.
        let places = [
            offset_of(&whole.records[(index + 1) % whole.records.len()]),
            offset_of(&whole.records[index]) + 1,
            whole.data.len() as u32,
            u32::MAX - 1,
        ];
        for place in places {
            let mut parts = Parts::of(&good);
            parts.records[index][42..46].copy_from_slice(&place.to_le_bytes());
            assert_eq!(
                reason(&parts.joined(), &key),
                Reason::ArchiveUnreadable,
                "{index} {place}"
            );
        }
        // Told twice, which is how kilobytes become terabytes; not told; in another order.
        let mut twice = Parts::of(&good);
        twice.records.insert(index, whole.records[index].clone());
        assert_eq!(reason(&twice.joined(), &key), Reason::ArchiveUnreadable);
        let mut hidden = Parts::of(&good);
        hidden.records.remove(index);
        assert_eq!(reason(&hidden.joined(), &key), Reason::ArchiveUnreadable);
        let mut turned = Parts::of(&good);
        turned.records.rotate_left(index);
        assert!(index == 0 || reason(&turned.joined(), &key) == Reason::ArchiveUnreadable);
    }
    let mut gap = Parts::of(&good);
    gap.data.extend_from_slice(b"hidden");
    assert_eq!(reason(&gap.joined(), &key), Reason::ArchiveUnreadable);
}

#[test]
fn an_end_that_lies() {
    let key = Key::new();
    let good = archive(&key);
    let parts = Parts::of(&good);
    let (count, size, offset) = (
        parts.records.len() as u64,
        parts.records.concat().len() as u64,
        parts.data.len() as u64,
    );
    // True in every number, and yet not as it is written here.
    assert_eq!(
        reason(&parts.joined_zip64(|_| {}), &key),
        Reason::ArchiveUnreadable
    );
    let interesting = |true_value: u64| {
        [
            0,
            true_value.wrapping_sub(1),
            true_value + 1,
            1 << 16,
            1 << 32,
            i64::MAX as u64,
            u64::MAX,
            0u64.wrapping_sub(true_value),
        ]
    };
    for (place, true_value) in [(0, count), (1, count), (2, size), (3, offset), (4, offset + size)] {
        for lie in interesting(true_value) {
            let archive = parts.joined_zip64(|told| told[place] = lie);
            let expected = if place == 1 && lie > 100_000 {
                Reason::ArchiveTooLarge
            } else {
                Reason::ArchiveUnreadable
            };
            assert_eq!(reason(&archive, &key), expected, "{place} {lie:x}");
        }
    }
    let more = parts.joined_zip64(|told| (told[0], told[1]) = (100_001, 100_001));
    assert_eq!(reason(&more, &key), Reason::ArchiveTooLarge);
    let end = good.len() - 22;
    for at in 4..22 {
        for value in [1, 0x7F, 0xFF] {
            let mut changed = good.clone();
            if changed[end + at] == value {
                continue;
            }
            changed[end + at] = value;
            assert_eq!(reason(&changed, &key), Reason::ArchiveUnreadable, "{at} {value}");
        }
    }
}

#[test]
fn entries_that_claim_gigabytes() {
    let key = Key::new();
    let good = archive(&key);
    for index in 0..Parts::of(&good).records.len() {
        for lie in [0, 1, 0xFFFF_FFFF, 1 << 40, u64::MAX] {
            // Size, compressed size, offset, each moved to the ZIP64 field.
            for at in [24, 20, 42] {
                let mut parts = Parts::of(&good);
                let record = &mut parts.records[index];
                record[at..at + 4].fill(0xFF);
                record[30..32].copy_from_slice(&12u16.to_le_bytes());
                record[6] = 45;
                record.extend_from_slice(&[1, 0, 8, 0]);
                record.extend_from_slice(&u64::to_le_bytes(lie));
                assert_eq!(
                    reason(&parts.joined(), &key),
                    Reason::ArchiveUnreadable,
                    "{index} {at} {lie:x}"
                );
            }
        }
        // A ZIP64 field with nothing in it, or with more.
        for extra in [
            &[1, 0, 0, 0][..],
            &[1, 0, 4, 0, 0, 0, 0, 0],
            &[0x75, 0x70, 1, 0, 0],
        ] {
            let mut parts = Parts::of(&good);
            let record = &mut parts.records[index];
            record[30..32].copy_from_slice(&(extra.len() as u16).to_le_bytes());
            record.extend_from_slice(extra);
            assert_eq!(reason(&parts.joined(), &key), Reason::ArchiveUnreadable);
        }
    }
}

//! The records of a ZIP file, byte for byte (PKWARE APPNOTE 6.3.10, section 4.3).

use std::ops::Range;

use super::DosTime;

/// From this value on a 32-bit field cannot hold a number: the value itself says "see the ZIP64 field".
pub(super) const U32_SENTINEL: u64 = 0xFFFF_FFFF;
const U16_SENTINEL: u64 = 0xFFFF;

const LOCAL_HEADER: u32 = 0x0403_4B50;
const DATA_DESCRIPTOR: u32 = 0x0807_4B50;
const CENTRAL_HEADER: u32 = 0x0201_4B50;
const ZIP64_END: u32 = 0x0606_4B50;
const ZIP64_LOCATOR: u32 = 0x0706_4B50;
const END: u32 = 0x0605_4B50;

/// A local header without name and extra field.
const LOCAL_BYTES: u64 = 30;
const ZIP64_EXTRA: u16 = 0x0001;
const VERSION_PLAIN: u16 = 20;
const VERSION_ZIP64: u16 = 45;
/// Host 3 is UNIX, so that the upper half of the external attributes is a file mode.
const MADE_BY: u16 = (3 << 8) | VERSION_ZIP64;
const REGULAR_FILE_0644: u32 = 0o100_644 << 16;

const FLAG_DESCRIPTOR: u16 = 1 << 3;
const FLAG_UTF8: u16 = 1 << 11;

/// How the bytes of an entry are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// As they are.
    Stored,
    /// Compressed (RFC 1951).
    Deflated,
}

impl Method {
    fn code(self) -> u16 {
        match self {
            Self::Stored => 0,
            Self::Deflated => 8,
        }
    }
}

/// What the records say about one entry.
#[derive(Clone, Debug)]
pub(crate) struct EntryHeader {
    pub(crate) name: String,
    pub(crate) method: Method,
    pub(crate) modified: DosTime,
    pub(crate) crc32: u32,
    pub(crate) size: u64,
    pub(crate) compressed_size: u64,
    pub(crate) offset: u64,
    /// CRC-32 and sizes stand behind the data, not before it.
    pub(crate) descriptor: bool,
}

impl EntryHeader {
    /// Whether the local header carries 64-bit sizes. Decided by the size alone, which is known from the
    /// start, so that a header that is patched later keeps its length.
    fn local_is_zip64(&self) -> bool {
        self.size >= U32_SENTINEL || (!self.descriptor && self.compressed_size >= U32_SENTINEL)
    }

    fn flags(&self) -> u16 {
        FLAG_UTF8 | if self.descriptor { FLAG_DESCRIPTOR } else { 0 }
    }

    fn local_bytes(&self) -> u64 {
        let zip64 = if self.local_is_zip64() { 20 } else { 0 };
        LOCAL_BYTES + self.name.len() as u64 + zip64
    }

    /// Where its data begins in the archive, and where it ends; `None` beyond what 64 bits hold.
    pub(super) fn data(&self) -> Option<Range<u64>> {
        let start = self.offset.checked_add(self.local_bytes())?;
        Some(start..start.checked_add(self.compressed_size)?)
    }

    /// Where the next record begins.
    pub(super) fn end(&self) -> Option<u64> {
        let descriptor = match (self.descriptor, self.local_is_zip64()) {
            (false, _) => 0,
            (true, false) => 16,
            (true, true) => 24,
        };
        self.data()?.end.checked_add(descriptor)
    }

    pub(super) fn local(&self) -> Vec<u8> {
        let zip64 = self.local_is_zip64();
        // APPNOTE 4.4.4: with bit 3 these are zero here and stand in the descriptor.
        let (crc32, size, compressed) = if self.descriptor {
            (0, 0, 0)
        } else {
            (self.crc32, self.size, self.compressed_size)
        };
        let mut record = Record::new(LOCAL_HEADER);
        record.u16(if zip64 { VERSION_ZIP64 } else { VERSION_PLAIN });
        record.u16(self.flags());
        record.u16(self.method.code());
        record.u16(self.modified.time());
        record.u16(self.modified.date());
        record.u32(crc32);
        record.u32_of(if zip64 { U32_SENTINEL } else { compressed });
        record.u32_of(if zip64 { U32_SENTINEL } else { size });
        record.u16_of(self.name.len() as u64);
        record.u16(if zip64 { 20 } else { 0 });
        record.bytes(self.name.as_bytes());
        if zip64 {
            record.u16(ZIP64_EXTRA);
            record.u16(16);
            record.u64(size);
            record.u64(compressed);
        }
        record.0
    }

    /// The descriptor behind the data: 64-bit sizes exactly when the local header is ZIP64, since that is
    /// how a streaming reader tells them apart.
    pub(super) fn data_descriptor(&self) -> Vec<u8> {
        let mut record = Record::new(DATA_DESCRIPTOR);
        record.u32(self.crc32);
        if self.local_is_zip64() {
            record.u64(self.compressed_size);
            record.u64(self.size);
        } else {
            record.u32_of(self.compressed_size);
            record.u32_of(self.size);
        }
        record.0
    }

    pub(super) fn central(&self) -> Vec<u8> {
        let large: Vec<u64> = [self.size, self.compressed_size, self.offset]
            .into_iter()
            .filter(|value| *value >= U32_SENTINEL)
            .collect();
        let zip64 = self.local_is_zip64() || !large.is_empty();
        let mut record = Record::new(CENTRAL_HEADER);
        record.u16(MADE_BY);
        record.u16(if zip64 { VERSION_ZIP64 } else { VERSION_PLAIN });
        record.u16(self.flags());
        record.u16(self.method.code());
        record.u16(self.modified.time());
        record.u16(self.modified.date());
        record.u32(self.crc32);
        record.u32_of(self.compressed_size);
        record.u32_of(self.size);
        record.u16_of(self.name.len() as u64);
        record.u16_of(if large.is_empty() {
            0
        } else {
            4 + 8 * large.len() as u64
        });
        record.u16(0); // comment length
        record.u16(0); // disk
        record.u16(0); // internal attributes
        record.u32(REGULAR_FILE_0644);
        record.u32_of(self.offset);
        record.bytes(self.name.as_bytes());
        if !large.is_empty() {
            record.u16(ZIP64_EXTRA);
            record.u16_of(8 * large.len() as u64);
            for value in large {
                record.u64(value);
            }
        }
        record.0
    }
}

/// The end of the archive: ZIP64 records where a number needs them, then the classic one.
pub(super) fn end_of_central_directory(entries: u64, offset: u64, size: u64) -> Vec<u8> {
    let zip64 = entries >= U16_SENTINEL || offset >= U32_SENTINEL || size >= U32_SENTINEL;
    let mut record = Record(Vec::with_capacity(98));
    if zip64 {
        record.u32(ZIP64_END);
        record.u64(44); // of this record, from here on
        record.u16(MADE_BY);
        record.u16(VERSION_ZIP64);
        record.u32(0); // this disk
        record.u32(0); // disk of the directory
        record.u64(entries);
        record.u64(entries);
        record.u64(size);
        record.u64(offset);
        record.u32(ZIP64_LOCATOR);
        record.u32(0); // disk of the ZIP64 record
        record.u64(offset + size);
        record.u32(1); // disks
    }
    record.u32(END);
    record.u16(0); // this disk
    record.u16(0); // disk of the directory
    record.u16_of(entries);
    record.u16_of(entries);
    record.u32_of(size);
    record.u32_of(offset);
    record.u16(0); // comment length
    record.0
}

struct Record(Vec<u8>);

impl Record {
    fn new(signature: u32) -> Self {
        let mut record = Self(Vec::with_capacity(160));
        record.u32(signature);
        record
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn u16(&mut self, value: u16) {
        self.bytes(&value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.bytes(&value.to_le_bytes());
    }

    /// A number, or the sentinel where it does not fit.
    fn u16_of(&mut self, value: u64) {
        self.u16(u16::try_from(value).unwrap_or(u16::MAX));
    }

    /// A number, or the sentinel where it does not fit.
    fn u32_of(&mut self, value: u64) {
        self.u32(u32::try_from(value).unwrap_or(u32::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(size: u64, compressed_size: u64, offset: u64, descriptor: bool) -> EntryHeader {
        EntryHeader {
            name: "a".into(),
            method: if descriptor {
                Method::Deflated
            } else {
                Method::Stored
            },
            modified: DosTime::EARLIEST,
            crc32: 0xDEAD_BEEF,
            size,
            compressed_size,
            offset,
            descriptor,
        }
    }

    #[test]
    fn sizes_move_to_the_zip64_field_at_the_sentinel_and_not_before() {
        let below = header(0xFFFF_FFFE, 0xFFFF_FFFE, 0, false);
        assert_eq!(below.local().len(), 31);
        assert_eq!(below.data(), Some(31..31 + 0xFFFF_FFFE));
        assert_eq!(below.central().len(), 47);
        let at = header(0xFFFF_FFFF, 0xFFFF_FFFF, 0, false);
        let local = at.local();
        assert_eq!(local.len(), 51);
        assert_eq!(local[4], 45);
        assert_eq!(local[18..26], [0xFF; 8]);
        assert_eq!(local[31..35], [1, 0, 16, 0]);
        assert_eq!(local[35..43], 0xFFFF_FFFF_u64.to_le_bytes());
        assert_eq!(at.central().len(), 47 + 4 + 16);
    }

    #[test]
    fn only_what_does_not_fit_is_in_the_central_zip64_field() {
        let far = header(5, 5, 0x1_0000_0000, false);
        assert_eq!(far.local().len(), 31);
        let central = far.central();
        assert_eq!(central.len(), 47 + 12);
        assert_eq!(central[42..46], [0xFF; 4]);
        assert_eq!(central[47..], [1, 0, 8, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(central[20..24], [5, 0, 0, 0]);
    }

    #[test]
    fn a_descriptor_is_as_wide_as_its_local_header_says() {
        let narrow = header(10, 5, 0, true);
        assert_eq!(narrow.local()[14..26], [0; 12]);
        assert_eq!(narrow.data_descriptor().len(), 16);
        let wide = header(0x1_0000_0000, 5, 0, true);
        let local = wide.local();
        assert_eq!((local.len(), &local[18..26]), (51, &[0xFF; 8][..]));
        assert_eq!(local[35..51], [0; 16]);
        assert_eq!(wide.data_descriptor().len(), 24);
        assert_eq!((narrow.end(), wide.end()), (Some(31 + 5 + 16), Some(51 + 5 + 24)));
    }

    #[test]
    fn the_end_grows_when_a_number_does_not_fit() {
        assert_eq!(end_of_central_directory(65_534, 0xFFFF_FFFE, 1).len(), 22);
        for (entries, offset, size) in [
            (65_535, 0, 0),
            (1, 0xFFFF_FFFF, 0),
            (1, 0, 0xFFFF_FFFF),
            (65_536, 0, 0),
        ] {
            let end = end_of_central_directory(entries, offset, size);
            assert_eq!(end.len(), 98);
            assert_eq!(end[24..32], entries.to_le_bytes());
            assert_eq!(end[64..72], (offset + size).to_le_bytes());
        }
    }
}

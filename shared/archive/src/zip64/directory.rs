//! Reads the records of an archive back, and accepts only what [`super::ArchiveWriter`] writes.
//!
//! A ZIP tells everything twice, and readers differ in which they believe: a file can show one name to one
//! program and another to the next, hide bytes between entries, or let entries overlap until kilobytes
//! become terabytes. Here every record is encoded again from what was read and must be the same bytes, and
//! the entries must follow each other without gap from the first byte to the directory.
//!
//! A failure of the reader is [`DirectoryError::Io`] and never taken for a fault of the archive.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use super::format::{EntryHeader, Method, U32_SENTINEL, end_of_central_directory};
use super::source::Source;
use super::{DosTime, MAX_ARCHIVE_BYTES, MAX_ENTRIES};

const END_BYTES: usize = 22;
const ZIP64_END_BYTES: usize = 98;
const CENTRAL_BYTES: usize = 46;
/// More than [`MAX_ENTRIES`] of the longest names that we write.
const MAX_DIRECTORY_BYTES: u64 = 32 * 1024 * 1024;
const MAX_NAME_BYTES: usize = 1024;
/// Deflate cannot do better: a match of 258 bytes takes at least two bits.
const MAX_RATIO: u64 = 1032;

/// Why the records are refused. Entries are told by their number, from 1: names are personal data.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// It cannot be read.
    #[error("the file cannot be read")]
    Io(#[from] io::Error),
    /// No ZIP at all.
    #[error("the file is not a ZIP archive")]
    NotAnArchive,
    /// The end of the archive is not the end of the file.
    #[error("the archive is cut short, or bytes were added behind its end")]
    NoEnd,
    /// Too large.
    #[error("the archive has more than {MAX_ARCHIVE_BYTES} bytes")]
    TooLarge,
    /// Too many entries, or a directory that claims too much.
    #[error("the archive claims {entries} entries in a directory of {size_bytes} bytes, which is too much")]
    TooManyEntries {
        /// How many entries it claims.
        entries: u64,
        /// Size of its directory.
        size_bytes: u64,
    },
    /// The end record does not describe the file that it ends.
    #[error("the end of the archive contradicts the rest of it")]
    WrongEnd,
    /// Encrypted.
    #[error("entry {number} is encrypted")]
    Encrypted {
        /// Which entry.
        number: u64,
    },
    /// Neither stored nor deflated.
    #[error("entry {number} is compressed by method {method}, which is not used here")]
    UnknownMethod {
        /// Which entry.
        number: u64,
        /// The method's number.
        method: u16,
    },
    /// A symbolic link, a folder or a device.
    #[error("entry {number} is not a regular file")]
    NotAFile {
        /// Which entry.
        number: u64,
    },
    /// No text, or longer than any that we write.
    #[error("entry {number} has a name that is not UTF-8 or too long")]
    WrongName {
        /// Which entry.
        number: u64,
    },
    /// A size that the compressed bytes cannot give.
    #[error("entry {number} claims {size_bytes} bytes, which {compressed_size_bytes} cannot hold")]
    ImpossibleSize {
        /// Which entry.
        number: u64,
        /// Size that it claims.
        size_bytes: u64,
        /// Compressed size that it claims.
        compressed_size_bytes: u64,
    },
    /// The entry lies over another one, or behind a gap.
    #[error("entry {number} overlaps another one or leaves a gap before it")]
    NotContiguous {
        /// Which entry.
        number: u64,
    },
    /// A record other than ours, or one that contradicts the directory.
    #[error("the records of entry {number} contradict each other or were not written by this program")]
    ForeignRecord {
        /// Which entry.
        number: u64,
    },
}

/// An entry as the directory describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// Path in the archive, as it stands there: not judged.
    pub name: String,
    /// Size of the content, as claimed.
    pub size_bytes: u64,
    /// CRC-32 of the content, as claimed.
    pub crc32: u32,
}

/// Reads and checks every record of an archive; contents are not read.
///
/// # Errors
/// [`DirectoryError`] for whatever [`super::ArchiveWriter`] would not have written.
pub fn read_directory(reader: &mut (impl Read + Seek)) -> Result<Vec<DirectoryEntry>, DirectoryError> {
    let headers = read_central_directory(reader)?;
    let mut source = Source::new(reader);
    for (number, header) in (1..).zip(&headers) {
        check_local(&mut source, header, number)?;
        check_descriptor(&mut source, header, number)?;
    }
    let described = |EntryHeader {
                         name, size, crc32, ..
                     }| DirectoryEntry {
        name,
        size_bytes: size,
        crc32,
    };
    Ok(headers.into_iter().map(described).collect())
}

/// Reads and checks the end of an archive and its central directory. By what they say, the entries follow
/// each other without gap; the records before and behind their data are not looked at.
pub(crate) fn read_central_directory(
    reader: &mut (impl Read + Seek),
) -> Result<Vec<EntryHeader>, DirectoryError> {
    let end = read_end(reader)?;
    let mut headers = Vec::with_capacity(usize::try_from(end.entries).unwrap_or_default());
    reader.seek(SeekFrom::Start(end.offset))?;
    let mut directory = BufReader::with_capacity(64 * 1024, &mut *reader).take(end.size);
    for number in 1..=end.entries {
        headers.push(read_central(&mut directory, number)?);
    }
    if directory.limit() != 0 {
        return Err(DirectoryError::WrongEnd);
    }
    let mut position = 0;
    for (number, header) in (1..).zip(&headers) {
        let next = header.end().filter(|_| header.offset == position);
        position = next
            .filter(|next| *next <= end.offset)
            .ok_or(DirectoryError::NotContiguous { number })?;
    }
    if position != end.offset {
        return Err(DirectoryError::NotContiguous { number: end.entries });
    }
    Ok(headers)
}

struct End {
    entries: u64,
    offset: u64,
    size: u64,
}

fn read_end(reader: &mut (impl Read + Seek)) -> Result<End, DirectoryError> {
    let length = reader.seek(SeekFrom::End(0))?;
    if length > MAX_ARCHIVE_BYTES {
        return Err(DirectoryError::TooLarge);
    }
    let tail_bytes = usize::try_from(length).unwrap_or(usize::MAX).min(ZIP64_END_BYTES);
    let mut start = vec![0; tail_bytes.min(4)];
    reader.seek(SeekFrom::Start(0))?;
    reader.read_exact(&mut start)?;
    if !matches!(start.as_slice(), b"PK\x03\x04" | b"PK\x05\x06") {
        return Err(DirectoryError::NotAnArchive);
    }
    let mut tail = vec![0; tail_bytes];
    reader.seek(SeekFrom::Start(length - tail_bytes as u64))?;
    reader.read_exact(&mut tail)?;

    let classic = tail
        .len()
        .checked_sub(END_BYTES)
        .and_then(|at| tail.get(at..))
        .unwrap_or_default();
    let mut fields = Fields(classic);
    if fields.bytes(4) != Some(b"PK\x05\x06") {
        return Err(DirectoryError::NoEnd);
    }
    let mut end = (|| {
        fields.bytes(4)?;
        let (_, entries) = (fields.u16()?, fields.u16()?);
        let (size, offset) = (fields.u32()?, fields.u32()?);
        Some(End {
            entries: u64::from(entries),
            offset: u64::from(offset),
            size: u64::from(size),
        })
    })()
    .ok_or(DirectoryError::NoEnd)?;
    if end.entries == u64::from(u16::MAX) || end.size == U32_SENTINEL || end.offset == U32_SENTINEL {
        let mut fields = Fields(&tail);
        end = (|| {
            // Without this a reader would take other bytes for numbers, and tell of a size that nobody claimed.
            fields.bytes(4).filter(|signature| *signature == b"PK\x06\x06")?;
            fields.bytes(28)?;
            let (entries, size, offset) = (fields.u64()?, fields.u64()?, fields.u64()?);
            Some(End {
                entries,
                offset,
                size,
            })
        })()
        .ok_or(DirectoryError::NoEnd)?;
    }
    if end.entries > MAX_ENTRIES || end.size > MAX_DIRECTORY_BYTES || end.offset > length {
        return Err(DirectoryError::TooManyEntries {
            entries: end.entries,
            size_bytes: end.size,
        });
    }
    if end.entries.saturating_mul(CENTRAL_BYTES as u64) > end.size {
        return Err(DirectoryError::WrongEnd);
    }
    let canonical = end_of_central_directory(end.entries, end.offset, end.size);
    let same = tail.ends_with(&canonical);
    if !same || end.offset + end.size + canonical.len() as u64 != length {
        return Err(DirectoryError::WrongEnd);
    }
    Ok(end)
}

fn read_central(directory: &mut io::Take<impl Read>, number: u64) -> Result<EntryHeader, DirectoryError> {
    let foreign = DirectoryError::ForeignRecord { number };
    let mut record = vec![0; CENTRAL_BYTES];
    read_record(directory, &mut record, number)?;
    let mut fields = Fields(&record);
    let header = (|| {
        fields.bytes(8)?; // signature, versions
        let (flags, method) = (fields.u16()?, fields.u16()?);
        let (time, date) = (fields.u16()?, fields.u16()?);
        let crc32 = fields.u32()?;
        let (compressed, size) = (fields.u32()?, fields.u32()?);
        let (name_len, extra_len) = (fields.u16()?, fields.u16()?);
        fields.bytes(6)?; // comment, disk, internal attributes
        let (attributes, offset) = (fields.u32()?, fields.u32()?);
        Some((
            flags, method, time, date, crc32, compressed, size, name_len, extra_len, attributes, offset,
        ))
    })();
    let Some((flags, method, time, date, crc32, compressed, size, name_len, extra_len, attributes, offset)) =
        header
    else {
        return Err(foreign);
    };
    if flags & 0x2041 != 0 {
        return Err(DirectoryError::Encrypted { number });
    }
    let method = match method {
        0 => Method::Stored,
        8 => Method::Deflated,
        method => return Err(DirectoryError::UnknownMethod { number, method }),
    };
    if attributes >> 28 != 0o10 {
        return Err(DirectoryError::NotAFile { number });
    }
    if usize::from(name_len) > MAX_NAME_BYTES {
        return Err(DirectoryError::WrongName { number });
    }
    let mut name = vec![0; usize::from(name_len)];
    read_record(directory, &mut name, number)?;
    let mut extra = vec![0; usize::from(extra_len)];
    read_record(directory, &mut extra, number)?;
    let mut large = Fields(extra.get(4..).unwrap_or_default());
    let mut wide = |value: u32| {
        if u64::from(value) == U32_SENTINEL {
            large.u64()
        } else {
            Some(value.into())
        }
    };
    let (Some(size), Some(compressed_size), Some(offset)) = (wide(size), wide(compressed), wide(offset))
    else {
        return Err(foreign);
    };
    record.extend_from_slice(&name);
    record.extend_from_slice(&extra);
    let name = String::from_utf8(name).map_err(|_| DirectoryError::WrongName { number })?;
    let modified = DosTime::from_fields(date, time);
    let descriptor = flags & 8 != 0;
    let header = EntryHeader {
        name,
        method,
        modified,
        crc32,
        size,
        compressed_size,
        offset,
        descriptor,
    };
    if header.central() != record || (descriptor && method == Method::Stored) {
        return Err(foreign);
    }
    let possible = match method {
        Method::Stored => size == compressed_size,
        Method::Deflated => size / MAX_RATIO <= compressed_size,
    };
    if !possible {
        return Err(DirectoryError::ImpossibleSize {
            number,
            size_bytes: size,
            compressed_size_bytes: compressed_size,
        });
    }
    Ok(header)
}

/// Checks the record before the data of an entry.
pub(super) fn check_local<R: Read + Seek>(
    source: &mut Source<R>,
    header: &EntryHeader,
    number: u64,
) -> Result<(), DirectoryError> {
    if source.holds(header.offset, &header.local())? {
        Ok(())
    } else {
        Err(DirectoryError::ForeignRecord { number })
    }
}

/// Checks the record behind the data of an entry, if it has one.
pub(super) fn check_descriptor<R: Read + Seek>(
    source: &mut Source<R>,
    header: &EntryHeader,
    number: u64,
) -> Result<(), DirectoryError> {
    let Some(data) = header.data() else {
        return Err(DirectoryError::NotContiguous { number });
    };
    if !header.descriptor || source.holds(data.end, &header.data_descriptor())? {
        Ok(())
    } else {
        Err(DirectoryError::ForeignRecord { number })
    }
}

/// Reads a record of the directory. What passes the directory's end contradicts it; any other failure, an
/// early end of the file too, is the reader's.
fn read_record(
    directory: &mut io::Take<impl Read>,
    record: &mut [u8],
    number: u64,
) -> Result<(), DirectoryError> {
    if directory.limit() < record.len() as u64 {
        return Err(DirectoryError::ForeignRecord { number });
    }
    Ok(directory.read_exact(record)?)
}

/// Little-endian fields, one after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (now, later) = self.0.split_at_checked(len)?;
        self.0 = later;
        Some(now)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

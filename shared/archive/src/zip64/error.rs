//! Why an archive cannot be written.

/// Why the writer refused. Entry names are personal data: no text here holds one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZipError {
    /// The entry will be stored, is too large for its header to be patched afterwards, and streaming
    /// readers need its CRC-32 before its bytes. Nothing was written: read the content once to learn it,
    /// then start the entry again. The only error after which the writer goes on.
    #[error("the CRC-32 of an entry of {size_bytes} bytes that does not compress must be known beforehand")]
    CrcNeeded {
        /// Size of the entry.
        size_bytes: u64,
    },
    /// The beginning given to `start_entry` is shorter than the trial needs.
    #[error("an entry starts with {needed} bytes of its content, not {given}")]
    HeadTooShort {
        /// How many bytes it takes.
        needed: usize,
        /// How many there were.
        given: usize,
    },
    /// The content has another size than the plan said.
    #[error("the entry was announced with {expected} bytes and has {actual}")]
    SizeMismatch {
        /// What the plan said.
        expected: u64,
        /// What came, as far as it was read.
        actual: u64,
    },
    /// The content has another CRC-32 than the plan said.
    #[error("the entry's content does not have the announced CRC-32")]
    CrcMismatch,
    /// The entry name is empty, too long, absolute, climbing, or not portable.
    #[error("the entry name is not safe")]
    UnsafeName,
    /// One entry more than an archive may have.
    #[error("an archive has at most {limit} entries")]
    TooManyEntries {
        /// The limit.
        limit: u64,
    },
    /// The archive would pass the size limit.
    #[error("an archive has at most {limit_bytes} bytes")]
    ArchiveTooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// The compressor failed.
    #[error("the compressor failed")]
    Compression,
    /// A header was to be patched that has left already.
    #[error("the header to patch is no longer in memory")]
    HeaderDrained,
    /// The calls came in another order than start, write, finish.
    #[error("the archive writer was called out of order")]
    OutOfOrder,
    /// An earlier error made the archive worthless; nothing more can be taken from it.
    #[error("the archive was given up after an earlier error")]
    Poisoned,
}

//! Bytes of a file by their place in it.

use std::io::{self, Read, Seek, SeekFrom};

const BUFFER_BYTES: usize = 64 * 1024;

/// A reader that knows where it stands, so that whoever reads on from there costs no seek: behind it may be
/// ranged requests.
pub(super) struct Source<R> {
    reader: R,
    /// Where the reader stands; unknown before the first seek and after a failure.
    position: Option<u64>,
    buffer: Vec<u8>,
    /// How many bytes of the buffer were read.
    filled: usize,
    /// Offset of the first of them.
    start: u64,
}

impl<R: Read + Seek> Source<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            position: None,
            buffer: vec![0; BUFFER_BYTES],
            filled: 0,
            start: 0,
        }
    }

    /// The bytes from an offset on: at least one, as many as are at hand, at most `max`.
    ///
    /// # Errors
    /// The reader's. The end of the file is one: nobody asks for what is behind it.
    pub(super) fn bytes_at(&mut self, offset: u64, max: u64) -> io::Result<&[u8]> {
        if self.buffered(offset).is_none() {
            self.fill(offset)?;
        }
        let bytes = self.buffered(offset).unwrap_or_default();
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        Ok(bytes.get(..max).unwrap_or(bytes))
    }

    /// Whether the file holds these bytes at an offset.
    ///
    /// # Errors
    /// The reader's.
    pub(super) fn holds(&mut self, mut offset: u64, mut expected: &[u8]) -> io::Result<bool> {
        while !expected.is_empty() {
            let bytes = self.bytes_at(offset, expected.len() as u64)?;
            let (now, later) = expected.split_at(bytes.len().min(expected.len()));
            if bytes != now {
                return Ok(false);
            }
            offset += now.len() as u64;
            expected = later;
        }
        Ok(true)
    }

    fn buffered(&self, offset: u64) -> Option<&[u8]> {
        let skip = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        self.buffer
            .get(skip..self.filled)
            .filter(|bytes| !bytes.is_empty())
    }

    fn fill(&mut self, offset: u64) -> io::Result<()> {
        self.filled = 0;
        if self.position.take() != Some(offset) {
            self.reader.seek(SeekFrom::Start(offset))?;
        }
        let read = loop {
            match self.reader.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.filled = read;
        self.start = offset;
        self.position = Some(offset + read as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// Counts seeks, gives three bytes at a time, and fails where told.
    struct Slow {
        bytes: Cursor<Vec<u8>>,
        seeks: usize,
        fails: bool,
    }

    impl Read for Slow {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            if self.fails {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.bytes.read(&mut out[..3])
        }
    }

    impl Seek for Slow {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.seeks += 1;
            self.bytes.seek(to)
        }
    }

    #[test]
    fn reading_on_costs_no_seek_and_a_failure_is_told() {
        let mut source = Source::new(Slow {
            bytes: Cursor::new(b"0123456789".to_vec()),
            seeks: 0,
            fails: false,
        });
        assert_eq!(source.bytes_at(2, 10).unwrap(), b"234");
        assert_eq!(source.bytes_at(3, 1).unwrap(), b"3");
        assert!(source.holds(3, b"34567").unwrap());
        assert!(!source.holds(8, b"8x").unwrap());
        assert_eq!(source.reader.seeks, 1);
        assert_eq!(source.bytes_at(0, 10).unwrap(), b"012");
        assert_eq!(source.reader.seeks, 2);
        source.reader.fails = true;
        assert_eq!(source.bytes_at(0, 1).unwrap(), b"0");
        assert_eq!(source.bytes_at(5, 1).unwrap_err().kind(), io::ErrorKind::TimedOut);
        source.reader.fails = false;
        assert_eq!(source.bytes_at(5, 1).unwrap(), b"5");
        let behind = source.holds(9, b"90").unwrap_err();
        assert_eq!(behind.kind(), io::ErrorKind::UnexpectedEof);
    }
}

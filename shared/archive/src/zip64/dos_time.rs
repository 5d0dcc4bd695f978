//! The date and time of an entry, as MS-DOS counted them.

use jiff::Timestamp;
use jiff::tz::Offset;

/// Date and time of an entry in UTC, in steps of two seconds, from 1980 to 2107 (APPNOTE 4.4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DosTime {
    date: u16,
    time: u16,
}

impl DosTime {
    /// 1 January 1980, midnight: the earliest that ZIP can tell.
    pub const EARLIEST: Self = Self {
        date: (1 << 5) | 1,
        time: 0,
    };
    /// 31 December 2107, 23:59:58: the latest.
    pub const LATEST: Self = Self {
        date: (127 << 9) | (12 << 5) | 31,
        time: (23 << 11) | (59 << 5) | 29,
    };

    /// The nearest earlier time that can be told; what lies outside 1980 to 2107 becomes its end.
    pub fn from_timestamp(timestamp: Timestamp) -> Self {
        let utc = Offset::UTC.to_datetime(timestamp);
        let year = i32::from(utc.year()) - 1980;
        if year < 0 {
            return Self::EARLIEST;
        }
        if year > 127 {
            return Self::LATEST;
        }
        let part = |value: i8| u16::from(value.unsigned_abs());
        Self {
            date: ((year.unsigned_abs() as u16) << 9) | (part(utc.month()) << 5) | part(utc.day()),
            time: (part(utc.hour()) << 11) | (part(utc.minute()) << 5) | (part(utc.second()) / 2),
        }
    }

    pub(super) fn from_fields(date: u16, time: u16) -> Self {
        Self { date, time }
    }

    pub(super) fn date(self) -> u16 {
        self.date
    }

    pub(super) fn time(self) -> u16 {
        self.time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times() {
        let told = |text: &str| {
            let time = DosTime::from_timestamp(text.parse().unwrap());
            let (date, clock) = (time.date(), time.time());
            format!(
                "{}-{:02}-{:02} {:02}:{:02}:{:02}",
                1980 + (date >> 9),
                (date >> 5) & 15,
                date & 31,
                clock >> 11,
                (clock >> 5) & 63,
                (clock & 31) * 2
            )
        };
        assert_eq!(told("2024-02-29T23:59:59Z"), "2024-02-29 23:59:58");
        assert_eq!(told("2024-02-29T23:59:59+02:00"), "2024-02-29 21:59:58");
        assert_eq!(told("1979-12-31T23:59:59Z"), "1980-01-01 00:00:00");
        assert_eq!(told("2108-01-01T00:00:00Z"), "2107-12-31 23:59:58");
    }
}

//! Pages of lists and their order.

/// How far a total is counted exactly; beyond, lists say "at least".
pub const MAX_EXACT_TOTAL: u64 = 10_000;

/// How many items a page holds: 1 to 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLimit(u32);

/// Why a number is no page limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number from 1 to 200")]
pub struct PageLimitError;

impl PageLimit {
    /// Judges a number; absent is 50.
    ///
    /// # Errors
    /// [`PageLimitError`] when out of range.
    pub fn parse(limit: Option<u32>) -> Result<Self, PageLimitError> {
        match limit {
            None => Ok(Self(50)),
            Some(limit @ 1..=200) => Ok(Self(limit)),
            Some(_) => Err(PageLimitError),
        }
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

/// How many items match a list's question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Total {
    /// Exactly so many.
    Exactly(u64),
    /// More than [`MAX_EXACT_TOTAL`].
    AtLeast(u64),
}

impl Total {
    /// Turns a count that was stopped once past [`MAX_EXACT_TOTAL`] into a total.
    pub fn of_count(count: u64) -> Self {
        if count > MAX_EXACT_TOTAL {
            Self::AtLeast(MAX_EXACT_TOTAL)
        } else {
            Self::Exactly(count)
        }
    }
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; opaque, names nobody. `None` on the last page.
    pub next_cursor: Option<String>,
    /// How many there are in all.
    pub total: Total,
}

/// The order of a list of contacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ContactSort {
    /// By last name, then first name.
    #[default]
    LastName,
    /// By last name, backwards.
    LastNameDescending,
    /// Oldest first.
    CreatedAt,
    /// Newest first.
    CreatedAtDescending,
}

impl ContactSort {
    /// Every order there is.
    pub const ALL: [Self; 4] = [
        Self::LastName,
        Self::LastNameDescending,
        Self::CreatedAt,
        Self::CreatedAtDescending,
    ];

    /// The code as the API writes it.
    pub fn code(self) -> &'static str {
        match self {
            Self::LastName => "last_name",
            Self::LastNameDescending => "-last_name",
            Self::CreatedAt => "created_at",
            Self::CreatedAtDescending => "-created_at",
        }
    }

    /// Reads a code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sort| sort.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_exact_up_to_ten_thousand() {
        assert_eq!(Total::of_count(0), Total::Exactly(0));
        assert_eq!(Total::of_count(10_000), Total::Exactly(10_000));
        assert_eq!(Total::of_count(10_001), Total::AtLeast(10_000));
    }

    #[test]
    fn pages_hold_one_to_two_hundred() {
        assert_eq!(PageLimit::parse(None).map(PageLimit::get), Ok(50));
        assert_eq!(PageLimit::parse(Some(200)).map(PageLimit::get), Ok(200));
        for wrong in [0, 201, u32::MAX] {
            assert_eq!(PageLimit::parse(Some(wrong)), Err(PageLimitError));
        }
    }

    #[test]
    fn every_order_is_found_by_its_code() {
        for sort in ContactSort::ALL {
            assert_eq!(ContactSort::from_code(sort.code()), Some(sort));
        }
        assert_eq!(ContactSort::from_code("shoe_size"), None);
    }
}

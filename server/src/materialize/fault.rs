//! Why a row is left out, and which rows were.

use std::fmt;

/// Why a row is left out. Each is counted on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// A join key is null or missing.
    KeyMissing,
    /// The event time is null or missing.
    TimeMissing,
    /// A value is not what the declared type can hold.
    WrongValue,
    /// A number or a time beyond what the declared type can hold.
    OutOfRange,
    /// The line is no record at all.
    Malformed,
    /// The encoded key is too long.
    KeyTooLong,
    /// The encoded row is too long.
    RowTooLong,
}

impl Reason {
    pub(crate) const ALL: [Self; 7] = [
        Self::KeyMissing,
        Self::TimeMissing,
        Self::WrongValue,
        Self::OutOfRange,
        Self::Malformed,
        Self::KeyTooLong,
        Self::RowTooLong,
    ];

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::KeyMissing => "missing join key",
            Self::TimeMissing => "missing event time",
            Self::WrongValue => "wrong value",
            Self::OutOfRange => "out of range",
            Self::Malformed => "malformed line",
            Self::KeyTooLong => "key too long",
            Self::RowTooLong => "row too long",
        }
    }
}

/// What is wrong with one value or one line; the row it is in is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) reason: Reason,
    pub(crate) detail: String,
}

impl Fault {
    pub(crate) fn new(reason: Reason, detail: impl fmt::Display) -> Self {
        Self { reason, detail: detail.to_string() }
    }

    pub(crate) fn wrong(found: impl fmt::Display, expected: &str) -> Self {
        Self {
            reason: Reason::WrongValue,
            detail: format!("expected {expected}, found {}", shorten(&found.to_string())),
        }
    }

    pub(crate) fn range(found: impl fmt::Display, target: &str) -> Self {
        Self { reason: Reason::OutOfRange, detail: format!("{} does not fit {target}", shorten(&found.to_string())) }
    }

    /// The same fault with the column that it is in.
    pub(crate) fn of_column(mut self, column: &str) -> Self {
        self.detail = format!("column `{column}`: {}", self.detail);
        self
    }
}

/// Where a row stands in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Position {
    /// Counted from 1.
    Row(u64),
    /// Counted from 1, a header included.
    Line(u64),
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row(row) => write!(f, "row {row}"),
            Self::Line(line) => write!(f, "line {line}"),
        }
    }
}

/// A row that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadRow {
    /// The position of its file in the list of source files.
    pub(crate) file: usize,
    pub(crate) position: Position,
    pub(crate) fault: Fault,
}

/// Rows that were left out: all counted, the first ones kept to be shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct BadRows {
    counts: [u64; Reason::ALL.len()],
    first: Vec<BadRow>,
}

impl BadRows {
    pub(crate) fn note(&mut self, row: BadRow) {
        self.counts[row.fault.reason as usize] += 1;
        // A worker meets rows of one file in order but files and row groups in any; beyond a few times what is shown, the
        // earliest are kept by sorting now and then.
        self.first.push(row);
        if self.first.len() >= 4 * SHOWN_MAX {
            self.trim();
        }
    }

    /// Takes over what another worker noted.
    pub(crate) fn merge(&mut self, other: Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.first.extend(other.first);
        self.trim();
    }

    /// The earliest, by file and position.
    pub(crate) fn first(&mut self) -> &[BadRow] {
        self.trim();
        &self.first
    }

    pub(crate) fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub(crate) fn by_reason(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.into_iter().zip(self.counts).filter(|(_, count)| *count > 0)
    }

    fn trim(&mut self) {
        self.first.sort_by_key(|row| (row.file, row.position));
        self.first.truncate(SHOWN_MAX);
    }
}

/// A value as it is shown in a message: enough to recognise it.
fn shorten(text: &str) -> String {
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        None => format!("`{text}`"),
        Some((end, _)) => format!("`{}…`", &text[..end]),
    }
}

/// Bad rows that are shown one by one; more would bury the summary.
pub(crate) const SHOWN_MAX: usize = 10;

const VALUE_CHARS_MAX: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earliest_rows_are_kept_whatever_the_order_they_are_met_in() {
        let mut bad = BadRows::default();
        for row in (1..=1000).rev() {
            let fault = Fault::new(Reason::KeyMissing, "x");
            bad.note(BadRow { file: 0, position: Position::Row(row), fault });
        }
        assert_eq!(bad.total(), 1000);
        assert_eq!(bad.first().len(), SHOWN_MAX);
        assert_eq!(bad.first()[0].position, Position::Row(1));
    }

    #[test]
    fn reasons_index_their_own_counter() {
        for (at, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, at);
        }
    }

    #[test]
    fn long_values_are_shortened_in_messages() {
        let fault = Fault::wrong("é".repeat(100), "an integer");
        assert!(fault.detail.contains('…') && fault.detail.chars().count() < 100, "{}", fault.detail);
    }
}

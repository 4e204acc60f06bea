//! An entry: one row, with what is needed to tell whose it is and which of two is the newer.
//!
//! ```text
//! | length, table | sequence | the row as in a segment … zeros |
//! | u32, u32      | u64      | to a multiple of 8              |
//! ```
//! Event time and key are the row's own. An entry is written before its place is told, and is never changed while anybody reads it.

use super::{
    TableId,
    memory::{Memory, Place, WORD_BYTES},
};
use crate::format::{bytes::i64_at, layout::RowHead};

/// What decides between two rows of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) event_time_us: i64,
    pub(super) sequence: u64,
}

/// The first words of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EntryHead {
    pub(super) row_bytes: u32,
    pub(super) table: TableId,
    pub(super) sequence: u64,
}

impl EntryHead {
    #[inline]
    pub(super) fn read(memory: &Memory, place: Place) -> Self {
        let (row_bytes, table) = Self::bytes_and_table(memory, place);
        Self { row_bytes, table, sequence: memory.word(Place(place.0 + 1)).load() }
    }

    /// What a reader needs of it.
    #[inline]
    pub(super) fn bytes_and_table(memory: &Memory, place: Place) -> (u32, TableId) {
        let first = memory.word(place).load();
        #[expect(clippy::cast_possible_truncation, reason = "the other half is the other one")]
        let bytes = first as u32;
        (bytes, TableId((first >> 32) as u32))
    }

    /// Words of the whole entry.
    pub(super) fn words(&self) -> usize {
        words(self.row_bytes as usize)
    }
}

/// Writes an entry where there is room for it.
pub(super) fn write(memory: &Memory, place: Place, head: EntryHead, row: &[u8]) {
    memory.word(place).store(u64::from(head.table.0) << 32 | u64::from(head.row_bytes));
    memory.word(Place(place.0 + 1)).store(head.sequence);
    memory.write(row_at(place), row);
}

/// The row of an entry, in `scratch`, if it is of this table and key.
pub(super) fn row_of<'s>(
    memory: &Memory,
    place: Place,
    (table, key): (TableId, &[u8]),
    scratch: &'s mut Vec<u8>,
) -> Option<(EntryHead, &'s [u8])> {
    let head = EntryHead::read(memory, place);
    if head.table != table {
        return None;
    }
    scratch.clear();
    copy_row(memory, place, head, scratch);
    let (_, found, _) = key_and_time(scratch)?;
    (found == key).then_some((head, scratch))
}

/// Appends the row of an entry to `out`.
#[inline]
pub(super) fn copy_row(memory: &Memory, place: Place, head: EntryHead, out: &mut Vec<u8>) {
    memory.append(row_at(place), head.row_bytes as usize, out);
}

/// The same, as words.
#[inline]
pub(super) fn copy_words(memory: &Memory, place: Place, row_bytes: u32, out: &mut Vec<[u8; WORD_BYTES]>) {
    memory.append_words(row_at(place), (row_bytes as usize).div_ceil(WORD_BYTES), out);
}

/// How many words an entry takes with a row of this length. Long ones, which are those that grow, take up to an eighth more, so that
/// there are few lengths, and what one leaves is used again by another.
pub(super) fn words(row_bytes: usize) -> usize {
    let words = HEAD_WORDS + row_bytes.div_ceil(WORD_BYTES);
    if words <= EXACT_WORDS_MAX { words } else { words.next_multiple_of(step(words)) }
}

/// Numbers the lengths that [`words`] gives, without a gap.
pub(super) fn length_class(words: usize) -> usize {
    if words <= EXACT_WORDS_MAX {
        return words;
    }
    let step = step(words);
    EXACT_WORDS_MAX + STEPS * (step / (EXACT_WORDS_MAX / STEPS)).ilog2() as usize + (words / step - STEPS)
}

/// Between two lengths that entries of about this many words have: an eighth of the power of two below.
fn step(words: usize) -> usize {
    words.next_power_of_two() / 2 / STEPS
}

/// Key and event time of an encoded row.
#[inline]
pub(crate) fn key_and_time(row: &[u8]) -> Option<(RowHead, &[u8], i64)> {
    let head = RowHead::read(row)?;
    Some((head, row.get(head.key())?, i64_at(row, head.event_time_start())?))
}

fn row_at(place: Place) -> Place {
    Place(place.0 + 2)
}

/// Words before the row.
const HEAD_WORDS: usize = 2;

/// Entries up to here, of rows of about 1 KiB, take no more than they need.
const EXACT_WORDS_MAX: usize = 128;

/// Lengths between a power of two and the next.
const STEPS: usize = 8;

//! Rows: how one key's event time and column values become bytes, and how they are read in place.
//!
//! The bytes are drawn in [`crate::format::layout`].

mod writer;

#[cfg(test)]
pub(crate) mod tests;

pub use crate::format::layout::RowLayout;
pub use writer::{RowError, RowWriter, write_tombstone};

use crate::{
    error::Corrupt,
    format::{bytes::i64_at, layout::RowHead},
    limits::ROW_BYTES_MAX,
    value::ValueRef,
};

/// A row read in place. Copying it copies two pointers and a few numbers.
#[derive(Debug, Clone, Copy)]
pub struct Row<'t> {
    /// Header to last value, nothing more.
    bytes: &'t [u8],
    layout: &'t RowLayout,
    head: RowHead,
    /// Where the row starts in its file, for messages.
    offset: u64,
}

impl<'t> Row<'t> {
    /// The row that `bytes` start with; what follows it is ignored. For rows in memory, such as what
    /// [`RowWriter::finish`] gives.
    pub fn parse(layout: &'t RowLayout, bytes: &'t [u8]) -> Result<Self, Corrupt> {
        let row = RowHead::read(bytes).and_then(|head| Self::with_head(layout, bytes, head, 0));
        row.ok_or_else(|| damaged(layout, 0, "a row"))
    }

    /// The row that `bytes` start with, when its header was read already.
    #[inline]
    pub(crate) fn with_head(layout: &'t RowLayout, bytes: &'t [u8], head: RowHead, offset: u64) -> Option<Self> {
        let total = head.row_bytes(&layout.columns, bytes)?;
        if total > ROW_BYTES_MAX {
            return None;
        }
        Some(Self { bytes: bytes.get(..total)?, layout, head, offset })
    }

    /// The encoded key.
    #[inline]
    pub fn key(&self) -> &'t [u8] {
        self.bytes.get(self.head.key()).unwrap_or_default()
    }

    /// Microseconds since the Unix epoch, UTC.
    #[inline]
    pub fn event_time_us(&self) -> i64 {
        i64_at(self.bytes, self.head.event_time_start()).unwrap_or_default()
    }

    /// Whether it says that there is no row with this key any more, as of its event time.
    #[inline]
    pub fn is_tombstone(&self) -> bool {
        self.head.is_tombstone
    }

    /// The value of the column at this position in the schema. A tombstone has none.
    // As a call it cost 30 instructions more for each value of an answer (callgrind).
    #[inline(always)]
    pub fn value(&self, column: usize) -> Result<ValueRef<'t>, Corrupt> {
        match self.layout.columns.value(self.tuple(), self.head.width, column) {
            Some(value) => Ok(value),
            None => Err(damaged(self.layout, self.offset, "a value that lies within its row")),
        }
    }

    /// The bytes of a value whose type has no fixed size, as they are encoded; `None` for null. Those of a nested value are read by
    /// [`crate::value::ValueLayout`].
    pub fn encoded_value(&self, column: usize) -> Result<Option<&'t [u8]>, Corrupt> {
        match self.layout.columns.encoded(self.tuple(), self.head.width, column) {
            Some(bytes) => Ok(bytes),
            None => Err(damaged(self.layout, self.offset, "a value of no fixed size that lies within its row")),
        }
    }

    /// The whole encoded length in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The row as it is encoded.
    pub fn encoded(&self) -> &'t [u8] {
        self.bytes
    }

    /// Bytes of key, event time and values as a user would count them: no header, no bits, nothing for what is null.
    pub fn raw_bytes(&self) -> usize {
        let columns = &self.layout.columns;
        if self.head.is_tombstone {
            return self.head.key().len() + size_of::<i64>();
        }
        let prefix = self.head.prefix_end(columns);
        let fixed = columns.slots.iter().enumerate().filter_map(|(position, slot)| {
            let bytes = slot.kind.fixed_bytes()?;
            (!crate::format::layout::is_null(self.tuple(), position)?).then_some(bytes)
        });
        self.head.key().len() + size_of::<i64>() + fixed.sum::<usize>() + self.bytes.len().saturating_sub(prefix)
    }

    #[inline]
    fn tuple(&self) -> &'t [u8] {
        self.bytes.get(self.head.tuple_start()..).unwrap_or_default()
    }
}

#[cold]
pub(crate) fn damaged(layout: &RowLayout, offset: u64, expected: &str) -> Corrupt {
    Corrupt {
        file: layout.file.to_string(),
        offset,
        expected: expected.to_owned(),
        found: "bytes that are none".to_owned(),
    }
}

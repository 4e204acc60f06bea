//! All rows of a segment in stored order, which is the order of their hashes.

use super::reader::Segment;
use crate::{
    error::Corrupt,
    limits::{BLOCK_BYTES, ROW_ALIGNMENT},
    row::Row,
};

/// Walks from row to row: each says how long it is, and a zero where one could start means that the next one does not fit
/// this block. Ends after the first error.
#[derive(Debug)]
pub(crate) struct Scan<'t> {
    segment: &'t Segment,
    offset: usize,
    rows_left: u64,
}

impl<'t> Scan<'t> {
    pub(crate) fn new(segment: &'t Segment) -> Self {
        Self { segment, offset: segment.rows_range().start, rows_left: segment.header().rows }
    }

    fn read(&mut self) -> Result<Row<'t>, Corrupt> {
        if self.segment.is_padding(self.offset)? {
            self.offset = (self.offset + 1).next_multiple_of(BLOCK_BYTES);
        }
        let row = self.segment.row_at(self.offset)?;
        self.offset = (self.offset + row.bytes()).next_multiple_of(ROW_ALIGNMENT);
        Ok(row)
    }
}

impl<'t> Iterator for Scan<'t> {
    type Item = Result<Row<'t>, Corrupt>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rows_left = self.rows_left.checked_sub(1)?;
        let row = self.read();
        if row.is_err() {
            self.rows_left = 0;
        }
        Some(row)
    }
}

//! The stages of a lookup over bytes that were read from the file because they are not in memory.
//!
//! Touches nothing of the mapping. Nothing is believed of the bytes before every block of them matched its checksum, and no
//! stage is asked for twice: the index line names a row, and a row is read again only for more blocks than before.

use std::{ops::Range, os::fd::OwnedFd, sync::Arc};

use super::reader::{Segment, row_offset};
use crate::{
    error::Corrupt,
    format::layout::RowHead,
    limits::{BLOCK_BYTES, ROW_BYTES_IN_BLOCK, ROW_BYTES_MAX},
    row::{Row, damaged},
    table::KeyHash,
};

/// What an index line says that was read from the file.
#[derive(Debug)]
pub(crate) enum FoundIn {
    Absent,
    /// The only row that can have the hash starts there.
    RowAt(u32),
}

/// What blocks say that were read from the file for a row.
#[derive(Debug)]
pub(crate) enum RowIn<'b> {
    Whole(Row<'b>),
    /// It takes this many blocks from its first on, which is more than there were.
    Longer(u32),
}

impl Segment {
    /// As messages name the file.
    pub(crate) fn file_name(&self) -> &str {
        &self.layout.file
    }

    /// What cold reads go to.
    pub(crate) fn direct_file(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.direct.file)
    }

    /// The block with the bucket line of this hash. `None`: there are no rows.
    #[inline]
    pub(crate) fn bucket_block(&self, hash: KeyHash) -> Option<Range<usize>> {
        let start = self.bucket_offset(hash)? / BLOCK_BYTES * BLOCK_BYTES;
        Some(start..start + BLOCK_BYTES)
    }

    /// Reads the bucket line in the block that `bucket_block` named.
    pub(crate) fn find_in(&self, hash: KeyHash, bytes: &[u8]) -> Result<FoundIn, Corrupt> {
        let Some(offset) = self.bucket_offset(hash) else { return Ok(FoundIn::Absent) };
        let block = offset / BLOCK_BYTES * BLOCK_BYTES;
        let bytes = self.checked(block..block + BLOCK_BYTES, bytes)?;
        match self.find(hash, bytes, offset % BLOCK_BYTES, offset)? {
            0 => Ok(FoundIn::Absent),
            start if self.rows.contains(&row_offset(start)) => Ok(FoundIn::RowAt(start)),
            _ => Err(damaged(&self.layout, offset as u64, "a bucket that names rows")),
        }
    }

    /// How many blocks a row that starts there takes, if it is as long as most are.
    pub(crate) fn usual_blocks(&self, start: u32) -> u32 {
        let average = usize::try_from(self.header.regions.rows.bytes.div_ceil(self.header.rows.max(1)));
        let average = average.unwrap_or(usize::MAX).min(ROW_BYTES_MAX);
        // Those never cross a block, and where the average is one of them most rows are.
        if average <= ROW_BYTES_IN_BLOCK { 1 } else { blocks_of(row_offset(start), average) }
    }

    /// The first `blocks` blocks of the row that starts there, but none behind the last row.
    pub(crate) fn row_blocks(&self, start: u32, blocks: u32) -> Range<usize> {
        let first = row_offset(start) / BLOCK_BYTES;
        let left = self.rows.end.div_ceil(BLOCK_BYTES).saturating_sub(first);
        let blocks = (blocks as usize).min(left).max(1);
        first * BLOCK_BYTES..(first + blocks) * BLOCK_BYTES
    }

    /// Reads the row in the blocks that `row_blocks` named.
    pub(crate) fn row_in<'b>(&'b self, start: u32, blocks: u32, bytes: &'b [u8]) -> Result<RowIn<'b>, Corrupt> {
        let offset = row_offset(start);
        let no_row = || damaged(&self.layout, offset as u64, "a row");
        if !self.rows.contains(&offset) {
            return Err(no_row());
        }
        let bytes = self.checked(self.row_blocks(start, blocks), bytes)?;
        // Rows end before the padding of their region does.
        let rows_left = self.rows.end - offset;
        let bytes = bytes.get(offset % BLOCK_BYTES..).ok_or_else(no_row)?;
        let bytes = bytes.get(..rows_left).unwrap_or(bytes);
        let head = RowHead::read(bytes).ok_or_else(no_row)?;
        let columns = &self.layout.columns;
        let prefix_end = head.prefix_end(columns);
        let needed = match prefix_end <= bytes.len() {
            true => head.row_bytes(columns, bytes).ok_or_else(no_row)?,
            false => prefix_end,
        };
        if needed > ROW_BYTES_MAX || needed > rows_left {
            return Err(no_row());
        }
        if needed > bytes.len() {
            return Ok(RowIn::Longer(blocks_of(offset, needed)));
        }
        Row::with_head(&self.layout, bytes, head, offset as u64).map(RowIn::Whole).ok_or_else(no_row)
    }

    /// A row from bytes that were one before; where it lies in the file is not remembered.
    #[inline]
    pub(crate) fn row_of<'b>(&'b self, encoded: &'b [u8]) -> Result<Row<'b>, Corrupt> {
        let row = RowHead::read(encoded).and_then(|head| Row::with_head(&self.layout, encoded, head, 0));
        row.ok_or_else(|| damaged(&self.layout, 0, "a row"))
    }

    /// The bytes of this range of whole blocks, each of which matches its checksum.
    fn checked<'b>(&self, range: Range<usize>, bytes: &'b [u8]) -> Result<&'b [u8], Corrupt> {
        let Some(bytes) = bytes.get(..range.len()) else {
            return Err(Corrupt {
                file: self.layout.file.to_string(),
                offset: range.start as u64,
                expected: format!("{} readable bytes", range.len()),
                found: bytes.len().to_string(),
            });
        };
        self.blocks.check_copy(range.start / BLOCK_BYTES, bytes)?;
        Ok(bytes)
    }
}

/// Blocks from the one with `offset` to the one with the last of `bytes` bytes from there.
fn blocks_of(offset: usize, bytes: usize) -> u32 {
    u32::try_from((offset % BLOCK_BYTES + bytes).div_ceil(BLOCK_BYTES)).unwrap_or(u32::MAX)
}

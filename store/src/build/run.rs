//! Runs: sorted rows in a scratch file.
//!
//! ```text
//! block   | bytes u32 | XXH3-64 u64, seeded with the block's offset | records |
//! record  | hash u64 | event time i64 | ordinal u64 | bytes u32 | row |
//! ```
//! Little-endian. No record crosses a block; one that is larger than a block has a block of its own. Where each block
//! starts, and with which hash, is kept in memory: 16 bytes for up to 256 KiB. Runs are read back by the process that wrote
//! them, so they have no header and no version, but a checksum, because what they hold becomes what is served.

use std::{fs::File, ops::Range, os::unix::fs::FileExt};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::{
    directory::disk::{DiskFile, failed},
    error::{Corrupt, Error},
};

use super::{
    arena::Rank,
    scratch::{Scratch, ScratchFile},
};

/// A run, whole. The file is removed when it is dropped.
#[derive(Debug)]
pub(super) struct Run {
    file: ScratchFile,
    blocks: Vec<Block>,
    /// Where the last block ends.
    end: u64,
    pub(super) rows: u64,
    pub(super) row_bytes: u64,
}

#[derive(Debug, Clone, Copy)]
struct Block {
    first_hash: u64,
    offset: u64,
}

/// A run being written.
#[derive(Debug)]
pub(super) struct RunWriter {
    open: Box<dyn DiskFile>,
    run: Run,
    /// The block being filled, its head included.
    block: Vec<u8>,
    block_bytes: usize,
    first_hash: u64,
}

impl RunWriter {
    pub(super) fn create(scratch: &Scratch, block_bytes: usize) -> Result<Self, Error> {
        let (file, open) = scratch.create()?;
        let run = Run { file, blocks: Vec::new(), end: 0, rows: 0, row_bytes: 0 };
        let mut block = Vec::with_capacity(block_bytes);
        block.resize(HEAD_BYTES, 0);
        Ok(Self { open, run, block, block_bytes, first_hash: 0 })
    }

    /// Appends a row. Rows come in order.
    pub(super) fn push(&mut self, rank: Rank, row: &[u8]) -> Result<(), Error> {
        if self.block.len() + RECORD_HEAD_BYTES + row.len() > self.block_bytes {
            self.flush()?;
        }
        if self.block.len() == HEAD_BYTES {
            self.first_hash = rank.hash;
        }
        self.block.extend_from_slice(&rank.hash.to_le_bytes());
        self.block.extend_from_slice(&rank.event_time_us.to_le_bytes());
        self.block.extend_from_slice(&rank.ordinal.to_le_bytes());
        self.block.extend_from_slice(&length(row.len()).to_le_bytes());
        self.block.extend_from_slice(row);
        self.run.rows += 1;
        self.run.row_bytes += row.len() as u64;
        Ok(())
    }

    /// Writes the rest. Not synced: after a crash nobody reads it.
    pub(super) fn finish(mut self) -> Result<Run, Error> {
        self.flush()?;
        Ok(self.run)
    }

    fn flush(&mut self) -> Result<(), Error> {
        if self.block.len() == HEAD_BYTES {
            return Ok(());
        }
        let records = &self.block[HEAD_BYTES..];
        let head = head(records, self.run.end);
        self.block[..HEAD_BYTES].copy_from_slice(&head);
        self.open
            .write_at(&self.block, self.run.end)
            .map_err(|source| failed("write", self.run.file.path(), source))?;
        self.run.blocks.push(Block { first_hash: self.first_hash, offset: self.run.end });
        self.run.end += self.block.len() as u64;
        self.block.truncate(HEAD_BYTES);
        Ok(())
    }
}

impl Run {
    /// To be shared by all that read the run.
    pub(super) fn open(&self) -> Result<File, Error> {
        File::open(self.file.path()).map_err(|source| failed("open", self.file.path(), source))
    }

    /// Reads the rows whose hashes are in `hashes`; `None` as the end is beyond the last hash.
    pub(super) fn cursor<'r>(&'r self, file: &'r File, hashes: Range<Option<u64>>) -> Result<RunCursor<'r>, Error> {
        let start = hashes.start.unwrap_or(0);
        // Rows with the first hash may already end the block before the first one that starts with it.
        let next_block = self.blocks.partition_point(|block| block.first_hash < start).saturating_sub(1);
        let mut cursor =
            RunCursor { run: self, file, next_block, block: Vec::new(), record: 0..0, rank: None, end: hashes.end };
        cursor.advance()?;
        while cursor.rank.is_some_and(|rank| rank.hash < start) {
            cursor.advance()?;
        }
        Ok(cursor)
    }
}

/// A place in a run. Holds one block in memory.
#[derive(Debug)]
pub(super) struct RunCursor<'r> {
    run: &'r Run,
    file: &'r File,
    next_block: usize,
    block: Vec<u8>,
    /// Where in the block the row lies.
    record: Range<usize>,
    rank: Option<Rank>,
    end: Option<u64>,
}

impl RunCursor<'_> {
    /// The row at hand; `None` at the end.
    #[inline]
    pub(super) fn rank(&self) -> Option<Rank> {
        self.rank
    }

    #[inline]
    pub(super) fn row(&self) -> &[u8] {
        &self.block[self.record.clone()]
    }

    pub(super) fn advance(&mut self) -> Result<(), Error> {
        self.rank = None;
        if self.record.end == self.block.len() && !self.advance_block()? {
            return Ok(());
        }
        let rest = &self.block[self.record.end..];
        let record = rest.split_first_chunk().map(|(head, rest)| (parse(head), rest.len()));
        let Some(((rank, bytes), _)) = record.filter(|((_, bytes), left)| bytes <= left) else {
            return Err(self.corrupt("a whole record", "less"));
        };
        let start = self.record.end + RECORD_HEAD_BYTES;
        self.record = start..start + bytes;
        if self.end.is_none_or(|end| rank.hash < end) {
            self.rank = Some(rank);
        }
        Ok(())
    }

    fn advance_block(&mut self) -> Result<bool, Error> {
        let Some(block) = self.run.blocks.get(self.next_block) else { return Ok(false) };
        if self.end.is_some_and(|end| block.first_hash >= end) {
            return Ok(false);
        }
        self.next_block += 1;
        let end = self.run.blocks.get(self.next_block).map_or(self.run.end, |next| next.offset);
        self.block.resize(usize::try_from(end - block.offset).unwrap_or(usize::MAX), 0);
        let read = self.file.read_exact_at(&mut self.block, block.offset);
        read.map_err(|source| failed("read", self.run.file.path(), source))?;
        let records = self.block.get(HEAD_BYTES..).unwrap_or_default();
        if self.block.get(..HEAD_BYTES) != Some(&head(records, block.offset)) {
            return Err(self.corrupt("a block that matches its checksum", "one that does not"));
        }
        self.record = HEAD_BYTES..HEAD_BYTES;
        Ok(true)
    }

    #[cold]
    fn corrupt(&self, expected: &str, found: &str) -> Error {
        Error::Corrupt(Corrupt {
            file: self.run.file.path().display().to_string(),
            offset: self
                .next_block
                .checked_sub(1)
                .and_then(|index| self.run.blocks.get(index))
                .map_or(0, |block| block.offset),
            expected: expected.to_owned(),
            found: found.to_owned(),
        })
    }
}

fn head(records: &[u8], offset: u64) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    let (bytes, checksum) = head.split_at_mut(size_of::<u32>());
    bytes.copy_from_slice(&length(records.len()).to_le_bytes());
    checksum.copy_from_slice(&xxh3_64_with_seed(records, offset).to_le_bytes());
    head
}

fn parse(head: &[u8; RECORD_HEAD_BYTES]) -> (Rank, usize) {
    let (words, bytes) = head.as_chunks::<8>();
    let rank = Rank {
        hash: u64::from_le_bytes(words[0]),
        event_time_us: i64::from_le_bytes(words[1]),
        ordinal: u64::from_le_bytes(words[2]),
    };
    let bytes = bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    (rank, bytes as usize)
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a block holds one row or block_bytes")
}

const HEAD_BYTES: usize = 12;
const RECORD_HEAD_BYTES: usize = 28;

//! Which blocks of a mapped segment are verified.
//!
//! The second level of checksums is checked against the root when a segment is opened, and kept. A block is checked
//! against the first level when it is touched first, after the block of the first level that holds its checksum was
//! checked against the second. A bit per block remembers it; once all were checked, one flag stands for all bits.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::map::Map;
use crate::{
    error::Corrupt,
    format::{
        bytes::u64_at,
        checksum::block_checksum,
        header::{Header, Region},
    },
    limits::BLOCK_BYTES,
};

/// What is known of one segment's blocks.
#[derive(Debug)]
pub(super) struct Blocks {
    /// Every block matched, once, in one pass.
    all_verified: AtomicBool,
    verified: Box<[AtomicU64]>,
    id: u64,
    file: Box<str>,
    level1: Region,
    /// Checksums of the blocks of `level1`.
    level2: Box<[u64]>,
}

impl Blocks {
    /// With the bytes of the second level, which the caller has checked against the root.
    pub(super) fn new(header: &Header, level2: &[u8], file: &str) -> Self {
        let blocks = usize::try_from(header.file_bytes).unwrap_or(usize::MAX) / BLOCK_BYTES;
        Self {
            all_verified: AtomicBool::new(false),
            verified: (0..blocks.div_ceil(64)).map(|_| AtomicU64::new(0)).collect(),
            id: header.id,
            file: file.into(),
            level1: header.regions.level1,
            level2: level2.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect(),
        }
    }

    /// Makes sure that the block which holds `offset` matches its checksum.
    #[inline]
    pub(super) fn ensure(&self, map: &Map, offset: usize) -> Result<(), Corrupt> {
        // Relaxed throughout: a bit says something about bytes that never change, it does not publish them.
        if self.all_verified.load(Ordering::Relaxed) || self.is_verified(offset / BLOCK_BYTES) {
            return Ok(());
        }
        self.verify_block(map, offset / BLOCK_BYTES)
    }

    /// The same for all blocks of a range that starts in a block already ensured.
    #[inline]
    pub(super) fn ensure_rest(&self, map: &Map, start: usize, end: usize) -> Result<(), Corrupt> {
        let (first, last) = (start / BLOCK_BYTES, end.saturating_sub(1) / BLOCK_BYTES);
        for block in first + 1..=last {
            self.ensure(map, block * BLOCK_BYTES)?;
        }
        Ok(())
    }

    /// Reads and checks every block, also those that were checked before. Reads the file rather than the mapping, so that
    /// nothing becomes resident in this process that no lookup asked for.
    pub(super) fn verify_all(&self, map: &Map, progress: &mut dyn FnMut(u64)) -> Result<(), Corrupt> {
        let mut sums = vec![0; BLOCK_BYTES];
        let mut blocks = vec![0; SUMS_PER_BLOCK * BLOCK_BYTES];
        let starts = (1..self.level1_first()).step_by(SUMS_PER_BLOCK);
        for ((first, level1_block), expected) in starts.zip(self.level1_first()..).zip(&self.level2) {
            self.read(map, level1_block, &mut sums)?;
            self.check(level1_block, Some(*expected), &sums)?;
            let count = SUMS_PER_BLOCK.min(self.level1_first() - first);
            let blocks = blocks.get_mut(..count * BLOCK_BYTES).unwrap_or_default();
            self.read(map, first, blocks)?;
            for ((bytes, block), index) in blocks.chunks_exact(BLOCK_BYTES).zip(first..).zip(0..) {
                self.check(block, u64_at(&sums, 8 * index), bytes)?;
            }
            progress(((first + count) * BLOCK_BYTES) as u64);
        }
        if !map.poisoned() {
            self.all_verified.store(true, Ordering::Relaxed);
        }
        progress(map.bytes().len() as u64);
        Ok(())
    }

    /// Blocks that matched, of all that have a checksum of their own.
    pub(super) fn verified_share(&self) -> f64 {
        if self.all_verified.load(Ordering::Relaxed) {
            return 1.0;
        }
        let verified: u32 = self.verified.iter().map(|word| word.load(Ordering::Relaxed).count_ones()).sum();
        f64::from(verified) / (self.level2_first() - 1).max(1) as f64
    }

    #[inline]
    fn is_verified(&self, block: usize) -> bool {
        self.verified.get(block / 64).is_some_and(|word| word.load(Ordering::Relaxed) >> (block % 64) & 1 == 1)
    }

    #[cold]
    fn verify_block(&self, map: &Map, block: usize) -> Result<(), Corrupt> {
        let start = block * BLOCK_BYTES;
        let expected = match block.checked_sub(self.level1_first()) {
            Some(index) => self.level2.get(index).copied(),
            None => self.level1_checksum(map, block)?,
        };
        self.check(block, expected, map.bytes().get(start..start + BLOCK_BYTES).unwrap_or_default())
    }

    /// Holds a block's bytes against its checksum, and remembers the outcome.
    fn check(&self, block: usize, expected: Option<u64>, bytes: &[u8]) -> Result<(), Corrupt> {
        let found = (bytes.len() == BLOCK_BYTES).then(|| block_checksum(self.id, block as u64, bytes));
        match (expected, found) {
            (Some(expected), Some(found)) if expected == found => {
                if let Some(word) = self.verified.get(block / 64) {
                    word.fetch_or(1 << (block % 64), Ordering::Relaxed);
                }
                Ok(())
            }
            (expected, found) => {
                self.distrust(block);
                Err(Corrupt {
                    file: self.file.to_string(),
                    offset: (block * BLOCK_BYTES) as u64,
                    expected: expected
                        .map_or_else(|| "no block here".into(), |sum| format!("block checksum {sum:016x}")),
                    found: found.map_or_else(|| "no bytes".into(), |sum| format!("{sum:016x}")),
                })
            }
        }
    }

    fn read(&self, map: &Map, block: usize, out: &mut [u8]) -> Result<(), Corrupt> {
        map.read_exact_at(block * BLOCK_BYTES, out).map_err(|error| {
            self.distrust(block);
            Corrupt {
                file: self.file.to_string(),
                offset: (block * BLOCK_BYTES) as u64,
                expected: format!("{} readable bytes", out.len()),
                found: error.to_string(),
            }
        })
    }

    /// Forgets that a block ever matched, so that later readers meet the damage, too.
    fn distrust(&self, block: usize) {
        if let Some(word) = self.verified.get(block / 64) {
            word.fetch_and(!(1 << (block % 64)), Ordering::Relaxed);
        }
        // After the bit: whoever finds the flag down asks the bits, which still stand for all other blocks.
        self.all_verified.store(false, Ordering::Release);
    }

    /// What the first level says of a block that it covers.
    fn level1_checksum(&self, map: &Map, block: usize) -> Result<Option<u64>, Corrupt> {
        let Some(index) = block.checked_sub(1) else { return Ok(None) };
        let at = self.level1.range().start + 8 * index;
        self.ensure(map, at)?;
        Ok(u64_at(map.bytes(), at))
    }

    fn level1_first(&self) -> usize {
        self.level1.range().start / BLOCK_BYTES
    }

    fn level2_first(&self) -> usize {
        self.level1_first() + self.level2.len()
    }
}

/// Blocks whose checksums fill one block of the first level: 2 MiB, as much as a disk likes to read at a time.
const SUMS_PER_BLOCK: usize = BLOCK_BYTES / 8;

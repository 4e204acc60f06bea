//! The checksums of a segment's blocks, and which blocks of the mapping are known to match.
//!
//! Both levels of checksums are checked against the root when a segment is opened, and kept on the heap: so a block can be
//! checked wherever its bytes came from, and nothing of the mapping is read for it. A block of the mapping is checked when
//! it is touched first, and a bit per block remembers it; once all were checked, one flag stands for all bits. A copy read
//! from the file is checked each time and says nothing about the mapping.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use super::map::{Direct, Map};
use crate::{
    disk::AlignedBuffer,
    error::Corrupt,
    format::{checksum::block_checksum, header::Header},
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
    /// Checksums of the blocks between the header and the first level.
    level1: Box<[u64]>,
    /// Checksums of the blocks of the first level.
    level2: Box<[u64]>,
}

impl Blocks {
    /// With the bytes of the second level, which the caller has checked against the root. Reads the first level.
    pub(super) fn read(map: &Map, header: &Header, level2: &[u8], file: &str) -> Result<Self, Corrupt> {
        let level1 = header.regions.level1.range();
        let first = level1.start / BLOCK_BYTES;
        let mut blocks = Self {
            all_verified: AtomicBool::new(false),
            verified: (0..first.div_ceil(64)).map(|_| AtomicU64::new(0)).collect(),
            id: header.id,
            file: file.into(),
            level1: Box::default(),
            level2: sums(level2).collect(),
        };
        let mut sums_read = Vec::with_capacity(level1.len() / 8);
        let mut bytes = vec![0; blocks.level2.len().min(BLOCKS_AT_A_TIME) * BLOCK_BYTES];
        for (expected, block) in blocks.level2.chunks(BLOCKS_AT_A_TIME).zip((first..).step_by(BLOCKS_AT_A_TIME)) {
            let bytes = bytes.get_mut(..expected.len() * BLOCK_BYTES).unwrap_or_default();
            let read = map.read_exact_at(block * BLOCK_BYTES, bytes);
            read.map_err(|error| blocks.unreadable(block, bytes.len(), &error))?;
            blocks.check_run(block, expected, bytes)?;
            sums_read.extend(sums(bytes));
        }
        sums_read.truncate(level1.len() / 8); // what follows is padding
        blocks.level1 = sums_read.into();
        Ok(blocks)
    }

    /// Makes sure that the block of the mapping which holds `offset` matches its checksum.
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

    /// Holds copies of blocks, from `block` on, against their checksums.
    pub(super) fn check_copy(&self, block: usize, bytes: &[u8]) -> Result<(), Corrupt> {
        for (bytes, block) in bytes.chunks(BLOCK_BYTES).zip(block..) {
            self.check(block, self.expected(block), bytes)?;
        }
        Ok(())
    }

    /// Reads and checks every block, also those that were checked before. What `is_resident` says is in memory is read there,
    /// so that the bytes checked are the ones that are served; the rest is read past the page cache, so that nothing becomes
    /// resident that no lookup asked for.
    pub(super) fn verify_all(
        &self,
        map: &Map,
        direct: &Direct,
        is_resident: impl Fn(usize) -> bool,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), Corrupt> {
        let direct = direct.to_file().map_err(|error| self.unreadable(0, 0, &error))?;
        // No longer than the file is: most deltas are of a few blocks.
        let longest = self.level1.len().max(self.level2.len()).min(VERIFY_BLOCKS);
        let mut buffer = AlignedBuffer::new(longest * BLOCK_BYTES);
        for (start, expected) in [(1, &self.level1), (1 + self.level1.len(), &self.level2)] {
            for (expected, first) in expected.chunks(VERIFY_BLOCKS).zip((start..).step_by(VERIFY_BLOCKS)) {
                let bytes = buffer.bytes_mut().get_mut(..expected.len() * BLOCK_BYTES).unwrap_or_default();
                let read = match is_resident(first * BLOCK_BYTES) {
                    true => map.read_exact_at(first * BLOCK_BYTES, bytes),
                    false => read_direct(&direct, map, first * BLOCK_BYTES, bytes),
                };
                read.map_err(|error| self.unreadable(first, bytes.len(), &error))?;
                self.check_run(first, expected, bytes)?;
                self.remember(first, expected.len());
                progress(((first + expected.len()) * BLOCK_BYTES) as u64);
            }
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
        // Those of the checksums themselves matched when the segment was opened.
        let matched = f64::from(verified) + self.level2.len() as f64;
        matched / (self.level1.len() + self.level2.len()).max(1) as f64
    }

    #[inline]
    fn is_verified(&self, block: usize) -> bool {
        self.verified.get(block / 64).is_some_and(|word| word.load(Ordering::Relaxed) >> (block % 64) & 1 == 1)
    }

    #[cold]
    fn verify_block(&self, map: &Map, block: usize) -> Result<(), Corrupt> {
        let start = block * BLOCK_BYTES;
        let bytes = map.bytes().get(start..start + BLOCK_BYTES).unwrap_or_default();
        self.check(block, self.expected(block), bytes)?;
        self.remember(block, 1);
        Ok(())
    }

    fn check_run(&self, first: usize, expected: &[u64], bytes: &[u8]) -> Result<(), Corrupt> {
        for ((expected, bytes), block) in expected.iter().zip(bytes.chunks(BLOCK_BYTES)).zip(first..) {
            self.check(block, Some(*expected), bytes)?;
        }
        Ok(())
    }

    /// Holds a block's bytes against its checksum.
    fn check(&self, block: usize, expected: Option<u64>, bytes: &[u8]) -> Result<(), Corrupt> {
        let found = (bytes.len() == BLOCK_BYTES).then(|| block_checksum(self.id, block as u64, bytes));
        match (expected, found) {
            (Some(expected), Some(found)) if expected == found => Ok(()),
            (expected, found) => {
                self.distrust(block);
                Err(Corrupt {
                    file: self.file.to_string(),
                    offset: (block * BLOCK_BYTES) as u64,
                    expected: expected
                        .map_or_else(|| "no block here".into(), |sum| format!("block checksum {sum:016x}")),
                    found: found.map_or_else(|| format!("{} bytes", bytes.len()), |sum| format!("{sum:016x}")),
                })
            }
        }
    }

    #[cold]
    fn unreadable(&self, block: usize, bytes: usize, error: &io::Error) -> Corrupt {
        self.distrust(block);
        Corrupt {
            file: self.file.to_string(),
            offset: (block * BLOCK_BYTES) as u64,
            expected: format!("{bytes} readable bytes"),
            found: error.to_string(),
        }
    }

    /// Those of the checksums need no bit: nobody reads them through the mapping.
    fn remember(&self, first: usize, count: usize) {
        for block in first..(first + count).min(1 + self.level1.len()) {
            if let Some(word) = self.verified.get(block / 64) {
                word.fetch_or(1 << (block % 64), Ordering::Relaxed);
            }
        }
    }

    /// Forgets that a block ever matched, so that later readers meet the damage, too.
    fn distrust(&self, block: usize) {
        if let Some(word) = self.verified.get(block / 64) {
            word.fetch_and(!(1 << (block % 64)), Ordering::Relaxed);
        }
        // After the bit: whoever finds the flag down asks the bits, which still stand for all other blocks.
        self.all_verified.store(false, Ordering::Release);
    }

    fn expected(&self, block: usize) -> Option<u64> {
        self.level1.get(block.checked_sub(1)?).copied()
    }
}

/// A file system that opens a file for direct reads may still refuse one.
fn read_direct(direct: &File, map: &Map, offset: usize, bytes: &mut [u8]) -> io::Result<()> {
    match direct.read_exact_at(bytes, offset as u64) {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => map.read_exact_at(offset, bytes),
        read => read,
    }
}

fn sums(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes))
}

/// How much of the first level is read at a time: 256 KiB, which are the checksums of 128 MiB.
const BLOCKS_AT_A_TIME: usize = 64;

/// How much is verified at a time: 2 MiB, as much as a disk likes to read.
const VERIFY_BLOCKS: usize = 512;

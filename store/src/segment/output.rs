//! A file written block after block, each block's checksum taken on the way out.
//!
//! Written past the page cache where the file system allows it. What fills the cache as fast as memory goes is written back whenever the
//! kernel likes, and a sync of the write log waits for it then; and what is read of a segment later is read as a whole, into pages as large
//! as there are.

use std::path::{Path, PathBuf};

use crate::{
    disk::{Access, AlignedBuffer, Disk as _, DiskFile, SystemDisk},
    error::Error,
    format::{checksum::block_checksum, header::Region},
    limits::BLOCK_BYTES,
};

/// Writes everything but the first block, which is written last.
#[derive(Debug)]
pub(super) struct Output {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    id: u64,
    /// Starts at a block.
    buffer: AlignedBuffer,
    /// So much of it is filled.
    filled: usize,
    /// Where it goes.
    flushed: u64,
    /// One per block written so far, from the second block on.
    checksums: Vec<u64>,
}

impl Output {
    pub(super) fn create(path: &Path, id: u64) -> Result<Self, Error> {
        let file = SystemDisk.create(path, Access::Direct).map_err(|source| Error::io("create", path, source))?;
        let (path, buffer) = (path.to_owned(), AlignedBuffer::new(BUFFER_BYTES));
        Ok(Self { file, path, id, buffer, filled: 0, flushed: BLOCK_BYTES as u64, checksums: Vec::new() })
    }

    pub(super) fn position(&self) -> u64 {
        self.flushed + self.filled as u64
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        loop {
            let room = &mut self.buffer.bytes_mut()[self.filled..];
            let (here, behind) = bytes.split_at(bytes.len().min(room.len()));
            room[..here.len()].copy_from_slice(here);
            self.filled += here.len();
            if self.filled < BUFFER_BYTES {
                return Ok(());
            }
            self.flush_blocks()?;
            bytes = behind;
        }
    }

    /// Appends zeros up to a multiple of `alignment`, which divides a block.
    pub(super) fn pad(&mut self, alignment: usize) {
        // The buffer starts and ends at a block, so what is appended fits.
        let end = self.filled.next_multiple_of(alignment);
        self.buffer.bytes_mut()[self.filled..end].fill(0);
        self.filled = end;
    }

    /// Ends a region that began at `offset`.
    pub(super) fn end_region(&mut self, offset: u64) -> Region {
        let region = Region { offset, bytes: self.position() - offset };
        self.pad(BLOCK_BYTES);
        region
    }

    /// Goes back to a block boundary, to write again from there.
    pub(super) fn rewind(&mut self, offset: u64) -> Result<(), Error> {
        debug_assert!(offset.is_multiple_of(BLOCK_BYTES as u64));
        if let Some(unwritten) = offset.checked_sub(self.flushed) {
            // What stands before the offset may not be in the file yet: it must stay in the buffer.
            self.filled = self.filled.min(usize::try_from(unwritten).unwrap_or(usize::MAX));
            return Ok(());
        }
        self.filled = 0;
        self.checksums.truncate(usize::try_from(offset / BLOCK_BYTES as u64).unwrap_or(usize::MAX) - 1);
        self.flushed = offset;
        self.file.truncate(offset).map_err(|source| Error::io("truncate", &self.path, source))
    }

    /// Writes both levels of checksums. Returns their regions and the second level's bytes with its padding.
    pub(super) fn write_checksums(&mut self) -> Result<(Region, Region, Vec<u8>), Error> {
        self.flush_blocks()?;
        let level1_start = self.position();
        let covered = self.checksums.len();
        for checksum in std::mem::take(&mut self.checksums) {
            self.write(&checksum.to_le_bytes())?;
        }
        let level1 = self.end_region(level1_start);
        self.flush_blocks()?;
        assert_eq!(covered as u64 + 1, level1_start / BLOCK_BYTES as u64, "every block before them has its checksum");
        let level2_start = self.position();
        let mut level2_bytes: Vec<u8> = self.checksums.iter().flat_map(|checksum| checksum.to_le_bytes()).collect();
        self.write(&level2_bytes)?;
        let level2 = self.end_region(level2_start);
        self.flush_blocks()?;
        level2_bytes.resize(level2_bytes.len().next_multiple_of(BLOCK_BYTES), 0);
        Ok((level1, level2, level2_bytes))
    }

    /// Writes the first block and makes the file durable. The name is the caller's to make durable.
    pub(super) fn finish(mut self, first_block: &[u8]) -> Result<(), Error> {
        debug_assert!(self.filled == 0);
        let block = &mut self.buffer.bytes_mut()[..BLOCK_BYTES];
        block.copy_from_slice(first_block);
        self.file.write_at(block, 0).map_err(|source| Error::io("write", &self.path, source))?;
        self.file.sync().map_err(|source| Error::io("sync", &self.path, source))
    }

    /// Writes what is at hand, which ends at a block.
    fn flush_blocks(&mut self) -> Result<(), Error> {
        debug_assert!(self.filled.is_multiple_of(BLOCK_BYTES));
        let bytes = &self.buffer.bytes()[..self.filled];
        if bytes.is_empty() {
            return Ok(());
        }
        let first = self.flushed / BLOCK_BYTES as u64;
        for (block, bytes) in (first..).zip(bytes.chunks_exact(BLOCK_BYTES)) {
            self.checksums.push(block_checksum(self.id, block, bytes));
        }
        self.file.write_at(bytes, self.flushed).map_err(|source| Error::io("write", &self.path, source))?;
        self.flushed += self.filled as u64;
        self.filled = 0;
        Ok(())
    }
}

/// How much is written at a time.
const BUFFER_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes `kept` bytes, then a first try of `tried` bytes behind them, goes back, and writes a second one.
    fn rewritten(kept: usize, tried: usize) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("segment");
        let mut output = Output::create(&path, 7).unwrap();
        output.write(&vec![1; kept]).unwrap();
        let end = output.end_region(BLOCK_BYTES as u64);
        let start = output.position();
        for bytes in vec![2; tried].chunks(BLOCK_BYTES) {
            output.write(bytes).unwrap();
        }
        output.rewind(start).unwrap();
        assert_eq!(output.position(), start);
        output.write(&vec![3; 3 * BLOCK_BYTES]).unwrap();
        output.write_checksums().unwrap();
        output.finish(&[0; BLOCK_BYTES]).unwrap();
        assert_eq!(end.bytes, kept as u64);
        std::fs::read(&path).unwrap()
    }

    #[test]
    fn going_back_loses_nothing_that_stands_before() {
        // Whether what is kept, or what is given up, was written already or is in the buffer still.
        for kept in [100, BUFFER_BYTES - 1, BUFFER_BYTES + 100, 3 * BUFFER_BYTES + 5 * BLOCK_BYTES] {
            let untried = rewritten(kept, 0);
            assert!(untried[BLOCK_BYTES..BLOCK_BYTES + kept].iter().all(|&byte| byte == 1));
            for tried in [BLOCK_BYTES, BUFFER_BYTES - BLOCK_BYTES, BUFFER_BYTES, 2 * BUFFER_BYTES + BLOCK_BYTES] {
                assert!(rewritten(kept, tried) == untried, "{kept} bytes kept, {tried} given up");
            }
        }
    }
}

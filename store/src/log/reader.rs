//! Reading one segment from front to back, a window at a time.

use std::path::{Path, PathBuf};

use super::{
    Sequence,
    record::{self, HEAD_BYTES, Head, MAGIC, Place, RECORD_ALIGNMENT},
    segment::{SegmentHeader, segment_file},
};
use crate::{
    disk::{Access, AlignedBuffer, Disk, DiskFile},
    error::{Corrupt, Error},
    format::bytes::u32_at,
    limits::BLOCK_BYTES,
};

const BLOCK: u64 = BLOCK_BYTES as u64;

/// A segment, its header checked.
#[derive(Debug)]
pub(super) struct SegmentReader {
    pub(super) file: Box<dyn DiskFile>,
    pub(super) path: PathBuf,
    pub(super) header: SegmentHeader,
    window: AlignedBuffer,
    window_at: u64,
    filled: usize,
}

/// What the records before a place say about the one that belongs there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    pub(super) sequence: Sequence,
    pub(super) epoch: u32,
    pub(super) previous: u64,
}

/// A record that is whole and belongs where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) offset: u64,
    pub(super) head: Head,
    pub(super) checksum: u64,
}

/// What stands behind the last record that belongs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Beyond {
    /// The highest sequence that anything there says was durable.
    pub(super) durable: Sequence,
    pub(super) epoch: u32,
    /// Where what was written in the epoch asked about ends; 0 when there is nothing of it.
    pub(super) end: u64,
}

impl SegmentReader {
    pub(super) fn open(disk: &dyn Disk, folder: &Path, number: u64) -> Result<Self, Error> {
        let path = segment_file(folder, number);
        let file = disk.open(&path, Access::Direct).map_err(|source| Error::io("open", &path, source))?;
        let length = file.length().map_err(|source| Error::io("examine", &path, source))?;
        let mut window = AlignedBuffer::new(BLOCK_BYTES);
        let filled = file.read_at(window.bytes_mut(), 0).map_err(|source| Error::io("read", &path, source))?;
        let header = SegmentHeader::read(window.bytes().get(..filled).unwrap_or_default(), number, &path, length)?;
        let window_bytes = usize::try_from(length).unwrap_or(usize::MAX).min(WINDOW_BYTES);
        Ok(Self { file, path, header, window: AlignedBuffer::new(window_bytes), window_at: 0, filled: 0 })
    }

    /// The record that belongs behind what ends at `end`: right there, in the same batch, or at the next block.
    pub(super) fn next(&mut self, end: u64, expected: Expected) -> Result<Option<Found>, Error> {
        for offset in places(end) {
            if let Some(found) = self.record(offset, expected)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The payload of a record that was found.
    pub(super) fn payload(&mut self, found: &Found) -> Result<&[u8], Error> {
        self.bytes(found.offset + HEAD_BYTES as u64, found.head.payload_bytes as usize)
    }

    fn record(&mut self, offset: u64, expected: Expected) -> Result<Option<Found>, Error> {
        let place = self.place(offset);
        let Some((head, checksum)) = Head::read(self.bytes(offset, HEAD_BYTES)?, place) else { return Ok(None) };
        let is_next = head.sequence == expected.sequence && head.previous == expected.previous;
        let is_of_epoch = match head.kind {
            record::Kind::Opening => head.epoch > expected.epoch,
            _ => head.epoch == expected.epoch,
        };
        if !is_next || !is_of_epoch || offset + head.record_bytes() > self.header.bytes {
            return Ok(None);
        }
        let found = Found { offset, head, checksum };
        let is_whole = record::payload_checksum(self.payload(&found)?) == head.payload_checksum;
        Ok(is_whole.then_some(found))
    }

    /// Looks through everything from `end` on. Heads stand at multiples of 8, and one is believed without its payload.
    pub(super) fn look_beyond(&mut self, end: u64, epoch: u32) -> Result<Beyond, Error> {
        let mut beyond = Beyond::default();
        let mut at = end;
        while at < self.header.bytes {
            // All but the first start at a block, so that no window is read twice.
            let end = (at / STRETCH_BYTES + 1) * STRETCH_BYTES;
            let stretch = usize::try_from(end.min(self.header.bytes) - at).unwrap_or(usize::MAX);
            let marked = marked_offsets(self.bytes(at, stretch)?);
            for offset in marked.into_iter().map(|offset| at + offset as u64) {
                let place = self.place(offset);
                let Some((head, _)) = Head::read(self.bytes(offset, HEAD_BYTES)?, place) else { continue };
                beyond.durable = beyond.durable.max(head.durable);
                beyond.epoch = beyond.epoch.max(head.epoch);
                if head.epoch == epoch {
                    beyond.end = beyond.end.max((offset + head.record_bytes()).min(self.header.bytes));
                }
            }
            at += stretch as u64;
        }
        Ok(beyond)
    }

    /// Where the record that belongs behind `end` seems to have been, though it is not whole.
    pub(super) fn remains(&mut self, end: u64, expected: Expected) -> Result<Option<u64>, Error> {
        for offset in places(end) {
            if record::looks_like(self.bytes(offset, HEAD_BYTES)?, expected.sequence, expected.epoch) {
                return Ok(Some(offset));
            }
        }
        Ok(None)
    }

    pub(super) fn corrupt(&self, offset: u64, expected: String, found: impl Into<String>) -> Error {
        Error::Corrupt(Corrupt { file: self.path.display().to_string(), offset, expected, found: found.into() })
    }

    fn place(&self, offset: u64) -> Place {
        Place { log: self.header.log, segment: self.header.number, offset }
    }

    /// The bytes from `at` on; fewer where the file ends.
    fn bytes(&mut self, at: u64, length: usize) -> Result<&[u8], Error> {
        let end = (at + length as u64).min(self.header.bytes);
        let is_here = self.window_at <= at && end <= self.window_at + self.filled as u64;
        if !is_here && at < end {
            self.fill(at, end)?;
        }
        let start = usize::try_from(at.saturating_sub(self.window_at)).unwrap_or(usize::MAX);
        let end = usize::try_from(end.saturating_sub(self.window_at)).unwrap_or(usize::MAX).min(self.filled);
        Ok(self.window.bytes().get(start..end).unwrap_or_default())
    }

    fn fill(&mut self, at: u64, end: u64) -> Result<(), Error> {
        self.window_at = at / BLOCK * BLOCK;
        let needed = usize::try_from(end.next_multiple_of(BLOCK) - self.window_at).unwrap_or(usize::MAX);
        if self.window.bytes().len() < needed {
            self.window = AlignedBuffer::new(needed); // at most the longest record, whose head was believed
        }
        let rest = usize::try_from(self.header.bytes - self.window_at).unwrap_or(usize::MAX);
        let length = self.window.bytes().len().min(rest);
        let window = self.window.bytes_mut().get_mut(..length).unwrap_or_default();
        let read = self.file.read_at(window, self.window_at);
        self.filled = read.map_err(|source| Error::io("read", &self.path, source))?;
        Ok(())
    }
}

/// Where the record behind one that ends at `end` may be.
fn places(end: u64) -> impl Iterator<Item = u64> {
    let block = end.next_multiple_of(BLOCK);
    [Some(end), (block != end).then_some(block)].into_iter().flatten()
}

/// Where heads may begin, judging by their first bytes.
fn marked_offsets(bytes: &[u8]) -> Vec<usize> {
    let units = bytes.chunks_exact(RECORD_ALIGNMENT).enumerate();
    units.filter(|(_, unit)| u32_at(unit, 0) == Some(MAGIC)).map(|(at, _)| at * RECORD_ALIGNMENT).collect()
}

/// What is read at a time, unless a record is longer.
const WINDOW_BYTES: usize = 1 << 20;
const STRETCH_BYTES: u64 = WINDOW_BYTES as u64 / 2;

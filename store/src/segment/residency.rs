//! What of a segment is in memory, as serving cores are told: a flag for the index and a watermark for the rows.
//!
//! Raised after pages were brought in, lowered before they may go; so a core that asks first never waits for a disk. Cores
//! read two numbers; everything else here is for one background thread at a time, which a lock makes sure of.

use std::{
    ops::Range,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use super::reader::{Segment, row_offset};
use crate::{
    error::Error,
    format::header::{Header, Region},
    limits::{BLOCK_BYTES, ROW_BYTES_MAX},
    table::{Brought, Lock},
};

/// What cores are told of one segment, and what the background remembers.
#[derive(Debug)]
pub(crate) struct Residence {
    index: AtomicBool,
    /// Rows that start below this offset are in memory to their last byte.
    rows_start_below: AtomicUsize,
    /// What is in memory of the rows ends here.
    rows_until: AtomicUsize,
    /// What is locked of the rows ends here; never above `rows_until` but while rows are being released.
    rows_locked_until: AtomicUsize,
    index_locked: AtomicBool,
    evicted_total: AtomicU64,
    /// What came along because huge pages are whole: bytes of neighbouring regions, some of which may be resident by now.
    beside: AtomicUsize,
    index_blocks: Range<usize>,
    rows_blocks: Range<usize>,
    /// Held by whoever changes the above.
    changing: Mutex<()>,
}

/// What of one segment is in memory. Bytes are those of whole blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentResidency {
    pub file: String,
    pub index_bytes: u64,
    pub index_resident_bytes: u64,
    pub rows_bytes: u64,
    pub rows_resident_bytes: u64,
    /// What is in memory beside these, at most: what huge pages brought along.
    pub beside_bytes: u64,
    /// Whether all that is resident is locked, and something is.
    pub locked: bool,
    /// Bytes that the kernel took away while they counted as resident, since the segment was opened.
    pub evicted_total: u64,
    /// Whether what is not resident can be read past the page cache.
    pub direct_io: bool,
}

impl Residence {
    pub(super) fn new(header: &Header) -> Self {
        let rows_blocks = whole_blocks(header.regions.rows);
        Self {
            index: AtomicBool::new(false),
            rows_start_below: AtomicUsize::new(0),
            rows_until: AtomicUsize::new(rows_blocks.start),
            rows_locked_until: AtomicUsize::new(rows_blocks.start),
            index_locked: AtomicBool::new(false),
            beside: AtomicUsize::new(0),
            evicted_total: AtomicU64::new(0),
            index_blocks: whole_blocks(header.regions.index),
            rows_blocks,
            changing: Mutex::new(()),
        }
    }

    /// Whether this offset is in memory and may be read in place, as far as is known.
    pub(super) fn holds(&self, offset: usize) -> bool {
        match self.rows_blocks.contains(&offset) {
            true => offset < self.rows_until.load(Ordering::Relaxed),
            false => self.index_blocks.contains(&offset) && self.index.load(Ordering::Relaxed),
        }
    }

    fn rows_until(&self) -> usize {
        self.rows_until.load(Ordering::Relaxed)
    }

    /// A row that starts right below the watermark may end a row's length above it, unless that is where all rows end.
    fn set_rows_until(&self, until: usize) {
        let start_below = if until == self.rows_blocks.end { until } else { until.saturating_sub(ROW_BYTES_MAX) };
        self.rows_until.store(until, Ordering::Relaxed);
        self.rows_start_below.store(start_below, Ordering::Release);
    }

    fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Segment {
    /// Whether index lines may be read in place.
    #[inline]
    pub(crate) fn index_is_resident(&self) -> bool {
        self.residence.index.load(Ordering::Acquire)
    }

    /// Whether the row that starts there may be read in place, all of it.
    #[inline]
    pub(crate) fn row_is_resident(&self, start: u32) -> bool {
        row_offset(start) < self.residence.rows_start_below.load(Ordering::Acquire)
    }

    pub(crate) fn index_bytes(&self) -> usize {
        self.residence.index_blocks.len()
    }

    pub(crate) fn rows_bytes(&self) -> usize {
        self.residence.rows_blocks.len()
    }

    pub(crate) fn rows_resident_bytes(&self) -> usize {
        self.residence.rows_until() - self.residence.rows_blocks.start
    }

    /// Brings the index in, unless it is.
    pub(crate) fn bring_in_index(&self, lock: Lock, huge_pages: bool, brought: &mut Brought) -> Result<(), Error> {
        let Residence { index, index_locked, index_blocks, .. } = &self.residence;
        let _changing = self.residence.change();
        if index.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut locked = true;
        for slice in slices(index_blocks.clone()) {
            locked &= self.bring_in_slice(&slice, lock, huge_pages, brought)?;
        }
        index_locked.store(locked, Ordering::Relaxed);
        index.store(true, Ordering::Release);
        Ok(())
    }

    /// Brings in rows from the watermark on, at most so many bytes, and raises it slice by slice. Returns how many.
    pub(crate) fn bring_in_rows(
        &self,
        bytes_max: usize,
        lock: Lock,
        huge_pages: bool,
        brought: &mut Brought,
    ) -> Result<usize, Error> {
        let residence = &self.residence;
        let _changing = residence.change();
        let start = residence.rows_until();
        let end = residence.rows_blocks.end.min(start.saturating_add(bytes_max / BLOCK_BYTES * BLOCK_BYTES));
        for slice in slices(start..end) {
            if self.bring_in_slice(&slice, lock, huge_pages, brought)?
                && residence.rows_locked_until.load(Ordering::Relaxed) >= slice.start
            {
                residence.rows_locked_until.fetch_max(slice.end, Ordering::Relaxed);
            }
            residence.set_rows_until(slice.end);
        }
        Ok(end - start)
    }

    /// Looks whether what counts as resident still is in memory, and stops counting what is not. Returns the bytes that are
    /// gone.
    pub(crate) fn watch(&self) -> Result<usize, Error> {
        let residence = &self.residence;
        let _changing = residence.change();
        let mut evicted = 0;
        if residence.index.load(Ordering::Relaxed) {
            let present = self.map.resident_bytes(&residence.index_blocks)?;
            if present < residence.index_blocks.len() {
                residence.index.store(false, Ordering::Release);
                evicted += residence.index_blocks.len() - present;
            }
        }
        let rows = residence.rows_blocks.start..residence.rows_until();
        let prefix = self.map.resident_prefix(&rows)?;
        if prefix < rows.len() {
            residence.set_rows_until(rows.start + prefix);
            let rest = rows.start + prefix..rows.end;
            evicted += rest.len().saturating_sub(self.map.resident_bytes(&rest)?).max(BLOCK_BYTES);
        }
        residence.evicted_total.fetch_add(evicted as u64, Ordering::Relaxed);
        Ok(evicted)
    }

    /// Lowers the watermark, so that at most so many bytes of rows count as resident. Cores may still be reading above it.
    pub(crate) fn release_rows(&self, keep_bytes: usize) {
        let residence = &self.residence;
        let _changing = residence.change();
        let kept = keep_bytes / BLOCK_BYTES * BLOCK_BYTES;
        if kept < self.rows_resident_bytes() {
            residence.set_rows_until(residence.rows_blocks.start + kept);
        }
    }

    /// Lets go of all rows above the watermark, when no core can be reading them any more.
    pub(crate) fn finish_release(&self) -> Result<(), Error> {
        let residence = &self.residence;
        let _changing = residence.change();
        let until = residence.rows_until();
        self.map.forget(&(until..residence.rows_blocks.end))?;
        residence.rows_locked_until.fetch_min(until, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn residency(&self) -> SegmentResidency {
        let residence = &self.residence;
        let index_is_resident = self.index_is_resident();
        let until = residence.rows_until();
        let anything = index_is_resident || until > residence.rows_blocks.start;
        let index_is_locked = !index_is_resident || residence.index_locked.load(Ordering::Relaxed);
        let index_resident = if index_is_resident { self.index_bytes() } else { 0 };
        let rows_resident = until - residence.rows_blocks.start;
        let others = self.map.bytes().len().saturating_sub(index_resident + rows_resident);
        SegmentResidency {
            file: self.layout.file.to_string(),
            index_bytes: self.index_bytes() as u64,
            index_resident_bytes: index_resident as u64,
            rows_bytes: self.rows_bytes() as u64,
            rows_resident_bytes: rows_resident as u64,
            beside_bytes: residence.beside.load(Ordering::Relaxed).min(others) as u64,
            locked: anything && index_is_locked && residence.rows_locked_until.load(Ordering::Relaxed) >= until,
            evicted_total: residence.evicted_total.load(Ordering::Relaxed),
            direct_io: self.direct.is_direct,
        }
    }

    /// Returns whether the slice is locked. Locked first, which reads nothing: so no page can be taken away again between being
    /// brought in and being locked, when it would pass for resident.
    fn bring_in_slice(
        &self,
        slice: &Range<usize>,
        lock: Lock,
        huge_pages: bool,
        brought: &mut Brought,
    ) -> Result<bool, Error> {
        let mut piece = slice.clone();
        if huge_pages {
            // Up to two mebibytes of a neighbouring region come along at either end.
            piece = with_whole_huge_pages(slice, self.map.bytes().len());
            self.residence.beside.fetch_add(piece.len() - slice.len(), Ordering::Relaxed);
            self.map.advise_huge_pages(&piece);
        }
        let mut locked = false;
        if lock != Lock::Never && brought.lock_refused.is_none() {
            match (self.map.lock(&piece), lock) {
                (Ok(()), _) => locked = true,
                (Err(refused), Lock::Required) => return Err(refused),
                (Err(refused), _) => brought.lock_refused = Some(refused),
            }
        }
        self.map.populate(&piece)?;
        brought.bytes += slice.len() as u64;
        brought.locked_bytes += if locked { slice.len() as u64 } else { 0 };
        Ok(locked)
    }
}

fn whole_blocks(region: Region) -> Range<usize> {
    let Range { start, end } = region.range();
    start..end.next_multiple_of(BLOCK_BYTES)
}

/// Slices end at multiples of their length in the file, so that none ends within a huge page.
fn slices(range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let starts = std::iter::successors(Some(range.start), |start| Some((start / SLICE_BYTES + 1) * SLICE_BYTES));
    starts.take_while(move |start| *start < range.end).map(move |start| {
        let end = (start / SLICE_BYTES + 1) * SLICE_BYTES;
        start..range.end.min(end)
    })
}

/// The huge pages that this slice is a part of, as far as the file reaches. What is advised, locked and populated in one piece can be
/// mapped by one entry; a piece that ends within a huge page costs 512 of them there, and lookups as many more misses.
fn with_whole_huge_pages(slice: &Range<usize>, file_bytes: usize) -> Range<usize> {
    let start = slice.start / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
    start..slice.end.next_multiple_of(HUGE_PAGE_BYTES).min(file_bytes)
}

const HUGE_PAGE_BYTES: usize = 2 << 20;

const _: () = assert!(SLICE_BYTES.is_multiple_of(HUGE_PAGE_BYTES));

/// What one step brings in: 5 ms of a fast disk, so that the watermark rises steadily and other users of the address space
/// are not locked out for long.
const SLICE_BYTES: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_cover_the_range_and_end_where_huge_pages_do() {
        let check = |start: usize, end: usize, expected: &[usize]| {
            let ends: Vec<usize> = slices(start..end).map(|slice| slice.end).collect();
            assert_eq!(ends, expected);
            let starts: Vec<usize> = slices(start..end).map(|slice| slice.start).collect();
            assert_eq!(starts.first().copied(), (start < end).then_some(start));
            assert!(starts.iter().skip(1).eq(ends.iter().take(ends.len().saturating_sub(1))));
        };
        const MIB: usize = 1 << 20;
        check(4096, 40 * MIB, &[16 * MIB, 32 * MIB, 40 * MIB]);
        check(0, 16 * MIB, &[16 * MIB]);
        check(17 * MIB, 18 * MIB, &[18 * MIB]);
        check(5, 5, &[]);
        assert_eq!(with_whole_huge_pages(&(4096..3 * MIB), 100 * MIB), 0..4 * MIB);
        assert_eq!(with_whole_huge_pages(&(3 * MIB..16 * MIB), 100 * MIB), 2 * MIB..16 * MIB);
        assert_eq!(with_whole_huge_pages(&(MIB..3 * MIB), 3 * MIB + 5), 0..3 * MIB + 5);
    }
}

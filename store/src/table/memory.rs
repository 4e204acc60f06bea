//! What of a table is in memory: bringing it in within a budget, noticing what was taken away, letting go.
//!
//! For one background thread. Serving cores learn of it through `probe` and `is_resident` alone.

use super::Table;
use crate::{
    error::Error,
    segment::{Segment, SegmentResidency},
};

/// How segments are brought into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapOptions {
    pub populate: Populate,
    /// Lock what was populated (mlock2); refused limits are an error that names RLIMIT_MEMLOCK.
    pub lock: bool,
    /// Advise huge pages where the kernel can back the file with them.
    pub huge_pages: bool,
}

/// What [`Table::bring_in`] reads into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Populate {
    None,
    Index,
    All,
}

/// Whether what is brought in is locked there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    Never,
    /// If the limits of the process allow it; [`Brought::lock_refused`] says when they do not.
    IfAllowed,
    /// A refusal is an error; what was brought in before it stays.
    Required,
}

/// What one call brought into memory.
#[derive(Debug, Default)]
pub struct Brought {
    pub bytes: u64,
    /// Of these, how many were locked.
    pub locked_bytes: u64,
    /// The first refusal to lock, an [`Error::Lock`], which says how to raise the limit. Nothing was locked after it.
    pub lock_refused: Option<Error>,
}

/// What of a table counts as resident, after a look at what really is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Residency {
    pub index_bytes: u64,
    pub index_resident_bytes: u64,
    pub rows_bytes: u64,
    pub rows_resident_bytes: u64,
    /// What counted as resident before this look and was gone. If not zero, bringing in again is called for.
    pub evicted_bytes: u64,
}

impl Table {
    /// Bytes of the index, in whole blocks.
    pub fn index_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.index_bytes() as u64).sum()
    }

    /// Bytes of the rows, in whole blocks.
    pub fn rows_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.rows_bytes() as u64).sum()
    }

    /// Brings in what `options` ask for, all of it. Takes as long as the disk needs: not for a serving core.
    pub fn bring_in(&self, options: MapOptions) -> Result<(), Error> {
        let MapOptions { populate, lock, huge_pages } = options;
        let lock = if lock { Lock::IfAllowed } else { Lock::Never };
        let mut brought = Brought::default();
        if populate != Populate::None {
            brought = self.bring_in_index(lock, huge_pages)?;
        }
        if populate == Populate::All {
            let rows = self.bring_in_rows(u64::MAX, lock, huge_pages)?;
            brought.lock_refused = brought.lock_refused.or(rows.lock_refused);
        }
        // Last, so that what may not be locked is in memory all the same.
        brought.lock_refused.map_or(Ok(()), Err)
    }

    /// Brings in the index of every segment that has not got it in memory.
    pub fn bring_in_index(&self, lock: Lock, huge_pages: bool) -> Result<Brought, Error> {
        self.bring_in_index_within(u64::MAX, lock, huge_pages)
    }

    /// Brings in the index of as many segments more as fit into so many bytes. An index is brought in whole.
    pub fn bring_in_index_within(&self, bytes_max: u64, lock: Lock, huge_pages: bool) -> Result<Brought, Error> {
        let mut brought = Brought::default();
        for segment in &self.segments {
            if segment.index_bytes() as u64 <= bytes_max.saturating_sub(brought.bytes) {
                segment.bring_in_index(lock, huge_pages, &mut brought)?;
            }
        }
        Ok(brought)
    }

    /// Brings in the index of the next segment that has not got it in memory and for which so many bytes are room, and no more: an index
    /// may be large, and whoever watches has to come round.
    pub fn bring_in_next_index(&self, bytes_max: u64, lock: Lock, huge_pages: bool) -> Result<Brought, Error> {
        let mut brought = Brought::default();
        for segment in &self.segments {
            if segment.index_bytes() as u64 <= bytes_max {
                segment.bring_in_index(lock, huge_pages, &mut brought)?;
            }
            if brought.bytes > 0 {
                break;
            }
        }
        Ok(brought)
    }

    /// Brings in rows from where the last call stopped, at most so many bytes more.
    pub fn bring_in_rows(&self, bytes_max: u64, lock: Lock, huge_pages: bool) -> Result<Brought, Error> {
        let mut brought = Brought::default();
        let mut left = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        for segment in &self.segments {
            left -= segment.bring_in_rows(left, lock, huge_pages, &mut brought)?;
        }
        Ok(brought)
    }

    /// Looks whether all that counts as resident still is in memory. What is not, counts no longer as soon as this was seen.
    pub fn watch(&self) -> Result<Residency, Error> {
        let mut seen = Residency::default();
        for segment in &self.segments {
            seen.evicted_bytes += segment.watch()? as u64;
            let SegmentResidency { index_bytes, index_resident_bytes, rows_bytes, rows_resident_bytes, .. } =
                segment.residency();
            seen.index_bytes += index_bytes;
            seen.index_resident_bytes += index_resident_bytes;
            seen.rows_bytes += rows_bytes;
            seen.rows_resident_bytes += rows_resident_bytes;
        }
        Ok(seen)
    }

    /// What of each segment is in memory, as far as is known, in partition order.
    pub fn residency(&self) -> impl ExactSizeIterator<Item = SegmentResidency> {
        self.segments.iter().map(Segment::residency)
    }

    /// Stops counting rows as resident, but for `keep_bytes` of them. Cores that asked before may still be reading the others:
    /// they stay until [`Self::finish_release`].
    pub fn release_rows(&self, keep_bytes: u64) {
        let mut left = usize::try_from(keep_bytes).unwrap_or(usize::MAX);
        for segment in &self.segments {
            segment.release_rows(left);
            left = left.saturating_sub(segment.rows_resident_bytes());
        }
    }

    /// Gives back the memory of rows that do not count as resident. To be called when every core had a turn since
    /// [`Self::release_rows`].
    pub fn finish_release(&self) -> Result<(), Error> {
        self.segments.iter().try_for_each(Segment::finish_release)
    }
}

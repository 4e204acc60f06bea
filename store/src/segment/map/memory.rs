//! What of a mapping is in memory: asking, bringing in, locking, letting go.
//!
//! Contract: nothing here changes what the bytes of a mapping are, only where they are. Ranges outside the mapping are
//! refused. All of it takes as long as the disk and the kernel need, and is not for a serving core.

#![expect(unsafe_code, reason = "locks, forgets and counts pages; the contract is above")]

use std::{io, ops::Range, os::fd::AsRawFd as _, ptr};

use memmap2::{Advice, UncheckedAdvice};

use super::Map;
use crate::{error::Error, limits::BLOCK_BYTES};

impl Map {
    /// Reads this range into memory.
    pub(crate) fn populate(&self, range: &Range<usize>) -> Result<(), Error> {
        // Before `MADV_RANDOM`, after which populating would read page by page.
        self.advise(Advice::Sequential, range, "advise")?;
        let populated = self.advise(Advice::PopulateRead, range, "populate");
        self.advise_random(range)?;
        populated
    }

    /// Keeps what is, or will be, in memory of this range there.
    pub(crate) fn lock(&self, range: &Range<usize>) -> Result<(), Error> {
        let Some(bytes) = self.mmap.get(range.clone()) else { return Ok(()) };
        // SAFETY: the range lies within this mapping; locking changes residency, not contents.
        let done = unsafe { libc::mlock2(bytes.as_ptr().cast(), bytes.len(), libc::MLOCK_ONFAULT) };
        if done == 0 {
            return Ok(());
        }
        Err(Error::Lock { file: self.path.clone(), bytes: bytes.len(), source: io::Error::last_os_error() })
    }

    /// Unlocks this range, unmaps its pages and asks the kernel to give up what it holds of them.
    pub(crate) fn forget(&self, range: &Range<usize>) -> Result<(), Error> {
        let Some(bytes) = self.mmap.get(range.clone()).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
        // The call itself, because AddressSanitizer makes the library's `munlock` do nothing, but not its `mlock2`.
        // SAFETY: the range lies within this mapping; unlocking changes residency, not contents.
        if unsafe { libc::syscall(libc::SYS_munlock, bytes.as_ptr(), bytes.len()) } != 0 {
            return Err(self.failed("unlock", io::Error::last_os_error()));
        }
        // SAFETY: the mapping is of a file and private to reading, so a page that is forgotten comes back with the same
        // bytes when somebody reads it; a page of zeros in a poisoned mapping stays one.
        let forgotten =
            unsafe { self.mmap.unchecked_advise_range(UncheckedAdvice::DontNeed, range.start, range.len()) };
        forgotten.map_err(|source| self.failed("forget", source))?;
        let (offset, length) = (offset_of(range.start), offset_of(range.len()));
        // SAFETY: the descriptor is open; the advice is about the page cache and touches no memory of this process. That
        // pages somebody else has mapped stay where they are is right, so the outcome is not asked for.
        unsafe { libc::posix_fadvise(self.file.as_raw_fd(), offset, length, libc::POSIX_FADV_DONTNEED) };
        Ok(())
    }

    /// How many bytes from the start of this range on are in memory without a gap, in whole blocks.
    pub(crate) fn resident_prefix(&self, range: &Range<usize>) -> Result<usize, Error> {
        let mut known = range.start;
        while known < range.end {
            let slice = known..range.end.min(known + COUNT_SLICE_BYTES);
            if !self.is_resident(&slice)? {
                return Ok(self.gap(slice)? - range.start);
            }
            known = slice.end;
        }
        Ok(range.len())
    }

    /// Bytes of this range that are in memory.
    pub(crate) fn resident_bytes(&self, range: &Range<usize>) -> Result<usize, Error> {
        let pages = match self.cached_pages(range) {
            Ok(pages) => pages,
            // Older kernels do not have the call, and filters of containers refuse it in various ways.
            Err(_) => self.core_pages(range)?,
        };
        Ok((pages * BLOCK_BYTES).min(range.len()))
    }

    /// Asks for huge pages where the kernel can back a file with them; says nothing if it cannot.
    pub(crate) fn advise_huge_pages(&self, range: &Range<usize>) {
        let _ = self.advise(Advice::HugePage, range, "advise");
    }

    /// No reading ahead: rows are asked for in no order.
    pub(crate) fn advise_random(&self, range: &Range<usize>) -> Result<(), Error> {
        self.advise(Advice::Random, range, "advise")
    }

    /// Reading ahead: rows are asked for in their order.
    pub(crate) fn advise_sequential(&self, range: &Range<usize>) -> Result<(), Error> {
        self.advise(Advice::Sequential, range, "advise")
    }

    fn is_resident(&self, range: &Range<usize>) -> Result<bool, Error> {
        Ok(self.resident_bytes(range)? == range.len())
    }

    /// The first block of this range that is not in memory, when one is known not to be.
    fn gap(&self, range: Range<usize>) -> Result<usize, Error> {
        let Range { mut start, mut end } = range;
        // All before `start` is there, and something before `end` is not.
        while end - start > BLOCK_BYTES {
            let middle = start + ((end - start) / 2).next_multiple_of(BLOCK_BYTES);
            match self.is_resident(&(start..middle))? {
                true => start = middle,
                false => end = middle,
            }
        }
        Ok(start)
    }

    fn cached_pages(&self, range: &Range<usize>) -> io::Result<usize> {
        let asked = [range.start as u64, range.len() as u64];
        let mut told = [0_u64; CACHESTAT_FIELDS];
        let fd = self.file.as_raw_fd();
        // SAFETY: the kernel reads two and writes five numbers of 64 bits, which is what both arrays are.
        let done = unsafe { libc::syscall(SYS_CACHESTAT, fd, asked.as_ptr(), told.as_mut_ptr(), 0) };
        if done != 0 {
            return Err(io::Error::last_os_error());
        }
        let [cached, ..] = told;
        Ok(usize::try_from(cached).unwrap_or(usize::MAX / BLOCK_BYTES))
    }

    pub(super) fn core_pages(&self, range: &Range<usize>) -> Result<usize, Error> {
        let mut pages = vec![0_u8; range.len().div_ceil(BLOCK_BYTES)];
        let start = self.mmap.get(range.clone()).map_or(ptr::null(), <[u8]>::as_ptr);
        // SAFETY: the range lies within this mapping, or the address is null, which is refused; one byte is written per
        // page, and there are as many.
        let done = unsafe { libc::mincore(start.cast_mut().cast(), range.len(), pages.as_mut_ptr()) };
        if done != 0 {
            return Err(self.failed("ask what is in memory of", io::Error::last_os_error()));
        }
        Ok(pages.iter().filter(|&&page| page & 1 == 1).count())
    }

    fn advise(&self, advice: Advice, range: &Range<usize>, op: &'static str) -> Result<(), Error> {
        if range.is_empty() {
            return Ok(());
        }
        self.mmap.advise_range(advice, range.start, range.len()).map_err(|source| self.failed(op, source))
    }

    fn failed(&self, op: &'static str, source: io::Error) -> Error {
        Error::io(op, &self.path, source)
    }
}

fn offset_of(bytes: usize) -> libc::off_t {
    libc::off_t::try_from(bytes).unwrap_or(libc::off_t::MAX)
}

/// How much is asked about at a time: the kernel walks its tree of pages meanwhile.
const COUNT_SLICE_BYTES: usize = 16 << 20;

/// Since Linux 6.5; the number is the same on every architecture.
const SYS_CACHESTAT: libc::c_long = 451;

/// Pages in the cache, dirty, under writing, evicted, evicted recently.
const CACHESTAT_FIELDS: usize = 5;

//! The mapped bytes of a segment, and what happens when the file under them goes away.
//!
//! Contract. A mapping is read-only and private to reading; segments are immutable and their names are never reused, so
//! nobody who keeps to the rules changes bytes under a reader. If somebody truncates the file or the disk fails all the
//! same, the kernel sends SIGBUS to whoever touches the page. The handler in `fault` finds the mapping in a fixed table,
//! sets its poison flag, puts a page of zeros where the fault was and returns. Readers go on over zeros, and must ask
//! `poisoned` after their last read and before what they read leaves the process. A fault anywhere else is a bug of this
//! process and gets the default action.
//!
//! `memory` says what of a mapping is in memory and changes that; it never changes what the bytes are. `direct` opens the
//! same file for reading past the page cache.
//!
//! Why `unsafe` at all: mapping is. What it buys: a row in place costs a cache miss, where a read into a buffer costs a
//! system call (about 1 µs); and sixteen misses prefetched together cost 14 to 29 ns each, instead of 280 to 400.

#![expect(unsafe_code, reason = "maps files and prefetches; the contract is above")]

use std::{
    arch::x86_64::{_MM_HINT_T0, _mm_prefetch},
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use memmap2::{Mmap, MmapOptions};

use self::fault::Registration;
use crate::{error::Error, limits::MAPPINGS_MAX};

mod direct;
mod fault;
mod memory;

#[cfg(test)]
mod tests;

pub(crate) use direct::Direct;
pub(crate) use fault::any_poisoned;

/// A file mapped for reading, known to the SIGBUS handler.
#[derive(Debug)]
pub(crate) struct Map {
    /// Declared, and so dropped, before `mmap`: addresses must leave the table before they can be anyone else's.
    registration: Registration,
    mmap: Mmap,
    /// For whoever goes through the whole file: reading it here leaves no page of it mapped.
    file: File,
    path: PathBuf,
}

impl Map {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        fault::install_handler();
        let file = File::open(path).map_err(|source| Error::io("open", path, source))?;
        let mapping = |source| Error::io("map", path, source);
        // SAFETY: by this module's contract nobody writes to a published segment; truncation and disk faults arrive as
        // SIGBUS, which the handler turns into zeros and a flag that readers ask for.
        let mmap = unsafe { MmapOptions::new().map(&file) }.map_err(mapping)?;
        let registration = Registration::claim(mmap.as_ptr().addr(), mmap.len())
            .ok_or(Error::TooLarge { what: "the number of mapped segments", max: MAPPINGS_MAX as u64 })?;
        Ok(Self { registration, mmap, file, path: path.to_owned() })
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.mmap
    }

    /// Reads from the file beside the mapping, whose pages in memory are the same ones.
    pub(crate) fn read_exact_at(&self, offset: usize, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset as u64)
    }

    /// The same file past the page cache, where the file system allows it.
    pub(crate) fn open_direct(&self) -> Result<Direct, Error> {
        Direct::open(&self.file, &self.path)
    }

    /// Starts to load the cache line at `offset`, and waits for nothing. Any offset will do.
    #[inline]
    pub(crate) fn prefetch(&self, offset: usize) {
        let address = self.mmap.as_ptr().wrapping_add(offset);
        // SAFETY: a prefetch is a hint: it reads nothing the program can see and does not fault, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }

    /// Whether a page of this mapping could not be read, ever. Reads made before this call are covered.
    #[inline]
    pub(crate) fn poisoned(&self) -> bool {
        self.registration.poisoned()
    }
}

/// Starts to load the cache line that `to` begins in, mapped or not, and waits for nothing.
#[inline]
pub(crate) fn prefetch<T>(to: &T) {
    // SAFETY: a prefetch is a hint: it reads nothing the program can see and does not fault, whatever the address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(to).cast()) };
}

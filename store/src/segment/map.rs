//! The mapped bytes of a segment, and what happens when the file under them goes away.
//!
//! Contract. A mapping is read-only and private to reading; segments are immutable and their names are never reused, so
//! nobody who keeps to the rules changes bytes under a reader. If somebody truncates the file or the disk fails all the
//! same, the kernel sends SIGBUS to whoever touches the page. The handler here finds the mapping in a fixed table, sets
//! its poison flag, puts a page of zeros where the fault was and returns. Readers go on over zeros, and must ask
//! `poisoned` after their last read and before what they read leaves the process. A fault anywhere else is a bug of this
//! process and gets the default action.
//!
//! Why `unsafe` at all: mapping is. What it buys: a row in place costs a cache miss, where a read into a buffer costs a
//! system call (about 1 µs); and sixteen misses prefetched together cost 14 to 29 ns each, instead of 280 to 400.

#![expect(unsafe_code, reason = "maps files, handles SIGBUS and prefetches; the contract is above")]

use std::{
    arch::x86_64::{_MM_HINT_T0, _mm_prefetch},
    fs::File,
    io,
    ops::Range,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    ptr,
    sync::{
        Once,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence},
    },
};

use memmap2::{Advice, Mmap, MmapOptions};

use crate::{
    error::Error,
    limits::{BLOCK_BYTES, MAPPINGS_MAX},
};

#[cfg(test)]
mod tests;

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
        install_handler();
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
        // The reads that came before are plain loads: without the fence the flag might be read ahead of them.
        fence(Ordering::Acquire);
        self.registration.slot.poisoned.load(Ordering::Relaxed)
    }

    /// Reads this range into memory, in slices, so that other users of the address space are not locked out for long.
    pub(crate) fn populate(&self, range: Range<usize>) -> Result<(), Error> {
        // Before `MADV_RANDOM`, after which populating would read page by page.
        self.advise_range(Advice::Sequential, &range, "advise")?;
        let mut start = range.start;
        while start < range.end {
            let slice = start..range.end.min(start + POPULATE_SLICE_BYTES);
            start = slice.end;
            self.advise_range(Advice::PopulateRead, &slice, "populate")?;
        }
        Ok(())
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

    /// Asks for huge pages where the kernel can back a file with them; says nothing if it cannot.
    pub(crate) fn advise_huge_pages(&self) {
        let _ = self.mmap.advise(Advice::HugePage);
    }

    /// No reading ahead: rows are asked for in no order.
    pub(crate) fn advise_random(&self) -> Result<(), Error> {
        self.mmap.advise(Advice::Random).map_err(|source| Error::io("advise", &self.path, source))
    }

    fn advise_range(&self, advice: Advice, range: &Range<usize>, op: &'static str) -> Result<(), Error> {
        self.mmap.advise_range(advice, range.start, range.len()).map_err(|source| Error::io(op, &self.path, source))
    }
}

/// Whether any mapping of this process was ever found unreadable: one load for the question that is asked most.
#[inline]
pub(crate) fn any_poisoned() -> bool {
    fence(Ordering::Acquire); // as in `Map::poisoned`
    POISONED_COUNT.load(Ordering::Relaxed) != 0
}

/// A mapping's place in the table, given back when dropped.
#[derive(Debug)]
struct Registration {
    slot: &'static Slot,
}

/// One mapping, as the handler sees it.
#[derive(Debug)]
struct Slot {
    /// `FREE`, `CLAIMED`, or the mapping's first address.
    start: AtomicUsize,
    bytes: AtomicUsize,
    poisoned: AtomicBool,
}

impl Registration {
    fn claim(start: usize, bytes: usize) -> Option<Self> {
        let free =
            |slot: &&Slot| slot.start.compare_exchange(FREE, CLAIMED, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        let slot = SLOTS.iter().find(free)?;
        slot.bytes.store(bytes, Ordering::Relaxed);
        slot.poisoned.store(false, Ordering::Relaxed);
        slot.start.store(start, Ordering::Release); // last: now the handler may look
        Some(Self { slot })
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.slot.start.store(FREE, Ordering::Release);
    }
}

fn install_handler() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = on_sigbus;
        // SAFETY: all-zero bytes are a valid `sigaction`: no flags, no handler, nothing masked.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = handler as usize;
        // On the alternate stack where a thread has one, as the fault may come on a small stack.
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
        // SAFETY: `action` is initialised and outlives the call; the old action is not asked for. The handler makes only
        // async-signal-safe calls.
        let done = unsafe { libc::sigaction(libc::SIGBUS, &raw const action, ptr::null_mut()) };
        assert_eq!(done, 0, "SIGBUS can be handled");
    });
}

/// Runs on whichever thread touched the page, between two of its instructions: atomics and two system calls, no locks and
/// no allocation.
extern "C" fn on_sigbus(_signal: libc::c_int, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // SAFETY: the kernel hands a valid `siginfo_t` to handlers installed with SA_SIGINFO.
    let info = unsafe { &*info };
    // SAFETY: any signal's `siginfo_t` has bytes there; they are an address only if the kernel raised it for a fault, which
    // is asked below.
    let address = unsafe { info.si_addr() }.addr();
    let is_fault = info.si_code > 0; // not from `kill` or the like
    // SAFETY: errno is this thread's own; the interrupted code must find what it left.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above, and the pointer is valid for as long as the thread is.
    let errno_before = unsafe { *errno };
    if !(is_fault && poison(address) && cover_with_zeros(address)) {
        // SAFETY: restoring the default action is async-signal-safe.
        unsafe { libc::signal(libc::SIGBUS, libc::SIG_DFL) };
        // SAFETY: as above. The signal is masked in here, so it ends the process on return, as it would have without us.
        unsafe { libc::raise(libc::SIGBUS) };
    }
    // SAFETY: as above.
    unsafe { *errno = errno_before };
}

/// Flags the mapping that holds this address; false if none does.
fn poison(address: usize) -> bool {
    let mut known = false;
    for slot in &SLOTS {
        let start = slot.start.load(Ordering::Acquire);
        let bytes = slot.bytes.load(Ordering::Acquire);
        // A slot given back and claimed again between the two loads would pair one mapping's start with another's length.
        let whole = slot.start.load(Ordering::Acquire) == start;
        if start > CLAIMED && whole && address.wrapping_sub(start) < bytes {
            // Before the zeros can be read, by this thread or any other.
            slot.poisoned.store(true, Ordering::SeqCst);
            known = true;
        }
    }
    if known {
        POISONED_COUNT.fetch_add(1, Ordering::SeqCst);
    }
    known
}

fn cover_with_zeros(address: usize) -> bool {
    let page = ptr::without_provenance_mut::<libc::c_void>(address / BLOCK_BYTES * BLOCK_BYTES);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    // SAFETY: the page belongs to a mapping of the table, whose owner is alive since somebody just read from it. Nobody
    // could read the page before; from now on it reads as zeros, which its readers learn from the flag. Unmapping the
    // whole range later takes this page along.
    let mapped = unsafe { libc::mmap(page, BLOCK_BYTES, libc::PROT_READ, flags, -1, 0) };
    mapped == page
}

/// What the handler knows. Fixed, because a handler can neither lock nor allocate.
static SLOTS: [Slot; MAPPINGS_MAX] =
    [const { Slot { start: AtomicUsize::new(FREE), bytes: AtomicUsize::new(0), poisoned: AtomicBool::new(false) } };
        MAPPINGS_MAX];

/// How many times a page was covered.
static POISONED_COUNT: AtomicU64 = AtomicU64::new(0);

const FREE: usize = 0;
const CLAIMED: usize = 1;

/// What one call brings in: a second's work for a slow disk.
const POPULATE_SLICE_BYTES: usize = 64 << 20;

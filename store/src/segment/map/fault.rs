//! Pages that cannot be read: a SIGBUS handler, and the table of mappings that it knows.
//!
//! Contract: that of [`super`]. The handler runs between two instructions of any thread, so what it touches is atomics of
//! fixed size and calls that are safe there.

#![expect(unsafe_code, reason = "handles SIGBUS; the contract is above and in the module this one is part of")]

use std::{
    ptr,
    sync::{
        Once,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence},
    },
};

use crate::limits::{BLOCK_BYTES, MAPPINGS_MAX};

/// Whether any mapping of this process was ever found unreadable: one load for the question that is asked most.
#[inline]
pub(crate) fn any_poisoned() -> bool {
    fence(Ordering::Acquire); // as in `Registration::poisoned`
    POISONED_COUNT.load(Ordering::Relaxed) != 0
}

/// A mapping's place in the table, given back when dropped.
#[derive(Debug)]
pub(super) struct Registration {
    pub(super) slot: &'static Slot,
}

/// One mapping, as the handler sees it.
#[derive(Debug)]
pub(super) struct Slot {
    /// `FREE`, `CLAIMED`, or the mapping's first address.
    pub(super) start: AtomicUsize,
    bytes: AtomicUsize,
    poisoned: AtomicBool,
}

impl Registration {
    pub(super) fn claim(start: usize, bytes: usize) -> Option<Self> {
        let free =
            |slot: &&Slot| slot.start.compare_exchange(FREE, CLAIMED, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        let slot = SLOTS.iter().find(free)?;
        slot.bytes.store(bytes, Ordering::Relaxed);
        slot.poisoned.store(false, Ordering::Relaxed);
        slot.start.store(start, Ordering::Release); // last: now the handler may look
        Some(Self { slot })
    }

    /// Whether a page of this mapping could not be read, ever. Reads made before this call are covered.
    #[inline]
    pub(super) fn poisoned(&self) -> bool {
        // The reads that came before are plain loads: without the fence the flag might be read ahead of them.
        fence(Ordering::Acquire);
        self.slot.poisoned.load(Ordering::Relaxed)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.slot.start.store(FREE, Ordering::Release);
    }
}

pub(super) fn install_handler() {
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

pub(super) const FREE: usize = 0;
const CLAIMED: usize = 1;

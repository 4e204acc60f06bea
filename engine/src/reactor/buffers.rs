//! The provided-buffer ring: receive buffers that the kernel picks from, so that idle connections hold none.

use std::{
    io,
    ptr::NonNull,
    sync::atomic::{AtomicU16, Ordering},
};

use io_uring::{Submitter, types::BufRingEntry};

use crate::limits::RECEIVE_BUFFER_BYTES;

/// A filled buffer, ours until given back. Not `Clone`: who holds it is the only one to touch those bytes.
#[derive(Debug)]
pub(crate) struct Lease {
    id: u16,
    length: usize,
}

/// Anonymous pages, unmapped on drop.
#[derive(Debug)]
pub(super) struct Pages {
    start: NonNull<u8>,
    bytes: usize,
}

impl Pages {
    pub(super) fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    pub(super) fn new(bytes: usize) -> io::Result<Self> {
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_ANONYMOUS | libc::MAP_PRIVATE);
        // SAFETY: a fresh anonymous mapping, nothing of ours is replaced; the result is checked.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(io::Error::last_os_error)?;
        Ok(Self { start, bytes })
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length, unmapped only here.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

/// All receive buffers of one shard.
#[derive(Debug)]
pub(crate) struct Buffers {
    /// `count` entries that the kernel reads; the first also holds the shared tail.
    entries: Pages,
    memory: Pages,
    count: u16,
    tail: u16,
    /// Buffers handed out as leases; a leak would show here as a number that only grows.
    leased: u16,
}

impl Buffers {
    /// `count` must be a power of two.
    pub(crate) fn register(submitter: &Submitter<'_>, count: u16, group: u16) -> io::Result<Self> {
        assert!(count.is_power_of_two());
        let entries = Pages::new(usize::from(count) * size_of::<BufRingEntry>())?;
        let memory = Pages::new(usize::from(count) * RECEIVE_BUFFER_BYTES)?;
        // SAFETY: `entries` is page-aligned, holds `count` entries, and outlives the ring's use of it (see `Reactor`'s drop).
        unsafe { submitter.register_buf_ring_with_flags(entries.start.as_ptr() as u64, count, group, 0) }?;
        let mut buffers = Self { entries, memory, count, tail: 0, leased: count };
        for id in 0..count {
            buffers.give_back(Lease { id, length: 0 });
        }
        buffers.publish();
        Ok(buffers)
    }

    /// The kernel filled buffer `id` with `length` bytes and will not touch it again.
    pub(crate) fn lease(&mut self, id: u16, length: i32) -> Lease {
        assert!(id < self.count, "the kernel picks from what it was given");
        self.leased += 1;
        Lease { id, length: (length.unsigned_abs() as usize).min(RECEIVE_BUFFER_BYTES) }
    }

    pub(crate) fn bytes(&mut self, lease: &Lease) -> &mut [u8] {
        let offset = usize::from(lease.id) * RECEIVE_BUFFER_BYTES;
        // SAFETY: `id < count`, so the offset is inside `memory`.
        let start = unsafe { self.memory.start.as_ptr().add(offset) };
        // SAFETY: `length` is at most one buffer; the kernel let go of these bytes when it reported them, and as leases are
        // unique and borrow `self` mutably here, nobody else reads or writes them.
        unsafe { std::slice::from_raw_parts_mut(start, lease.length) }
    }

    #[expect(clippy::needless_pass_by_value, reason = "giving back is giving up")]
    pub(crate) fn give_back(&mut self, lease: Lease) {
        let at = usize::from(self.tail & (self.count - 1));
        let entry = self.entries.start.as_ptr().cast::<BufRingEntry>();
        // SAFETY: the index is masked into the entries.
        let entry = unsafe { entry.add(at) };
        // SAFETY: the kernel reads entries only between its head and the published tail, and this one is beyond the tail.
        let entry = unsafe { &mut *entry };
        entry.set_addr(self.memory.start.as_ptr() as u64 + u64::from(lease.id) * RECEIVE_BUFFER_BYTES as u64);
        entry.set_len(u32::try_from(RECEIVE_BUFFER_BYTES).expect("a small constant"));
        entry.set_bid(lease.id);
        self.tail = self.tail.wrapping_add(1);
        self.leased -= 1;
    }

    /// Lets the kernel see what was given back.
    pub(crate) fn publish(&mut self) {
        // SAFETY: `entries` is the base that was registered; its first entry is initialised (zeroed pages at least).
        let tail = unsafe { BufRingEntry::tail(self.entries.start.as_ptr().cast()) };
        // SAFETY: the tail lies in our mapping, is aligned, and is only ever accessed atomically or by the kernel.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release); // entries before tail, or the kernel fills a stale one
    }
}

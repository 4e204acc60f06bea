//! Buffers that files are read into: aligned for direct I/O, bounded, and the kernel's while a read is in flight.
//!
//! Two sizes come from pools made at the first read, one for a block and one for the rows that need several; what is larger
//! still gets pages of its own for the one read. A file may hold as many of a size as are free, so that one which does not answer
//! leaves half of them to others, two such leave a third, and so on. Whoever has its share waits until a read of its own is over.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
    sync::Arc,
};

use io_uring::{opcode, squeue, types};

use super::buffers::Pages;
use crate::limits::{LARGE_READ_BYTES, LARGE_READS_MAX, SINGLE_READS_MAX, SMALL_READ_BYTES, SMALL_READS_MAX};

/// A stretch of a file that is to be read. Offset and length are whole blocks, as direct I/O wants them.
#[derive(Debug, Clone)]
pub struct Read {
    pub file: Arc<OwnedFd>,
    pub offset: u64,
    pub length: u32,
    /// Comes back with the bytes; the engine does not look at it.
    pub tag: u64,
    /// How long the read is held back before it is made, with the buffer that it has. Zero but where slow storage is being simulated.
    pub delay_ns: u64,
}

/// Which buffers a read can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    Small,
    Large,
    Single,
}

const SIZES: usize = Size::Single as usize + 1;

impl Read {
    pub(crate) fn size(&self) -> Size {
        let length = self.length as usize;
        if length <= SMALL_READ_BYTES {
            Size::Small
        } else if length <= LARGE_READ_BYTES {
            Size::Large
        } else {
            Size::Single
        }
    }

    /// What tells files apart, for as long as somebody has this one.
    pub(crate) fn file_id(&self) -> usize {
        file_id(&self.file)
    }
}

fn file_id(file: &Arc<OwnedFd>) -> usize {
    Arc::as_ptr(file).addr()
}

/// A read that is over: its bytes are ours until the slot is given back. Not `Clone`, as a receive's lease is not.
#[derive(Debug)]
pub(crate) struct ReadLease {
    slot: u32,
    length: usize,
}

#[derive(Debug)]
struct InFlight {
    /// Keeps the descriptor's number from becoming another file's before the kernel has looked it up.
    file: Arc<OwnedFd>,
    offset: u64,
    length: u32,
    tag: u64,
    /// For a read that fits no pooled buffer.
    own: Option<Pages>,
}

/// All read buffers of one shard.
#[derive(Debug)]
pub(crate) struct ReadBuffers {
    /// `None` until the first read: a server whose rows are all in memory never needs them.
    pools: Option<(Pages, Pages)>,
    /// By slot: first the small ones, then the large ones, then those with pages of their own.
    in_flight: Vec<Option<InFlight>>,
    /// By size.
    free: [Vec<u32>; SIZES],
    /// Files with reads in flight, and how many of each size.
    holders: Vec<(usize, [usize; SIZES])>,
}

const LARGE_FIRST: u32 = SMALL_READS_MAX;
const SINGLE_FIRST: u32 = LARGE_FIRST + LARGE_READS_MAX;
const SLOTS: u32 = SINGLE_FIRST + SINGLE_READS_MAX;

impl ReadBuffers {
    pub(crate) fn new() -> Self {
        Self {
            pools: None,
            in_flight: (0..SLOTS).map(|_| None).collect(),
            free: [0..LARGE_FIRST, LARGE_FIRST..SINGLE_FIRST, SINGLE_FIRST..SLOTS].map(|slots| slots.rev().collect()),
            holders: Vec::new(),
        }
    }

    /// Takes a read in, if there is a buffer for it and its file has not got its share; its slot, from which [`Self::entry`] makes the
    /// submission.
    pub(crate) fn claim(&mut self, read: &Read) -> io::Result<Option<u32>> {
        let size = read.size();
        let holder = self.holders.iter().position(|(file, _)| *file == read.file_id());
        let held = holder.map_or(0, |at| self.holders[at].1[size as usize]);
        if held >= self.free[size as usize].len() {
            return Ok(None);
        }
        if self.pools.is_none() {
            let small = Pages::new(SMALL_READS_MAX as usize * SMALL_READ_BYTES)?;
            self.pools = Some((small, Pages::new(LARGE_READS_MAX as usize * LARGE_READ_BYTES)?));
        }
        let own = if size == Size::Single { Some(Pages::new(read.length as usize)?) } else { None };
        let Some(slot) = self.free[size as usize].pop() else { return Ok(None) };
        let at = holder.unwrap_or_else(|| {
            self.holders.push((read.file_id(), [0; SIZES]));
            self.holders.len() - 1
        });
        self.holders[at].1[size as usize] += 1;
        let Read { file, offset, length, tag, .. } = read;
        let file = Arc::clone(file);
        self.in_flight[slot as usize] = Some(InFlight { file, offset: *offset, length: *length, tag: *tag, own });
        Ok(Some(slot))
    }

    /// The submission of a claimed slot's read. The slot stays claimed until its completion was taken and given back.
    pub(crate) fn entry(&self, slot: u32) -> squeue::Entry {
        let read = self.in_flight[slot as usize].as_ref().expect("a claimed slot has a read");
        let fd = types::Fd(read.file.as_raw_fd());
        opcode::Read::new(fd, self.start(slot, read), read.length).offset(read.offset).build()
    }

    /// The kernel reported this slot's read: the bytes that came (or the error), whose they are, and the lease on them.
    pub(crate) fn complete(&mut self, slot: u32, result: i32) -> (ReadLease, u64, Result<(), i32>) {
        let read = self.in_flight[slot as usize].as_ref().expect("a read completes once");
        let length = usize::try_from(result).unwrap_or(0).min(read.length as usize);
        let outcome = if result < 0 { Err(-result) } else { Ok(()) };
        (ReadLease { slot, length }, read.tag, outcome)
    }

    pub(crate) fn bytes(&mut self, lease: &ReadLease) -> &mut [u8] {
        let read = self.in_flight[lease.slot as usize].as_ref().expect("a lease has a read");
        let start = self.start(lease.slot, read);
        // SAFETY: the slot's buffer holds at least `read.length` bytes, and `length` is at most that; the kernel let go of
        // them when it reported the read, and as leases are unique and borrow `self` mutably, nobody else touches them.
        unsafe { std::slice::from_raw_parts_mut(start, lease.length) }
    }

    #[expect(clippy::needless_pass_by_value, reason = "giving back is giving up")]
    pub(crate) fn give_back(&mut self, lease: ReadLease) {
        let read = self.in_flight[lease.slot as usize].take().expect("a lease has a read");
        let size = match lease.slot {
            slot if slot < LARGE_FIRST => Size::Small,
            slot if slot < SINGLE_FIRST => Size::Large,
            _ => Size::Single,
        };
        self.free[size as usize].push(lease.slot);
        let holder = self.holders.iter().position(|(file, _)| *file == file_id(&read.file));
        let holder = holder.expect("the file of a read in flight is a holder");
        self.holders[holder].1[size as usize] -= 1;
        if self.holders[holder].1 == [0; SIZES] {
            self.holders.swap_remove(holder);
        }
    }

    /// Reads that have a buffer.
    pub(crate) fn busy(&self) -> usize {
        SLOTS as usize - self.free.iter().map(Vec::len).sum::<usize>()
    }

    fn start(&self, slot: u32, read: &InFlight) -> *mut u8 {
        if let Some(own) = &read.own {
            return own.start();
        }
        let (small, large) = self.pools.as_ref().expect("made before the first claim");
        let (pages, offset) = match slot.checked_sub(LARGE_FIRST) {
            None => (small, slot as usize * SMALL_READ_BYTES),
            Some(large_slot) => (large, large_slot as usize * LARGE_READ_BYTES),
        };
        // SAFETY: the slot is below its pool's count (it came from that pool's free list), so the offset lies in the pool.
        unsafe { pages.start().add(offset) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::system::Waker;

    fn read(length: u32, tag: u64) -> Read {
        let (_, fd) = Waker::new().unwrap(); // any descriptor will do: nothing is submitted
        Read { file: Arc::new(fd), offset: 0, length, tag, delay_ns: 0 }
    }

    #[test]
    fn buffers_are_distinct_aligned_and_come_back() {
        let mut buffers = ReadBuffers::new();
        let mut starts = Vec::new();
        let mut slots = Vec::new();
        for (tag, length) in (0..).zip([4096, 4096, 65536, 65536, 1 << 20]) {
            let slot = buffers.claim(&read(length, tag)).unwrap().unwrap();
            let start = buffers.start(slot, buffers.in_flight[slot as usize].as_ref().unwrap()).addr();
            assert_eq!(start % 4096, 0);
            starts.push((start, start + length as usize));
            slots.push(slot);
        }
        starts.sort_unstable();
        assert!(starts.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{starts:?}");
        assert_eq!(buffers.busy(), 5);
        for (tag, slot) in (0..).zip(slots) {
            let (lease, told, outcome) = buffers.complete(slot, 4096);
            assert_eq!((told, outcome), (tag, Ok(())));
            buffers.bytes(&lease).fill(7);
            assert_eq!(buffers.bytes(&lease), [7; 4096]);
            buffers.give_back(lease);
        }
        assert_eq!(buffers.busy(), 0);
    }

    /// Claims one after the other for this file until it is refused.
    fn claim_all(buffers: &mut ReadBuffers, read: &Read) -> Vec<u32> {
        std::iter::from_fn(|| buffers.claim(read).unwrap()).collect()
    }

    #[test]
    fn a_file_that_does_not_answer_leaves_buffers_to_others() {
        for (length, all) in [(4096, SMALL_READS_MAX), (65536, LARGE_READS_MAX), (1 << 20, SINGLE_READS_MAX)] {
            let mut buffers = ReadBuffers::new();
            let (hung, good) = (read(length, 0), read(length, 1));
            let slots = claim_all(&mut buffers, &hung);
            assert_eq!(slots.len(), all as usize / 2);
            for _ in 0..3 {
                let others = claim_all(&mut buffers, &good);
                assert_eq!(others.len(), all as usize / 4);
                assert_eq!(buffers.claim(&hung).unwrap(), None);
                for slot in others {
                    let (lease, ..) = buffers.complete(slot, 4096);
                    buffers.give_back(lease);
                }
            }
            // It has hung half of what there is; its own come back, one by one.
            let (lease, _, outcome) = buffers.complete(slots[0], -libc::EIO);
            assert_eq!(outcome, Err(libc::EIO));
            assert!(buffers.bytes(&lease).is_empty());
            buffers.give_back(lease);
            assert_eq!(claim_all(&mut buffers, &hung).len(), 1);
            for slot in slots {
                let (lease, ..) = buffers.complete(slot, 4096);
                buffers.give_back(lease);
            }
            assert_eq!((buffers.busy(), buffers.holders.len()), (0, 0));
        }
    }

    #[test]
    fn however_many_files_hang_the_next_one_is_read() {
        let mut buffers = ReadBuffers::new();
        let files: Vec<Read> = (0..8).map(|tag| read(4096, tag)).collect();
        for (hung, file) in files.iter().enumerate() {
            assert_eq!(claim_all(&mut buffers, file).len(), SMALL_READS_MAX as usize >> (hung + 1));
        }
        assert_eq!(claim_all(&mut buffers, &read(65536, 0)).len(), LARGE_READS_MAX as usize / 2, "of another size");
    }
}

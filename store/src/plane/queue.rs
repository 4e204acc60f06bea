//! Between cores and the plane: writes there, outcomes back. Bounded, without locks.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use crossbeam_queue::ArrayQueue;

/// What a core wants written.
#[derive(Debug, PartialEq, Eq)]
pub struct Write {
    /// Comes back with the outcome.
    pub tag: u64,
    /// Of [`super::WriteBuilder::finish`].
    pub payload: Vec<u8>,
}

/// What became of a write.
#[derive(Debug, PartialEq, Eq)]
pub struct Done {
    pub tag: u64,
    pub outcome: Result<(), Failure>,
    /// The write's buffer, to be used again.
    pub payload: Vec<u8>,
}

/// Why nothing of a write was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// What was written lately fills the memory for it, and is being brought to disk: to be tried again.
    Full,
    /// The disk is full. Writes are taken again once there is room.
    DiskFull,
    /// The log failed. Whether this write will be found after a restart is not known; nothing more is taken before.
    Poisoned,
    /// It cannot be taken as it is, for its size or for what it holds: a mistake of whoever made it.
    Malformed,
    /// The log cannot go on for now, and not for want of space: no descriptor is left, say. Nothing was written; to be tried again.
    Unavailable,
}

/// Why a write was not handed over. It comes back whole.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// As many wait as may: to be tried again.
    Full(Write),
    /// Nothing is taken until the process is started again; the reason is in the plane's state.
    Poisoned(Write),
}

/// What wakes a thread.
pub type Wake = Box<dyn Fn() + Send + Sync>;

/// One core's way to the plane, and back. There is one a core, and it stays with it.
#[derive(Debug)]
pub struct Submitter {
    core: usize,
    queue: Arc<Queue>,
}

/// Common to all cores and the plane.
pub(super) struct Queue {
    writes: ArrayQueue<(usize, Write)>,
    cores: Vec<Core>,
    wake_plane: Wake,
    is_poisoned: AtomicBool,
}

struct Core {
    /// As long as writes under way may be many, so there is always room.
    done: ArrayQueue<Done>,
    under_way: AtomicUsize,
    wake: OnceLock<Wake>,
}

/// The ends of a queue for this many cores, each of which may have `writes_per_core` under way.
pub(super) fn queue(cores: usize, writes_per_core: usize, wake_plane: Wake) -> (Arc<Queue>, Vec<Submitter>) {
    let core =
        || Core { done: ArrayQueue::new(writes_per_core), under_way: AtomicUsize::new(0), wake: OnceLock::new() };
    let queue = Arc::new(Queue {
        writes: ArrayQueue::new(cores.max(1) * writes_per_core),
        cores: (0..cores).map(|_| core()).collect(),
        wake_plane,
        is_poisoned: AtomicBool::new(false),
    });
    let submitters = (0..cores).map(|core| Submitter { core, queue: Arc::clone(&queue) }).collect();
    (queue, submitters)
}

impl Submitter {
    /// Says how this core is woken when writes of it are done. Once.
    pub fn wake_with(&self, wake: Wake) {
        let _ = self.core().wake.set(wake); // whoever comes second changes nothing
    }

    /// Hands a write over; its outcome comes with [`Self::take_done`].
    pub fn submit(&self, write: Write) -> Result<(), Refused> {
        let core = self.core();
        if self.queue.is_poisoned.load(Ordering::Relaxed) {
            return Err(Refused::Poisoned(write));
        }
        if core.under_way.load(Ordering::Relaxed) == core.done.capacity() {
            return Err(Refused::Full(write));
        }
        core.under_way.fetch_add(1, Ordering::Relaxed);
        if let Err((_, write)) = self.queue.writes.push((self.core, write)) {
            core.under_way.fetch_sub(1, Ordering::Relaxed);
            return Err(Refused::Full(write)); // as long as all cores' writes together, so this does not happen
        }
        (self.queue.wake_plane)();
        Ok(())
    }

    /// What became of a write of this core; in the order in which they were done.
    #[inline]
    pub fn take_done(&self) -> Option<Done> {
        let core = self.core();
        if core.under_way.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let done = core.done.pop()?;
        core.under_way.fetch_sub(1, Ordering::Relaxed);
        Some(done)
    }

    /// Writes of this core that are not done.
    pub fn under_way(&self) -> usize {
        self.core().under_way.load(Ordering::Relaxed)
    }

    fn core(&self) -> &Core {
        &self.queue.cores[self.core]
    }
}

impl Queue {
    /// The next write, and whose it is.
    pub(super) fn take(&self) -> Option<(usize, Write)> {
        self.writes.pop()
    }

    /// Writes that wait.
    pub(super) fn len(&self) -> usize {
        self.writes.len()
    }

    /// Gives a core its outcome; it is to be woken after the last of a group.
    pub(super) fn give(&self, core: usize, done: Done) {
        let given = self.cores[core].done.push(done);
        debug_assert!(given.is_ok(), "a core has no more writes under way than there is room for");
    }

    pub(super) fn wake(&self, core: usize) {
        if let Some(wake) = self.cores[core].wake.get() {
            wake();
        }
    }

    /// From now on nothing is handed over any more.
    pub(super) fn poison(&self) {
        self.is_poisoned.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Queue").field("writes", &self.writes.len()).finish_non_exhaustive()
    }
}

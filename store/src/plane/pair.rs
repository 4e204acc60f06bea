//! The far end of the queue by itself: for whoever stands in for a plane, as tests of what uses one do.

use std::sync::Arc;

use super::queue::{Done, Queue, Submitter, Wake, Write, queue};

/// What a plane has of the queue: takes writes and says what became of them. Nothing is written by it.
#[derive(Debug)]
pub struct FarEnd(Arc<Queue>);

/// A queue for this many cores, of which each may have `writes_per_core` under way, with both ends. `wake_plane` is called after each
/// write that is handed over.
pub fn pair(cores: usize, writes_per_core: usize, wake_plane: Wake) -> (FarEnd, Vec<Submitter>) {
    let (queue, submitters) = queue(cores, writes_per_core, wake_plane);
    (FarEnd(queue), submitters)
}

impl FarEnd {
    /// The next write, and the core that it is of.
    pub fn take(&self) -> Option<(usize, Write)> {
        self.0.take()
    }

    /// Writes that were handed over and not taken.
    pub fn waiting(&self) -> usize {
        self.0.len()
    }

    /// Tells a core what became of its write, and wakes it.
    pub fn give(&self, core: usize, done: Done) {
        self.0.give(core, done);
        self.0.wake(core);
    }

    /// From now on nothing is handed over any more.
    pub fn poison(&self) {
        self.0.poison();
    }
}

//! What may be used again when every reader has looked away.
//!
//! Readers pin an epoch for a turn. What the writer has taken out of their sight may still be read by those that were pinned then, and by
//! no later one. The epochs tell when the last of them is gone; what they run then is one addition, on whichever thread notices, and
//! all that is to be done is done by the writer.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crossbeam_epoch::LocalHandle;

use super::{memory::Place, word::interleave};

/// Out of sight, and not yet free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Retired {
    Entry {
        part: u64,
        place: Place,
        words: usize,
    },
    /// An index that was outgrown; or a part that was flushed, with everything in it.
    Chunks(Vec<usize>),
    /// The frozen part is still to be seen by those who have pinned before its rows were in a generation, and may have taken up the one
    /// before. When they are gone it can be taken out of sight; then it is the last one's turn to look away.
    FrozenPart,
}

/// The writer's list.
pub(super) struct Grace {
    local: LocalHandle,
    /// Since the last `advance`.
    gathering: Vec<Retired>,
    waiting: VecDeque<(u64, Vec<Retired>)>,
    last: u64,
    /// The last batch that nobody reads any more, nor any before it.
    over: Arc<AtomicU64>,
}

impl Grace {
    pub(super) fn new(local: LocalHandle) -> Self {
        let over = Arc::new(AtomicU64::new(0));
        Self { local, gathering: Vec::new(), waiting: VecDeque::new(), last: 0, over }
    }

    pub(super) fn retire(&mut self, retired: Retired) {
        self.gathering.push(retired);
    }

    /// Whether something waits for readers.
    pub(super) fn is_waiting(&self) -> bool {
        !self.gathering.is_empty() || !self.waiting.is_empty()
    }

    /// Ends a batch, lets time go by, and hands what is free by now to `free`.
    pub(super) fn advance(&mut self, mut free: impl FnMut(Retired)) {
        if !self.is_waiting() {
            return;
        }
        interleave();
        let guard = self.local.pin();
        if !self.gathering.is_empty() {
            self.last += 1;
            self.waiting.push_back((self.last, std::mem::take(&mut self.gathering)));
            let (batch, over) = (self.last, Arc::clone(&self.over));
            guard.defer(move || over.fetch_max(batch, Ordering::Release));
        }
        guard.flush();
        drop(guard);
        interleave();
        // A later batch is over only when all who were pinned before it are gone, and so an earlier one is, too.
        let over = self.over.load(Ordering::Acquire);
        while self.waiting.front().is_some_and(|(batch, _)| *batch <= over) {
            let (_, batch) = self.waiting.pop_front().unwrap_or_default();
            batch.into_iter().for_each(&mut free);
        }
    }
}

impl fmt::Debug for Grace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Grace").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

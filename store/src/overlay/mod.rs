//! The overlay: what was written lately and is in no segment yet, of all tables, in memory.
//!
//! ```text
//! OverlayWriter ──► | line | line | …        lines of 64 bytes in chunks: buckets of an index, and entries
//!  one thread            ▲
//! OverlayReader ─────────┘  hash → bucket line → entry, the same stages as a lookup in a segment; one per core
//! ```
//! 1. One writer. Readers take no lock, make no system call and write no cache line that another core reads, but for one of their
//!    own when they pin.
//! 2. Of each key the newest event time counts, and of equal ones the later sequence, in whatever order they come and however
//!    often: to read the log once more changes nothing.
//!    Where rows of a key are combined instead, each that comes later is put together with the one that is here.
//! 3. A delete is a row, too: it hides what is older, here and in segments, until compaction has removed both.
//! 4. All memory is made of words that are read and written atomically, and is handed out once and never given back: what is not
//!    needed any more is used again, once nobody can be reading it. So nothing here is `unsafe`, and a mistake could at worst show a
//!    wrong row, which the shuttle tests look for.
//! 5. Nothing here writes a file. What is frozen is handed to `crate::levels`, sorted.
//!
//! | module | what |
//! |---|---|
//! | `memory` | the words, in chunks |
//! | `pool` | which chunks are free; the writer's |
//! | `index` | buckets: from a hash to an entry |
//! | `entry` | a row with its table and sequence, as words |
//! | `part` | an index with its entries: the current part, or the frozen one |
//! | `grace` | what may be used again when every reader has looked away |
//! | `writer`, `reader`, `frozen` | the three who use it |
//! | `staged` | rows that have their place and are not shown yet |
//! | `word` | an atomic word, and where tests interleave |

mod entry;
mod frozen;
mod grace;
mod index;
mod memory;
mod part;
mod pool;
mod reader;
mod staged;
#[cfg(test)]
mod tests;
mod word;
mod writer;

use std::sync::Arc;

pub(crate) use self::entry::key_and_time;
pub use self::{
    frozen::{Frozen, FrozenRows},
    reader::{CopiedRows, OverlayHash, OverlayKeyHash, OverlayProbe, OverlayReader, OverlayRow, Pin, Sight},
    writer::{OverlayUsage, OverlayWriter, Put, Shown, Stage},
};
use self::{memory::Memory, word::Word};
use crate::limits::{OVERLAY_BUDGET_BYTES_MAX, OVERLAY_BUDGET_BYTES_MIN};

/// A table, as the overlay knows it. To be given by the caller, never twice to tables with different schemas for as long as the
/// process lives: what the bytes of a row mean is not remembered here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(pub u32);

/// How an overlay is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverlaySettings {
    /// Bounds the memory of the part that is written to and of the one that is flushed, together. Half of it is for either.
    pub budget_bytes: usize,
    /// Random, so that nobody can choose keys that collide.
    pub seed: u64,
}

/// An overlay, shared by whoever writes to it and whoever reads it. To clone it is to share it.
#[derive(Debug, Clone)]
pub struct Overlay {
    shared: Arc<Shared>,
    collector: crossbeam_epoch::Collector,
}

/// What writer and readers have in common.
#[derive(Debug)]
struct Shared {
    memory: Memory,
    seed: u64,
    /// The index that is written to; 0 until something was put there, so that an empty overlay costs nobody more than this word.
    current: Word,
    /// The index of the part that is being flushed; 0 when there is none.
    frozen: Word,
    /// Up to which record of the log a frozen part goes, by the low bits of its number. While somebody is pinned who sees a part
    /// frozen, the next one cannot be given up, so that its place is not taken by a third.
    covers: [Word; 4],
}

impl Shared {
    /// Where it stands up to which record a part goes.
    #[inline]
    fn covers(&self, part: u16) -> &Word {
        &self.covers[usize::from(part) % self.covers.len()]
    }
}

impl Overlay {
    /// An empty overlay, and the handle of its one writer, for the thread that calls.
    pub fn new(settings: OverlaySettings) -> (Self, OverlayWriter) {
        let budget_bytes = settings.budget_bytes.clamp(OVERLAY_BUDGET_BYTES_MIN, OVERLAY_BUDGET_BYTES_MAX);
        let memory = Memory::new(budget_bytes);
        let covers = [const { Word::new(0) }; 4];
        let shared = Shared { memory, seed: settings.seed, current: Word::new(0), frozen: Word::new(0), covers };
        let overlay = Self { shared: Arc::new(shared), collector: crossbeam_epoch::Collector::new() };
        let writer = OverlayWriter::new(Arc::clone(&overlay.shared), overlay.collector.register());
        (overlay, writer)
    }

    /// A reader for the core that calls.
    pub fn reader(&self) -> OverlayReader {
        OverlayReader::new(Arc::clone(&self.shared), self.collector.register())
    }

    /// Memory taken so far, whatever for. Never goes down before the overlay goes: what is free is kept for use.
    pub fn reserved_bytes(&self) -> usize {
        self.shared.memory.reserved_bytes()
    }
}

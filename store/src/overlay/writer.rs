//! The one who writes.

use std::sync::Arc;

use crossbeam_epoch::LocalHandle;

use super::{
    Shared, TableId,
    entry::{self, EntryHead, Rank},
    frozen::Frozen,
    grace::{Grace, Retired},
    index::slot_word,
    memory::Place,
    part::Part,
    pool::Pool,
    reader::hash_key,
};
use crate::{error::Error, limits::ROW_BYTES_MAX, log::Sequence};

/// Writes to an overlay. There is one, and it stays on its thread.
#[derive(Debug)]
pub struct OverlayWriter {
    shared: Arc<Shared>,
    pool: Pool,
    current: Part,
    frozen: Option<Part>,
    grace: Grace,
    scratch: Vec<u8>,
    parts: u64,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is the first of its key here.
    New,
    /// It took the place of an older one.
    Newer,
    /// A newer one, or the same, is here already.
    Older,
    /// There is no room. Nothing was changed. Freeze and try again; while a flush runs, wait for it.
    Full,
}

/// What an overlay holds and takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OverlayUsage {
    /// Keys in the part that is written to, deleted ones among them.
    pub rows: usize,
    /// Their rows as encoded.
    pub row_bytes: usize,
    /// Memory of that part, full or not.
    pub current_bytes: usize,
    /// The same without what its last chunk has left.
    pub filled_bytes: usize,
    /// Of the part that is being flushed.
    pub frozen_bytes: usize,
    /// Taken from the system so far.
    pub reserved_bytes: usize,
}

impl OverlayWriter {
    pub(super) fn new(shared: Arc<Shared>, local: LocalHandle) -> Self {
        let mut pool = Pool::new(&shared.memory);
        let current = Part::new(&shared.memory, &mut pool, 1, 0).expect("the least budget has room for an index");
        shared.current.publish(current.index.to_word());
        Self { shared, pool, current, frozen: None, grace: Grace::new(local), scratch: Vec::new(), parts: 1 }
    }

    /// Takes an encoded row, or a tombstone (see [`crate::row`]), of the log's record `sequence`. Readers that pin from here on see it.
    pub fn put(&mut self, table: TableId, sequence: Sequence, row: &[u8]) -> Result<Put, Error> {
        let row_bytes = u32::try_from(row.len()).ok().filter(|&bytes| bytes as usize <= ROW_BYTES_MAX);
        let (row_bytes, (_, key, event_time_us)) = row_bytes.zip(entry::key_and_time(row)).ok_or(Error::NotARow)?;
        let memory = &self.shared.memory;
        let hash = hash_key(self.shared.seed, table, key);
        let rank = Rank { event_time_us, sequence: sequence.0 };
        let scratch = &mut self.scratch;
        let mut before = None;
        let slot = self.current.index.slot(memory, hash, |place| {
            let head = EntryHead::read(memory, place);
            scratch.clear();
            entry::copy_row(memory, place, head, scratch);
            let found = entry::key_and_time(scratch).filter(|(_, found, _)| head.table == table && *found == key);
            before = found.map(|(_, _, event_time_us)| (place, head, event_time_us));
            before.is_some()
        });
        if let Some((_, head, event_time_us)) = before
            && rank <= (Rank { event_time_us, sequence: head.sequence })
        {
            return Ok(Put::Older);
        }
        if before.is_none() && self.current.rows >= self.current.index.rows_max() {
            return if self.grow() { self.put(table, sequence, row) } else { Ok(Put::Full) };
        }
        let (Some(slot), Some(place)) = (slot, self.current.room(memory, &mut self.pool, row.len())) else {
            return Ok(Put::Full);
        };
        entry::write(memory, place, EntryHead { row_bytes, table, sequence: sequence.0 }, row);
        self.current.index.admit(memory, hash);
        slot.publish(slot_word(hash, place));
        self.current.row_bytes += row.len();
        let Some((place, head, _)) = before else {
            self.current.rows += 1;
            return Ok(Put::New);
        };
        self.current.row_bytes -= head.row_bytes as usize;
        self.grace.retire(Retired::Entry { part: self.current.number, place, words: head.words() });
        Ok(Put::Newer)
    }

    /// Whether it is time to freeze: this part has nearly its half of the memory, or cannot have more.
    pub fn is_full(&self) -> bool {
        self.current.is_full(&self.pool)
    }

    /// Ends the part that is written to, which readers go on to see, and begins an empty one. `covers` is the last record of the
    /// log that it holds. `None`: the part before is not gone yet (see [`Self::reclaim`]), or there is no room for another.
    pub fn freeze(&mut self, covers: Sequence) -> Option<Frozen> {
        if self.frozen.is_some() {
            return None;
        }
        let memory = &self.shared.memory;
        // Half the buckets that the last one came to: it grows once if it becomes as large.
        let next = Part::new(memory, &mut self.pool, self.parts + 1, self.current.index.buckets_log2.saturating_sub(1))
            .or_else(|| Part::new(memory, &mut self.pool, self.parts + 1, 0))?;
        self.parts += 1;
        // In this order: readers look at the current part first, so that they find a row in one of the two.
        self.shared.frozen.publish(self.current.index.to_word());
        self.shared.current.publish(next.index.to_word());
        let frozen = Frozen::new(Arc::clone(&self.shared), self.current.index, covers);
        self.frozen = Some(std::mem::replace(&mut self.current, next));
        Some(frozen)
    }

    /// Gives a frozen part up. To be called once a generation that holds its rows was put where every core takes it up, which a core does
    /// after it pins and before it reads: whoever pins from now on finds the rows there. Those who are pinned see the part until they
    /// look away; then, in [`Self::reclaim`], it goes out of sight.
    pub fn drop_frozen(&mut self, frozen: Frozen) {
        assert!(frozen.is_of(&self.shared), "a frozen part goes back to its own overlay");
        drop(frozen);
        self.grace.retire(Retired::FrozenPart);
        self.reclaim();
    }

    /// Makes room that nobody reads any more free for use. To be called after each group of writes, and now and then while
    /// [`Self::is_reclaiming`]: it takes a few turns of every reader that is pinned.
    pub fn reclaim(&mut self) {
        let (pool, current) = (&mut self.pool, &mut self.current);
        let mut is_unseen = false;
        self.grace.advance(|retired| match retired {
            Retired::Entry { part, place, words } if part == current.number => current.reuse(place, words),
            Retired::Entry { .. } => {} // goes with its part
            Retired::Chunks(chunks) => chunks.into_iter().for_each(|chunk| pool.give_back(chunk)),
            Retired::FrozenPart => is_unseen = true,
        });
        if is_unseen && let Some(part) = self.frozen.take() {
            self.shared.frozen.publish(0);
            self.grace.retire(Retired::Chunks(part.chunks));
        }
    }

    /// Whether readers may see a frozen part: it was not given up, or somebody is still looking.
    pub fn has_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// Whether something waits for readers to look away.
    pub fn is_reclaiming(&self) -> bool {
        self.grace.is_waiting()
    }

    /// What is held and taken right now.
    pub fn usage(&self) -> OverlayUsage {
        let memory = &self.shared.memory;
        OverlayUsage {
            rows: self.current.rows,
            row_bytes: self.current.row_bytes,
            current_bytes: self.current.bytes(memory),
            filled_bytes: self.current.filled_bytes(memory),
            frozen_bytes: self.frozen.as_ref().map_or(0, |part| part.bytes(memory)),
            reserved_bytes: memory.reserved_bytes(),
        }
    }

    fn grow(&mut self) -> bool {
        let Some(old) = self.current.grow(&self.shared.memory, &mut self.pool) else { return false };
        self.shared.current.publish(self.current.index.to_word());
        self.grace.retire(Retired::Chunks(old));
        true
    }
}

const _: () = assert!(size_of::<Place>() == 4);

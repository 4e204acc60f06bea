//! The one who writes.

use std::sync::Arc;

use crossbeam_epoch::LocalHandle;

use super::{
    Shared, TableId,
    entry::{self, EntryHead, Rank},
    frozen::Frozen,
    grace::{Grace, Retired},
    index::{Index, slot_word},
    memory::{Memory, Place},
    part::Part,
    pool::Pool,
    reader::hash_key,
    staged::Staged,
    word::Word,
};
use crate::{error::Error, format::layout::RowHead, limits::ROW_BYTES_MAX, log::Sequence, plane::Combine};

/// Writes to an overlay. There is one, and it stays on its thread.
#[derive(Debug)]
pub struct OverlayWriter {
    shared: Arc<Shared>,
    pool: Pool,
    current: Part,
    frozen: Option<Part>,
    grace: Grace,
    staged: Staged,
    /// Rows at hand: one that is here already, one that is being made, one that is to be shown.
    scratch: Vec<u8>,
    combined: Vec<u8>,
    shown: Vec<u8>,
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

/// What became of a row that is not to be shown yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Staged,
    /// There is no room, as with [`Put::Full`].
    Full,
}

/// What became of rows that were staged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shown {
    /// The first of their keys here.
    pub new: u64,
    /// In the place of an older one.
    pub newer: u64,
    /// Not shown, as a newer one is here already.
    pub older: u64,
}

/// The entry of a key that is here already.
#[derive(Debug, Clone, Copy)]
struct Before {
    place: Place,
    head: EntryHead,
    rank: Rank,
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
    /// The most that it may take.
    pub current_bytes_max: usize,
    /// What it takes without what its last chunk has left.
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
        Self {
            shared,
            pool,
            current,
            frozen: None,
            grace: Grace::new(local),
            staged: Staged::default(),
            scratch: Vec::new(),
            combined: Vec::new(),
            shown: Vec::new(),
            parts: 1,
        }
    }

    /// Takes an encoded row, or a tombstone (see [`crate::row`]), of the log's record `sequence`. Readers that pin from here on see it.
    pub fn put(&mut self, table: TableId, sequence: Sequence, row: &[u8]) -> Result<Put, Error> {
        let (head, key, event_time_us) = parse(row)?;
        let hash = hash_key(self.shared.seed, table, key);
        let (_, before) = find(&self.shared.memory, self.current.index, hash, (table, key), &mut self.scratch);
        if let Some(before) = before
            && (Rank { event_time_us, sequence: sequence.0 }) <= before.rank
        {
            return Ok(Put::Older);
        }
        if !self.has_slots(usize::from(before.is_none())) {
            return Ok(Put::Full);
        }
        if head.is_tombstone {
            self.current.deleted.insert(table);
        }
        match self.write(table, sequence, row) {
            Some(place) => Ok(self.show(table, hash, place, true)),
            None => Ok(Put::Full),
        }
    }

    /// Takes a row as [`Self::put`] does, but shows it to nobody before [`Self::show_staged`], which cannot fail.
    ///
    /// With `combine`, which is the same for all rows of a table, it does not take the place of the row of its key, but is put together
    /// with it, whatever their event times. With [`Stage::Full`], and with an error, nothing was changed.
    pub fn stage(
        &mut self,
        table: TableId,
        sequence: Sequence,
        row: &[u8],
        combine: Option<(&dyn Combine, i64)>,
    ) -> Result<Stage, Error> {
        let (head, key, _) = parse(row)?;
        let hash = hash_key(self.shared.seed, table, key);
        // As if each were the first of its key: for whoever is not, it is little.
        if !self.has_slots(self.staged.rows.len() + 1) {
            return Ok(Stage::Full);
        }
        if head.is_tombstone {
            self.current.deleted.insert(table); // if it is dropped, too: then a compaction looks for what there is not
        }
        let Some((combine, now_us)) = combine else {
            let Some(place) = self.write(table, sequence, row) else { return Ok(Stage::Full) };
            self.staged.push(table, hash, place, entry::words(row.len()), false);
            return Ok(Stage::Staged);
        };
        let (memory, of) = (&self.shared.memory, (table, key));
        let mut combined = std::mem::take(&mut self.combined);
        combined.clear();
        let has_lower = self.staged.find(memory, hash, of, &mut self.scratch)
            || find(memory, self.current.index, hash, of, &mut self.scratch).1.is_some();
        let done = match has_lower {
            true => combine.combine(row, &self.scratch, now_us, &mut combined).map_err(Error::from),
            false => {
                combined.extend_from_slice(row);
                Ok(())
            }
        };
        let checked = done.and_then(|()| match parse(&combined)? {
            (_, found, _) if found == key => Ok(()),
            _ => Err(Error::NotARow),
        });
        let placed = checked.map(|()| self.write(table, sequence, &combined));
        if let Ok(Some(place)) = placed {
            self.staged.push(table, hash, place, entry::words(combined.len()), true);
        }
        self.combined = combined;
        Ok(if placed?.is_some() { Stage::Staged } else { Stage::Full })
    }

    /// How many rows are staged.
    pub fn staged(&self) -> usize {
        self.staged.rows.len()
    }

    /// Drops what was staged behind the first so many rows.
    pub fn drop_staged(&mut self, from: usize) {
        let current = &mut self.current;
        self.staged.cut(from, |row| current.reuse(row.place, row.words)); // nobody was shown it
        if self.staged.rows.is_empty() && current.rows == 0 {
            current.begin_again(&self.shared.memory, &mut self.pool);
        }
    }

    /// Shows readers that pin from here on everything that is staged, in the order in which it came.
    pub fn show_staged(&mut self) -> Shown {
        let rows = self.staged.take();
        let mut shown = Shown::default();
        for row in &rows {
            match self.show(row.table, row.hash, row.place, !row.is_combined) {
                Put::New => shown.new += 1,
                Put::Newer => shown.newer += 1,
                Put::Older | Put::Full => {
                    shown.older += 1;
                    self.current.reuse(row.place, row.words);
                }
            }
        }
        self.staged.give_back(rows);
        shown
    }

    /// Whether the index has slots for so many more keys, once it has grown if need be.
    fn has_slots(&mut self, keys: usize) -> bool {
        while self.current.rows + keys > self.current.index.rows_max() {
            if !self.grow() {
                return false;
            }
        }
        true
    }

    /// Writes an entry that nobody is shown yet.
    fn write(&mut self, table: TableId, sequence: Sequence, row: &[u8]) -> Option<Place> {
        let memory = &self.shared.memory;
        let place = self.current.room(memory, &mut self.pool, row.len())?;
        let row_bytes = u32::try_from(row.len()).unwrap_or(u32::MAX); // was parsed, so it is within a row's limit
        entry::write(memory, place, EntryHead { row_bytes, table, sequence: sequence.0 }, row);
        Some(place)
    }

    /// Puts an entry where readers look, in the place of the one of its key; with `by_rank`, only if it is newer. There is a slot.
    fn show(&mut self, table: TableId, hash: u32, place: Place, by_rank: bool) -> Put {
        let memory = &self.shared.memory;
        let head = EntryHead::read(memory, place);
        self.shown.clear();
        entry::copy_row(memory, place, head, &mut self.shown);
        let (_, key, event_time_us) = entry::key_and_time(&self.shown).expect("it was parsed when it was written");
        let (slot, before) = find(memory, self.current.index, hash, (table, key), &mut self.scratch);
        let rank = Rank { event_time_us, sequence: head.sequence };
        // Of equal rank are two rows of one record: there the later one counts, as if they were two.
        if by_rank && before.is_some_and(|before| rank < before.rank) {
            return Put::Older;
        }
        self.current.index.admit(memory, hash);
        slot.expect("there are more slots than rows").publish(slot_word(hash, place));
        self.current.row_bytes += head.row_bytes as usize;
        let Some(Before { place, head, .. }) = before else {
            if self.current.rows == 0 {
                self.shared.current.publish(self.current.index.to_word()); // with its first row
            }
            self.current.rows += 1;
            return Put::New;
        };
        self.current.row_bytes -= head.row_bytes as usize;
        self.grace.retire(Retired::Entry { part: self.current.number, place, words: head.words() });
        Put::Newer
    }

    /// Whether it is time to freeze: this part has nearly its half of the memory, or cannot have more.
    pub fn is_full(&self) -> bool {
        self.current.is_full(&self.pool)
    }

    /// Ends the part that is written to, which readers go on to see, and begins an empty one. `covers` is the last record of the
    /// log that it holds. `None`: the part before is not gone yet (see [`Self::reclaim`]), or there is no room for another.
    pub fn freeze(&mut self, covers: Sequence) -> Option<Frozen> {
        debug_assert!(self.staged.rows.is_empty(), "what is staged lies in the part that is written to");
        if self.frozen.is_some() {
            return None;
        }
        let memory = &self.shared.memory;
        // Half the buckets that the last one came to: it grows once if it becomes as large.
        let next = Part::new(memory, &mut self.pool, self.parts + 1, self.current.index.buckets_log2.saturating_sub(1))
            .or_else(|| Part::new(memory, &mut self.pool, self.parts + 1, 0))?;
        self.parts += 1;
        self.shared.covers(self.current.index.part).store(covers.0); // before the part is seen as frozen
        // In this order: readers look at the current part first, so that they find a row in one of the two.
        self.shared.frozen.publish(self.current.index.to_word());
        self.shared.current.publish(0);
        let deleted = std::mem::take(&mut self.current.deleted);
        let frozen = Frozen::new(Arc::clone(&self.shared), self.current.index, covers, deleted);
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
            current_bytes_max: self.current.bytes_max(memory),
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

/// Key and event time of a row that is not too long.
fn parse(row: &[u8]) -> Result<(RowHead, &[u8], i64), Error> {
    if row.len() > ROW_BYTES_MAX {
        return Err(Error::NotARow);
    }
    entry::key_and_time(row).ok_or(Error::NotARow)
}

/// The slot of a key, or the one to put it in, and its entry. A copy of its row is in `scratch`.
fn find<'m>(
    memory: &'m Memory,
    index: Index,
    hash: u32,
    of: (TableId, &[u8]),
    scratch: &mut Vec<u8>,
) -> (Option<&'m Word>, Option<Before>) {
    let mut before = None;
    let slot = index.slot(memory, hash, |place| {
        let found = entry::row_of(memory, place, of, scratch);
        let found = found.and_then(|(head, row)| Some((head, entry::key_and_time(row)?.2)));
        before = found.map(|(head, event_time_us)| {
            let rank = Rank { event_time_us, sequence: head.sequence };
            Before { place, head, rank }
        });
        before.is_some()
    });
    (slot, before)
}

const _: () = assert!(size_of::<Place>() == 4);

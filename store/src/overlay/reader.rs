//! One core's way to read.
//!
//! The stages are those of a segment, to be run beside them: `hash` and `prefetch`, then `probe` (reads the bucket line, starts to load
//! the entry), then `read` (compares the key, copies the row). All within one [`Pin`], each over what a [`Sight`] shows.

use std::{fmt, ops::Range, sync::Arc};

use crossbeam_epoch::{Guard, LocalHandle};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{
    Shared, TableId,
    entry::{self, EntryHead},
    index::{Cursor, Index},
    memory::{Place, WORD_BYTES},
    word::interleave,
};
use crate::{
    error::Corrupt,
    format::layout::RowHead,
    log::Sequence,
    row::{Row, RowLayout, damaged},
    segment::map,
};

/// Reads an overlay, on one core.
pub struct OverlayReader {
    shared: Arc<Shared>,
    local: LocalHandle,
}

/// What a core has found is not used for anything else while it holds this. To be held for a turn, no longer: what waits for it is
/// memory. Whoever pins sees all that was put before; what is put later may be seen or not.
pub struct Pin {
    _guard: Guard,
}

/// A key's hash, whatever table it is looked for in: views of one entity share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverlayKeyHash(u64);

/// A key's hash, with its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverlayHash {
    hash: u32,
    table: TableId,
}

/// Which parts a reader sees while it is pinned. Of what is put later it shows some and not all, so each request takes one of its own:
/// it may have come because a write was over.
#[derive(Debug, Clone, Copy)]
pub struct Sight<'p> {
    shared: &'p Shared,
    /// `None`: it is empty.
    current: Option<Index>,
    frozen: Option<Index>,
}

/// Where the row of a key may be, in the parts of the [`Sight`] that it was asked of; most keys have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OverlayProbe {
    /// The first entry of this hash, if any; nearly always the only one.
    current: Place,
    frozen: Place,
}

/// Rows as they are copied out, each from a word's beginning on. `as_flattened` gives the bytes.
pub type CopiedRows = Vec<[u8; WORD_BYTES]>;

/// A row, copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverlayRow {
    /// Where it lies in the bytes of the [`CopiedRows`] that were handed in.
    pub bytes: Range<usize>,
    pub event_time_us: i64,
    /// Whether it says that there is no row.
    pub is_tombstone: bool,
    head: RowHead,
}

impl OverlayProbe {
    /// Whether there is nothing to read.
    #[inline]
    pub fn is_absent(&self) -> bool {
        self.current == Place::NONE && self.frozen == Place::NONE
    }
}

impl OverlayRow {
    /// The row, in the bytes that it was appended to.
    #[inline]
    pub fn row<'t>(&self, layout: &'t RowLayout, bytes: &'t [u8]) -> Result<Row<'t>, Corrupt> {
        let bytes = bytes.get(self.bytes.clone()).unwrap_or_default();
        Row::with_head(layout, bytes, self.head, 0).ok_or_else(|| damaged(layout, 0, "a row"))
    }
}

impl OverlayReader {
    pub(super) fn new(shared: Arc<Shared>, local: LocalHandle) -> Self {
        Self { shared, local }
    }

    /// Begins a turn. After it, and not before, comes the look whether there is a new generation.
    #[inline]
    pub fn pin(&self) -> Pin {
        interleave();
        let guard = self.local.pin();
        interleave();
        Pin { _guard: guard }
    }

    /// What is to be seen now. A look at two words.
    ///
    /// The current part's index, then the frozen one's, and in this order: a part that is frozen in between is met twice, not never.
    /// Met twice, it is told once: by the index that was seen first, which has all that was put before the pin.
    #[inline]
    pub fn sight<'p>(&'p self, _pin: &'p Pin) -> Sight<'p> {
        let current = Index::of_word(self.shared.current.seen());
        let frozen = Index::of_word(self.shared.frozen.seen());
        let frozen = frozen.filter(|frozen| current.is_none_or(|current| current.part != frozen.part));
        Sight { shared: &self.shared, current, frozen }
    }

    /// All stages for one key.
    pub fn lookup(&self, pin: &Pin, table: TableId, key: &[u8], out: &mut CopiedRows) -> Option<OverlayRow> {
        let sight = self.sight(pin);
        let hash = sight.hash(table, key);
        sight.read(hash, sight.probe(hash), key, out)
    }
}

impl Sight<'_> {
    /// Whether no key has a row here.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.current.is_none() && self.frozen.is_none()
    }

    #[inline]
    pub fn hash_key(&self, key: &[u8]) -> OverlayKeyHash {
        OverlayKeyHash(hash_of_key(self.shared.seed, key))
    }

    #[inline]
    pub fn hash_in(&self, table: TableId, key: OverlayKeyHash) -> OverlayHash {
        OverlayHash { hash: in_table(key.0, table), table }
    }

    #[inline]
    pub fn hash(&self, table: TableId, key: &[u8]) -> OverlayHash {
        self.hash_in(table, self.hash_key(key))
    }

    /// Starts to load the key's bucket line, if there may be a row of it, which is false for nearly all keys that have none.
    ///
    /// Where there may be one, it is most likely as new as everything in segments: a caller does well to look into those only if
    /// `probe` finds nothing, or `read` a row older than they may have.
    #[inline]
    pub fn prefetch(&self, hash: OverlayHash) -> bool {
        let memory = &self.shared.memory;
        let in_part = |index: Option<Index>| {
            let Some(index) = index.filter(|index| index.may_hold(memory, hash.hash)) else { return false };
            index.prefetch(memory, hash.hash);
            true
        };
        in_part(self.current) | in_part(self.frozen)
    }

    /// Reads the key's bucket line, and starts to load the entry that it names, if any. For keys of which `prefetch` said that there may
    /// be a row.
    #[inline]
    pub fn probe(&self, hash: OverlayHash) -> OverlayProbe {
        let memory = &self.shared.memory;
        match (self.current, self.frozen) {
            (Some(current), Some(frozen)) => {
                let in_part = |index: Index| match index.may_hold(memory, hash.hash) {
                    true => self.first(index, hash),
                    false => Place::NONE,
                };
                OverlayProbe { current: in_part(current), frozen: in_part(frozen) }
            }
            // Where there is one part, it is this one that may hold it.
            (Some(current), None) => OverlayProbe { current: self.first(current, hash), frozen: Place::NONE },
            (None, Some(frozen)) => OverlayProbe { current: Place::NONE, frozen: self.first(frozen, hash) },
            (None, None) => OverlayProbe::default(),
        }
    }

    /// The first entry of a hash in a part, on its way.
    #[inline]
    fn first(&self, index: Index, hash: OverlayHash) -> Place {
        let (memory, mut cursor) = (&self.shared.memory, Cursor::START);
        let Some(place) = index.find(memory, hash.hash, &mut cursor) else { return Place::NONE };
        map::prefetch(memory.word(place));
        place
    }

    /// Appends the newest row of `key` to `out`, if there is one here; while a flush runs perhaps an older one beside it. `probe` is of
    /// the same key, and of this sight.
    #[inline]
    pub fn read(&self, hash: OverlayHash, probe: OverlayProbe, key: &[u8], out: &mut CopiedRows) -> Option<OverlayRow> {
        let current = self.read_at(self.current, probe.current, hash, key, out);
        let frozen = self.read_at(self.frozen, probe.frozen, hash, key, out);
        // What was put later is in the current part, so it counts if the event times are equal.
        match (&current, &frozen) {
            (Some(one), Some(other)) if other.event_time_us > one.event_time_us => frozen,
            _ => current.or(frozen),
        }
    }

    /// For tables whose rows are combined: appends the rows of `key` in the current part and in the frozen one to `out`, and gives
    /// both in this order, the upper one first. What the generation that is read beside them has already is left out; `covered` is
    /// the position of the log that it was published with ([`crate::directory::Manifest::log_position`]), and is to be taken up after
    /// the pin and before the sight. So each row that was written counts once.
    #[inline]
    pub fn read_parts(
        &self,
        hash: OverlayHash,
        probe: OverlayProbe,
        covered: Sequence,
        key: &[u8],
        out: &mut CopiedRows,
    ) -> [Option<OverlayRow>; 2] {
        let is_beside = |frozen: &Index| Sequence(self.shared.covers(frozen.part).load()) > covered;
        [
            self.read_at(self.current, probe.current, hash, key, out),
            self.read_at(self.frozen.filter(is_beside), probe.frozen, hash, key, out),
        ]
    }

    /// Of the entry found, or of others with its hash, the row of `key`.
    #[inline]
    fn read_at(
        &self,
        index: Option<Index>,
        place: Place,
        hash: OverlayHash,
        key: &[u8],
        out: &mut CopiedRows,
    ) -> Option<OverlayRow> {
        let index = index.filter(|_| place != Place::NONE)?;
        self.row_of(place, hash, key, out).or_else(|| self.read_other(index, hash, key, out))
    }

    /// Two keys in 2^32 share a hash.
    #[cold]
    fn read_other(&self, index: Index, hash: OverlayHash, key: &[u8], out: &mut CopiedRows) -> Option<OverlayRow> {
        let mut cursor = Cursor::START;
        loop {
            let place = index.find(&self.shared.memory, hash.hash, &mut cursor)?;
            if let Some(row) = self.row_of(place, hash, key, out) {
                return Some(row);
            }
        }
    }

    /// The row of an entry, if it is that of `key`.
    #[inline]
    fn row_of(&self, place: Place, hash: OverlayHash, key: &[u8], out: &mut CopiedRows) -> Option<OverlayRow> {
        let memory = &self.shared.memory;
        let (row_bytes, table) = EntryHead::bytes_and_table(memory, place);
        if table != hash.table {
            return None;
        }
        let from = out.len();
        entry::copy_words(memory, place, row_bytes, out);
        let start = from * WORD_BYTES;
        let bytes = start..start + row_bytes as usize;
        let row = out.as_flattened().get(bytes.clone()).and_then(entry::key_and_time);
        let Some((head, _, event_time_us)) = row.filter(|(_, found, _)| *found == key) else {
            out.truncate(from);
            return None;
        };
        Some(OverlayRow { bytes, event_time_us, is_tombstone: head.is_tombstone, head })
    }
}

/// The same for writer and readers.
#[inline]
pub(super) fn hash_key(seed: u64, table: TableId, key: &[u8]) -> u32 {
    in_table(hash_of_key(seed, key), table)
}

#[inline]
fn hash_of_key(seed: u64, key: &[u8]) -> u64 {
    xxh3_64_with_seed(key, seed)
}

/// Tables must not meet in the same buckets for the same keys.
#[inline]
fn in_table(key: u64, table: TableId) -> u32 {
    ((key ^ u64::from(table.0).wrapping_mul(0x9e37_79b9_7f4a_7c15)) >> 32) as u32
}

impl fmt::Debug for OverlayReader {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("OverlayReader").finish_non_exhaustive()
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Pin")
    }
}

//! One core's way to read.
//!
//! The stages are those of a segment, to be run beside them: `hash` and `prefetch`, then `probe` (reads the bucket line, starts to load
//! the entry), then `read` (compares the key, copies the row). All within one [`Pin`].

use std::{fmt, ops::Range, sync::Arc};

use crossbeam_epoch::{Guard, LocalHandle};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{
    Shared, TableId,
    entry::{self, EntryHead},
    index::{Cursor, Index},
    memory::Place,
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

/// Where the row of a key may be; most keys have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OverlayProbe {
    current: Option<Found>,
    frozen: Option<Found>,
    /// The last record of the log that the frozen part holds.
    frozen_covers: Sequence,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Found {
    index: Index,
    place: Place,
    /// Where to go on if it is the row of another key.
    cursor: Cursor,
}

/// A row, copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverlayRow {
    /// Where it lies in the bytes that were handed in.
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
        self.current.is_none() && self.frozen.is_none()
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
    pub fn prefetch(&self, _pin: &Pin, hash: OverlayHash) -> bool {
        let mut may_hold = false;
        for index in self.roots().into_iter().flatten() {
            if index.may_hold(&self.shared.memory, hash.hash) {
                index.prefetch(&self.shared.memory, hash.hash);
                may_hold = true;
            }
        }
        may_hold
    }

    /// Reads the key's bucket line, and starts to load the entry that it names, if any.
    #[inline]
    pub fn probe(&self, _pin: &Pin, hash: OverlayHash) -> OverlayProbe {
        let [current, frozen] = self.roots();
        let frozen_covers = frozen.map_or(0, |frozen| self.shared.covers(frozen.part).load());
        OverlayProbe {
            current: self.find(current, hash),
            frozen: self.find(frozen, hash),
            frozen_covers: Sequence(frozen_covers),
        }
    }

    /// Appends the newest row of `key` to `out`, if there is one here; while a flush runs perhaps an older one beside it. `probe` is of
    /// the same pin and the same key.
    #[inline]
    pub fn read(
        &self,
        pin: &Pin,
        hash: OverlayHash,
        probe: OverlayProbe,
        key: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<OverlayRow> {
        let current = probe.current.and_then(|found| self.read_at(pin, hash, found, key, out));
        let Some(frozen) = probe.frozen else { return current };
        let frozen = self.read_at(pin, hash, frozen, key, out);
        // What was put later is in the current part, so it counts if the event times are equal.
        match (current, frozen) {
            (Some(current), Some(frozen)) if frozen.event_time_us > current.event_time_us => Some(frozen),
            (current, frozen) => current.or(frozen),
        }
    }

    /// For tables whose rows are combined: appends the rows of `key` in the current part and in the frozen one to `out`, and gives
    /// both in this order, the upper one first. What the generation that is read beside them has already is left out; `covered` is
    /// the position of the log that it was published with ([`Levels::covers`](crate::levels::Levels::covers)), and is to be taken
    /// up after the pin. So each row that was written counts once.
    #[inline]
    pub fn read_parts(
        &self,
        pin: &Pin,
        hash: OverlayHash,
        probe: OverlayProbe,
        covered: Sequence,
        key: &[u8],
        out: &mut Vec<u8>,
    ) -> [Option<OverlayRow>; 2] {
        let frozen = probe.frozen.filter(|_| probe.frozen_covers > covered);
        [probe.current, frozen].map(|found| self.read_at(pin, hash, found?, key, out))
    }

    /// All stages for one key.
    pub fn lookup(&self, pin: &Pin, table: TableId, key: &[u8], out: &mut Vec<u8>) -> Option<OverlayRow> {
        let hash = self.hash(table, key);
        self.read(pin, hash, self.probe(pin, hash), key, out)
    }

    /// Of the entry found, or of those behind it, the row of `key`.
    #[inline]
    fn read_at(
        &self,
        _pin: &Pin,
        hash: OverlayHash,
        mut found: Found,
        key: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<OverlayRow> {
        let memory = &self.shared.memory;
        loop {
            let head = EntryHead::read(memory, found.place);
            let start = out.len();
            entry::copy_row(memory, found.place, head, out);
            match entry::key_and_time(&out[start..]) {
                Some((row, found, event_time_us)) if found == key && head.table == hash.table => {
                    let (bytes, is_tombstone) = (start..out.len(), row.is_tombstone);
                    return Some(OverlayRow { bytes, event_time_us, is_tombstone, head: row });
                }
                _ => out.truncate(start),
            }
            found.place = found.index.find(memory, hash.hash, &mut found.cursor)?;
        }
    }

    #[inline]
    fn find(&self, index: Option<Index>, hash: OverlayHash) -> Option<Found> {
        let (index, mut cursor) = (index?, Cursor::START);
        if !index.may_hold(&self.shared.memory, hash.hash) {
            return None;
        }
        let place = index.find(&self.shared.memory, hash.hash, &mut cursor)?;
        map::prefetch(self.shared.memory.word(place));
        Some(Found { index, place, cursor })
    }

    /// The current part's index, then the frozen one's, and in this order: a part that is frozen in between is met twice, not never.
    /// Met twice, it is told once: by the index that was seen first, which has all that was put before the pin.
    #[inline]
    fn roots(&self) -> [Option<Index>; 2] {
        let current = Index::of_word(self.shared.current.seen());
        let frozen = Index::of_word(self.shared.frozen.seen());
        [current, frozen.filter(|frozen| current.is_none_or(|current| current.part != frozen.part))]
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

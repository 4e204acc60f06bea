//! Rows that were read from the disk lately, kept by one core so that it need not read them again.
//!
//! One owner, no lock. All memory is taken at construction and none later; no call does more than a bounded amount of work.
//! Segments are immutable, so what stands here is never out of date, and nothing is ever taken back.
//!
//! ```text
//!  insert ──► probation ──used twice──► main ──► dropped when it is the oldest and was not used
//!     │       a tenth of                 ▲ └─┘ else once round again
//!     │       the bytes                  │
//!     │           └─────► dropped: a fingerprint stays in `ghost`
//!     └── its fingerprint is there ──────┘
//! ```
//!
//! Most rows are asked for once. They pass through probation and never displace what is asked for often: a scan of any
//! length costs main nothing. This is the policy of S3-FIFO, over rings of bytes instead of queues of objects.
//!
//! | part | what it is |
//! |---|---|
//! | `arena` | the entries' bytes |
//! | `ring` | where in the arena the next entry goes and which is the oldest; arithmetic only |
//! | `index` | from an id to its entry: one line, then the entry |
//! | `ghost` | what was dropped from probation lately |

use std::fmt;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::{
    directory::disk::random,
    limits::{CACHE_BYTES_MAX, CACHED_ROW_BYTES_MAX},
};
use arena::{Arena, Entry, USES_MAX, entry_bytes};
use ghost::Ghost;
use index::Index;
use ring::Ring;

mod arena;
mod ghost;
mod index;
mod ring;
#[cfg(test)]
mod tests;

/// Names a row for ever, by its segment and the hash of its key: so it can be looked for before it is known where the row lies,
/// and a row that is asked for often needs no index in memory. Two keys may share a name, if ever; whoever finds a row
/// compares its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RowId {
    /// The segment's id, with the upper half of the hash mixed in.
    pub segment: u64,
    /// The lower half.
    pub key: u32,
}

/// Where a found row lies, until the next `insert`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    at: usize,
    row_bytes: usize,
    /// What [`CacheStats::inserts`] was when the row was found.
    inserts: u64,
}

/// What a cache did since it was made, and what it holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheStats {
    pub hits: u64,
    pub misses: u64,
    /// Rows taken. A row that was there already is not counted.
    pub inserts: u64,
    /// Rows not taken: too long, or (rarely) no slot near where the index would look for it.
    pub rejected: u64,
    pub evicted: u64,
    pub rows: u64,
    /// Of entries: rows, their headers and padding.
    pub bytes_used: u64,
    /// Everything the cache has allocated: entries, index and ghosts.
    pub bytes_total: u64,
}

/// The rows one core keeps.
pub struct RowCache {
    arena: Arena,
    probation: Ring,
    main: Ring,
    index: Index,
    ghost: Ghost,
    seed: u64,
    entry_bytes_max: usize,
    stats: CacheStats,
}

impl RowCache {
    /// A cache that never takes more than `bytes`, index and all. Too few for anything, or 0, makes one that holds nothing.
    pub fn new(bytes: usize) -> Self {
        // The seed keeps who can choose which rows are read from choosing which lines of the index they meet in.
        Self::with_seed(bytes, random())
    }

    fn with_seed(bytes: usize, seed: u64) -> Self {
        let groups = bytes.min(CACHE_BYTES_MAX) / GROUP_BYTES;
        let index = Index::new(groups * INDEX_LINES_PER_GROUP);
        let arena = Arena::new(groups * ARENA_BYTES_PER_GROUP);
        let rows_max = index.entries_max();
        let probation_bytes = (arena.bytes() / PROBATION_SHARE).next_multiple_of(arena::ALIGNMENT);
        let main_bytes = arena.bytes() - probation_bytes;
        let probation_rows = rows_max / PROBATION_SHARE;
        let ghost = Ghost::new(groups * GHOST_LINES_PER_GROUP, main_bytes);
        Self {
            probation: Ring::new(0, probation_bytes, probation_rows),
            main: Ring::new(probation_bytes, main_bytes, rows_max - probation_rows),
            entry_bytes_max: probation_bytes.min(entry_bytes(CACHED_ROW_BYTES_MAX)),
            stats: CacheStats {
                bytes_total: (arena.bytes() + index.bytes() + ghost.bytes()) as u64,
                ..CacheStats::default()
            },
            arena,
            index,
            ghost,
            seed,
        }
    }

    /// Where the row is, if it is here; it counts as used. Waits for memory twice at most: for a line of the index, then
    /// for the entry.
    #[inline]
    pub fn find(&mut self, id: RowId) -> Option<Place> {
        let Some(at) = self.index.find(self.hash(id), |at| self.arena.id(at) == id) else {
            self.stats.misses += 1;
            return None;
        };
        self.stats.hits += 1;
        let row_bytes = self.arena.mark_used(at);
        Some(Place { at, row_bytes, inserts: self.stats.inserts })
    }

    /// The bytes that were inserted.
    ///
    /// # Panics
    /// If a row was inserted since `place` was found: another row may lie there now.
    #[inline]
    pub fn bytes(&self, place: Place) -> &[u8] {
        assert_eq!(place.inserts, self.stats.inserts, "a place in the cache is used after an insert");
        self.arena.row(place.at, place.row_bytes)
    }

    /// Takes the row in. It may displace others, and nothing says how long it stays. A row that is there already stays as
    /// it is, since the bytes of an id never change.
    pub fn insert(&mut self, id: RowId, row: &[u8]) {
        let hash = self.hash(id);
        if self.index.find(hash, |at| self.arena.id(at) == id).is_some() {
            return;
        }
        let bytes = entry_bytes(row.len());
        if bytes > self.entry_bytes_max || !self.index.has_room(hash) {
            self.stats.rejected += 1;
            return;
        }
        let at = if self.ghost.take(hash) { self.room_in_main(bytes) } else { self.room_in_probation(bytes) };
        self.arena.write(at, id, row);
        self.index.add(hash, at);
        self.stats.inserts += 1;
    }

    pub fn stats(&self) -> CacheStats {
        let (rows, used) = (self.probation.entries() + self.main.entries(), self.probation.used() + self.main.used());
        CacheStats { rows: rows as u64, bytes_used: used as u64, ..self.stats }
    }

    /// Room for a new entry in probation. The oldest make way: those that proved themselves go to main.
    fn room_in_probation(&mut self, bytes: usize) -> usize {
        loop {
            if let Some(at) = self.probation.reserve(bytes) {
                return at;
            }
            let (from, entry) = Self::pop(&mut self.probation, &self.arena);
            let hash = self.hash(entry.id);
            // A main that is not full yet takes all: dropping rows for the sake of free memory helps nobody.
            let to = match self.main.reserve(entry.bytes()) {
                None if entry.uses >= USES_TO_STAY => Some(self.room_in_main(entry.bytes())),
                room => room,
            };
            match to {
                Some(to) => self.carry(hash, from, to, entry, 0),
                None => {
                    self.ghost.add(hash, entry.bytes());
                    self.drop_entry(hash, from);
                }
            }
        }
    }

    /// Room for a new entry in main. The oldest make way: those used since they last came round go round again.
    fn room_in_main(&mut self, bytes: usize) -> usize {
        let mut budget_bytes = SECOND_CHANCE_BYTES_MIN.max(SECOND_CHANCE_FACTOR * bytes);
        loop {
            if let Some(at) = self.main.reserve(bytes) {
                return at;
            }
            let (from, entry) = Self::pop(&mut self.main, &self.arena);
            let hash = self.hash(entry.id);
            if entry.uses > 0 && entry.bytes() <= budget_bytes {
                budget_bytes -= entry.bytes();
                let to = self.main.reserve(entry.bytes()).expect("what was given free is enough for the same again");
                self.carry(hash, from, to, entry, entry.uses - 1);
            } else {
                self.drop_entry(hash, from);
            }
        }
    }

    /// Takes the oldest entry off `ring`. Its bytes stay until the ring is written to again.
    fn pop(ring: &mut Ring, arena: &Arena) -> (usize, Entry) {
        let at = ring.oldest().expect("a ring without room for an entry that fits has entries");
        let entry = arena.entry(at);
        ring.release_oldest(entry.bytes());
        (at, entry)
    }

    fn carry(&mut self, hash: u64, from: usize, to: usize, entry: Entry, uses: u32) {
        self.arena.carry(from, to, Entry { uses, ..entry });
        self.index.move_to(hash, from, to);
    }

    fn drop_entry(&mut self, hash: u64, at: usize) {
        self.index.remove(hash, at);
        self.stats.evicted += 1;
    }

    #[inline]
    fn hash(&self, id: RowId) -> u64 {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&id.segment.to_le_bytes());
        bytes[8..].copy_from_slice(&id.key.to_le_bytes());
        xxh3_64_with_seed(&bytes, self.seed)
    }
}

impl fmt::Debug for RowCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowCache").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

/// The cache is made of so many of these: entries with their slots in the index, and room for as many ghosts. 48 slots for
/// 2304 bytes of entries, since the index is never filled beyond 3/4, so that it is not what limits rows of 48 bytes and
/// more. Index and ghosts are a seventh of all memory.
const GROUP_BYTES: usize =
    INDEX_LINES_PER_GROUP * index::LINE_BYTES + GHOST_LINES_PER_GROUP * ghost::LINE_BYTES + ARENA_BYTES_PER_GROUP;
const INDEX_LINES_PER_GROUP: usize = 4;
const GHOST_LINES_PER_GROUP: usize = 2;
const ARENA_BYTES_PER_GROUP: usize = 2304;

/// Probation is this part of the bytes, and of the rows.
const PROBATION_SHARE: usize = 10;

/// How often a row must be found in probation to go to main. Once would do as well, were every row asked for once at a time:
/// but a flood of rows asked for twice in a row then takes another sixth to a quarter of all hits.
const USES_TO_STAY: u32 = 2;

/// Entries that one insert may move within main, in bytes, as a multiple of what it needs; what is older after that is
/// dropped, used or not. This bounds the work.
const SECOND_CHANCE_FACTOR: usize = 8;

/// The same for short rows.
const SECOND_CHANCE_BYTES_MIN: usize = 2048;

const _: () = assert!(USES_TO_STAY <= USES_MAX);
const _: () = {
    let arena_bytes_max = CACHE_BYTES_MAX / GROUP_BYTES * ARENA_BYTES_PER_GROUP;
    assert!(arena_bytes_max / arena::ALIGNMENT < u32::MAX as usize, "the index has 32 bits for a place");
};

//! Rows in memory, one after the other in chunks that never move, and the entries that are sorted in their stead.

use std::{cmp::Reverse, hint::black_box};

/// What decides a row's place in the order: by hash, then the newest first, then the latest in the input first. So the
/// first row of a key is the one to keep. Where all rows of a key are folded, times and ordinals are inverted: the oldest comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rank {
    pub(super) hash: u64,
    pub(super) event_time_us: i64,
    pub(super) ordinal: u64,
}

impl Rank {
    #[inline]
    fn order(&self) -> (u64, Reverse<i64>, Reverse<u64>) {
        (self.hash, Reverse(self.event_time_us), Reverse(self.ordinal))
    }
}

impl PartialOrd for Rank {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Rank {
    #[inline]
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

/// A row's rank, and where it lies in its arena: 32 bytes that are moved instead of the row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) rank: Rank,
    pub(super) position: Position,
}

/// Where in an arena a row lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    chunk: u32,
    offset: u32,
}

/// Rows, each after its length as u32. Cleared and filled again without giving memory back.
#[derive(Debug)]
pub(super) struct Arena {
    chunks: Vec<Vec<u8>>,
    /// The chunk being filled; those after it are empty.
    filling: usize,
    chunk_bytes: usize,
    reserved_bytes: usize,
    row_bytes: u64,
}

impl Arena {
    pub(super) fn new(chunk_bytes: usize) -> Self {
        Self { chunks: Vec::new(), filling: 0, chunk_bytes, reserved_bytes: 0, row_bytes: 0 }
    }

    /// Memory held, full or not.
    pub(super) fn reserved_bytes(&self) -> usize {
        self.reserved_bytes
    }

    /// Bytes of all rows.
    pub(super) fn row_bytes(&self) -> u64 {
        self.row_bytes
    }

    /// How much more memory it takes to append a row of this length.
    pub(super) fn growth_bytes(&self, row_bytes: usize) -> usize {
        let needed = LENGTH_BYTES + row_bytes;
        let has_room = |chunk: &Vec<u8>| chunk.capacity() - chunk.len() >= needed;
        let fits = self.chunks.iter().skip(self.filling).take(2).any(has_room);
        if fits { 0 } else { needed.max(self.chunk_bytes) }
    }

    #[inline]
    pub(super) fn append(&mut self, row: &[u8]) -> Position {
        let needed = LENGTH_BYTES + row.len();
        if self.chunks.get(self.filling).is_none_or(|chunk| chunk.capacity() - chunk.len() < needed) {
            self.append_turn(needed);
        }
        let chunk = &mut self.chunks[self.filling];
        let position = Position { chunk: index(self.filling), offset: index(chunk.len()) };
        chunk.extend_from_slice(&index(row.len()).to_le_bytes());
        chunk.extend_from_slice(row);
        self.row_bytes += row.len() as u64;
        position
    }

    /// Goes on to a chunk with room: the next one of an earlier filling, or a new one in its place.
    #[cold]
    fn append_turn(&mut self, needed: usize) {
        if !self.chunks.is_empty() {
            self.filling += 1;
        }
        if self.chunks.get(self.filling).is_none_or(|chunk| chunk.capacity() < needed) {
            let chunk = Vec::with_capacity(needed.max(self.chunk_bytes));
            self.reserved_bytes += chunk.capacity();
            self.chunks.insert(self.filling, chunk);
        }
    }

    #[inline]
    pub(super) fn row(&self, position: Position) -> &[u8] {
        let rest = &self.chunks[position.chunk as usize][position.offset as usize..];
        let (length, rest) = rest.split_first_chunk().expect("a length before each row");
        &rest[..u32::from_le_bytes(*length) as usize]
    }

    /// Loads the start and the likely end of rows that are about to be read. Sorted rows lie anywhere, and loads that do not
    /// depend on each other wait for memory together instead of one by one.
    #[inline]
    pub(super) fn touch(&self, entries: &[Entry]) {
        let mut sum = 0;
        for Entry { position, .. } in entries {
            let chunk = &self.chunks[position.chunk as usize];
            let offset = position.offset as usize;
            sum += u32::from(chunk[offset]) + u32::from(*chunk.get(offset + CACHE_LINE_BYTES).unwrap_or(&0));
        }
        black_box(sum);
    }

    /// Forgets all rows and keeps the memory.
    pub(super) fn clear(&mut self) {
        for chunk in &mut self.chunks {
            chunk.clear();
        }
        (self.filling, self.row_bytes) = (0, 0);
    }
}

/// Chunks and rows are far smaller than 4 GiB, and a sink would need 16 TiB for so many chunks.
fn index(value: usize) -> u32 {
    u32::try_from(value).expect("bounded by chunk_bytes and the row's limit")
}

const LENGTH_BYTES: usize = size_of::<u32>();
const CACHE_LINE_BYTES: usize = 64;
const _: () = assert!(size_of::<Entry>() == 32);

//! An index with its entries: what the writer knows of the part that it writes to, or of the one that is frozen.

use std::collections::BTreeSet;

use super::{
    TableId, entry,
    index::Index,
    memory::{LINE_WORDS, Memory, Place, WORD_BYTES},
    pool::Pool,
};
use crate::limits::ROW_BYTES_MAX;

/// One part.
#[derive(Debug)]
pub(super) struct Part {
    /// Tells parts apart: what is given back late may be of an earlier one.
    pub(super) number: u64,
    pub(super) index: Index,
    /// All chunks, those of the index among them: at most half of all there are, so that the next part finds room.
    pub(super) chunks: Vec<usize>,
    chunks_max: usize,
    /// Keys, deleted ones among them.
    pub(super) rows: usize,
    /// Bytes of the rows that count, as encoded.
    pub(super) row_bytes: usize,
    /// Tables in which keys were deleted, whether or not a row was put over the tombstone since.
    pub(super) deleted: BTreeSet<TableId>,
    /// Where the next entry goes, and the end of the room there.
    next: Place,
    end: Place,
    /// Where entries were that nobody reads any more, by the class of their length.
    reusable: Vec<Vec<Place>>,
}

impl Part {
    /// An empty part; `None` if there is no room for its index.
    pub(super) fn new(memory: &Memory, pool: &mut Pool, number: u64, buckets_log2: u32) -> Option<Self> {
        let buckets_log2 = buckets_log2.max(memory.chunk_lines_log2());
        let index = make_index(memory, pool, number, buckets_log2)?;
        let chunks = index_chunks(memory, index).collect();
        let reusable = vec![Vec::new(); entry::length_class(entry::words(ROW_BYTES_MAX)) + 1];
        let (next, end, chunks_max) = (Place(0), Place(0), memory.chunks() / 2);
        let deleted = BTreeSet::new();
        Some(Self { number, index, chunks, chunks_max, rows: 0, row_bytes: 0, deleted, next, end, reusable })
    }

    /// Twice the buckets. Returns the old index's chunks, which readers may still be in; `None` if there is no room.
    pub(super) fn grow(&mut self, memory: &Memory, pool: &mut Pool) -> Option<Vec<usize>> {
        let old: Vec<usize> = index_chunks(memory, self.index).collect();
        if self.chunks.len() + old.len() + 1 > self.chunks_max {
            return None;
        }
        let larger = make_index(memory, pool, self.number, self.index.buckets_log2 + 1)?;
        self.index.copy_to(memory, larger);
        self.chunks.retain(|chunk| !old.contains(chunk));
        self.chunks.extend(index_chunks(memory, larger));
        self.index = larger;
        Some(old)
    }

    /// Room for an entry with a row of this length.
    pub(super) fn room(&mut self, memory: &Memory, pool: &mut Pool, row_bytes: usize) -> Option<Place> {
        let words = entry::words(row_bytes);
        if let Some(place) = self.reusable.get_mut(entry::length_class(words)).and_then(Vec::pop) {
            return Some(place);
        }
        if ((self.end.0 - self.next.0) as usize) < words {
            let count = words.div_ceil(memory.chunk_words());
            if self.chunks.len() + count > self.chunks_max {
                return None;
            }
            let first = pool.take(memory, count)?;
            self.chunks.extend(first..first + count);
            self.next = memory.place(first);
            let end = self.next.0 as usize + count * memory.chunk_words();
            self.end = Place(u32::try_from(end).unwrap_or(u32::MAX)); // the last word of 32 GiB stays unused
            if self.next.0 == 0 {
                self.next = Place(1); // 0 is no place: an empty slot would look the same
                if ((self.end.0 - 1) as usize) < words {
                    return self.room(memory, pool, row_bytes);
                }
            }
        }
        let place = self.next;
        #[expect(clippy::cast_possible_truncation, reason = "a row's limit is far below 32 bits")]
        let words = words as u32;
        self.next = Place(place.0 + words);
        Some(place)
    }

    /// Takes back the room of an entry that nobody reads any more.
    pub(super) fn reuse(&mut self, place: Place, words: usize) {
        self.reusable[entry::length_class(words)].push(place);
    }

    /// Gives back all room but the index, where no entry was ever shown: what was dropped may have been of other lengths than what comes.
    pub(super) fn begin_again(&mut self, memory: &Memory, pool: &mut Pool) {
        debug_assert!(self.rows == 0, "readers may look at what was shown");
        let of_index = index_chunks(memory, self.index);
        self.chunks.iter().filter(|chunk| !of_index.contains(chunk)).for_each(|chunk| pool.give_back(*chunk));
        self.chunks.retain(|chunk| of_index.contains(chunk));
        self.reusable.iter_mut().for_each(Vec::clear);
        (self.next, self.end) = (Place(0), Place(0));
    }

    /// Whether seven eighths of its share are used, or no more can be had.
    pub(super) fn is_full(&self, pool: &Pool) -> bool {
        self.chunks.len() >= self.chunks_max - self.chunks_max / 8 || pool.free() == 0
    }

    pub(super) fn bytes(&self, memory: &Memory) -> usize {
        self.chunks.len() * memory.chunk_bytes()
    }

    pub(super) fn bytes_max(&self, memory: &Memory) -> usize {
        self.chunks_max * memory.chunk_bytes()
    }

    /// Of the index and of all entries so far; less than its chunks by what the last one has left.
    pub(super) fn filled_bytes(&self, memory: &Memory) -> usize {
        self.bytes(memory) - (self.end.0 - self.next.0) as usize * WORD_BYTES
    }
}

fn make_index(memory: &Memory, pool: &mut Pool, part: u64, buckets_log2: u32) -> Option<Index> {
    if buckets_log2 >= u32::BITS - LINE_WORDS.ilog2() {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the low bits tell parts apart that are in sight at a time")]
    let mut index = Index { line: 0, buckets_log2, part: part as u16 };
    let first = pool.take_high(memory, index.lines().div_ceil(1 << memory.chunk_lines_log2()))?;
    index.line = memory.place(first).0 / 8;
    for line in index.line as usize..index.line as usize + index.lines() {
        memory.line(line).0.iter().for_each(|word| word.store(0));
    }
    Some(index)
}

fn index_chunks(memory: &Memory, index: Index) -> std::ops::Range<usize> {
    let first = memory.chunk_of(Place(index.line * 8));
    first..first + index.lines().div_ceil(1 << memory.chunk_lines_log2())
}

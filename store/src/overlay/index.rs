//! Buckets: from a key's hash to its entry.
//!
//! ```text
//! bucket, one line | slot | slot | … 8              filled in order, never emptied
//! slot, one word   | hash u32 | place u32 |         0: no entry yet, and none behind it
//! filter, one word of a bucket: two bits for each hash that begins its search there
//! ```
//! Most keys that are asked for have no row here, and an eighth of the index tells nearly all of them apart: that much of it stays in
//! a core's cache when all of it would not.
//! The bucket of a hash is in its top bits. A full bucket goes on in the other one of its pair, which a processor loads along with
//! it, then in the next pair. To grow is to copy the slots to twice as many buckets, without a look at the entries.

use super::{
    memory::{LINE_WORDS, Line, Memory, Place},
    word::Word,
};
use crate::segment::map;

/// Where buckets lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Index {
    /// The number of the first line.
    pub(super) line: u32,
    /// There are so many twos of buckets.
    pub(super) buckets_log2: u32,
    /// Of the number of the part whose it is, the low bits: an index that was outgrown and the one behind it are of one part.
    pub(super) part: u16,
}

/// Where a search stands, to go on from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    /// How many buckets are behind it.
    bucket: u32,
    slot: u32,
}

impl Cursor {
    pub(super) const START: Self = Self { bucket: 0, slot: 0 };
}

impl Index {
    /// As a word that readers can be given; never 0.
    pub(super) fn to_word(self) -> u64 {
        1 << 63 | u64::from(self.part) << 40 | u64::from(self.buckets_log2) << 32 | u64::from(self.line)
    }

    /// `None`: there is none.
    #[inline]
    pub(super) fn of_word(word: u64) -> Option<Self> {
        #[expect(clippy::cast_possible_truncation, reason = "the fields of the word")]
        (word != 0).then_some(Self {
            line: word as u32,
            buckets_log2: (word >> 32 & 0xff) as u32,
            part: (word >> 40) as u16,
        })
    }

    pub(super) fn buckets(self) -> usize {
        1 << self.buckets_log2
    }

    /// Rows that it is made for: five of eight slots, so that few buckets overflow.
    pub(super) fn rows_max(self) -> usize {
        self.buckets() * 5
    }

    /// Lines of an index: its buckets, and behind them its filter.
    pub(super) fn lines(self) -> usize {
        self.buckets() + self.buckets().div_ceil(LINE_WORDS)
    }

    /// Whether there may be an entry of this hash. No is certain.
    #[inline]
    pub(super) fn may_hold(self, memory: &Memory, hash: u32) -> bool {
        let bits = filter_bits(hash);
        self.filter(memory, hash).load() & bits == bits
    }

    /// Before an entry of this hash gets its slot.
    pub(super) fn admit(self, memory: &Memory, hash: u32) {
        let filter = self.filter(memory, hash);
        filter.store(filter.load() | filter_bits(hash));
    }

    /// Starts to load the bucket of this hash, and waits for nothing.
    #[inline]
    pub(super) fn prefetch(self, memory: &Memory, hash: u32) {
        map::prefetch(self.bucket(memory, hash, 0));
    }

    /// The next entry, from `cursor` on, that may be that of a key with this hash.
    #[inline]
    pub(super) fn find(self, memory: &Memory, hash: u32, cursor: &mut Cursor) -> Option<Place> {
        while (cursor.bucket as usize) < self.buckets() {
            let line = self.bucket(memory, hash, cursor.bucket);
            // Without a branch for each slot: which one it is nobody can foresee.
            let (mut matches, mut last) = (0_u32, 0);
            for (slot, word) in line.0.iter().enumerate() {
                last = word.seen();
                matches |= u32::from(hash_of(last) == hash) << slot;
            }
            matches &= u32::MAX << cursor.slot;
            if matches != 0 {
                let slot = matches.trailing_zeros();
                cursor.slot = slot + 1;
                // Once more, as it may have been replaced meanwhile: either will do, both are entries of the same key. An empty slot looks
                // like one with a hash of 0, and there is no entry behind it.
                return Some(place_of(line.0[slot as usize].seen())).filter(|&place| place != Place::NONE);
            }
            if last == 0 {
                return None; // it was never full, so nobody had to go on from here
            }
            *cursor = Cursor { bucket: cursor.bucket + 1, slot: 0 };
        }
        None
    }

    /// The slot of the entry for which `is_it` holds, or the one to put it in. For the writer.
    pub(super) fn slot(self, memory: &Memory, hash: u32, mut is_it: impl FnMut(Place) -> bool) -> Option<&Word> {
        let mut slots = (0..self.buckets()).flat_map(|step| {
            #[expect(clippy::cast_possible_truncation, reason = "there are fewer than 2^26 buckets")]
            self.bucket(memory, hash, step as u32).0.iter()
        });
        slots.find(|slot| {
            let word = slot.load();
            word == 0 || hash_of(word) == hash && is_it(place_of(word))
        })
    }

    /// All entries, in no order.
    pub(super) fn places(self, memory: &Memory) -> impl Iterator<Item = Place> {
        self.slots(memory).map(place_of)
    }

    /// Fills a larger index, which is all zeros and which nobody reads yet.
    pub(super) fn copy_to(self, memory: &Memory, larger: Self) {
        for word in self.slots(memory) {
            larger.admit(memory, hash_of(word));
            let slot = larger.slot(memory, hash_of(word), |_| false);
            slot.expect("an index has more slots than rows").store(word);
        }
    }

    fn slots(self, memory: &Memory) -> impl Iterator<Item = u64> {
        let lines = self.line as usize..self.line as usize + self.buckets();
        lines.flat_map(|line| memory.line(line).0.iter().map(Word::load)).filter(|&word| word != 0)
    }

    #[inline]
    fn filter(self, memory: &Memory, hash: u32) -> &Word {
        let bucket = (hash >> (u32::BITS - self.buckets_log2)) as usize;
        let line = self.line as usize + self.buckets() + bucket / LINE_WORDS;
        &memory.line(line).0[bucket % LINE_WORDS]
    }

    #[inline]
    fn bucket(self, memory: &Memory, hash: u32, step: u32) -> &Line {
        let first = hash >> (u32::BITS - self.buckets_log2);
        let pair = ((first & !1).wrapping_add(step & !1)) & ((1 << self.buckets_log2) - 1);
        memory.line((self.line + (pair | (first ^ step) & 1)) as usize)
    }
}

/// Of the low bits, which have no part in the choice of the bucket unless there are a million.
#[inline]
fn filter_bits(hash: u32) -> u64 {
    1 << (hash & 63) | 1 << (hash >> 6 & 63)
}

/// What a slot says.
pub(super) fn slot_word(hash: u32, place: Place) -> u64 {
    u64::from(hash) << 32 | u64::from(place.0)
}

#[inline]
fn hash_of(word: u64) -> u32 {
    (word >> 32) as u32
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the lower half")]
fn place_of(word: u64) -> Place {
    Place(word as u32)
}

const _: () = assert!(LINE_WORDS == 8, "a bucket's slots");

//! The words, in chunks of one size that are made when first needed and stay where they are.

use std::sync::{
    OnceLock,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use super::word::Word;
use crate::{
    limits::{OVERLAY_CHUNK_BYTES_MAX, OVERLAY_CHUNK_BYTES_MIN},
    segment::map,
};

/// All memory there may be.
#[derive(Debug)]
pub(super) struct Memory {
    chunks: Box<[OnceLock<Box<[Line]>>]>,
    /// Lines of a chunk are so many twos.
    chunk_lines_log2: u32,
    reserved_bytes: AtomicUsize,
}

/// A cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Line(pub(super) [Word; LINE_WORDS]);

/// A word's number. 32 bits of words are 32 GiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(pub(super) u32);

impl Place {
    /// Where no entry begins: an empty slot looks the same.
    pub(super) const NONE: Self = Self(0);

    #[inline]
    fn line(self) -> usize {
        self.0 as usize / LINE_WORDS
    }
}

impl Memory {
    /// For as many whole chunks as `budget_bytes` has room for. Takes no memory yet but a list of them.
    pub(super) fn new(budget_bytes: usize) -> Self {
        let chunk_bytes = (budget_bytes / CHUNKS_WANTED).clamp(OVERLAY_CHUNK_BYTES_MIN, OVERLAY_CHUNK_BYTES_MAX);
        let chunk_lines_log2 = (chunk_bytes / LINE_BYTES).ilog2();
        let chunks: Box<[_]> = (0..budget_bytes / (LINE_BYTES << chunk_lines_log2)).map(|_| OnceLock::new()).collect();
        let reserved_bytes = AtomicUsize::new(size_of_val(&*chunks));
        Self { chunks, chunk_lines_log2, reserved_bytes }
    }

    pub(super) fn chunks(&self) -> usize {
        self.chunks.len()
    }

    pub(super) fn chunk_words(&self) -> usize {
        LINE_WORDS << self.chunk_lines_log2
    }

    pub(super) fn chunk_lines_log2(&self) -> u32 {
        self.chunk_lines_log2
    }

    pub(super) fn chunk_bytes(&self) -> usize {
        LINE_BYTES << self.chunk_lines_log2
    }

    pub(super) fn reserved_bytes(&self) -> usize {
        self.reserved_bytes.load(Relaxed)
    }

    /// Where a chunk begins.
    pub(super) fn place(&self, chunk: usize) -> Place {
        Place(u32::try_from(chunk * self.chunk_words()).expect("the budget's limit is 32 bits of words"))
    }

    /// Which chunk a word is in.
    pub(super) fn chunk_of(&self, place: Place) -> usize {
        place.line() >> self.chunk_lines_log2
    }

    /// Makes sure that a chunk has memory, all of it zero if it is new. Only the writer calls this.
    pub(super) fn reserve(&self, chunk: usize) {
        self.chunks[chunk].get_or_init(|| {
            self.reserved_bytes.fetch_add(self.chunk_bytes(), Relaxed);
            (0..1_usize << self.chunk_lines_log2).map(|_| Line::default()).collect()
        });
    }

    /// The line with this number; it was reserved before anybody was told of it.
    #[inline]
    pub(super) fn line(&self, line: usize) -> &Line {
        &self.chunk(line >> self.chunk_lines_log2)[line & ((1 << self.chunk_lines_log2) - 1)]
    }

    #[inline]
    pub(super) fn word(&self, place: Place) -> &Word {
        &self.line(place.line()).0[place.0 as usize % LINE_WORDS]
    }

    /// Starts to load the line of a word and the one behind it, which hold most entries, and waits for nothing.
    pub(super) fn prefetch(&self, place: Place) {
        let (chunk, first) = (place.line() >> self.chunk_lines_log2, place.line() & ((1 << self.chunk_lines_log2) - 1));
        self.chunk(chunk).iter().skip(first).take(2).for_each(map::prefetch);
    }

    /// Appends the bytes of words that follow each other from `place` on to `out`, whole words, then cuts it to `bytes`.
    #[inline]
    pub(super) fn append(&self, place: Place, bytes: usize, out: &mut Vec<u8>) {
        let start = out.len();
        // Made longer at once: to look for room word by word costs more than the words.
        out.resize(start + bytes.next_multiple_of(WORD_BYTES), 0);
        let mut to = out[start..].as_chunks_mut::<WORD_BYTES>().0.iter_mut();
        self.for_stretches(place, to.len(), |words| {
            words.iter().zip(&mut to).for_each(|(word, to)| *to = word.load().to_le_bytes());
        });
        out.truncate(start + bytes);
    }

    /// Appends as many words as follow each other from `place` on to `out`.
    #[inline]
    pub(super) fn append_words(&self, place: Place, words: usize, out: &mut Vec<[u8; WORD_BYTES]>) {
        out.reserve(words);
        self.for_stretches(place, words, |words| out.extend(words.iter().map(|word| word.load().to_le_bytes())));
    }

    /// So many words from `place` on, line by line. Lines are looked up chunk by chunk.
    #[inline(always)]
    fn for_stretches(&self, place: Place, words: usize, mut each: impl FnMut(&[Word])) {
        let (mut line, mut first, mut left) = (place.line(), place.0 as usize % LINE_WORDS, words);
        while left > 0 {
            let lines = &self.chunk(line >> self.chunk_lines_log2)[line & ((1 << self.chunk_lines_log2) - 1)..];
            for words in lines {
                let here = &words.0[first..LINE_WORDS.min(first + left)];
                each(here);
                (line, first, left) = (line + 1, 0, left - here.len());
                if left == 0 {
                    return;
                }
            }
        }
    }

    /// Writes bytes from `place` on, the last word filled up with zeros. Nobody reads there.
    pub(super) fn write(&self, place: Place, bytes: &[u8]) {
        let (whole, rest) = bytes.as_chunks::<WORD_BYTES>();
        let mut at = place;
        for bytes in whole {
            self.word(at).store(u64::from_le_bytes(*bytes));
            at.0 += 1;
        }
        if !rest.is_empty() {
            let mut last = [0; WORD_BYTES];
            last[..rest.len()].copy_from_slice(rest);
            self.word(at).store(u64::from_le_bytes(last));
        }
    }

    #[inline]
    fn chunk(&self, chunk: usize) -> &[Line] {
        self.chunks[chunk].get().expect("a chunk is made before anything in it has a place")
    }
}

pub(super) const WORD_BYTES: usize = size_of::<u64>();
pub(super) const LINE_WORDS: usize = 8;
pub(super) const LINE_BYTES: usize = LINE_WORDS * WORD_BYTES;

/// Few enough that their list stays in a core's cache, and many enough that half a chunk is little.
const CHUNKS_WANTED: usize = 1024;

const _: () = assert!(size_of::<Line>() == LINE_BYTES);

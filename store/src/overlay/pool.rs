//! Which chunks are free. Entries take them from below, indexes from above and several in a row.

use super::memory::Memory;

/// The writer's list of chunks.
#[derive(Debug)]
pub(super) struct Pool {
    is_free: Vec<bool>,
    free: usize,
    /// Below it none is free.
    lowest: usize,
}

impl Pool {
    pub(super) fn new(memory: &Memory) -> Self {
        Self { is_free: vec![true; memory.chunks()], free: memory.chunks(), lowest: 0 }
    }

    pub(super) fn free(&self) -> usize {
        self.free
    }

    /// The lowest `count` free chunks that follow each other.
    pub(super) fn take(&mut self, memory: &Memory, count: usize) -> Option<usize> {
        let first = (self.lowest..(self.is_free.len() + 1).saturating_sub(count))
            .find(|&first| self.is_free[first..first + count].iter().all(|&is_free| is_free))?;
        if count == 1 {
            self.lowest = first + 1;
        }
        self.claim(memory, first, count);
        Some(first)
    }

    /// The highest.
    pub(super) fn take_high(&mut self, memory: &Memory, count: usize) -> Option<usize> {
        let first = (0..(self.is_free.len() + 1).saturating_sub(count))
            .rev()
            .find(|&first| self.is_free[first..first + count].iter().all(|&is_free| is_free))?;
        self.claim(memory, first, count);
        Some(first)
    }

    pub(super) fn give_back(&mut self, chunk: usize) {
        debug_assert!(!self.is_free[chunk], "a chunk is given back once");
        self.is_free[chunk] = true;
        self.free += 1;
        self.lowest = self.lowest.min(chunk);
    }

    fn claim(&mut self, memory: &Memory, first: usize, count: usize) {
        for chunk in first..first + count {
            memory.reserve(chunk);
            self.is_free[chunk] = false;
        }
        self.free -= count;
    }
}

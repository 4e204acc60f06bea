//! Where the entries of one ring lie: arithmetic on offsets, without the bytes.
//!
//! ```text
//!           oldest    next                    next   oldest  seam
//!  | free   | entries | free |   or   | newer | free | older | too short |
//! ```
//!
//! An entry never straddles the end: one that does not fit before it starts at the beginning, and what is left over behind
//! the seam stays empty until the oldest has passed it.

/// One ring. Entries are appended, and released from the oldest on.
#[derive(Debug)]
pub(super) struct Ring {
    /// Where the ring begins in the arena; everything below counts from there.
    base: usize,
    bytes: usize,
    entries_max: usize,
    oldest: usize,
    next: usize,
    /// Behind the last entry before the end, if `wrapped`.
    seam: usize,
    /// Whether the newest entries lie before the oldest. Tells a full ring from an empty one.
    wrapped: bool,
    entries: usize,
    used: usize,
}

impl Ring {
    /// A ring of `bytes` bytes of the arena that holds `entries_max` entries at most.
    pub(super) fn new(base: usize, bytes: usize, entries_max: usize) -> Self {
        Self { base, bytes, entries_max, oldest: 0, next: 0, seam: 0, wrapped: false, entries: 0, used: 0 }
    }

    pub(super) fn entries(&self) -> usize {
        self.entries
    }

    /// Bytes of all entries.
    pub(super) fn used(&self) -> usize {
        self.used
    }

    /// Where a new entry of that many bytes lies from now on; `None` if there is no room for it.
    pub(super) fn reserve(&mut self, bytes: usize) -> Option<usize> {
        if self.entries == self.entries_max {
            return None;
        }
        let at = match self.wrapped {
            true if self.oldest - self.next >= bytes => self.next,
            false if self.bytes - self.next >= bytes => self.next,
            false if self.oldest >= bytes => {
                (self.seam, self.wrapped) = (self.next, true);
                0
            }
            _ => return None,
        };
        self.next = at + bytes;
        self.entries += 1;
        self.used += bytes;
        Some(self.base + at)
    }

    pub(super) fn oldest(&self) -> Option<usize> {
        (self.entries > 0).then_some(self.base + self.oldest)
    }

    /// Gives back the oldest entry, which has that many bytes.
    pub(super) fn release_oldest(&mut self, bytes: usize) {
        self.entries -= 1;
        self.used -= bytes;
        self.oldest += bytes;
        if self.entries == 0 {
            (self.oldest, self.next, self.wrapped) = (0, 0, false);
        } else if self.wrapped && self.oldest == self.seam {
            (self.oldest, self.wrapped) = (0, false);
        }
    }
}

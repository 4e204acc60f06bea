//! Deadlines of one core: a hierarchical timing wheel. It is handed the time, never reads it, and wakes nobody; its owner asks
//! [`Deadlines::next_ns`] when to come back.
//!
//! ```text
//!   level 0   64 slots of     8.2 µs   the ticks around now
//!   level 1   64 slots of   524   µs
//!   level 2   64 slots of    33.6 ms
//!   level 3   64 slots of     2.1 s
//!   …                                  nine levels hold every moment of 64 bits, so nothing is beyond the horizon
//! ```
//!
//! A deadline stands at the level of the highest digit (base 64) in which its tick differs from the present one, so everything
//! at a level is earlier than everything at the next, and within a level slots are in order: the earliest slot is two
//! find-first-set instructions away. When time enters a slot its deadlines move down, each at most once per level.
//!
//! A slot also remembers the earliest tick that was armed in it. So moving down needs no wake-up of its own: it happens when the
//! earliest deadline of the slot is due. Only cancelling that one leaves a wake-up for nothing, and that wake-up renews it.
//!
//! Entries live in one slab, linked into their slot by index, so that arming and cancelling neither search nor allocate (but
//! for the slab's growth).

#[cfg(test)]
mod tests;

/// What [`Deadlines::arm`] gives: it finds its deadline until that was fired or cancelled, and nothing afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handle {
    index: u32,
    generation: u32,
}

/// Moments in the future, each with a value to be handed back then.
#[derive(Debug)]
pub struct Deadlines<T> {
    entries: Vec<Entry<T>>,
    /// The first unused entry; the others follow by `next`.
    free: u32,
    armed: usize,
    /// One per slot of each level, then the one of what was due when it was armed.
    lists: Vec<List>,
    /// For each level, a bit for each slot that holds something.
    occupied: [u64; LEVELS as usize],
    /// A bit for each level that holds something.
    levels: u32,
    /// The time of the last `expire`.
    now_ns: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at_ns: u64,
    value: T,
    next: u32,
    previous: u32,
    /// Changes when the entry is vacated. A name would find a later use of its entry after 2³² of them.
    generation: u32,
    list: u32,
}

#[derive(Debug, Clone, Copy)]
struct List {
    /// No entry of the list is due before this tick.
    earliest: u64,
    first: u32,
}

impl<T: Copy> Deadlines<T> {
    pub fn new(now_ns: u64) -> Self {
        Self {
            entries: Vec::new(),
            free: NONE,
            armed: 0,
            lists: vec![List { earliest: 0, first: NONE }; DUE as usize + 1],
            occupied: [0; LEVELS as usize],
            levels: 0,
            now_ns,
        }
    }

    /// Hands `value` back at the first `expire` at or after `at_ns`; if that is over, at the next.
    pub fn arm(&mut self, at_ns: u64, value: T) -> Handle {
        let index = if self.free == NONE {
            let index = u32::try_from(self.entries.len()).expect("entries are counted in 32 bits");
            self.entries.push(Entry { at_ns, value, next: NONE, previous: NONE, generation: 0, list: 0 });
            index
        } else {
            let index = self.free;
            let entry = &mut self.entries[index as usize];
            self.free = entry.next;
            (entry.at_ns, entry.value) = (at_ns, value);
            index
        };
        self.armed += 1;
        self.place(index);
        Handle { index, generation: self.entries[index as usize].generation }
    }

    /// The value, if it has not been handed back yet; it never will be.
    pub fn cancel(&mut self, handle: Handle) -> Option<T> {
        let entry = self.entries.get(handle.index as usize)?;
        if entry.generation != handle.generation {
            return None;
        }
        let (value, next, previous, list) = (entry.value, entry.next, entry.previous, entry.list);
        if next != NONE {
            self.entries[next as usize].previous = previous;
        }
        if previous == NONE {
            self.lists[list as usize].first = next;
            if next == NONE {
                self.unmark(list);
            }
        } else {
            self.entries[previous as usize].next = next;
        }
        self.vacate(handle.index);
        Some(value)
    }

    /// When `expire` has something to do next: at most one tick after the earliest deadline. Earlier than the earliest
    /// deadline only if one before it was cancelled; calling `expire` then makes it later.
    pub fn next_ns(&self) -> Option<u64> {
        if self.lists[DUE as usize].first != NONE {
            return Some(self.now_ns);
        }
        // The last nanosecond of the tick: all its deadlines are due, and one wake-up serves them all.
        let (_, list) = self.earliest()?;
        Some((self.lists[list as usize].earliest << TICK_BITS) | (TICK_NS - 1))
    }

    /// Moves the values of all deadlines up to and including `now_ns` to `out`, in no particular order. A clock that goes back
    /// changes nothing.
    pub fn expire(&mut self, now_ns: u64, out: &mut Vec<T>) {
        let mut due = std::mem::replace(&mut self.lists[DUE as usize].first, NONE);
        while due != NONE {
            due = self.fire(due, out);
        }
        if now_ns <= self.now_ns {
            return;
        }
        let target = now_ns >> TICK_BITS;
        while let Some((level, list)) = self.earliest() {
            let within = (1 << (SLOT_BITS * (level + 1))) - 1; // the ticks of the whole level
            let slot = u64::from(list % SLOTS);
            let first_tick = ((self.now_ns >> TICK_BITS) & !within) | (slot << (SLOT_BITS * level));
            if first_tick > target {
                break;
            }
            // Time enters the slot, and leaves it at once if it is further on than the slot reaches.
            let last_tick = first_tick | (within >> SLOT_BITS);
            self.now_ns = if target <= last_tick { now_ns } else { (last_tick << TICK_BITS) | (TICK_NS - 1) };
            let mut index = std::mem::replace(&mut self.lists[list as usize].first, NONE);
            self.unmark(list);
            while index != NONE {
                if self.entries[index as usize].at_ns <= now_ns {
                    index = self.fire(index, out);
                } else {
                    let next = self.entries[index as usize].next;
                    self.place(index);
                    index = next;
                }
            }
            if self.now_ns == now_ns {
                break; // what is left of this slot, and all that follows, is later
            }
        }
        self.now_ns = now_ns;
    }

    /// How many are armed.
    pub fn len(&self) -> usize {
        self.armed
    }

    pub fn is_empty(&self) -> bool {
        self.armed == 0
    }

    /// The level and the list of the slot that holds the earliest deadline.
    fn earliest(&self) -> Option<(u32, u32)> {
        let level = self.levels.trailing_zeros();
        let slot = self.occupied.get(level as usize)?.trailing_zeros();
        Some((level, level * SLOTS + slot))
    }

    /// Links an entry where it belongs as seen from the present.
    fn place(&mut self, index: u32) {
        let at_ns = self.entries[index as usize].at_ns;
        let tick = at_ns >> TICK_BITS;
        let list = if at_ns <= self.now_ns {
            DUE
        } else {
            let differs = tick ^ (self.now_ns >> TICK_BITS);
            let level = (differs | 1).ilog2() / SLOT_BITS;
            let slot = low_bits(tick >> (SLOT_BITS * level));
            self.occupied[level as usize] |= 1 << slot;
            self.levels |= 1 << level;
            level * SLOTS + slot
        };
        let head = &mut self.lists[list as usize];
        let next = std::mem::replace(&mut head.first, index);
        if next == NONE {
            head.earliest = tick;
        } else {
            head.earliest = head.earliest.min(tick);
            self.entries[next as usize].previous = index;
        }
        let entry = &mut self.entries[index as usize];
        (entry.next, entry.previous, entry.list) = (next, NONE, list);
    }

    /// The list became empty.
    fn unmark(&mut self, list: u32) {
        if list == DUE {
            return;
        }
        let (level, slot) = (list / SLOTS, list % SLOTS);
        let occupied = &mut self.occupied[level as usize];
        *occupied &= !(1 << slot);
        if *occupied == 0 {
            self.levels &= !(1 << level);
        }
    }

    /// Hands back an entry of a list that was taken off; returns the one behind it.
    fn fire(&mut self, index: u32, out: &mut Vec<T>) -> u32 {
        let entry = &self.entries[index as usize];
        let next = entry.next;
        out.push(entry.value);
        self.vacate(index);
        next
    }

    fn vacate(&mut self, index: u32) {
        let entry = &mut self.entries[index as usize];
        entry.generation = entry.generation.wrapping_add(1);
        entry.next = std::mem::replace(&mut self.free, index);
        self.armed -= 1;
    }
}

#[expect(clippy::cast_possible_truncation, reason = "six bits are left")]
fn low_bits(digits: u64) -> u32 {
    (digits % u64::from(SLOTS)) as u32
}

/// The finest tick, 8.2 µs: deadlines within one are served by one wake-up, and it is what they may be late for that.
pub const TICK_NS: u64 = 1 << TICK_BITS;
const TICK_BITS: u32 = 13;

/// Slots of a level: the bits of the word that says which of them hold something.
const SLOTS: u32 = 1 << SLOT_BITS;
const SLOT_BITS: u32 = 6;

/// As many levels as make up 64 bits.
const LEVELS: u32 = (u64::BITS - TICK_BITS).div_ceil(SLOT_BITS);

/// The list of what was due when it was armed.
const DUE: u32 = LEVELS * SLOTS;

/// No entry.
const NONE: u32 = u32::MAX;

const _: () = assert!(SLOTS == u64::BITS, "a word has a bit for each slot");
const _: () = assert!(SLOT_BITS * LEVELS < u64::BITS, "shifts by whole levels stay within a word");

//! From the hash of an id to the entries that may have it.
//!
//! A line of 64 bytes has 12 slots: a tag of one byte, and where the entry lies. What finds its line full goes on to the next,
//! and each line counts who passed it. So a lookup reads on only where somebody did, removing leaves no tombstone, and
//! lookups after a million replacements cost what they cost at first.

use super::arena::ALIGNMENT;

/// One line of the index.
pub(super) const LINE_BYTES: usize = size_of::<Line>();

/// Slots in lines; knows no ids, so whoever looks for one compares it at the places offered.
pub(super) struct Index {
    lines: Box<[Line]>,
}

/// One line, as numbers:
///
/// ```text
///  0      3                              15
///  | tags | places                       | passed |
/// ```
/// A byte of tag per slot, never 0 in a filled one. Places are in units of [`ALIGNMENT`], plus one; 0 is empty. `passed` are
/// entries that would be in this line or an earlier one and are in a later one.
///
/// A plain array, of which many zeros are memory that nobody has touched yet: a cache that is never used takes none. An
/// allocation of this size starts at a page, and so each line at a cache line.
type Line = [u32; WORDS];

impl Index {
    pub(super) fn new(lines: usize) -> Self {
        assert!(u32::try_from(lines).is_ok(), "32 bits of the hash choose the line");
        Self { lines: vec![[0; WORDS]; lines].into_boxed_slice() }
    }

    pub(super) fn bytes(&self) -> usize {
        self.lines.len() * LINE_BYTES
    }

    /// How many entries there may be before lookups become long: 3 of 4 slots.
    pub(super) fn entries_max(&self) -> usize {
        self.lines.len() * (SLOTS / 4 * 3)
    }

    /// The first place of an entry with this hash that `is_it` confirms.
    #[inline]
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        for at in self.path(hash) {
            let line = &self.lines[at];
            let mut matches = matches_of(line, tag(hash));
            while matches != 0 {
                let place = unpack(line[PLACES + matches.trailing_zeros() as usize]);
                if is_it(place) {
                    return Some(place);
                }
                matches &= matches - 1;
            }
            if line[PASSED] == 0 {
                return None;
            }
        }
        None
    }

    /// Whether [`Index::add`] would find a slot.
    pub(super) fn has_room(&self, hash: u64) -> bool {
        self.path(hash).any(|at| free_slot(&self.lines[at]).is_some())
    }

    /// Adds an entry. There must be room for it.
    pub(super) fn add(&mut self, hash: u64, place: usize) {
        for at in self.path(hash) {
            let line = &mut self.lines[at];
            if let Some(slot) = free_slot(line) {
                set_tag(line, slot, tag(hash));
                line[PLACES + slot] = pack(place);
                return;
            }
            line[PASSED] += 1;
        }
        unreachable!("whoever adds an entry asks for room first");
    }

    /// Removes the entry at `place`, which must be there.
    pub(super) fn remove(&mut self, hash: u64, place: usize) {
        for at in self.path(hash) {
            let line = &mut self.lines[at];
            if let Some(slot) = slot_of(line, pack(place)) {
                set_tag(line, slot, 0);
                line[PLACES + slot] = 0;
                return;
            }
            line[PASSED] -= 1;
        }
        unreachable!("whatever lies in a ring is in the index");
    }

    /// Tells that the entry at `from` lies at `to` now.
    pub(super) fn move_to(&mut self, hash: u64, from: usize, to: usize) {
        for at in self.path(hash) {
            let line = &mut self.lines[at];
            if let Some(slot) = slot_of(line, pack(from)) {
                line[PLACES + slot] = pack(to);
                return;
            }
        }
        unreachable!("whatever lies in a ring is in the index");
    }

    /// Whether no trace is left of any entry.
    #[cfg(test)]
    pub(super) fn is_as_new(&self) -> bool {
        self.lines.iter().all(|line| *line == [0; WORDS])
    }

    /// The lines in which an entry with this hash may be, in the order in which they are tried.
    #[inline]
    fn path(&self, hash: u64) -> impl Iterator<Item = usize> + use<> {
        let lines = self.lines.len();
        // The upper half of the hash as a fraction of all lines; the tag is of the lower half.
        let home = (((hash >> 32) * lines as u64) >> 32) as usize;
        (0..LINES_TRIED_MAX.min(lines)).map(move |step| {
            let at = home + step;
            if at < lines { at } else { at - lines }
        })
    }
}

/// The slots with this tag, one bit each.
#[inline]
fn matches_of(line: &Line, tag: u8) -> u32 {
    let mut matches = 0;
    // No early exit: see `format::bucket::find`.
    for (word, of_four) in line.iter().take(PLACES).enumerate() {
        for (byte, of_slot) in of_four.to_le_bytes().into_iter().enumerate() {
            matches |= u32::from(of_slot == tag) << (word * 4 + byte);
        }
    }
    matches
}

fn free_slot(line: &Line) -> Option<usize> {
    slot_of(line, 0)
}

fn slot_of(line: &Line, packed: u32) -> Option<usize> {
    line[PLACES..PASSED].iter().position(|&place| place == packed)
}

fn set_tag(line: &mut Line, slot: usize, tag: u8) {
    let shift = slot % 4 * 8;
    let of_four = &mut line[slot / 4];
    *of_four = *of_four & !(0xff << shift) | u32::from(tag) << shift;
}

#[inline]
fn tag(hash: u64) -> u8 {
    hash.to_le_bytes()[0].max(1)
}

#[inline]
fn pack(place: usize) -> u32 {
    u32::try_from(place / ALIGNMENT + 1).expect("CACHE_BYTES_MAX bounds the arena")
}

#[inline]
fn unpack(place: u32) -> usize {
    (place as usize - 1) * ALIGNMENT
}

const SLOTS: usize = 12;

/// Where places begin: behind a byte of tag per slot.
const PLACES: usize = SLOTS / 4;

const PASSED: usize = PLACES + SLOTS;

const WORDS: usize = PASSED + 1;

/// How far from its own line an entry may lie. With 3 of 4 slots filled, 8 of 10,000 find all of
/// these lines full (with 7 of 8 it would be 3 of 100).
const LINES_TRIED_MAX: usize = 8;

const _: () = assert!(LINE_BYTES == 64);

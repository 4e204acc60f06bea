//! A bucket: one cache line of ten tags and the ten rows they stand for.
//!
//! ```text
//!  0        20                            60    64
//!  | 10 u16 | 10 u32                      | u32  |
//!  | tags   | row starts, 0: empty        | mark |
//! ```
//!
//! The mark is never zero. When a file is cut under its mapping, the rest of its last page reads as zeros without any fault,
//! and zeros would read as an empty bucket; a line without its mark is no line.

use super::bytes::u32_at;

/// One bucket: a cache line.
pub(crate) const BUCKET_BYTES: usize = 64;

/// Rows in one bucket, at most.
pub(crate) const SLOTS: usize = 10;

/// Where the row with this tag starts, in units of [`crate::limits::ROW_ALIGNMENT`]; 0 if there is none. `None`: this is no
/// bucket any more.
///
/// Tags of one bucket differ and filled slots come first, so the first match is the only one that can count.
#[inline]
pub(crate) fn find(line: &[u8; BUCKET_BYTES], tag: u16) -> Option<u32> {
    let mut matches = 0_u32;
    // No early exit: ten comparisons side by side are cheaper than one branch that cannot be predicted.
    for (slot, bytes) in line.as_chunks::<2>().0.iter().take(SLOTS).enumerate() {
        matches |= u32::from(u16::from_le_bytes(*bytes) == tag) << slot;
    }
    let start = match matches {
        0 => 0,
        _ => u32_at(line, STARTS_AT + 4 * matches.trailing_zeros() as usize)?,
    };
    // Last, since a cut takes the end of the line first: what was read before it was still there.
    (u32_at(line, MARK_AT)? == MARK).then_some(start)
}

/// Builds one bucket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BucketLine {
    tags: [u16; SLOTS],
    starts: [u32; SLOTS],
    filled: usize,
}

impl BucketLine {
    pub(crate) const EMPTY: Self = Self { tags: [0; SLOTS], starts: [0; SLOTS], filled: 0 };

    /// Fills the next slot; false if all are.
    pub(crate) fn add(&mut self, tag: u16, start: u32) -> bool {
        let (Some(tag_slot), Some(start_slot)) = (self.tags.get_mut(self.filled), self.starts.get_mut(self.filled))
        else {
            return false;
        };
        *tag_slot = tag;
        *start_slot = start;
        self.filled += 1;
        true
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        for tag in self.tags {
            out.extend_from_slice(&tag.to_le_bytes());
        }
        for start in self.starts {
            out.extend_from_slice(&start.to_le_bytes());
        }
        out.extend_from_slice(&MARK.to_le_bytes());
    }
}

/// The line at `at`, if it is there.
#[inline]
pub(crate) fn line_at(bytes: &[u8], at: usize) -> Option<&[u8; BUCKET_BYTES]> {
    bytes.get(at..)?.first_chunk()
}

const STARTS_AT: usize = 2 * SLOTS;

const MARK_AT: usize = STARTS_AT + 4 * SLOTS;

/// "line".
const MARK: u32 = u32::from_le_bytes(*b"line");

const _: () = assert!(MARK_AT + 4 == BUCKET_BYTES);

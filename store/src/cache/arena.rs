//! The entries' bytes: each a header and a row, at a multiple of 8.
//!
//! ```text
//!  0         8       12       16
//!  | segment | key   | length | row … | padding
//!                      uses in the upper two bits
//! ```

use super::RowId;
use crate::limits::CACHED_ROW_BYTES_MAX;

/// Entries start at multiples of this.
pub(super) const ALIGNMENT: usize = 8;

/// Uses of an entry are counted up to here.
pub(super) const USES_MAX: u32 = 3;

/// What an entry with a row of this length takes.
#[inline]
pub(super) fn entry_bytes(row_bytes: usize) -> usize {
    (HEADER_BYTES + row_bytes).next_multiple_of(ALIGNMENT)
}

/// An entry's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: RowId,
    pub(super) row_bytes: u32,
    /// Since it was inserted, or since it last came round.
    pub(super) uses: u32,
}

impl Entry {
    /// What it takes in its ring.
    pub(super) fn bytes(&self) -> usize {
        entry_bytes(self.row_bytes as usize)
    }
}

/// Where all entries lie. Knows how to read and write one, not where there is one.
pub(super) struct Arena {
    bytes: Box<[u8]>,
}

impl Arena {
    pub(super) fn new(bytes: usize) -> Self {
        Self { bytes: vec![0; bytes].into_boxed_slice() }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    #[inline]
    pub(super) fn id(&self, at: usize) -> RowId {
        id(self.header(at))
    }

    #[inline]
    pub(super) fn entry(&self, at: usize) -> Entry {
        let header = self.header(at);
        let counted = counted(header);
        Entry { id: id(header), row_bytes: counted & LENGTH, uses: counted >> LENGTH_BITS }
    }

    #[inline]
    pub(super) fn row(&self, at: usize, row_bytes: usize) -> &[u8] {
        &self.bytes[at + HEADER_BYTES..][..row_bytes]
    }

    /// Counts a use. The length of the row.
    #[inline]
    pub(super) fn mark_used(&mut self, at: usize) -> usize {
        let counted = counted(self.header(at));
        // What is used most is only read: its line need not be written back for every use.
        if counted >> LENGTH_BITS < USES_MAX {
            self.bytes[at + COUNTED_AT..][..4].copy_from_slice(&(counted + (1 << LENGTH_BITS)).to_le_bytes());
        }
        (counted & LENGTH) as usize
    }

    /// A new entry, not used yet.
    pub(super) fn write(&mut self, at: usize, id: RowId, row: &[u8]) {
        let row_bytes = u32::try_from(row.len()).expect("rows of the cache are short");
        self.write_header(at, Entry { id, row_bytes, uses: 0 });
        self.bytes[at + HEADER_BYTES..][..row.len()].copy_from_slice(row);
    }

    /// Moves an entry, perhaps onto a part of itself; `entry` becomes its header.
    pub(super) fn carry(&mut self, from: usize, to: usize, entry: Entry) {
        self.bytes.copy_within(from..from + entry.bytes(), to);
        self.write_header(to, entry);
    }

    fn write_header(&mut self, at: usize, entry: Entry) {
        let header = &mut self.bytes[at..][..HEADER_BYTES];
        header[..8].copy_from_slice(&entry.id.segment.to_le_bytes());
        header[8..COUNTED_AT].copy_from_slice(&entry.id.key.to_le_bytes());
        header[COUNTED_AT..].copy_from_slice(&(entry.row_bytes | entry.uses << LENGTH_BITS).to_le_bytes());
    }

    #[inline]
    fn header(&self, at: usize) -> &[u8; HEADER_BYTES] {
        self.bytes[at..].first_chunk().expect("entries lie within the arena")
    }
}

#[inline]
fn id(header: &[u8; HEADER_BYTES]) -> RowId {
    let [s0, s1, s2, s3, s4, s5, s6, s7, a, b, c, d, ..] = *header;
    RowId { segment: u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]), key: u32::from_le_bytes([a, b, c, d]) }
}

#[inline]
fn counted(header: &[u8; HEADER_BYTES]) -> u32 {
    let [.., a, b, c, d] = *header;
    u32::from_le_bytes([a, b, c, d])
}

const HEADER_BYTES: usize = 16;
const COUNTED_AT: usize = 12;
const LENGTH_BITS: u32 = 30;
const LENGTH: u32 = (1 << LENGTH_BITS) - 1;

const _: () = assert!(CACHED_ROW_BYTES_MAX <= LENGTH as usize);
const _: () = assert!(HEADER_BYTES.is_multiple_of(ALIGNMENT));
const _: () = assert!(USES_MAX == u32::MAX >> LENGTH_BITS);

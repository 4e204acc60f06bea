//! Checksums: one per block, seeded with whose block it is, so that a block of another segment, or another block of this
//! one, does not pass for it. XXH3-64 tells accidents, not adversaries.

use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

use super::header::ROOT_AT;
use crate::limits::BLOCK_BYTES;

/// The checksum of the `block`th block of the segment `id`.
pub(crate) fn block_checksum(id: u64, block: u64, bytes: &[u8]) -> u64 {
    debug_assert_eq!(bytes.len(), BLOCK_BYTES);
    xxh3_64_with_seed(bytes, id.wrapping_add(block))
}

/// Ties the header's fields and, through the second level of checksums, everything else to one number.
pub(crate) fn root(header: &[u8], level2: &[u8]) -> u64 {
    let mut hash = Xxh3::with_seed(ROOT_SEED);
    hash.update(header.get(..ROOT_AT).unwrap_or_default());
    hash.update(level2);
    hash.digest()
}

/// The checksum at the end of the header page, of all that is before it.
pub(crate) fn header_checksum(bytes: &[u8]) -> u64 {
    xxh3_64_with_seed(bytes, HEADER_SEED)
}

// Apart from each other, so that no checksum can stand where another belongs.
const ROOT_SEED: u64 = 0x746f_6f72_7465_6e67;
const HEADER_SEED: u64 = 0x6461_6568_7465_6e67;

//! Where a hash belongs: partition, group, bucket and tag.
//!
//! Partition and group come from the hash's magnitude, so rows in ascending hash order fill groups in ascending order. The
//! bucket comes from a mix of all bits with a seed of the group's own, and the tag is the hash's lowest 16 bits.

use crate::limits::BLOCK_BYTES;

/// Scales a hash to `0..count`, keeping order.
#[inline]
fn scale(hash: u64, count: u64) -> usize {
    // The product of two 64-bit numbers has 128 bits; its upper half is below `count`.
    usize::try_from((u128::from(hash) * u128::from(count)) >> 64).unwrap_or(usize::MAX)
}

/// Which of `partitions` holds this hash.
#[inline]
pub(crate) fn partition(hash: u64, partitions: u32) -> usize {
    scale(hash, u64::from(partitions))
}

/// Which of `groups` holds this hash, within its partition.
#[inline]
pub(crate) fn group(hash: u64, partitions: u32, groups: u64) -> usize {
    // What `partition` left over: how far into its partition the hash is, over the whole 64-bit range.
    scale(hash.wrapping_mul(u64::from(partitions)), groups)
}

/// Which bucket of its group holds this hash, under the group's seed.
#[inline]
pub(crate) fn bucket(hash: u64, seed: u16) -> usize {
    // Hashes of one group share their upper bits and differ below, so both multiplications are needed to spread them.
    let mixed = (hash ^ u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    ((mixed ^ (mixed >> 32)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 58) as usize
}

/// What a bucket remembers of this hash.
#[inline]
pub(crate) fn tag(hash: u64) -> u16 {
    (hash & 0xffff) as u16
}

/// Buckets of one group.
pub(crate) const BUCKETS: usize = 64;

/// Rows that the index is laid out for, per group: six per bucket.
pub(crate) const GROUP_ROWS: u64 = 6 * BUCKETS as u64;

const _: () = assert!(BUCKETS * super::bucket::BUCKET_BYTES == BLOCK_BYTES, "a group is a block");

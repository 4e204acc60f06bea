//! Every bound on aggregations, with its reason.

use gannet_store::limits::{KEY_BYTES_MAX, ROW_BYTES_MAX};

/// How many values `last(n)` and its kin keep. The reference's bound.
pub const LIST_LENGTH_MAX: u16 = 1000;

/// Registers of `approx_count_distinct`, as a power of two. The reference's bounds: from a standard error of 26 % in 16 bytes to one of
/// 0.4 % in 64 KiB a tile.
pub const DISTINCT_PRECISION_MIN: u8 = 4;
pub const DISTINCT_PRECISION_MAX: u8 = 16;
pub const DISTINCT_PRECISION_DEFAULT: u8 = 8;

/// Compression of `approx_percentile`: a tile keeps about twice as many centroids of 16 bytes at most. The reference's bounds.
pub const PERCENTILE_PRECISION_MIN: u16 = 20;
pub const PERCENTILE_PRECISION_MAX: u16 = 500;
pub const PERCENTILE_PRECISION_DEFAULT: u16 = 100;

/// Values that one digest says it holds, at most. More than any key has in a tile, and so few that those of all tiles of a row add up
/// in 64 bits, whatever the bytes say.
pub const DIGEST_WEIGHT_MAX: u64 = 1 << 40;

/// Aggregations of one view: each is a feature, and folds the tiles once.
pub const AGGREGATIONS_MAX: usize = 1024;

/// The longest window, interval or offset, in days: a hundred years. More is a slip of the unit, and a lifetime window means for ever.
pub const WINDOW_DAYS_MAX: i64 = 36_500;

/// How long tiles are kept beyond the longest window, in days, so that what is late, or a window asked for by an older clock, finds them. The
/// reference's rule.
pub const RETENTION_MARGIN_DAYS: i64 = 7;

/// Bytes of a key's tiles: with the longest key, a head of 3 bytes, the event time, a byte of null bits and the end of its one column (4)
/// they are a row of the store, and some are left.
pub const TILES_BYTES_MAX: usize = ROW_BYTES_MAX - KEY_BYTES_MAX - 64;

/// Rows of one key that are folded together: of the batch and of the stream, and of what is being written between them.
pub const ROWS_FOLDED_MAX: usize = 64;

const _: () =
    assert!(1usize << DISTINCT_PRECISION_MAX <= ROW_BYTES_MAX / 8, "some tiles of the finest sketch fit a row");
const _: () = assert!(
    (ROW_BYTES_MAX as u64 / 8 * ROWS_FOLDED_MAX as u64).checked_mul(DIGEST_WEIGHT_MAX).is_some(),
    "the weights of all digests that rows can hold add up in 64 bits"
);
const _: () = assert!(
    WINDOW_DAYS_MAX < i64::MAX / 86_400_000_000 / 4,
    "windows, offsets and margins add up in an i64 of microseconds"
);

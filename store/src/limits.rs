//! Every bound of this crate, with its reason.

/// Longest encoded key. Longer keys are refused when building, and are simply absent when asked for.
pub const KEY_BYTES_MAX: usize = 1024;

/// Longest encoded row: 256 blocks. A longer one would make one key's answer cost more than a whole request may.
pub const ROW_BYTES_MAX: usize = 1 << 20;

/// What checksums cover one by one, and what one group of the index fills: a page.
pub const BLOCK_BYTES: usize = 4096;

/// Rows up to this size never cross a block, so that reading one verifies and faults one block at most. Padding costs at
/// most this much per block (an eighth), and about half a row on average.
pub const ROW_BYTES_IN_BLOCK: usize = 512;

/// Rows start at multiples of this, so that 32 bits address 16 GiB.
pub const ROW_ALIGNMENT: usize = 4;

/// How far into a file a row may start: 32 bits of [`ROW_ALIGNMENT`].
pub const ROWS_END_MAX: u64 = (u32::MAX as u64) * (ROW_ALIGNMENT as u64);

/// Arrays, structs and maps in each other, at most: the readers of types recurse.
pub const TYPE_DEPTH_MAX: usize = 32;

/// Types in one schema, nested ones counted, at most: positions are 16 bits.
pub const TYPES_MAX: usize = 1 << 15;

/// Mappings that the SIGBUS handler can know at a time: every segment of every table of two generations. 24 bytes each.
pub const MAPPINGS_MAX: usize = 8192;

/// Index entries that a segment's writer keeps in memory before it spills them beside the segment: 16 MiB.
pub const ENTRIES_BUFFERED_MAX: usize = 1 << 20;

/// How many times the writer enlarges an index that did not come out before it gives up on the table's hash seed. Each time
/// is 3 %, so the last index has 1.6 times the groups of the first. Segments of ten million rows and more sometimes need one
/// or two; a sound hash does not come near the last.
pub const INDEX_ATTEMPTS_MAX: usize = 16;

/// Segments of one table, at most.
pub const PARTITIONS_MAX: u32 = 1 << 16;

/// Largest file below the data directory that is read whole: manifests, definitions, keys. A manifest spends about 150
/// bytes on a segment of up to [`SEGMENT_BYTES_MAX`], so this covers half a petabyte.
pub const SMALL_FILE_BYTES_MAX: u64 = 64 << 20;

/// How large a segment may become by estimate: small enough to copy, verify or quarantine on its own.
pub const SEGMENT_BYTES_MAX: u64 = 1 << 30;

/// How often a build starts over under another hash seed. Two of 100 million keys meet in 64 bits once in 3,700 builds, so
/// needing a fourth seed means that something else is wrong.
pub const RESEEDS_MAX: usize = 3;

/// Longest row that a core's cache takes: one costs as much as a hundred ordinary ones, and displaces them.
pub const CACHED_ROW_BYTES_MAX: usize = 16 << 10;

/// Most memory of one core's cache: its index has 32 bits for a place, in units of 8 bytes.
pub const CACHE_BYTES_MAX: usize = 32 << 30;

/// A segment of the log: at 100 MB/s it lasts a second, and after a crash it is read in less.
pub const LOG_SEGMENT_BYTES: u64 = 64 << 20;

/// Largest segment of the log: 32 bits for a place in it.
pub const LOG_SEGMENT_BYTES_MAX: u64 = 1 << 32;

/// What the log writes and syncs at once, at most: the longest record and a quarter of it. A disk takes ten milliseconds for it.
pub const LOG_BATCH_BYTES: usize = 16 << 20;

/// Longest payload of a record of the log, which is all of a request: 4 MiB of JSON with 10,000 records, whose rows are as long, with
/// their headers and event times, and go to three views.
pub const LOG_PAYLOAD_BYTES_MAX: usize = 12 << 20;

/// Longest name of a source in a token: a topic's name in the logs that are in use.
pub const SOURCE_BYTES_MAX: usize = 249;

/// Pairs of a source and a partition whose position is known, at most: what they take in a manifest is well below what may be
/// read of one.
pub const SOURCE_POSITIONS_MAX: usize = 1 << 15;

/// Segments of the log kept for reuse once they are not needed: one is taken at a time, and one comes back.
pub const LOG_SPARES_MAX: usize = 2;

/// Most memory of an overlay: its indexes have 32 bits for a place, in units of 8 bytes.
pub const OVERLAY_BUDGET_BYTES_MAX: usize = 32 << 30;

/// Least memory of an overlay: two parts of an index and the longest row each, and as much again to grow.
pub const OVERLAY_BUDGET_BYTES_MIN: usize = 64 << 10;

/// What an overlay takes of its budget at a time, at most: with a budget of 1 GiB there are 1,024, whose list is 24 KiB.
pub const OVERLAY_CHUNK_BYTES_MAX: usize = 1 << 20;

/// And at least: the smallest index.
pub const OVERLAY_CHUNK_BYTES_MIN: usize = 4 << 10;

const _: () = assert!(LOG_PAYLOAD_BYTES_MAX >= ROW_BYTES_MAX + KEY_BYTES_MAX);
const _: () = assert!(LOG_BATCH_BYTES > LOG_PAYLOAD_BYTES_MAX);
const _: () = assert!(LOG_BATCH_BYTES as u64 * 4 <= LOG_SEGMENT_BYTES);
const _: () = assert!(
    ((SOURCE_POSITIONS_MAX * (SOURCE_BYTES_MAX * 6 + 64)) as u64) < SMALL_FILE_BYTES_MAX,
    "even if all is escaped"
);
const _: () = assert!(ROW_BYTES_IN_BLOCK * 2 <= BLOCK_BYTES);
const _: () = assert!(KEY_BYTES_MAX << 2 < 1 << 14, "a row's header is one or two bytes");
const _: () = assert!(BLOCK_BYTES.is_multiple_of(ROW_ALIGNMENT));
const _: () = assert!(SMALL_FILE_BYTES_MAX / 150 * SEGMENT_BYTES_MAX > 400 << 40);
const _: () = assert!(SEGMENT_BYTES_MAX * 4 <= ROWS_END_MAX, "an estimate may be wrong, but not by four");

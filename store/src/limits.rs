//! Every bound of this crate, with its reason.

/// Longest encoded key. Longer keys are refused when building, and are simply absent when asked for.
pub const KEY_BYTES_MAX: usize = 1024;

/// Largest file below the data directory that is read whole: manifests, definitions, keys. A manifest spends about 150
/// bytes on a segment of up to [`SEGMENT_BYTES_MAX`], so this covers half a petabyte.
pub const SMALL_FILE_BYTES_MAX: u64 = 64 << 20;

/// How large a segment may become by estimate: small enough to copy, verify or quarantine on its own.
pub const SEGMENT_BYTES_MAX: u64 = 1 << 30;

const _: () = assert!(SMALL_FILE_BYTES_MAX / 150 * SEGMENT_BYTES_MAX > 400 << 40);

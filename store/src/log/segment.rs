//! A file of the log: its name, and its first block.
//!
//! ```text
//!    0  magic "GANNETWL"       24  number             u64    48  checksum of the head before it  u64
//!    8  format version  u32    32  epoch              u32    56  bytes of the file               u64
//!   12  0               u32    36  0                  u32    64  zeros
//!   16  log id          u64    40  sequence of the           4088  checksum of 0..4088           u64
//!                                  first record       u64
//! ```
//! It is written and synced before the file gets its number as a name, so a numbered file has it whole.

use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Sequence;
use crate::{
    error::{Corrupt, Error},
    format::bytes::{u32_at, u64_at},
    limits::BLOCK_BYTES,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) log: u64,
    pub(super) number: u64,
    pub(super) epoch: u32,
    /// Of the first record in it, written or not.
    pub(super) first: Sequence,
    /// The checksum of the head of the record before that.
    pub(super) previous: u64,
    pub(super) bytes: u64,
}

impl SegmentHeader {
    pub(super) fn write(&self, block: &mut [u8]) {
        let mut bytes = Vec::with_capacity(BLOCK_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&u64::from(LOG_VERSION).to_le_bytes());
        bytes.extend_from_slice(&self.log.to_le_bytes());
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(&u64::from(self.epoch).to_le_bytes());
        bytes.extend_from_slice(&self.first.0.to_le_bytes());
        bytes.extend_from_slice(&self.previous.to_le_bytes());
        bytes.extend_from_slice(&self.bytes.to_le_bytes());
        bytes.resize(CHECKSUM_AT, 0);
        let checksum = xxh3_64_with_seed(&bytes, CHECKSUM_SEED);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        block.copy_from_slice(&bytes);
    }

    /// The header of the file with this number, once all holds that can be checked without the rest of the log.
    pub(super) fn read(block: &[u8], number: u64, file: &Path, file_bytes: u64) -> Result<Self, Error> {
        let damaged = |offset: u64, expected: String, found: String| {
            Error::Corrupt(Corrupt { file: file.display().to_string(), offset, expected, found })
        };
        if block.get(..8) != Some(&MAGIC[..]) {
            let found = format!("{:02x?}", block.get(..8).unwrap_or(block));
            return Err(damaged(0, "the mark of a log segment".into(), found));
        }
        let (Some(covered), Some(expected)) = (block.get(..CHECKSUM_AT), u64_at(block, CHECKSUM_AT)) else {
            return Err(damaged(0, "a block".into(), format!("{} bytes", block.len())));
        };
        let found = xxh3_64_with_seed(covered, CHECKSUM_SEED);
        if expected != found {
            return Err(damaged(0, format!("header checksum {expected:016x}"), format!("{found:016x}")));
        }
        let version = u32_at(block, 8).unwrap_or(0);
        if version != LOG_VERSION {
            let file = file.display().to_string();
            return Err(Error::Unsupported { file, what: "log version", found: version, supported: LOG_VERSION });
        }
        let field = |at: usize| u64_at(block, at).unwrap_or(0);
        let header = Self {
            log: field(16),
            number: field(24),
            epoch: u32_at(block, 32).unwrap_or(0),
            first: Sequence(field(40)),
            previous: field(48),
            bytes: field(56),
        };
        if header.number != number {
            return Err(damaged(24, format!("segment {number}"), format!("segment {}", header.number)));
        }
        if header.bytes != file_bytes {
            return Err(damaged(file_bytes, format!("{} bytes", header.bytes), format!("{file_bytes} bytes")));
        }
        Ok(header)
    }
}

/// The file of a segment.
pub(super) fn segment_file(folder: &Path, number: u64) -> PathBuf {
    folder.join(segment_name(number))
}

pub(super) fn segment_name(number: u64) -> String {
    format!("{number:010}{SEGMENT_ENDING}")
}

/// A file of a segment that is no longer needed, kept to become a later one.
pub(super) fn spare_file(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:010}{SPARE_ENDING}"))
}

/// What a file in the log's folder is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    Segment(u64),
    Spare(u64),
    /// Made but not yet whole.
    Unfinished,
    /// Not ours.
    Other,
}

impl Named {
    pub(super) fn of(name: &str) -> Self {
        let number = |ending: &str| {
            let digits = name.strip_suffix(ending)?;
            let canonical = digits.len() >= 10 && digits.bytes().all(|digit| digit.is_ascii_digit());
            canonical.then(|| digits.parse().ok()).flatten()
        };
        match (number(SEGMENT_ENDING), number(SPARE_ENDING)) {
            (Some(number), _) => Self::Segment(number),
            (_, Some(number)) => Self::Spare(number),
            _ if name == UNFINISHED || name == UNFINISHED_AHEAD => Self::Unfinished,
            _ => Self::Other,
        }
    }
}

/// The version of records and files alike. Goes up with any change of bytes.
const LOG_VERSION: u32 = 1;
pub(super) const UNFINISHED: &str = "unfinished";
/// The same, by another thread.
pub(super) const UNFINISHED_AHEAD: &str = "unfinished-ahead";
const SEGMENT_ENDING: &str = ".log";
const SPARE_ENDING: &str = ".spare";
const MAGIC: &[u8; 8] = b"GANNETWL";
const CHECKSUM_SEED: u64 = 0x676f_6c74_656e_6e61;
const CHECKSUM_AT: usize = BLOCK_BYTES - 8;

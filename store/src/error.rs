//! Errors of this crate: one variant per different reaction.

use std::path::PathBuf;

/// Bytes that are not what was written. Reads that meet it answer an error, never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file} is damaged at byte {offset}: expected {expected}, found {found}")]
pub struct Corrupt {
    pub file: String,
    pub offset: u64,
    pub expected: String,
    pub found: String,
}

/// What can go wrong on disk.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// The operating system refused.
    #[error("cannot {op} {}: {source}", file.display())]
    Io { op: &'static str, file: PathBuf, source: std::io::Error },
    /// Sound, but written by another version or another build.
    #[error("{file} has {what} {found}; this binary reads {supported}")]
    Unsupported { file: String, what: &'static str, found: u32, supported: u32 },
    /// Two keys share a hash under this seed, or the index cannot be laid out with it: build again with another seed.
    #[error("the table's hash seed {seed:#018x} does not tell its keys apart; another seed is needed")]
    Reseed { seed: u64 },
    /// Another process is writing to this data directory: wait for it, then try again.
    #[error("{} is held by {holder}, which is writing to this data directory", file.display())]
    Locked { file: PathBuf, holder: String },
    /// The folder was not made by `DataDirectory::create`, or its creation did not end.
    #[error("{} is not a data directory: {reason}", folder.display())]
    NotADataDirectory { folder: PathBuf, reason: String },
}

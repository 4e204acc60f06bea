//! Errors of this crate: one variant per different reaction.

use std::path::{Path, PathBuf};

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
#[expect(clippy::error_impl_error, reason = "the crate has one; others write `store::Error`")]
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
    /// A bound of [`crate::limits`] would be passed.
    #[error("{what} would pass {max}")]
    TooLarge { what: &'static str, max: u64 },
    /// No space is left for what is to be written. Nothing was; it may be tried again when there is.
    #[error("no space for {}: {source}", file.display())]
    Full { file: PathBuf, source: std::io::Error },
    /// A write or sync of the log failed, now or earlier. Nothing is acknowledged until it is opened again; of what was to be written
    /// last, nobody knows.
    #[error("the log takes no writes until it is opened again: {} failed ({reason})", file.display())]
    Poisoned { file: PathBuf, reason: String },
    /// The log's batch has to be committed before more is appended.
    #[error("the log's batch is full")]
    BatchFull,
    /// A flush or compaction was told to stop. What it wrote is gone; it may be done later.
    #[error("it was told to stop")]
    GivenUp,
    /// A row handed over is not one that [`crate::row::RowWriter`] encoded for this schema.
    #[error("the bytes handed over are not a row of this schema")]
    NotARow,
    /// The memory limits of this process do not allow to lock what was asked for.
    #[error("cannot lock {bytes} bytes of {} in memory: {source}; raise RLIMIT_MEMLOCK (ulimit -l, systemd LimitMEMLOCK=)", file.display())]
    Lock { file: PathBuf, bytes: usize, source: std::io::Error },
}

impl Error {
    pub(crate) fn io(op: &'static str, file: &Path, source: std::io::Error) -> Self {
        Self::Io { op, file: file.to_owned(), source }
    }
}

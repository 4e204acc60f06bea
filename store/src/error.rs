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
}

//! Building a table from rows in any order, in bounded memory, on several threads.
//!
//! Each thread owns a [`RowSink`]. A sink sorts what fits its share of memory and spills sorted runs; `finish` merges all
//! runs by hash, keeps the newest event time of each key (equal times: the highest ordinal) and writes segments.

use std::{path::PathBuf, sync::Arc};

use crate::{directory::TableEntry, error::Error, schema::Schema};

/// How to build.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// The data directory; segments and spilled runs go below it.
    pub root: PathBuf,
    /// Names the folder under `segments/`, for example `prod/user_profile`.
    pub table: String,
    /// Bounds the memory of all sinks and of the merge together.
    pub memory_bytes: usize,
    /// Threads that merge.
    pub workers: usize,
}

/// What was built, besides the entry for the manifest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BuildSummary {
    /// Rows pushed.
    pub rows_in: u64,
    /// Rows kept, one per key.
    pub rows_kept: u64,
    /// Encoded keys, event times and values of the kept rows as a user would count them: no padding, no index.
    pub raw_bytes: u64,
    pub disk_bytes: u64,
    pub runs_spilled: u64,
}

/// A table under construction. Dropping it without `finish` removes what it wrote.
#[derive(Debug)]
pub struct TableBuilder {}

/// One thread's way in.
#[derive(Debug)]
pub struct RowSink {}

impl TableBuilder {
    pub fn new(_schema: Arc<Schema>, _options: BuildOptions) -> Result<Self, Error> {
        unimplemented!()
    }

    /// A sink for one thread; memory is shared out among `sinks`.
    pub fn sink(&self) -> RowSink {
        unimplemented!()
    }

    /// Merges and writes segments, synced and under their final names but in no manifest yet.
    /// `progress` is told (rows merged, rows in all) now and then, from any thread.
    pub fn finish(
        self,
        _sinks: Vec<RowSink>,
        _progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<(TableEntry, BuildSummary), Error> {
        unimplemented!()
    }
}

impl RowSink {
    /// Takes one encoded row (see [`crate::row::RowWriter`]). `ordinal` is its position in the input.
    pub fn push(&mut self, _row: &[u8], _ordinal: u64) -> Result<(), Error> {
        unimplemented!()
    }
}

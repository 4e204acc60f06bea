//! A table: one immutable set of rows, hash-partitioned over segments, with staged lookup.
//!
//! The stages exist so that a caller can run each over all keys of all its requests before the next: `hash`, then
//! `prefetch_bucket`, then `probe` (reads the bucket line, touches the row), then `row` (compares the key).

use std::{path::Path, sync::Arc};

use crate::{
    directory::TableEntry,
    error::{Corrupt, Error},
    row::Row,
    schema::Schema,
};

/// A key's hash under a table's seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyHash(pub u64);

/// Where a key's row must be, if the key is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe(u64);

/// How segments are brought into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapOptions {
    pub populate: Populate,
    /// Lock what was populated (mlock2); refused limits are an error that names RLIMIT_MEMLOCK.
    pub lock: bool,
    /// Advise huge pages where the kernel can back the file with them.
    pub huge_pages: bool,
}

/// What is read into memory when a table is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Populate {
    None,
    Index,
    All,
}

/// An open table. Shared by all cores; reading it takes no lock and makes no system call.
#[derive(Debug)]
pub struct Table {}

impl Table {
    /// Opens every segment of `entry` below `root`; checks headers, sizes and roots, scans nothing.
    pub fn open(_root: &Path, _entry: &TableEntry, _options: MapOptions) -> Result<Self, Error> {
        unimplemented!()
    }

    pub fn schema(&self) -> &Arc<Schema> {
        unimplemented!()
    }

    pub fn rows(&self) -> u64 {
        unimplemented!()
    }

    /// The newest event time of any row, microseconds since the Unix epoch; `None` when there are no rows.
    pub fn event_time_max_us(&self) -> Option<i64> {
        unimplemented!()
    }

    pub fn hash(&self, _key: &[u8]) -> KeyHash {
        unimplemented!()
    }

    pub fn prefetch_bucket(&self, _hash: KeyHash) {}

    /// Reads the key's bucket line and touches the row it names. `None`: the key is absent.
    pub fn probe(&self, _hash: KeyHash) -> Result<Option<Probe>, Corrupt> {
        unimplemented!()
    }

    /// The row that `probe` named, if its key is `key`.
    pub fn row(&self, _probe: Probe, _key: &[u8]) -> Result<Option<Row<'_>>, Corrupt> {
        unimplemented!()
    }

    /// All stages for one key.
    pub fn lookup(&self, _key: &[u8]) -> Result<Option<Row<'_>>, Corrupt> {
        unimplemented!()
    }

    /// An error if any mapping under this table was found truncated or unreadable since it was opened. To be asked after
    /// the last access to rows and before what was read from them leaves the process.
    pub fn check_mapping(&self) -> Result<(), Corrupt> {
        Ok(())
    }

    /// Verifies every checksum of every segment; `progress` is told bytes done. Reads everything once.
    pub fn verify(&self, _progress: &mut dyn FnMut(u64)) -> Result<(), Corrupt> {
        unimplemented!()
    }

    /// Every row of every segment in stored order, each with its block verified first; for inspection and tests.
    pub fn scan(&self) -> impl Iterator<Item = Result<Row<'_>, Corrupt>> {
        std::iter::empty()
    }

    /// Bytes on disk, and bytes of the index within them.
    pub fn disk_bytes(&self) -> (u64, u64) {
        unimplemented!()
    }
}

//! Building a table from rows in any order, in bounded memory, on several threads.
//!
//! Each thread owns a [`RowSink`]. A sink sorts what fits its share of memory and spills sorted runs; `finish` merges all
//! runs by hash, keeps the newest event time of each key (equal times: the highest ordinal), or folds all rows of a key to one
//! ([`Fold`]), and writes segments.
//!
//! | module | what |
//! |---|---|
//! | `arena` | rows in memory, and the entries that are sorted in their stead |
//! | `sink` | one thread's way in: fill, sort, spill |
//! | `run` | sorted rows in a scratch file, readable from any hash on |
//! | `merge` | many sorted sources become one; the newest row of each key |
//! | `fold` | one row of all rows of a key |
//! | `sorted` | everything that was pushed, sorted: bounding the number of runs, and sorting anew under another seed |
//! | `ascending` | rows that come sorted already become segments, one row at a time |
//! | `segments` | one segment per partition, each by one thread |
//! | `scratch` | the folder of the runs |
//! | `unpublished` | what was built and is not wanted is removed |
//!
//! Nothing here touches what is live: runs lie below `tmp/`, segments get names that no manifest knows. Whoever builds holds the data
//! directory's lock until the result is published, or takes note of it ([`DataDirectory::building`](crate::directory::DataDirectory::building))
//! and takes the lock to publish: or garbage collection would take what no manifest names.

mod arena;
mod ascending;
mod fold;
mod merge;
mod parallel;
mod run;
mod scratch;
mod segments;
mod sink;
mod sorted;
#[cfg(test)]
mod tests;
mod unpublished;

use std::{
    io,
    path::PathBuf,
    sync::{Arc, atomic::AtomicUsize},
};

use crate::{
    directory::{
        TableEntry,
        disk::{self, Disk, SystemDisk},
    },
    error::Error,
    limits::RESEEDS_MAX,
    row::RowLayout,
    schema::Schema,
    table::{KeyHash, Table},
};

use self::{arena::Rank, merge::Seen, scratch::Scratch, sorted::Sorted};

pub(crate) use ascending::AscendingTable;
pub use fold::{Fold, Folder};
pub use sink::RowSink;
pub(crate) use unpublished::Unpublished;

/// How to build.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// The data directory; segments and spilled runs go below it.
    pub root: PathBuf,
    /// Names the folder under `segments/`, for example `prod/user_profile`.
    pub table: String,
    /// Bounds the memory of all sinks and of the merge together. The segment that each worker writes takes another 20 MiB.
    pub memory_bytes: usize,
    /// Threads that merge.
    pub workers: usize,
    /// Microseconds since the Unix epoch: when the table is built.
    pub now_us: i64,
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
pub struct TableBuilder {
    build: Arc<Build>,
}

impl TableBuilder {
    /// Starts a build. Writes nothing yet.
    pub fn new(schema: Arc<Schema>, options: BuildOptions) -> Result<Self, Error> {
        // Random, so that nobody can choose keys that collide.
        Self::new_on(schema, options, disk::random(), Table::hash_with, Arc::new(SystemDisk))
    }

    /// The same, under a seed that was chosen; what comes out may have another if two keys meet under it.
    pub(crate) fn seeded(schema: Arc<Schema>, options: BuildOptions, seed: u64) -> Result<Self, Error> {
        Self::new_on(schema, options, seed, Table::hash_with, Arc::new(SystemDisk))
    }

    /// Starts a build of a table of this schema, whose rows `fold` makes of all rows of a key. Those that are pushed have the same key parts
    /// and the columns of `pushed`.
    pub fn folding(
        schema: Arc<Schema>,
        options: BuildOptions,
        pushed: &Schema,
        fold: Arc<dyn Fold>,
    ) -> Result<Self, Error> {
        let layout = RowLayout::new(pushed, &format!("a row for {}", options.table));
        let mut builder = Self::new(schema, options)?;
        let build = Arc::get_mut(&mut builder.build).expect("nobody shares a build that was made just now");
        (build.layout, build.fold) = (layout, Some(fold));
        Ok(builder)
    }

    /// With all that tests choose.
    fn new_on(
        schema: Arc<Schema>,
        options: BuildOptions,
        seed: u64,
        hash: HashKey,
        disk: Arc<dyn Disk>,
    ) -> Result<Self, Error> {
        if !disk::leads_below(&options.table) {
            let folder = options.root.join(&options.table);
            return Err(disk::refused("build a table in", &folder, "a table's name must lead below segments/"));
        }
        let layout = RowLayout::new(&schema, &format!("a row of {}", options.table));
        let scratch = Scratch::new(&options.root, Arc::clone(&disk));
        let sinks = AtomicUsize::new(0);
        Ok(Self { build: Arc::new(Build { schema, layout, fold: None, options, seed, hash, disk, scratch, sinks }) })
    }

    /// A sink for one thread; memory is shared out among all sinks there are.
    pub fn sink(&self) -> RowSink {
        RowSink::new(Arc::clone(&self.build), self.build.seed)
    }

    /// Merges and writes segments, synced and under their final names but in no manifest yet.
    /// `progress` is told (rows merged, rows in all) now and then, from any thread.
    pub fn finish(
        self,
        sinks: Vec<RowSink>,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<(TableEntry, BuildSummary), Error> {
        let build = &self.build;
        assert!(sinks.iter().all(|sink| sink.is_of(build)), "a sink goes back to the builder that made it");
        if let Some(failed) = sinks.iter().find(|sink| sink.has_failed()) {
            let source = io::Error::other("an earlier write failed, so rows are missing");
            return Err(disk::failed("finish the build of", &failed.folder(), source));
        }
        let mut summary = BuildSummary { rows_in: sinks.iter().map(RowSink::rows_in).sum(), ..BuildSummary::default() };
        let event_time_max_us = sinks.iter().filter_map(RowSink::event_time_max_us).max().unwrap_or(i64::MIN);
        let mut seed = build.seed;
        let mut sorted = Sorted::new(build, sinks)?;
        summary.runs_spilled = sorted.runs() as u64;
        let mut reseeds = 0;
        let segments = loop {
            sorted.bound_runs(build)?;
            match segments::write(build, seed, &sorted, event_time_max_us, progress) {
                Err(Error::Reseed { .. }) if reseeds < RESEEDS_MAX => {
                    reseeds += 1;
                    seed = disk::random();
                    sorted = sorted.reseed(build, seed)?;
                }
                written => break written?,
            }
        };
        summary.rows_kept = segments.iter().map(|segment| segment.summary.rows).sum();
        summary.raw_bytes = segments.iter().map(|segment| segment.summary.raw_bytes).sum();
        summary.disk_bytes = segments.iter().map(|segment| segment.summary.bytes).sum();
        let newest_event_us = segments.iter().filter_map(|segment| segment.summary.newest_event_us).max();
        let entry = TableEntry {
            schema: Schema::clone(&build.schema),
            seed,
            rows: summary.rows_kept,
            tombstones: segments.iter().map(|segment| segment.summary.tombstones).sum(),
            raw_bytes: summary.raw_bytes,
            event_time_min_us: segments.iter().filter_map(|segment| segment.summary.event_time_min_us).min(),
            event_time_max_us: segments.iter().filter_map(|segment| segment.summary.event_time_max_us).max(),
            built_at_us: build.options.now_us,
            holds_writes: false,
            has_deletes: false,
            newest_event_us: None,
            segments: segments.into_iter().map(|segment| segment.entry).collect(),
        };
        let entry = entry.with_events_up_to(newest_event_us);
        // Before anybody may name them: what was written is opened and read as a server would. From memory, mostly.
        let table = Table::open(&build.options.root, &entry)?;
        table.verify(&mut |_| {})?;
        Ok((entry, summary))
    }
}

/// What all parts of one build share.
#[derive(Debug)]
struct Build {
    schema: Arc<Schema>,
    /// Of the rows that are pushed.
    layout: RowLayout,
    fold: Option<Arc<dyn Fold>>,
    options: BuildOptions,
    /// Of the first attempt.
    seed: u64,
    hash: HashKey,
    disk: Arc<dyn Disk>,
    scratch: Scratch,
    /// Those that were made and not dropped.
    sinks: AtomicUsize,
}

impl Build {
    /// Sinks fill three quarters of the memory: what they hold stays there while the merge reads runs with the rest.
    fn sinks_bytes(&self) -> usize {
        self.options.memory_bytes / 4 * 3
    }

    /// Runs are read and written by blocks of this size: large enough for a disk, small enough for a thousand at a time.
    fn block_bytes(&self) -> usize {
        (self.options.memory_bytes / BLOCKS_PER_MEMORY).clamp(RUN_BLOCK_BYTES_MIN, RUN_BLOCK_BYTES_MAX)
    }

    /// How many runs each of the workers can read at a time.
    fn fan_in(&self) -> usize {
        let blocks = self.options.memory_bytes / 4 / self.block_bytes();
        (blocks / self.workers()).clamp(2, RUNS_MERGED_MAX)
    }

    /// A row's place in the order: the newest of a key first, or the oldest if all are folded.
    fn rank(&self, hash: u64, event_time_us: i64, ordinal: u64) -> Rank {
        match self.fold {
            None => Rank { hash, event_time_us, ordinal },
            Some(_) => Rank { hash, event_time_us: !event_time_us, ordinal: !ordinal },
        }
    }

    /// The ordinal that a row was pushed with.
    fn ordinal(&self, rank: Rank) -> u64 {
        if self.fold.is_some() { !rank.ordinal } else { rank.ordinal }
    }

    /// Whether a row is needed, but for the last merge. A colliding key stays: that is for the last merge to find.
    fn keeps(&self, seen: Seen) -> bool {
        self.fold.is_some() || seen != Seen::Again
    }

    fn workers(&self) -> usize {
        self.options.workers.max(1)
    }
}

/// How a key is hashed under a seed: [`Table::hash_with`], but for tests that need collisions.
type HashKey = fn(u64, &[u8]) -> KeyHash;

/// A quarter of the memory reads runs, so a thousand blocks fit it.
const BLOCKS_PER_MEMORY: usize = 4096;
const RUN_BLOCK_BYTES_MIN: usize = 4 << 10;
const RUN_BLOCK_BYTES_MAX: usize = 256 << 10;

/// One descriptor each; half of what a process may usually open.
const RUNS_MERGED_MAX: usize = 512;

//! From sorted rows to segments: one per partition, each merged and written by one thread.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use crate::{
    directory::{
        SEGMENTS, SegmentEntry,
        disk::{self, Disk, failed},
    },
    error::Error,
    limits::{PARTITIONS_MAX, SEGMENT_BYTES_MAX},
    row::Row,
    segment::{Placement, SegmentSummary, SegmentWriter, partition_of},
    table::KeyHash,
};

use super::{
    Build,
    fold::Folding,
    merge::{Newest, Seen, merge},
    parallel::parallel,
    sorted::Sorted,
};

/// A segment, written and synced.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) entry: SegmentEntry,
    pub(super) summary: SegmentSummary,
}

/// Writes all segments under their final names, or leaves none.
pub(super) fn write(
    build: &Build,
    seed: u64,
    sorted: &Sorted,
    event_time_max_us: i64,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Vec<Written>, Error> {
    let partitions = partitions(build, sorted);
    let table = Path::new(SEGMENTS).join(&build.options.table);
    let folder = build.options.root.join(&table);
    // Time and chance, and no other build of this machine at the same microsecond: never the same name twice.
    let unique = format!("{:016x}-{:016x}", build.options.now_us, disk::random());
    let names: Vec<String> = (0..partitions).map(|partition| format!("{unique}-{partition:05}.seg")).collect();
    let mut unfinished = Unfinished {
        files: names.iter().map(|name| folder.join(name)).collect(),
        folder: folder.clone(),
        disk: Arc::clone(&build.disk),
    };
    disk::create_folders(build.disk.as_ref(), &build.options.root, &table)?;

    let files = sorted.open()?;
    let told = Progress { merged: AtomicU64::new(0), rows: sorted.rows(), progress };
    let written = parallel(build.workers(), names.len(), |index| {
        let partition = u32::try_from(index).unwrap_or(u32::MAX); // below PARTITIONS_MAX
        let placement = Placement { seed, partition, partitions };
        let temporary = folder.join(disk::temporary_name(&names[index]));
        let mut segment = SegmentWriter::create(&temporary, &build.schema, placement)?;
        let mut newest = Newest::new(&build.layout);
        let mut folding = build.fold.as_deref().map(|fold| Folding::new(fold, event_time_max_us));
        let mut untold = 0;
        merge(&mut sorted.sources(&files, &hashes(partition, partitions))?, |rank, row| {
            untold += 1;
            if untold == ROWS_UNTOLD_MAX {
                told.add(std::mem::take(&mut untold));
            }
            match (newest.see(rank.hash, row)?, &mut folding) {
                (Seen::Collides, _) => Err(Error::Reseed { seed }),
                (Seen::First, None) => segment.push(KeyHash(rank.hash), row),
                (Seen::Again, None) => Ok(()),
                (Seen::First, Some(folding)) => {
                    folding.end(&mut segment)?;
                    folding.begin(rank.hash, &Row::parse(&build.layout, row)?)
                }
                (Seen::Again, Some(folding)) => folding.add(&Row::parse(&build.layout, row)?),
            }
        })?;
        if let Some(folding) = &mut folding {
            folding.end(&mut segment)?;
        }
        told.add(untold);
        let summary = segment.finish()?;
        let file = folder.join(&names[index]);
        build.disk.rename(&temporary, &file).map_err(|source| {
            let _ = build.disk.remove_file(&temporary); // best effort; garbage collection takes what stays
            failed("rename to", &file, source)
        })?;
        let entry = SegmentEntry {
            file: format!("{SEGMENTS}/{}/{}", build.options.table, names[index]),
            bytes: summary.bytes,
            rows: summary.rows,
            root: format!("{:016x}", summary.root),
        };
        Ok(Written { entry, summary })
    })?;
    disk::sync_folder(build.disk.as_ref(), &folder)?;
    unfinished.files.clear();
    Ok(written)
}

/// Enough that no segment becomes too large, and that all workers have something to do if it is worth the while.
fn partitions(build: &Build, sorted: &Sorted) -> u32 {
    let bytes = sorted.row_bytes() + sorted.rows() * ROW_OVERHEAD_BYTES;
    let workers = (build.workers() as u64).min(sorted.rows() / PARTITION_ROWS_MIN);
    let partitions = bytes.div_ceil(SEGMENT_BYTES_MAX).max(workers).max(1);
    u32::try_from(partitions).unwrap_or(u32::MAX).min(PARTITIONS_MAX)
}

/// The hashes of a partition: from the first one on, up to the first one of the next.
fn hashes(partition: u32, partitions: u32) -> Range<Option<u64>> {
    let first = |partition| (partition < partitions).then(|| first_hash(partition, partitions));
    first(partition)..first(partition + 1)
}

/// The smallest hash that is placed in this partition. Found by halving, so that only one place knows how hashes are placed.
fn first_hash(partition: u32, partitions: u32) -> u64 {
    let (mut low, mut high) = (0, u64::MAX);
    while low < high {
        let middle = low + (high - low) / 2;
        if partition_of(KeyHash(middle), partitions) < partition {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// Removes segments that are not all there.
#[derive(Debug)]
pub(super) struct Unfinished {
    pub(super) files: Vec<PathBuf>,
    pub(super) folder: PathBuf,
    pub(super) disk: Arc<dyn Disk>,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Best effort, as no manifest names them and garbage collection takes what stays. The folder goes if it is empty.
        let unfinished = !self.files.is_empty();
        for file in &self.files {
            let _ = self.disk.remove_file(file);
        }
        if unfinished {
            let _ = self.disk.remove_folder(&self.folder);
        }
    }
}

struct Progress<'p> {
    merged: AtomicU64,
    rows: u64,
    progress: &'p (dyn Fn(u64, u64) + Sync),
}

impl Progress<'_> {
    fn add(&self, rows: u64) {
        let merged = self.merged.fetch_add(rows, Relaxed) + rows;
        (self.progress)(merged, self.rows);
    }
}

/// What a row costs besides its bytes: its share of a bucket (64 bytes for six rows) and of checksums, and padding.
pub(super) const ROW_OVERHEAD_BYTES: u64 = 14;

/// Fewer rows than this are not worth a segment of their own.
const PARTITION_ROWS_MIN: u64 = 100_000;

/// How often progress is told.
const ROWS_UNTOLD_MAX: u64 = 1 << 16;

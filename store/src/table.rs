//! A table: one immutable set of rows, hash-partitioned over segments, with staged lookup.
//!
//! The stages exist so that a caller can run each over all keys of all its requests before the next: `hash`, then
//! `prefetch_bucket`, then `probe` (reads the bucket line, touches the row), then `row` (compares the key).
//!
//! A caller that must not wait for a disk asks `is_resident` before `row`, and reads what is not in memory itself: `cold`
//! says what to read, and goes on from what was read. What is in memory is said, and changed, in `memory`.

mod cold;
mod memory;

use std::{path::Path, sync::Arc};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::{
    directory::TableEntry,
    error::{Corrupt, Error},
    limits::PARTITIONS_MAX,
    row::Row,
    schema::Schema,
    segment::{Expected, Scan, Segment, SegmentInfo, map, partition_of},
};

pub use self::{
    cold::{ColdRead, ColdStep, Resumed},
    memory::{Brought, Lock, MapOptions, Populate, Residency},
};
pub use crate::segment::SegmentResidency;

/// A key's hash under a table's seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyHash(pub u64);

/// Where a key's row must be, if the key is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    partition: u32,
    /// In units of the row alignment; never 0.
    start: u32,
}

#[cfg(test)]
impl Probe {
    /// Its segment's position, and where in the file the row starts.
    pub(crate) fn place(self) -> (usize, u64) {
        (self.partition as usize, u64::from(self.start) * crate::limits::ROW_ALIGNMENT as u64)
    }
}

/// What is known of a key after its bucket line was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probed {
    Absent,
    At(Probe),
    /// The line is not in memory: whether there is a row takes a read.
    Cold(ColdStep),
}

/// An open table. Shared by all cores; reading it takes no lock and makes no system call.
#[derive(Debug)]
pub struct Table {
    schema: Arc<Schema>,
    seed: u64,
    partitions: u32,
    /// As many as there are partitions, in their order.
    segments: Box<[Segment]>,
    newest_event_us: Option<i64>,
}

impl Table {
    /// Opens every segment of `entry` below `root`; checks headers, sizes and roots, scans nothing and reads nothing ahead.
    pub fn open(root: &Path, entry: &TableEntry) -> Result<Self, Error> {
        let partitions = u32::try_from(entry.segments.len()).ok().filter(|&partitions| partitions <= PARTITIONS_MAX);
        let too_many = Error::TooLarge { what: "the number of partitions", max: PARTITIONS_MAX.into() };
        let partitions = partitions.ok_or(too_many)?;
        let segments = (0..).zip(&entry.segments).map(|(partition, segment)| {
            let expected = Expected { entry: segment, schema: &entry.schema, seed: entry.seed, partition, partitions };
            Segment::open(&root.join(&segment.file), expected)
        });
        let segments = segments.collect::<Result<_, _>>()?;
        let (schema, newest_event_us) = (Arc::new(entry.schema.clone()), entry.newest_event_us());
        Ok(Self { schema, seed: entry.seed, partitions, segments, newest_event_us })
    }

    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Rows, tombstones not counted.
    pub fn rows(&self) -> u64 {
        self.segments.iter().map(|segment| segment.header().rows - segment.header().tombstones).sum()
    }

    /// Rows that only say that there is none: see [`Row::is_tombstone`]. Lookups and scans give them like any other.
    pub fn tombstones(&self) -> u64 {
        self.segments.iter().map(|segment| segment.header().tombstones).sum()
    }

    /// The seed of its hashes.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Gets ready to be scanned by whoever opened it for that alone: the kernel reads ahead.
    pub fn advise_scan(&self) -> Result<(), Error> {
        self.segments.iter().try_for_each(Segment::advise_scan)
    }

    /// The newest event time that its rows ever reached, microseconds since the Unix epoch: deletes do not move it.
    pub fn newest_event_us(&self) -> Option<i64> {
        self.newest_event_us
    }

    /// The newest event time of any row, tombstones among them, microseconds since the Unix epoch; `None` when there are no rows.
    pub fn event_time_max_us(&self) -> Option<i64> {
        self.segments.iter().filter_map(Segment::event_time_max_us).max()
    }

    /// The hash of a key in a table with this seed.
    #[inline]
    pub fn hash_with(seed: u64, key: &[u8]) -> KeyHash {
        KeyHash(xxh3_64_with_seed(key, seed))
    }

    #[inline]
    pub fn hash(&self, key: &[u8]) -> KeyHash {
        Self::hash_with(self.seed, key)
    }

    /// Starts to load the key's bucket line, and waits for nothing.
    #[inline]
    pub fn prefetch_bucket(&self, hash: KeyHash) {
        if let Some(segment) = self.segments.get(partition_of(hash, self.partitions) as usize) {
            segment.prefetch_bucket(hash);
        }
    }

    /// Reads the key's bucket line, if it is in memory, and starts to load the row it names. Never waits for a disk.
    // As a call it cost 15 instructions more for each lookup (callgrind).
    #[inline(always)]
    pub fn probe(&self, hash: KeyHash) -> Result<Probed, Corrupt> {
        let partition = partition_of(hash, self.partitions);
        let Some(segment) = self.segments.get(partition as usize) else { return Ok(Probed::Absent) };
        if !segment.index_is_resident() {
            return Ok(self.cold_probe(partition, hash));
        }
        let start = segment.probe(hash)?;
        Ok(if start == 0 { Probed::Absent } else { Probed::At(Probe { partition, start }) })
    }

    /// Whether the row that `probe` named is in memory to its last byte, so that [`Self::row`] waits for no disk.
    #[inline]
    pub fn is_resident(&self, probe: Probe) -> bool {
        self.segments.get(probe.partition as usize).is_some_and(|segment| segment.row_is_resident(probe.start))
    }

    /// The row that `probe` named, if its key is `key`. Reads it in place, wherever that is.
    #[inline]
    pub fn row(&self, probe: Probe, key: &[u8]) -> Result<Option<Row<'_>>, Corrupt> {
        let Some(segment) = self.segments.get(probe.partition as usize) else { return Ok(None) };
        let row = segment.row(probe.start)?;
        Ok((row.key() == key).then_some(row))
    }

    /// All stages for one key, in place. Waits for the disk where something is not in memory.
    pub fn lookup(&self, key: &[u8]) -> Result<Option<Row<'_>>, Corrupt> {
        let hash = self.hash(key);
        let partition = partition_of(hash, self.partitions);
        let Some(segment) = self.segments.get(partition as usize) else { return Ok(None) };
        match segment.probe(hash)? {
            0 => Ok(None),
            start => self.row(Probe { partition, start }, key),
        }
    }

    /// An error if any mapping under this table was found truncated or unreadable since it was opened. To be asked after
    /// the last access to rows and before what was read from them leaves the process.
    #[inline]
    pub fn check_mapping(&self) -> Result<(), Corrupt> {
        if map::any_poisoned() { self.check_each_mapping() } else { Ok(()) }
    }

    /// Verifies every checksum of every segment; `progress` is told bytes done. Reads everything once.
    pub fn verify(&self, progress: &mut dyn FnMut(u64)) -> Result<(), Corrupt> {
        let mut done_before = 0;
        for segment in &self.segments {
            segment.verify(&mut |done| progress(done_before + done))?;
            done_before += segment.header().file_bytes;
        }
        Ok(())
    }

    /// Every row of every segment in stored order, each with its block verified first; for inspection and tests.
    pub fn scan(&self) -> impl Iterator<Item = Result<Row<'_>, Corrupt>> {
        self.segments.iter().flat_map(Scan::new)
    }

    /// What each segment is made of, in partition order; for inspection.
    pub fn segments(&self) -> impl ExactSizeIterator<Item = SegmentInfo> {
        self.segments.iter().map(Segment::info)
    }

    /// Bytes on disk, and bytes of the index within them.
    pub fn disk_bytes(&self) -> (u64, u64) {
        self.segments.iter().map(Segment::header).fold((0, 0), |(disk, index), header| {
            let regions = &header.regions;
            (disk + header.file_bytes, index + regions.index.bytes + regions.seeds.bytes)
        })
    }

    #[cold]
    fn check_each_mapping(&self) -> Result<(), Corrupt> {
        self.segments.iter().try_for_each(Segment::check_mapping)
    }
}

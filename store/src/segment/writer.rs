//! Writes a segment, front to back: rows as they come, then the index, then what describes and protects them.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    path::{Path, PathBuf},
};

use super::{
    entries::{Entries, Entry},
    index,
    output::Output,
    partition_of,
};
use crate::{
    error::Error,
    format::{
        archive::archive_schema,
        header::{Header, Region, Regions},
    },
    limits::{BLOCK_BYTES, PARTITIONS_MAX, ROW_ALIGNMENT, ROW_BYTES_IN_BLOCK, ROWS_END_MAX},
    row::{Row, RowLayout},
    schema::Schema,
    table::KeyHash,
};

/// Which part of which table a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// The table's hash seed.
    pub seed: u64,
    pub partition: u32,
    /// Segments of the table.
    pub partitions: u32,
}

/// A segment that was written and synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentSummary {
    /// Size of the file.
    pub bytes: u64,
    pub rows: u64,
    /// Tombstones among the rows.
    pub tombstones: u64,
    /// Root of the file's checksums, for the manifest.
    pub root: u64,
    /// Buckets and seeds.
    pub index_bytes: u64,
    /// Keys, event times and values as a user would count them.
    pub raw_bytes: u64,
    /// `None` when there are no rows.
    pub event_time_min_us: Option<i64>,
    pub event_time_max_us: Option<i64>,
    /// Of the rows, tombstones aside.
    pub newest_event_us: Option<i64>,
}

/// Writes one segment. Dropped without `finish`, it removes the file.
#[derive(Debug)]
pub struct SegmentWriter {
    /// Declared before `unfinished`, so that the file is closed before it is removed.
    output: Output,
    entries: Entries,
    unfinished: Unfinished,
    layout: RowLayout,
    archive: Vec<u8>,
    placement: Placement,
    id: u64,
    last: Option<u64>,
    tombstones: u64,
    raw_bytes: u64,
    event_times_us: Option<(i64, i64)>,
    /// Tombstones aside.
    newest_event_us: Option<i64>,
}

impl SegmentWriter {
    /// Creates the file, which must not exist. It is complete, and durable, only after `finish`.
    pub fn create(path: &Path, schema: &Schema, placement: Placement) -> Result<Self, Error> {
        // The standard library's per-process random keys: an id need not be secret, only its own.
        Self::create_with_id(path, schema, placement, RandomState::new().build_hasher().finish())
    }

    /// The same with a chosen id, so that equal rows give equal files.
    pub(crate) fn create_with_id(path: &Path, schema: &Schema, placement: Placement, id: u64) -> Result<Self, Error> {
        assert!(placement.partition < placement.partitions, "a partition is below the number of partitions");
        if placement.partitions > PARTITIONS_MAX {
            return Err(Error::TooLarge { what: "the number of partitions", max: PARTITIONS_MAX.into() });
        }
        let too_large =
            Error::TooLarge { what: "the schema's types or their nesting", max: crate::limits::TYPES_MAX as u64 };
        let archive = archive_schema(schema).ok_or(too_large)?.to_vec();
        Ok(Self {
            output: Output::create(path, id)?,
            entries: Entries::new(path),
            unfinished: Unfinished { path: Some(path.to_owned()) },
            layout: RowLayout::new(schema, &path.to_string_lossy()),
            archive,
            placement,
            id,
            last: None,
            tombstones: 0,
            raw_bytes: 0,
            event_times_us: None,
            newest_event_us: None,
        })
    }

    /// Appends an encoded row. Rows come in ascending order of their hashes, which belong to this partition.
    ///
    /// Two rows with the same hash are [`Error::Reseed`]: rows of one key must have been reduced to one before.
    pub fn push(&mut self, hash: KeyHash, row: &[u8]) -> Result<(), Error> {
        assert_eq!(partition_of(hash, self.placement.partitions), self.placement.partition, "a row of this partition");
        if let Some(last) = self.last.replace(hash.0) {
            assert!(last <= hash.0, "rows come in ascending order of their hashes");
            if last == hash.0 {
                return Err(Error::Reseed { seed: self.placement.seed });
            }
        }
        let parsed = Row::parse(&self.layout, row).ok().filter(|parsed| parsed.bytes() == row.len());
        let parsed = parsed.ok_or(Error::NotARow)?;
        let event_time_us = parsed.event_time_us();
        let (min, max) = self.event_times_us.unwrap_or((event_time_us, event_time_us));
        self.event_times_us = Some((min.min(event_time_us), max.max(event_time_us)));
        if parsed.is_tombstone() {
            self.tombstones += 1;
        } else {
            self.newest_event_us = self.newest_event_us.max(Some(event_time_us));
        }
        self.raw_bytes += parsed.raw_bytes() as u64;

        self.output.pad(ROW_ALIGNMENT);
        let in_block = usize::try_from(self.output.position() % BLOCK_BYTES as u64).unwrap_or(0);
        if row.len() <= ROW_BYTES_IN_BLOCK && in_block + row.len() > BLOCK_BYTES {
            self.output.pad(BLOCK_BYTES);
        }
        let start = u32::try_from(self.output.position() / ROW_ALIGNMENT as u64)
            .map_err(|_| Error::TooLarge { what: "the rows of one segment", max: ROWS_END_MAX })?;
        self.entries.push(Entry { hash: hash.0, start })?;
        self.output.write(row)
    }

    /// Writes the rest and syncs the file. To rename it and to sync its folder is the caller's part.
    pub fn finish(mut self) -> Result<SegmentSummary, Error> {
        let output = &mut self.output;
        let rows = output.end_region(BLOCK_BYTES as u64);
        let index_start = output.position();
        let Placement { seed, partition, partitions } = self.placement;
        let laid_out = index::write(output, &mut self.entries, partitions, seed)?;
        let index = output.end_region(index_start);
        let seed_bytes: Vec<u8> = laid_out.seeds.iter().flat_map(|seed| seed.to_le_bytes()).collect();
        let seeds = write_region(output, &seed_bytes)?;
        let meta = write_region(output, &self.archive)?;
        let (level1, level2, level2_bytes) = output.write_checksums()?;
        let (event_time_min_us, event_time_max_us) = self.event_times_us.unwrap_or_default();
        let header = Header {
            id: self.id,
            seed,
            partition,
            partitions,
            rows: self.entries.len(),
            tombstones: self.tombstones,
            groups: laid_out.groups,
            raw_bytes: self.raw_bytes,
            event_time_min_us,
            event_time_max_us,
            file_bytes: output.position(),
            regions: Regions { rows, index, seeds, meta, level1, level2 },
            root: 0,
        };
        let (first_block, root) = header.write(&level2_bytes);
        self.output.finish(&first_block)?;
        self.unfinished.path = None;
        Ok(SegmentSummary {
            bytes: header.file_bytes,
            rows: header.rows,
            tombstones: header.tombstones,
            root,
            index_bytes: index.bytes + seeds.bytes,
            raw_bytes: self.raw_bytes,
            event_time_min_us: self.event_times_us.map(|(min, _)| min),
            event_time_max_us: self.event_times_us.map(|(_, max)| max),
            newest_event_us: self.newest_event_us,
        })
    }

    #[cfg(test)]
    pub(super) fn entries_mut(&mut self) -> &mut Entries {
        &mut self.entries
    }
}

fn write_region(output: &mut Output, bytes: &[u8]) -> Result<Region, Error> {
    let start = output.position();
    output.write(bytes)?;
    Ok(output.end_region(start))
}

/// A file that is removed unless it was finished.
#[derive(Debug)]
struct Unfinished {
    path: Option<PathBuf>,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // Half a segment has no valid first block, so nobody would take it for one; this only saves the space.
            let _ = std::fs::remove_file(path);
        }
    }
}
